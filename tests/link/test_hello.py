# -*- test-case-name: tests.link.test_hello -*-
"""Tests of `tunnelsvc.link.hello`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.hellos import openssl_hello
from tests.streams import MemoryStream, pair, pump, recorded
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.hello import HELLO_SECONDS, HelloWait
from tunnelsvc.wire.clienthello import ClientHello

HELLO = openssl_hello("a.example", ["http/1.1"])
SAID = ClientHello("a.example", (b"http/1.1",))


class HelloWaitTests(SynchronousTestCase):
    """One connection, in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[object] = []
        self.user, self.near = pair("user")
        self.at_user = recorded(self.user)

    def wait(self, first_bytes: bytes = b"") -> None:
        def on_hello(stream: Stream, hello: ClientHello, seen: bytes) -> None:
            self.told.append((stream, hello, seen))

        def on_garbage(stream: Stream, seen: bytes) -> None:
            self.told.append((stream, seen))

        HelloWait(self.near, self.clock, on_hello, on_garbage, first_bytes)

    def say(self, data: bytes) -> None:
        self.user.write(data)
        pump(self.user)

    def assert_told(self, *told: object) -> None:
        """It was told this, left the stream parked, and waits for nothing."""
        self.assertEqual(self.told, [(self.near, *told)])
        self.assertIsInstance(self.near.protocol, Parked)
        self.assertTrue(self.near.paused)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_at_once(self) -> None:
        self.wait()
        self.say(HELLO + b"early")
        self.assert_told(SAID, HELLO + b"early")

    def test_byte_by_byte(self) -> None:
        self.wait()
        for index in range(len(HELLO)):
            self.assertEqual(self.told, [])
            self.say(HELLO[index : index + 1])
        self.assert_told(SAID, HELLO)

    def test_first_bytes(self) -> None:
        """What was read before counts, be it a part, or all."""
        for size in (1, len(HELLO)):
            self.setUp()
            self.wait(HELLO[:size])
            if size < len(HELLO):
                self.say(HELLO[size:])
            self.assert_told(SAID, HELLO)

    def test_bytes_that_came_meanwhile(self) -> None:
        """A parked stream that holds the rest is decided without another event."""
        parked = self.near.protocol
        parked.dataReceived(HELLO[10:])
        self.wait(HELLO[:10])
        self.assert_told(SAID, HELLO)

    def test_garbage(self) -> None:
        self.wait()
        self.say(b"GET / HTTP/1.1\r\n")
        self.assert_told(b"GET / HTTP/1.1\r\n")

    def test_garbage_at_once(self) -> None:
        self.wait(b"\x16\x03\x01\x00\x00")
        self.assert_told(b"\x16\x03\x01\x00\x00")

    def test_too_slow(self) -> None:
        """The time isn't set back by more bytes."""
        self.wait()
        for byte in range(2):
            self.say(HELLO[byte : byte + 1])
            self.clock.advance(HELLO_SECONDS / 2)
        self.assert_gone()

    def test_leaves(self) -> None:
        """Whether politely or not, at any moment."""
        for leave in (MemoryStream.loseConnection, MemoryStream.abortConnection):
            for size in (0, 1, 100):
                self.setUp()
                self.wait()
                self.say(HELLO[:size])
                leave(self.user)
                pump(self.user)
                self.assert_gone()

    def test_left_before(self) -> None:
        self.user.abortConnection()
        self.wait(HELLO[:5])
        self.assert_gone()

    def assert_gone(self) -> None:
        self.assertEqual(self.told, [])
        self.assertTrue(self.near.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])
