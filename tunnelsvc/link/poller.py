# -*- test-case-name: tests.link.test_poller -*-
"""Watches many sockets for the reactor, as one.

A reactor wraps each event in what its logs and its debuggers need. For connections that pass a few
bytes at a time this costs as much as reading them. An epoll descriptor can itself be watched: the
reactor is told that something has happened, and what it is we ask ourselves, once a turn.
"""

import select
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.posixbase import PosixReactorBase
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.perclock import PerClock

MOST_AT_ONCE = 256
"""Sockets served in one turn; the others are the first in the next."""


class Watched(Protocol):
    """What is watched; its own ``doRead`` and ``doWrite`` find out about errors."""

    def fileno(self) -> int:
        """Return the descriptor; the same as long as it is watched."""

    def doRead(self) -> None:
        """Read: there is something, the end, or an error."""

    def doWrite(self) -> None:
        """Write: there is room, or an error."""

    def connectionLost(self, reason: Failure) -> None:
        """End: the others failed."""


class Watcher(Protocol):
    """Watches; the part of ``IReactorFDSet`` that we need."""

    def addReader(self, reader: Any) -> None:
        """Tell `reader` when there is something to read."""

    def addWriter(self, writer: Any) -> None:
        """Tell `writer` when there is room to write."""

    def removeReader(self, reader: Any) -> None:
        """Stop it."""

    def removeWriter(self, writer: Any) -> None:
        """Stop it."""

    def getReaders(self) -> list[Any]:
        """All that wait for something to read."""

    def getWriters(self) -> list[Any]:
        """All that wait for room to write."""


def watcher(reactor: Any) -> Watcher:
    """Return who watches the sockets of `reactor`: itself, where there is no epoll."""
    if not isinstance(reactor, PosixReactorBase) or not hasattr(select, "epoll"):
        found: Watcher = reactor
        return found
    return _pollers.of(reactor)


@implementer(IReadDescriptor)
class Poller:
    """Watches by an epoll of its own; see the module. The reactor has it while it has any."""

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._epoll = select.epoll()
        self._watched: dict[int, Watched] = {}
        self._masks: dict[int, int] = {}

    # As the sockets see it.

    def addReader(self, reader: Watched) -> None:
        """See `Watcher`."""
        self._change(reader, select.EPOLLIN, 0)

    def addWriter(self, writer: Watched) -> None:
        """See `Watcher`."""
        self._change(writer, select.EPOLLOUT, 0)

    def removeReader(self, reader: Watched) -> None:
        """See `Watcher`."""
        self._change(reader, 0, select.EPOLLIN)

    def removeWriter(self, writer: Watched) -> None:
        """See `Watcher`."""
        self._change(writer, 0, select.EPOLLOUT)

    def getReaders(self) -> list[Watched]:
        """See `Watcher`."""
        return self._waiting(select.EPOLLIN)

    def getWriters(self) -> list[Watched]:
        """See `Watcher`."""
        return self._waiting(select.EPOLLOUT)

    def _waiting(self, event: int) -> list[Watched]:
        return [self._watched[fd] for fd, mask in self._masks.items() if mask & event]

    def _change(self, watched: Watched, more: int, less: int) -> None:
        fd = watched.fileno()
        before = self._masks.get(fd, 0)
        mask = (before | more) & ~less
        if mask == before:
            return
        if not mask:
            self._epoll.unregister(fd)
            del self._masks[fd], self._watched[fd]
            if not self._masks:
                self._reactor.removeReader(self)
            return
        if before:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
            if not self._masks:
                self._reactor.addReader(self)
        self._masks[fd], self._watched[fd] = mask, watched

    # As the reactor sees it.

    def fileno(self) -> int:
        """Return the descriptor that is readable when any socket has an event."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """Name what fails in the log."""
        return "connections"

    def doRead(self) -> None:
        """Tell each socket what happened to it."""
        for fd, event in self._epoll.poll(0, MOST_AT_ONCE):
            watched = self._watched.get(fd)
            if watched is not None:  # nobody ended it earlier in this turn
                self._tell(watched, fd, event)

    def _tell(self, watched: Watched, fd: int, event: int) -> None:
        try:
            # An error is reported whatever was asked for, and found by doing that.
            if event != select.EPOLLOUT and self._masks[fd] & select.EPOLLIN:
                watched.doRead()
            if event != select.EPOLLIN and self._masks.get(fd, 0) & select.EPOLLOUT:
                watched.doWrite()
        except Exception:  # noqa: BLE001 - it costs this connection, and no other
            failure = Failure()
            self.log.failure("a connection failed", failure)
            self._end(watched, failure)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends: so does all that is watched."""
        for watched in list(self._watched.values()):
            self._end(watched, reason)

    def _end(self, watched: Watched, reason: Failure) -> None:
        try:
            watched.connectionLost(reason)
        except Exception:  # noqa: BLE001 - likewise
            self.log.failure("the end of a connection failed")


_pollers = PerClock(Poller)
