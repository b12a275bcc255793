# -*- test-case-name: tests.gateway.test_taking -*-
"""Whether a user takes what was written to him: slowly is well, not at all isn't."""

from collections.abc import Callable
from functools import partial
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

    __slots__ = ()

    def watch(self, stream: Stream, on_stall: Callable[[], None]) -> None:
        """Begin to look.

        Args:
            stream: to the user; nothing is written meanwhile.
            on_stall: called when nothing was taken for half of `STALL_SECONDS` at least, and for
                all of it at most.
        """
        # Nearly always there is no first look, and so nothing to compare it with. Nor is the
        # stream kept here: a limit that is cancelled must know nobody who knows it.
        self._look_again(stream, on_stall, -1)

    def _look_again(self, stream: Stream, on_stall: Callable[[], None], untaken: int) -> None:
        self.set(LOOK_SECONDS, partial(self._see, stream, on_stall, untaken))

    def _see(self, stream: Stream, on_stall: Callable[[], None], before: int) -> None:
        untaken = untaken_bytes(stream)
        if 0 <= before <= untaken:
            on_stall()
        else:
            self._look_again(stream, on_stall, untaken)
