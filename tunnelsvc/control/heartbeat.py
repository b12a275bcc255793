# -*- test-case-name: tests.control.test_heartbeat -*-
"""Is the other end still there: pings out, and a watchdog that they feed."""

from collections.abc import Callable
from random import Random

from twisted.internet.interfaces import IDelayedCall, IReactorTime

JITTER = 0.1
"""Part of the interval by which a ping may come early, so that clients don't beat in step."""


class Watchdog:
    """Calls back once when it isn't fed in time."""

    def __init__(self, clock: IReactorTime, seconds: float, on_timeout: Callable[[], None]) -> None:
        """Start to wait; `seconds` of 0 or less: never time out."""
        self._seconds = seconds
        self._timer: IDelayedCall | None = None
        if seconds > 0:
            self._timer = clock.callLater(seconds, on_timeout)

    def feed(self) -> None:
        """Start the wait anew."""
        if self._timer is not None and self._timer.active():
            self._timer.reset(self._seconds)

    def stop(self) -> None:
        """Stop waiting."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


class Pinger:
    """Sends a ping at once, then one per interval."""

    def __init__(
        self, clock: IReactorTime, seconds: float, send: Callable[[], None], random: Random
    ) -> None:
        """Start; `seconds` of 0 or less: never ping."""
        self._clock = clock
        self._seconds = seconds
        self._send = send
        self._random = random
        self._timer: IDelayedCall | None = None
        if seconds > 0:
            self._beat()

    def _beat(self) -> None:
        early = self._random.uniform(0, JITTER) * self._seconds
        self._timer = self._clock.callLater(self._seconds - early, self._beat)
        self._send()

    def stop(self) -> None:
        """Send no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
