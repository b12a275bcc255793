# -*- test-case-name: tests.metrics.test_curve -*-
"""How fast bytes move: a curve of the last minutes for all proxies, and one for each.

Only proxies that have moved something within these minutes have a curve; one of the others is all
zeros, and takes no memory and no time.
"""

from array import array
from collections import OrderedDict
from typing import Final

from tunnelsvc.metrics.traffic import Ledger
from tunnelsvc.units import MINUTE

SAMPLE_SECONDS: Final = 2.0
"""Between two points: often enough to watch, and seldom enough to cost nothing."""
POINTS: Final = int(5 * MINUTE / SAMPLE_SECONDS)
"""Of a curve."""

Rate = tuple[float, float]
"""Bytes a second from users (in), and to them (out)."""

NO_RATE: Final[Rate] = (0.0, 0.0)


class _Ring:
    """The last points of one curve. Points have numbers that grow by one."""

    __slots__ = ("_in", "_out", "last")

    def __init__(self, number: int) -> None:
        self._in = array("d", bytes(8 * POINTS))
        self._out = array("d", bytes(8 * POINTS))
        self.last = number
        """The newest point; those after it are zero."""

    def put(self, number: int, rate: Rate) -> None:
        """Write the newest point; those since the last one were zero."""
        for skipped in range(max(self.last + 1, number - POINTS), number):
            self._in[skipped % POINTS] = self._out[skipped % POINTS] = 0.0
        self._in[number % POINTS], self._out[number % POINTS] = rate
        self.last = number

    def get(self, number: int) -> Rate:
        """Read a point that is less than `POINTS` old."""
        if number > self.last:
            return NO_RATE
        return self._in[number % POINTS], self._out[number % POINTS]


class Curves:
    """Samples the ledger; whoever has a clock calls `sample`."""

    def __init__(self, ledger: Ledger) -> None:
        """Prepare; nothing is counted before `begin`."""
        self._ledger = ledger
        self._number = POINTS
        self._sampled_at = 0.0
        self._total = _Ring(self._number)
        self._rings: OrderedDict[str, _Ring] = OrderedDict()  # by when they were written last
        self._moved: dict[str, list[int]] = {}

    def begin(self, now: float) -> None:
        """Begin to count, at a time in Unix seconds."""
        # What has moved before belongs to no curve.
        self._ledger.settle()
        self._sampled_at = now
        self._ledger.tallies.append(self)

    def end(self) -> None:
        """Count no more."""
        self._ledger.tallies.remove(self)
        self._moved.clear()

    def count(self, name: str, type: str, day: int, in_bytes: int, out_bytes: int) -> None:  # noqa: A002, ARG002
        """See `tunnelsvc.metrics.traffic.Tally`."""
        moved = self._moved.get(name)
        if moved is None:
            self._moved[name] = [in_bytes, out_bytes]
        else:
            moved[0] += in_bytes
            moved[1] += out_bytes

    def sample(self, now: float) -> None:
        """Take a point, at a time in Unix seconds; several at once if some were missed."""
        self._ledger.settle()
        # A clock that is put back says nothing about how long it took.
        seconds = now - self._sampled_at if now > self._sampled_at else SAMPLE_SECONDS
        points = min(max(round(seconds / SAMPLE_SECONDS), 1), POINTS)
        seconds = max(seconds, SAMPLE_SECONDS / 2)  # not to divide by next to nothing
        self._sampled_at = now
        moved, self._moved = self._moved, {}
        first, self._number = self._number + 1, self._number + points
        rates = {name: (each[0] / seconds, each[1] / seconds) for name, each in moved.items()}
        total = (sum(each[0] for each in rates.values()), sum(each[1] for each in rates.values()))
        for number in range(first, self._number + 1):
            self._total.put(number, total)
        for name, rate in rates.items():
            self._put(name, first, rate)
        self._forget()

    def _put(self, name: str, first: int, rate: Rate) -> None:
        ring = self._rings.get(name)
        if ring is None:
            ring = self._rings[name] = _Ring(first - 1)
        for number in range(first, self._number + 1):
            ring.put(number, rate)
        self._rings.move_to_end(name)

    def _forget(self) -> None:
        """Forget curves that are all zeros."""
        while self._rings:
            name, ring = next(iter(self._rings.items()))
            if self._number - ring.last < POINTS:
                return
            del self._rings[name]

    @property
    def number(self) -> int:
        """That of the newest point; grows by one with each."""
        return self._number

    def total(self) -> list[Rate]:
        """Give the curve of all proxies: `POINTS` points, the oldest first."""
        return self._points(self._total)

    def of(self, name: str) -> list[Rate]:
        """Give the curve of a proxy, likewise; zeros if it isn't known."""
        ring = self._rings.get(name)
        return self._points(ring) if ring is not None else [NO_RATE] * POINTS

    def rate(self) -> Rate:
        """Give the newest point of all proxies."""
        return self._total.get(self._number)

    def rate_of(self, name: str) -> Rate:
        """Give the newest point of a proxy."""
        ring = self._rings.get(name)
        return ring.get(self._number) if ring is not None else NO_RATE

    def _points(self, ring: _Ring) -> list[Rate]:
        return [ring.get(number) for number in range(self._number - POINTS + 1, self._number + 1)]
