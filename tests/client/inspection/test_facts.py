# -*- test-case-name: tests.client.inspection.test_facts -*-
"""Tests of `tunnelsvc.client.inspection.facts`."""

from twisted.trial.unittest import SynchronousTestCase

from tests.client.inspection.exchanges import Named, record, request, response
from tunnelsvc.client.inspection import Exchange
from tunnelsvc.client.inspection.facts import (
    MASK,
    headers_of,
    is_secret,
    milliseconds,
    path_of,
    text_of,
    unmasked,
    url_of,
    user_of,
)


def asked(target: str = "/", *headers: str, method: str = "GET") -> Exchange:
    """Record a request."""
    return record(Named(), request(target, *headers, method=method), response())


class FactTests(SynchronousTestCase):
    """What a head tells."""

    def test_text(self) -> None:
        self.assertEqual(text_of("é".encode()), "é")
        self.assertEqual(text_of(b"\xe9"), "é")

    def test_url(self) -> None:
        self.assertEqual(url_of(asked("/x?y=1")), "http://a.example/x?y=1")
        forwarded = ("X-Forwarded-Proto: https", "X-Forwarded-Host: b.example:8443")
        self.assertEqual(url_of(asked("/x", *forwarded)), "https://b.example:8443/x")
        self.assertEqual(url_of(asked("/", "X-Forwarded-Proto: gopher")), "http://a.example/")
        self.assertEqual(url_of(asked("http://c.example/z")), "http://c.example/z")
        self.assertEqual(url_of(asked("*", method="OPTIONS")), "http://a.example")
        self.assertEqual(url_of(asked("d:443", method="CONNECT")), "d:443")
        self.assertEqual(url_of(record(Named(), b"no request\r\n\r\n")), "")

    def test_path(self) -> None:
        self.assertEqual(path_of(asked("/x?y")), "/x?y")
        self.assertEqual(path_of(asked("HTTP://c.example/z?")), "/z?")
        self.assertEqual(path_of(asked("http://c.example?q")), "/?q")

    def test_user(self) -> None:
        self.assertEqual(user_of(asked()), "192.0.2.1")
        self.assertEqual(user_of(asked("/", "X-Forwarded-For: 1.1.1.1, 2.2.2.2")), "2.2.2.2")
        both = ("X-Forwarded-For: 1.1.1.1, 2.2.2.2", "X-Real-IP: 3.3.3.3")
        self.assertEqual(user_of(asked("/", *both)), "3.3.3.3")

    def test_milliseconds(self) -> None:
        self.assertEqual(milliseconds(1.0, 1.25), 250)
        self.assertEqual(milliseconds(2.0, 1.0), 0)  # the clock was set back
        self.assertIsNone(milliseconds(None, 1.0))
        self.assertIsNone(milliseconds(1.0, None))


class SecretTests(SynchronousTestCase):
    """What is masked."""

    def test_names(self) -> None:
        for name in (
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "Set-Cookie",
            "X-Api-Key",
            "X-XSRFToken",
            "X-Amz-Security-Token",
            "Ocp-Apim-Subscription-Key",
            "X-Hub-Signature-256",
        ):
            self.assertTrue(is_secret(name), name)
        for name in (
            "Host",
            "WWW-Authenticate",
            "Accept",
            "Sec-WebSocket-Key",
            "ETag",
            "Keep-Alive",
        ):
            self.assertFalse(is_secret(name), name)

    def test_masked_unless_revealed(self) -> None:
        half = asked("/", "Cookie: a=b", "Accept: x", "Authorization:").request
        self.assertEqual(
            headers_of(half, reveal=False),
            [("Host", "a.example"), ("Cookie", MASK), ("Accept", "x"), ("Authorization", "")],
        )
        self.assertIn(("Cookie", "a=b"), headers_of(half, reveal=True))

    def test_put_back(self) -> None:
        """Each mask stands for its own secret, in their order; what was edited stays."""
        half = asked("/", "Cookie: one", "Authorization: Basic x", "Cookie: two").request
        edited = [("cookie", MASK), ("X", MASK), ("Authorization", "Bearer y"), ("Cookie", MASK)]
        self.assertEqual(
            unmasked(edited, half),
            [("cookie", "one"), ("X", MASK), ("Authorization", "Bearer y"), ("Cookie", "two")],
        )
