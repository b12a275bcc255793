# -*- test-case-name: tests.test_perclock -*-
"""One of a kind for each clock, that is for each reactor, of which a process mostly has one."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary, ref

V = TypeVar("V")


class PerClock(Generic[V]):
    """Makes a value for a clock when it is first asked for, and gives the same from then on.

    Who asks is nearly always of the clock that was asked for last, and then it costs a fifth.

    Args:
        make: makes a value for a clock.
    """

    def __init__(self, make: Callable[[Any], V]) -> None:
        self._make = make
        self._all: WeakKeyDictionary[Any, V] = WeakKeyDictionary()
        self._latest: tuple[Callable[[], object], V] | None = None

    def of(self, clock: Any) -> V:
        """Return the value of a clock."""
        if self._latest is not None:
            latest, value = self._latest
            if latest() is clock:
                return value
        if clock not in self._all:
            self._all[clock] = self._make(clock)
        value = self._all[clock]
        self._latest = ref(clock), value
        return value
