# -*- test-case-name: tests.admin.test_serverapi -*-
"""Tests of `tunnelsvc.admin.serverapi`: paths, methods, queries, errors."""

from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import STARTED, Dashboard
from tests.metrics.moving import move
from tunnelsvc.admin.serverapi import ROUTES
from tunnelsvc.relay import Meter

NO_PROXY = {"Code": 404, "Msg": "no proxy info found"}


class ServerAPITests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()
        self.server = self.dashboard.server

    def json(self, path: str, status: int = 200, method: str = "GET") -> Any:
        answer = self.dashboard.ask(path, method)
        self.assertEqual(answer.status, status, path)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["Content-Length"], str(len(answer.body)))
        return answer.json

    def names(self, path: str) -> list[str]:
        return [each["name"] for each in self.json(path)["proxies"]]

    def keys(self, query: str) -> list[str]:
        return [each["key"] for each in self.json("/api/clients" + query)]

    def test_serverinfo(self) -> None:
        self.assertEqual(self.json("/api/serverinfo")["bindPort"], 7000)

    def test_proxies_by_type(self) -> None:
        for name in ("b", "a"):
            self.server.proxy(name)
        self.server.proxy("web", "http")
        self.assertEqual(self.names("/api/proxy/tcp"), ["a", "b"])
        self.assertEqual(self.names("/api/proxy/http"), ["web"])

    def test_types_without_proxies_answer(self) -> None:
        for kind in ("tcp", "udp", "http", "https", "stcp", "sudp", "xtcp", "tcpmux", "nonsense"):
            self.assertEqual(self.json(f"/api/proxy/{kind}"), {"proxies": []})

    def test_all_proxies(self) -> None:
        self.server.proxy("web", "http")
        self.server.proxy("ssh")
        self.assertEqual(self.names("/api/proxies"), ["ssh", "web"])

    def test_a_proxy_by_type_and_name(self) -> None:
        self.server.proxy("ssh")
        self.assertEqual(self.json("/api/proxy/tcp/ssh")["name"], "ssh")
        self.assertEqual(self.json("/api/proxy/http/ssh", 404), NO_PROXY)
        self.assertEqual(self.json("/api/proxy/tcp/nope", 404), NO_PROXY)

    def test_a_proxy_by_name(self) -> None:
        self.server.proxy("ssh")
        self.assertEqual(self.json("/api/proxies/ssh")["name"], "ssh")
        self.assertEqual(self.json("/api/proxies/nope", 404), NO_PROXY)

    def test_traffic(self) -> None:
        move(self.server.proxy("ssh"), 3, 4)
        traffic = self.json("/api/traffic/ssh")
        self.assertEqual(traffic["trafficIn"], [3, 0, 0, 0, 0, 0, 0])
        self.assertEqual(traffic["trafficOut"], [4, 0, 0, 0, 0, 0, 0])
        self.assertEqual(self.json("/api/traffic/nope", 404), NO_PROXY)

    def test_a_transfer_shows_while_it_runs(self) -> None:
        meter = Meter()
        self.server.proxy("ssh").track(meter)
        meter.down_bytes = 1 << 33
        self.assertEqual(self.json("/api/proxies/ssh")["todayTrafficOut"], 1 << 33)
        self.assertEqual(self.json("/api/serverinfo")["totalTrafficOut"], 1 << 33)
        self.assertEqual(self.json("/api/serverinfo")["curConns"], 1)

    def test_names_that_need_encoding(self) -> None:
        for name in ("a/b", "a b", "50%", "名", "a%2Fb", "..", ".", "?x=1#y", "<script>", '"', "+"):
            self.server.proxy(name)
            path = quote(name, safe="")
            self.assertEqual(self.json(f"/api/proxies/{path}")["name"], name)
            self.assertEqual(self.json(f"/api/proxy/tcp/{path}")["name"], name)
            self.assertEqual(self.json(f"/api/traffic/{path}")["name"], name)

    def test_markup_in_names_stays_data(self) -> None:
        name = "<img src=x onerror=alert(1)>"
        self.server.proxy(name)
        answer = self.dashboard.ask("/api/proxies")
        self.assertEqual(answer.json["proxies"][0]["name"], name)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")

    def test_an_error_does_not_become_a_page(self) -> None:
        answer = self.dashboard.ask("/api/clients/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.headers["Content-Type"], "application/json")

    @given(st.text())
    def test_any_name_can_be_asked_for(self, name: str) -> None:
        dashboard = Dashboard(metrics=False)
        encoded = quote(name, safe="", errors="surrogatepass")
        self.assertEqual(dashboard.ask(f"/api/proxies/{encoded}").status, 404)
        if name and not any("\ud800" <= char <= "\udfff" for char in name):
            dashboard.server.proxy(name)
            self.assertEqual(dashboard.ask(f"/api/proxies/{encoded}").json["name"], name)

    def test_offline_proxies_are_cleared(self) -> None:
        self.server.proxy("a")
        self.server.proxy("b")
        self.server.stats.proxy_offline("a")
        self.assertEqual(
            self.json("/api/proxies?status=offline", method="DELETE"),
            {"Code": 200, "Msg": "success"},
        )
        self.assertEqual(self.names("/api/proxies"), ["b"])

    def test_nothing_else_is_cleared(self) -> None:
        self.server.proxy("a")
        self.server.stats.proxy_offline("a")
        for query in ("", "?status=", "?status=online", "?status=%ff"):
            self.assertEqual(
                self.json("/api/proxies" + query, 400, "DELETE"),
                {"Code": 400, "Msg": "status only support offline"},
            )
        self.assertEqual(self.names("/api/proxies"), ["a"])

    def test_clients(self) -> None:
        self.server.login("r1", user="bob")
        self.server.login("r2", user="alice", client_id="laptop")
        self.server.login("r3", host="other")
        self.server.stats.client_offline("r3")
        self.assertEqual(self.keys(""), ["r3", "alice.laptop", "bob.r1"])
        self.assertEqual(self.keys("?user=alice"), ["alice.laptop"])
        self.assertEqual(self.keys("?clientId=laptop"), ["alice.laptop"])
        self.assertEqual(self.keys("?clientId=r1"), ["bob.r1"])
        self.assertEqual(self.keys("?runId=r2"), ["alice.laptop"])
        self.assertEqual(self.keys("?status=online"), ["alice.laptop", "bob.r1"])
        self.assertEqual(self.keys("?status=Offline"), ["r3"])
        self.assertEqual(self.keys("?status=all"), ["r3", "alice.laptop", "bob.r1"])
        self.assertEqual(self.keys("?user=alice&status=offline"), [])

    def test_a_client(self) -> None:
        self.server.login("r1", user="alice")
        self.assertEqual(self.json("/api/clients/alice.r1")["runID"], "r1")
        self.assertEqual(
            self.json("/api/clients/nope", 404), {"Code": 404, "Msg": "client nope not found"}
        )

    def test_unknown_paths(self) -> None:
        for path in ("", "nope", "serverinfo/", "serverinfo/x", "proxy", "proxy/", "proxy/tcp/a/b"):
            answer = self.json(f"/api/{path}", 404)
            self.assertEqual(answer["Code"], 404, path)
        self.assertEqual(self.json("/api", 404)["Code"], 404)

    def test_wrong_methods(self) -> None:
        for parts in ROUTES:
            path = "/api/" + "/".join(part or "x" for part in parts)
            answer = self.dashboard.ask(path, "PATCH")
            self.assertEqual(answer.status, 405, path)
            self.assertEqual(answer.json["Code"], 405)
            self.assertIn("GET", answer.headers["Allow"])
        self.assertEqual(
            self.dashboard.ask("/api/proxies", "POST").headers["Allow"], "GET, DELETE, HEAD"
        )

    def test_head_is_get_without_the_body(self) -> None:
        self.server.proxy("ssh")
        for path, status in (("/api/proxies/ssh", 200), ("/api/proxies/nope", 404)):
            got, head = self.dashboard.ask(path), self.dashboard.ask(path, "HEAD")
            self.assertEqual((head.status, head.body), (status, b""))
            self.assertEqual(head.headers["Content-Length"], got.headers["Content-Length"])

    def test_time_of_the_server(self) -> None:
        self.dashboard.clock.advance(90)
        info = self.json("/api/serverinfo")
        self.assertEqual((info["startedAt"], info["now"]), (int(STARTED), int(STARTED) + 90))
