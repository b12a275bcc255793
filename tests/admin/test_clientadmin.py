# -*- test-case-name: tests.admin.test_clientadmin -*-
"""Tests of `tunnelsvc.admin.clientadmin`: which path answers what."""

import json
from typing import Any

from jsonschema import Draft202012Validator
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientanswers import wrong_with
from tests.admin.clientsupport import HOST, AdminTester
from tests.admin.streams import Listener
from tests.admin.support import Answer
from tests.client.inspection.exchanges import Named, record, request, response
from tests.client.inspection.har12 import ARCHIVE
from tunnelsvc.admin.clientadmin import LOOK_SECONDS, SANDBOX
from tunnelsvc.admin.stream import MOST_STREAMS
from tunnelsvc.client.inspection.facts import MASK
from tunnelsvc.client.inspection.request import CannotReplayError, Edits
from tunnelsvc.wire.httpexchange import KEPT_BYTES

PNG = b"\x89PNG\r\n\x1a\n"


class AdminCase(SynchronousTestCase):
    """A client that has recorded something."""

    def setUp(self) -> None:
        self.tester = AdminTester(self.mktemp())
        self.inspector = self.tester.client.inspector = Named()
        record(self.inspector, request("/one", "Cookie: s3cret"), response(body=b"hello"))
        record(
            self.inspector,
            request("/two", method="POST", body=b"posted"),
            response("Content-Type: image/png", status="404 Not Found", body=PNG),
        )

    def get(self, path: str, schema: str = "") -> Any:
        answer = self.tester.ask(f"/api/admin/{path}")
        self.assertEqual(answer.status, 200, answer.body)
        if schema:
            self.assertEqual(wrong_with(answer.json, schema), [])
        return answer.json if schema else answer

    def refused(self, path: str, status: int, method: str = "GET", body: object = None) -> str:
        answer = self.tester.ask_json(f"/api/admin/{path}", method, body)
        self.assertEqual((answer.status, answer.json["Code"]), (status, status), answer.body)
        return str(answer.json["Msg"])


class ReadingTests(AdminCase):
    """What is only looked at."""

    def test_session(self) -> None:
        self.assertEqual(self.get("session", "Session")["by"], "none")

    def test_status(self) -> None:
        self.assertEqual(self.get("status", "Status")["server"], "vps:7000")

    def ids(self, query: str) -> list[int]:
        return [row["id"] for row in self.get(f"requests?{query}", "Requests")["rows"]]

    def test_requests(self) -> None:
        for query, ids in (
            ("", [2, 1]),
            ("text=HELLO", [1]),
            ("status=4xx", [2]),
            ("status=error", [2]),
            ("method=post", [2]),
            ("proxy=web", [2, 1]),
            ("proxy=other", []),
            ("before=2", [1]),
            ("text=s3cret", []),
        ):
            self.assertEqual(self.ids(query), ids, query)
        shape = self.get("requests?limit=1", "Requests")
        self.assertEqual((shape["more"], shape["before"]), (True, 2))
        shape = self.get("requests", "Requests")
        self.assertEqual((shape["more"], shape["before"]), (False, None))

    def test_nonsense(self) -> None:
        for query in ("status=4", "limit=0", "limit=501", "before=x"):
            self.refused(f"requests?{query}", 400)
        self.refused("requests.har?ids=1,x", 400)
        for path in ("requests/x", "requests/0", "requests/1/body/neither"):
            self.refused(path, 400)
        for path in ("requests/3", "requests/3/curl", "requests/3/body/request", "nothing"):
            self.refused(path, 404)

    def test_one(self) -> None:
        shape = self.get("requests/1", "Whole")
        self.assertIn(["Cookie", MASK], shape["request"]["headers"])
        self.assertEqual(shape["response"]["body"]["text"], "hello")
        shape = self.get("requests/1?reveal=1", "Whole")
        self.assertIn(["Cookie", "s3cret"], shape["request"]["headers"])

    def test_curl(self) -> None:
        answer = self.get("requests/1/curl")
        self.assertIn(f"Cookie: {MASK}", answer.body.decode())
        self.assertIn("http://a.example/one", answer.body.decode())
        self.assertIn(b"s3cret", self.get("requests/1/curl?reveal=1").body)

    def test_bodies(self) -> None:
        """Nothing of others' bodies can run here."""
        answer = self.get("requests/1/body/response")
        self.assertEqual(answer.body, b"hello")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        disposition = answer.headers["Content-Disposition"]
        self.assertEqual(disposition, 'attachment; filename="response-1"')
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.headers.get_all("Content-Security-Policy"), [SANDBOX.decode()])
        answer = self.get("requests/2/body/response")
        self.assertEqual((answer.body, answer.headers["Content-Type"]), (PNG, "image/png"))
        self.assertTrue(answer.headers["Content-Disposition"].startswith("inline"))
        self.assertEqual(self.get("requests/2/body/request").body, b"posted")

    def test_har(self) -> None:
        archive = self.get("requests.har", "Archive")
        Draft202012Validator(ARCHIVE).validate(archive)
        urls = [each["request"]["url"] for each in archive["log"]["entries"]]
        self.assertEqual(urls, ["http://a.example/one", "http://a.example/two"])
        self.assertNotIn("s3cret", json.dumps(archive))
        answer = self.get("requests.har?ids=1&reveal=1")
        self.assertEqual(len(answer.json["log"]["entries"]), 1)
        self.assertIn(b"s3cret", answer.body)
        self.assertIn("requests.har", answer.headers["Content-Disposition"])
        self.assertEqual(len(self.get("requests.har?status=4xx").json["log"]["entries"]), 1)

    def test_a_long_archive(self) -> None:
        """It is written bit by bit, as long as somebody wants it."""
        body = b"x" * KEPT_BYTES
        for _ in range(10):
            record(self.inspector, request(), response(body=body))
        channel = self.tester.connect()
        asked = f"GET /api/admin/requests.har HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
        channel.dataReceived(asked.encode())
        transport = self.tester.transport
        self.assertLess(len(transport.value()), 6 * KEPT_BYTES)
        self.tester.clock.pump([0] * 5)
        self.assertTrue(transport.value().endswith(b"\r\n0\r\n\r\n"))
        archive = Answer(transport.value(), "GET").json
        self.assertEqual(len(archive["log"]["entries"]), 12)
        channel = self.tester.connect()
        channel.dataReceived(asked.encode())
        channel.connectionLost(Failure(ConnectionDone()))
        self.tester.clock.pump([0] * 5)
        self.assertLess(len(self.tester.transport.value()), 6 * KEPT_BYTES)
        self.assertEqual(self.tester.ask("/api/admin/requests.har", "HEAD").body, b"")

    def test_nothing_inspected(self) -> None:
        self.tester.client.inspector = None
        self.assertEqual(self.ids(""), [])
        self.assertEqual(self.get("requests.har", "Archive")["log"]["entries"], [])
        self.refused("requests/1", 404)
        self.assertEqual(self.tester.ask("/api/admin/requests", "DELETE").status, 200)

    def test_frps_api_is_still_there(self) -> None:
        self.assertEqual(self.tester.ask("/api/status").json["tcp"][0]["name"], "ssh")


class ChangingTests(AdminCase):
    """What has consequences."""

    def test_clear(self) -> None:
        answer = self.tester.ask("/api/admin/requests", "DELETE")
        self.assertEqual((answer.status, answer.json), (200, {}))
        self.assertEqual(len(self.inspector), 0)

    def replay(self, body: object) -> Edits:
        answer = self.tester.ask_json("/api/admin/requests/1/replay", "POST", body)
        self.assertEqual((answer.status, answer.json), (200, {"id": 1}), answer.body)
        ((exchange, edits),) = self.tester.client.replayed
        self.assertEqual(exchange.id, 1)
        self.tester.client.replayed.clear()
        return edits

    def test_replay(self) -> None:
        self.assertEqual(self.replay({}), Edits())
        edits = self.replay({"method": "PUT", "path": "/y", "headers": [["A", "b"]], "body": "é"})
        self.assertEqual(edits, Edits("PUT", "/y", [("A", "b")], "é".encode()))
        self.assertEqual(self.replay({"body_base64": "/wA="}).body, b"\xff\0")

    def test_masks_are_put_back(self) -> None:
        edits = self.replay({"headers": [["Cookie", MASK]]})
        self.assertEqual(edits.headers, [("Cookie", "s3cret")])

    def test_replay_nonsense(self) -> None:
        bodies: list[object] = [
            [],
            {"unknown": 1},
            {"method": 1},
            {"path": None},
            {"headers": "x"},
            {"headers": [["a"]]},
            {"headers": [["a", 1]]},
            {"headers": [["a", "\ud800"]]},
            {"body": 1},
            {"body": "x", "body_base64": ""},
            {"body_base64": "?"},
            {"body_base64": "é"},
        ]
        for body in bodies:
            self.refused("requests/1/replay", 400, "POST", body)
        self.refused("requests/9/replay", 404, "POST", {})
        self.tester.client.replay_problem = CannotReplayError("it is gone")
        self.assertEqual(self.refused("requests/1/replay", 409, "POST", {}), "it is gone")


class StreamTests(AdminCase):
    """What changes, as it does."""

    def test_topics(self) -> None:
        listener = Listener(self.tester.site, "/api/admin/stream?topics=status,requests")
        self.assertIn("text/event-stream", listener.head or "text/event-stream")
        events = [event for event in listener.take() if event[0] == "snapshot"]
        (_, status), (_, requests) = events
        self.assertEqual(status["value"]["server"], "vps:7000")
        self.assertEqual([row["id"] for row in requests["rows"]], [2, 1])
        record(self.inspector, request("/three"), response())
        self.tester.client.statuses = []
        self.tester.clock.advance(LOOK_SECONDS)
        news = {event[1]["topic"]: event[1] for event in listener.take()}
        self.assertEqual([row["path"] for row in news["requests"]["changed"]], ["/three"])
        self.assertEqual(news["status"]["value"]["proxies"], [])
        self.inspector.clear()
        self.tester.clock.advance(LOOK_SECONDS)
        ((_, message),) = listener.take()
        self.assertEqual(sorted(message["gone"]), [1, 2, 3])

    def test_too_many(self) -> None:
        for _ in range(MOST_STREAMS):
            Listener(self.tester.site, "/api/admin/stream")
        answer = self.tester.ask("/api/admin/stream")
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (429, "10"))

    def test_unknown_topic(self) -> None:
        self.refused("stream?topics=nothing", 400)
