# -*- test-case-name: tests.link.test_links -*-
"""Tests of `tunnelsvc.link.links`; the server's half is in `tests.server.test_service`."""

from typing import Any

from twisted.internet import error
from twisted.internet.defer import ensureDeferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import MemoryStream, pair, pump, recorded
from tunnelsvc.config.schema import ClientConfig, TLSConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.handover import Connections, Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link import links
from tunnelsvc.link.links import connector


class LinkTests(SynchronousTestCase):
    """What a client sends first, by its configuration."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.servers: list[MemoryStream] = []
        self.connections = Connections()
        self.patch(links, "dial", self.dial)

    async def dial(self, reactor: object, host: str, port: int, **options: Any) -> Stream:
        self.dialled = (host, port, options)
        ours, theirs = pair("server")
        self.servers.append(theirs)
        return ours

    def link(self, **options: Any) -> links.Link:
        config = ClientConfig(server_addr="vps", **options)
        connect = connector(self.clock, config, self.connections)
        return self.successResultOf(ensureDeferred(connect()))

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
        connect = connector(self.clock, ClientConfig(), self.connections)
        self.failureResultOf(ensureDeferred(connect()), error.ConnectError)

    def test_bad_files_are_found_at_once(self) -> None:
        config = ClientConfig(tls=TLSConfig(trusted_ca_file="/nowhere/ca.pem"))
        with self.assertRaises(ConfigError):
            connector(self.clock, config, self.connections)

    def test_every_connection_is_noted(self) -> None:
        self.link()
        stopped = ensureDeferred(self.connections.abort_all(self.clock))
        self.clock.pump([0] * 20)
        self.successResultOf(stopped)
        self.assertTrue(self.servers[0].lost)
