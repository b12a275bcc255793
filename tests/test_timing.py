# -*- test-case-name: tests.test_timing -*-
"""Tests of `tunnelsvc.timing`."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.timing import _Turn, limit, soon


class SoonTests(SynchronousTestCase):
    """Calls of the next turn."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.seen: list[object] = []

    def test_in_order_in_one_turn(self) -> None:
        soon(self.clock, self.seen.append, 1)
        soon(self.clock, self.seen.append, 2)
        self.assertEqual((self.seen, len(self.clock.getDelayedCalls())), ([], 1))
        self.clock.advance(0)
        self.assertEqual((self.seen, self.clock.getDelayedCalls()), ([1, 2], []))

    def test_what_a_call_asks_for_waits(self) -> None:
        """A chain of calls does not keep the reactor from its other work."""
        turn = _Turn()
        turn.calls.append((lambda: turn.calls.append((self.seen.append, (1,))), ()))
        turn.run()
        self.assertEqual(self.seen, [])
        turn.run()
        self.assertEqual(self.seen, [1])

    def test_a_failure_is_alone(self) -> None:
        soon(self.clock, lambda: 1 / 0)
        soon(self.clock, self.seen.append, 1)
        self.clock.advance(0)
        self.assertEqual(self.seen, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class LimitTests(SynchronousTestCase):
    """Limits that many have."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.seen: list[object] = []

    def test_up(self) -> None:
        mine = limit(self.clock, 5, lambda: self.seen.append(1))
        self.clock.advance(4.9)
        self.assertEqual((self.seen, mine.active()), ([], True))
        self.clock.advance(0.1)
        self.assertEqual((self.seen, mine.active()), ([1], False))
        mine.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        limit(self.clock, 5, lambda: self.seen.append(1)).cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_failure_is_alone(self) -> None:
        limit(self.clock, 5, lambda: 1 / 0)
        limit(self.clock, 5, lambda: self.seen.append(1))
        self.clock.advance(5)
        self.assertEqual(self.seen, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_set_again_when_they_are_up(self) -> None:
        """All share one call of the clock, however often; the last leaves none."""
        left = 30

        def again() -> None:
            nonlocal left
            self.seen.append(self.clock.seconds())
            if left:
                left -= 1
                limit(self.clock, 5, again)

        for _ in range(3):
            limit(self.clock, 5, again)
            self.clock.advance(1)
        while self.clock.seconds() < 60:
            self.clock.advance(1)
            self.assertLessEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.seen, [at + 5 * n for n in range(1, 12) for at in range(3)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([3, 10]), st.booleans())))
    def test_each_at_its_time(self, plan: list[tuple[int, int, bool]]) -> None:
        """As if each had a call of its own with the clock."""
        clock = Clock()
        seen: list[tuple[int, float]] = []
        expected: list[tuple[int, float]] = []

        def note(number: int) -> None:
            seen.append((number, clock.seconds()))

        for number, (wait, seconds, cancelled) in enumerate(plan):
            clock.advance(wait)
            mine = limit(clock, seconds, partial(note, number))
            if cancelled:
                mine.cancel()
            else:
                expected.append((number, clock.seconds() + seconds))
        # The clock's steps are coarse: a limit is told of at the end of the step it falls in.
        clock.pump([1] * 11)
        self.assertEqual(sorted(n for n, _ in seen), [n for n, _ in expected])
        due = dict(expected)
        self.assertTrue(all(when >= due[n] for n, when in seen))
        self.assertEqual(clock.getDelayedCalls(), [])
