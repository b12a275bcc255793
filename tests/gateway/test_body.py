# -*- test-case-name: tests.gateway.test_body -*-
"""Tests of `tunnelsvc.gateway.body`."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.body import (
    MAX_CHUNK_LINE_BYTES,
    MAX_TRAILER_BYTES,
    Body,
    ChunkedBody,
    EndlessBody,
    SizedBody,
    body_of,
)
from tunnelsvc.wire.httphead import HeadError, Length

STEADY = settings(derandomize=True, deadline=None)
CHUNKED = b'5\r\nhello\r\n6;name="va lue"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n'


def through(body: Body, pieces: Iterable[bytes]) -> tuple[bytes, bytes]:
    """Feed pieces; return what was passed on, and all that is behind the end."""
    passed, behind = b"", b""
    for piece in pieces:
        if body.done:
            behind += piece
            continue
        some, rest = body.feed(piece)
        passed += some
        behind += rest
    return passed, behind


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut `data` at these places."""
    places = [0, *sorted(min(place, len(data)) for place in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


class SizedTests(SynchronousTestCase):
    def test_empty(self) -> None:
        body = SizedBody(0)
        self.assertTrue(body.done)
        self.assertEqual(body.feed(b"next"), (b"", b"next"))

    def test_in_pieces(self) -> None:
        body = SizedBody(5)
        piece = b"hel"
        self.assertIs(body.feed(piece)[0], piece)
        self.assertFalse(body.done)
        self.assertEqual(body.feed(b"lo, next"), (b"lo", b", next"))
        self.assertTrue(body.done)


class EndlessTests(SynchronousTestCase):
    def test_never_done(self) -> None:
        body = EndlessBody()
        self.assertEqual(body.feed(b"0\r\n\r\n"), (b"0\r\n\r\n", b""))
        self.assertFalse(body.done)


class ChunkedTests(SynchronousTestCase):
    def test_passed_on_as_it_is(self) -> None:
        body = ChunkedBody()
        self.assertEqual(body.feed(CHUNKED + b"next"), (CHUNKED, b"next"))
        self.assertTrue(body.done)

    def test_decoded(self) -> None:
        body = ChunkedBody(decode=True)
        self.assertEqual(body.feed(CHUNKED + b"next"), (b"hello world", b"next"))
        self.assertTrue(body.done)

    def test_nothing_is_copied_inside_a_chunk(self) -> None:
        body = ChunkedBody()
        body.feed(b"ffff\r\n")
        piece = bytes(1000)
        self.assertIs(body.feed(piece)[0], piece)

    def test_data_is_not_kept(self) -> None:
        """Only an incomplete line waits for the rest of it."""
        body = ChunkedBody()
        self.assertEqual(body.feed(b"5\r\nhel"), (b"5\r\nhel", b""))
        self.assertEqual(body.feed(b"lo\r"), (b"lo", b""))
        self.assertEqual(body.feed(b"\n0\r\n\r"), (b"\r\n0\r\n", b""))
        self.assertEqual(body.feed(b"\nnext"), (b"\r\n", b"next"))

    def test_refused(self) -> None:
        for stream in (
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"\r\n\r\n",
            b"-5\r\n",
            b"+5\r\n",
            b"0x5\r\n",
            b"5 5\r\n",
            b" 5\r\n",
            b"5 \r\n",
            b"5_0\r\n",
            b"g\r\n",
            b";a\r\n",
            b"5;a\rb\r\n",
            b"5;a\x00\r\n",
            b"5;a\nhello\r\n",
            b"1" * 16 + b"\r\n",
            b"0\r\nbad line\r\n\r\n",
            b"0\r\nX: a\n\r\n",
            b"0\r\nX: a\x00\r\n\r\n",
            b"0\r\nX : a\r\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\nContent-Length: 5\r\n\r\n",
            b"0\r\ntransfer-encoding: chunked\r\n\r\n",
            b"0\r\nHost: b\r\n\r\n",
            b"0\r\nX-Real-IP: ::1\r\n\r\n",
            b"0\r\nX_Forwarded_For: ::1\r\n\r\n",
        ):
            for decode in (False, True):
                body = ChunkedBody(decode=decode)
                self.assertRaises(HeadError, body.feed, stream)
                self.assertFalse(body.done, stream)

    def test_padded_sizes(self) -> None:
        """Blanks behind a size are no part of what is passed on, wherever the pieces end."""
        padded = b"5  \r\nhello\r\n6 \t\r\n world\r\n0 ;a\r\n\r\n"
        plain = b"5\r\nhello\r\n6\r\n world\r\n0 ;a\r\n\r\n"
        for decode, expected in ((False, plain), (True, b"hello world")):
            for place in range(len(padded)):
                body = ChunkedBody(decode=decode, mend=True)
                passed, behind = through(body, [padded[:place], padded[place:] + b"next"])
                self.assertEqual((passed, behind), (expected, b"next"))

    def test_what_is_not_mended(self) -> None:
        for stream in (b" 5\r\n", b"5 5\r\n", b"5 \n", b"5 \x0b\r\n", b" \r\n"):
            self.assertRaises(HeadError, ChunkedBody(mend=True).feed, stream)

    def test_long_lines(self) -> None:
        line = b"0;" + b"x" * (MAX_CHUNK_LINE_BYTES - 4) + b"\r\n"
        self.assertEqual(ChunkedBody().feed(line), (line, b""))
        self.assertRaises(HeadError, ChunkedBody().feed, b"0;x" + line[2:])
        body = ChunkedBody()
        body.feed(line[:-2])
        self.assertRaises(HeadError, body.feed, b"xx")

    def test_long_trailers(self) -> None:
        line = b"X: " + b"y" * 1019 + b"\r\n"
        body = ChunkedBody()
        body.feed(b"0\r\n" + line * (MAX_TRAILER_BYTES // len(line)))
        self.assertRaises(HeadError, body.feed, b"\r\n")

    @given(st.lists(st.integers(0, len(CHUNKED) + 4), max_size=8), st.booleans())
    @STEADY
    def test_any_split(self, cuts: list[int], decode: bool) -> None:
        body = ChunkedBody(decode=decode)
        passed, behind = through(body, cut(CHUNKED + b"next", cuts))
        self.assertEqual(passed, b"hello world" if decode else CHUNKED)
        self.assertEqual(behind, b"next")

    @given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.lists(st.integers(0, 999)))
    @STEADY
    def test_any_data(self, chunks: list[bytes], cuts: list[int]) -> None:
        stream = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        self.assertEqual(through(ChunkedBody(), cut(stream, cuts)), (stream, b""))
        decoded = through(ChunkedBody(decode=True), cut(stream, cuts))
        self.assertEqual(decoded, (b"".join(chunks), b""))

    @given(st.lists(st.one_of(st.binary(), st.sampled_from([b"5", b"\r\n", b"0", b"\n", b";"]))))
    @STEADY
    def test_whatever_comes(self, pieces: list[bytes]) -> None:
        """Any bytes are a body or a `HeadError`, and nothing is lost or invented."""
        body = ChunkedBody()
        given_bytes = b"".join(pieces)
        try:
            passed, behind = through(body, pieces)
        except HeadError:
            return
        self.assertTrue(given_bytes.startswith(passed))
        self.assertTrue(given_bytes.endswith(behind))


class ChoiceTests(SynchronousTestCase):
    def test_by_length(self) -> None:
        self.assertIsInstance(body_of(Length.UNTIL_CLOSE), EndlessBody)
        self.assertEqual(body_of(2).feed(b"abc"), (b"ab", b"c"))
        self.assertEqual(body_of(Length.CHUNKED).feed(b"1\r\na\r\n"), (b"1\r\na\r\n", b""))
        self.assertEqual(body_of(Length.CHUNKED, decode=True).feed(b"1\r\na\r\n"), (b"a", b""))
