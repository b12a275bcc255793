# -*- test-case-name: tests.link.test_links -*-
"""Tests of `tunnelsvc.link.links`; the server's half is in `tests.server.test_service`."""

from typing import Any, cast

from twisted.internet import error
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.streams import MemoryStream, Recorder, pair, pump, recorded
from tunnelsvc.config.schema import ClientConfig, TLSConfig
from tunnelsvc.errors import ConfigError, TLSError
from tunnelsvc.handover import Connections, Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link import links
from tunnelsvc.link.certificates import server_context
from tunnelsvc.link.dial import Unreachable
from tunnelsvc.link.links import server, servers
from tunnelsvc.link.tls import start_tls_server
from tunnelsvc.wire.httphead import parse_request_head
from tunnelsvc.wire.websocket import Decoder
from tunnelsvc.wire.wsupgrade import answer


class LinkCase(SynchronousTestCase):
    """A client that dials a server in memory."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.servers: list[MemoryStream] = []
        self.connections = Connections()
        self.environ: dict[str, str] = {}
        self.patch(links, "dial", self.dial)

    async def dial(self, reactor: object, host: str, port: int, **options: Any) -> Stream:
        self.dialled = (host, port, options)
        ours, theirs = pair("server")
        self.servers.append(theirs)
        return ours

    def link(self, **options: Any) -> links.Link:
        config = ClientConfig(server_addr="vps", **options)
        made = server(self.clock, config, self.connections, self.environ)
        return self.successResultOf(ensureDeferred(made.connect()))

    def open(self, link: links.Link) -> Stream:
        stream = self.successResultOf(ensureDeferred(link.open()))
        self.assertIsInstance(stream.protocol, Parked)
        return stream

    def first_bytes(self, count: int = 1) -> bytes:
        self.assertEqual(len(self.servers), count)
        self.clock.advance(0)
        recorder = recorded(self.servers[-1])
        pump(self.servers[-1])
        return bytes(recorder.received)


class LinkTests(LinkCase):
    """What a client sends first, by its configuration."""

    def test_multiplexed(self) -> None:
        link = self.link(tls=TLSConfig(enable=False))
        self.open(link)
        self.open(link)
        self.assertTrue(self.first_bytes().startswith(b"\0\1\0\1\0\0\0\1"))
        at_server = recorded(self.servers[0])
        link.close()
        pump(self.servers[0])
        self.assertTrue(at_server.finished)

    def test_aborted(self) -> None:
        link = self.link(tls=TLSConfig(enable=False))
        link.abort()
        self.assertTrue(self.servers[0].lost)

    def test_direct(self) -> None:
        link = self.link(tcp_mux=False, tls=TLSConfig(enable=False))
        self.assertEqual(self.servers, [])
        self.open(link).write(b"o")
        self.assertEqual(self.first_bytes(), b"o")
        self.open(link)
        link.close()
        link.abort()
        self.assertEqual([server.lost for server in self.servers], [False, False])

    def test_tls(self) -> None:
        for options, first in (
            (TLSConfig(), b"\x17\x16\x03"),
            (TLSConfig(disable_custom_first_byte=True), b"\x16\x03"),
        ):
            self.servers.clear()
            self.link(tls=options)
            self.assertTrue(self.first_bytes().startswith(first))

    def test_options_reach_the_dialling(self) -> None:
        self.link(
            server_port=7001,
            dial_server_timeout_seconds=3.0,
            dial_server_keepalive_seconds=5.0,
            connect_server_local_ip="127.0.0.2",
        )
        self.assertEqual(
            self.dialled,
            ("vps", 7001, {"timeout": 3.0, "source": "127.0.0.2", "keepalive_seconds": 5.0}),
        )

    def test_unreachable(self) -> None:
        async def refuse(*_: object, **__: object) -> Stream:
            raise error.ConnectionRefusedError

        self.patch(links, "dial", refuse)
        made = server(self.clock, ClientConfig(), self.connections, {})
        for tried in (made.connect(), made.probe()):
            self.failureResultOf(ensureDeferred(tried), error.ConnectError)

    def test_bad_files_are_found_at_once(self) -> None:
        config = ClientConfig(tls=TLSConfig(trusted_ca_file="/nowhere/ca.pem"))
        with self.assertRaises(ConfigError):
            server(self.clock, config, self.connections, {})

    def test_every_connection_is_noted(self) -> None:
        self.link()
        stopped = ensureDeferred(self.connections.abort_all(self.clock))
        self.clock.pump([0] * 20)
        self.successResultOf(stopped)
        self.assertTrue(self.servers[0].lost)


class WayTests(LinkCase):
    """Other ways than plain TCP."""

    def connecting(self, **options: Any) -> "Deferred[links.Link]":
        config = ClientConfig(server_addr="vps", **options)
        made = server(self.clock, config, self.connections, self.environ)
        return ensureDeferred(made.connect())

    def say(self, data: bytes) -> None:
        self.servers[-1].write(data)
        pump(self.servers[-1])

    def agree(self, said: bytes) -> None:
        """Answer as a server that takes websockets."""
        head = parse_request_head(said)
        self.say(answer(head))

    def test_websocket(self) -> None:
        connecting = self.connecting(protocol="websocket", tls=TLSConfig(enable=False))
        said = self.first_bytes()
        self.assertTrue(said.startswith(b"GET /~!frp HTTP/1.1\r\nHost: vps:7000\r\n"), said)
        at_server = recorded(self.servers[0])
        self.agree(said)
        self.open(self.successResultOf(connecting))
        self.clock.advance(0)
        pump(self.servers[0])
        payload = Decoder(masked=True).feed(bytes(at_server.received)).payload
        self.assertTrue(payload.startswith(b"\0\1\0\1\0\0\0\1"))

    def test_hosts(self) -> None:
        for server_addr, host in (("2001:db8::1", "[2001:db8::1]"), ("fe80::1%eth0", "[fe80::1]")):
            self.servers.clear()
            config = ClientConfig(server_addr=server_addr, protocol="websocket")
            made = server(self.clock, config, self.connections, {})
            ensureDeferred(made.connect())
            self.assertIn(b"Host: %b:7000\r\n" % host.encode(), self.first_bytes())

    def test_tls_in_a_websocket(self) -> None:
        for plain, first in ((False, b"\x17\x16\x03"), (True, b"\x16\x03")):
            self.servers.clear()
            tls = TLSConfig(disable_custom_first_byte=plain)
            connecting = self.connecting(protocol="websocket", server_port=80, tls=tls)
            said = self.first_bytes()
            self.assertIn(b"Host: vps\r\n", said)
            at_server = recorded(self.servers[0])
            self.agree(said)
            self.successResultOf(connecting)
            pump(self.servers[0])
            payload = Decoder(masked=True).feed(bytes(at_server.received)).payload
            self.assertTrue(payload.startswith(first), payload)

    def test_a_refused_websocket(self) -> None:
        connecting = self.connecting(protocol="websocket", tls=TLSConfig(enable=False))
        self.first_bytes()
        self.say(b"HTTP/1.1 404 Not Found\r\n\r\n")
        failure = self.failureResultOf(connecting, Unreachable)
        self.assertEqual(
            failure.getErrorMessage(), "no websocket: the server answers 404 Not Found"
        )
        self.assertTrue(self.servers[0].lost)

    def test_wss(self) -> None:
        """TLS comes first, and without frp's mark, whatever the file says of TLS."""
        for enable in (True, False):
            self.servers.clear()
            tls = TLSConfig(enable=enable, server_name="tunnel.example")
            connecting = self.connecting(protocol="wss", server_port=443, tls=tls)
            server = self.servers[0]
            reader = Recorder()
            reader.makeConnection = lambda _: None  # type: ignore[attr-defined]
            inner = start_tls_server(
                server, server_context(TLSConfig()), cast("Any", reader), self.clock
            )
            for _ in range(5):
                pump(server)
                self.clock.advance(0)
            said = bytes(reader.received)
            self.assertIn(b"Host: tunnel.example\r\n", said)
            inner.write(answer(parse_request_head(said)))
            for _ in range(5):
                pump(server)
                self.clock.advance(0)
            self.successResultOf(connecting)

    def test_no_tls_for_wss(self) -> None:
        connecting = self.connecting(protocol="wss")
        self.first_bytes()
        self.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        failure = self.failureResultOf(connecting, Unreachable)
        self.assertIn("no websocket: ", failure.getErrorMessage())

    def test_proxy_of_the_file(self) -> None:
        lines = LogLines(self)
        connecting = self.connecting(proxy_url="http://ann:s3cret@proxy:3128")
        self.assertIn(b"CONNECT vps:7000 HTTP/1.1\r\n", self.first_bytes())
        self.assertEqual(self.dialled[:2], ("proxy", 3128))
        self.assertNoResult(connecting)
        [line] = list(lines)
        self.assertIn("vps:7000 is reached through the proxy http://proxy:3128", line)
        self.assertNotIn("s3cret", line)
        self.say(b"HTTP/1.1 200 OK\r\n\r\n")
        self.successResultOf(connecting)
        at_proxy = cast("Recorder", self.servers[0].protocol)
        self.assertIn(b"\r\n\r\n\x17\x16\x03", bytes(at_proxy.received))

    def test_proxy_of_the_environment(self) -> None:
        self.environ["http_proxy"] = "socks5://proxy"
        self.connecting()
        self.assertEqual(self.first_bytes(), b"\x05\x01\x00")

    def test_a_broken_proxy(self) -> None:
        self.environ["http_proxy"] = "ntlm://proxy"
        with self.assertRaises(ConfigError) as caught:
            self.link()
        self.assertIn("environment variable http_proxy: NTLM", str(caught.exception))


class ServersTests(LinkCase):
    """Several of them, and whether they are there."""

    def test_one(self) -> None:
        config = ClientConfig(server_addr="vps", server_port=7001)
        [only] = servers(self.clock, config, self.connections, {})
        self.assertEqual((only.host, only.port, only.address), ("vps", 7001, "vps:7001"))

    def test_several(self) -> None:
        where = (("vps", 7000), ("2001:db8::1", 7001))
        config = ClientConfig(server_addr="vps", servers=where)
        made = servers(self.clock, config, self.connections, {})
        self.assertEqual([each.address for each in made], ["vps:7000", "[2001:db8::1]:7001"])
        self.successResultOf(ensureDeferred(made[1].connect()))
        self.assertEqual(self.dialled[:2], ("2001:db8::1", 7001))

    def test_probe(self) -> None:
        config = ClientConfig(server_addr="vps", tls=TLSConfig(enable=False))
        probing = server(self.clock, config, self.connections, {}).probe()
        self.successResultOf(ensureDeferred(probing))
        self.assertTrue(self.servers[0].lost)

    def probe_tls(self) -> "Deferred[None]":
        config = ClientConfig(server_addr="vps", tls=TLSConfig(disable_custom_first_byte=True))
        probing = ensureDeferred(server(self.clock, config, self.connections, {}).probe())
        self.assertNoResult(probing)
        return probing

    def test_probe_by_tls(self) -> None:
        probing = self.probe_tls()
        reader = Recorder()
        reader.makeConnection = lambda _: None  # type: ignore[attr-defined]
        context = server_context(TLSConfig())
        start_tls_server(self.servers[0], context, cast("Any", reader), self.clock)
        for _ in range(5):
            pump(self.servers[0])
            self.clock.advance(0)
        self.successResultOf(probing)
        self.assertTrue(self.servers[0].lost)
        self.assertEqual(bytes(reader.received), b"")

    def test_probe_of_who_speaks_no_tls(self) -> None:
        probing = self.probe_tls()
        self.servers[0].write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.servers[0].loseConnection()
        pump(self.servers[0])
        self.failureResultOf(probing, TLSError)
        self.assertTrue(self.servers[0].lost)
