# -*- test-case-name: tests.test_memory -*-
"""Give memory back that a burst has left behind.

What is freed goes back to the system only from the end of glibc's heap, and there is nearly always
something small at the end that is in use. After bulk by TLS some MiB lie free before it, in pieces
of up to 256 KiB. ``malloc_trim`` gives back what is free wherever it is, in a millisecond or two.
"""

from collections.abc import Callable
from pathlib import Path
from resource import getpagesize
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from tunnelsvc.units import MiB

LOOK_SECONDS: Final = 5.0
"""Between two looks at how much we have, which take some microseconds."""

GROWTH_BYTES: Final = MiB
"""As much more than the least since the last time is worth it."""

_STATUS: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Tell how much memory the process has (proc(5), statm).

    Raises:
        OSError: the system doesn't say.
    """
    return int(_STATUS.read_bytes().split()[1]) * getpagesize()


def trim() -> None:
    """Give back what is free (malloc_trim(3)).

    Raises:
        AttributeError: this C library can't, or does by itself.
    """
    from ctypes import CDLL  # noqa: PLC0415 - 0.4 MiB, for those that have had a burst

    CDLL(None).malloc_trim(0)


class Trimmer:
    """Looks from time to time whether the process has grown.

    Args:
        clock: says when.
        resident: tells how much memory there is, in bytes; fails like `resident_bytes`.
        give_back: gives back what it can of it; fails like `trim`.
    """

    def __init__(
        self,
        clock: IReactorTime,
        resident: Callable[[], int] = resident_bytes,
        give_back: Callable[[], None] = trim,
    ) -> None:
        self._resident = resident
        self._give_back = give_back
        self._least = 0
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Begin to look."""
        self._looking.start(LOOK_SECONDS)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        try:
            grown = self._resident() - self._least
            if self._least and grown >= GROWTH_BYTES:
                self._give_back()
            if grown < 0 or grown >= GROWTH_BYTES:
                self._least = self._resident()
        except (OSError, ValueError, AttributeError):  # it's nothing that one can't live without
            self._looking.stop()
