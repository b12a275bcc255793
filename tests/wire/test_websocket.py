# -*- test-case-name: tests.wire.test_websocket -*-
"""Tests of `tunnelsvc.wire.websocket`."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, cycle

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.websocket import (
    NO_STATUS,
    NORMAL,
    TRANSLATE_FROM_BYTES,
    Arrival,
    Decoder,
    Encoder,
    WebSocketError,
    mask,
)

STEADY = settings(derandomize=True, deadline=None)
KEY = bytes.fromhex("37fa213d")
LONGEST_KEPT_BYTES = 131
LONG = 300
"""Bytes; whoever reads half of a frame notices before that."""


def encoder(masked: bool) -> Encoder:
    """Make one whose keys can be foretold."""
    return Encoder(masked=masked, make_key=lambda count: KEY[:count])


def parts(frames: list[bytes], cuts: list[int]) -> Iterator[bytes]:
    """Cut frames up as told, however small; the middle of a long one is left whole."""
    data = b"".join(frames)
    ends = list(accumulate(map(len, frames)))
    at, sizes = 0, cycle(cuts)
    while at < len(data):
        size, frame = next(sizes), bisect_right(ends, at)
        left, begun = ends[frame] - at, at - (ends[frame] - len(frames[frame]))
        if left > LONG and begun > LONG:
            size = max(size, left - LONG)
        yield data[at : at + size]
        at += size


class MaskTests(SynchronousTestCase):
    """Masking is its own opposite, however it is done."""

    def test_example(self) -> None:
        """RFC 6455 section 5.7."""
        self.assertEqual(mask(b"Hello", KEY), bytes.fromhex("7f9f4d5158"))

    def test_both_ways_agree(self) -> None:
        for length in (0, 1, 3, 4, 5, TRANSLATE_FROM_BYTES - 1, TRANSLATE_FROM_BYTES + 3):
            data = bytes(range(256)) * (length // 256 + 1)
            data = data[:length]
            expected = bytes(byte ^ KEY[at % 4] for at, byte in enumerate(data))
            self.assertEqual(mask(data, KEY), expected)
            self.assertEqual(mask(memoryview(data), KEY), expected)
            self.assertEqual(mask(mask(data, KEY), KEY), data)


class EncoderTests(SynchronousTestCase):
    """Bytes as the RFC has them."""

    def test_examples(self) -> None:
        """RFC 6455 section 5.7, in binary."""
        self.assertEqual(encoder(False).data(b"Hello").hex(), "820548656c6c6f")
        self.assertEqual(encoder(True).data(b"Hello").hex(), "828537fa213d7f9f4d5158")
        self.assertEqual(encoder(True).pong(b"Hello").hex(), "8a8537fa213d7f9f4d5158")
        self.assertEqual(encoder(False).close().hex(), "880203e8")

    def test_lengths(self) -> None:
        for length, head in (
            (125, "827d"),
            (126, "827e007e"),
            (65535, "827effff"),
            (65536, "827f0000000000010000"),
        ):
            frame = encoder(False).data(bytes(length))
            self.assertEqual(frame[: len(frame) - length].hex(), head)

    def test_keys_differ(self) -> None:
        made = Encoder(masked=True)
        self.assertGreater(len({made.data(b"x")[2:6] for _ in range(4)}), 1)


class DecoderTests(SynchronousTestCase):
    """What peers send, and what they mustn't."""

    def feed(self, text: str, masked: bool = False) -> Arrival:
        return Decoder(masked=masked).feed(bytes.fromhex(text))

    def test_kinds_of_data_are_one_stream(self) -> None:
        """Text up to frp 0.69, binary later, and continuations whether they continue or not."""
        self.assertEqual(self.feed("8101618201620101638001640000"), Arrival(b"abcd"))
        self.assertEqual(self.feed("8102fffe"), Arrival(b"\xff\xfe"), "no UTF-8")

    def test_ping(self) -> None:
        self.assertEqual(self.feed("820161890178820162"), Arrival(b"ab", ping=b"x"))
        self.assertEqual(self.feed("8901788900"), Arrival(b"", ping=b""), "the latest")
        self.assertEqual(self.feed("8a0178"), Arrival(b""))

    def test_close(self) -> None:
        self.assertEqual(self.feed("880203e8"), Arrival(b"", closed=NORMAL))
        self.assertEqual(self.feed("8800"), Arrival(b"", closed=NO_STATUS))
        self.assertEqual(self.feed("880503f26e6fff"), Arrival(b"", None, 1010, "no�"))
        self.assertEqual(self.feed("8201618800820162"), Arrival(b"a", closed=NO_STATUS))

    def test_nothing_counts_after_a_close(self) -> None:
        decoder = Decoder(masked=False)
        decoder.feed(bytes.fromhex("8800"))
        self.assertEqual(decoder.feed(bytes.fromhex("820161")).payload, b"")

    def test_masked(self) -> None:
        self.assertEqual(self.feed("828537fa213d7f9f4d5158", masked=True), Arrival(b"Hello"))
        self.assertEqual(self.feed("898137fa213d4f", masked=True), Arrival(b"", ping=b"x"))

    def test_what_is_refused(self) -> None:
        for text, masked in (
            ("820161", True),
            ("828137fa213d00", False),
            ("c20161", False),
            ("830161", False),
            ("8b00", False),
            ("0900", False),
            ("897e007e", False),
            ("827fffffffffffffffff", False),
        ):
            with self.assertRaises(WebSocketError, msg=text):
                self.feed(text, masked)

    def test_a_large_frame_is_not_gathered(self) -> None:
        decoder = Decoder(masked=False)
        decoder.feed(bytes.fromhex("827f7fffffffffffffff"))
        for _ in range(3):
            self.assertEqual(decoder.feed(bytes(70_000)).payload, bytes(70_000))
        self.assertEqual(decoder._buffer, b"")

    @STEADY
    @given(
        masked=st.booleans(),
        pieces=st.lists(st.binary(min_size=1, max_size=300) | st.just(bytes(70_000)), max_size=8),
        pings=st.lists(st.binary(max_size=125), max_size=3),
        cuts=st.lists(st.integers(1, 5_000), min_size=1, max_size=20),
    )
    def test_any_cuts(
        self, masked: bool, pieces: list[bytes], pings: list[bytes], cuts: list[int]
    ) -> None:
        """However the bytes come, the stream is the same."""
        sent = Encoder(masked=masked)
        frames = [sent.data(piece) for piece in pieces]
        for at, ping in enumerate(pings):
            pong = sent.pong(ping)
            frames.insert(at * 2, bytes((pong[0] - 1,)) + pong[1:])
        decoder = Decoder(masked=masked)
        payload, arrival = b"", Arrival(b"")
        latest = None
        for part in parts([*frames, sent.close()], cuts):
            arrival = decoder.feed(part)
            payload += arrival.payload
            latest = latest if arrival.ping is None else arrival.ping
            self.assertLessEqual(len(decoder._buffer), LONGEST_KEPT_BYTES)
        self.assertEqual(payload, b"".join(pieces))
        self.assertEqual(arrival.closed, NORMAL)
        self.assertEqual(latest, pings[-1] if pings else None)

    @STEADY
    @given(masked=st.booleans(), pieces=st.lists(st.binary(max_size=40), min_size=1, max_size=30))
    def test_any_bytes(self, masked: bool, pieces: list[bytes]) -> None:
        """Nothing else is raised, and no more is kept or given than came."""
        decoder = Decoder(masked=masked)
        given_out = 0
        for piece in pieces:
            try:
                given_out += len(decoder.feed(piece).payload)
            except WebSocketError:
                return
            self.assertLessEqual(len(decoder._buffer), LONGEST_KEPT_BYTES)
        self.assertLessEqual(given_out, sum(map(len, pieces)))
