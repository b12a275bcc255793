# -*- test-case-name: tests.test_timing -*-
"""Afterthoughts and time limits that every connection has, for many at the cost of one timer.

A call in the next turn and a limit that is nearly always met are cheap to say and not so cheap to
keep: the reactor sorts its calls. All connections of a program want the same few, so they share.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tunnelsvc.perclock import PerClock

_log = Logger()


def soon(clock: IReactorTime, call: Callable[..., object], *args: object) -> None:
    """Call in the next turn of the reactor, after what was asked for before."""
    turn = _turns.of(clock)
    turn.calls.append((call, args))
    if len(turn.calls) == 1:
        clock.callLater(0, turn.run)


class _Turn:
    """What one turn has to do."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def run(self) -> None:
        """Do it; one that fails keeps no other from it. What that leads to is for the next turn."""
        calls, self.calls = self.calls, []
        for call, args in calls:
            try:
                call(*args)
            except Exception:  # noqa: BLE001
                _log.failure("a call of the next turn failed")


def _nothing() -> None:
    """Do what a limit that is over does: who has set it may still know it, and it knew him."""


class Limit:
    """A time limit that was set; see `limit`."""

    __slots__ = ("call", "due", "limits")

    def __init__(self, call: Callable[[], object], due: float, limits: "_Limits") -> None:
        self.call = call
        self.due = due
        self.limits = limits

    def active(self) -> bool:
        """Whether the time isn't up, and nobody has cancelled."""
        return self in self.limits.waiting

    def cancel(self) -> None:
        """Forget it, and whom it would call; nothing happens if it is over."""
        self.limits.forget(self)
        self.call = _nothing


def limit(clock: IReactorTime, seconds: float, call: Callable[[], object]) -> Limit:
    """Call when the time is up, unless it is cancelled before, which is the rule.

    Args:
        clock: that tells the time.
        seconds: from now; one of a few values that many use.
        call: what to do then.
    """
    of_clock = _limits.of(clock)
    limits = of_clock.get(seconds)
    if limits is None:
        limits = of_clock[seconds] = _Limits(clock, seconds)
    return limits.add(call)


class _Limits:
    """Limits of one length: the first that was set is the first that is up."""

    __slots__ = ("_clock", "_pending", "_seconds", "waiting")

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._pending: IDelayedCall | None = None
        self.waiting: dict[Limit, None] = {}

    def add(self, call: Callable[[], object]) -> Limit:
        """Set one."""
        added = Limit(call, self._clock.seconds() + self._seconds, self)
        self.waiting[added] = None
        if self._pending is None:
            self._pending = self._clock.callLater(self._seconds, self._look)
        return added

    def forget(self, forgotten: Limit) -> None:
        """Unset one; the last leaves nothing with the clock."""
        self.waiting.pop(forgotten, None)
        if not self.waiting and self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _look(self) -> None:
        self._pending = None
        now = self._clock.seconds()
        while self.waiting and (first := next(iter(self.waiting))).due <= now:
            del self.waiting[first]
            call, first.call = first.call, _nothing
            try:
                call()
            except Exception:  # noqa: BLE001
                _log.failure("what a time limit leads to failed")
        if self._pending is not None:  # for one that was set just now: not the first
            self._pending.cancel()
            self._pending = None
        if self.waiting:
            self._pending = self._clock.callLater(first.due - now, self._look)


_turns: PerClock[_Turn] = PerClock(lambda _: _Turn())
_limits: PerClock[dict[float, _Limits]] = PerClock(lambda _: {})
