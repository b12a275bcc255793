# -*- test-case-name: tests.metrics.test_journal -*-
"""Tests of `tunnelsvc.metrics.journal`, and of how the counters use it."""

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.moving import move
from tests.metrics.test_traffic import MIDNIGHT, NONE, NOON, Time
from tunnelsvc.metrics import journal as journal_module
from tunnelsvc.metrics.counters import ProxyStats, ServerStats
from tunnelsvc.metrics.journal import NOBODY, Journal, Moved, ProxyRecord
from tunnelsvc.metrics.retention import MOST_REMEMBERED, REMEMBERED_SECONDS
from tunnelsvc.metrics.traffic import Past, Traffic
from tunnelsvc.relay import Meter
from tunnelsvc.units import HOUR


class StatsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.stats = ServerStats(self.time)

    def open(self, name: str, kind: str = "tcp") -> ProxyStats:
        return self.stats.proxy_online(name, type=kind, conf={}, run_id="r1", remote_addr=":6000")


class JournalTests(StatsCase):
    def setUp(self) -> None:
        super().setUp()
        self.journal = self.stats.keep_journal()
        self.today = self.stats.day()

    def test_nothing(self) -> None:
        self.assertFalse(self.journal.take())

    def test_traffic(self) -> None:
        """What has moved since the last time, by proxy and day, running transfers included."""
        ssh, meter = self.open("ssh"), Meter()
        ssh.track(meter)
        meter.up_bytes, meter.down_bytes = 1, 2
        self.stats.roll()
        move(self.open("web", "http"), 10, 20)
        move(ssh, 4, 4)
        self.assertEqual(
            self.journal.take().moved,
            (Moved("ssh", "tcp", self.today, 5, 6), Moved("web", "http", self.today, 10, 20)),
        )
        self.stats.roll()
        self.assertFalse(self.journal.take())

    def test_days(self) -> None:
        ssh, meter = self.open("ssh"), Meter()
        ssh.track(meter)
        meter.up_bytes = 1
        self.time.seconds = MIDNIGHT + HOUR
        self.stats.roll()
        meter.up_bytes = 3
        self.stats.roll()
        moved = [(each.day, each.in_bytes) for each in self.journal.take().moved]
        self.assertEqual(moved, [(self.today, 1), (self.today + 1, 2)])

    def test_proxies(self) -> None:
        proxy = self.open("ssh")
        changes = self.journal.take()
        record = ProxyRecord(
            name="ssh", type="tcp", client_id="r1", remote_addr=":6000", started_at=NOON
        )
        self.assertEqual((changes.proxies, changes.fresh), ((record,), (proxy,)))
        self.time.seconds += 1
        self.stats.proxy_offline("ssh", "kicked")
        (closed,) = self.journal.take().proxies
        self.assertEqual((closed.closed_at, closed.closed_reason), (NOON + 1, "kicked"))
        self.open("ssh")
        changes = self.journal.take()
        again = evolve(record, started_at=NOON + 1, closed_reason="kicked")
        self.assertEqual((changes.proxies, changes.fresh), ((again,), ()))

    def test_another_type_is_another_proxy(self) -> None:
        self.open("web")
        self.stats.proxy_offline("web")
        other = self.open("web", "http")
        self.assertEqual(self.journal.take().fresh[-1], other)

    def test_a_disabled_proxy_that_isnt_known(self) -> None:
        """Its traffic is wanted, though it isn't online."""
        self.stats.proxy_disabled("old", "tcp")
        changes = self.journal.take()
        self.assertEqual([proxy.name for proxy in changes.fresh], ["old"])
        self.assertEqual(changes.proxies, ())

    def test_cleared(self) -> None:
        """The server's sum keeps what moved."""
        move(self.open("ssh"), 1, 2)
        move(self.open("web"), 10, 20)
        self.stats.proxy_offline("ssh")
        self.stats.clear_offline_proxies()
        changes = self.journal.take()
        self.assertEqual(changes.cleared, (("ssh", "tcp"),))
        self.assertEqual([proxy.name for proxy in changes.fresh], ["web"])
        self.assertEqual([record.name for record in changes.proxies], ["web"])
        self.assertEqual(
            set(changes.moved),
            {Moved("web", "tcp", self.today, 10, 20), Moved(*NOBODY, self.today, 1, 2)},
        )

    def test_aging_forgets_nothing(self) -> None:
        self.open("ssh")
        self.stats.proxy_offline("ssh")
        self.time.seconds += REMEMBERED_SECONDS + 1
        self.assertIsNone(self.stats.proxy("ssh"))
        self.assertEqual(self.journal.take().cleared, ())

    def test_bounded(self) -> None:
        """While nothing can be saved: names without end cost no memory, and no traffic."""
        self.patch(journal_module, "MOST_MOVED", 10)
        for number in range(25):
            move(self.open(f"p{number}"), 1, 1)
        changes = self.journal.take()
        self.assertEqual(len(changes.proxies), 10)
        self.assertEqual(len(changes.fresh), 10)
        self.assertEqual(len(changes.moved), 11)
        self.assertEqual(sum(each.in_bytes for each in changes.moved), 25)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["count", "clear", "take"]),
                st.sampled_from("abc"),
                st.integers(1, 3),
                st.integers(0, 1 << 40),
            )
        )
    )
    def test_no_byte_is_lost_or_counted_twice(self, steps: list[tuple[str, str, int, int]]) -> None:
        journal, counted, taken = Journal(), 0, 0
        for what, name, day, amount in steps:
            if what == "count":
                journal.count(name, "tcp", day, amount, 0)
                counted += amount
            elif what == "clear":
                journal.cleared(name, "tcp")
            else:
                taken += sum(each.in_bytes for each in journal.take().moved)
        taken += sum(each.in_bytes for each in journal.take().moved)
        self.assertEqual(taken, counted)


class RestoreTests(StatsCase):
    def record(self, name: str, closed_at: float = NOON - HOUR) -> ProxyRecord:
        past = Past({self.stats.day(): Traffic(1, 2)}, Traffic(10, 20))
        return ProxyRecord(
            name=name,
            type="tcp",
            user="alice",
            client_id="laptop",
            remote_addr=":6000",
            started_at=closed_at - 1,
            closed_at=closed_at,
            closed_reason="gone",
            past=past,
        )

    def test_an_offline_proxy(self) -> None:
        self.stats.restore(Past(total=Traffic(100, 200)), [self.record("ssh")])
        (proxy,) = self.stats.proxies()
        self.assertEqual((proxy.name, proxy.type, proxy.online), ("ssh", "tcp", False))
        self.assertEqual((proxy.user, proxy.client_id), ("alice", "laptop"))
        self.assertEqual((proxy.remote_addr, proxy.closed_reason), (":6000", "gone"))
        self.assertEqual((proxy.started_at, proxy.closed_at), (NOON - HOUR - 1, NOON - HOUR))
        self.assertEqual((proxy.last_days()[0], proxy.total()), (Traffic(1, 2), Traffic(10, 20)))
        self.assertEqual(self.stats.total(), Traffic(100, 200))
        self.assertEqual(self.stats.proxies_by_type(), {"tcp": 0})

    def test_it_comes_back(self) -> None:
        self.stats.restore(Past(), [self.record("ssh")])
        journal = self.stats.keep_journal()
        proxy = self.open("ssh")
        move(proxy, 1, 1)
        self.assertEqual(proxy.total(), Traffic(11, 21))
        self.assertEqual(proxy.counted(), Traffic(1, 1))
        self.assertEqual(journal.take().fresh, ())

    def test_the_sum_isnt_the_proxies(self) -> None:
        """It has been saved of its own."""
        self.stats.restore(Past(), [self.record("ssh")])
        self.assertEqual((self.stats.total(), self.stats.last_days()[0]), (NONE, NONE))

    def test_bounded(self) -> None:
        count = MOST_REMEMBERED + 5
        self.stats.restore(Past(), [self.record(f"p{age}", NOON - age) for age in range(count)])
        self.assertEqual(len(self.stats.proxies()), MOST_REMEMBERED)
        self.assertIsNotNone(self.stats.proxy("p0"))
        self.assertIsNone(self.stats.proxy(f"p{count - 1}"))

    def test_too_old(self) -> None:
        self.stats.restore(Past(), [self.record("ssh", NOON - REMEMBERED_SECONDS - 1)])
        self.assertEqual(self.stats.proxies(), [])
