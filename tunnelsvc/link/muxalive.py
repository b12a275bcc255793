# -*- test-case-name: tests.link.test_mux -*-
"""Whether the peer of a yamux session is still there, and takes streams."""

from collections.abc import Callable

from twisted.internet import error
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelsvc.wire import yamux

KEEPALIVE_SECONDS = 30.0
"""Between two pings, as frp since 0.58.1."""
PONG_SECONDS = 10.0
"""How long the answer may take, as Go's ``ConnectionWriteTimeout``."""
ACCEPT_SECONDS = 75.0
"""How long the peer may take to accept a stream, as Go's ``StreamOpenTimeout``."""


class KeepAlive:
    """Pings a peer.

    Attributes:
        progress: set by who sees a sign of life.
    """

    def __init__(
        self,
        core: yamux.Session,
        clock: IReactorTime,
        seconds: float,
        *,
        flush: Callable[[], None],
        give_up: Callable[[Exception], None],
    ) -> None:
        """Begin; nothing happens before `start`.

        Args:
            core: makes the pings.
            clock: for the times.
            seconds: between two pings; 0 or less: none.
            flush: sends what `core` has queued.
            give_up: ends the session, with why.
        """
        self.progress = False
        self._core = core
        self._clock = clock
        self._seconds = seconds
        self._flush = flush
        self._give_up = give_up
        self._timer: IDelayedCall | None = None
        self._last_ping = 0
        self._unaccepted: tuple[int | None, float] = (None, 0.0)

    def start(self) -> None:
        """Ping after a while."""
        if self._seconds > 0:
            self._set_timer(self._seconds, self._ping)

    def stop(self) -> None:
        """Ping no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def ponged(self, number: int) -> None:
        """Take note of an answer."""
        if number == self._last_ping and self._timer is not None:
            self.start()

    def _set_timer(self, seconds: float, call: Callable[[], None]) -> None:
        self.stop()
        self._timer = self._clock.callLater(seconds, call)

    def _ping(self) -> None:
        if self._accepting_stalled():
            self._give_up(error.TimeoutError("the peer accepts no streams"))
            return
        self._last_ping = (self._last_ping + 1) & 0xFFFFFFFF
        self.progress = False
        self._set_timer(PONG_SECONDS, self._look_for_pong)
        self._core.ping(self._last_ping)
        self._flush()

    def _look_for_pong(self) -> None:
        """Give up on a peer that is silent; on a slow line the answer may be behind much data."""
        if not self.progress:
            self._give_up(error.TimeoutError(f"no answer to a ping within {PONG_SECONDS:g} s"))
            return
        self.progress = False
        self._set_timer(PONG_SECONDS, self._look_for_pong)

    def _accepting_stalled(self) -> bool:
        oldest, since = self._core.oldest_unaccepted, self._clock.seconds()
        if oldest is None or oldest != self._unaccepted[0]:
            self._unaccepted = oldest, since
        return since - self._unaccepted[1] >= ACCEPT_SECONDS and oldest is not None
