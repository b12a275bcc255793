# -*- test-case-name: tests.test_memory -*-
"""Tests of `tunnelsvc.memory`."""

import subprocess
import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.memory import BUSY_SECONDS, LOOK_SECONDS, Trimmer
from tunnelsvc.units import MiB

# Frees all of a burst but the last buffer, and tells what memory there was and is.
BURST = """
import resource
from tunnelsvc.memory import trim
def resident_bytes():
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1]) * resource.getpagesize()
before = resident_bytes()
buffers = [b"x" * 100_000 for _ in range(400)]
last = buffers[-1]
del buffers
freed = resident_bytes()
trim()
print(before, freed, resident_bytes())
"""


class TrimmerTests(SynchronousTestCase):
    """A process that is busy now and then."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.used = 1.0
        self.given_back: list[float] = []
        self.trimmer = Trimmer(self.clock, lambda: self.used, self.give_back)
        self.addCleanup(self.trimmer.stop)
        self.trimmer.start()

    def give_back(self) -> None:
        self.given_back.append(self.clock.seconds())

    def look(self, used: float) -> None:
        self.used += used
        self.clock.advance(LOOK_SECONDS)

    def test_busy(self) -> None:
        """The last look comes when all is over."""
        for used in (0.0, BUSY_SECONDS, 5.0, 0.1, 0.0, 0.0):
            self.look(used)
        self.assertEqual(self.given_back, [n * LOOK_SECONDS for n in (2, 3, 4)])

    def test_heartbeats(self) -> None:
        """Those come and go for nothing, and their time isn't added up."""
        for _ in range(100):
            self.look(BUSY_SECONDS / 10)
        self.assertEqual(self.given_back, [])

    def test_stopped(self) -> None:
        self.trimmer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_here(self) -> None:
        """Where the C library can't, nobody asks again."""

        def unable() -> None:
            raise AttributeError("malloc_trim")

        self.trimmer.stop()
        self.trimmer = Trimmer(self.clock, lambda: self.used, unable)
        self.trimmer.start()
        self.look(1.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_really(self) -> None:
        """A burst of 40 MB leaves a tenth of it at most."""
        ended = subprocess.run(
            [sys.executable, "-c", BURST], capture_output=True, check=True, text=True, timeout=60
        )
        before, freed, trimmed = map(int, ended.stdout.split())
        self.assertGreater(freed - before, 30 * MiB)
        self.assertLess(trimmed - before, 4 * MiB)
