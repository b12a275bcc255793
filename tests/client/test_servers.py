# -*- test-case-name: tests.client.test_servers -*-
"""Tests of a client with several servers, on real sockets; see `tests.control.test_failover`."""

import socket
from typing import Any

from twisted.internet.protocol import Factory

from tests.loglines import LogLines
from tests.programs import free_port
from tests.tunnels import LOOPBACK, Answering, TunnelCase, clock
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.config.schema import ClientConfig, TLSConfig
from tunnelsvc.control import clientside, failback
from tunnelsvc.server.service import TunnelServer

OTHER = "127.0.0.2"
"""An address of the second server: both have the same public port."""


class BackTests(TunnelCase):
    """The way back, at another speed."""

    def setUp(self) -> None:
        for name in ("PROBE_SECONDS", "LOOK_SECONDS"):
            self.patch(failback, name, 0.05)
        self.patch(clientside, "STEADY_SECONDS", 0.05)
        self.lines = LogLines(self)

    def start(self, address: str, number: int) -> TunnelServer:
        return self.serve(bind_addr=address, proxy_bind_addr=address, bind_port=number)

    async def log_in(self, *servers: TunnelServer, public: int, **options: Any) -> TunnelClient:
        service = await self.listen(Factory.forProtocol(Answering))
        where = tuple((server.config.bind_addr, server.ports["bind"]) for server in servers)
        config = ClientConfig(
            server_addr=where[0][0],
            server_port=where[0][1],
            servers=where,
            proxies=(TCPProxyConfig(name="echo", local_port=service, remote_port=public),),
            **options,
        )
        client = TunnelClient(config, clock)
        client.startService()
        self.addCleanup(client.stopService)
        await client.when_running()
        return client

    def connected_clients(self, server: TunnelServer) -> int:
        return len(server._registry.clients)

    async def check_back(self, **options: Any) -> None:
        public = free_port()
        number = free_port()
        first, second = self.start(LOOPBACK, number), self.start(OTHER, free_port())
        await self.log_in(first, second, public=public, **options)
        await first.stopService()
        await self.wait(lambda: self.connected_clients(second) == 1)
        await self.wait(lambda: self.has_proxy(second))
        user, reader = await self.dial_at(OTHER, public)
        user.write(b"question")
        first = self.start(LOOPBACK, number)
        await self.wait(lambda: self.has_proxy(first))
        await self.wait(lambda: not self.has_proxy(second))
        self.assertEqual(self.connected_clients(second), 1, "the user is still there")
        user.write(b" now")
        await reader.until(lambda: reader.finished)
        self.assertEqual(bytes(reader.received), b"got 12")
        user.loseConnection()
        await self.wait(lambda: self.connected_clients(second) == 0)
        user, reader = await self.dial_at(LOOPBACK, public)
        user.write(b"now")
        await reader.until(lambda: reader.finished)
        self.assertEqual(bytes(reader.received), b"got 3")
        user.loseConnection()

    def has_proxy(self, server: TunnelServer) -> bool:
        return bool(server._context.proxies)

    async def dial_at(self, host: str, number: int) -> Any:
        return await self.dial(number, host)

    async def test_tls(self) -> None:
        await self.check_back()

    async def test_plain(self) -> None:
        await self.check_back(tls=TLSConfig(enable=False))

    async def test_without_mux(self) -> None:
        await self.check_back(tcp_mux=False)

    async def test_wss(self) -> None:
        await self.check_back(protocol="wss")


class KeepaliveTests(TunnelCase):
    """Options of the sockets between client and server."""

    def options(self, stream: Any) -> tuple[int, int]:
        handle = stream.getHandle()
        return (
            handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        )

    async def check(self, seconds: float, expected: tuple[int, ...]) -> None:
        server = self.serve(bind_addr=OTHER, tcp_keepalive_seconds=seconds)
        config = ClientConfig(
            server_addr=OTHER,
            server_port=server.ports["bind"],
            connect_server_local_ip="127.0.0.5",
            dial_server_keepalive_seconds=seconds,
        )
        client = TunnelClient(config, clock)
        client.startService()
        self.addCleanup(client.stopService)
        await self.wait(lambda: len(server._registry.clients) == 1)
        streams = [*client._connections._streams, *server._context.connections._streams]
        self.assertGreaterEqual(len(streams), 2)
        for stream in streams:
            self.assertEqual(self.options(stream)[: len(expected)], expected)
        for stream in server._context.connections._streams:
            self.assertEqual(stream.getPeer().host, "127.0.0.5")  # type: ignore[attr-defined]

    async def test_on(self) -> None:
        await self.check(77, (1, 77))

    async def test_off(self) -> None:
        await self.check(-1, (0,))
