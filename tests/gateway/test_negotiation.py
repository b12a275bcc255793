# -*- test-case-name: tests.gateway.test_negotiation -*-
"""Tests of `tunnelsvc.gateway.negotiation`."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.negotiation import MAX_ACCEPT_BYTES, prefers_json

STEADY = settings(derandomize=True, deadline=None)
FIREFOX = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
CHROME = (
    b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;"
    b"q=0.8,application/signed-exchange;v=b3;q=0.7"
)


class PrefersTests(SynchronousTestCase):
    def assert_json(self, *accept: bytes) -> None:
        self.assertTrue(prefers_json(accept), accept)

    def assert_page(self, *accept: bytes) -> None:
        self.assertFalse(prefers_json(accept), accept)

    def test_programs(self) -> None:
        self.assert_json(b"application/json")
        self.assert_json(b"Application/JSON; charset=utf-8")
        self.assert_json(b"application/json, text/plain, */*")
        self.assert_json(b"application/json, */*;q=0.5")
        self.assert_json(b"text/plain", b"application/json")
        self.assert_json(b"application/*")

    def test_browsers_and_the_indifferent(self) -> None:
        for accept in (FIREFOX, CHROME, b"*/*", b"", b"text/html", b"text/css,*/*;q=0.1"):
            self.assert_page(accept)
        self.assert_page()

    def test_qualities(self) -> None:
        self.assert_json(b"text/html;q=0.8, application/json;q=0.9")
        self.assert_json(b"text/html ; q=0.899 , application/json ; q=0.9")
        self.assert_page(b"text/html;q=0.9, application/json;q=0.8")
        self.assert_page(b"text/html, application/json")
        self.assert_page(b"*/*, application/json;q=0.5")
        self.assert_page(b"application/json;q=0")
        self.assert_page(b"application/json;q=0, */*")
        self.assert_json(b"text/*;q=0, application/json;q=0.001")
        self.assert_json(b"text/html;q=0.0, application/*;q=0.1")

    def test_malformed(self) -> None:
        for accept in (b"application/json;q=2", b"application/json;q=x", b"application/json;q="):
            self.assert_page(accept)
        self.assert_json(b",;, ,application/json;q=1.000,;;")

    def test_too_long(self) -> None:
        accept = b"application/json,".ljust(MAX_ACCEPT_BYTES - 3, b"x") + b"/y"
        self.assert_json(accept)
        self.assert_page(accept + b"zz")

    @given(st.lists(st.binary(max_size=40), max_size=5))
    @STEADY
    def test_garbage(self, accept: list[bytes]) -> None:
        """Nothing raises, and JSON is only for those who name it."""
        if prefers_json(accept):
            self.assertIn(b"application/", b",".join(accept).lower())

    @given(st.integers(0, 1000), st.integers(0, 1000))
    @STEADY
    def test_the_higher_quality_wins(self, json: int, page: int) -> None:
        accept = b"application/json;q=%.3f,text/html;q=%.3f" % (json / 1000, page / 1000)
        self.assertIs(prefers_json([accept]), json > page)
