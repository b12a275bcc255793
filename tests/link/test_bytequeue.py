# -*- test-case-name: tests.link.test_bytequeue -*-
"""Tests of `tunnelsvc.link.bytequeue`."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.link.bytequeue import MERGE_BYTES, ByteQueue


class ByteQueueTests(SynchronousTestCase):
    def test_takes_over_the_ends_of_pieces(self) -> None:
        queue = ByteQueue()
        queue.append(b"abcdef")
        queue.append(b"ghi")
        self.assertEqual(queue.take(4), [b"abcd"])
        self.assertEqual(len(queue), 5)
        self.assertEqual(queue.take(4), [b"ef", b"gh"])
        self.assertEqual(queue.take(4), [b"i"])
        self.assertEqual(queue.take(4), [])

    def test_whole_pieces_are_not_copied(self) -> None:
        queue, data = ByteQueue(), bytes(100_000)
        queue.append(data)
        self.assertIs(queue.take_piece(100_000), data)

    def test_small_pieces_are_merged(self) -> None:
        queue = ByteQueue()
        for _ in range(3 * MERGE_BYTES):
            queue.append(b"x")
        self.assertEqual(
            [len(piece) for piece in queue.take(3 * MERGE_BYTES)][1:3], [MERGE_BYTES] * 2
        )

    def test_clear(self) -> None:
        queue = ByteQueue()
        queue.append(b"abc")
        queue.take(1)
        self.assertEqual(queue.clear(), 2)
        queue.append(b"xyz")
        self.assertEqual(queue.take(9), [b"xyz"])

    @settings(deadline=None)
    @given(st.lists(st.one_of(st.binary(min_size=1, max_size=30), st.integers(1, 40)), max_size=60))
    def test_keeps_the_order(self, steps: list[bytes | int]) -> None:
        """Bytes put in, or numbers of bytes taken out."""
        queue, put, taken = ByteQueue(), b"", b""
        for step in steps:
            if isinstance(step, bytes):
                queue.append(step)
                put += step
            else:
                pieces = queue.take(step)
                self.assertEqual(sum(map(len, pieces)), min(step, len(put) - len(taken)))
                taken += b"".join(pieces)
            self.assertEqual(len(queue), len(put) - len(taken))
        self.assertEqual(taken + b"".join(queue.take(len(put))), put)
