# -*- test-case-name: tests.client.test_spares -*-
"""Hop 4 of a user connection, ahead of demand: direct work connections to a server of ours."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.wire.messages import Message, StartWorkConn

PACE_SECONDS = 0.05
"""Between two connections: a burst of users gets streams, which cost no handshake."""
LONGEST_PACE_SECONDS = 300.0
"""The same after many failures in a row: something in between lets only one connection through."""


class Spares:
    """Keeps some direct work connections ready.

    One that a user gets is replaced soon; one that fails, is refused or lost, later and later.
    """

    log = Logger()

    def __init__(
        self,
        number: int,
        open_one: Callable[[], Coroutine[Any, Any, MessageProtocol]],
        on_start: Callable[[MessageProtocol, StartWorkConn], None],
        clock: IReactorTime,
    ) -> None:
        """Begin with none.

        Args:
            number: how many to keep.
            open_one: connects, and says whose connection it is.
            on_start: takes each connection that a user got.
            clock: for the pace.
        """
        self._number = number
        self._open_one = open_one
        self._on_start = on_start
        self._clock = clock
        self._ready: set[MessageProtocol] = set()
        self._pace = PACE_SECONDS
        self._due: IDelayedCall | None = None
        self._opening = False
        self._stopped = False

    def start(self) -> None:
        """Open the first."""
        self._next()

    def stop(self) -> None:
        """Close those that nobody uses."""
        self._stopped = True
        self._forget_due()
        ready, self._ready = self._ready, set()
        for work in ready:
            work.on_lost = lambda _: None
            work.abort()

    def _next(self) -> None:
        self._due = None
        self._opening = True
        ensureDeferred(self._open()).addErrback(
            partial(self.log.failure, "opening a direct work connection failed")
        )

    async def _open(self) -> None:
        try:
            work = await self._open_one()
        except (ConnectError, ConnectionClosed) as why:
            self._opening = False
            self._failed(str(why))
            return
        self._opening = False
        if self._stopped:
            work.abort()
            return
        self._ready.add(work)
        work.on_message = partial(self._told, work)
        work.on_lost = partial(self._lost, work)
        self._soon()

    def _told(self, work: MessageProtocol, message: Message) -> None:
        self._ready.discard(work)
        if isinstance(message, StartWorkConn) and not message.error:
            self._pace = PACE_SECONDS
            self._forget_due()
            self._soon()
            self._on_start(work, message)
        else:
            work.on_lost = lambda _: None
            work.abort()
            self._failed(getattr(message, "error", "") or f"unexpected {type(message).__name__}")

    def _lost(self, work: MessageProtocol, reason: Failure) -> None:
        self._ready.discard(work)
        self._failed(reason.getErrorMessage())

    def _failed(self, why: str) -> None:
        self.log.debug("no direct work connection: {why}", why=why)
        self._pace = min(2 * self._pace, LONGEST_PACE_SECONDS)
        self._soon()

    def _forget_due(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _soon(self) -> None:
        busy = self._due is not None or self._opening or self._stopped
        if not busy and len(self._ready) < self._number:
            self._due = self._clock.callLater(self._pace, self._next)
