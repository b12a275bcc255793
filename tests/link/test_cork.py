# -*- test-case-name: tests.link.test_cork -*-
"""Tests of `tunnelsvc.link.cork`."""

from collections.abc import Iterable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.link.cork import ENOUGH_BYTES, Cork


class Pipe:
    """Keeps each write."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.written.append(b"".join(data))


class CorkTests(SynchronousTestCase):
    """When what is written goes out."""

    def setUp(self) -> None:
        self.pipe, self.clock = Pipe(), Clock()
        self.cork = Cork(self.pipe, self.clock)

    def test_at_the_end_of_the_turn(self) -> None:
        self.cork.write(b"a", b"b")
        self.cork.write(b"c")
        self.assertEqual(self.pipe.written, [])
        self.clock.advance(0)
        self.assertEqual(self.pipe.written, [b"abc"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_each_turn(self) -> None:
        for _ in range(2):
            self.cork.write(b"a")
            self.clock.advance(0)
        self.assertEqual(self.pipe.written, [b"a", b"a"])

    def test_much_goes_at_once(self) -> None:
        self.cork.write(b"a")
        self.cork.write(bytes(ENOUGH_BYTES))
        self.assertEqual(list(map(len, self.pipe.written)), [ENOUGH_BYTES + 1])
        self.clock.advance(0)
        self.assertEqual(len(self.pipe.written), 1)

    def test_flush(self) -> None:
        self.cork.flush()
        self.cork.write(b"a")
        self.cork.flush()
        self.assertEqual(self.pipe.written, [b"a"])

    def test_the_rest(self) -> None:
        """It is what there is to say when all goes out, and goes behind what was written."""
        rest = [b""]
        cork = Cork(self.pipe, self.clock, lambda: rest.pop() if rest else b"")
        cork.write_rest()
        self.clock.advance(0)
        self.assertEqual(self.pipe.written, [])
        cork.write_rest()
        cork.write(b"a")
        rest.append(b"z")
        cork.write(b"b")
        self.clock.advance(0)
        self.assertEqual(self.pipe.written, [b"abz"])
        rest.append(b"z")
        cork.write_rest()
        self.clock.advance(0)
        self.assertEqual(self.pipe.written, [b"abz", b"z"])

    def test_drop(self) -> None:
        self.cork.drop()
        self.cork.write(b"a")
        self.cork.drop()
        self.clock.advance(0)
        self.assertEqual(self.pipe.written, [])
