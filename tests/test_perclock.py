# -*- test-case-name: tests.test_perclock -*-
"""Tests of `tunnelsvc.perclock`."""

import gc
from weakref import ref

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.perclock import PerClock


class PerClockTests(SynchronousTestCase):
    def test_one_for_each(self) -> None:
        """Whichever is asked for, and in which order."""
        made: list[Clock] = []

        def make(clock: Clock) -> list[Clock]:
            made.append(clock)
            return [clock]

        kept = PerClock(make)
        one, other = Clock(), Clock()
        first = [kept.of(clock) for clock in (one, one, other, one, other)]
        self.assertEqual(made, [one, other])
        self.assertEqual(first, [[clock] for clock in (one, one, other, one, other)])
        self.assertIs(kept.of(one), first[0])

    def test_keeps_no_clock(self) -> None:
        kept = PerClock(lambda _: object())
        clock = Clock()
        kept.of(clock)
        gone = ref(clock)
        del clock
        gc.collect()
        self.assertIsNone(gone())
        self.assertIsNotNone(kept.of(Clock()))
