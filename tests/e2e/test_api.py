# -*- test-case-name: tests.e2e.test_api -*-
"""Real programs: what the dashboard's API tells while things happen, and what it has done."""

import json
import socket
from typing import Any
from urllib.parse import quote

from tests.e2e.services import echo, echo_once, is_closed, receive, request, serves_echo
from tests.e2e.tunnel import TunnelTestCase, tcp_proxy
from tests.e2e.watching import Watching
from tests.programs import PATIENCE, Program, eventually, free_port, stay_within_the_day


class APITestCase(TunnelTestCase):
    """A server with a dashboard, a client, and an echo service behind the proxy ``ssh``."""

    def setUp(self) -> None:
        super().setUp()
        self.dashboard_port = free_port()
        self.public_port = free_port()
        self.server = self.start_server(
            {
                "dashboard_addr": "127.0.0.1",
                "dashboard_port": self.dashboard_port,
                "dashboard_user": "admin",
                "dashboard_pwd": "secret",
                "subdomain_host": "t.example",
            }
        )
        self.service = self.local_service(echo)
        self.client = self.connect()

    def connect(self) -> Program:
        web = {"type": "http", "local_port": self.service.port, "subdomain": "web"}
        proxies = {"ssh": tcp_proxy(self.service.port, self.public_port), "web": web}
        return self.start_client(proxies, {"user": "alice", "client_id": "laptop"})

    def watch(self, topics: str) -> Watching:
        watching = Watching(self.dashboard_port, topics)
        self.addCleanup(watching.close)
        return watching

    def user(self) -> socket.socket:
        user = socket.create_connection(("127.0.0.1", self.public_port), timeout=PATIENCE)
        self.addCleanup(user.close)
        self.assertTrue(echo_once(user))
        return user

    def ask(self, path: str, method: str = "GET", code: int = 200) -> Any:
        answer = request(
            self.dashboard_port, f"/api/admin/{path}", method=method, user="admin:secret"
        )
        self.assertEqual(answer.status, code, answer.body)
        return json.loads(answer.body)

    def proxy(self, name: str = "alice.ssh") -> dict[str, Any]:
        rows: list[dict[str, Any]] = self.ask("proxies")["rows"]
        return next(row for row in rows if row["name"] == name)


class WatchingTests(APITestCase):
    def test_a_transfer(self) -> None:
        stay_within_the_day()
        watching = self.watch("overview,proxies,connections")
        self.assertEqual(watching.rows("connections"), [])
        user = self.user()
        for _ in range(3):
            before = self.row(watching)["in"]
            user.sendall(b"x" * 50_000)
            self.assertEqual(len(receive(user, 50_000)), 50_000)
            eventually(lambda: self.row(watching)["in"] >= before + 50_000, "the bytes")  # noqa: B023
        eventually(lambda: self.row(watching)["out"] >= 150_000, "all bytes")
        row = self.row(watching)
        address = "{}:{}".format(*user.getsockname())
        self.assertEqual((row["proxy"], row["type"], row["user"]), ("alice.ssh", "tcp", address))
        amounts = [each["in"] for topic, _, each in watching.seen if topic == "connections"]
        self.assertEqual(amounts, sorted(amounts))
        eventually(lambda: watching.overview["total"]["in"] >= 150_000, "the sum")
        self.assertGreater(max(point[0] for point in watching.points), 0)
        eventually(lambda: self.shown(watching)["today"]["in"] >= 150_000, "the proxy's")
        self.assertEqual(self.shown(watching)["connections"], 1)
        user.close()
        eventually(lambda: not watching.rows("connections"), "the connection gone")

    def row(self, watching: Watching) -> dict[str, Any]:
        (row,) = watching.rows("connections") or [{"in": 0, "out": 0}]
        return row

    def shown(self, watching: Watching) -> dict[str, Any]:
        return watching.tables["proxies"]["alice.ssh"]

    def test_facts(self) -> None:
        overview = self.ask("overview")
        self.assertEqual(overview["ports"]["bind"], self.bind_port)
        self.assertEqual(overview["clients"], {"online": 1, "known": 1})
        self.assertGreater(overview["process"]["memory_bytes"], 1_000_000)
        (client,) = self.ask("clients")["rows"]
        self.assertEqual((client["key"], client["online"]), ("alice.laptop", True))
        self.assertEqual(client["proxies"], ["alice.ssh", "alice.web"])
        self.assertLess(client["rtt_ms"], 10_000)
        self.assertEqual(self.proxy()["remote_addr"], f":{self.public_port}")
        self.assertEqual(
            self.proxy("alice.web")["urls"], [f"http://web.t.example:{self.vhost_port}/"]
        )
        start = self.ask("start")
        self.assertEqual((start["server_addr"], start["token"]), ("127.0.0.1", False))

    def test_the_stream_ends_when_the_server_does(self) -> None:
        watching = self.watch("overview,events")
        self.server.stop()
        eventually(lambda: watching.ended, "the end")


class ActionTests(APITestCase):
    def test_close_a_connection(self) -> None:
        watching = self.watch("connections,events")
        first, second = self.user(), self.user()
        eventually(lambda: len(watching.rows("connections")) == 2, "two connections")
        where = "{}:{}".format(*first.getsockname())
        (row,) = (row for row in watching.rows("connections") if row["user"] == where)
        self.ask(f"connections/{row['id']}/close", "POST")
        self.assertTrue(is_closed(first))
        self.assertTrue(echo_once(second))
        eventually(lambda: "cut" in watching.kinds(), "the event")
        eventually(lambda: row["id"] not in watching.tables["connections"], "the row gone")
        self.ask(f"connections/{row['id']}/close", "POST", 404)

    def test_kick(self) -> None:
        watching = self.watch("clients,events")
        user = self.user()
        before = self.ask("clients")["rows"][0]["since"]
        self.ask(f"clients/{quote('alice.laptop')}/kick", "POST")
        self.assertTrue(is_closed(user))
        eventually(
            lambda: watching.tables["clients"]["alice.laptop"]["since"] > before, "a new login"
        )
        eventually(lambda: serves_echo(self.public_port), "the proxy")
        eventually(lambda: watching.kinds()[-1] == "proxy_opened", "its events")
        self.assertIn("kicked", watching.kinds())
        self.ask("clients/nobody/kick", "POST", 404)

    def test_block_and_allow(self) -> None:
        watching = self.watch("clients,events")
        self.ask("clients/alice.laptop/block", "POST")
        eventually(lambda: watching.tables["clients"]["alice.laptop"]["blocked"], "blocked")
        eventually(lambda: "login_refused" in watching.kinds(), "a refusal")
        self.client.wait_for("blocked by the server's administrator")
        self.assertFalse(self.ask("clients")["rows"][0]["online"])
        (block,) = self.ask("blocks")["rows"]
        self.assertEqual((block["user"], block["client_id"]), ("alice", "laptop"))
        self.ask(f"blocks/{block['id']}", "DELETE")
        self.ask(f"blocks/{block['id']}", "DELETE", 404)
        self.client.stop()
        self.connect()
        eventually(lambda: serves_echo(self.public_port), "the proxy")

    def test_disable_and_enable(self) -> None:
        user = self.user()
        self.ask("proxies/alice.ssh/disable", "POST")
        self.assertTrue(is_closed(user))
        self.assertEqual((self.proxy()["disabled"], self.proxy()["online"]), (True, False))
        with self.assertRaises(ConnectionError):
            socket.create_connection(("127.0.0.1", self.public_port), timeout=PATIENCE)
        self.assertTrue(self.ask("clients")["rows"][0]["online"])
        self.ask("proxies/alice.ssh/enable", "POST")
        self.assertEqual((self.proxy()["disabled"], self.proxy()["online"]), (False, True))
        self.assertTrue(echo_once(self.user()))

    def test_events(self) -> None:
        self.ask("proxies/alice.web/disable", "POST")
        rows = self.ask("events")["rows"]
        self.assertEqual(rows[0]["kind"], "disabled")
        self.assertEqual([row["id"] for row in rows], sorted(row["id"] for row in rows)[::-1])
        self.assertEqual(
            [row["kind"] for row in self.ask("events?group=admin")["rows"]], ["disabled"]
        )
        found = self.ask("events?text=ALICE.SSH")["rows"]
        self.assertEqual({row["proxy"] for row in found}, {"alice.ssh"})
        older = self.ask(f"events?before={rows[0]['id']}&limit=1")
        self.assertEqual((older["rows"], older["more"]), (rows[1:2], True))
        self.ask("events?limit=many", code=400)
