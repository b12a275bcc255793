# -*- test-case-name: tests.wire.test_httprecordbody -*-
"""Where what follows a head ends, for who only watches: bodies, and messages of a WebSocket.

Nothing is copied but what is kept. Framing is read as generously as it can be: whoever watches
refuses nothing, and a body is shown though its trailers are odd.
"""

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

from tunnelsvc.units import KiB
from tunnelsvc.wire.httphead import HeadError, Length

MOST_LINE_BYTES: Final = 4 * KiB
"""A chunk's size with its extensions, or a trailer; Go's limit for the former."""
MOST_TRAILERS: Final = 256
"""Lines behind the last chunk; as many as a head may have."""

_SIZE: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")

_OPCODE: Final = 0x0F
_FINAL: Final = 0x80
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_CONTROL: Final = 0x8
"""From this opcode on a frame is no part of a message (RFC 6455 section 5.2)."""
_MORE_LENGTH_BYTES: Final = {126: 2, 127: 8}
_KEY_BYTES: Final = 4
_SHORTEST_HEAD_BYTES: Final = 2
_MOST_SHORT_BYTES: Final = 125
"""Of a frame whose head has its length in the second byte."""

Keep = Callable[[bytes, int, int], None]
"""Takes content: the bytes of a piece from here to there."""


class Tally(Protocol):
    """Follows one body."""

    @property
    def done(self) -> bool:
        """Whether the end has come."""

    def feed(self, data: bytes, begin: int, keep: Keep) -> int:
        """Take what comes from `begin` on.

        Returns:
            Where the body goes no further in `data`.

        Raises:
            HeadError: it isn't to be told where it ends.
        """


class SizedTally:
    """A body of so many bytes."""

    def __init__(self, size_bytes: int) -> None:
        self._left_bytes = size_bytes

    @property
    def done(self) -> bool:
        """See `Tally`."""
        return not self._left_bytes

    def feed(self, data: bytes, begin: int, keep: Keep) -> int:
        """See `Tally`."""
        end = min(len(data), begin + self._left_bytes)
        self._left_bytes -= end - begin
        keep(data, begin, end)
        return end


class EndlessTally:
    """A body that ends with its connection."""

    done = False

    def feed(self, data: bytes, begin: int, keep: Keep) -> int:
        """See `Tally`."""
        keep(data, begin, len(data))
        return len(data)


class _Due(Enum):
    """What comes next in a chunked body."""

    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    NOTHING = auto()


class ChunkedTally:
    """A chunked body (RFC 9112 section 7.1). Buffers one line at most."""

    def __init__(self) -> None:
        self._due = _Due.SIZE
        self._line = b""
        self._left_bytes = 0
        self._trailers = 0

    @property
    def done(self) -> bool:
        """See `Tally`."""
        return self._due is _Due.NOTHING

    def feed(self, data: bytes, begin: int, keep: Keep) -> int:
        """See `Tally`."""
        while begin < len(data) and not self.done:
            if self._due is _Due.SIZE and not self._line:
                begin = self._whole_chunks(data, begin, keep)
                if begin == len(data):
                    break
            if self._due is _Due.DATA:
                end = min(len(data), begin + self._left_bytes)
                self._left_bytes -= end - begin
                keep(data, begin, end)
                begin = end
                if not self._left_bytes:
                    self._due = _Due.DATA_END
                continue
            room = MOST_LINE_BYTES - len(self._line)
            end = data.find(b"\n", begin, begin + room) + 1
            if not end:
                if len(data) - begin >= room:
                    raise HeadError("a line in a chunked body is too long")
                self._line += data[begin:]
                return len(data)
            line, self._line = self._line + data[begin:end], b""
            begin = end
            self._take_line(line)
        return begin

    def _whole_chunks(self, data: bytes, begin: int, keep: Keep) -> int:
        """Take chunks that are all there, in one go: some send thousands of a byte each.

        Returns:
            Where the first is that isn't, or not as everybody writes it.
        """
        while True:
            found = _SIZE.match(data, begin, begin + MOST_LINE_BYTES)
            if found is None:
                return begin
            content = found.end()
            end = content + int(found[1], 16)
            if end == content or data[end : end + 2] != b"\r\n":
                return begin
            keep(data, content, end)
            begin = end + 2

    def _take_line(self, line: bytes) -> None:
        if self._due is _Due.SIZE:
            found = _SIZE.fullmatch(line)
            if found is None:
                raise HeadError("a malformed chunk size")
            self._left_bytes = int(found[1], 16)
            self._due = _Due.DATA if self._left_bytes else _Due.TRAILER
        elif self._due is _Due.DATA_END:
            if line.strip(b"\r\n"):
                raise HeadError("a chunk is longer than its size")
            self._due = _Due.SIZE
        elif not line.strip(b"\r\n"):
            self._due = _Due.NOTHING
        else:
            self._trailers += 1
            if self._trailers > MOST_TRAILERS:
                raise HeadError("too many trailers")


def tally_of(length: int | Length) -> Tally:
    """Make the follower of a body whose head says this of its length."""
    if length is Length.CHUNKED:
        return ChunkedTally()
    return SizedTally(length) if isinstance(length, int) else EndlessTally()


class MessageCounter:
    """Counts the messages of one direction of a WebSocket (RFC 6455 section 5).

    Who has masked what doesn't matter for that, nor does an extension such as permessage-deflate:
    they leave frames what they are.

    Attributes:
        messages: those that came to their end; pings, pongs and closes are none.
    """

    def __init__(self) -> None:
        self.messages = 0
        self._head = b""
        self._left_bytes = 0
        self._ends_message = False

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        begin = 0
        while begin < len(data):
            if self._left_bytes:
                taken = min(self._left_bytes, len(data) - begin)
                self._left_bytes -= taken
                begin += taken
                self._look_for_end()
                continue
            if not self._head:
                begin = self._short_frames(data, begin)
            needed = self._needed()
            self._head += data[begin : begin + needed]
            begin += needed
            if not self._needed():
                self._begin_frame()

    def _short_frames(self, data: bytes, begin: int) -> int:
        """Take short frames that are all there, in one go: some send thousands of them, empty.

        Returns:
            Where the first is that isn't.
        """
        last, messages = len(data) - _SHORTEST_HEAD_BYTES, 0
        while begin <= last:
            length = data[begin + 1]
            end = begin + _SHORTEST_HEAD_BYTES + (length & _LENGTH)
            if length & _MASKED:
                end += _KEY_BYTES
            if length & _LENGTH > _MOST_SHORT_BYTES or end > len(data):
                break
            messages += data[begin] & (_FINAL | _CONTROL) == _FINAL
            begin = end
        self.messages += messages
        return begin

    def _needed(self) -> int:
        """Tell how many bytes of a frame's head are missing."""
        head = self._head
        if len(head) < _SHORTEST_HEAD_BYTES:
            return _SHORTEST_HEAD_BYTES - len(head)
        length = _SHORTEST_HEAD_BYTES + _MORE_LENGTH_BYTES.get(head[1] & _LENGTH, 0)
        return length + (_KEY_BYTES if head[1] & _MASKED else 0) - len(head)

    def _begin_frame(self) -> None:
        head, self._head = self._head, b""
        size = head[1] & _LENGTH
        more = _MORE_LENGTH_BYTES.get(size)
        if more is not None:
            size = int.from_bytes(head[_SHORTEST_HEAD_BYTES : _SHORTEST_HEAD_BYTES + more])
        self._left_bytes = size
        self._ends_message = bool(head[0] & _FINAL) and head[0] & _OPCODE < _CONTROL
        self._look_for_end()

    def _look_for_end(self) -> None:
        if not self._left_bytes and self._ends_message:
            self.messages += 1
            self._ends_message = False
