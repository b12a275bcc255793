# -*- test-case-name: tests.server.test_service -*-
"""Tests of `tunnelsvc.server.service`: server and client together, on real sockets."""

import itertools
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.programs import free_port
from tests.tunnels import LOOPBACK, Answering, TunnelCase, clock
from tunnelsvc.config.proxies import HTTPProxyConfig, TCPProxyConfig
from tunnelsvc.config.schema import ServerConfig, TLSConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.server.service import TunnelServer
from tunnelsvc.units import MINUTE

PLAIN = TLSConfig(enable=False)


class Hello(Resource):
    """Says hello, and by which name it was called."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        host = request.getHeader(b"host")
        assert isinstance(host, bytes)
        return b"hello, I am " + host


class TunnelTests(TunnelCase):
    """The whole way, in every way that a client may come."""

    async def check(self, server_options: dict[str, Any], client_options: dict[str, Any]) -> None:
        """Send a user through a tcp and an http proxy."""
        local = await self.listen(Factory.forProtocol(Answering))
        web = await self.listen(Site(Hello()))
        server = self.serve(vhost_http_port=free_port(), token="t", **server_options)
        layers: Any = {"use_encryption": True, "use_compression": True}
        client = await self.connect(
            server,
            TCPProxyConfig(name="plain", type="tcp", local_port=local),
            TCPProxyConfig(name="dressed", type="tcp", local_port=local, **layers),
            HTTPProxyConfig(
                name="web", type="http", local_port=web, custom_domains=("a.example.com",), **layers
            ),
            token="t",
            **client_options,
        )
        for name in ("plain", "dressed"):
            await self.half_close(int(client.proxy_addresses[name][1:]))
        for entrance in ("bind", "vhost_http"):
            await self.get(server.ports[entrance])
        self.check_distance(server)

    def check_distance(self, server: TunnelServer) -> None:
        """Whatever the control stream is in, the connection below is known."""
        [client] = server.stats.clients()
        seconds = server.round_trip_seconds(client.run_id)
        assert seconds is not None
        self.assertTrue(0 < seconds < MINUTE, seconds)
        self.assertIsNone(server.round_trip_seconds("nobody"))

    async def test_distance_by_websocket(self) -> None:
        for protocol in ("websocket", "wss"):
            server = self.serve()
            await self.connect(server, protocol=protocol)
            await self.wait(lambda: server.stats.online_clients == 1)  # noqa: B023
            self.check_distance(server)

    async def half_close(self, number: int) -> None:
        """The answer comes after the end of the request, all of it."""
        user, reader = await self.dial(number)
        for _ in range(50):
            user.write(bytes(20_000))
        user.loseWriteConnection()
        await reader.until(lambda: reader.finished or reader.lost is not None)
        self.assertEqual(bytes(reader.received), b"got 1000000")

    async def get(self, number: int) -> None:
        user, reader = await self.dial(number)
        user.write(b"GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n")
        await reader.until(lambda: reader.finished or reader.lost is not None)
        self.assertTrue(reader.received.startswith(b"HTTP/1.1 200 OK\r\n"), reader.received)
        self.assertTrue(reader.received.endswith(b"hello, I am a.example.com"), reader.received)


def _make_test(tcp_mux: bool, tls: TLSConfig) -> Any:
    async def test(self: TunnelTests) -> None:
        await self.check({}, {"tcp_mux": tcp_mux, "tls": tls})

    return test


for _mux, (_name, _tls) in itertools.product(
    (True, False),
    (
        ("plain", PLAIN),
        ("tls", TLSConfig()),
        ("tls_from_its_first_byte", TLSConfig(disable_custom_first_byte=True)),
    ),
):
    setattr(TunnelTests, f"test_{'mux' if _mux else 'direct'}_{_name}", _make_test(_mux, _tls))


class ListenTests(TunnelCase):
    """Starting and stopping."""

    def test_a_taken_port(self) -> None:
        server = self.serve()
        with self.assertRaises(CannotListenError):
            self.serve(bind_port=server.ports["bind"])

    async def test_ports_are_free_after_the_stop(self) -> None:
        local = await self.listen(Factory.forProtocol(Answering))
        server = self.serve(bind_port=free_port())
        proxy = TCPProxyConfig(name="a", type="tcp", local_port=local, remote_port=free_port())
        client = await self.connect(server, proxy)
        public = int(client.proxy_addresses["a"][1:])
        await server.stopService()
        again = self.serve(bind_port=server.ports["bind"])
        self.assertEqual(again.ports, server.ports)
        await self.listen_on(public)

    async def test_a_taken_port_leaves_none_open(self) -> None:
        other = self.serve()
        number = free_port()
        config = ServerConfig(
            bind_addr=LOOPBACK, proxy_bind_addr=LOOPBACK, bind_port=number,
            vhost_http_port=other.ports["bind"],
        )  # fmt: skip
        server = TunnelServer(config, clock)
        self.assertRaises(CannotListenError, server.startService)
        await deferLater(clock, 0)
        await self.listen_on(number)

    async def test_start_alone_and_again(self) -> None:
        """Who starts it by hand need not know of privileges."""
        local = await self.listen(Factory.forProtocol(Answering))
        config = ServerConfig(bind_addr=LOOPBACK, proxy_bind_addr=LOOPBACK, bind_port=0)
        server = TunnelServer(config, clock)
        proxy = TCPProxyConfig(name="a", local_port=local)
        for _ in range(2):
            server.startService()
            client = await self.connect(server, proxy)
            user, reader = await self.dial(int(client.proxy_addresses["a"][1:]))
            user.write(b"now")
            await reader.until(lambda: reader.finished)  # noqa: B023
            await server.stopService()
            await client.stopService()

    async def listen_on(self, number: int) -> None:
        port: Any = clock.listenTCP(number, Factory(), interface="127.0.0.1")
        await port.stopListening()

    async def test_the_client_comes_back(self) -> None:
        """After a restart of the server everything works again, without anybody's help."""
        local = await self.listen(Factory.forProtocol(Answering))
        server = self.serve(bind_port=free_port())
        proxy = TCPProxyConfig(name="a", type="tcp", local_port=local)
        client = await self.connect(server, proxy)
        before = dict(client.proxy_addresses)
        await server.stopService()
        await self.wait(lambda: not client.proxy_addresses)
        self.serve(bind_port=server.ports["bind"])
        await self.wait(lambda: bool(client.proxy_addresses))
        user, reader = await self.dial(int(client.proxy_addresses["a"][1:]))
        user.write(b"now")
        await reader.until(lambda: reader.finished)
        self.assertEqual(bytes(reader.received), b"got 3")
        self.assertEqual(set(before), {"a"})


class AccessLogTests(TunnelCase):
    """A line for each request, on both ports."""

    async def ask(self, port: int, path: bytes) -> None:
        user, reader = await self.dial(port)
        user.write(b"GET %b HTTP/1.0\r\nHost: nobody.example.com\r\n\r\n" % path)
        await reader.until(lambda: reader.finished or reader.lost is not None)
        self.assertIn(b" 404 ", reader.received)

    async def test_lines(self) -> None:
        """A renamed file keeps what belongs to it; the rest is written at the end."""
        path = Path(self.mktemp())
        server = self.serve(vhost_http_port=free_port(), access_log=str(path))
        await self.ask(server.ports["vhost_http"], b"/one")
        old = path.rename(f"{path}.1")
        server.reopen_logs()
        await self.ask(server.ports["bind"], b"/two")
        await server.stopService()
        self.assertRegex(old.read_bytes(), rb"\A127\.0\.0\.1 [^\n]*GET /one [^\n]*\n\Z")
        self.assertRegex(path.read_bytes(), rb"\A127\.0\.0\.1 [^\n]*GET /two [^\n]*\n\Z")

    async def test_none(self) -> None:
        server = self.serve(vhost_http_port=free_port())
        await self.ask(server.ports["vhost_http"], b"/")
        server.reopen_logs()

    def test_cannot_be_written(self) -> None:
        path = f"{self.mktemp()}/access.log"
        error = self.assertRaises(ConfigError, self.serve, access_log=path)
        self.assertEqual(
            error.problems,
            (f"[common] access_log = {path}: can't be written: No such file or directory",),
        )
