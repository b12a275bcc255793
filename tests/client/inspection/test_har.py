# -*- test-case-name: tests.client.inspection.test_har -*-
"""Tests of `tunnelsvc.client.inspection.har`."""

import gzip
import json
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from tests.client.inspection.exchanges import Named, record, request, response
from tests.client.inspection.har12 import ARCHIVE
from tests.wire.test_httprecord import SWITCHING, UPGRADE
from tests.wire.test_httprecordbody import frame
from tunnelsvc.client.inspection import Exchange
from tunnelsvc.client.inspection.content import MOST_DECODED_BYTES
from tunnelsvc.client.inspection.har import LEFT_OUT, MOST_CONTENT_BYTES, archive_text
from tunnelsvc.wire.httpexchange import KEPT_BYTES

VALIDATOR = Draft202012Validator(ARCHIVE)


def har_of(exchanges: Iterable[Exchange], *, reveal: bool) -> Any:
    """Read an archive."""
    return json.loads("".join(archive_text(exchanges, reveal=reveal)))


class HarTests(SynchronousTestCase):
    """Archives that every reader of the format takes."""

    def entry(self, asked: bytes, answered: bytes = b"", why: str = "", **how: bool) -> Any:
        """Record a request; return its entry in an archive, which is as it must be."""
        exchange = record(Named(), asked, answered, why)
        archive = har_of([exchange], reveal=how.get("reveal", False))
        VALIDATOR.validate(archive)
        (entry,) = archive["log"]["entries"]
        return entry

    def test_the_schema_refuses(self) -> None:
        archive = har_of([record(Named(), request(), response())], reveal=False)
        self.assertTrue(VALIDATOR.is_valid(archive))
        archive["log"]["entries"][0]["unknown"] = 1
        self.assertFalse(VALIDATOR.is_valid(archive))
        self.assertFalse(VALIDATOR.is_valid({"log": {"version": "1.2", "entries": []}}))

    def test_a_request(self) -> None:
        asked = request("/x?a=1&b=&a=2", "Cookie: c=d", "Accept: y")
        answered = response("Content-Type: text/plain", body=b"hello")
        entry = self.entry(asked, answered, reveal=True)
        self.assertEqual(entry["startedDateTime"], "2026-02-02T02:40:00.000+00:00")
        self.assertEqual(entry["time"], 2000)
        self.assertEqual(
            {name: entry["timings"][name] for name in ("send", "wait", "receive")},
            {"send": 0, "wait": 2000, "receive": 0},
        )
        said = entry["request"]
        self.assertEqual((said["method"], said["httpVersion"]), ("GET", "HTTP/1.1"))
        self.assertEqual(said["url"], "http://a.example/x?a=1&b=&a=2")
        pairs = [(each["name"], each["value"]) for each in said["queryString"]]
        self.assertEqual(pairs, [("a", "1"), ("b", ""), ("a", "2")])
        self.assertEqual(said["cookies"], [{"name": "c", "value": "d"}])
        self.assertEqual((said["headersSize"], said["bodySize"]), (len(asked), 0))
        got = entry["response"]
        self.assertEqual((got["status"], got["statusText"]), (200, "OK"))
        content = {"size": 5, "mimeType": "text/plain", "text": "hello"}
        self.assertEqual(got["content"], content)
        self.assertEqual((got["headersSize"], got["bodySize"]), (len(answered) - 5, 5))

    def test_secrets(self) -> None:
        asked = request("/", "Cookie: a=s3cret", "Authorization: s3cret")
        entry = self.entry(asked, response("Set-Cookie: b=s3cret; Path=/"))
        self.assertNotIn("s3cret", json.dumps(entry))
        self.assertEqual((entry["request"]["cookies"], entry["response"]["cookies"]), ([], []))

    def test_cookies(self) -> None:
        cookie = "Set-Cookie: a=b; Path=/x; Domain=d; HttpOnly; Secure; "
        cookie += "Expires=Wed, 21 Oct 2026 07:28:00 GMT"
        entry = self.entry(request(), response(cookie, "Set-Cookie: x; expires=never"), reveal=True)
        first, second = entry["response"]["cookies"]
        self.assertEqual(
            first,
            {
                "name": "a",
                "value": "b",
                "path": "/x",
                "domain": "d",
                "httpOnly": True,
                "secure": True,
                "expires": "2026-10-21T07:28:00+00:00",
            },
        )
        self.assertEqual(second, {"name": "x", "value": ""})

    def test_media_types(self) -> None:
        """A form can't be read without its boundary, nor a text without its charset."""
        form, page = "multipart/form-data; boundary=x", "text/html; charset=utf-8"
        asked = request("/", f"Content-Type: {form}", method="POST", body=b"--x--")
        entry = self.entry(asked, response(f"Content-Type: {page}", body=b"<p>"))
        self.assertEqual(entry["request"]["postData"]["mimeType"], form)
        self.assertEqual(entry["response"]["content"]["mimeType"], page)

    def test_bodies(self) -> None:
        packed = gzip.compress(b"hello " * 100)
        form = "Content-Type: application/x-www-form-urlencoded"
        entry = self.entry(
            request("/", form, method="POST", body=b"a=1&b=x%20y"),
            response("Content-Encoding: gzip", "Location: /there", body=packed),
        )
        posted = entry["request"]["postData"]
        self.assertEqual(posted["text"], "a=1&b=x%20y")
        self.assertEqual(posted["params"][1], {"name": "b", "value": "x y"})
        got = entry["response"]
        self.assertEqual((got["bodySize"], got["content"]["size"]), (len(packed), 600))
        self.assertEqual(got["content"]["compression"], 600 - len(packed))
        self.assertEqual(got["redirectURL"], "/there")

    def test_binary_bodies(self) -> None:
        body = b"\xff\0"
        entry = self.entry(request("/", method="PUT", body=body), response(body=body))
        self.assertEqual(entry["request"]["postData"]["_encoding"], "base64")
        content = entry["response"]["content"]
        self.assertEqual(content["encoding"], "base64")
        self.assertEqual(b64decode(content["text"]), body)

    def test_long_bodies(self) -> None:
        body = b"x" * (KEPT_BYTES + 1)
        entry = self.entry(request("/", method="PUT", body=body), response(body=body))
        content = entry["response"]["content"]
        self.assertEqual((content["size"], len(content["text"])), (KEPT_BYTES + 1, KEPT_BYTES))
        self.assertIn("the first", content["comment"])
        self.assertIn("the first", entry["request"]["postData"]["comment"])

    def test_bombs(self) -> None:
        """What isn't long here, and is when it is unpacked."""
        inspector = Named()
        packed = gzip.compress(bytes(b"a" * 2 * MOST_DECODED_BYTES))
        answered = response("Content-Encoding: gzip", body=packed)
        for _ in range(20):
            record(inspector, request(), answered)
        archive = har_of(inspector, reveal=False)
        VALIDATOR.validate(archive)
        contents = [each["response"]["content"] for each in archive["log"]["entries"]]
        self.assertEqual(len(contents), 20)
        total = sum(len(each["text"]) for each in contents)
        self.assertLessEqual(total, MOST_CONTENT_BYTES)
        self.assertGreater(total, MOST_CONTENT_BYTES - MOST_DECODED_BYTES)
        self.assertEqual(contents[-1]["comment"], LEFT_OUT)

    def test_websocket(self) -> None:
        entry = self.entry(UPGRADE, SWITCHING + frame(b"x") * 2)
        self.assertEqual(entry["_resourceType"], "websocket")
        self.assertEqual(entry["_webSocketCounts"], {"sent": 0, "received": 2})
        self.assertNotIn("_webSocketMessages", entry)
        self.assertEqual(entry["response"]["bodySize"], 0)

    def test_no_answer(self) -> None:
        entry = self.entry(request(), why="connection refused")
        self.assertEqual((entry["response"]["status"], entry["_error"]), (0, "connection refused"))
        self.assertEqual(entry["response"]["bodySize"], -1)

    def test_what_is_no_request_is_left_out(self) -> None:
        exchange = record(Named(), b"nonsense\r\n\r\n")
        self.assertEqual(har_of([exchange], reveal=False)["log"]["entries"], [])

    @given(st.binary(max_size=60), st.sampled_from(["gzip", "br", "x", ""]), st.text(max_size=20))
    def test_anything(self, body: bytes, coding: str, query: str) -> None:
        target = "/?" + "".join(c for c in query if c.isprintable() and not c.isspace())
        self.entry(
            request(target, "Content-Type: x/y", method="POST", body=body),
            response(f"Content-Encoding: {coding}", body=body),
        )
