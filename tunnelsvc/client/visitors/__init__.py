# -*- test-case-name: tests.client.visitors.test_visitors -*-
"""Visitors: ports of this machine that lead to secret proxies of other clients.

`Visitors` has all of one client, and exchanges single ones. They listen from the first login on,
and go on when it is lost: who comes then waits a while (`tunnelsvc.client.visitors.sessions`).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Protocol

from attrs import define, field
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from tunnelsvc.client.status import VisitorStatus
from tunnelsvc.client.visitors.datagrams import DatagramVisitor
from tunnelsvc.client.visitors.sessions import Sessions
from tunnelsvc.client.visitors.stream import StreamVisitor
from tunnelsvc.config.proxies import VisitorConfig
from tunnelsvc.control.session import Session
from tunnelsvc.handover import Connections

__all__ = ["VISITOR_TYPES", "Visitor", "Visitors"]


class Visitor(Protocol):
    """One visitor, whatever its type."""

    @property
    def config(self) -> VisitorConfig:
        """What it was made of."""

    @property
    def port(self) -> int | None:
        """Where users come in at present; None: nowhere, as long as the port is taken, say."""

    @property
    def error(self) -> str:
        """Why they come in nowhere, or why the latest wasn't let in; empty: nothing is wrong."""

    def start(self) -> None:
        """Let users come, now or as soon as the port is free."""

    async def stop(self) -> None:
        """Let no more users come; those who are here stay. Returns when the port is free."""

    async def close(self) -> None:
        """Stop, and send away those who are here."""


MakeVisitor = Callable[[VisitorConfig, Any, Sessions, Connections], Visitor]
"""Takes the configuration, the reactor, the login, and what takes note of connections."""

VISITOR_TYPES: Final[Mapping[str, MakeVisitor]] = {
    "stcp": StreamVisitor,
    "sudp": DatagramVisitor,
}
"""By ``type``."""


@define(eq=False)
class Visitors:
    """All visitors of a client, by name."""

    reactor: Any
    connections: Connections
    running: dict[str, Visitor] = field(factory=dict, init=False)
    log: ClassVar[Logger] = Logger()
    _sessions: Sessions = field(init=False)
    _logged_in: bool = field(default=False, init=False)
    """Whether there was a login yet: before, the server may be none for us."""
    _turn: DeferredLock = field(factory=DeferredLock, init=False)

    @_sessions.default
    def _no_sessions(self) -> Sessions:
        return Sessions(self.reactor)

    async def replace(self, configs: Iterable[VisitorConfig]) -> None:
        """Have these from now on.

        Who is the same as before goes on untouched. Of others the users stay, but nobody comes in.
        """
        wanted = {config.name: config for config in configs if config.enabled}
        async with self._turn:
            for name, visitor in list(self.running.items()):
                if wanted.get(name) != visitor.config:
                    del self.running[name]
                    await visitor.stop()  # before another one wants the port
            for name, config in wanted.items():
                if name not in self.running:
                    make = VISITOR_TYPES[config.type]
                    self.running[name] = make(
                        config, self.reactor, self._sessions, self.connections
                    )
            if self._logged_in:
                self._start()

    def statuses(self) -> list[VisitorStatus]:
        """Say how each is."""
        return [
            VisitorStatus(visitor.config, visitor.port, visitor.error)
            for visitor in self.running.values()
        ]

    def logged_in(self, session: Session) -> None:
        """Use this login; at the first one, let users come."""
        self._sessions.begin(session)
        self._logged_in = True
        self._start()

    def _start(self) -> None:
        for visitor in self.running.values():
            visitor.start()

    def session_lost(self) -> None:
        """Let users wait for the next login."""
        self._sessions.end()

    async def close(self) -> None:
        """End all; they may be started again, by `logged_in`."""
        self._logged_in = False
        self._sessions.close()
        async with self._turn:
            for visitor in self.running.values():
                await visitor.close()
