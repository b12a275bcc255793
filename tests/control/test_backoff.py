# -*- test-case-name: tests.control.test_backoff -*-
"""Tests of `tunnelsvc.control.backoff`."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.control.backoff import (
    QUICK_PERIOD_SECONDS,
    QUICK_SECONDS,
    SLOW_SECONDS,
    STABLE_SECONDS,
    Backoff,
)


class BackoffTests(SynchronousTestCase):
    """Waits between attempts."""

    def test_first_retry_is_immediate(self) -> None:
        self.assertEqual(Backoff(Random(1)).wait_seconds(100.0), 0.0)

    def test_a_restarted_server_is_found_within_a_second(self) -> None:
        backoff = Backoff(Random(1))
        now = 0.0
        while now < QUICK_PERIOD_SECONDS / 2:
            wait = backoff.wait_seconds(now)
            self.assertLessEqual(wait, QUICK_SECONDS)
            now += wait
        self.assertGreater(wait, 0.5)

    def test_a_long_outage_is_asked_about_less_often(self) -> None:
        backoff = Backoff(Random(1))
        now = 0.0
        while now < 3 * QUICK_PERIOD_SECONDS:
            wait = backoff.wait_seconds(now)
            now += wait
        self.assertGreater(wait, SLOW_SECONDS / 2)

    def test_a_session_that_lived_starts_anew(self) -> None:
        backoff = Backoff(Random(1))
        for _ in range(8):
            backoff.wait_seconds(0.0)
        backoff.succeeded(STABLE_SECONDS)
        self.assertEqual(backoff.wait_seconds(50.0), 0.0)

    def test_a_session_that_fell_at_once_does_not(self) -> None:
        backoff = Backoff(Random(1))
        for _ in range(8):
            backoff.wait_seconds(0.0)
        backoff.succeeded(STABLE_SECONDS / 2)
        self.assertGreater(backoff.wait_seconds(1.0), 0.5)

    @given(st.integers(), st.lists(st.floats(0, 1e9), max_size=50).map(sorted))
    def test_bounds(self, seed: int, times: list[float]) -> None:
        backoff = Backoff(Random(seed))
        for now in times:
            self.assertTrue(0 <= backoff.wait_seconds(now) <= SLOW_SECONDS)

    def test_many_attempts(self) -> None:
        backoff = Backoff(Random(1))
        for attempt in range(5000):
            backoff.wait_seconds(attempt * SLOW_SECONDS)

    def test_clients_come_back_at_different_times(self) -> None:
        waits = set()
        for seed in range(20):
            backoff = Backoff(Random(seed))
            backoff.wait_seconds(0.0)
            waits.add(backoff.wait_seconds(0.0))
        self.assertGreater(len(waits), 15)
