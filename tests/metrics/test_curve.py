# -*- test-case-name: tests.metrics.test_curve -*-
"""Tests of `tunnelsvc.metrics.curve`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.moving import move
from tests.metrics.test_traffic import NOON, Time
from tunnelsvc.metrics.curve import NO_RATE, POINTS, SAMPLE_SECONDS, Curves
from tunnelsvc.metrics.traffic import Ledger
from tunnelsvc.relay import Meter


class CurvesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.ledger = Ledger(self.time)
        self.ssh = self.ledger.open_account("ssh", "tcp")
        self.web = self.ledger.open_account("web", "http")
        self.curves = Curves(self.ledger)
        self.curves.begin(self.time())

    def sample(self, seconds: float = SAMPLE_SECONDS) -> None:
        self.time.seconds += seconds
        self.curves.sample(self.time())

    def test_nothing(self) -> None:
        self.sample()
        self.assertEqual(self.curves.total(), [NO_RATE] * POINTS)
        self.assertEqual(self.curves.of("ssh"), [NO_RATE] * POINTS)
        self.assertEqual((self.curves.rate(), self.curves.rate_of("ssh")), (NO_RATE, NO_RATE))

    def test_running_transfers(self) -> None:
        meter = Meter()
        self.ssh.track(meter)
        meter.up_bytes, meter.down_bytes = 100, 3000
        self.sample()
        move(self.web, 50, 0)
        meter.down_bytes = 4000
        self.sample()
        self.assertEqual(self.curves.of("ssh")[-3:], [NO_RATE, (50.0, 1500.0), (0.0, 500.0)])
        self.assertEqual(self.curves.of("web")[-3:], [NO_RATE, NO_RATE, (25.0, 0.0)])
        self.assertEqual(self.curves.total()[-3:], [NO_RATE, (50.0, 1500.0), (25.0, 500.0)])
        self.assertEqual(self.curves.rate(), (25.0, 500.0))
        self.assertEqual(self.curves.rate_of("ssh"), (0.0, 500.0))
        self.assertEqual(len(self.curves.of("ssh")), POINTS)

    def test_a_pause_is_zeros(self) -> None:
        move(self.ssh, 2, 2)
        self.sample()
        for _ in range(3):
            self.sample()
        move(self.ssh, 4, 0)
        self.sample()
        expected = [(1.0, 1.0), NO_RATE, NO_RATE, NO_RATE, (2.0, 0.0)]
        self.assertEqual(self.curves.of("ssh")[-5:], expected)
        self.assertEqual(self.curves.total()[-5:], expected)

    def test_a_curve_of_zeros_is_forgotten(self) -> None:
        move(self.ssh, 2, 2)
        self.sample()
        for _ in range(POINTS - 1):
            self.sample()
        self.assertEqual(self.curves.of("ssh"), [(1.0, 1.0)] + [NO_RATE] * (POINTS - 1))
        self.assertEqual(list(self.curves._rings), ["ssh"])
        self.sample()
        self.assertEqual(list(self.curves._rings), [])
        self.assertEqual(self.curves.total(), [NO_RATE] * POINTS)

    def test_what_moved_before_is_in_no_curve(self) -> None:
        curves = Curves(self.ledger)
        move(self.ssh, 1, 1)
        meter = Meter()
        self.ssh.track(meter)
        meter.up_bytes = 10
        curves.begin(self.time())
        curves.sample(self.time() + SAMPLE_SECONDS)
        self.assertEqual(curves.total(), [NO_RATE] * POINTS)

    def test_ended(self) -> None:
        self.curves.end()
        move(self.ssh, 1, 1)
        self.assertEqual((self.ledger.tallies, self.curves._moved), ([], {}))

    def test_late_samples(self) -> None:
        """Who was busy for ten seconds has moved it all the time."""
        move(self.ssh, 100, 0)
        self.sample(5 * SAMPLE_SECONDS)
        self.assertEqual(self.curves.of("ssh")[-6:], [NO_RATE] + [(10.0, 0.0)] * 5)
        self.assertEqual(self.curves.total()[-6:], [NO_RATE] + [(10.0, 0.0)] * 5)

    def test_a_clock_that_is_set(self) -> None:
        move(self.ssh, 100, 0)
        self.sample(-3600)
        self.assertEqual(self.curves.rate_of("ssh"), (50.0, 0.0))
        move(self.ssh, 100, 0)
        self.sample(1e9)
        self.assertEqual(self.curves.of("ssh"), [(100 / 1e9, 0.0)] * POINTS)

    def test_points_have_numbers(self) -> None:
        before = self.curves.number
        self.sample(SAMPLE_SECONDS)
        self.assertEqual(self.curves.number, before + 1)
        self.sample(3 * SAMPLE_SECONDS)
        self.assertEqual(self.curves.number, before + 4)

    @given(
        st.lists(
            st.tuples(st.sampled_from(["ssh", "web", "-"]), st.integers(0, 1 << 40)), max_size=400
        )
    )
    def test_the_last_points_whatever_moves(self, steps: list[tuple[str, int]]) -> None:
        """A curve is what its proxy has moved in the last samples, the newest last."""
        time = Time(NOON)
        ledger = Ledger(time)
        curves = Curves(ledger)
        curves.begin(time())
        accounts = {name: ledger.open_account(name, "tcp") for name in ("ssh", "web")}
        expected: dict[str, list[tuple[float, float]]] = {
            name: [NO_RATE] * POINTS for name in accounts
        }
        for name, amount in steps:
            if name in accounts:
                move(accounts[name], amount, 1)
            for each, points in expected.items():
                points.append((amount / SAMPLE_SECONDS, 0.5) if each == name else NO_RATE)
            time.seconds += SAMPLE_SECONDS
            curves.sample(time())
        for name, points in expected.items():
            self.assertEqual(curves.of(name), points[-POINTS:])
            self.assertEqual(curves.rate_of(name), points[-1])
