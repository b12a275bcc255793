# -*- test-case-name: tests.link.test_udp -*-
"""Tests of `tunnelsvc.link.udp`, with real sockets of loopback."""

import errno
import socket
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase

from tests.tunnels import PATIENCE_SECONDS, clock
from tunnelsvc.link.udp import (
    KERNEL_BUFFER_BYTES,
    MOST_AT_ONCE,
    UDPSocket,
    connect_udp,
    listen_udp,
)
from tunnelsvc.wire.datagrams import SocketAddress, user_at

LOOPBACK = "127.0.0.1"


class SocketTests(TestCase):
    """Two ends."""

    def setUp(self) -> None:
        self.received: list[tuple[bytes, SocketAddress]] = []
        self.answers: list[bytes] = []
        self.errors: list[OSError] = []

    def listen(self, interface: str = LOOPBACK) -> UDPSocket:
        port = listen_udp(reactor, 0, lambda *each: self.received.append(each), interface=interface)
        self.addCleanup(port.close)
        return port

    def connect(self, number: int, host: str = LOOPBACK) -> UDPSocket:
        user = connect_udp(
            reactor, host, number, lambda data, _: self.answers.append(data), self.errors.append
        )
        self.addCleanup(user.close)
        return user

    async def wait(self, ready: Callable[[], object]) -> None:
        deadline = clock.seconds() + PATIENCE_SECONDS
        while not ready():
            self.assertLess(clock.seconds(), deadline)
            await deferLater(clock, 0.01)

    async def test_there_and_back(self) -> None:
        """Empty ones and the longest, whole."""
        port = self.listen()
        user = self.connect(port.getHost().port)
        sent = [b"", b"a" * 65_507, b"b"]
        for data in sent:
            self.assertTrue(user.send(data))
        await self.wait(lambda: len(self.received) == len(sent))
        self.assertEqual([data for data, _ in self.received], sent)
        for data, peer in self.received:
            self.assertTrue(port.send_to(data, peer))
        await self.wait(lambda: len(self.answers) == len(sent))
        self.assertEqual(self.answers, sent)

    async def test_ipv6(self) -> None:
        try:
            port = self.listen("::1")
        except CannotListenError:
            raise SkipTest("this machine has no IPv6") from None
        self.connect(port.getHost().port, "::1").send(b"six")
        await self.wait(lambda: self.received)
        self.assertEqual(user_at(self.received[0][1]).ip, "::1")

    async def test_both_families(self) -> None:
        """Users of IPv4 look like it, and are answered."""
        try:
            port = self.listen("::")
        except CannotListenError:
            raise SkipTest("this machine has no IPv6") from None
        self.connect(port.getHost().port).send(b"four")
        await self.wait(lambda: self.received)
        self.assertEqual(user_at(self.received[0][1]).ip, LOOPBACK)
        port.send_to(b"back", self.received[0][1])
        await self.wait(lambda: self.answers)

    async def test_nobody_there(self) -> None:
        """It is told, and hurts nothing: the next datagrams are sent."""
        port = self.listen()
        number = port.getHost().port
        port.close()
        user = self.connect(number)
        user.send(b"1")
        await self.wait(lambda: self.errors)
        self.assertEqual(self.errors[0].errno, errno.ECONNREFUSED)
        again = listen_udp(
            reactor, number, lambda *each: self.received.append(each), interface=LOOPBACK
        )
        self.addCleanup(again.close)
        self.assertTrue(user.send(b"2"))
        await self.wait(lambda: self.received)

    def test_an_old_error(self) -> None:
        """An answer to an earlier datagram costs the next one nothing."""
        port = self.listen()
        number = port.getHost().port
        port.close()
        user = self.connect(number)
        user.send(b"1")
        again = listen_udp(reactor, number, lambda *_: None, interface=LOOPBACK)
        self.addCleanup(again.close)
        self.assertTrue(user.send(b"2"))  # no turn of the reactor between them
        self.assertEqual([error.errno for error in self.errors], [errno.ECONNREFUSED])

    def test_some_at_a_time(self) -> None:
        """Empty datagrams count as well: a flood of them keeps nobody else from his turn."""
        port = self.listen()
        user = self.connect(port.getHost().port)
        for _ in range(MOST_AT_ONCE + 5):
            user.send(b"")
        port.doRead()
        self.assertEqual(len(self.received), MOST_AT_ONCE)
        port.doRead()
        self.assertEqual(len(self.received), MOST_AT_ONCE + 5)

    def test_one_that_fails(self) -> None:
        """It costs no other."""
        port = self.listen()

        def receive(data: bytes, peer: SocketAddress) -> None:
            self.received.append((data, peer))
            raise ValueError(data)

        port._receive = receive
        user = self.connect(port.getHost().port)
        user.send(b"1")
        user.send(b"2")
        port.doRead()
        self.assertEqual([data for data, _ in self.received], [b"1", b"2"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_closed(self) -> None:
        """Once and for all; also from within."""
        port = self.listen()
        user = self.connect(port.getHost().port)
        user.send(b"1")
        user.send(b"2")
        port._receive = lambda *_: (self.received.append((b"", ())), port.close())  # type: ignore[assignment, func-returns-value]
        port.doRead()
        port.connectionLost(Failure(OSError()))
        self.assertEqual(len(self.received), 1)
        self.assertFalse(port.send_to(b"", (LOOPBACK, 9)))
        user.close()
        self.assertFalse(user.send(b""))
        self.assertEqual(user.fileno(), -1)

    def test_taken(self) -> None:
        number = self.listen().getHost().port
        with self.assertRaises(CannotListenError):
            listen_udp(reactor, number, lambda *_: None, interface=LOOPBACK)

    def test_too_long_for_anybody(self) -> None:
        port = self.listen()
        self.assertFalse(port.send_to(bytes(65_508), (LOOPBACK, port.getHost().port)))
        self.assertFalse(self.connect(port.getHost().port).send(bytes(65_508)))

    def test_no_way(self) -> None:
        """An address of the wrong kind, or none that may be sent to."""
        with self.assertRaises(OSError):
            self.connect(9, "255.255.255.255")

    def test_room(self) -> None:
        """As much as the system lets us have: it says twice of it, for its own needs."""
        port = self.listen()
        most = int(Path("/proc/sys/net/core/rmem_max").read_text(encoding="ascii"))
        granted = 2 * min(KERNEL_BUFFER_BYTES, most)
        room = port._handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self.assertGreaterEqual(room, granted)
