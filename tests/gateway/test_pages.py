# -*- test-case-name: tests.gateway.test_pages -*-
"""Tests of `tunnelsvc.gateway.pages`."""

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.pages import MAX_PAGE_BYTES, Pages
from tunnelsvc.wire.httphead import parse_response_head, values_of

STATUSES = (400, 401, 404, 407, 408, 502, 503, 504, 505)


class PageCase(SynchronousTestCase):
    """Makes responses."""

    def response(
        self, pages: Pages, status: int, *, body: bool = True, as_json: bool = False
    ) -> tuple[bytes, bytes]:
        """Make a response; return head and content, after a look at the length."""
        whole = pages.response(
            status, body=body, connection=b"close", now=784111777.0, as_json=as_json
        )
        raw, _, content = whole.partition(b"\r\n\r\n")
        head = parse_response_head(raw + b"\r\n\r\n")
        self.assertEqual(head.status, status)
        if body:
            self.assertEqual(head.length, len(content))
        return raw, content


class PageTests(PageCase):
    def test_all_of_them(self) -> None:
        for status in STATUSES:
            for as_json in (False, True):
                raw, content = self.response(Pages(), status, as_json=as_json)
                self.assertTrue(content)
                for name in (b"tunnelsvc", b"frp", b"Twisted", b"python"):
                    self.assertNotIn(name, (raw + content).lower())

    def test_nothing_a_content_policy_could_forbid(self) -> None:
        for status in STATUSES:
            _, content = self.response(Pages(), status)
            for word in (b"<script", b"<style", b"style=", b"<img", b"<link", b" on", b"http:"):
                self.assertNotIn(word, content.replace(b" on the ", b""))

    def test_which_of_the_two(self) -> None:
        """The tunnel, or the service."""
        offline, down = (self.response(Pages(), status)[1] for status in (503, 502))
        self.assertIn(b"<title>This site is offline</title>", offline)
        self.assertIn(b"isn&#x27;t connected", offline)
        self.assertIn(b"The computer that serves this site is connected, but the program", down)

    def test_json(self) -> None:
        codes = set()
        for status in STATUSES:
            raw, content = self.response(Pages(), status, as_json=True)
            self.assertIn(b"\r\nContent-Type: application/json\r\n", raw)
            shape = json.loads(content)
            self.assertEqual(list(shape), ["error", "status", "message"])
            self.assertEqual(shape["status"], status)
            self.assertTrue(shape["message"].endswith("."))
            codes.add(shape["error"])
        self.assertEqual(len(codes), len(STATUSES))
        self.assertLess({"site_offline", "service_down", "service_timeout"}, codes)

    def test_head(self) -> None:
        raw, _ = self.response(Pages(), 404)
        head = parse_response_head(raw + b"\r\n\r\n")
        self.assertEqual(values_of(head.headers, b"connection"), [b"close"])
        self.assertEqual(values_of(head.headers, b"date"), [b"Sun, 06 Nov 1994 08:49:37 GMT"])
        self.assertEqual(values_of(head.headers, b"content-type"), [b"text/html; charset=utf-8"])

    def test_no_connection_header(self) -> None:
        whole = Pages().response(404, body=True, connection=b"", now=0.0)
        self.assertNotIn(b"Connection:", whole)

    def test_no_body(self) -> None:
        """The head is the same as with one."""
        raw, content = self.response(Pages(), 404, body=False)
        self.assertEqual(content, b"")
        self.assertEqual(raw, self.response(Pages(), 404)[0])

    def test_not_found(self) -> None:
        """The sentence that frp's page has, for scripts that look for it."""
        self.assertIn(b"The page you requested was not found.", self.response(Pages(), 404)[1])

    def test_unauthorized(self) -> None:
        raw, content = self.response(Pages(), 401)
        self.assertIn(b'WWW-Authenticate: Basic realm="Restricted"', raw)
        self.assertEqual(content, b"Unauthorized\n")
        raw, content = self.response(Pages(), 407)
        self.assertIn(b'\r\nProxy-Authenticate: Basic realm="Restricted"', raw)
        self.assertNotIn(b"WWW-", raw)
        self.assertEqual(content, b"Unauthorized\n")
        self.assertNotIn(b"WWW-Authenticate", self.response(Pages(), 404)[0])


class CustomTests(PageCase):
    """With a page of one's own; everything else stays as it is."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_read_anew_each_time(self) -> None:
        pages = Pages(str(self.path))
        for content in (b"<p>mine</p>", "<p>anders, schöner</p>".encode()):
            self.path.write_bytes(content)
            self.assertEqual(self.response(pages, 404)[1], content)
        self.assertNotIn(b"mine", self.response(pages, 502)[1])
        self.assertIn(b'"site_not_found"', self.response(pages, 404, as_json=True)[1])

    def test_file_is_missing(self) -> None:
        _, content = self.response(Pages(str(self.path)), 404)
        self.assertIn(b"The page you requested was not found.", content)

    def test_huge_file(self) -> None:
        self.path.write_bytes(bytes(MAX_PAGE_BYTES + 1))
        self.assertEqual(len(self.response(Pages(str(self.path)), 404)[1]), MAX_PAGE_BYTES)
