# -*- test-case-name: tests.control.test_heartbeat -*-
"""Tests of `tunnelsvc.control.heartbeat`."""

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.control.heartbeat import JITTER, Pinger, Watchdog


class WatchdogTests(SynchronousTestCase):
    """Barks once when it isn't fed."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.barks: list[float] = []

    def watchdog(self, seconds: float) -> Watchdog:
        return Watchdog(self.clock, seconds, lambda: self.barks.append(self.clock.seconds()))

    def test_barks_once(self) -> None:
        dog = self.watchdog(90)
        self.clock.pump([60] * 5)
        self.assertEqual(self.barks, [120])
        dog.feed()
        dog.stop()

    def test_fed(self) -> None:
        dog = self.watchdog(90)
        for _ in range(5):
            self.clock.advance(60)
            dog.feed()
        self.assertEqual(self.barks, [])
        self.clock.advance(90)
        self.assertEqual(len(self.barks), 1)

    def test_stopped(self) -> None:
        dog = self.watchdog(90)
        dog.stop()
        dog.stop()
        dog.feed()
        self.clock.advance(1000)
        self.assertEqual(self.barks, [])

    def test_off(self) -> None:
        for seconds in (0, -1):
            self.watchdog(seconds).feed()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PingerTests(SynchronousTestCase):
    """Beats at once and then regularly."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.beats: list[float] = []

    def pinger(self, seconds: float) -> Pinger:
        return Pinger(
            self.clock, seconds, lambda: self.beats.append(self.clock.seconds()), Random(1)
        )

    def test_beats(self) -> None:
        pinger = self.pinger(30)
        self.assertEqual(self.beats, [0])
        self.clock.pump([0.5] * 400)
        gaps = [b - a for a, b in zip(self.beats, self.beats[1:], strict=False)]
        self.assertGreaterEqual(len(gaps), 6)
        for gap in gaps:
            self.assertTrue(30 * (1 - JITTER) <= gap <= 30.5)
        pinger.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_off(self) -> None:
        self.pinger(0).stop()
        self.pinger(-1)
        self.assertEqual((self.beats, self.clock.getDelayedCalls()), ([], []))

    def test_a_beat_that_stops_it(self) -> None:
        """Sending may find the session dead and stop the pinger from within."""
        pinger: Pinger

        def beat() -> None:
            self.beats.append(0)
            if len(self.beats) > 1:
                pinger.stop()

        pinger = Pinger(self.clock, 30, beat, Random(1))
        self.clock.advance(30)
        self.assertEqual(self.clock.getDelayedCalls(), [])
