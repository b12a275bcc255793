# -*- test-case-name: tests.client.visitors.test_sessions -*-
"""Which login visitors use at present, and who waits for the next."""

from typing import Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from tunnelsvc.control.session import Session
from tunnelsvc.errors import VisitRefused
from tunnelsvc.timing import limit

SESSION_SECONDS: Final = 10.0
"""How long a user waits while there is no server: as long as one waits there for the client of a
proxy. A server that is restarted is back by then."""
MOST_WAITING: Final = 1_000
"""Users who may wait at once; each is an open connection that nobody serves."""


@define(eq=False)
class Sessions:
    """The client's login, as its visitors see it: it comes and goes."""

    clock: IReactorTime
    _session: Session | None = field(default=None, init=False)
    _waiting: dict[Deferred[Session], None] = field(factory=dict, init=False)

    def begin(self, session: Session) -> None:
        """Take note of a login, and let those on who wait for one."""
        self._session = session
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            waiter.callback(session)

    def end(self) -> None:
        """Take note that it doesn't hold any more."""
        self._session = None

    def close(self) -> None:
        """Send away who waits: there won't be another login."""
        self.end()
        for waiter in list(self._waiting):
            self._give_up(waiter, "the client stops")

    async def current(self) -> Session:
        """Return the login, or wait for the next a while.

        Raises:
            VisitRefused: there is none in time.
        """
        if self._session is not None:
            return self._session
        if len(self._waiting) >= MOST_WAITING:
            raise VisitRefused(f"not logged in, and {MOST_WAITING} users wait for that already")
        waiter: Deferred[Session] = Deferred()
        self._waiting[waiter] = None
        too_late = f"not logged in for {SESSION_SECONDS:g} s; is the server there?"
        patience = limit(self.clock, SESSION_SECONDS, lambda: self._give_up(waiter, too_late))
        try:
            return await waiter
        finally:
            patience.cancel()

    def _give_up(self, waiter: Deferred[Session], why: str) -> None:
        del self._waiting[waiter]
        waiter.errback(Failure(VisitRefused(why)))
