# -*- test-case-name: tests.control.test_failback -*-
"""Back to a better server: is one there again, and how is the other one left?

A client that has gone to a later server of its list looks at the earlier ones now and then: by a
whole connection, handshakes included, without a login. One that answers each time for a while is
logged in to. Only then the client leaves where it was. That server's ports are its own, so its
users stay connected through it until they go, or until they have had time enough.
"""

from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.control.backoff import JITTER
from tunnelsvc.control.session import Session
from tunnelsvc.errors import TunnelError
from tunnelsvc.link.dial import Unreachable
from tunnelsvc.link.links import Server
from tunnelsvc.units import MINUTE

PROBE_SECONDS = 10.0
"""From the end of one look to the next: a handshake each costs a server next to nothing."""
PROBE_LIMIT_SECONDS = 20.0
"""How long one server may take; those that drop packets take the dialling's limit."""
STEADY_SECONDS = 30.0
"""How long a server must have answered: one that is being restarted comes and goes."""
LASTING_SECONDS = 10 * MINUTE
"""A server that was gone back to and is lost sooner has to answer twice as long the next time: what
answers and then drops its clients would take users their service every minute."""
MOST_STEADY_SECONDS = 30 * MINUTE
"""Where that ends."""
LOOK_SECONDS = 1.0
"""Between two looks whether the users of a server that is left have gone."""
LEAVE_SECONDS = 10 * MINUTE
"""How long they may stay."""

_FAILURES = (ConnectError, ConnectionClosed, TunnelError)


@define(eq=False)
class Failback:
    """Looks for better servers while another one is in use.

    Attributes:
        servers: the better ones, the best first.
        log_in: logs in to one, by its index.
        found: is called once with that index and the new session.
        clock: for the times.
        random: of the times, so that not all clients look at one instant.
        steady_seconds: how long a server must have answered.
    """

    servers: Sequence[Server]
    log_in: Callable[[int], Coroutine[Any, Any, Session]]
    found: Callable[[int, Session], None]
    clock: IReactorTime
    random: Random
    steady_seconds: float = STEADY_SECONDS
    log: ClassVar[Logger] = Logger()
    _since: dict[int, float] = field(factory=dict, init=False)
    """Since when each has answered whenever it was asked."""
    _due: IDelayedCall | None = field(default=None, init=False)
    _looking: "Deferred[None] | None" = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)

    def start(self) -> None:
        """Begin; the first look comes later."""
        if not self._stopped:
            wait = PROBE_SECONDS * (1 - self.random.uniform(0, JITTER))
            self._due = self.clock.callLater(wait, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        if self._due is not None and self._due.active():
            self._due.cancel()
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()

    def _look(self) -> None:
        self._looking = ensureDeferred(self._look_at_all())
        self._looking.addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        if not (self._stopped and failure.check(CancelledError)):
            self.log.failure("looking for a better server failed", failure)

    async def _look_at_all(self) -> None:
        for index, server in enumerate(self.servers):
            if await self._is_steady(index, server):
                session = await self._try(index, server)
                if session is not None:
                    self._looking = None  # whoever hears of it stops us
                    self.found(index, session)
                    return
        self.start()

    async def _is_steady(self, index: int, server: Server) -> bool:
        """Ask a server whether it is there, and tell whether it has been for long enough."""
        asking = ensureDeferred(server.probe())
        asking.addTimeout(PROBE_LIMIT_SECONDS, self.clock, _too_late)
        try:
            await asking
        except _FAILURES as why:
            self._since.pop(index, None)
            self.log.debug("server {server} isn't back: {why}", server=server.address, why=why)
            return False
        now = self.clock.seconds()
        if index not in self._since:
            self._since[index] = now
            self.log.info(
                "server {server} answers again; if it still does in {wait:.0f} s, we go back",
                server=server.address,
                wait=self.steady_seconds,
            )
        return now - self._since[index] >= self.steady_seconds

    async def _try(self, index: int, server: Server) -> Session | None:
        """Log in; what can't be logged in to has to show again that it is there."""
        try:
            return await self.log_in(index)
        except _FAILURES as why:
            self._since.pop(index, None)
            self.log.warn("not back to server {server}: {why}", server=server.address, why=why)
            return None


def _too_late(result: object, seconds: float) -> Failure:  # noqa: ARG001
    """Say what it was, whatever cancelling has led to."""
    return Failure(Unreachable(f"no answer within {seconds:g} s"))


@define(eq=False)
class Farewell:
    """The end of a session that was replaced: its users may stay for a while.

    Attributes:
        session: the old one.
        clock: for the times.
        others: where this one is until it is over.
    """

    session: Session
    clock: IReactorTime
    others: "set[Farewell]"
    log: ClassVar[Logger] = Logger()
    _until: float = field(default=0.0, init=False)
    _due: IDelayedCall | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin to wait."""
        self.others.add(self)
        self.session.retire(lambda _: self.end())
        self._until = self.clock.seconds() + LEAVE_SECONDS
        self._wait()

    def end(self) -> None:
        """Wait no more: close it, and whatever it still carries."""
        if self in self.others:
            self.others.discard(self)
            if self._due is not None and self._due.active():
                self._due.cancel()
            self.session.close()

    def _wait(self) -> None:
        self._due = self.clock.callLater(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        if self.session.users and self.clock.seconds() < self._until:
            self._wait()
            return
        self.log.info(
            "[{run_id}] leaving the other server, with {users} users",
            run_id=self.session.run_id,
            users=self.session.users,
        )
        self.end()
