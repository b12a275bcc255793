# -*- test-case-name: tests.admin.test_serverapi2 -*-
"""Tests of `tunnelsvc.admin.serverapi2` and `tunnelsvc.admin.shapes2`."""

from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import STARTED, Dashboard
from tests.metrics.moving import move
from tunnelsvc.admin.serverapi2 import ROUTES
from tunnelsvc.relay import Meter


class ServerAPI2Tests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()
        self.server = self.dashboard.server
        self.server.login("r1", user="alice", client_id="laptop")
        self.server.login("r2", user="bob")

    def data(self, path: str, method: str = "GET") -> Any:
        answer = self.dashboard.ask(f"/api/v2/{path}", method)
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual((answer.json["code"], answer.json["msg"]), (200, "success"))
        return answer.json["data"]

    def assertRefused(self, path: str, code: int, why: str, method: str = "GET") -> None:
        answer = self.dashboard.ask(f"/api/v2/{path}", method)
        self.assertEqual(answer.status, code, path)
        self.assertEqual(answer.json, {"code": code, "msg": why, "data": None})

    def names(self, query: str, what: str = "proxies", key: str = "name") -> list[str]:
        return [each[key] for each in self.data(f"{what}?{query}")["items"]]

    def test_info(self) -> None:
        move(self.server.proxy("ssh"), 1, 2)
        info = self.data("system/info")
        self.assertEqual(info["config"]["bindPort"], 7000)
        self.assertEqual(info["status"]["totalTrafficOut"], 2)
        self.assertEqual(info["status"]["proxyTypeCount"], {"tcp": 1})
        self.assertEqual(info["status"]["clientCounts"], 2)

    def test_users(self) -> None:
        self.server.proxy("alice.ssh")
        alice = {"user": "alice", "clientCount": 1, "proxyCount": 1}
        bob = {"user": "bob", "clientCount": 1, "proxyCount": 0}
        self.assertEqual(
            self.data("users"), {"total": 2, "page": 1, "pageSize": 50, "items": [alice, bob]}
        )
        self.assertEqual(self.data("users?q=ALI")["items"], [alice])

    def test_clients(self) -> None:
        self.server.stats.client_offline("r2")
        for query, keys in {
            "": ["alice.laptop", "bob.r2"],
            "user=bob": ["bob.r2"],
            "user=": [],
            "clientID=laptop": ["alice.laptop"],
            "clientID=": ["alice.laptop", "bob.r2"],
            "runID=r2": ["bob.r2"],
            "status=online": ["alice.laptop"],
            "status=OFFLINE": ["bob.r2"],
            "q=LAP": ["alice.laptop"],
            "q=192.0.2": ["alice.laptop", "bob.r2"],
        }.items():
            self.assertEqual(self.names(query, "clients", "key"), keys, query)

    def test_a_client(self) -> None:
        self.server.proxy("alice.ssh").track(Meter())
        client = self.data("clients/alice.laptop")
        self.assertEqual(client["clientIP"], "192.0.2.7")
        self.assertEqual(client["status"], {"phase": "online", "curConns": 1, "proxyCount": 1})
        self.assertRefused("clients/nope", 404, "client nope not found")

    def test_proxies(self) -> None:
        self.server.proxy("alice.ssh", remotePort=6000)
        self.server.proxy("alice.web", "http", customDomains=["site.example.com"], subdomain="")
        self.server.proxy("alice.old")
        self.server.stats.proxy_offline("alice.old")
        for query, names in {
            "": ["alice.web", "alice.old", "alice.ssh"],
            "type=TCP": ["alice.old", "alice.ssh"],
            "status=online": ["alice.web", "alice.ssh"],
            "status=offline": ["alice.old"],
            "user=alice&clientID=laptop&type=http": ["alice.web"],
            "user=bob": [],
            "q=6000": ["alice.ssh"],
            "q=SITE": ["alice.web"],
        }.items():
            self.assertEqual(self.names(query), names, query)

    def test_a_proxy(self) -> None:
        transport = {"useEncryption": True, "bandwidthLimit": "1MB"}
        proxy = self.server.proxy(
            "a/b", remotePort=6000, transport=transport, annotations={"a": "b"}, metadatas={}
        )
        move(proxy, 3, 4)
        self.assertEqual(
            self.data(f"proxies/{quote('a/b', safe='')}"),
            {
                "name": "a/b",
                "user": "alice",
                "clientID": "laptop",
                "spec": {
                    "type": "tcp",
                    "tcp": {
                        "annotations": {"a": "b"},
                        "transport": transport,
                        "loadBalancer": {"group": ""},
                        "remotePort": 6000,
                    },
                },
                "status": {
                    "phase": "online",
                    "todayTrafficIn": 3,
                    "todayTrafficOut": 4,
                    "curConns": 0,
                    "lastStartAt": int(STARTED),
                },
            },
        )
        self.dashboard.clock.advance(5)
        self.server.stats.proxy_offline("a/b")
        gone = self.data("proxies/a%2Fb")
        self.assertEqual(gone["spec"], {"type": "tcp", "tcp": {}})
        self.assertEqual(gone["status"]["phase"], "offline")
        self.assertEqual(gone["status"]["lastCloseAt"], int(STARTED) + 5)
        self.assertRefused("proxies/nope", 404, "no proxy info found")

    def test_traffic(self) -> None:
        move(self.server.proxy("ssh"), 3, 4)
        traffic = self.data("proxies/ssh/traffic")
        self.assertEqual(
            (traffic["name"], traffic["unit"], traffic["granularity"]), ("ssh", "bytes", "day")
        )
        self.assertEqual(len(traffic["history"]), 7)
        self.assertEqual(
            traffic["history"][-2:],
            [
                {"date": "2026-07-13", "trafficIn": 0, "trafficOut": 0},
                {"date": "2026-07-14", "trafficIn": 3, "trafficOut": 4},
            ],
        )
        self.assertRefused("proxies/nope/traffic", 404, "no proxy info found")

    def test_prune(self) -> None:
        self.server.proxy("a")
        self.server.proxy("b")
        self.server.stats.proxy_offline("a")
        self.assertEqual(
            self.data("system/prune?type=offline_proxies", "POST"),
            {"type": "offline_proxies", "cleared": 1, "total": 2},
        )
        self.assertEqual(self.names(""), ["b"])
        self.assertRefused("system/prune", 400, "type is required", "POST")
        self.assertRefused(
            "system/prune?type=all", 400, "type must be one of offline_proxies", "POST"
        )

    def test_pages(self) -> None:
        for number in range(7):
            self.server.proxy(f"p{number}")
        page = self.data("proxies?page=2&pageSize=3")
        self.assertEqual((page["total"], page["page"], page["pageSize"]), (7, 2, 3))
        self.assertEqual([each["name"] for each in page["items"]], ["p3", "p4", "p5"])
        self.assertEqual(self.names("page=9&pageSize=200"), [])

    def test_wrong_queries(self) -> None:
        for query, why in {
            "page=0": "page must be a positive integer",
            "page=x": "page must be a positive integer",
            "pageSize=-1": "pageSize must be a positive integer",
            "pageSize=201": "pageSize must be between 1 and 200",
            "page=99999999999999999999": "page must be a positive integer",
            "status=gone": "status must be one of all, online, offline",
        }.items():
            self.assertRefused(f"proxies?{query}", 400, why)
        self.assertRefused(
            "proxies?type=nonsense",
            400,
            "type must be one of tcp, udp, http, https, tcpmux, stcp, xtcp, sudp",
        )

    def test_paths_and_methods(self) -> None:
        for path in ("", "nope", "proxies/", "proxies/a/b", "system"):
            self.assertRefused(path, 404, "no such path")
        for parts, methods in ROUTES.items():
            path = "/".join(part or "x" for part in parts)
            self.assertRefused(path, 405, "method not allowed", "PATCH")
            allowed = self.dashboard.ask(f"/api/v2/{path}", "PATCH").headers["Allow"]
            expected = [method.decode() for method in methods]
            self.assertEqual(allowed.split(", "), [*expected, *(["HEAD"] * ("GET" in expected))])

    def test_head(self) -> None:
        got, head = (self.dashboard.ask("/api/v2/proxies", method) for method in ("GET", "HEAD"))
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.headers["Content-Length"], got.headers["Content-Length"])

    def test_password(self) -> None:
        answer = self.dashboard.ask("/api/v2/proxies", authorization=None)
        self.assertEqual(answer.status, 401)

    @given(st.dictionaries(st.sampled_from(["page", "pageSize", "status", "type", "q"]), st.text()))
    def test_any_query(self, query: dict[str, str]) -> None:
        """Whatever is asked for, it is answered or refused."""
        pairs = (f"{key}={quote(text, errors='replace')}" for key, text in query.items())
        answer = self.dashboard.ask(f"/api/v2/proxies?{'&'.join(pairs)}")
        self.assertIn(answer.status, {200, 400})
