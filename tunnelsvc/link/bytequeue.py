# -*- test-case-name: tests.link.test_bytequeue -*-
"""Bytes that wait: for credit on the way out, for a paused reader on the way in."""

from collections import deque
from typing import Final

from tunnelsvc.units import KiB

MERGE_BYTES = 4 * KiB
"""Pieces are joined up to this size. Otherwise a peer that sends single bytes would make us spend
fifty on each; much larger, and joining would cost more than it saves."""

_NONE: Final[deque[bytes]] = deque()
"""Of all queues that never held anything, as most of those of streams: one takes 0.6 KiB."""


class ByteQueue:
    """A queue of bytes that keeps whole what was put in, as far as it can.

    Its length is the number of bytes in it.
    """

    __slots__ = ("_length", "_pieces", "_taken")

    def __init__(self) -> None:
        self._pieces = _NONE
        self._length = 0
        self._taken = 0
        """How much of the first piece is gone already."""

    def __len__(self) -> int:
        return self._length

    def append(self, data: bytes) -> None:
        """Put bytes at the end."""
        self._length += len(data)
        # The first piece may be partly taken, so it is left as it is.
        pieces = self._pieces
        if pieces is _NONE:
            self._pieces = deque((data,))
        elif len(pieces) > 1 and len(pieces[-1]) + len(data) <= MERGE_BYTES:
            pieces[-1] += data
        else:
            pieces.append(data)

    def take(self, limit: int) -> list[bytes]:
        """Remove up to `limit` bytes from the front, in pieces."""
        pieces: list[bytes] = []
        while limit > 0 and self._pieces:
            piece = self.take_piece(limit)
            pieces.append(piece)
            limit -= len(piece)
        return pieces

    def take_piece(self, limit: int) -> bytes:
        """Remove one piece of up to `limit` bytes from the front; there must be one."""
        first = self._pieces[0]
        piece = first[self._taken : self._taken + limit]
        self._length -= len(piece)
        self._taken += len(piece)
        if self._taken == len(first):
            self._pieces.popleft()
            self._taken = 0
        return piece

    def clear(self) -> int:
        """Remove everything; return how many bytes that was."""
        length = self._length
        self._pieces = _NONE
        self._length = self._taken = 0
        return length
