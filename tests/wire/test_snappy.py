# -*- test-case-name: tests.wire.test_snappy -*-
"""Tests of `tunnelsvc.wire.snappy`."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.wire.snappy import MAX_BLOCK_BYTES, Compressor, Decompressor

STEADY = settings(derandomize=True, deadline=None)
IDENTIFIER = bytes.fromhex("ff060000734e61507059")
HELLO = bytes.fromhex("01090000bb1f1c1968656c6c6f")
HUNDRED_A = bytes.fromhex("000d00001fa8b5fd640061fe01008a0100")
EMPTY_CHECKSUM = bytes.fromhex("d8ea82a2")


def noise(size: int) -> bytes:
    """Make bytes that no compression shortens, the same in every run."""
    return random.Random(size).randbytes(size)


def chunk(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "little") + body


class CompressorTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """The bytes are the ones that the real programs write."""
        compressor = Compressor()
        self.assertEqual(compressor.feed(b"hello"), IDENTIFIER + HELLO)
        self.assertEqual(compressor.feed(b"a" * 100), HUNDRED_A)

    def test_nothing_makes_nothing(self) -> None:
        """The identifier waits for the first bytes, and comes once."""
        compressor = Compressor()
        self.assertEqual(compressor.feed(b""), b"")
        self.assertEqual(compressor.feed(b"hello"), IDENTIFIER + HELLO)
        self.assertEqual(compressor.feed(b""), b"")
        self.assertEqual(compressor.feed(b"hello"), HELLO)

    def test_chunk_limit(self) -> None:
        """More than 64 KiB is cut, as no chunk may hold more."""
        wire = Compressor().feed(noise(MAX_BLOCK_BYTES + 1))[len(IDENTIFIER) :]
        self.assertEqual(wire[:4], b"\x01" + (MAX_BLOCK_BYTES + 4).to_bytes(3, "little"))
        self.assertEqual(wire[MAX_BLOCK_BYTES + 8 :][:4], b"\x01\x05\x00\x00")

    def test_only_if_it_saves_an_eighth(self) -> None:
        """A block that compression shortens by less goes as it is: here by 12.4 and 13.2 %."""
        little, enough = bytes(160) + noise(1000), bytes(170) + noise(1000)
        compressor = Compressor()
        compressor.feed(b"x")
        self.assertEqual(compressor.feed(little)[0], 0x01)
        self.assertEqual(compressor.feed(enough)[0], 0x00)


class DecompressorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.decompressor = Decompressor()

    def refused(self, data: bytes, text: str) -> None:
        with self.assertRaises(RemoteProtocolError) as caught:
            self.decompressor.feed(data)
        self.assertIn(text, str(caught.exception))

    def test_vector(self) -> None:
        """What the real programs write is read, in one piece."""
        plain = self.decompressor.feed(IDENTIFIER + HELLO + HUNDRED_A)
        self.assertEqual(plain, b"hello" + b"a" * 100)

    def test_byte_by_byte(self) -> None:
        """A chunk's data is given with its last byte."""
        wire = IDENTIFIER + HELLO
        pieces = [self.decompressor.feed(bytes([byte])) for byte in wire]
        self.assertEqual(pieces, [b""] * (len(wire) - 1) + [b"hello"])

    def test_identifier_again(self) -> None:
        """The identifier may come again between chunks."""
        plain = self.decompressor.feed(IDENTIFIER + IDENTIFIER + HELLO + IDENTIFIER + HELLO)
        self.assertEqual(plain, b"hellohello")

    def test_empty_chunk(self) -> None:
        """A chunk may hold nothing, without hiding the ones after it."""
        plain = self.decompressor.feed(IDENTIFIER + chunk(1, EMPTY_CHECKSUM) + HELLO)
        self.assertEqual(plain, b"hello")

    def test_skipped(self) -> None:
        """Padding and types for later use are skipped, also without a body."""
        skipped = b"".join(chunk(kind, b"??") for kind in range(0x80, 0xFF)) + chunk(0xFE, b"")
        self.assertEqual(self.decompressor.feed(IDENTIFIER + skipped + HELLO), b"hello")

    def test_skipped_unbuffered(self) -> None:
        """The largest chunk to be skipped costs no memory."""
        body_bytes = 2**24 - 1
        self.decompressor.feed(IDENTIFIER + b"\xfe" + body_bytes.to_bytes(3, "little"))
        for _ in range(body_bytes // 65536):
            self.assertEqual(self.decompressor.feed(bytes(65536)), b"")
            self.assertEqual(len(self.decompressor._unread), 0)
        self.assertEqual(self.decompressor.feed(bytes(body_bytes % 65536) + HELLO), b"hello")

    def test_no_identifier(self) -> None:
        """Data, or anything to be skipped, before the identifier is an error."""
        for first in (HELLO, chunk(0xFE, b"")):
            self.decompressor = Decompressor()
            self.refused(first, "doesn't start with its identifier")

    def test_wrong_identifier(self) -> None:
        """An identifier with another text is an error."""
        self.refused(chunk(0xFF, b"sNaPpX"), "wrong stream identifier")

    def test_reserved(self) -> None:
        """Types that must not be skipped are errors, as their meaning is unknown."""
        for kind in (0x02, 0x7F):
            self.decompressor = Decompressor()
            self.refused(IDENTIFIER + chunk(kind, b"12345678"), f"type 0x{kind:02x}")

    def test_too_long(self) -> None:
        """A body longer than any legal one is refused with the header, before it comes."""
        for kind, body_bytes in ((0x00, 4 + 76490 + 1), (0x01, 4 + 65536 + 1), (0xFF, 7)):
            self.decompressor = Decompressor()
            header = bytes([kind]) + body_bytes.to_bytes(3, "little")
            self.refused(IDENTIFIER + header, f"{body_bytes} bytes")

    def test_too_short(self) -> None:
        """A body without room for checksum and block is refused."""
        for kind, body_bytes in ((0x00, 4), (0x01, 3), (0x00, 0), (0xFF, 5)):
            self.decompressor = Decompressor()
            self.refused(IDENTIFIER + chunk(kind, bytes(body_bytes)), f"{body_bytes} bytes")

    def test_checksum(self) -> None:
        """Changed data, or a changed checksum, is noticed in both kinds of chunk."""
        for good in (HELLO, HUNDRED_A):
            for position in (4, len(good) - 1):
                bad = bytearray(good)
                bad[position] ^= 1
                self.decompressor = Decompressor()
                self.refused(IDENTIFIER + bad, "snappy: corrupt input")

    def test_expands_too_far(self) -> None:
        """A block that claims more than 64 KiB is refused and not unpacked."""
        for claim in (b"\x81\x80\x04", b"\xff\xff\xff\xff\x0f"):
            self.decompressor = Decompressor()
            self.refused(IDENTIFIER + chunk(0, EMPTY_CHECKSUM + claim + bytes(9)), "unsupported")

    def test_largest(self) -> None:
        """Chunks of exactly 64 KiB pass, compressed or not."""
        compressor = Compressor()
        for data in (noise(MAX_BLOCK_BYTES), bytes(MAX_BLOCK_BYTES)):
            self.assertEqual(self.decompressor.feed(compressor.feed(data)), data)

    def test_buffers_one_chunk(self) -> None:
        """However much is fed, what stays is the part of a chunk that isn't complete."""
        wire = Compressor().feed(noise(10 * MAX_BLOCK_BYTES))
        self.decompressor.feed(wire[:-1])
        self.assertEqual(len(self.decompressor._unread), MAX_BLOCK_BYTES + 8 - 1)


class PropertyTests(SynchronousTestCase):
    @STEADY
    @given(st.lists(st.binary(max_size=300)), st.integers(1, 50), st.integers(1, 1000))
    def test_any_split(self, writes: list[bytes], repeat: int, step: int) -> None:
        """What was compressed in some pieces is decompressed in any others."""
        compressor, decompressor = Compressor(), Decompressor()
        wire = b"".join(compressor.feed(data * repeat) for data in writes)
        pieces = [wire[i : i + step] for i in range(0, len(wire), step)]
        plain = b"".join(map(decompressor.feed, pieces))
        self.assertEqual(plain, b"".join(data * repeat for data in writes))

    @STEADY
    @given(st.sampled_from([0, 1]), st.binary(max_size=200))
    def test_any_chunk(self, kind: int, body: bytes) -> None:
        """A chunk with any body is read or refused, never anything else."""
        try:
            plain = Decompressor().feed(IDENTIFIER + chunk(kind, body))
        except RemoteProtocolError:
            return
        self.assertLessEqual(len(plain), MAX_BLOCK_BYTES)

    @STEADY
    @given(st.binary(max_size=100), st.binary(max_size=100), st.integers(1, 20))
    def test_any_bytes(self, head: bytes, tail: bytes, step: int) -> None:
        """Any bytes in any pieces are read or refused, alike however they are split."""
        data = IDENTIFIER * (len(head) % 2) + head + HELLO + tail
        whole = self.outcome([data])
        self.assertEqual(
            self.outcome([data[i : i + step] for i in range(0, len(data), step)]), whole
        )

    def outcome(self, pieces: list[bytes]) -> bytes | None:
        decompressor = Decompressor()
        try:
            return b"".join(map(decompressor.feed, pieces))
        except RemoteProtocolError:
            return None
