# -*- test-case-name: tests.admin.test_upkeep -*-
"""What has to be done by the clock so that the dashboard shows the truth."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.metrics.curve import SAMPLE_SECONDS
from tunnelsvc.units import HOUR

MOST_ROLL_SECONDS: Final = HOUR
"""Between two looks at the counters at most: a machine that slept or whose clock was set finds the
day again."""
LAG_INTERVAL_SECONDS: Final = 1.0
"""Between two measurements of the reactor's lag."""


class Upkeep:
    """Ends the counters' day at midnight, draws the curves, and measures the reactor's lag."""

    def __init__(
        self, stats: ServerStats, clock: IReactorTime, observe_lag: Callable[[float], None] | None
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            stats: the counters.
            clock: what runs calls.
            observe_lag: given seconds, once a second; None: don't measure.
        """
        self._stats = stats
        self._clock = clock
        self._observe_lag = observe_lag
        self._roll_call: IDelayedCall | None = None
        self._sample_call: IDelayedCall | None = None
        self._lag_call: IDelayedCall | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin."""
        self._roll()
        self._stats.curves.begin(self._clock.seconds())
        self._sample_later()
        if self._observe_lag is not None:
            self._measure_later()

    def stop(self) -> None:
        """End; all calls stand as long as this runs."""
        if self._sample_call is not None:
            self._stats.curves.end()
        for call in (self._roll_call, self._sample_call, self._lag_call):
            if call is not None:
                call.cancel()
        self._roll_call = self._sample_call = self._lag_call = None

    def _roll(self) -> None:
        seconds = min(self._stats.roll(), MOST_ROLL_SECONDS)
        self._roll_call = self._clock.callLater(seconds, self._roll)

    def _sample_later(self) -> None:
        self._sample_call = self._clock.callLater(SAMPLE_SECONDS, self._sample)

    def _sample(self) -> None:
        self._stats.curves.sample(self._clock.seconds())
        self._sample_later()

    def _measure_later(self) -> None:
        self._due = self._clock.seconds() + LAG_INTERVAL_SECONDS
        self._lag_call = self._clock.callLater(LAG_INTERVAL_SECONDS, self._measure)

    def _measure(self) -> None:
        assert self._observe_lag is not None
        self._observe_lag(max(0.0, self._clock.seconds() - self._due))
        self._measure_later()
