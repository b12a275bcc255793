# -*- test-case-name: tests.metrics.test_traffic -*-
"""Tests of `tunnelsvc.metrics.traffic`."""

import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.moving import move
from tunnelsvc.metrics.traffic import DAYS, DailyTraffic, Ledger, Past, Traffic
from tunnelsvc.relay import Meter
from tunnelsvc.units import DAY, HOUR, MINUTE

MIDNIGHT = time.mktime((2026, 7, 14, 0, 0, 0, 0, 0, -1))
NOON = MIDNIGHT - 12 * HOUR
NONE = Traffic(0, 0)


class Time:
    """A clock that is set by hand."""

    def __init__(self, seconds: float = NOON) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


class DailyTrafficTests(SynchronousTestCase):
    def test_today_is_first(self) -> None:
        daily = DailyTraffic(100)
        daily.add(100, 1, 10)
        daily.add(102, 2, 20)
        days = daily.days(103)
        self.assertEqual(len(days), DAYS)
        self.assertEqual(days[:5], [NONE, Traffic(2, 20), NONE, Traffic(1, 10), NONE])

    def test_long_after_only_the_total_remains(self) -> None:
        daily = DailyTraffic(100)
        daily.add(100, 1, 10)
        self.assertEqual(daily.days(100 + DAYS), [NONE] * DAYS)
        self.assertEqual(daily.total, Traffic(1, 10))

    def test_the_oldest_day_is_kept_until_its_last_moment(self) -> None:
        daily = DailyTraffic(100)
        daily.add(100, 1, 10)
        self.assertEqual(daily.days(100 + DAYS - 1)[-1], Traffic(1, 10))

    def test_years_later(self) -> None:
        daily = DailyTraffic(100)
        daily.add(100, 1, 1)
        self.assertEqual(daily.days(10**9), [NONE] * DAYS)

    def test_a_clock_put_back_loses_nothing_and_heals(self) -> None:
        daily = DailyTraffic(100)
        daily.add(100, 1, 10)
        daily.add(90, 2, 20)
        self.assertEqual(daily.days(90)[0], Traffic(3, 30))
        self.assertEqual(daily.days(91)[:2], [NONE, Traffic(3, 30)])

    def test_restored(self) -> None:
        """What was counted before adds to what is, day by day; the count of this run is its own."""
        daily = DailyTraffic(100)
        daily.add(100, 1, 10)
        days = {100: Traffic(2, 20), 99: Traffic(3, 30), 100 - DAYS: Traffic(4, 40)}
        daily.restore(101, Past(days, Traffic(9, 90)))
        self.assertEqual(daily.days(101)[:4], [NONE, Traffic(3, 30), Traffic(3, 30), NONE])
        self.assertEqual(daily.days(101)[-1], NONE)
        self.assertEqual((daily.total, daily.counted), (Traffic(10, 100), Traffic(1, 10)))

    def test_restored_days_that_are_to_come(self) -> None:
        """The clock went wrong: they are not today's, and show in no place."""
        daily = DailyTraffic(100)
        daily.restore(100, Past({101: Traffic(1, 1)}, Traffic(1, 1)))
        self.assertEqual(daily.days(100), [NONE] * DAYS)
        self.assertEqual(daily.total, Traffic(1, 1))

    @given(st.lists(st.tuples(st.integers(-3, 9), st.integers(0, 1 << 40), st.integers(0, 99))))
    def test_the_total_is_the_sum(self, steps: list[tuple[int, int, int]]) -> None:
        daily, day = DailyTraffic(1000), 1000
        for passed, in_bytes, out_bytes in steps:
            day += passed
            daily.add(day, in_bytes, out_bytes)
        self.assertEqual(
            daily.total, Traffic(sum(each[1] for each in steps), sum(each[2] for each in steps))
        )


class AccountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.ledger = Ledger(self.time)
        self.account = self.ledger.open_account()
        self.meter = Meter()

    def test_a_new_account_is_empty(self) -> None:
        self.assertEqual(self.account.days(), [NONE] * DAYS)
        self.assertEqual(self.account.total(), NONE)
        self.assertEqual((self.account.connections, self.ledger.connections), (0, 0))

    def test_bytes_show_while_they_move(self) -> None:
        self.account.track(self.meter)
        self.meter.up_bytes, self.meter.down_bytes = 5, 7
        self.assertEqual(self.account.total(), Traffic(5, 7))
        self.assertEqual(self.account.days()[0], Traffic(5, 7))
        self.assertEqual(self.ledger.days()[0], Traffic(5, 7))

    def test_today_alone(self) -> None:
        move(self.account, 1, 2)
        self.time.seconds += DAY
        self.assertEqual((self.account.today(), self.ledger.latest()), (NONE, NONE))
        self.account.track(self.meter)
        self.meter.up_bytes = 5
        self.assertEqual(self.account.today(), Traffic(5, 0))
        self.assertEqual(self.account.today(), self.account.days()[0])
        self.meter.down_bytes = 7
        self.assertEqual(self.ledger.latest(), Traffic(5, 7))
        self.assertEqual(self.ledger.latest(), self.ledger.days()[0])
        self.assertEqual(self.account.today(), Traffic(5, 7))

    def test_looking_counts_nothing_twice(self) -> None:
        self.account.track(self.meter)
        self.meter.up_bytes = 5
        for _ in range(3):
            self.ledger.days()
            self.account.days()
        self.meter.up_bytes = 6
        self.account.untrack(self.meter)
        self.assertEqual(self.account.total(), Traffic(6, 0))
        self.assertEqual(self.ledger.days()[0], Traffic(6, 0))

    def test_what_a_meter_counts_after_the_end_is_nobodys(self) -> None:
        self.account.track(self.meter)
        self.account.untrack(self.meter)
        self.meter.up_bytes = 5
        self.assertEqual(self.account.total(), NONE)

    def test_bytes_from_before_the_tracking_count(self) -> None:
        self.meter.down_bytes = 3
        self.account.track(self.meter)
        self.assertEqual(self.account.total(), Traffic(0, 3))

    def test_connections(self) -> None:
        other = self.ledger.open_account()
        self.account.track(self.meter)
        one = Meter()
        self.account.track(one)
        other.track(Meter())
        self.assertEqual((self.account.connections, self.ledger.connections), (2, 3))
        self.account.untrack(self.meter)
        self.account.untrack(one)
        self.assertEqual((self.account.connections, self.ledger.connections), (0, 1))

    def test_an_unknown_meter_is_a_bug(self) -> None:
        self.assertRaises(KeyError, self.account.untrack, self.meter)
        self.assertEqual((self.account.connections, self.ledger.connections), (0, 0))

    def test_only_accounts_with_running_meters_are_asked(self) -> None:
        second = Meter()
        self.account.track(self.meter)
        self.account.track(second)
        self.account.untrack(self.meter)
        self.assertEqual(list(self.ledger.busy.values()), [self.account])
        self.account.untrack(second)
        self.assertEqual(self.ledger.busy, {})

    def test_a_connection_that_is_over(self) -> None:
        move(self.account, 1, 2)
        move(self.account, 10, 20)
        self.assertEqual(self.account.days()[0], Traffic(11, 22))
        self.assertEqual(self.ledger.days()[0], Traffic(11, 22))


class Noted:
    """A tally that writes everything down."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, int, int]] = []
        self.days: list[int] = []

    def count(self, name: str, type: str, day: int, in_bytes: int, out_bytes: int) -> None:  # noqa: A002
        self.notes.append((name, type, in_bytes, out_bytes))
        self.days.append(day)


class TallyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.ledger = Ledger(self.time)
        self.ledger.tallies.append(Noted())
        (self.tally,) = self.ledger.tallies
        self.account = self.ledger.open_account("ssh", "tcp")

    def test_told_of_what_moves(self) -> None:
        assert isinstance(self.tally, Noted)
        meter = Meter()
        self.account.track(meter)
        self.ledger.settle()
        self.assertEqual(self.tally.notes, [], "nothing has moved")
        meter.up_bytes, meter.down_bytes = 3, 4
        self.ledger.settle()
        self.ledger.settle()
        move(self.account, 5, 0)
        meter.down_bytes = 10
        self.account.untrack(meter)
        self.assertEqual(
            self.tally.notes,
            [("ssh", "tcp", 3, 4), ("ssh", "tcp", 5, 0), ("ssh", "tcp", 0, 6)],
        )

    def test_not_told_of_what_is_restored(self) -> None:
        assert isinstance(self.tally, Noted)
        past = Past({self.ledger.today(): Traffic(1, 2)}, Traffic(10, 20))
        self.account.restore(past)
        self.ledger.restore(past)
        self.assertEqual(self.tally.notes, [])
        self.assertEqual(self.account.days()[0], Traffic(1, 2))
        self.assertEqual((self.account.total(), self.account.counted()), (Traffic(10, 20), NONE))
        self.assertEqual((self.ledger.total(), self.ledger.days()[0]), (past.total, Traffic(1, 2)))

    def test_the_day_that_ends(self) -> None:
        assert isinstance(self.tally, Noted)
        meter = Meter()
        self.account.track(meter)
        meter.up_bytes = 1
        self.time.seconds = MIDNIGHT
        self.ledger.today()
        meter.up_bytes = 3
        self.account.untrack(meter)
        self.assertEqual([note[2] for note in self.tally.notes], [1, 2])
        self.assertEqual(self.tally.days[1] - self.tally.days[0], 1)


class DayChangeTests(SynchronousTestCase):
    """A transfer over midnight belongs to both days."""

    def setUp(self) -> None:
        self.time = Time(MIDNIGHT - HOUR)
        self.ledger = Ledger(self.time)
        self.account = self.ledger.open_account()
        self.meter = Meter()
        self.account.track(self.meter)
        self.meter.down_bytes = 100

    def test_what_nobody_saw_move_belongs_to_the_day_of_the_last_look(self) -> None:
        self.time.seconds = MIDNIGHT
        self.ledger.settle()
        self.meter.down_bytes = 130
        self.time.seconds = MIDNIGHT + HOUR
        self.assertEqual(self.account.days()[:2], [NONE, Traffic(0, 130)])

    def test_the_first_look_of_a_day_settles_the_old_one(self) -> None:
        self.time.seconds = MIDNIGHT
        self.assertEqual(self.account.days()[:2], [NONE, Traffic(0, 100)])
        self.meter.down_bytes = 130
        self.assertEqual(self.account.days()[:2], [Traffic(0, 30), Traffic(0, 100)])
        self.assertEqual(self.ledger.days()[:2], [Traffic(0, 30), Traffic(0, 100)])

    def test_any_event_of_the_new_day_is_a_look(self) -> None:
        self.time.seconds = MIDNIGHT + 1
        move(self.ledger.open_account(), 1, 1)
        self.meter.down_bytes = 130
        self.assertEqual(self.account.days()[:2], [Traffic(0, 30), Traffic(0, 100)])

    def test_the_end_of_the_transfer_is_a_look(self) -> None:
        self.time.seconds = MIDNIGHT + 1
        self.account.untrack(self.meter)
        self.assertEqual(self.account.days()[:2], [NONE, Traffic(0, 100)])

    def test_a_month_passes(self) -> None:
        self.account.untrack(self.meter)
        self.time.seconds = MIDNIGHT + (DAYS - 1) * DAY - HOUR
        self.assertEqual(self.account.days()[-1], Traffic(0, 100))
        self.time.seconds = MIDNIGHT + (DAYS - 1) * DAY + HOUR
        self.assertEqual(self.account.days(), [NONE] * DAYS)

    def test_seconds_to_midnight(self) -> None:
        self.assertEqual(self.ledger.seconds_to_midnight(), HOUR)
        self.time.seconds = MIDNIGHT - MINUTE
        self.assertEqual(self.ledger.seconds_to_midnight(), MINUTE)
        self.time.seconds = MIDNIGHT
        self.assertGreater(self.ledger.seconds_to_midnight(), 22 * HOUR)

    def test_a_clock_put_back_by_days(self) -> None:
        self.time.seconds = MIDNIGHT - 3 * DAY
        self.assertEqual(self.account.days()[0], Traffic(0, 100))
        self.time.seconds += DAY
        self.assertEqual(self.account.days()[:2], [NONE, Traffic(0, 100)])


class SumTests(SynchronousTestCase):
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.sampled_from(["track", "move", "untrack", "add", "look", "pass"]),
                st.integers(0, 1 << 33),
            ),
            max_size=60,
        )
    )
    def test_nothing_is_lost_and_nothing_counted_twice(
        self, steps: list[tuple[int, str, int]]
    ) -> None:
        """Whatever the order of events: each account has its own bytes, the ledger all."""
        clock = Time()
        ledger = Ledger(clock)
        accounts = [ledger.open_account() for _ in range(3)]
        running: list[list[Meter]] = [[], [], []]
        moved = [0, 0, 0]
        for which, event, amount in steps:
            account, meters = accounts[which], running[which]
            if event == "track":
                meters.append(Meter())
                account.track(meters[-1])
            elif event == "move" and meters:
                meters[amount % len(meters)].up_bytes += amount
                moved[which] += amount
            elif event == "untrack" and meters:
                account.untrack(meters.pop(amount % len(meters)))
            elif event == "add":
                move(account, amount, 0)
                moved[which] += amount
            elif event == "look":
                ledger.days()
            elif event == "pass":
                clock.seconds += amount % DAY
        self.assertEqual([account.total().in_bytes for account in accounts], moved)
        ledger.settle()
        self.assertEqual(ledger.daily.total, Traffic(sum(moved), 0))
        self.assertEqual(ledger.connections, sum(map(len, running)))
