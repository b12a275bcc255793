# -*- test-case-name: tests.wire.test_httprecordbody -*-
"""Tests of `tunnelsvc.wire.httprecordbody`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.pieces import cut
from tunnelsvc.wire.httphead import HeadError, Length
from tunnelsvc.wire.httprecordbody import (
    MOST_LINE_BYTES,
    MOST_TRAILERS,
    MessageCounter,
    Tally,
    tally_of,
)


def frame(payload: bytes, opcode: int = 1, *, final: bool = True, masked: bool = False) -> bytes:
    """Make a frame of a WebSocket; a mask of zeros leaves the payload as it is."""
    first = opcode | (0x80 if final else 0)
    bit = 0x80 if masked else 0
    size = len(payload)
    if size > 0xFFFF:
        length = bytes([bit | 127]) + size.to_bytes(8)
    elif size > 125:
        length = bytes([bit | 126]) + size.to_bytes(2)
    else:
        length = bytes([bit | size])
    return bytes([first]) + length + (bytes(4) if masked else b"") + payload


class TallyTests(SynchronousTestCase):
    """Where a body ends, and what is in it."""

    def feed(self, tally: Tally, *pieces: bytes) -> tuple[bytes, bytes]:
        """Return the content, and what is behind the end."""
        content = bytearray()

        def keep(data: bytes, begin: int, end: int) -> None:
            content.extend(data[begin:end])

        rest = b""
        for piece in pieces:
            rest += piece[tally.feed(piece, 0, keep) :]
        return bytes(content), rest

    def test_sized(self) -> None:
        tally = tally_of(5)
        self.assertEqual(self.feed(tally, b"ab", b"cdefg"), (b"abcde", b"fg"))
        self.assertTrue(tally.done)
        self.assertTrue(tally_of(0).done)

    def test_endless(self) -> None:
        tally = tally_of(Length.UNTIL_CLOSE)
        self.assertEqual(self.feed(tally, b"ab", b"c"), (b"abc", b""))
        self.assertFalse(tally.done)

    def test_chunked(self) -> None:
        """Extensions, padding, trailers: all of it is taken as it comes."""
        tally = tally_of(Length.CHUNKED)
        text = b'3;a="b"\r\nabc\r\nA \r\n0123456789\r\n0\r\nX: y\r\n\r\nGET'
        self.assertEqual(self.feed(tally, text), (b"abc0123456789", b"GET"))
        self.assertTrue(tally.done)

    def test_broken_chunks(self) -> None:
        for text in (
            b"x\r\n",
            b"\r\n",
            b"1\r\nab\r\n",
            b"1" * 16 + b"\r\n",
            b"1" * MOST_LINE_BYTES,
            b"0\r\n" + b"a: b\r\n" * (MOST_TRAILERS + 1),
        ):
            with self.subTest(text=text[:20]):
                self.assertRaises(HeadError, self.feed, tally_of(Length.CHUNKED), text)
                pieces = [text[at : at + 1] for at in range(len(text))]
                self.assertRaises(HeadError, self.feed, tally_of(Length.CHUNKED), *pieces)

    @given(st.lists(st.binary(min_size=1, max_size=300)), st.binary(max_size=10), st.data())
    def test_any_chunks_in_any_pieces(
        self, chunks: list[bytes], behind: bytes, data: st.DataObject
    ) -> None:
        text = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
        pieces = data.draw(cut(text + b"0\r\n\r\n" + behind))
        self.assertEqual(self.feed(tally_of(Length.CHUNKED), *pieces), (b"".join(chunks), behind))

    @given(st.lists(st.binary(max_size=100)))
    def test_anything_is_read_or_refused(self, pieces: list[bytes]) -> None:
        tally = tally_of(Length.CHUNKED)
        try:
            content, rest = self.feed(tally, *pieces)
        except HeadError:
            return
        self.assertLessEqual(len(content) + len(rest), len(b"".join(pieces)))

    @given(st.lists(st.sampled_from([b"1", b"2;x", b"0", b"\r\n", b"\n", b"a", b"\r", b" "])))
    def test_whole_or_byte_by_byte(self, words: list[bytes]) -> None:
        text = b"".join(words)

        def read(*pieces: bytes) -> tuple[bytes, bytes] | None:
            try:
                return self.feed(tally_of(Length.CHUNKED), *pieces)
            except HeadError:
                return None

        self.assertEqual(read(text), read(*(text[at : at + 1] for at in range(len(text)))))


class MessageTests(SynchronousTestCase):
    """Messages of a WebSocket."""

    def test_fragments_are_one_message(self) -> None:
        counter = MessageCounter()
        counter.feed(frame(b"a", final=False))
        counter.feed(frame(b"", opcode=9))
        counter.feed(frame(b"b", opcode=0, final=False))
        self.assertEqual(counter.messages, 0)
        counter.feed(frame(b"c", opcode=0) + frame(b"", opcode=2) + frame(b"\x03\xe8", opcode=8))
        self.assertEqual(counter.messages, 2)

    def test_a_message_counts_when_it_is_complete(self) -> None:
        counter = MessageCounter()
        whole = frame(b"x" * 70_000, masked=True)
        counter.feed(whole[:-1])
        self.assertEqual(counter.messages, 0)
        counter.feed(whole[-1:])
        self.assertEqual(counter.messages, 1)

    @given(
        st.lists(
            st.tuples(st.sampled_from([0, 1, 125, 126, 300, 65536]), st.booleans(), st.booleans())
        ),
        st.data(),
    )
    def test_any_frames_in_any_pieces(
        self, frames: list[tuple[int, bool, bool]], data: st.DataObject
    ) -> None:
        text = b"".join(
            frame(bytes(size), 2, final=final, masked=masked) for size, final, masked in frames
        )
        counter = MessageCounter()
        for piece in data.draw(cut(text)):
            counter.feed(piece)
        self.assertEqual(counter.messages, sum(final for _, final, _ in frames))

    @given(st.lists(st.binary(max_size=100)))
    def test_anything_is_taken(self, pieces: list[bytes]) -> None:
        counter = MessageCounter()
        for piece in pieces:
            counter.feed(piece)
        self.assertGreaterEqual(counter.messages, 0)

    @given(st.lists(st.sampled_from([b"\x81", b"\x01", b"\x89", b"\0", b"\x80", b"\x02", b"~"])))
    def test_whole_or_byte_by_byte(self, words: list[bytes]) -> None:
        text = b"".join(words)
        whole, slow = MessageCounter(), MessageCounter()
        whole.feed(text)
        for at in range(len(text)):
            slow.feed(text[at : at + 1])
        self.assertEqual(whole.messages, slow.messages)
