# -*- test-case-name: tests.test_memory -*-
"""Give memory back that a burst has left behind.

What is freed goes back to the system only from the end of glibc's heap, and there is nearly always
something small at the end that is in use. After bulk by TLS some MiB lie free before it, in pieces
of up to 256 KiB. ``malloc_trim`` gives back what is free wherever it is, in a millisecond or two.
"""

from collections.abc import Callable
from time import process_time
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

LOOK_SECONDS: Final = 5.0
"""Between two looks whether the process has done something."""

BUSY_SECONDS: Final = 0.05
"""As much processor time in between is more than heartbeats."""


def trim() -> None:
    """Give back what is free (malloc_trim(3)).

    Raises:
        AttributeError: this C library can't, or does by itself.
    """
    from ctypes import CDLL  # noqa: PLC0415 - 0.4 MiB, for those that do something

    CDLL(None).malloc_trim(0)


class Trimmer:
    """Gives memory back from time to time while the process does something, and once afterwards.

    Args:
        clock: says when.
        used: tells how much processor time the process has had, in seconds.
        give_back: gives back what it can; fails like `trim`.
    """

    def __init__(
        self,
        clock: IReactorTime,
        used: Callable[[], float] = process_time,
        give_back: Callable[[], None] = trim,
    ) -> None:
        self._used = used
        self._give_back = give_back
        self._used_before = 0.0
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Begin to look."""
        self._used_before = self._used()
        self._looking.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        used = self._used()
        busy = used - self._used_before >= BUSY_SECONDS
        self._used_before = used
        if busy:
            try:
                self._give_back()
            except (OSError, AttributeError):  # it's nothing that one can't live without
                self._looking.stop()
