# -*- test-case-name: tests.gateway.http2.test_fields -*-
"""Tests of `tunnelsvc.gateway.http2.fields`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.http2.fields import (
    NotByHTTP2Error,
    ordinary_fields,
    request_text,
    response_fields,
)
from tunnelsvc.gateway.requesttext import RequestText
from tunnelsvc.wire.httphead import (
    Header,
    HeadError,
    HeadReader,
    Length,
    parse_request_head,
    parse_response_head,
)

PSEUDO = {
    b":method": b"GET",
    b":scheme": b"https",
    b":authority": b"a.example",
    b":path": b"/x?y",
}
WORDS = st.sampled_from(
    [b":method", b":path", b":authority", b"host", b"content-length", b"te", b"x", b"connection",
     b"transfer-encoding", b"GET", b"/", b"*", b"a.example", b"5", b"chunked", b"x\r\nhost: b", b""]
) | st.binary(max_size=6)  # fmt: skip


def made(
    *headers: Header, ended: bool = True, pseudo: dict[bytes, bytes] = PSEUDO, **changed: bytes
) -> RequestText:
    """Make a request's text of the usual pseudo-header fields, or changed ones."""
    changes = {b":" + name.encode(): value for name, value in changed.items()}
    return request_text([*(pseudo | changes).items(), *headers], ended=ended)


class RequestTests(SynchronousTestCase):
    """Requests."""

    def test_get(self) -> None:
        self.assertEqual(
            made((b"x-a", b"1"), (b"te", b"trailers"), (b"cookie", b"a=b; c=d")).head(),
            b"GET /x?y HTTP/1.1\r\nHost: a.example\r\nx-a: 1\r\nte: trailers\r\n"
            b"cookie: a=b; c=d\r\nConnection: close\r\n\r\n",
        )

    def test_length(self) -> None:
        for value, ended, length in (
            (None, True, None),
            (None, False, Length.CHUNKED),
            (b"0", True, 0),
            (b"0", False, 0),
            (b"5", False, 5),
        ):
            headers = [] if value is None else [(b"content-length", value)]
            self.assertEqual(made(*headers, ended=ended).length, length)

    def test_host(self) -> None:
        """One of the two will do; two have to be the same."""
        without = {name: value for name, value in PSEUDO.items() if name != b":authority"}
        self.assertEqual(made((b"host", b"b.example"), pseudo=without).host, b"b.example")
        self.assertEqual(made((b"host", b"a.example")).head().lower().count(b"host: a.ex"), 1)
        self.assertRaises(HeadError, made, pseudo=without)
        self.assertRaises(HeadError, made, (b"host", b"b.example"))

    def test_options(self) -> None:
        self.assertEqual(made(method=b"OPTIONS", path=b"*").target, b"*")

    def test_refused(self) -> None:
        for headers, changed in (
            ([(b"connection", b"close")], {}),
            ([(b"upgrade", b"websocket")], {}),
            ([(b"transfer-encoding", b"chunked")], {}),
            ([(b"content-length", b"5")], {}),
            ([(b"content-length", b"+0")], {}),
            ([(b"content-length", b"0"), (b"content-length", b"1")], {}),
            ([(b"x", b"a\r\nb: c")], {}),
            ([(b"x y", b"")], {}),
            ([(b":method", b"PUT")], {}),
            ([], {"path": b"http://b.example/"}),
            ([], {"path": b"*"}),
            ([], {"path": b""}),
            ([], {"path": b"/ HTTP/1.1\r\nX: y"}),
            ([], {"method": b"G T"}),
            ([], {"authority": b"a\r\nb"}),
        ):
            self.assertRaises(HeadError, made, *headers, **changed)

    def test_connect(self) -> None:
        self.assertRaises(NotByHTTP2Error, made, method=b"CONNECT")

    @given(st.lists(st.tuples(WORDS, WORDS), max_size=6), st.booleans())
    def test_anything(self, fields: list[Header], ended: bool) -> None:
        """It is refused, or one request that names one host, and says what the fields say."""
        try:
            text = request_text([*PSEUDO.items(), *fields], ended=ended)
            found = HeadReader().feed(text.head())
            assert found is not None
            head = parse_request_head(found[0])
        except HeadError:
            return
        self.assertEqual(found[1], b"")
        self.assertEqual(head.values(b"host"), [PSEUDO[b":authority"]])
        self.assertEqual((head.method, head.target), (b"GET", PSEUDO[b":path"]))
        self.assertEqual(head.values(b"connection"), [b"close"])
        if ended:
            self.assertEqual(head.length, 0)


class ResponseTests(SynchronousTestCase):
    """Responses."""

    def test_head(self) -> None:
        head = parse_response_head(
            b"HTTP/1.1 201 Made It\r\nX-One: 1\r\nConnection: close\r\nKeep-Alive: 5\r\n"
            b"Transfer-Encoding: chunked\r\nX-One: 2\r\n\r\n"
        )
        self.assertEqual(
            response_fields(head), [(b":status", b"201"), (b"x-one", b"1"), (b"x-one", b"2")]
        )

    def test_trailer(self) -> None:
        self.assertEqual(ordinary_fields([(b"Sum", b"1"), (b"TE", b"x")]), [(b"sum", b"1")])
