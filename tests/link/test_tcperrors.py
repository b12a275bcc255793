# -*- test-case-name: tests.link.test_tcperrors -*-
"""Tests of TCP streams on a scripted socket: what the kernel says rarely."""

import errno
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.link.tcploopback import Half
from tests.streams import Producer
from tunnelsvc.link.tcp import BUFFER_BYTES, JOIN_BYTES, TCPStream

DESCRIPTOR = 1000


class ScriptedSocket:
    """Answers as it is told, and keeps what was sent."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.script: deque[bytes | int | OSError] = deque()
        self.sent = bytearray()
        self.asked = 0
        self.closed = False

    def will(self, *answers: bytes | int | str) -> None:
        """Expect calls: bytes are read, as many bytes as a number are taken, a name is an error."""
        for answer in answers:
            if isinstance(answer, str):
                code = getattr(errno, answer)
                self.script.append(OSError(code, os.strerror(code)))
            else:
                self.script.append(answer)

    def answer(self) -> Any:
        self.asked += 1
        answer = self.script.popleft()
        if isinstance(answer, OSError):
            raise answer
        return answer

    def recv(self, _length: int) -> bytes:
        data: bytes = self.answer()
        return data

    def send(self, data: bytes) -> int:
        taken: int = min(self.answer(), len(data))
        self.sent += data[:taken]
        return taken

    def sendmsg(self, pieces: Sequence[bytes]) -> int:
        return self.send(b"".join(pieces))

    def shutdown(self, _how: int) -> None:
        self.answer()

    def setblocking(self, _enabled: bool) -> None:
        pass

    def fileno(self) -> int:
        return -1 if self.closed else DESCRIPTOR

    def close(self) -> None:
        self.closed = True


class ScriptedTestCase(SynchronousTestCase):
    """A stream on a scripted socket, on a reactor in memory."""

    def setUp(self) -> None:
        self.memory: Any = MemoryReactorClock()
        self.socket = cast("Any", ScriptedSocket())
        self.reader = Half()
        self.stream = TCPStream(self.socket, ("192.0.2.1", 1), self.reader, self.memory)
        self.stream.resumeProducing()

    def assert_lost(self, text: str) -> None:
        self.assertIsInstance(self.reader.reason, ConnectionLost)
        self.assertIn(text, str(self.reader.reason))
        self.assertEqual(self.reader.events.count("lost"), 1)
        self.assertTrue(self.socket.closed)
        self.assertNotIn(self.stream, self.memory.getReaders() + self.memory.getWriters())
        self.assertFalse(self.socket.script)


class TryAgainTests(ScriptedTestCase):
    """Errors that are none."""

    ERRORS = ("EAGAIN", "EWOULDBLOCK", "EINTR", "ENOBUFS")

    def test_read(self) -> None:
        self.socket.will(*self.ERRORS, b"data")
        for _ in self.ERRORS:
            self.stream.doRead()
            self.assertEqual(self.reader.events, [])
        self.stream.doRead()
        self.assertEqual(self.reader.received, b"data")

    def test_write(self) -> None:
        for name in self.ERRORS:
            self.socket.will(name)
            self.stream.write(name.encode())
            self.assertIn(self.stream, self.memory.getWriters())
            self.socket.will(*self.ERRORS, 3, 100)
            while self.stream in self.memory.getWriters():
                self.stream.doWrite()
            self.assertFalse(self.socket.script)
        self.assertEqual(self.socket.sent, "".join(self.ERRORS).encode())

    def test_write_pieces(self) -> None:
        for name in self.ERRORS:
            self.socket.will(name)
            self.stream.writeSequence([name.encode(), bytes(JOIN_BYTES)])
            self.socket.will(2, JOIN_BYTES + 100)
            self.stream.doWrite()
            self.stream.doWrite()
        self.assertEqual(
            self.socket.sent, b"".join(name.encode() + bytes(JOIN_BYTES) for name in self.ERRORS)
        )
        self.assertNotIn(self.stream, self.memory.getWriters())

    def test_order(self) -> None:
        """What comes while something waits, waits behind it."""
        self.socket.will("EAGAIN")
        for number in range(5):
            self.stream.write(b"%d" % number)
        self.assertEqual(self.socket.asked, 1)
        self.socket.will(2)
        self.stream.doWrite()
        self.stream.writeSequence([b"5", b"6"])
        self.stream.write(b"7")
        self.socket.will(4, 100)
        self.stream.doWrite()
        self.stream.doWrite()
        self.assertEqual(self.socket.sent, b"01234567")

    def test_order_with_a_full_buffer(self) -> None:
        big = bytes(BUFFER_BYTES)
        self.socket.will("EAGAIN", BUFFER_BYTES, 100)
        self.stream.write(big)
        self.stream.write(b"1")
        self.stream.doWrite()
        self.stream.write(b"2")
        self.stream.doWrite()
        self.assertEqual(self.socket.sent, big + b"12")


class BrokenTests(ScriptedTestCase):
    """Errors that are the end of the connection."""

    ERRORS = ("EPIPE", "ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH")

    def test_read(self) -> None:
        self.socket.will("ECONNRESET")
        self.stream.doRead()
        self.assert_lost("reset by peer")

    def test_write_with_data_to_be_read(self) -> None:
        """It is read first; then an end of file isn't taken for one."""
        for name in self.ERRORS:
            self.setUp()
            self.socket.will(name)
            self.stream.write(b"lost")
            self.stream.write(b"not even tried")
            self.stream.writeSequence([b"likewise", bytes(JOIN_BYTES)])
            self.memory.advance(0)
            self.assertEqual(self.reader.events, [])
            self.socket.will(b"last ", b"words", b"")
            for _ in range(3):
                self.stream.doRead()
            self.assertEqual(self.reader.received, b"last words")
            self.assert_lost(os.strerror(getattr(errno, name)))
            self.assertEqual(self.reader.events, ["data", "data", "lost"])

    def test_write_with_an_error_to_be_read(self) -> None:
        self.socket.will("EPIPE")
        self.stream.write(b"lost")
        self.socket.will("ECONNRESET")
        self.stream.doRead()
        self.assert_lost("Broken pipe")

    def test_write_of_what_waited(self) -> None:
        """The producer is freed, what it produces is for nobody."""
        producer = Producer()
        self.stream.registerProducer(producer, True)
        self.socket.will("EAGAIN", "EPIPE")
        self.stream.write(bytes(BUFFER_BYTES + 1))
        self.stream.doWrite()
        self.stream.write(b"not even tried")
        self.assertNotIn(self.stream, self.memory.getWriters())
        self.assertEqual(producer.told, ["pause", "resume"])
        self.socket.will(b"")
        self.stream.doRead()
        self.assertEqual(producer.told, ["pause", "resume", "stop"])
        self.assert_lost("Broken pipe")

    def test_write_while_paused(self) -> None:
        self.stream.pauseProducing()
        self.socket.will("EPIPE")
        self.stream.write(b"lost")
        self.stream.write(b"not even tried")
        self.assertEqual(self.reader.events, [])
        self.memory.advance(0)
        self.assert_lost("Broken pipe")

    def test_write_while_closing(self) -> None:
        self.socket.will("EAGAIN", "EPIPE")
        self.stream.write(b"lost")
        self.stream.loseConnection()
        self.stream.doWrite()
        self.assertEqual(self.reader.events, [])
        self.memory.advance(0)
        self.assert_lost("Broken pipe")

    def test_closed_before_all_is_read(self) -> None:
        self.socket.will("EPIPE")
        self.stream.write(b"lost")
        self.stream.loseConnection()
        self.memory.advance(0)
        self.assert_lost("Broken pipe")

    def test_end_of_our_direction(self) -> None:
        self.socket.will("ENOTCONN")
        self.stream.loseWriteConnection()
        self.memory.advance(0)
        self.socket.will(b"last words", b"")
        self.stream.doRead()
        self.stream.doRead()
        self.assertEqual(self.reader.events, ["data", "lost"])
        self.assert_lost("not connected")

    def test_error_without_a_number(self) -> None:
        self.socket.script.append(OSError("strange"))
        self.stream.doRead()
        self.assert_lost("strange")

    def test_reactor_takes_it_for_an_end(self) -> None:
        """Those without an epoll, of a stream that was resumed in this turn; it looks itself."""
        self.memory.removeReader(self.stream)
        self.stream.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reader.events, [])
        self.assertIn(self.stream, self.memory.getReaders())
        self.socket.will("ECONNRESET")
        self.stream.doRead()
        self.assert_lost("reset by peer")

    def test_reactor_says_so(self) -> None:
        """As it does to all it watches when it stops; an event may follow."""
        lost = Failure(ConnectionLost())
        self.stream.connectionLost(lost)
        self.stream.connectionLost(lost)
        self.stream.doRead()
        self.stream.doWrite()
        self.stream.write(b"ignored")
        self.stream.loseWriteConnection()
        self.stream.unregisterProducer()
        self.memory.advance(0)
        self.assert_lost("")
