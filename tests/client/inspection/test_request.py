# -*- test-case-name: tests.client.inspection.test_request -*-
"""Tests of `tunnelsvc.client.inspection.request`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.client.inspection.exchanges import NOW, USER, Named, record, request, response
from tests.wire.test_httprecord import SWITCHING, UPGRADE
from tunnelsvc.client.inspection import Exchange
from tunnelsvc.client.inspection.request import (
    MOST_BODY_BYTES,
    CannotReplayError,
    Edits,
    request_of,
)
from tunnelsvc.wire.httpexchange import KEPT_BYTES
from tunnelsvc.wire.httphead import MAX_HEADERS, HeadReader, parse_request_head
from tunnelsvc.wire.httprecord import Conversation

CLOSE = b"Connection: close\r\n\r\n"


def asked(*headers: str, target: str = "/x?y", method: str = "GET", body: bytes = b"") -> Exchange:
    """Record a request."""
    return record(Named(), request(target, *headers, method=method, body=body), response())


class RequestTests(SynchronousTestCase):
    """Requests that are sent again."""

    def refused(self, exchange: Exchange, what: str, **edits: object) -> None:
        why = self.assertRaises(CannotReplayError, request_of, exchange, Edits(**edits))  # type: ignore[arg-type]
        self.assertIn(what, str(why))

    def test_as_it_was(self) -> None:
        self.assertEqual(
            request_of(asked("Cookie: a=b", "X-A: é"), Edits()),
            b"GET /x?y HTTP/1.1\r\nHost: a.example\r\nCookie: a=b\r\nX-A: \xc3\xa9\r\n" + CLOSE,
        )

    def test_what_is_of_the_connection(self) -> None:
        exchange = asked(
            "Connection: keep-alive, X-Hop, Host",
            "Keep-Alive: 5",
            "X-Hop: 1",
            "TE: trailers",
            "Expect: 100-continue",
            "Upgrade: h2c",
        )
        sent = b"GET /x?y HTTP/1.1\r\nHost: a.example\r\n" + CLOSE
        self.assertEqual(request_of(exchange, Edits()), sent)

    def test_chunks_become_one_piece(self) -> None:
        text = (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        )
        sent = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + CLOSE + b"hi"
        self.assertEqual(request_of(record(Named(), text, response()), Edits()), sent)

    def test_edited(self) -> None:
        edits = Edits("PUT", "/other", [("Host", "b"), ("X-Y", " z ")], b"\0new")
        self.assertEqual(
            request_of(asked("Cookie: a=b"), edits),
            b"PUT /other HTTP/1.1\r\nHost: b\r\nX-Y: z\r\nContent-Length: 4\r\n" + CLOSE + b"\0new",
        )
        sent = request_of(asked(method="POST", body=b"x"), Edits(body=b""))
        self.assertIn(b"Content-Length: 0\r\n", sent)
        sent = request_of(asked(target="http://a.example/abs"), Edits())
        self.assertTrue(sent.startswith(b"GET /abs HTTP/1.1\r\n"), sent)
        self.assertIn(b"OPTIONS * HTTP", request_of(asked(), Edits("OPTIONS", "*")))

    def test_nonsense(self) -> None:
        exchange = asked()
        for method in ("", "GET /", "G\r\nT", "CONNECT", "É"):
            self.refused(exchange, "no method", method=method)
        for path in ("", "x", "/a b", "/a\r\nX: y", "*", "/\x7f", "http://a/"):
            self.refused(exchange, "the path must begin with a slash", path=path)
        host = ("Host", "a")
        for name in ("", "a b", "a:", "É", "a\n"):
            self.refused(exchange, "no name of a header", headers=[host, (name, "x")])
        self.refused(exchange, "line end", headers=[host, ("a", "b\r\nc: d")])
        for headers in ([], [host, host]):
            self.refused(exchange, "one Host", headers=headers)
        self.refused(exchange, "too long", headers=[host, ("a", "x" * 100_000)])
        self.refused(exchange, "too long", headers=[host, *[("a", "b")] * MAX_HEADERS])
        self.refused(exchange, "can't be longer", body=bytes(MOST_BODY_BYTES + 1))

    def test_of_which_not_all_is_known(self) -> None:
        exchange = asked(method="PUT", body=bytes(KEPT_BYTES + 1))
        self.refused(exchange, "give it another body")
        self.assertIn(b"Content-Length: 3\r\n", request_of(exchange, Edits(body=b"new")))

    def test_incomplete(self) -> None:
        inspector = Named()
        conversation = Conversation(USER, inspector, lambda: NOW)
        conversation.requests.feed(request(method="PUT", body=b"12345")[:-1])
        (exchange,) = inspector
        self.refused(exchange, "isn't complete")

    def test_other_protocols(self) -> None:
        self.refused(record(Named(), UPGRADE, SWITCHING), "no other protocols")
        self.refused(record(Named(), b"nonsense\r\n\r\n"), "no other protocols")

    @given(
        st.text(max_size=10) | st.none(),
        st.text(max_size=20) | st.none(),
        st.lists(st.tuples(st.text(max_size=10), st.text(max_size=10)), max_size=4) | st.none(),
        st.binary(max_size=20) | st.none(),
    )
    def test_any_edits(
        self,
        method: str | None,
        path: str | None,
        headers: list[tuple[str, str]] | None,
        body: bytes | None,
    ) -> None:
        """What is sent is one request, or nothing is."""
        if headers is not None:
            headers = [("Host", "a"), *headers]
        try:
            sent = request_of(asked(), Edits(method, path, headers, body))
        except (CannotReplayError, UnicodeEncodeError):
            return
        found = HeadReader().feed(sent)
        assert found is not None
        head = parse_request_head(found[0])
        self.assertEqual(head.length, len(found[1]))
        self.assertEqual(found[1], body or b"")
