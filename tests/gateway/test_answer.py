# -*- test-case-name: tests.gateway.test_answer -*-
"""Tests of `tunnelsvc.gateway.answer`."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.answer import Answer
from tunnelsvc.wire.httphead import Header, HeadError, ResponseHead

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.interim: list[int] = []
        self.head: ResponseHead | None = None
        self.body = b""
        self.trailers: list[Header] | None = None

    def informed(self, head: ResponseHead) -> None:
        assert self.head is None
        self.interim.append(head.status)

    def responded(self, head: ResponseHead) -> None:
        assert self.head is None
        self.head = head

    def switched(self, head: ResponseHead) -> None:
        self.responded(head)

    def received(self, data: bytes) -> None:
        assert self.head is not None
        assert self.trailers is None
        self.body += data

    def ended(self, trailers: Sequence[Header]) -> None:
        assert self.trailers is None
        self.trailers = list(trailers)


class AnswerTests(SynchronousTestCase):
    """One response, in all its forms."""

    def setUp(self) -> None:
        self.told = Told()

    def answer(self, *pieces: bytes, method: bytes = b"GET") -> Answer:
        made = Answer(method, self.told)
        for piece in pieces:
            made.feed(piece)
        return made

    def test_of_known_length(self) -> None:
        answer = self.answer(
            b"HTTP/1.1 200 Fine\r\nX-a: 1\r\nContent-Length: 3\r\n\r\nab", b"c more"
        )
        head = self.told.head
        assert head is not None
        self.assertEqual(
            (head.status, head.reason, head.headers[0]), (200, b"Fine", (b"X-a", b"1"))
        )
        self.assertEqual((self.told.body, self.told.trailers), (b"abc", []))
        self.assertTrue(answer.over)
        answer.feed(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(self.told.body, b"abc")

    def test_interim(self) -> None:
        self.answer(
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 204 No\r\n\r\n"
        )
        self.assertEqual(self.told.interim, [103, 102])
        self.assertEqual(self.told.trailers, [])

    def test_without_body(self) -> None:
        for method, status in ((b"HEAD", 200), (b"GET", 204), (b"GET", 304)):
            self.told = Told()
            self.answer(b"HTTP/1.1 %d x\r\nContent-Length: 5\r\n\r\n" % status, method=method)
            self.assertEqual(self.told.trailers, [])

    @given(st.lists(st.binary(min_size=1, max_size=9)), st.integers(1, 9))
    def test_chunked(self, pieces: list[bytes], step: int) -> None:
        """Wherever the bytes are cut: the data and the trailers come, and the rest doesn't."""
        chunks = b"".join(b"%x;e=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        data = CHUNKED + chunks + b"0\r\nSum: 1\r\nSum: 2\r\n\r\nmore"
        self.told = Told()
        self.answer(*(data[at : at + step] for at in range(0, len(data), step)))
        self.assertEqual(self.told.body, b"".join(pieces))
        self.assertEqual(self.told.trailers, [(b"Sum", b"1"), (b"Sum", b"2")])

    def test_until_the_end(self) -> None:
        answer = self.answer(b"HTTP/1.1 200 OK\r\n\r\nabc")
        self.assertIsNone(self.told.trailers)
        self.assertTrue(answer.finish())
        self.assertEqual((self.told.body, self.told.trailers), (b"abc", []))
        self.assertTrue(answer.finish())

    def test_too_early_an_end(self) -> None:
        for data in (
            b"",
            b"HTTP/1.1 200",
            CHUNKED,
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
        ):
            self.told = Told()
            self.assertFalse(self.answer(data).finish())
            self.assertIsNone(self.told.trailers)

    def test_another_protocol(self) -> None:
        answer = self.answer(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nab", b"HTTP/1.1 c\r\n\r\n")
        self.assertTrue(answer.switched)
        self.assertEqual(self.told.body, b"abHTTP/1.1 c\r\n\r\n")
        self.assertTrue(answer.finish())

    def test_connect(self) -> None:
        answer = self.answer(b"HTTP/1.1 200 OK\r\n\r\nraw", method=b"CONNECT")
        self.assertTrue(answer.switched)
        self.told = Told()
        answer = self.answer(b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", method=b"CONNECT")
        self.assertEqual((answer.switched, answer.over), (False, True))

    def test_what_is_no_response(self) -> None:
        self.assertRaises(HeadError, self.answer, b"SSH-2.0\r\n\r\n")
        self.assertRaises(HeadError, self.answer, CHUNKED + b"x\r\n")
