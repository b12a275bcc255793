# -*- test-case-name: tests.admin.test_owntopics -*-
"""Tests of `tunnelsvc.admin.owntopics`: what streams of the server's site tell."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.schemas import wrong_with_named
from tests.admin.streams import Listener
from tests.admin.support import RIGHT, Dashboard
from tests.admin.test_ownapi import FakeUser
from tests.metrics.moving import move
from tunnelsvc.admin import ownshapes
from tunnelsvc.admin.ownapi import TOPICS
from tunnelsvc.admin.owntopics import MOST_EVENTS
from tunnelsvc.admin.upkeep import Upkeep
from tunnelsvc.relay import Meter


class TopicTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()
        self.server = self.dashboard.server
        self.stats = self.server.stats
        upkeep = Upkeep(self.stats, self.dashboard.clock, None)
        upkeep.start()
        self.addCleanup(upkeep.stop)

    def listen(self, topics: str = "") -> Listener:
        path = f"/api/admin/stream?topics={topics}"
        return Listener(self.dashboard.site, path, b"Authorization: " + RIGHT + b"\r\n")

    def snapshots(self, reader: Listener) -> dict[str, Any]:
        return {data["topic"]: data for kind, data in reader.take() if kind == "snapshot"}

    def deltas(self, reader: Listener, seconds: int = 2) -> list[dict[str, Any]]:
        self.dashboard.clock.pump([1] * seconds)
        return [data for kind, data in reader.take() if kind == "delta"]

    def test_all_topics_as_the_tables_have_them(self) -> None:
        self.server.login("r1")
        self.server.proxy("ssh").track(Meter(), FakeUser())
        self.stats.events.add("login", client="r1")
        snapshots = self.snapshots(self.listen())
        self.assertEqual(tuple(snapshots), TOPICS)
        self.assertEqual(wrong_with_named(snapshots["overview"]["value"], "Overview"), [])
        for topic in TOPICS[1:]:
            answer = self.dashboard.ask(f"/api/admin/{topic}").json
            self.assertEqual(len(answer["rows"]), 1)
            self.assertEqual(snapshots[topic]["rows"], answer["rows"], topic)

    def test_overview(self) -> None:
        reader = self.listen("overview")
        curve = self.snapshots(reader)["overview"]["value"]["curve"]
        move(self.server.proxy("ssh"), 2000, 4000)
        (delta,) = self.deltas(reader)
        self.assertEqual(delta["value"]["point"], [1000, 2000])
        self.assertEqual(delta["value"]["total"], {"in": 2000, "out": 4000})
        self.assertNotIn("curve", delta["value"])
        (delta,) = self.deltas(reader)
        self.assertEqual(delta["value"]["point"], [0, 0])
        answer = self.dashboard.ask("/api/admin/overview").json
        self.assertEqual(answer["curve"], [*curve[2:], [1000, 2000], [0, 0]])

    def test_points_that_were_missed(self) -> None:
        """As when the machine slept: everything is told again."""
        reader = self.listen("overview")
        reader.take()
        self.stats.curves.sample(self.dashboard.clock.seconds() + 8)
        (delta,) = self.deltas(reader, 1)
        self.assertEqual(len(delta["value"]["curve"]), 150)
        self.assertNotIn("point", delta["value"])

    def test_connections(self) -> None:
        proxy = self.server.proxy("ssh")
        meters = [Meter() for _ in range(3)]
        for meter in meters:
            proxy.track(meter, FakeUser())
        reader = self.listen("connections")
        ids = [row["id"] for row in self.snapshots(reader)["connections"]["rows"]]
        self.assertEqual(self.deltas(reader), [])
        meters[0].up_bytes = 5
        proxy.untrack(meters[1])
        late = Meter()
        proxy.track(late, FakeUser(9))
        (delta,) = self.deltas(reader)
        self.assertEqual(delta["changed"][0], {"id": ids[0], "in": 5})
        self.assertEqual(wrong_with_named(delta["changed"][1], "Connection"), [])
        self.assertEqual((delta["gone"], "more" in delta), ([ids[1]], False))

    def test_more_connections_than_are_shown(self) -> None:
        proxy = self.server.proxy("ssh")
        for _ in range(ownshapes.MOST_CONNECTIONS):
            proxy.track(Meter(), FakeUser())
        reader = self.listen("connections")
        self.assertEqual(self.snapshots(reader)["connections"]["more"], 0)
        proxy.track(Meter(), FakeUser())
        (delta,) = self.deltas(reader)
        self.assertEqual((len(delta["changed"]), delta["gone"], delta["more"]), (1, [1], 1))

    def test_proxies_and_clients(self) -> None:
        self.server.login("r1")
        proxy = self.server.proxy("ssh")
        reader = self.listen("proxies,clients")
        reader.take()
        proxy.track(Meter())
        self.server.round_trips["r1"] = 0.0021
        deltas = {delta["topic"]: delta for delta in self.deltas(reader)}
        self.assertEqual(deltas["proxies"]["changed"], [{"name": "ssh", "connections": 1}])
        self.assertEqual(deltas["clients"]["changed"], [{"key": "r1", "rtt_ms": 2.1}])

    def test_events(self) -> None:
        for number in range(MOST_EVENTS + 1):
            self.stats.events.add("reloaded", detail=str(number))
            self.stats.events.add("cut")
        reader = self.listen("events")
        rows = self.snapshots(reader)["events"]["rows"]
        self.assertEqual((len(rows), rows[0]["kind"]), (MOST_EVENTS, "cut"))
        self.stats.events.add("login", client="c")
        (delta,) = self.deltas(reader, 1)
        self.assertEqual(wrong_with_named(delta["changed"][0], "Event"), [])
        self.assertEqual(delta["changed"][0]["id"], rows[0]["id"] + 1)
