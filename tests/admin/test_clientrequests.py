# -*- test-case-name: tests.admin.test_clientrequests -*-
"""Tests of `tunnelsvc.admin.clientrequests`."""

from base64 import b64decode

from twisted.trial.unittest import SynchronousTestCase

from tests.client.inspection.exchanges import NOW, USER, Named, record, request, response
from tests.wire.test_httprecord import SWITCHING, UPGRADE
from tests.wire.test_httprecordbody import frame
from tunnelsvc.admin.clientrequests import Rows, download_type, row, whole
from tunnelsvc.client.inspection.facts import MASK
from tunnelsvc.wire.httprecord import Conversation

PNG = b"\x89PNG\r\n\x1a\n"


class ShapeTests(SynchronousTestCase):
    def test_row(self) -> None:
        asked, answered = request("/x?y"), response(body=b"hello")
        exchange = record(Named(), asked, answered)
        self.assertEqual(
            row(exchange),
            {
                "id": 1,
                "at": NOW,
                "proxy": "web",
                "method": "GET",
                "url": "http://a.example/x?y",
                "path": "/x?y",
                "status": 200,
                "ms": 2000.0,
                "in": len(asked),
                "out": len(answered),
                "kind": "http",
                "user": "192.0.2.1",
                "replay_of": None,
                "error": "",
            },
        )
        exchange.replay_of = 7
        self.assertEqual(row(exchange)["replay_of"], 7)

    def test_whole(self) -> None:
        exchange = record(
            Named(),
            request("/", "Cookie: a=b", method="POST", body=b"\xff\0"),
            response("Content-Type: application/json", body=b"[1]"),
        )
        shape = whole(exchange, reveal=False)
        self.assertEqual(shape["done"], True)
        self.assertEqual(shape["timings"], {"send": 0, "wait": 2000, "receive": 0})
        self.assertIn(["Cookie", MASK], shape["request"]["headers"])
        body = shape["request"]["body"]
        self.assertEqual((body["size"], body["kept"], body["kind"]), (2, 2, "binary"))
        self.assertEqual(b64decode(body["base64"]), b"\xff\0")
        self.assertNotIn("text", body)
        self.assertEqual(
            shape["response"]["body"],
            {
                "size": 3,
                "kept": 3,
                "type": "application/json",
                "kind": "text",
                "truncated": False,
                "encoding": "",
                "text": "[1]",
                "pretty": "[\n  1\n]",
            },
        )
        self.assertIn(["Cookie", "a=b"], whole(exchange, reveal=True)["request"]["headers"])
        self.assertNotIn("websocket", shape)

    def test_websocket(self) -> None:
        shape = whole(record(Named(), UPGRADE, SWITCHING + frame(b"x")), reveal=False)
        self.assertEqual(shape["websocket"], {"sent": 0, "received": 1})
        self.assertEqual(shape["kind"], "websocket")

    def test_rows_are_made_once(self) -> None:
        """But those that aren't done."""
        inspector, rows = Named(), Rows()
        record(inspector, request(), response())
        conversation = Conversation(USER, inspector, lambda: NOW)
        conversation.requests.feed(request())
        first = rows.read(inspector)
        self.assertEqual(list(first), [2, 1])
        second = rows.read(inspector)
        self.assertIs(second[1], first[1])
        self.assertIsNot(second[2], first[2])
        conversation.responses.feed(response())
        third = rows.read(inspector)
        self.assertEqual(third[2]["status"], 200)
        self.assertIs(rows.read(inspector)[2], third[2])
        inspector.clear()
        self.assertEqual(rows.read(inspector), {})
        self.assertEqual(rows.read(None), {})

    def test_downloads(self) -> None:
        for body, kind, expected in (
            (b"<script>", "text/html", "text/plain; charset=utf-8"),
            (b"<svg/>", "image/svg+xml", "text/plain; charset=utf-8"),
            (PNG, "text/html", "image/png"),
            (b"\0\1", "image/png", "application/octet-stream"),
            (b"\0\1", "text/html", "application/octet-stream"),
        ):
            exchange = record(Named(), request(), response(f"Content-Type: {kind}", body=body))
            self.assertEqual(download_type(exchange.response), (body, expected))

    def test_downloads_of_other_charsets(self) -> None:
        for body, charset, expected in ((b"\xe9", "latin-1", "é"), (b"+2AA-", "utf-7", "?")):
            kind = f"Content-Type: text/plain; charset={charset}"
            exchange = record(Named(), request(), response(kind, body=body))
            self.assertEqual(download_type(exchange.response)[0].decode(), expected)
            whole(exchange, reveal=False)
