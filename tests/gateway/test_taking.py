# -*- test-case-name: tests.gateway.test_taking -*-
"""Tests of `tunnelsvc.gateway.taking`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import MemoryStream
from tunnelsvc.gateway.taking import LOOK_SECONDS, STALL_SECONDS, Taking


class TakingTests(SynchronousTestCase):
    """A user who has a megabyte to take."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.stream = MemoryStream("user")
        self.untaken_bytes = 1_000_000
        self.stream.untaken_bytes = lambda: self.untaken_bytes  # type: ignore[method-assign]
        self.stalls: list[float] = []
        self.taking = Taking(self.clock)

    def watch(self) -> None:
        self.taking.watch(self.stream, lambda: self.stalls.append(self.clock.seconds()))

    def test_nothing(self) -> None:
        self.watch()
        self.clock.pump([1] * 2 * int(STALL_SECONDS))
        self.assertEqual(self.stalls, [STALL_SECONDS])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_little(self) -> None:
        self.watch()
        for _ in range(10):
            self.untaken_bytes -= 1
            self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.stalls, [])
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.stalls, [11 * LOOK_SECONDS])

    def test_once_more(self) -> None:
        """What was not taken before doesn't count."""
        self.watch()
        self.clock.advance(LOOK_SECONDS)
        self.taking.unset()
        self.watch()
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.stalls, [])

    def test_no_more(self) -> None:
        for stop in (self.taking.unset, self.taking.cancel):
            self.watch()
            stop()
            self.clock.pump([LOOK_SECONDS] * 3)
            self.assertEqual(self.stalls, [])
            self.assertEqual(self.clock.getDelayedCalls(), [])
