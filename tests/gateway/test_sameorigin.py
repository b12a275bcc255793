# -*- test-case-name: tests.gateway.test_sameorigin -*-
"""Tests of `tunnelsvc.gateway.sameorigin`; with Tornado itself in `tests.e2e.test_websites`."""

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.forwarded import Origin
from tunnelsvc.gateway.rewrite import request_for_backend
from tunnelsvc.gateway.rules import make_rules
from tunnelsvc.gateway.sameorigin import behind_new_host
from tunnelsvc.wire.httphead import parse_request_head

STEADY = settings(derandomize=True, deadline=None)


def passed_on(line: str, host: str = "localhost:8888") -> Mapping[str, str]:
    """Give the headers, by lower-case name, of a request for ``lab.example:8080``."""
    request = f"GET /api HTTP/1.1\r\nHost: lab.example:8080\r\n{line}\r\n\r\n"
    rules = make_rules(host_header_rewrite=host)
    made = request_for_backend(parse_request_head(request.encode()), rules, Origin(b"192.0.2.7"))
    lines = (header.partition(": ") for header in made.decode().split("\r\n")[1:])
    return {name.lower(): value for name, _, value in lines}


class HeaderTests(SynchronousTestCase):
    def test_origin(self) -> None:
        for origin, expected in (
            ("https://lab.example:8080", "https://localhost:8888"),
            ("http://evil.example", "http://evil.example"),
            ("http://localhost:8888", "null"),
            ("null", "null"),
            ("", ""),
        ):
            self.assertEqual(passed_on(f"oRigin: {origin}")["origin"], expected)

    def test_foreign_origins(self) -> None:
        for origin in (
            "http://lab.example",
            "http://lab.example:8080.evil.example",
            "http://x@lab.example:8080",
            "http://localhost:8888.evil.example",
            "file://",
        ):
            self.assertEqual(passed_on(f"Origin: {origin}")["origin"], origin)

    def test_without_rewrite(self) -> None:
        for origin in ("http://lab.example:8080", "http://localhost:8888"):
            self.assertEqual(passed_on(f"Origin: {origin}", host="")["origin"], origin)

    def test_referer(self) -> None:
        for referer, expected in (
            ("http://lab.example:8080/lab?x#y", "http://localhost:8888/lab?x#y"),
            ("http://lab.example:8080", "http://localhost:8888"),
            ("http://evil.example/http://lab.example:8080/", None),
            ("about:blank", None),
        ):
            shown = passed_on(f"Referer: {referer}")["referer"]
            self.assertEqual(shown, expected or referer)
        self.assertNotIn("referer", passed_on("Referer: http://localhost:8888/x"))

    def test_the_rest_stays(self) -> None:
        url = b"http://lab.example:8080/"
        headers = [(b"X-Origin", url), (b"cookie", b"a"), (b"Cookie", b"b")]
        moved = list(behind_new_host(headers, b"lab.example:8080", b"localhost"))
        self.assertEqual(moved, headers)

    def test_configured(self) -> None:
        """``header_Origin`` is the last word."""
        head = parse_request_head(b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\n\r\n")
        rules = make_rules(host_header_rewrite="b", headers={"Origin": "http://c"})
        made = request_for_backend(head, rules, Origin(b""))
        self.assertIn(b"\r\nOrigin: http://c\r\n", made)
        self.assertEqual(made.lower().count(b"origin:"), 1)

    @given(st.binary(max_size=60))
    @STEADY
    def test_garbage(self, value: bytes) -> None:
        """Nothing raises, and nothing becomes of the service's host but what was of the user's."""
        for scheme in (b"", b"http://", b"http://lab"):
            [(_, moved)] = behind_new_host([(b"Origin", scheme + value)], b"lab", b"local")
            if moved != scheme + value:
                self.assertTrue(moved == b"null" or scheme == b"http://lab", moved)
