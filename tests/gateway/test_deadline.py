# -*- test-case-name: tests.gateway.test_deadline -*-
"""Tests of `tunnelsvc.gateway.deadline`."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.deadline import Deadline

STEADY = settings(derandomize=True, deadline=None)


class DeadlineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.deadline = Deadline(self.clock)
        self.called: list[str] = []

    def set(self, seconds: float, name: str) -> None:
        """Set it, so that `name` is noted."""
        self.deadline.set(seconds, lambda: self.called.append(name))

    def test_once(self) -> None:
        self.set(5, "a")
        self.assertTrue(self.deadline.is_set)
        self.clock.advance(4)
        self.assertEqual(self.called, [])
        self.clock.advance(1)
        self.assertEqual(self.called, ["a"])
        self.assertFalse(self.deadline.is_set)
        self.clock.advance(100)
        self.assertEqual(self.called, ["a"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_later_costs_the_clock_nothing(self) -> None:
        self.set(5, "a")
        [call] = self.clock.getDelayedCalls()
        self.clock.advance(4)
        self.set(5, "b")
        self.assertEqual(self.clock.getDelayedCalls(), [call])
        self.clock.advance(4)
        self.assertEqual(self.called, [])
        self.clock.advance(1)
        self.assertEqual(self.called, ["b"])

    def test_sooner(self) -> None:
        self.set(5, "a")
        self.set(2, "b")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(2)
        self.assertEqual(self.called, ["b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unset(self) -> None:
        self.set(5, "a")
        self.deadline.unset()
        self.assertFalse(self.deadline.is_set)
        self.clock.advance(10)
        self.assertEqual(self.called, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancel(self) -> None:
        self.deadline.cancel()
        self.set(5, "a")
        self.deadline.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.deadline.is_set)

    def test_set_from_within(self) -> None:
        self.deadline.set(5, lambda: self.set(5, "a"))
        self.clock.pump([5, 5])
        self.assertEqual(self.called, ["a"])

    @given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(1, 9)))))
    @STEADY
    def test_as_a_call_each(self, steps: list[tuple[int, int | None]]) -> None:
        """It keeps the times of a call that is made and cancelled for each step."""
        clock = Clock()
        deadline = Deadline(clock)
        called: list[float] = []
        expected: list[float] = []
        due: float | None = None
        for wait, seconds in [*steps, (9, None)]:
            for _ in range(wait):
                clock.advance(1)
                if due is not None and clock.seconds() >= due:
                    expected.append(clock.seconds())
                    due = None
            if seconds is None:
                deadline.unset()
                due = None
            else:
                deadline.set(seconds, lambda: called.append(clock.seconds()))
                due = clock.seconds() + seconds
            self.assertLessEqual(len(clock.getDelayedCalls()), 1)
        self.assertEqual(called, expected)
