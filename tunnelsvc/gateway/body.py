# -*- test-case-name: tests.gateway.test_body -*-
"""Where the body of a message ends (RFC 9112 sections 6 and 7). Sans-I/O.

Bodies are passed on as they came, chunks and all, so a piece of data is not copied and not cut;
what is looked at is where the end is, and that no other reader could see it elsewhere.
"""

import re
from enum import Enum, auto
from typing import Final, Protocol

from tunnelsvc.gateway.forwarded import FORWARDED
from tunnelsvc.units import KiB
from tunnelsvc.wire.httphead import Header, HeadError, Length, check_text, parse_header

MAX_CHUNK_LINE_BYTES: Final = 4 * KiB
"""A chunk's size with its extensions; Go's limit."""

MAX_TRAILER_BYTES: Final = 16 * KiB
"""All lines behind the last chunk. They're checksums and the like; node's limit for a head."""

_CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*|([ \t]+))?\r\n"
)
# RFC 9110 section 6.5.1. Some servers put trailers among the headers.
_NOT_IN_TRAILERS: Final = FORWARDED | {b"content-length", b"transfer-encoding", b"host"}


class Body(Protocol):
    """Follows the body of one message."""

    @property
    def done(self) -> bool:
        """Whether the end has come."""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take the next bytes of the stream.

        Returns:
            What to pass on, and what is behind the end; both may be empty.

        Raises:
            HeadError: the framing is broken. What was passed on before is all there is.
        """


class SizedBody:
    """A body of a known number of bytes, maybe none."""

    def __init__(self, size_bytes: int) -> None:
        self._left_bytes = size_bytes

    @property
    def done(self) -> bool:
        """See `Body`."""
        return not self._left_bytes

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body`."""
        left = self._left_bytes
        if len(data) <= left:
            self._left_bytes = left - len(data)
            return data, b""
        self._left_bytes = 0
        return data[:left], data[left:]


class EndlessBody:
    """A body that ends with its connection."""

    done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body`."""
        return data, b""


class _Due(Enum):
    """What comes next in a chunked body."""

    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    NOTHING = auto()


class ChunkedBody:
    """A chunked body. Buffers one incomplete line at most.

    Attributes:
        trailers: those that came, if `decode`.
    """

    def __init__(self, *, decode: bool = False, mend: bool = False) -> None:
        """Begin.

        Args:
            decode: pass on the data alone, without chunk lines and trailers.
            mend: take blanks behind a size as well, and don't pass them on: old servers write
                all sizes in the same number of bytes.
        """
        self.trailers: list[Header] = []
        self._decode = decode
        self._mend = mend
        self._padding_bytes = 0
        self._line = b""
        self._due = _Due.SIZE
        self._left_bytes = 0
        self._trailer_bytes = 0

    @property
    def done(self) -> bool:
        """See `Body`."""
        return self._due is _Due.NOTHING

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body`."""
        if self._line:
            data = self._line + data
            self._line = b""
        payload: list[bytes] = []
        padding: list[slice] = []
        position = self._scan(data, payload, padding)
        if self._decode:
            passed = b"".join(payload)
        else:
            passed = data if position == len(data) else data[:position]
            if padding:
                passed = _without(padding, passed)
        rest = data[position:]
        if self.done:
            return passed, rest
        self._line = rest
        return passed, b""

    def _scan(self, data: bytes, payload: list[bytes], padding: list[slice]) -> int:
        """Walk through `data` as far as it is understood; return where that ends.

        Args:
            data: the next bytes.
            payload: takes the contents of chunks, if `decode`.
            padding: takes where there is what isn't passed on, if `mend`.
        """
        position, end = 0, len(data)
        while position < end and self._due is not _Due.NOTHING:
            if self._due is _Due.DATA:
                begin, position = position, min(position + self._left_bytes, end)
                self._left_bytes -= position - begin
                if self._decode:
                    payload.append(data[begin:position])
                if not self._left_bytes:
                    self._due = _Due.DATA_END
                continue
            line_end = data.find(b"\n", position, position + MAX_CHUNK_LINE_BYTES) + 1
            if not line_end:
                if end - position >= MAX_CHUNK_LINE_BYTES:
                    raise HeadError("a line in a chunked body is too long")
                break
            self._take_line(data[position:line_end])
            position = line_end
            if self._padding_bytes:
                blanks_end = line_end - len(b"\r\n")
                padding.append(slice(blanks_end - self._padding_bytes, blanks_end))
                self._padding_bytes = 0
        return position

    def _take_line(self, line: bytes) -> None:
        if self._due is _Due.SIZE:
            self._take_size(line)
        elif self._due is _Due.TRAILER:
            self._take_trailer(line)
        elif line == b"\r\n":
            self._due = _Due.SIZE
        else:
            raise HeadError("a chunk is longer than its size")

    def _take_size(self, line: bytes) -> None:
        found = _CHUNK_LINE.fullmatch(line)
        if found is None or (found[2] and not self._mend):
            raise HeadError("a malformed chunk size")
        if found[2]:
            self._padding_bytes = len(found[2])
        self._left_bytes = int(found[1], 16)
        self._due = _Due.DATA if self._left_bytes else _Due.TRAILER

    def _take_trailer(self, line: bytes) -> None:
        check_text(line)
        self._trailer_bytes += len(line)
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise HeadError("trailers are too long")
        if line == b"\r\n":
            self._due = _Due.NOTHING
            return
        trailer = parse_header(line[:-2])
        check_trailer(trailer)
        if self._decode:
            self.trailers.append(trailer)


def check_trailer(trailer: Header) -> None:
    """Refuse what has to be known before a body.

    Raises:
        HeadError: it says how the message is read, or for whom it is.
    """
    if trailer[0].lower() in _NOT_IN_TRAILERS:
        raise HeadError("a trailer that would change how the message is read")


def _without(left_out: list[slice], data: bytes) -> bytes:
    pieces, begin = [], 0
    for part in left_out:
        pieces.append(data[begin : part.start])
        begin = part.stop
    pieces.append(data[begin:])
    return b"".join(pieces)


def body_of(length: int | Length, *, decode: bool = False, mend: bool = False) -> Body:
    """Make the follower of a body.

    Args:
        length: as the head has it.
        decode: of a chunked one pass on the data alone.
        mend: one that is chunked oddly; see `ChunkedBody`.
    """
    if isinstance(length, int):
        return SizedBody(length)
    if length is Length.CHUNKED:
        return ChunkedBody(decode=decode, mend=mend)
    return EndlessBody()
