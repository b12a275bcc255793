# -*- test-case-name: tests.gateway.test_pool -*-
"""Hops 3, 5 and 6 of an HTTP request: a connection to the local service, kept for the next one.

One pool belongs to one proxy. Requests of different users share its connections, as they do in
frp (protocol notes 6.2), unless the service is told who its user is: see `UserPool`.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from twisted.internet.interfaces import IAddress, IDelayedCall, IHalfCloseableProtocol, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.gateway.deadline import Deadline
from tunnelsvc.handover import attach, park
from tunnelsvc.interfaces import Stream
from tunnelsvc.units import MINUTE

IDLE_SECONDS: Final = 1 * MINUTE
"""How long an unused connection is kept; frp's figure."""

MOST_IDLE: Final = 64
"""How many are kept: as many requests at once find one each. frp keeps 5, so that of 50 users most
wait for a new one; opening costs several times what the request does, at both ends."""

CLOSE_SECONDS: Final = 10.0
"""How long a connection may take to close before it is reset: its peer doesn't take the rest."""

Opener = Callable[[IAddress], Awaitable[Stream]]
"""Opens a work connection for a user's address, paused, ready for plain bytes.

Raises `WorkConnectionUnavailable`, or `LocalServiceUnavailable` where it knows."""


class BackendPool:
    """Connections to the local service of one proxy.

    Attributes:
        half_closes: whether the client's end goes on reading after its end of file.
        news_seconds: how long after a connection's loss it may turn out that the proxy is gone.
        closed: whether the proxy is gone.
    """

    def __init__(
        self,
        opener: Opener,
        clock: IReactorTime,
        *,
        half_closes: bool = True,
        news_seconds: float = 0.0,
    ) -> None:
        self.half_closes = half_closes
        self.news_seconds = news_seconds
        self._opener = opener
        self._clock = clock
        self._idle: list[_Idle] = []  # the one that was used last at the end
        self._expiry = Deadline(clock)  # of the first
        self.closed = False

    async def fresh(self, user: IAddress) -> Stream:
        """Open a connection.

        Args:
            user: for whom; the client may tell the service.

        Returns:
            A parked stream.

        Raises:
            WorkConnectionUnavailable: the client gave none.
        """
        return await self._opener(user)

    def kept(self, user: Stream | None = None) -> Stream | None:  # noqa: ARG002 - for all alike
        """Take the connection that was used last, parked; None if none is kept.

        Args:
            user: who makes the request.
        """
        if not self._idle:
            return None
        idle = self._idle.pop()
        if not self._idle:
            self._expiry.cancel()
        return idle.take()

    def keep(self, stream: Stream, user: Stream | None = None) -> None:  # noqa: ARG002 - likewise
        """Take a connection back, between two requests and with nobody reading it.

        Args:
            stream: that connection.
            user: who made the request.
        """
        if self.closed or len(self._idle) >= MOST_IDLE:
            self.drop(stream)
        else:
            self._keep(_Idle(stream, self._clock, self._forget))

    def _keep(self, idle: "_Idle") -> None:
        self._idle.append(idle)
        if len(self._idle) == 1:
            self._expiry.set(IDLE_SECONDS, self._expire)
        idle.watch()

    def drop(self, stream: Stream) -> None:
        """Close a connection after all that was written to it."""
        idle = _Idle(stream, self._clock, self._forget)
        idle.watch()
        idle.drop()

    def close(self) -> None:
        """Close what is idle now and what comes back later; no request is cut short."""
        self.closed = True
        for idle in self._idle[:]:
            idle.drop()

    def _expire(self) -> None:
        now = self._clock.seconds()
        while self._idle and self._idle[0].since + IDLE_SECONDS <= now:
            self._idle[0].drop()
        if self._idle:
            self._expiry.set(self._idle[0].since + IDLE_SECONDS - now, self._expire)

    def _forget(self, idle: "_Idle") -> None:
        if idle in self._idle:
            self._idle.remove(idle)
        if not self._idle:
            self._expiry.cancel()


@implementer(IHalfCloseableProtocol)
class _Idle:
    """Reads a connection that nobody uses: whatever happens to it, it's of no use any more.

    Attributes:
        since: when it became idle, in the clock's seconds.
        user: for whom alone it is, if it isn't for all.
    """

    def __init__(
        self,
        stream: Stream,
        clock: IReactorTime,
        forget: Callable[["_Idle"], None],
        user: IAddress | None = None,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._forget = forget
        self._closing = False
        self._cut: IDelayedCall | None = None
        self.since = clock.seconds()
        self.user = user

    def watch(self) -> None:
        attach(self._stream, self)
        if not self._closing:
            self._stream.resumeProducing()

    def take(self) -> Stream:
        park(self._stream)
        return self._stream

    def drop(self) -> None:
        """Close, and reset what doesn't close."""
        if self._closing:
            return
        self._leave()
        self._cut = self._clock.callLater(CLOSE_SECONDS, self._stream.abortConnection)
        self._stream.loseConnection()

    def _leave(self) -> None:
        self._closing = True
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        self._forget(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: ARG002
        """The service speaks unasked: a time-out page, or what was left of a response."""
        self.drop()

    def readConnectionLost(self) -> None:
        self.drop()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        self._leave()


class UserPool(BackendPool):
    """Connections to a service that was told of each one whose it is (``proxy_protocol_version``).

    A connection of one user never carries a request of another: the service would take it for
    one of the first. A user is one connection to us, as it is the port, too, that is told.
    """

    def kept(self, user: Stream | None = None) -> Stream | None:
        """See `BackendPool`."""
        address = user.getPeer() if user is not None else None
        for idle in reversed(self._idle):
            if idle.user == address:
                self._forget(idle)
                return idle.take()
        return None

    def keep(self, stream: Stream, user: Stream | None = None) -> None:
        """See `BackendPool`. Who has gone may have left some: the oldest make room."""
        if self.closed or user is None:
            self.drop(stream)
            return
        if len(self._idle) >= MOST_IDLE:
            self._idle[0].drop()
        self._keep(_Idle(stream, self._clock, self._forget, user.getPeer()))
