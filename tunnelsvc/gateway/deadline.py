# -*- test-case-name: tests.gateway.test_deadline -*-
"""One time limit, set anew for every step of a request.

Nearly all of them are met. So the clock isn't told of each: a call that is due earlier stays with
it, and waits for the rest when it comes.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadline:
    """Calls once, when the time is up that was set last."""

    __slots__ = ("_call", "_clock", "_due", "_pending")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._due = 0.0
        self._call: Callable[[], None] | None = None
        self._pending: IDelayedCall | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is something to wait for."""
        return self._call is not None

    def set(self, seconds: float, call: Callable[[], None]) -> None:
        """Wait, and not for what was set before.

        Args:
            seconds: from now.
            call: what to do then.
        """
        self._due = self._clock.seconds() + seconds
        self._call = call
        pending = self._pending
        if pending is not None:
            if pending.getTime() <= self._due:
                return
            pending.cancel()
        self._pending = self._clock.callLater(seconds, self._look)

    def unset(self) -> None:
        """Wait for nothing, until the next `set`; the clock may still have a call."""
        self._call = None

    def cancel(self) -> None:
        """Wait for nothing, and leave nothing with the clock."""
        self._call = None
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()

    def _look(self) -> None:
        self._pending = None
        call = self._call
        if call is None:
            return
        left = self._due - self._clock.seconds()
        if left > 0:
            self._pending = self._clock.callLater(left, self._look)
        else:
            self._call = None
            call()
