# -*- test-case-name: tests.link.test_poller -*-
"""Tests of `tunnelsvc.link.poller`; `tests.link.test_tcp` is about what it watches."""

import select
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tunnelsvc.link.poller import Poller, watcher


class Watched:
    """A socket, and what it is told."""

    def __init__(self, case: SynchronousTestCase) -> None:
        self.socket, self.peer = socket.socketpair()
        case.addCleanup(self.socket.close)
        case.addCleanup(self.peer.close)
        self.told: list[str] = []
        self.trouble: Exception | None = None

    def fileno(self) -> int:
        return self.socket.fileno()

    def doRead(self) -> None:
        self.told.append("read")
        if self.trouble is not None:
            raise self.trouble

    def doWrite(self) -> None:
        self.told.append("write")

    def connectionLost(self, reason: Failure) -> None:
        self.told.append(type(reason.value).__name__)
        if self.trouble is not None:
            raise self.trouble


class PollerTests(SynchronousTestCase):
    """Who is told what, and when the reactor is needed."""

    def setUp(self) -> None:
        self.memory: Any = MemoryReactorClock()
        self.poller = Poller(self.memory)
        self.addCleanup(self.poller._epoll.close)
        self.one, self.other = Watched(self), Watched(self)

    def test_interface(self) -> None:
        self.assertTrue(verifyObject(IReadDescriptor, self.poller))
        self.assertEqual(self.poller.fileno(), self.poller._epoll.fileno())
        self.assertEqual(self.poller.logPrefix(), "connections")

    def test_the_reactor_has_it_while_it_has_any(self) -> None:
        for number in (1, 2):
            with self.subTest(number=number):
                self.poller.addReader(self.one)
                self.poller.addWriter(self.one)
                self.poller.addReader(self.other)
                self.assertEqual(self.memory.getReaders(), [self.poller])
                self.assertEqual(self.poller.getReaders(), [self.one, self.other])
                self.assertEqual(self.poller.getWriters(), [self.one])
                self.poller.removeReader(self.one)
                self.poller.removeReader(self.other)
                self.poller.removeReader(self.other)
                self.assertEqual(self.memory.getReaders(), [self.poller])
                self.poller.removeWriter(self.one)
                self.assertEqual(self.memory.getReaders(), [])

    def test_only_what_was_asked_for(self) -> None:
        self.poller.addReader(self.one)
        self.poller.addWriter(self.other)
        self.poller.doRead()
        self.assertEqual((self.one.told, self.other.told), ([], ["write"]))
        self.one.peer.send(b"!")
        self.other.peer.send(b"!")
        self.poller.doRead()
        self.assertEqual((self.one.told, self.other.told), (["read"], ["write", "write"]))

    def test_both(self) -> None:
        self.one.peer.send(b"!")
        self.poller.addReader(self.one)
        self.poller.addWriter(self.one)
        self.poller.doRead()
        self.assertEqual(self.one.told, ["read", "write"])

    def test_an_error_is_found_by_whoever_waits(self) -> None:
        self.poller.addReader(self.one)
        self.poller.addWriter(self.other)
        self.one.peer.close()
        self.other.peer.close()
        self.poller.doRead()
        self.assertEqual((self.one.told, self.other.told), (["read"], ["write"]))

    def test_one_that_ends_another(self) -> None:
        """What is no more watched is told nothing, though the kernel had something for it."""
        for watched, victim in ((self.one, self.other), (self.other, self.one)):
            watched.peer.send(b"!")
            self.poller.addReader(watched)
            watched.doRead = lambda v=victim: self.poller.removeReader(v)  # type: ignore[method-assign,misc]
        self.poller.doRead()
        self.assertEqual(len(self.poller.getReaders()), 1)

    def test_a_failure_is_alone(self) -> None:
        self.one.trouble = RuntimeError("a bug")
        for watched in (self.one, self.other):
            watched.peer.send(b"!")
            self.poller.addReader(watched)
        self.poller.doRead()
        self.assertEqual((self.one.told, self.other.told), (["read", "RuntimeError"], ["read"]))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_end_of_the_reactor(self) -> None:
        self.poller.addReader(self.one)
        self.poller.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.one.told, ["ConnectionLost"])


class WatcherTests(SynchronousTestCase):
    """Who watches for which reactor."""

    def test_one_for_a_reactor(self) -> None:
        self.assertIsInstance(watcher(reactor), Poller)
        self.assertIs(watcher(reactor), watcher(reactor))

    def test_in_memory(self) -> None:
        memory = MemoryReactorClock()
        self.assertIs(watcher(memory), memory)

    def test_without_epoll(self) -> None:
        self.patch(select, "epoll", None)
        del select.epoll
        self.assertIs(watcher(reactor), reactor)
