# -*- test-case-name: tests.test_memory -*-
"""Tests of `tunnelsvc.memory`."""

import subprocess
import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.memory import GROWTH_BYTES, LOOK_SECONDS, Trimmer
from tunnelsvc.units import MiB

# Frees all of a burst but the last buffer, and tells what memory there was and is.
BURST = """
from tunnelsvc.memory import resident_bytes, trim
before = resident_bytes()
buffers = [b"x" * 100_000 for _ in range(400)]
last = buffers[-1]
del buffers
freed = resident_bytes()
trim()
print(before, freed, resident_bytes())
"""


class TrimmerTests(SynchronousTestCase):
    """A process that grows and shrinks."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.resident = 40 * MiB
        self.kept = 0
        self.given_back: list[float] = []
        self.trimmer = Trimmer(self.clock, lambda: self.resident, self.give_back)
        self.addCleanup(self.trimmer.stop)

    def give_back(self) -> None:
        self.given_back.append(self.clock.seconds())
        self.resident = self.kept

    def look(self, resident: int, kept: int = 0) -> None:
        self.resident, self.kept = resident, kept
        self.clock.advance(LOOK_SECONDS)

    def test_burst(self) -> None:
        self.trimmer.start()
        self.look(40 * MiB + GROWTH_BYTES - 1)
        self.assertEqual(self.given_back, [])
        self.look(44 * MiB, kept=41 * MiB)
        self.assertEqual(self.given_back, [2 * LOOK_SECONDS])

    def test_growth_counts_from_what_was_left(self) -> None:
        """What is in use isn't tried for over and over."""
        self.trimmer.start()
        self.look(50 * MiB, kept=50 * MiB)
        self.look(50 * MiB)
        self.assertEqual(self.given_back, [LOOK_SECONDS])
        self.look(51 * MiB, kept=50 * MiB)
        self.assertEqual(self.given_back, [LOOK_SECONDS, 3 * LOOK_SECONDS])

    def test_growth_counts_from_the_least(self) -> None:
        self.trimmer.start()
        self.look(30 * MiB)
        self.look(31 * MiB, kept=30 * MiB)
        self.assertEqual(self.given_back, [2 * LOOK_SECONDS])

    def test_stopped(self) -> None:
        self.trimmer.start()
        self.trimmer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_here(self) -> None:
        """Where the system doesn't tell, or can't take it, nobody asks again."""

        def silent() -> int:
            raise FileNotFoundError

        def unable() -> None:
            raise AttributeError("malloc_trim")

        for trimmer in (
            Trimmer(self.clock, silent, self.give_back),
            Trimmer(self.clock, lambda: self.resident, unable),
        ):
            trimmer.start()
            self.look(50 * MiB)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            trimmer.stop()
            self.resident = 40 * MiB

    def test_really(self) -> None:
        """A burst of 40 MB leaves a tenth of it at most."""
        ended = subprocess.run(
            [sys.executable, "-c", BURST], capture_output=True, check=True, text=True, timeout=60
        )
        before, freed, trimmed = map(int, ended.stdout.split())
        self.assertGreater(freed - before, 30 * MiB)
        self.assertLess(trimmed - before, 4 * MiB)
