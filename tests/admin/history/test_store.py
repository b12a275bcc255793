# -*- test-case-name: tests.admin.history.test_store -*-
"""Tests of `tunnelsvc.admin.history.store`."""

import sqlite3

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.history.support import TODAY, StoreTestCase, event, record, ssh
from tests.metrics.test_traffic import NOON, Time
from tunnelsvc.admin.history import store as store_module
from tunnelsvc.admin.history.store import ID_GAP, KEPT_EVENT_SECONDS
from tunnelsvc.admin.history.values import Batch
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.metrics.journal import NOBODY, Changes, Moved
from tunnelsvc.metrics.retention import REMEMBERED_SECONDS
from tunnelsvc.metrics.traffic import DAYS, Past, Traffic
from tunnelsvc.units import DAY, HOUR


class LoadTests(StoreTestCase):
    def test_nothing(self) -> None:
        loaded = self.load()
        self.assertEqual((loaded.past, loaded.proxies, loaded.events), (Past(), (), ()))
        self.assertEqual((loaded.rules, loaded.next_batch), (None, 1))
        self.assertEqual(loaded.next_event_id, 1)

    def test_traffic(self) -> None:
        """Batches add up, by day; all proxies together have a sum of their own."""
        self.write(ssh(1), ssh(100, TODAY - 1), proxies=[record(closed_at=NOON)])
        self.write(ssh(2), Moved(*NOBODY, TODAY, 50, 50))
        loaded = self.load()
        (proxy,) = loaded.proxies
        days = {TODAY: Traffic(3, 6), TODAY - 1: Traffic(100, 200)}
        self.assertEqual(proxy, evolve(record(closed_at=NOON), past=Past(days, Traffic(103, 206))))
        days[TODAY] = Traffic(53, 56)
        self.assertEqual(loaded.past, Past(days, Traffic(153, 256)))

    def test_days_that_arent_shown(self) -> None:
        """Old ones, and those to come, are in the total only; they stay where they are."""
        self.write(ssh(1, TODAY - DAYS - 1), ssh(2, TODAY + 1), proxies=[record(closed_at=NOON)])
        self.assertEqual(self.load().proxies[0].past, Past({}, Traffic(3, 6)))
        later = self.load(today=TODAY + 1).proxies[0].past
        self.assertEqual(later.days, {TODAY + 1: Traffic(2, 4)})

    def test_who_was_online_is_offline(self) -> None:
        """Since the last moment that we know of."""
        self.write(proxies=[record()], at=NOON)
        self.write(events=(event(1),), at=NOON + 5)
        (proxy,) = self.load(now=NOON + HOUR).proxies
        self.assertEqual(proxy.closed_at, NOON + 5)

    def test_who_was_offline_for_long_is_left_out(self) -> None:
        self.write(proxies=[record("old", NOON - REMEMBERED_SECONDS - 1), record("new", NOON)])
        self.assertEqual([proxy.name for proxy in self.load().proxies], ["new"])

    def test_of_two_types_the_later(self) -> None:
        old = evolve(record(closed_at=NOON - 1), type="http")
        self.write(proxies=[record(closed_at=NOON), old])
        self.assertEqual([proxy.type for proxy in self.load().proxies], ["tcp"])

    def test_events(self) -> None:
        """The latest, in order; ids leave room for those that a crash may have cost."""
        self.write(events=(event(1, client="a"), event(2, proxy="b")))
        loaded = self.load()
        self.assertEqual(loaded.events, (event(1, client="a"), event(2, proxy="b")))
        self.assertEqual(loaded.next_event_id, 2 + ID_GAP)

    def test_rules(self) -> None:
        self.write(rules='{"blocks": []}')
        self.write(ssh(1))
        self.assertEqual(self.load().rules, {"blocks": []})
        self.store.close()
        self.store = self.open()
        self.assertEqual(self.load().rules, {"blocks": []})

    def test_garbage_in_the_columns(self) -> None:
        """Whoever has edited it: what can be used is."""
        self.write(ssh(1), proxies=[record(closed_at=NOON)], events=(event(1),))
        self.store._database.executescript(
            "INSERT INTO events VALUES (2, 'when', 7, x'ff', '', '', '', '');"
            "INSERT INTO traffic VALUES ('ssh', 'tcp', '2026-99-99', 1, 1);"
            "INSERT INTO traffic VALUES ('', '', '2026-07-01', 'many', -1);"
            "UPDATE proxies SET user = CAST(x'ff41' AS TEXT), in_bytes = 'x' WHERE name = 'ssh';"
            "DELETE FROM proxies WHERE name = '';"
            "UPDATE state SET value = 'x' WHERE key = 'batch'"
        )
        loaded = self.load()
        self.assertEqual(loaded.events, (event(1),))
        self.assertEqual(loaded.proxies[0].user, "\ufffdA")
        self.assertEqual(loaded.proxies[0].past.total, Traffic(0, 2))
        self.assertEqual(loaded.next_event_id, 2 + ID_GAP)
        self.write(ssh(1))
        self.assertEqual(self.load().past.total, Traffic(1, 2))


class WriteTests(StoreTestCase):
    def test_a_batch_counts_once(self) -> None:
        """However often it is tried."""
        batch = Batch(
            number=1,
            at=NOON,
            today=TODAY,
            changes=Changes(moved=(ssh(1),), proxies=(record(closed_at=NOON),)),
        )
        for _ in range(3):
            self.store.write(batch)
        self.assertEqual(self.load().past.total, Traffic(1, 2))
        self.store.write(evolve(batch, number=2))
        self.assertEqual(self.load().past.total, Traffic(2, 4))

    def test_all_or_nothing(self) -> None:
        changes = Changes(moved=(ssh(1),), proxies=(record(closed_at=NOON),))
        # The last statement of a batch fails, as it may on a full disk.
        self.store._database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
        batch = Batch(number=1, at=NOON, today=TODAY, changes=changes, events=(event(1),))
        self.assertRaises(sqlite3.Error, self.store.write, batch)
        self.assertEqual((self.load().proxies, self.load().past.total), ((), Traffic(0, 0)))
        self.store._database.execute("DROP TRIGGER full")
        self.store.write(batch)
        self.assertEqual(self.load().past.total, Traffic(1, 2))

    def test_a_proxy_that_was_forgotten_here(self) -> None:
        """What is saved of it comes back, without what this batch adds."""
        self.write(ssh(1), proxies=[record(closed_at=NOON)])
        stats = ServerStats(Time())
        fresh = [
            stats.proxy_online(name, type="tcp", conf={}, run_id="r")
            for name in ("ssh", "new", "\ud800")
        ]
        past = self.store.write(
            Batch(
                number=9,
                at=NOON,
                today=TODAY,
                changes=Changes(fresh=fresh, proxies=(record(),), moved=(ssh(5),)),
            )
        )
        known = Past({TODAY: Traffic(1, 2)}, Traffic(1, 2))
        self.assertEqual(past, [known, Past(), Past()])

    def test_cleared(self) -> None:
        """It's gone with its traffic; the sum stays, and who still has it open adds to that."""
        self.write(ssh(1), proxies=[record(closed_at=NOON)])
        self.write(ssh(2), cleared=[("ssh", "tcp"), ("\ud800", "tcp")])
        loaded = self.load()
        self.assertEqual((loaded.proxies, loaded.past.total), ((), Traffic(3, 6)))
        self.write(ssh(4), proxies=[record(closed_at=NOON)])
        self.assertEqual(self.load().proxies[0].past.total, Traffic(4, 8))

    def test_a_name_that_cant_be_saved(self) -> None:
        name = "\ud800"
        self.write(ssh(1, name=name), proxies=[record(name, NOON)], events=(event(1, proxy=name),))
        loaded = self.load()
        self.assertEqual((loaded.proxies, loaded.past.total), ((), Traffic(1, 2)))
        self.assertEqual(loaded.events[0].proxy, "?")

    def test_injection(self) -> None:
        name = "x'); DROP TABLE proxies; --"
        self.write(ssh(1, name=name), proxies=[record(name, NOON)])
        self.assertEqual(self.load().proxies[0].name, name)
        self.write(cleared=[(name, "tcp")])
        self.assertEqual(self.load().proxies, ())


class ForgetTests(StoreTestCase):
    """What is too old or too much goes; what the clock only thinks so stays."""

    def test_days(self) -> None:
        self.patch(store_module, "KEPT_DAYS", 5)
        for age in range(8):
            self.write(ssh(1, TODAY - age), proxies=[record(closed_at=NOON)])
        self.store.forget(NOON)
        days = self.load().past.days
        self.assertEqual(sorted(days), [TODAY - age for age in reversed(range(5))])
        self.assertEqual(self.load().past.total, Traffic(8, 16))
        self.assertEqual(self.load().proxies[0].past.days, days)

    def test_a_clock_that_jumps(self) -> None:
        """To the year 2099 and back: all is still there."""
        self.write(ssh(1), proxies=[record(closed_at=NOON)], events=(event(1),))
        self.store.close()
        self.store = self.open()
        self.write(ssh(1, TODAY + 27_000), at=NOON + 27_000 * DAY)
        self.store.forget(NOON + 27_000 * DAY)
        loaded = self.load()
        self.assertEqual(loaded.past.days, {TODAY: Traffic(1, 2)})
        self.assertEqual(len(loaded.events), 1)

    def test_proxies(self) -> None:
        self.patch(store_module, "KEPT_PROXIES", 2)
        records = [record(f"p{age}", NOON - age) for age in range(4)]
        self.write(
            *(ssh(1, name=each.name) for each in records), proxies=[*records, record("here")]
        )
        self.store.forget(NOON)
        # Whoever is online is none of them; the sum of all is none either.
        names = {row[0] for row in self.store._database.execute("SELECT name FROM proxies")}
        self.assertEqual(names, {"", "p0", "p1", "here"})
        names = {row[0] for row in self.store._database.execute("SELECT name FROM traffic")}
        self.assertEqual(names, {"", "p0", "p1"})

    def test_names_without_end(self) -> None:
        """Old proxies are forgotten at once when too many new ones come."""
        self.patch(store_module, "KEPT_PROXIES", 2)
        self.patch(store_module, "FORGETTING", 4)
        stats = ServerStats(Time())
        for number in range(10):
            fresh = stats.proxy_online(f"p{number}", type="tcp", conf={}, run_id="r")
            self.write(proxies=[record(fresh.name, NOON + number)], fresh=[fresh])
        self.assertLess(len(self.load().proxies), 6)

    def test_events(self) -> None:
        self.patch(store_module, "KEPT_EVENTS", 3)
        self.write(events=tuple(event(number) for number in range(1, 6)))
        self.store.forget(NOON)
        self.assertEqual([each.id for each in self.load().events], [3, 4, 5])

    def test_old_events(self) -> None:
        old = NOON - KEPT_EVENT_SECONDS - 1
        self.write(events=(event(1, old), event(2, old + 2)))
        self.store.close()
        self.store = self.open()
        self.store.forget(NOON)
        self.assertEqual([each.id for each in self.load().events], [2])


class ExplainTests(SynchronousTestCase):
    def test_a_batch_of_nothing(self) -> None:
        self.assertFalse(Batch(number=1, at=NOON, today=TODAY))
        self.assertTrue(Batch(number=1, at=NOON, today=TODAY, rules=""))
