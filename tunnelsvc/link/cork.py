# -*- test-case-name: tests.link.test_cork -*-
"""Writes of one turn of the reactor, as one write.

Many streams that share a connection each write a little in a turn. A system call, and with TLS a
record, for each would cost more than all the rest of their way.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from tunnelsvc.timing import soon
from tunnelsvc.units import KiB

ENOUGH_BYTES = 64 * KiB
"""What is written without waiting for the end of the turn: more would only take memory."""


class Pipe(Protocol):
    """What is written to."""

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""


class Cork:
    """Gathers pieces until the end of the turn.

    Args:
        pipe: takes them.
        clock: whose turns they are.
        rest: gives what goes behind them, when they go.
    """

    __slots__ = ("_bytes", "_clock", "_due", "_pieces", "_pipe", "_rest")

    def __init__(self, pipe: Pipe, clock: IReactorTime, rest: Callable[[], bytes] = bytes) -> None:
        self._pipe = pipe
        self._clock = clock
        self._rest = rest
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._due = False

    def write(self, *pieces: bytes) -> None:
        """Write some time in this turn, in order."""
        self._pieces.extend(pieces)
        for piece in pieces:
            self._bytes += len(piece)
        if self._bytes >= ENOUGH_BYTES:
            self.flush()
        else:
            self.write_rest()

    def write_rest(self) -> None:
        """Write the rest at the end of the turn, even if there is nothing before it."""
        if not self._due:
            self._due = True
            soon(self._clock, self._end_of_turn)

    def flush(self) -> None:
        """Write now."""
        if rest := self._rest():
            self._pieces.append(rest)
        if self._pieces:
            pieces, self._pieces, self._bytes = self._pieces, [], 0
            self._pipe.writeSequence(pieces)

    def drop(self) -> None:
        """Forget what was not written yet."""
        self._pieces.clear()
        self._bytes = 0

    def _end_of_turn(self) -> None:
        self._due = False
        self.flush()
