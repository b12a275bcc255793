# -*- test-case-name: tests.gateway.test_taking -*-
"""Whether a user takes what was written to him: slowly is well, not at all isn't."""

from collections.abc import Callable
from typing import Final

from tunnelsvc.gateway.deadline import Deadline
from tunnelsvc.handover import untaken_bytes
from tunnelsvc.interfaces import Stream
from tunnelsvc.units import MINUTE

STALL_SECONDS: Final = 5 * MINUTE
"""How long a user may take nothing. nginx has one minute between two of its writes."""

LOOK_SECONDS: Final = STALL_SECONDS / 2
"""Between two looks."""


class Taking(Deadline):
    """A time limit that is put off as long as something is taken from one look to the next."""

    __slots__ = ("_on_stall", "_stream", "_untaken_bytes")

    _stream: Stream
    _on_stall: Callable[[], None]
    _untaken_bytes: int

    def watch(self, stream: Stream, on_stall: Callable[[], None]) -> None:
        """Begin to look.

        Args:
            stream: to the user; nothing is written meanwhile.
            on_stall: called when nothing was taken for half of `STALL_SECONDS` at least, and for
                all of it at most.
        """
        self._stream, self._on_stall = stream, on_stall
        self._untaken_bytes = -1  # nearly always there is no first look
        self.set(LOOK_SECONDS, self._see)

    def _see(self) -> None:
        untaken = untaken_bytes(self._stream)
        if 0 <= self._untaken_bytes <= untaken:
            self._on_stall()
        else:
            self._untaken_bytes = untaken
            self.set(LOOK_SECONDS, self._see)
