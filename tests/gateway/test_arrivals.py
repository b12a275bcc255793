# -*- test-case-name: tests.gateway.test_arrivals -*-
"""Tests for `tunnelsvc.gateway.arrivals`."""

import sys

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.arrivals import Arrivals, as_it_came


def in_brackets(data: bytes) -> bytes:
    return b"[%b]" % data


class ArrivalsTests(SynchronousTestCase):
    """Nothing is lost, and nothing changes places."""

    def setUp(self) -> None:
        self.arrivals = Arrivals()

    def taken(self) -> list[bytes | None]:
        """Take all that waits."""
        taken = []
        while self.arrivals:
            taken.append(self.arrivals.take())
        return taken

    def test_pieces_wait_as_one(self) -> None:
        for data in (b"he", b"l", b"lo"):
            self.arrivals.add(data, in_brackets)
        self.arrivals.add(b"!", as_it_came)
        self.arrivals.end()
        self.assertEqual(self.taken(), [b"[hello]", b"!", None])

    def test_pieces_that_do_not_wait(self) -> None:
        data = b"hello"
        self.arrivals.add(data, as_it_came)
        self.assertIs(self.arrivals.take(), data)
        self.assertFalse(self.arrivals)

    def test_clear(self) -> None:
        self.arrivals.add(b"a", in_brackets)
        self.arrivals.clear()
        self.assertEqual(self.taken(), [])

    def test_small_pieces_take_little_memory(self) -> None:
        for _ in range(10_000):
            self.arrivals.add(b"x", in_brackets)
        [piece] = self.arrivals._pieces
        assert piece is not None
        self.assertLess(sys.getsizeof(piece.data), 20_000)

    @given(st.lists(st.binary(min_size=1, max_size=5)), st.lists(st.booleans()))
    def test_any(self, pieces: list[bytes], waits: list[bool]) -> None:
        arrivals, taken = Arrivals(), b""
        for data, wait in zip(pieces, waits, strict=False):
            arrivals.add(data, as_it_came)
            while arrivals and not wait:
                taken += arrivals.take() or b""
        while arrivals:
            taken += arrivals.take() or b""
        self.assertEqual(taken, b"".join(pieces[: len(waits)]))
