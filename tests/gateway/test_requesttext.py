# -*- test-case-name: tests.gateway.test_requesttext -*-
"""Tests of `tunnelsvc.gateway.requesttext`."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.requesttext import RequestText
from tunnelsvc.wire.httphead import HeadError, HeadReader, Length, parse_request_head

ANYTHING = st.binary(max_size=12) | st.sampled_from(
    [b"x\r\nA: b", b"x\n", b"\r\n\r\nGET / HTTP/1.1", b"a b", b"\0", b"Content-Length", b"TE"]
)


def text(**fields: Any) -> RequestText:
    whole: dict[str, Any] = {"method": b"GET", "target": b"/", "host": b"a.example", "headers": ()}
    return RequestText(**whole | fields)


class RequestTextTests(SynchronousTestCase):
    """What is sent, and what isn't."""

    def test_head(self) -> None:
        made = text(target=b"/x?y", headers=[(b"X-one", b"1"), (b"x-ONE", b"2")])
        self.assertEqual(
            made.head(),
            b"GET /x?y HTTP/1.1\r\nHost: a.example\r\nX-one: 1\r\nx-ONE: 2\r\n"
            b"Connection: close\r\n\r\n",
        )
        self.assertTrue(made.empty)
        self.assertEqual(
            text(method=b"CONNECT", target=b"a:1", host=b"a:1").head(),
            b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        )

    def test_host_and_length_are_said_once(self) -> None:
        headers = [(b"Host", b"b"), (b"content-length", b"9"), (b"Transfer-Encoding", b"chunked")]
        for length, said in (
            (None, b""),
            (0, b"Content-Length: 0\r\n"),
            (7, b"Content-Length: 7\r\n"),
            (Length.CHUNKED, b"Transfer-Encoding: chunked\r\n"),
        ):
            self.assertEqual(
                text(headers=headers, length=length).head(),
                b"GET / HTTP/1.1\r\nHost: a.example\r\n" + said + b"Connection: close\r\n\r\n",
            )

    def test_body_of_known_length(self) -> None:
        made = text(length=5)
        self.assertFalse(made.empty)
        self.assertEqual(made.piece(b"hello") + made.end([(b"a", b"b")]), b"hello")

    def test_chunks_and_trailers(self) -> None:
        made = text(length=Length.CHUNKED)
        self.assertEqual(made.piece(16 * b"x"), b"10\r\nxxxxxxxxxxxxxxxx\r\n")
        self.assertEqual(made.end(), b"0\r\n\r\n")
        self.assertEqual(made.end([(b"Sum", b"1")]), b"0\r\nSum: 1\r\n\r\n")
        self.assertRaises(HeadError, made.end, [(b"Sum", b"1\r\n\r\nGET")])
        self.assertRaises(HeadError, made.end, [(b"Content-Length", b"1")])

    def test_parts_that_would_be_two(self) -> None:
        for fields in (
            {"method": b"GET /x HTTP/1.1\r\nA:"},
            {"method": b""},
            {"target": b"/ HTTP/1.1\r\nA: b"},
            {"target": b"/a b"},
            {"target": b""},
            {"host": b"a\r\nContent-Length: 5"},
            {"host": b"a\0"},
            {"headers": [(b"A\r\nB", b"c")]},
            {"headers": [(b"A b", b"c")]},
            {"headers": [(b"", b"c")]},
            {"headers": [(b"A", b"b\nContent-Length: 5")]},
            {"headers": [(b"A", b"b\x7f")]},
        ):
            self.assertRaises(HeadError, text, **fields)

    @given(
        ANYTHING, ANYTHING, ANYTHING, st.lists(st.tuples(ANYTHING, ANYTHING), max_size=4),
        st.none() | st.integers(0, 9) | st.just(Length.CHUNKED),
    )  # fmt: skip
    def test_what_is_meant_is_what_is_parsed(
        self,
        method: bytes,
        target: bytes,
        host: bytes,
        headers: list[tuple[bytes, bytes]],
        length: int | Length | None,
    ) -> None:
        """Whatever the parts are: they're refused, or the text means just them."""
        try:
            made = text(method=method, target=target, host=host, headers=headers, length=length)
            found = HeadReader().feed(made.head())
            assert found is not None
            raw, rest = found
            head = parse_request_head(raw)
        except HeadError:
            return
        self.assertEqual(rest, b"")
        self.assertEqual((head.method, head.target), (method, target))
        self.assertEqual(head.values(b"host"), [host.strip(b" \t")])
        self.assertEqual(head.length, length or 0)
        said = {b"host", b"content-length", b"transfer-encoding", b"connection"}
        sent = [(name, value.strip(b" \t")) for name, value in headers if name.lower() not in said]
        got = [header for header in head.headers if header[0].lower() not in said]
        self.assertEqual(got, sent)
