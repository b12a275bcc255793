# -*- test-case-name: tests.client.inspection.test_curl -*-
"""Tests of `tunnelsvc.client.inspection.curl`."""

import shlex
from base64 import b64decode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.client.inspection.exchanges import Named, record, request, response
from tunnelsvc.client.inspection.curl import curl_of
from tunnelsvc.client.inspection.facts import MASK
from tunnelsvc.wire.httpexchange import KEPT_BYTES

SAID = ("Accept: */*", "User-Agent: x")
"""What curl would say of itself otherwise."""


def line(asked: bytes, *, reveal: bool = True) -> str:
    """Write the line of a request."""
    return curl_of(record(Named(), asked, response()), reveal=reveal)


def words(asked: bytes) -> list[str]:
    """Read the line as a shell does."""
    return shlex.split(line(asked))


class CurlTests(SynchronousTestCase):
    """Lines for the shell; tests/e2e runs some."""

    def test_get(self) -> None:
        forwarded = ("X-Forwarded-For: 1.2.3.4", "Connection: keep-alive")
        self.assertEqual(
            line(request("/x?a=b&c=d", *SAID, *forwarded)),
            "curl --path-as-is -g -H 'Accept: */*' -H 'User-Agent: x'"
            " 'http://a.example/x?a=b&c=d'\n",
        )

    def test_what_the_user_did_not_say(self) -> None:
        said = words(request("/", method="PUT", body=b"x"))
        self.assertEqual(
            said[said.index("-H") :],
            [
                *("-H", "Accept:", "-H", "User-Agent:", "-H", "Content-Type:"),
                *("--data-raw", "x", "http://a.example/"),
            ],
        )

    def test_methods(self) -> None:
        for method, body, expected in (
            ("GET", b"", []),
            ("POST", b"x", []),
            ("POST", b"", ["-X", "POST"]),
            ("GET", b"x", ["-X", "GET"]),
            ("HEAD", b"", ["--head"]),
            ("DELETE", b"", ["-X", "DELETE"]),
        ):
            said = words(request("/", *SAID, method=method, body=body))
            self.assertEqual(said[1 : 1 + len(expected)], expected, method)
            self.assertEqual(said[1 + len(expected)], "--path-as-is", method)

    def test_secrets(self) -> None:
        asked = request("/", "Authorization: Basic s3cret")
        self.assertIn("s3cret", line(asked))
        masked = line(asked, reveal=False)
        self.assertNotIn("s3cret", masked)
        self.assertIn(f"Authorization: {MASK}", masked)

    def test_empty_headers_and_compression(self) -> None:
        said = words(request("/", "X-Nothing:", "Accept-Encoding: gzip"))
        self.assertIn("X-Nothing;", said)
        self.assertIn("--compressed", said)

    def test_binary(self) -> None:
        said = words(request("/", "Content-Type: a/b", method="POST", body=b"\xff\0'\""))
        self.assertEqual(said[:2], ["printf", "%s"])
        self.assertEqual(b64decode(said[2]), b"\xff\0'\"")
        self.assertEqual(said[3:8], ["|", "base64", "-d", "|", "curl"])
        self.assertEqual(said[said.index("--data-binary") + 1], "@-")

    def test_nothing_that_a_terminal_obeys(self) -> None:
        """What ends a bracketed paste, or the line, would have the rest run as commands."""
        evil = "\x1b[201~\x03\r touch owned \x9b\t"
        said = line(request("/", method="POST", body=evil.encode()))
        self.assertTrue(said.removesuffix("\n").isprintable(), said)
        self.assertEqual(b64decode(shlex.split(said)[2]), evil.encode())

    def test_controls_in_a_head(self) -> None:
        """Bytes above 0x7f are C1 controls for terminals that have those."""
        said = line(b"GET /\x9b'\\ HTTP/1.1\r\nHost: a\r\nX-A: \x9b31m\tx\r\n\r\n")
        self.assertTrue(said.removesuffix("\n").isprintable(), said)
        self.assertIn("$'X-A: \\302\\23331m\\011x'", said)
        self.assertIn("$'http://a/\\302\\233\\'\\\\'", said)

    def test_a_target_that_is_an_option(self) -> None:
        said = words(b"CONNECT -Kx:1 HTTP/1.1\r\nHost: -Kx:1\r\n\r\n")
        self.assertEqual(said[-2:], ["--url", "-Kx:1"])

    def test_of_which_not_all_was_kept(self) -> None:
        text = line(request("/", method="POST", body=b"x" * (KEPT_BYTES + 1)))
        self.assertTrue(text.startswith(f"# only the first {KEPT_BYTES} of {KEPT_BYTES + 1} bytes"))

    TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)

    @given(TEXT, TEXT, st.binary(max_size=50))
    def test_anything_gets_through_the_shell(self, query: str, value: str, body: bytes) -> None:
        """What the shell makes of the line is what the user has said."""
        target = "/?" + "".join(query.split())
        value = value.strip()
        said = words(request(target, f"X-Value: {value}", method="POST", body=body))
        self.assertEqual(said[-1], f"http://a.example{target}")
        self.assertIn(f"X-Value: {value}" if value else "X-Value;", said)
        if "--data-raw" in said:
            self.assertEqual(said[said.index("--data-raw") + 1].encode(), body)
        elif body:
            self.assertEqual(b64decode(said[2]), body)
