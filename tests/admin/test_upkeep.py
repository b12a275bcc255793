# -*- test-case-name: tests.admin.test_upkeep -*-
"""Tests of `tunnelsvc.admin.upkeep`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.moving import move
from tests.metrics.test_traffic import MIDNIGHT
from tunnelsvc.admin.upkeep import LAG_INTERVAL_SECONDS, MOST_ROLL_SECONDS, Upkeep
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.metrics.curve import SAMPLE_SECONDS
from tunnelsvc.metrics.traffic import Traffic
from tunnelsvc.relay import Meter
from tunnelsvc.units import HOUR


class UpkeepTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(MIDNIGHT - 90 * 60)
        self.stats = ServerStats(self.clock.seconds)
        self.lags: list[float] = []

    def start(self, *, lag: bool = False) -> Upkeep:
        upkeep = Upkeep(self.stats, self.clock, self.lags.append if lag else None)
        upkeep.start()
        return upkeep

    def test_the_day_ends_at_midnight_though_nobody_looks(self) -> None:
        self.start()
        proxy, meter = self.stats.proxy_online("a", type="tcp", conf={}, run_id="r"), Meter()
        proxy.track(meter)
        meter.up_bytes = 1
        self.clock.advance(HOUR)
        meter.up_bytes = 3
        self.clock.advance(HOUR / 2)
        meter.up_bytes = 7
        self.clock.advance(HOUR / 2)
        self.assertEqual(proxy.last_days()[:2], [Traffic(4, 0), Traffic(3, 0)])

    def test_it_looks_often_enough_to_notice_a_changed_clock(self) -> None:
        self.start()
        calls = [call.getTime() - self.clock.seconds() for call in self.clock.getDelayedCalls()]
        self.assertEqual(calls, [SAMPLE_SECONDS, MOST_ROLL_SECONDS])

    def test_nothing_is_left_after_the_end(self) -> None:
        upkeep = self.start(lag=True)
        self.assertEqual(len(self.clock.getDelayedCalls()), 3)
        upkeep.stop()
        upkeep.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_curves(self) -> None:
        """They are drawn while it runs."""
        proxy = self.stats.proxy_online("a", type="tcp", conf={}, run_id="r")
        move(proxy, 1, 1)
        upkeep = self.start()
        move(proxy, 4, 8)
        self.clock.pump([SAMPLE_SECONDS] * 2)
        self.assertEqual(self.stats.curves.of("a")[-3:], [(0.0, 0.0), (2.0, 4.0), (0.0, 0.0)])
        upkeep.stop()
        move(proxy, 1, 1)
        self.clock.advance(SAMPLE_SECONDS)
        self.assertEqual(self.stats.curves.total()[-2:], [(2.0, 4.0), (0.0, 0.0)])

    def test_a_reactor_on_time(self) -> None:
        self.start(lag=True)
        self.clock.pump([LAG_INTERVAL_SECONDS] * 3)
        self.assertEqual(self.lags, [0.0] * 3)

    def test_a_reactor_that_was_busy(self) -> None:
        self.start(lag=True)
        self.clock.advance(LAG_INTERVAL_SECONDS + 0.25)
        self.clock.advance(LAG_INTERVAL_SECONDS)
        self.assertEqual(self.lags, [0.25, 0.0])
