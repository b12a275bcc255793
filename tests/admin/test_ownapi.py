# -*- test-case-name: tests.admin.test_ownapi -*-
"""Tests of `tunnelsvc.admin.ownapi` and `tunnelsvc.admin.ownschemas`."""

from typing import Any
from urllib.parse import quote

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.schemas import wrong_with
from tests.admin.streams import Listener
from tests.admin.support import CONFIG, RIGHT, STARTED, Answer, Dashboard, FakeBlock, Visitor
from tests.metrics.moving import move
from tunnelsvc.admin.history.service import HistoryError
from tunnelsvc.admin.serverapi import ServerAPI
from tunnelsvc.admin.stream import MOST_STREAMS
from tunnelsvc.config.schema import CertificateConfig, ServerConfig
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.metrics.events import Event
from tunnelsvc.relay import Meter

NAMES = st.text(min_size=1, max_size=40).filter(lambda text: text not in {".", ".."})


@define
class FakeUser:
    """A `tunnelsvc.metrics.connections.User`."""

    port: int = 4321
    aborted: bool = False

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "198.51.100.9", self.port)

    def abortConnection(self) -> None:
        self.aborted = True


@define
class FakeHistory:
    """A `tunnelsvc.admin.view.History`."""

    asked: list[Any] = field(factory=list)

    is_on: bool = True
    fails: bool = False

    def events(
        self, before: int | None, limit: int, group: str, text: str
    ) -> Deferred[list[Event]]:
        if self.fails:
            return fail(HistoryError("the search takes too long"))
        self.asked.append((before, limit, group, text))
        return succeed([Event(9 - n, STARTED, "login", "login") for n in range(min(limit, 3))])


class APITestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()
        self.server = self.dashboard.server
        self.moderation = self.server.moderation

    def get(self, path: str, described: str = "") -> Any:
        """Ask, and look whether the answer is as described."""
        answer = self.dashboard.ask(f"/api/admin/{path}")
        self.assertEqual(answer.status, 200, answer.body)
        described = described or path.partition("?")[0]
        self.assertEqual(wrong_with(answer.json, "get", f"/api/admin/{described}"), [])
        return answer.json

    def change(self, method: str, path: str, described: str) -> Answer:
        """Have something done, likewise."""
        answer = self.dashboard.ask(f"/api/admin/{path}", method)
        wrong = wrong_with(answer.json, method.lower(), f"/api/admin/{described}", answer.status)
        self.assertEqual(wrong, [])
        return answer

    def assertRefused(self, answer: Answer, code: int, why: str) -> None:
        self.assertEqual((answer.status, answer.json), (code, {"Code": code, "Msg": why}))


class ReadingTests(APITestCase):
    def test_overview(self) -> None:
        self.server.login("r1")
        move(self.server.proxy("ssh"), 3, 4)
        overview = self.get("overview")
        self.assertEqual(overview["clients"], {"online": 1, "known": 1})
        self.assertEqual(overview["proxies"], {"tcp": {"online": 1, "known": 1}})
        self.assertEqual(overview["today"], {"in": 3, "out": 4})
        self.assertEqual(len(overview["curve"]), 150)
        self.assertFalse(overview["history"])

    def test_session(self) -> None:
        session = self.get("session")
        self.assertEqual(set(session), {"user", "csrf", "by", "version"})

    def test_start(self) -> None:
        start = self.get("start")
        self.assertEqual(
            start,
            {
                "server_addr": "127.0.0.1",
                "server_port": 7000,
                "token": False,
                "subdomain_host": "",
                "takes_http": False,
                "remote_port": 6000,
            },
        )

    def test_start_suggests_a_port_that_may_be_had(self) -> None:
        self.server.login("r1")
        self.server.proxy("ssh").remote_addr = ":6000"
        self.assertEqual(self.get("start")["remote_port"], 6001)
        dashboard = Dashboard(config=CONFIG.dashboard)
        for allowed, suggested in {
            (range(7000, 7002), range(8000, 8001)): 7000,
            (range(7000, 7002), range(5000, 7000)): 6000,
        }.items():
            dashboard.server.config = ServerConfig(dashboard=CONFIG.dashboard, allow_ports=allowed)
            start = dashboard.ask("/api/admin/start").json
            self.assertEqual(start["remote_port"], suggested)

    def test_start_as_the_server_is_configured_and_asked_for(self) -> None:
        config = ServerConfig(
            dashboard=CONFIG.dashboard, token="x", subdomain_host="t.example", vhost_http_port=8080
        )
        dashboard = Dashboard(config=CONFIG.dashboard)
        dashboard.server.config = config
        dashboard.server.ports = {"bind": 7001, "vhost_http": 8081}
        for host, shown in {
            "tunnel.example.com:7500": "tunnel.example.com",
            "[2001:db8::1]:7500": "2001:db8::1",
            "[": "10.0.0.1",
        }.items():
            start = dashboard.ask("/api/admin/start", host=host).json
            self.assertEqual(start["server_addr"], shown)
        self.assertEqual(
            (start["token"], start["server_port"], start["takes_http"]), (True, 7001, True)
        )

    def test_start_where_web_sites_come_by_https_only(self) -> None:
        dashboard = Dashboard(config=CONFIG.dashboard)
        dashboard.server.config = ServerConfig(
            dashboard=CONFIG.dashboard,
            vhost_https_port=443,
            certificates=(CertificateConfig(name="a", cert_file="a.crt", key_file="a.key"),),
        )
        self.assertIs(dashboard.ask("/api/admin/start").json["takes_http"], True)

    def test_traffic(self) -> None:
        move(self.server.proxy("ssh"), 3, 4)
        days = self.get("traffic")["days"]
        self.assertEqual(len(days), 30)
        self.assertEqual(days[-1], {"date": "2026-07-14", "in": 3, "out": 4})
        self.assertEqual(days[0], {"date": "2026-06-15", "in": 0, "out": 0})
        self.assertEqual(self.get("traffic?days=2")["days"], days[-2:])
        self.assertRefused(
            self.dashboard.ask("/api/admin/traffic?days=31"),
            400,
            'days must be a whole number between 1 and 30, not "31"',
        )

    def test_traffic_and_curve_of_a_proxy(self) -> None:
        move(self.server.proxy("a/b"), 3, 4)
        name = quote("a/b", safe="")
        days = self.get(f"proxies/{name}/traffic", "proxies/{name}/traffic")["days"]
        self.assertEqual(days[-1]["out"], 4)
        curve = self.get(f"proxies/{name}/curve", "proxies/{name}/curve")
        self.assertEqual((len(curve["curve"]), curve["curve_seconds"]), (150, 2.0))
        for what in ("traffic", "curve"):
            answer = self.dashboard.ask(f"/api/admin/proxies/x/{what}")
            self.assertRefused(answer, 404, 'there is no proxy "x"')

    def test_tables(self) -> None:
        self.server.login("r1")
        self.server.proxy("ssh").track(Meter(), FakeUser())
        self.moderation.blocks.append(FakeBlock())
        for table, key in {
            "clients": "r1",
            "proxies": "ssh",
            "connections": 1,
            "blocks": 1,
        }.items():
            (row,) = self.get(table)["rows"]
            self.assertIn(key, row.values())

    def test_events(self) -> None:
        events = self.server.stats.events
        for number in range(5):
            events.add("login", client=f"c{number}", address="192.0.2.1")
        events.add("disabled", proxy="ssh", detail="by Hand")
        self.assertEqual([row["id"] for row in self.get("events")["rows"]], [6, 5, 4, 3, 2, 1])
        page = self.get("events?limit=2&before=5")
        self.assertEqual(([row["id"] for row in page["rows"]], page["more"]), ([4, 3], True))
        self.assertFalse(self.get("events?limit=2&before=3")["more"])
        self.assertEqual([row["id"] for row in self.get("events?group=admin")["rows"]], [6])
        self.assertEqual([row["id"] for row in self.get("events?text=hAND")["rows"]], [6])
        self.assertEqual(self.get("events?text=nothing")["rows"], [])
        answer = self.dashboard.ask("/api/admin/events?group=x")
        self.assertRefused(
            answer,
            400,
            'group must be one of login, refusal, closure, config, admin, not "x"',
        )

    def test_events_from_the_history(self) -> None:
        history = FakeHistory()
        api = ServerAPI(self.server, self.dashboard.clock, history)
        self.addCleanup(api.admin.hub.close)
        self.dashboard.site.resource = api
        answer = self.dashboard.ask("/admin/events?before=7&limit=2&group=login&text=a")
        self.assertEqual(history.asked, [(7, 3, "login", "a")])
        self.assertEqual([row["id"] for row in answer.json["rows"]], [9, 8])
        self.assertTrue(answer.json["more"])
        self.assertTrue(self.dashboard.ask("/admin/overview").json["history"])
        history.is_on, history.fails = False, True
        self.assertFalse(self.dashboard.ask("/admin/overview").json["history"])
        answer = self.dashboard.ask("/admin/events")
        self.assertRefused(answer, 503, "the search takes too long")
        self.assertEqual(wrong_with(answer.json, "get", "/api/admin/events", 503), [])

    @settings(max_examples=30)
    @given(NAMES, st.text(max_size=40))
    def test_whatever_is_asked(self, name: str, text: str) -> None:
        name, text = (
            quote(each.encode("utf-8", "surrogatepass"), safe="") for each in (name, text)
        )
        for path in (
            f"proxies/{name}/traffic?days={text}",
            f"proxies/{name}/curve",
            f"events?before={text}&group={text}&text={text}&limit={text}",
            f"stream?topics={text or 'x'}",
            f"{name}/{text}",
        ):
            answer = self.dashboard.ask(f"/api/admin/{path}")
            self.assertLess(answer.status, 500, path)
            self.assertEqual(answer.json.get("Code", 200), answer.status)


class ActionTests(APITestCase):
    def test_clients(self) -> None:
        key = "alice.a/b ä"
        quoted = quote(key, safe="")
        self.moderation.known = {key, 7}
        for method, path, described in (
            ("POST", f"clients/{quoted}/kick", "clients/{key}/kick"),
            ("POST", f"clients/{quoted}/block", "clients/{key}/block"),
            ("DELETE", "blocks/7", "blocks/{id}"),
        ):
            answer = self.change(method, path, described)
            self.assertEqual((answer.status, answer.json), (200, {}))
        self.assertEqual(self.moderation.told, [("kick", key), ("block", key), ("allow", 7)])

    def test_clients_that_there_are_not(self) -> None:
        self.server.login("gone")
        self.server.stats.client_offline("gone")
        kick = self.change("POST", "clients/gone/kick", "clients/{key}/kick")
        self.assertRefused(kick, 404, 'client "gone" is not online')
        kick = self.change("POST", "clients/x/kick", "clients/{key}/kick")
        self.assertRefused(kick, 404, 'there is no client "x"')
        block = self.change("POST", "clients/x/block", "clients/{key}/block")
        self.assertRefused(block, 404, 'there is no client "x"')
        allow = self.change("DELETE", "blocks/8", "blocks/{id}")
        self.assertRefused(allow, 404, "there is no block 8")
        allow = self.change("DELETE", "blocks/x", "blocks/{id}")
        self.assertEqual(allow.status, 400)

    def test_proxies(self) -> None:
        self.moderation.known = {"ssh"}
        for what in ("disable", "enable"):
            answer = self.change("POST", f"proxies/ssh/{what}", f"proxies/{{name}}/{what}")
            self.assertEqual((answer.status, answer.json), (200, {}))
            answer = self.change("POST", f"proxies/x/{what}", f"proxies/{{name}}/{what}")
            self.assertRefused(answer, 404, 'there is no proxy "x"')

    def test_enabling_what_is_not_disabled(self) -> None:
        self.server.proxy("ssh")
        answer = self.change("POST", "proxies/ssh/enable", "proxies/{name}/enable")
        self.assertEqual(answer.json, {})

    def test_enabling_what_somebody_else_has_by_now(self) -> None:
        self.moderation.refuses = ProxyRefused("port already used")
        answer = self.change("POST", "proxies/ssh/enable", "proxies/{name}/enable")
        self.assertRefused(answer, 409, "it stays disabled: port already used")

    def test_a_change_that_fails(self) -> None:
        self.moderation.refuses = ValueError("oops")
        answer = self.dashboard.ask("/api/admin/proxies/ssh/enable", "POST")
        self.assertRefused(answer, 500, "this failed; the log says how")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_change_that_takes_its_time(self) -> None:
        self.moderation.known = {"ssh"}
        done: Deferred[None] = Deferred()
        self.moderation.waits = done
        asking, leaving = self.dashboard.connect(), self.dashboard.connect()
        for each in (asking, leaving):
            each.send("POST", "/api/admin/proxies/ssh/disable")
            self.assertFalse(each.answered())
        leaving.lose()
        done.callback(None)
        self.assertEqual((asking.answer().json, leaving.answered()), ({}, False))

    def test_a_connection(self) -> None:
        users = [FakeUser(1), FakeUser(2)]
        for user in users:
            self.server.proxy("ssh").track(Meter(), user)
        rows = self.get("connections")["rows"]
        chosen = next(row for row in rows if row["user"] == "198.51.100.9:2")
        answer = self.change("POST", f"connections/{chosen['id']}/close", "connections/{id}/close")
        self.assertEqual(answer.json, {})
        self.assertEqual([user.aborted for user in users], [False, True])
        self.assertEqual(self.server.stats.events.recent()[-1].kind, "cut")
        answer = self.change("POST", "connections/99/close", "connections/{id}/close")
        self.assertRefused(answer, 404, "there is no connection 99 any more")

    def test_reading_changes_nothing(self) -> None:
        self.moderation.known = {"x"}
        for path in (
            "clients/x/kick",
            "clients/x/block",
            "proxies/x/disable",
            "connections/1/close",
        ):
            answer = self.dashboard.ask(f"/api/admin/{path}")
            self.assertRefused(answer, 405, "method not allowed")
        self.assertEqual(self.moderation.told, [])


class StreamTests(APITestCase):
    def test_too_many(self) -> None:
        for _ in range(MOST_STREAMS):
            self.dashboard.connect().send("GET", "/api/admin/stream?topics=events")
        answer = self.dashboard.ask("/api/admin/stream")
        why = "too many pages are open: close some, and try again"
        self.assertRefused(answer, 429, why)
        self.assertEqual(answer.headers["Retry-After"], "10")
        self.assertEqual(wrong_with(answer.json, "get", "/api/admin/stream", 429), [])

    def test_the_stream_ends_with_its_session(self) -> None:
        visitor = Visitor(self.dashboard.site)
        visitor.log_in()
        headers = b"Cookie: " + visitor.cookie.encode() + b"\r\n"
        path = f"/api/admin/stream?topics=events&csrf={visitor.csrf}"
        mine = Listener(self.dashboard.site, path, headers)
        basic = b"Authorization: " + RIGHT + b"\r\n"
        other = Listener(self.dashboard.site, "/api/admin/stream?topics=events", basic)
        for listener in (mine, other):
            self.assertEqual([kind for kind, _ in listener.take()], ["retry", "snapshot"])
        visitor.change("/logout")
        for listener in (mine, other):
            listener.take()
        self.assertEqual((mine.ended, other.ended), (True, False))
        self.dashboard.gate.retire()  # as when the password changes
        other.take()
        self.assertTrue(other.ended)
