# -*- test-case-name: tests.link.test_sockopts -*-
"""Tests of `tunnelsvc.link.sockopts`."""

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.streams import pair
from tunnelsvc.handover import ParkingFactory
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import dial
from tunnelsvc.link.sockopts import tune


class TuneTests(TestCase):
    """Options of a real connection."""

    async def connection(self) -> Stream:
        """Make a connection, both of whose ends go away after the test."""
        accepted: Deferred[Stream] = Deferred()
        port: Any = reactor.listenTCP(0, ParkingFactory(accepted.callback), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        stream = await dial(reactor, "127.0.0.1", port.getHost().port, timeout=30)  # type: ignore[arg-type]
        self.addCleanup(stream.abortConnection)
        server = await accepted
        self.addCleanup(server.abortConnection)
        return server

    def option(self, stream: Stream, level: int, name: int) -> int:
        handle: socket.socket = stream.getHandle()  # type: ignore[attr-defined]
        return handle.getsockopt(level, name)

    async def test_small_writes_go_at_once(self) -> None:
        stream = await self.connection()
        tune(stream, -1)
        self.assertTrue(self.option(stream, socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertFalse(self.option(stream, socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    async def test_keepalive(self) -> None:
        stream = await self.connection()
        tune(stream, 77.5)
        self.assertTrue(self.option(stream, socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        self.assertEqual(self.option(stream, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), 77)

    def test_other_streams_are_left_alone(self) -> None:
        tune(pair("memory")[0])
