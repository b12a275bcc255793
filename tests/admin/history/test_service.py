# -*- test-case-name: tests.admin.history.test_service -*-
"""Tests of `tunnelsvc.admin.history.service`, with a clock and a worker without a thread."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.history.support import Inline
from tests.loglines import LogLines
from tests.metrics.moving import move
from tests.metrics.test_traffic import MIDNIGHT, NOON
from tunnelsvc.admin.history import database as database_module
from tunnelsvc.admin.history import service as service_module
from tunnelsvc.admin.history.place import Place
from tunnelsvc.admin.history.service import (
    COMPLAINT_SECONDS,
    FORGET_SECONDS,
    LAST_SECONDS,
    LIFE_SECONDS,
    SAVE_SECONDS,
    History,
    HistoryError,
)
from tunnelsvc.admin.history.store import ID_GAP, Store
from tunnelsvc.admin.history.values import SearchError
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.metrics.retention import REMEMBERED_SECONDS
from tunnelsvc.metrics.traffic import Traffic
from tunnelsvc.units import DAY


class FakeModeration:
    """Has rules that are a list of words."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.on_change: Callable[[], None] = lambda: None

    def rules(self) -> object:
        return self.words

    def restore(self, rules: Any) -> None:
        if not isinstance(rules, list):
            raise ValueError("no rules of ours")  # noqa: TRY004 - as the real one does
        self.words = rules


class Tunnel(Service):
    """What is saved: begins and ends as it's told."""

    def __init__(self, log: list[str], ending: Deferred[None] | None = None) -> None:
        self.log = log
        self.ending = ending
        self.taken = False

    def privilegedStartService(self) -> None:
        if self.taken:
            raise CannotListenError(None, 0, OSError())
        self.log.append("listens")

    def stopService(self) -> Deferred[None] | None:
        self.log.append("stops")
        return self.ending


@define(eq=False)
class Server:
    """One run of a server."""

    stats: ServerStats
    moderation: FakeModeration
    history: History
    worker: Inline
    tunnel: Tunnel
    log: list[str]


class HistoryTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.patch(database_module, "LOCK_SECONDS", 0.0)
        self.clock = Clock()
        self.clock.advance(NOON)
        self.directory: Path | None = Path(self.mktemp())

    def make(self) -> Server:
        stats, moderation, worker = ServerStats(self.clock.seconds), FakeModeration(), Inline()
        history = History(Place(self.directory), stats, moderation, self.clock, worker)
        log: list[str] = []
        tunnel = Tunnel(log)
        tunnel.setServiceParent(history)
        return Server(stats, moderation, history, worker, tunnel, log)

    def start(self) -> Server:
        server = self.make()
        server.history.privilegedStartService()
        server.history.startService()
        return server

    def stop(self, server: Server) -> None:
        self.successResultOf(server.history.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def kill(self, server: Server) -> None:
        """End it as a power cut would."""
        store = server.history._store
        assert store is not None
        store.close()
        for call in self.clock.getDelayedCalls():
            call.cancel()

    def open(self, server: Server, size: int = 0, name: str = "ssh") -> None:
        proxy = server.stats.proxy_online(name, type="tcp", conf={}, run_id="r1")
        move(proxy, size, size)

    def traffic(self, server: Server, name: str = "ssh") -> int:
        proxy = server.stats.proxy(name)
        return proxy.total().in_bytes if proxy else 0


class RestartTests(HistoryTestCase):
    def test_stopped(self) -> None:
        server = self.start()
        self.open(server, 5)
        server.stats.events.add("login", client="alice")
        server.stats.proxy_offline("ssh", "its client left")
        self.stop(server)
        again = self.start()
        (proxy,) = again.stats.proxies()
        self.assertEqual((proxy.online, proxy.closed_reason), (False, "its client left"))
        self.assertEqual(proxy.last_days()[0], Traffic(5, 5))
        self.assertEqual((again.stats.total(), again.stats.last_days()[0]), (Traffic(5, 5),) * 2)
        self.assertEqual([event.client for event in again.stats.events.recent()], ["alice"])
        again.stats.events.add("login")
        self.assertEqual([event.id for event in again.stats.events.recent()], [1, 1 + ID_GAP])
        self.stop(again)

    def test_restarts_add_up(self) -> None:
        for count in range(1, 4):
            server = self.start()
            self.open(server, 5)
            self.assertEqual(self.traffic(server), 5 * count)
            self.assertEqual(server.stats.last_days()[0], Traffic(5 * count, 5 * count))
            self.stop(server)

    def test_killed(self) -> None:
        """What is lost has come since the last batch."""
        server = self.start()
        self.open(server, 5)
        self.clock.advance(SAVE_SECONDS)
        self.open(server, 7)
        self.kill(server)
        again = self.start()
        self.assertEqual(self.traffic(again), 5)
        self.stop(again)

    def test_days(self) -> None:
        """What moved on a day is that day's, also if it's saved on the next."""
        server = self.start()
        self.clock.advance(MIDNIGHT - NOON - 1)
        self.open(server, 5)
        self.clock.advance(SAVE_SECONDS)
        self.open(server, 7)
        self.stop(server)
        self.clock.advance(DAY)
        again = self.start()
        days = [day.in_bytes for day in again.stats.last_days()[:4]]
        self.assertEqual(days, [0, 7, 5, 0])
        self.stop(again)

    def test_a_clock_put_back(self) -> None:
        """Nothing is counted twice, and nothing lost."""
        server = self.start()
        self.open(server, 5)
        self.stop(server)
        self.clock.rightNow -= 2 * DAY
        before = self.start()
        self.open(before, 7)
        self.assertEqual(before.stats.total(), Traffic(12, 12))
        self.stop(before)
        self.clock.rightNow += 2 * DAY
        again = self.start()
        self.assertEqual([day.in_bytes for day in again.stats.last_days()[:3]], [5, 0, 7])
        self.assertEqual(again.stats.total(), Traffic(12, 12))
        self.stop(again)

    def test_restored_before_anybody_listens(self) -> None:
        server = self.start()
        self.open(server, 5)
        server.stats.proxy_offline("ssh")
        server.moderation.words = ["x"]
        server.moderation.on_change()
        self.stop(server)
        again = self.make()
        self.patch(again.tunnel, "privilegedStartService", lambda: again.log.append(
            f"{self.traffic(again)} {again.moderation.words}"))  # fmt: skip
        again.history.privilegedStartService()
        self.assertEqual(again.log, ["5 ['x']"])
        again.history.startService()
        self.stop(again)

    def test_a_proxy_that_was_forgotten_here(self) -> None:
        """When it comes back after weeks, so does its traffic, within seconds."""
        server = self.start()
        self.open(server, 5)
        server.stats.proxy_offline("ssh")
        self.clock.advance(SAVE_SECONDS)
        self.clock.advance(REMEMBERED_SECONDS + 1)
        self.assertIsNone(server.stats.proxy("ssh"))
        self.open(server, 7)
        self.assertEqual(self.traffic(server), 7)
        self.clock.advance(SAVE_SECONDS)
        self.assertEqual(self.traffic(server), 12)
        self.clock.advance(SAVE_SECONDS)
        self.assertEqual(self.traffic(server), 12)
        self.stop(server)
        again = self.start()
        self.assertEqual(self.traffic(again), 12)
        self.stop(again)

    def test_cleared(self) -> None:
        server = self.start()
        self.open(server, 5)
        server.stats.proxy_offline("ssh")
        server.stats.clear_offline_proxies()
        self.stop(server)
        again = self.start()
        self.assertEqual((again.stats.proxies(), again.stats.total()), ([], Traffic(5, 5)))
        self.open(again, 1)
        self.stop(again)
        self.assertEqual(self.traffic(again), 1)

    def test_the_last_words(self) -> None:
        """What happens while the others end is saved, too."""
        server = self.start()
        server.tunnel.ending = Deferred()
        stopped = server.history.stopService()
        self.open(server, 5)
        self.assertNoResult(stopped)
        server.tunnel.ending.callback(None)
        self.successResultOf(stopped)
        again = self.start()
        self.assertEqual(self.traffic(again), 5)
        self.stop(again)


class RulesTests(HistoryTestCase):
    def test_saved_at_once(self) -> None:
        server = self.start()
        server.moderation.words = ["a"]
        server.moderation.on_change()
        self.clock.advance(0)
        self.kill(server)
        again = self.start()
        self.assertEqual(again.moderation.words, ["a"])
        self.stop(again)

    def test_rules_that_cant_be_read(self) -> None:
        for number, value in enumerate(("nonsense", json.dumps({"a": 1}), 7), 1):
            server = self.start()
            store = server.history._store
            assert store is not None
            store._set("rules", value)
            self.stop(server)
            again = self.start()
            self.assertEqual(again.moderation.words, [])
            self.assertEqual(sum("isn't any more" in line for line in self.lines), number)
            store = again.history._store
            assert store is not None
            store._set("rules", None)
            self.stop(again)

    def test_too_many(self) -> None:
        """Traffic is saved nevertheless."""
        server = self.start()
        server.moderation.words = ["x" * (1 << 21)]
        server.moderation.on_change()
        self.open(server, 5)
        self.stop(server)
        again = self.start()
        self.assertEqual((again.moderation.words, self.traffic(again)), ([], 5))
        self.stop(again)


class TroubleTests(HistoryTestCase):
    def test_unset(self) -> None:
        self.directory = None
        server = self.start()
        self.assertFalse(server.history.is_on)
        (line,) = self.lines
        self.assertIn("data_dir isn't set", line)
        server.stats.events.add("login", client="alice")
        (event,) = self.successResultOf(server.history.events(text="ALICE"))
        self.assertEqual(event.kind, "login")
        self.assertEqual(self.successResultOf(server.history.events(group="admin")), [])
        server.moderation.on_change()
        self.successResultOf(server.history.save())
        self.stop(server)
        self.assertEqual(server.log, ["listens", "stops"])

    def test_unusable(self) -> None:
        first = self.start()
        second = self.start()
        self.assertEqual((first.history.is_on, second.history.is_on), (True, False))
        (line,) = [line for line in self.lines if "data_dir" in line]
        self.assertIn("another server has", line)
        self.successResultOf(second.history.stopService())
        self.stop(first)

    def test_a_disk_that_hangs_at_the_start(self) -> None:
        def hang(job: object, seconds: float) -> None:
            raise TimeoutError("no answer within 20 s")

        server = self.make()
        self.patch(server.worker, "wait", hang)
        server.history.privilegedStartService()
        self.assertFalse(server.history.is_on)
        self.assertTrue(server.worker.ended)
        self.assertIn("no answer within 20 s", self.lines[0])

    def test_a_port_that_is_taken(self) -> None:
        """Another server can have the directory at once."""
        server = self.make()
        server.tunnel.taken = True
        self.assertRaises(CannotListenError, server.history.privilegedStartService)
        self.stop(self.start())

    def test_a_disk_that_hangs(self) -> None:
        """One batch is under way; the next one gathers, and is written when it's over."""
        server = self.start()
        server.worker.holding = True
        for _ in range(5):
            self.open(server, 5)
            self.clock.advance(SAVE_SECONDS)
        self.assertEqual(len(server.worker.held), 1)
        server.worker.release()
        self.clock.advance(SAVE_SECONDS)
        self.kill(server)
        again = self.start()
        self.assertEqual(self.traffic(again), 25)
        self.stop(again)

    def test_a_disk_that_hangs_at_the_end(self) -> None:
        server = self.start()
        server.worker.holding = True
        self.open(server, 5)
        stopped = server.history.stopService()
        self.assertNoResult(stopped)
        self.clock.advance(LAST_SECONDS)
        self.successResultOf(stopped)
        self.assertTrue(any("takes too long" in line for line in self.lines))
        server.worker.release()
        store = server.history._store
        self.assertIsNone(store)

    def test_a_full_disk(self) -> None:
        """Nothing is lost or counted twice; the log has a line now and then."""
        server = self.start()
        write = Store.write

        def full(store: Store, batch: Any) -> Any:
            if batch.number % 2:
                write(store, batch)  # it was written, though it seems not so
            raise sqlite3.OperationalError("database or disk is full")

        self.patch(Store, "write", full)
        for number in range(5):
            self.open(server, 5)
            server.stats.events.add("login", client=str(number))
            self.clock.advance(SAVE_SECONDS)
        self.assertEqual(len([line for line in self.lines if "disk is full" in line]), 1)
        self.clock.pump([SAVE_SECONDS] * int(COMPLAINT_SECONDS / SAVE_SECONDS))
        self.assertEqual(len([line for line in self.lines if "disk is full" in line]), 2)
        self.patch(Store, "write", write)
        self.clock.pump([SAVE_SECONDS] * 2)
        self.assertIn("history is saved again", self.lines)
        self.kill(server)
        again = self.start()
        self.assertEqual(self.traffic(again), 25)
        clients = [event.client for event in again.stats.events.recent()]
        self.assertEqual(clients, ["0", "1", "2", "3", "4"])
        self.stop(again)

    def test_events_without_end(self) -> None:
        self.patch(service_module, "MOST_EVENTS", 20)
        server = self.start()
        server.worker.holding = True
        for number in range(100):
            server.stats.events.add("kicked", client=str(number))
        self.assertLessEqual(len(server.history._events), 20)
        self.assertEqual(server.history._events[-1].client, "99")
        server.worker.release()
        self.stop(server)

    def test_nothing_to_do(self) -> None:
        """Then it isn't done, but once a minute: until when we lived."""
        server = self.start()
        batches: list[Any] = []

        def write(store: Store, batch: Any) -> list[Any]:
            batches.append(batch)
            return []

        self.patch(Store, "write", write)
        self.clock.pump([SAVE_SECONDS] * int(LIFE_SECONDS / SAVE_SECONDS))
        self.assertEqual(len(batches), 1)
        self.stop(server)
        self.assertEqual(len(batches), 2)

    def test_old_history_that_cant_be_deleted(self) -> None:
        def fails(store: Store, now: float) -> None:
            raise sqlite3.OperationalError("readonly")

        server = self.start()
        self.patch(Store, "forget", fails)
        self.clock.pump([SAVE_SECONDS] * int(FORGET_SECONDS / SAVE_SECONDS))
        self.assertTrue(any("can't be deleted" in line for line in self.lines))
        self.open(server, 5)
        self.stop(server)


class EventsTests(HistoryTestCase):
    def test_saved_and_unsaved(self) -> None:
        """Each is found once, wherever it is at present."""
        server = self.start()
        for number in range(3):
            server.stats.events.add("login", client=str(number))
        self.clock.advance(SAVE_SECONDS)
        server.worker.holding = True
        server.stats.events.add("login", client="3")
        self.clock.advance(SAVE_SECONDS)
        server.stats.events.add("logout", client="4")
        found = server.history.events()
        self.assertNoResult(found)
        server.worker.release()
        events = self.successResultOf(found)
        self.assertEqual([event.client for event in events], ["4", "3", "2", "1", "0"])
        page = self.successResultOf(server.history.events(before=events[1].id, limit=2))
        self.assertEqual([event.client for event in page], ["2", "1"])
        page = self.successResultOf(server.history.events(group="closure"))
        self.assertEqual([event.client for event in page], ["4"])
        self.stop(server)

    def test_a_question_that_cant_be_answered(self) -> None:
        def slow(store: Store, query: object) -> None:
            raise SearchError("the search takes too long")

        server = self.start()
        self.patch(Store, "search", slow)
        why = self.failureResultOf(server.history.events(), HistoryError)
        self.assertEqual(why.getErrorMessage(), "the search takes too long")
        server.worker.ended = True
        self.failureResultOf(server.history.events(), HistoryError)
        server.worker.ended = False
        self.stop(server)

    def test_older_than_memory(self) -> None:
        server = self.start()
        for number in range(1500):
            server.stats.events.add("kicked", client=str(number))
            if number % 100 == 0:
                self.clock.advance(SAVE_SECONDS)
        self.assertLess(len(server.stats.events.recent()), 1500)
        found: list[str] = []
        before = None
        while page := self.successResultOf(server.history.events(before=before, limit=400)):
            found += [event.client for event in page]
            before = page[-1].id
        self.assertEqual(found, [str(number) for number in reversed(range(1500))])
        self.stop(server)
