# -*- test-case-name: tests.link.test_unixsocket -*-
"""Tests of `tunnelsvc.link.unixsocket`."""

import socket
from pathlib import Path
from typing import Any

from twisted.internet import error
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import ITCPTransport, ITransport
from zope.interface.verify import verifyObject

from tests.link.tcploopback import BULK, Half, LoopbackTestCase, reactor, turns, until
from tunnelsvc.handover import Parked, attach
from tunnelsvc.interfaces import ISocketStream
from tunnelsvc.link import unixsocket
from tunnelsvc.link.sockopts import tune
from tunnelsvc.link.unixsocket import UnixStream, connect_unix
from tunnelsvc.relay import join

PATIENCE_SECONDS = 60.0
"""Time limit of attempts that should succeed."""


class UnixTestCase(LoopbackTestCase):
    """Listens with a bare socket, connects, and looks that nothing is left."""

    def setUp(self) -> None:
        super().setUp()
        # Relative: the length of a socket's path is limited to some 100 bytes.
        self.path = self.mktemp()
        self.assertLess(len(self.path), 100)

    def listen(self, backlog: int = 5) -> socket.socket:
        port = socket.socket(socket.AF_UNIX)
        self.addCleanup(port.close)
        port.bind(self.path)
        port.listen(backlog)
        return port

    def accept(self, port: socket.socket) -> socket.socket:
        far, _ = port.accept()
        self.addCleanup(far.close)
        far.setblocking(False)
        return far

    def connecting(self, timeout: float = PATIENCE_SECONDS) -> Deferred[UnixStream]:
        return ensureDeferred(connect_unix(reactor, self.path, timeout=timeout))

    async def connected(self) -> tuple[UnixStream, Half, socket.socket]:
        """Connect; return the stream, who reads it, and the bare socket at the other end."""
        port = self.listen()
        stream = await self.connecting()
        self.streams.append(stream)
        self.assertIsInstance(stream.protocol, Parked)
        reader = Half()
        attach(stream, reader)
        stream.resumeProducing()
        return stream, reader, self.accept(port)


class StreamTests(UnixTestCase):
    """A connection that is there."""

    async def test_addresses(self) -> None:
        stream, _, _ = await self.connected()
        self.assertTrue(verifyObject(ITransport, stream))
        self.assertTrue(ISocketStream.providedBy(stream))
        self.assertEqual(stream.getPeer(), UNIXAddress(self.path.encode()))
        self.assertEqual(stream.getHost(), UNIXAddress(None))

    async def test_no_tcp(self) -> None:
        """Nobody sets options of TCP on it."""
        stream, _, _ = await self.connected()
        self.assertFalse(ITCPTransport.providedBy(stream))
        tune(stream)

    async def test_both_ways(self) -> None:
        stream, reader, far = await self.connected()
        stream.write(BULK)
        stream.loseWriteConnection()
        self.assertEqual(await self.received(far), BULK)
        await until(lambda: reader.events == ["finished"])
        far.sendall(b"after the end of the other direction")
        far.close()
        await until(lambda: "end" in reader.events)
        self.assertEqual(reader.received, b"after the end of the other direction")

    async def test_peer_closes(self) -> None:
        stream, reader, far = await self.connected()
        far.close()
        await until(lambda: "end" in reader.events)
        stream.write(b"into the void")
        await until(lambda: "lost" in reader.events)
        self.assertIsInstance(reader.reason, error.ConnectionLost)

    async def test_abort(self) -> None:
        """The service hears of it at once, if as an end of file."""
        stream, reader, far = await self.connected()
        stream.abortConnection()
        self.assertEqual(await self.received(far), b"")
        self.assertIsInstance(reader.reason, error.ConnectionAborted)

    async def test_joined(self) -> None:
        """Bytes in bulk take the fast way, which needs sockets."""
        service, _, at_service = await self.connected()
        near, _, at_user = self.one_end()
        closed = join(service, near, clock=reactor)
        self.assertIsNotNone(service._mover)
        at_user.setblocking(True)
        await self.send(at_user, BULK)
        at_user.shutdown(socket.SHUT_WR)
        self.assertEqual(await self.received(at_service), BULK)
        at_service.close()
        self.assertEqual(await self.received(self.unblocked(at_user)), b"")
        account = await closed
        self.assertEqual((account.up_bytes, account.down_bytes), (0, len(BULK)))

    def unblocked(self, sock: socket.socket) -> socket.socket:
        sock.setblocking(False)
        return sock

    async def send(self, sock: socket.socket, data: bytes) -> None:
        sock.setblocking(False)
        while data:
            try:
                data = data[sock.send(data) :]
            except BlockingIOError:
                await turns(1)


class ConnectTests(UnixTestCase):
    """Attempts."""

    async def refused(self, kind: type[error.ConnectError], words: str, **how: Any) -> None:
        why = await self.assertFailure(self.connecting(**how), kind)
        self.assertIn(words, str(why))

    async def test_nothing_there(self) -> None:
        await self.refused(error.ConnectError, "No such file")

    async def test_nobody_listens(self) -> None:
        self.listen().close()
        await self.refused(error.ConnectionRefusedError, "refused")

    async def test_no_socket(self) -> None:
        Path(self.path).write_text("a file", encoding="utf-8")
        await self.refused(error.ConnectionRefusedError, "refused")

    async def test_not_a_path(self) -> None:
        self.path = "x" * 200
        await self.refused(error.ConnectError, "too long")
        self.path = "a\0b"
        await self.refused(error.ConnectError, "")

    async def test_no_descriptors(self) -> None:
        def none_left(*_: object) -> socket.socket:
            raise OSError(24, "Too many open files")

        self.patch(socket, "socket", none_left)
        await self.refused(error.ConnectError, "Too many open files")

    async def test_a_service_that_is_busy(self) -> None:
        """When more wait than may, the attempt is made again."""
        port = self.listen(0)
        first = await self.connecting()
        self.streams.append(first)
        second = self.connecting()
        await turns()
        self.assertNoResult(second)
        self.accept(port)
        self.streams.append(await second)

    async def test_a_service_that_never_accepts(self) -> None:
        self.listen(0)
        self.streams.append(await self.connecting())
        await self.refused(error.TimeoutError, "", timeout=2 * unixsocket.RETRY_SECONDS)
