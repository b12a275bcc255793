# -*- test-case-name: tests.admin.test_throttle -*-
"""Tests of `tunnelsvc.admin.throttle`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin import throttle
from tunnelsvc.admin.throttle import (
    FIRST_DELAY_SECONDS,
    FIRST_LOCK_SECONDS,
    FORGET_LOCKS_SECONDS,
    FORGET_SECONDS,
    LOCK_FAILURES,
    MOST_DELAY_SECONDS,
    Failed,
    Throttle,
)


class ThrottleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.throttle = Throttle(self.clock)

    def test_counts(self) -> None:
        self.assertEqual(self.throttle.failed("192.0.2.1"), Failed(1, FIRST_DELAY_SECONDS))
        self.assertEqual(self.throttle.failed("192.0.2.1"), Failed(2, 2 * FIRST_DELAY_SECONDS))
        self.assertEqual(self.throttle.failed("192.0.2.2"), Failed(1, FIRST_DELAY_SECONDS))

    def test_the_delay_is_bounded(self) -> None:
        for _ in range(LOCK_FAILURES - 1):
            delay = self.throttle.failed("192.0.2.1").delay_seconds
        self.assertEqual(delay, MOST_DELAY_SECONDS)

    def test_a_success_starts_again(self) -> None:
        self.throttle.failed("192.0.2.1")
        self.throttle.succeeded("192.0.2.1")
        self.throttle.succeeded("192.0.2.9")
        self.assertEqual(self.throttle.failed("192.0.2.1").count, 1)

    def test_time_starts_again(self) -> None:
        self.throttle.failed("192.0.2.1")
        self.clock.advance(FORGET_SECONDS)
        self.assertEqual(self.throttle.failed("192.0.2.1").count, 2)
        self.clock.advance(FORGET_SECONDS + 1)
        self.assertEqual(self.throttle.failed("192.0.2.1").count, 1)

    def test_addresses_of_one_ipv6_network_are_one(self) -> None:
        self.throttle.failed("2001:db8::1")
        self.assertEqual(self.throttle.failed("2001:db8::2:3%eth0").count, 2)
        self.assertEqual(self.throttle.failed("2001:db8:0:1::1").count, 1)

    def test_ipv4_in_ipv6_is_ipv4(self) -> None:
        self.throttle.failed("192.0.2.1")
        self.assertEqual(self.throttle.failed("::ffff:192.0.2.1").count, 2)
        self.assertEqual(self.throttle.failed("::ffff:192.0.2.2").count, 1)

    def test_something_else_than_an_address(self) -> None:
        self.assertEqual(self.throttle.failed("").count, 1)
        self.assertEqual(self.throttle.failed("").count, 2)

    def test_memory_is_bounded(self) -> None:
        self.patch(throttle, "MOST_ADDRESSES", 100)
        self.throttle.failed("192.0.2.1")
        self.throttle.failed("192.0.2.2")
        for number in range(98):
            self.throttle.failed(f"198.51.100.{number}")
        self.assertEqual(self.throttle.failed("192.0.2.2").count, 2)
        self.throttle.failed("203.0.113.1")
        self.assertEqual(self.throttle.failed("192.0.2.1").count, 1)
        self.throttle.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LockTests(SynchronousTestCase):
    """Who goes on is locked out."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.throttle = Throttle(self.clock)

    def fail(self, address: str = "192.0.2.1", times: int = LOCK_FAILURES) -> Failed:  # type: ignore[override]
        for _ in range(times):
            failed = self.throttle.failed(address)
        return failed

    def test_after_so_many(self) -> None:
        self.assertEqual(self.fail(times=LOCK_FAILURES - 1).locked_seconds, 0)
        self.clock.advance(MOST_DELAY_SECONDS)
        self.assertEqual(self.throttle.refused_seconds("192.0.2.1"), 0)
        self.assertEqual(self.fail(times=1), Failed(LOCK_FAILURES, 0, FIRST_LOCK_SECONDS))
        self.assertEqual(self.throttle.refused_seconds("192.0.2.1"), FIRST_LOCK_SECONDS)
        self.clock.advance(FIRST_LOCK_SECONDS - 1)
        self.assertEqual(self.throttle.refused_seconds("192.0.2.1"), 1)
        self.clock.advance(1)
        self.assertEqual(self.throttle.refused_seconds("192.0.2.1"), 0)

    def test_each_time_for_longer(self) -> None:
        for minutes in (5, 10, 20, 40, 60, 60):
            seconds = self.fail().locked_seconds
            self.assertEqual(seconds, 60 * minutes)
            self.clock.advance(seconds)

    def test_that_is_forgotten_after_a_day(self) -> None:
        self.fail()
        self.clock.advance(FIRST_LOCK_SECONDS + FORGET_LOCKS_SECONDS)
        self.assertEqual(self.fail().locked_seconds, 2 * FIRST_LOCK_SECONDS)
        self.clock.advance(2 * FIRST_LOCK_SECONDS + FORGET_LOCKS_SECONDS + 1)
        self.assertEqual(self.fail().locked_seconds, FIRST_LOCK_SECONDS)

    def test_not_one_after_the_other_over_the_day(self) -> None:
        for _ in range(3 * LOCK_FAILURES):
            self.assertEqual(self.fail(times=1).locked_seconds, 0)
            self.clock.advance(FORGET_SECONDS + 1)

    def test_others_are_not_locked_out(self) -> None:
        self.fail("192.0.2.1")
        self.fail("2001:db8::1")
        for address in ("192.0.2.2", "2001:db8:0:1::1", "::1", ""):
            self.assertEqual(self.throttle.refused_seconds(address), 0)
        self.assertGreater(self.throttle.refused_seconds("2001:db8::2"), 0)

    def test_after_a_success_it_begins_anew(self) -> None:
        self.fail()
        self.clock.advance(FIRST_LOCK_SECONDS)
        self.throttle.succeeded("192.0.2.1")
        self.assertEqual(self.fail().locked_seconds, FIRST_LOCK_SECONDS)
