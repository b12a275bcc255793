# -*- test-case-name: tests.server.test_workpool -*-
"""Hop 3 of a user connection: ready work connections of one client; ask, wait, time out."""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelsvc.errors import WorkConnectionUnavailable
from tunnelsvc.link.messages import MessageProtocol

SPARE_CAPACITY = 10
"""Connections kept above the pool's size, as frp keeps them (protocol notes 5.2)."""
ASK_SECONDS = 3.0
"""How long an answer to a wish is waited for before the wish counts as lost."""


class WorkPool:
    """The work connections that a client opened and no user has taken yet.

    A taken one is replaced, so that a spare is ready for the next user: wishes not yet answered
    count as spares on their way, lest a burst of users ask for twice as many as there are.

    Attributes:
        timeout_seconds: how long a user waits for a connection, from now on.
    """

    def __init__(
        self, size: int, ask: Callable[[], None], clock: IReactorTime, timeout_seconds: float
    ) -> None:
        """Begin empty.

        Args:
            size: spares to keep; at least one is kept.
            ask: asks the client for one more.
            clock: for the time limits.
            timeout_seconds: how long a user waits for a connection.
        """
        self._spares = max(1, size)
        self._capacity = size + SPARE_CAPACITY
        self._ask = ask
        self._clock = clock
        self.timeout_seconds = timeout_seconds
        self._ready: deque[MessageProtocol] = deque()
        self._waiting: deque[Deferred[MessageProtocol]] = deque()
        self._asked: deque[float] = deque()
        self._closed = False
        self._reminder: IDelayedCall | None = None

    def asked(self, number: int) -> None:
        """Take note of wishes that somebody else sent (those of the login)."""
        self._asked.extend([self._clock.seconds()] * number)

    def offer(self, work: MessageProtocol) -> bool:
        """Take a fresh work connection; False: no room, the caller closes it."""
        if self._asked:
            self._asked.popleft()
        if self._closed:
            return False
        if self._waiting:
            user = self._waiting.popleft()
            self._stop_reminding()
            user.callback(work)
            return True
        if len(self._ready) >= self._capacity:
            return False
        work.on_lost = lambda _: self._drop(work)
        work.on_message = lambda _: work.abort()
        self._ready.append(work)
        return True

    def take(self) -> Deferred[MessageProtocol]:
        """Take a work connection.

        Returns:
            Fires at once if one is ready, else when the client gives one. Fails with
            `WorkConnectionUnavailable` when it doesn't in time, or is gone.
        """
        if self._closed:
            return _unavailable("the client is gone")
        if self._ready:
            work = self._ready.popleft()
            self._refill()
            return succeed(work)
        waiting: Deferred[MessageProtocol] = Deferred()
        self._waiting.append(waiting)
        waiting.addTimeout(self.timeout_seconds, self._clock, self._timed_out(waiting))
        self._refill()
        return waiting

    def close(self) -> None:
        """Close what is ready, and send away who waits."""
        self._closed = True
        self._stop_reminding()
        ready, self._ready = self._ready, deque()
        for work in ready:
            work.abort()
        waiting, self._waiting = self._waiting, deque()
        for user in waiting:
            user.errback(WorkConnectionUnavailable("the client is gone"))

    def _refill(self) -> None:
        now = self._clock.seconds()
        while self._asked and now - self._asked[0] > ASK_SECONDS:
            self._asked.popleft()
        wanted = len(self._waiting) + self._spares - len(self._ready) - len(self._asked)
        for _ in range(max(wanted, 0)):
            self._asked.append(now)
            self._ask()
        self._remind()

    def _remind(self) -> None:
        """Ask again for users who wait, in case that the client lost a wish."""
        if self._reminder is None and self._waiting and not self._closed:
            self._reminder = self._clock.callLater(ASK_SECONDS + 1, self._reminded)

    def _stop_reminding(self) -> None:
        """Unless others still wait."""
        if self._reminder is not None and (self._closed or not self._waiting):
            self._reminder.cancel()
            self._reminder = None

    def _reminded(self) -> None:
        self._reminder = None
        if self._waiting:
            self._refill()

    def _drop(self, work: MessageProtocol) -> None:
        if work in self._ready:
            self._ready.remove(work)

    def _timed_out(
        self, waiting: Deferred[MessageProtocol]
    ) -> Callable[[object, float], MessageProtocol]:
        def give_up(_: object, seconds: float) -> MessageProtocol:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            self._stop_reminding()
            raise WorkConnectionUnavailable(
                f"timeout trying to get work connection: none within {seconds:g} s"
            )

        return give_up


def _unavailable(why: str) -> Deferred[MessageProtocol]:
    failed: Deferred[MessageProtocol] = Deferred()
    failed.errback(WorkConnectionUnavailable(why))
    return failed
