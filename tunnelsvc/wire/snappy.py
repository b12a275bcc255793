# -*- test-case-name: tests.wire.test_snappy -*-
"""Hop 6: snappy, for ``use_compression`` (protocol notes 4.4, snappy's framing_format.txt).

A stream is a row of chunks: one byte type, three bytes length (little-endian), body. cramjam does
blocks and checksums, a whole chunk at a time; cutting the stream into chunks is done here, so that
every feed gives everything it can and a chunk that is too long is refused by its header.
"""

from types import ModuleType
from typing import Final

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.units import KiB

_STREAM_IDENTIFIER: Final = b"\xff\x06\x00\x00sNaPpY"
_HEADER_BYTES: Final = 4
_CHECKSUM_BYTES: Final = 4

_COMPRESSED: Final = 0x00
_UNCOMPRESSED: Final = 0x01
_FIRST_SKIPPABLE: Final = 0x80
_IDENTIFIER: Final = 0xFF

# Plain bytes in one chunk; the format's limit.
MAX_BLOCK_BYTES: Final = 64 * KiB

# Bytes a block of that size may have when it is compressed: the worst case that the format's own
# implementations reserve, n + n/6 + 32. So this much is buffered for a chunk, at most.
_MAX_COMPRESSED_BYTES: Final = MAX_BLOCK_BYTES + MAX_BLOCK_BYTES // 6 + 32

_BODY_LIMITS: Final = {
    _COMPRESSED: (_CHECKSUM_BYTES + 1, _CHECKSUM_BYTES + _MAX_COMPRESSED_BYTES),
    _UNCOMPRESSED: (_CHECKSUM_BYTES, _CHECKSUM_BYTES + MAX_BLOCK_BYTES),
    _IDENTIFIER: (len(_STREAM_IDENTIFIER) - _HEADER_BYTES,) * 2,
}
"""Shortest and longest body in bytes, by type."""

_NONE_ALLOWED: Final = (1, 0)
"""Of types that are reserved and must not be skipped."""


def _cramjam() -> ModuleType:
    """Load the library at its first use: 1.5 MiB that a program without compression saves."""
    import cramjam  # noqa: PLC0415

    return cramjam


class Compressor:
    """The sending direction. Keeps no data back."""

    def __init__(self) -> None:
        self._started = False

    def feed(self, data: bytes) -> bytes:
        """Compress into chunks of their own, raw where compression saves less than an eighth.

        The stream identifier comes before the first bytes; nothing makes nothing.
        """
        if not data:
            return b""
        # One call a feed instead of cramjam's streaming Compressor: that one holds over 200 KiB
        # for as long as the connection lives.
        stream = bytes(_cramjam().snappy.compress(data))
        if self._started:
            return stream[len(_STREAM_IDENTIFIER) :]
        self._started = True
        return stream


class Decompressor:
    """The receiving direction. Buffers one incomplete chunk at most.

    A feed gives up to about 22 times its size: that is how far the format can expand.
    """

    def __init__(self) -> None:
        self._unread = bytearray()
        self._skip_bytes = 0
        self._started = False

    def feed(self, data: bytes) -> bytes:
        """Decompress all chunks that are complete.

        Raises:
            RemoteProtocolError: a chunk is of an unknown type, too long, too short, damaged, or
                not preceded by a stream identifier.
        """
        self._unread += data
        plain = []
        while (chunk := self._take_chunk()) is not None:
            if chunk:
                plain.append(_decompress(chunk))
        return b"".join(plain)

    def _take_chunk(self) -> bytes | None:
        """Take a chunk off the buffer, empty if there's no data in it; None: incomplete."""
        self._drop_skipped()
        if len(self._unread) < _HEADER_BYTES:
            return None
        kind, body_bytes = self._read_header()
        end = _HEADER_BYTES + body_bytes
        if _FIRST_SKIPPABLE <= kind < _IDENTIFIER:
            self._skip_bytes = end
            return b""
        if len(self._unread) < end:
            return None
        chunk = bytes(self._unread[:end])
        del self._unread[:end]
        return self._check_identifier(chunk) if kind == _IDENTIFIER else chunk

    def _drop_skipped(self) -> None:
        # As it comes: a chunk to be skipped may have 16 MiB.
        dropped = min(self._skip_bytes, len(self._unread))
        del self._unread[:dropped]
        self._skip_bytes -= dropped

    def _read_header(self) -> tuple[int, int]:
        """Type and body length of the next chunk, both legal."""
        kind, body_bytes = self._unread[0], int.from_bytes(self._unread[1:_HEADER_BYTES], "little")
        if not self._started and kind != _IDENTIFIER:
            raise RemoteProtocolError("snappy: the stream doesn't start with its identifier")
        if not _FIRST_SKIPPABLE <= kind < _IDENTIFIER:
            shortest, longest = _BODY_LIMITS.get(kind, _NONE_ALLOWED)
            if not shortest <= body_bytes <= longest:
                raise RemoteProtocolError(
                    f"snappy: a chunk of type 0x{kind:02x} can't have {body_bytes} bytes"
                )
        return kind, body_bytes

    def _check_identifier(self, chunk: bytes) -> bytes:
        if chunk != _STREAM_IDENTIFIER:
            raise RemoteProtocolError("snappy: wrong stream identifier")
        self._started = True
        return b""


def _decompress(chunk: bytes) -> bytes:
    cramjam = _cramjam()
    try:
        return bytes(cramjam.snappy.decompress(_STREAM_IDENTIFIER + chunk))
    except cramjam.DecompressionError as error:
        raise RemoteProtocolError(str(error)) from None
