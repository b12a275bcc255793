# -*- test-case-name: tests.gateway.test_rules -*-
"""Tests of `tunnelsvc.gateway.rules`."""

from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.gateway.rules import Rules, make_rules
from tunnelsvc.wire.httphead import RequestHead, parse_request_head

STEADY = settings(derandomize=True, deadline=None)


def asking(authorization: bytes | None) -> RequestHead:
    """Make a request with this Authorization."""
    line = b"" if authorization is None else b"Authorization: " + authorization + b"\r\n"
    return parse_request_head(b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n")


def basic(credentials: str) -> bytes:
    """Encode as RFC 7617 has it."""
    return b"Basic " + b64encode(credentials.encode())


class AdmitTests(SynchronousTestCase):
    def test_everybody(self) -> None:
        self.assertTrue(make_rules().admit(asking(None)))
        self.assertTrue(make_rules().admit(asking(b"nonsense")))

    def test_the_right_ones(self) -> None:
        rules = make_rules(http_user="jürgen", http_password="a:b c")
        self.assertTrue(rules.admit(asking(basic("jürgen:a:b c"))))
        self.assertTrue(rules.admit(asking(basic("jürgen:a:b c").replace(b"Basic ", b"bAsIc  "))))

    def test_others(self) -> None:
        rules = make_rules(http_user="user", http_password="secret")
        for authorization in (
            None,
            b"",
            b"Basic",
            b"Basic !!!!",
            b"Basic dXNlcjpzZWNyZXQ",
            b"Bearer dXNlcjpzZWNyZXQ=",
            basic("user:secre"),
            basic("user:secret "),
            basic("User:secret"),
            basic("user"),
            basic(":"),
            basic(""),
        ):
            self.assertFalse(rules.admit(asking(authorization)), authorization)

    def test_only_one_of_both_configured(self) -> None:
        self.assertTrue(make_rules(http_user="u").admit(asking(basic("u:"))))
        self.assertFalse(make_rules(http_user="u").admit(asking(None)))
        self.assertTrue(make_rules(http_password="p").admit(asking(basic(":p"))))

    @given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
    @STEADY
    def test_nobody_gets_in_by_chance(self, text: str) -> None:
        rules = make_rules(http_user="user", http_password="secret")
        self.assertFalse(rules.admit(asking(text.encode())))


class MakeTests(SynchronousTestCase):
    def test_secrets_are_not_shown(self) -> None:
        shown = repr(make_rules(http_user="user", http_password="secret"))
        self.assertNotIn("secret", shown)
        self.assertIn("***", shown)
        self.assertNotIn("***", repr(Rules()))

    def test_headers(self) -> None:
        rules = make_rules(
            host_header_rewrite="local.example:81",
            headers={"X-From-Where": "frp", "Connection": "close", "content-length": "5"},
        )
        self.assertEqual(rules.host, b"local.example:81")
        self.assertEqual(rules.headers, ((b"X-From-Where", b"frp"),))

    def test_response_headers(self) -> None:
        rules = make_rules(response_headers={"X-A": "b", "Transfer-Encoding": "x", "x-c": ""})
        self.assertEqual(rules.response_headers, ((b"X-A", b"b"), (b"x-c", b"")))
        self.assertEqual(rules.response_names, {b"x-a", b"x-c"})
        self.assertEqual(rules.headers, ())
        self.assertRaises(ProxyRefused, make_rules, response_headers={"X": "a\r\nY: b"})

    def test_what_would_be_two_headers(self) -> None:
        for headers in ({"X": "a\r\nY: b"}, {"X": "a\n"}, {"X\r": "a"}, {"": "a"}, {"X Y": "a"}):
            error = self.assertRaises(ProxyRefused, make_rules, headers=headers)
            self.assertIn("can't be set", str(error))
        self.assertRaises(ProxyRefused, make_rules, host_header_rewrite="a\r\nX: b")
