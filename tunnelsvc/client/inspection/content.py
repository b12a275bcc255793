# -*- test-case-name: tests.client.inspection.test_content -*-
"""What is in a body: without its codings, as text where it is some.

A body may be a bomb: a few bytes that unpack to many. So there is a limit to what is unpacked.
"""

import codecs
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from tunnelsvc.client.inspection.facts import value_of
from tunnelsvc.units import KiB, MiB
from tunnelsvc.wire.httpexchange import Half
from tunnelsvc.wire.httphead import list_of

MOST_DECODED_BYTES: Final = 1 * MiB
"""Of one body; `KEPT_BYTES` of a page's text unpack to half of that."""
MOST_CODINGS: Final = 4
"""On top of each other; more than one is rare."""
MOST_PRETTY_BYTES: Final = 256 * KiB
"""JSON that is longer is shown as it is."""
MOST_INDENTED_CHARACTERS: Final = 1 * MiB
"""What it may become: a line for each of 100 000 numbers, each indented by 300 levels, is 80 MB."""

TEXT: Final = "text"
IMAGE: Final = "image"
BINARY: Final = "binary"

_TEXT_TYPES: Final = re.compile(
    r"text/.*|.*\+(?:json|xml|yaml|text)|application/(?:x-)?(?:json|xml|javascript|ecmascript|yaml"
    r"|toml|sql|graphql|www-form-urlencoded|ndjson|jsonl|json-seq|sh|httpd-php|problem.*)"
)
_JSON_TYPES: Final = re.compile(r"(?:application|text)/(?:.*\+)?json")
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape"})
"""Python has them, no browser; some take a time that grows with the square of the length."""
# What no text has; a form feed, a backspace or an escape for colours it may have.
_NO_TEXT: Final = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f]")
_MAGIC: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "image/avif"),
    (re.compile(rb"\x00\x00\x01\x00"), "image/x-icon"),
    (re.compile(rb"BM....\x00\x00\x00\x00", re.DOTALL), "image/bmp"),
)
"""Images that browsers show and that can't have scripts in them, unlike SVG."""

Unpacked = tuple[bytes, bool]
"""What a coding was undone to, and whether that is all of it."""


@frozen
class Content:
    """A body, as it is shown.

    Attributes:
        data: without codings.
        kind: `TEXT`, `IMAGE` or `BINARY`.
        media_type: as the message says, or of an image as it is; empty: unknown.
        text: if it is that.
        coding: what was undone, or couldn't be; empty: nothing.
        truncated: whether `data` isn't all of it.
    """

    data: bytes
    kind: str
    media_type: str
    text: str | None
    coding: str
    truncated: bool

    def pretty(self) -> str | None:
        """Give JSON with lines and indents; None: it is none, or too long, or has no end."""
        if self.text is None or self.truncated or len(self.text) > MOST_PRETTY_BYTES:
            return None
        if not (_JSON_TYPES.fullmatch(self.media_type) or self.text.lstrip()[:1] in {"{", "["}):
            return None
        try:
            writer = _Writer()
            writer.write(_read(self.text), "\n")
        except (ValueError, RecursionError):
            return None
        return writer.text()


class _Number(str):
    """A number as it came: Python's would lose digits of it."""

    __slots__ = ()


class _Object(list[tuple[str, object]]):
    """An object as it came: Python's would lose members that are there twice."""


def _read(text: str) -> object:
    return json.loads(text, parse_float=_Number, parse_int=_Number, object_pairs_hook=_Object)


class _Writer:
    """Writes JSON with lines and indents, so much and no more."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._left = MOST_INDENTED_CHARACTERS

    def text(self) -> str:
        """Give what was written."""
        return "".join(self._pieces)

    def write(self, value: object, line: str) -> None:
        """Write a value; `line` begins each line.

        Raises:
            ValueError: it gets too long.
        """
        if isinstance(value, _Object) and value:
            self._members("{}", line, [(f"{_plain(name)}: ", member) for name, member in value])
        elif isinstance(value, list) and value:
            self._members("[]", line, [("", each) for each in value])
        elif isinstance(value, _Object):
            self._add("{}")
        else:
            self._add(str(value) if isinstance(value, _Number) else _plain(value))

    def _members(self, brackets: str, line: str, members: list[tuple[str, object]]) -> None:
        inner = f"{line}  "
        separator = brackets[0]
        for name, member in members:
            self._add(f"{separator}{inner}{name}")
            self.write(member, inner)
            separator = ","
        self._add(f"{line}{brackets[1]}")

    def _add(self, piece: str) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise ValueError("too long")
        self._pieces.append(piece)


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def content_of(half: Half) -> Content:
    """Unpack the body of a message, as far as it was kept."""
    given = value_of(half.headers, b"content-type")
    media_type = given.partition(";")[0].strip().lower()
    data, cut = bytes(half.body), len(half.body) < half.body_bytes
    codings = [each for each in list_of(half.headers, b"content-encoding") if each != b"identity"]
    name = ", ".join(each.decode("latin-1") for each in codings)
    if codings and data:
        found = _undone(data, codings)
        if found is None:
            return Content(data, BINARY, media_type, None, name, cut)
        data, whole = found
        cut = cut or not whole
    for magic, kind in _MAGIC:
        if magic.match(data):
            return Content(data, IMAGE, kind, None, name, cut)
    text = _text(data, media_type, _CHARSET.search(given), cut=cut)
    return Content(data, BINARY if text is None else TEXT, media_type, text, name, cut)


def _undone(data: bytes, codings: list[bytes]) -> Unpacked | None:
    """Undo codings, the last one first; None: one of them isn't known, or isn't what it says."""
    if len(codings) > MOST_CODINGS:
        return None
    whole = True
    for coding in reversed(codings):
        unpack = _CODINGS.get(coding)
        found = unpack(data) if unpack is not None else None
        if found is None:
            return None
        data, ended = found
        whole = whole and ended
    return data, whole


def _inflate(data: bytes, window: int) -> Unpacked | None:
    unpacker = zlib.decompressobj(window)
    try:
        return unpacker.decompress(data, MOST_DECODED_BYTES), unpacker.eof
    except zlib.error:
        return None


def _gzip(data: bytes) -> Unpacked | None:
    return _inflate(data, 16 + zlib.MAX_WBITS)


def _deflate(data: bytes) -> Unpacked | None:
    """RFC 9110 section 8.4.1.2: some leave out the zlib format around it."""
    return _inflate(data, zlib.MAX_WBITS) or _inflate(data, -zlib.MAX_WBITS)


def _brotli(data: bytes) -> Unpacked | None:
    from cramjam import brotli  # noqa: PLC0415 - 1.5 MiB

    return _into_buffer(brotli.decompress_into, data)


def _zstd(data: bytes) -> Unpacked | None:
    from cramjam import zstd  # noqa: PLC0415 - likewise

    return _into_buffer(zstd.decompress_into, data)


def _into_buffer(unpack: Callable[[bytes, bytearray], int], data: bytes) -> Unpacked | None:
    """Unpack as much as fits.

    Of what doesn't, or breaks off, it isn't said how much there is; the rest of the buffer is 0.
    """
    from cramjam import DecompressionError  # noqa: PLC0415 - likewise

    buffer = bytearray(MOST_DECODED_BYTES)
    try:
        return bytes(buffer[: unpack(data, buffer)]), True
    except DecompressionError:
        found = bytes(buffer.rstrip(b"\0"))
        return (found, False) if found else None


_CODINGS: Final[Mapping[bytes, Callable[[bytes], Unpacked | None]]] = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"deflate": _deflate,
    b"br": _brotli,
    b"zstd": _zstd,
}


def _text(data: bytes, media_type: str, charset: re.Match[str] | None, *, cut: bool) -> str | None:
    """Read bytes as text; None: they are none, whatever the type says."""
    if charset is not None:
        try:
            name = codecs.lookup(charset[1]).name
            text = data.decode("utf-8" if name in _NO_CHARSETS else name, "replace")
        except (LookupError, ValueError):
            pass
        else:
            return None if _NO_TEXT.search(text) else text
    found = _utf8(data, cut=cut)
    if found is None and _TEXT_TYPES.fullmatch(media_type):
        found = data.decode("latin-1")
    return None if found is None or _NO_TEXT.search(found) else found


def _utf8(data: bytes, *, cut: bool) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as why:
        # A character may have been cut in two.
        if cut and why.start >= len(data) - 3 and why.reason == "unexpected end of data":
            return data[: why.start].decode("utf-8")
    return None
