# -*- test-case-name: tests.gateway.test_arrivals -*-
"""What a user without a connection has sent, and nobody has taken yet."""

from collections import deque
from collections.abc import Callable

from attrs import define

Framing = Callable[[bytes], bytes]
"""Makes of a piece what is read of it."""


def as_it_came(data: bytes) -> bytes:
    """Frame nothing."""
    return data


@define(eq=False)
class _Piece:
    data: bytes | bytearray
    frame: Framing


class Arrivals:
    """Pieces in their order, and perhaps the end of file.

    A piece is added to the one that waits before it and framed with it. So what waits takes the
    memory of its bytes, however small the pieces are that a user makes of them: 1 byte, as an
    object and in a chunk of its own, is 50.
    """

    def __init__(self) -> None:
        self._pieces: deque[_Piece | None] = deque()

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, data: bytes, frame: Framing) -> None:
        """Let a piece wait.

        Args:
            data: the piece.
            frame: applied when it is taken.
        """
        last = self._pieces[-1] if self._pieces else None
        if last is None or last.frame != frame:
            self._pieces.append(_Piece(data, frame))
            return
        if isinstance(last.data, bytes):
            last.data = bytearray(last.data)
        last.data += data

    def end(self) -> None:
        """Let the end of file wait."""
        self._pieces.append(None)

    def clear(self) -> None:
        """Forget all that waits."""
        self._pieces.clear()

    def take(self) -> bytes | None:
        """Give what is next, framed; None: the end of file. There must be something."""
        piece = self._pieces.popleft()
        return None if piece is None else piece.frame(bytes(piece.data))
