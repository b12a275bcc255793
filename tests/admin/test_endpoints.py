# -*- test-case-name: tests.admin.test_endpoints -*-
"""Tests of `tunnelsvc.admin.endpoints`."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from tests.admin.support import Answer, Conversation
from tunnelsvc.admin.channel import DashboardSite
from tunnelsvc.admin.clientweb import MOST_BODY_BYTES, AdminRequest
from tunnelsvc.admin.endpoints import MOST_ID, MOST_TEXT, Choice, Choices, Endpoint, Text, Whole
from tunnelsvc.admin.endpoints import asked as check
from tunnelsvc.admin.routing import ANY, APIError, Routes, route
from tunnelsvc.admin.web import answer_json

ROUTES: Routes[Endpoint[None]] = {
    ("all",): {
        b"GET": Endpoint(
            None,
            "Everything.",
            query=(
                Whole("limit", "", 1, 1000, default=200),
                Text("text", "", most=10),
                Choice("group", "", ("login", "admin")),
                Choices("topics", "", ("a", "b")),
            ),
        )
    },
    ("must",): {b"GET": Endpoint(None, "Some.", query=(Choice("of", "", ("a",), required=True),))},
    ("one", ANY, "of", ANY): {
        b"GET": Endpoint(None, "One.", path=(Whole("id", ""), Text("key", "")))
    },
    ("body",): {b"POST": Endpoint(None, "A body.", body="Body")},
}


class API(Resource):
    isLeaf = True

    def render(self, request: Request) -> bytes:
        try:
            endpoint, variables = route(ROUTES, request)
            asked = check(endpoint, request, variables)
            return answer_json(request, asked.json() if endpoint.body else dict(asked.values))
        except APIError as why:
            return answer_json(request, why.shape(), why.code)


class EndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = DashboardSite(API(), Clock(), AdminRequest)

    def ask(self, path: str, method: str = "GET", body: bytes = b"") -> Answer:
        connection = Conversation(self.site)
        more = b"Content-Length: %d\r\n" % len(body) if body else b""
        connection.send(method, path, None, more)
        connection.channel.dataReceived(body)
        answer = connection.answer()
        connection.lose()
        return answer

    def assertRefused(self, path: str, why: str) -> None:
        answer = self.ask(path)
        self.assertEqual((answer.status, answer.json), (400, {"Code": 400, "Msg": why}), path)

    def test_defaults(self) -> None:
        nothing = {"limit": 200, "text": "", "group": "", "topics": ["a", "b"]}
        self.assertEqual(self.ask("/all").json, nothing)
        self.assertEqual(self.ask("/all?text=&group=&topics=&other=1").json, nothing)

    def test_given(self) -> None:
        self.assertEqual(
            self.ask("/all?limit=1&text=%C3%A4%00&group=admin&topics=b,b").json,
            {"limit": 1, "text": "ä\0", "group": "admin", "topics": ["b"]},
        )
        self.assertEqual(self.ask("/must?of=a").json, {"of": "a"})
        self.assertEqual(self.ask("/one/7/of/a%2Fb").json, {"id": 7, "key": "a/b"})
        self.assertEqual(self.ask(f"/one/{MOST_ID}/of/x").json["id"], MOST_ID)

    def test_wrong(self) -> None:
        number = "limit must be a whole number between 1 and 1000, not "
        for query, why in {
            "limit=abc": number + '"abc"',
            "limit=": number + '""',
            "limit=0": number + '"0"',
            "limit=1001": number + '"1001"',
            "limit=%D9%A1": number + '"١"',
            "limit=-1": number + '"-1"',
            "limit=1.0": number + '"1.0"',
            "limit=" + "9" * 5000: number + f'"{"9" * 40}…"',
            "limit=1&limit=2": "limit is given more than once",
            "text=01234567890": "text can't be longer than 10 characters",
            "text=%FF": "text must be UTF-8",
            "group=x": 'group must be one of login, admin, not "x"',
            "topics=a,c": 'each of topics must be one of a, b, not "c"',
        }.items():
            self.assertRefused(f"/all?{query}", why)
        self.assertRefused("/must", "of is missing")
        self.assertRefused("/must?of=", 'of must be one of a, not ""')
        self.assertRefused(
            "/one/x/of/y", f'id must be a whole number between 0 and {MOST_ID}, not "x"'
        )
        self.assertRefused(
            f"/one/1/of/{'x' * 301}", f"key can't be longer than {MOST_TEXT} characters"
        )

    @settings(max_examples=30)
    @given(st.text(), st.text())
    def test_anything(self, key: str, text: str) -> None:
        """Gets an answer, and a right one where it is right."""
        name = quote(text.encode("utf-8", "surrogatepass"), safe="")
        for parameter in ("limit", "text", "group", "topics"):
            answer = self.ask(f"/all?{parameter}={name}")
            self.assertIn(answer.status, {200, 400})
            self.assertEqual(answer.json.get("Code", 200), answer.status)
        path = f"/one/{name or 1}/of/{quote(key, safe='')}"
        self.assertIn(self.ask(path).status, {200, 400, 404})

    def test_bodies(self) -> None:
        self.assertEqual(self.ask("/body", "POST", b'{"a": 1}').json, {"a": 1})
        for body, code, why in (
            (b"", 400, "the body must be JSON"),
            (b"\xff", 400, "the body must be JSON"),
            (b"[" * 100_000, 400, "the body must be JSON"),
            (b"[1]", 400, "the body must be a JSON object"),
            (b"x" * (MOST_BODY_BYTES + 1), 413, "the body is too long"),
        ):
            answer = self.ask("/body", "POST", body)
            self.assertEqual((answer.status, answer.json), (code, {"Code": code, "Msg": why}))

    @given(st.recursive(st.none() | st.text() | st.floats(), st.lists, max_leaves=5))
    def test_any_body(self, value: Any) -> None:
        self.assertIn(self.ask("/body", "POST", json.dumps(value).encode()).status, {400, 200})
