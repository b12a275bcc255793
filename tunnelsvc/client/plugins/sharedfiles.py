# -*- test-case-name: tests.client.plugins.test_sharedfiles -*-
"""The files below a directory, for everybody to read.

Why not ``twisted.web.static.File``
===================================

It sends what a file has when it is read, whatever length it has announced before: while a log
grows, or is cut, the next response on the connection is taken for a part of it. A FIFO stops the
whole program, a long directory for a while, and ``Range: bytes=-1000`` of a short file is an error.
What is left beside these is what is here.

What may be read
================

Regular files and directories at or below the root. Symbolic links are followed as long as they stay
there; one that leads out isn't there for the user, as is a path with ``..``. (frp follows all.)
Whoever can write there may put a link where there was none, between our look and our opening: so
what is opened is reached from the root without following any.
"""

import errno
import mimetypes
import os
import re
import stat
import zlib
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import BinaryIO, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tunnelsvc.client.plugins.listing import SECURITY_POLICY, list_directory
from tunnelsvc.client.plugins.pieces import PieceProducer, Pieces
from tunnelsvc.units import KiB
from tunnelsvc.wire.basicauth import admits, credentials, credentials_in
from tunnelsvc.wire.httpselect import Selection, Version, accepts_gzip, select

READ_BYTES: Final = 256 * KiB
"""Of a file in one turn of the reactor; a quarter of it costs twice the processor time."""
SNIFF_BYTES: Final = 512
"""That are looked at to tell text from other files whose names don't tell."""
LEAST_COMPRESSED_BYTES: Final = 1 * KiB
"""Less isn't worth it; nor is more compression than the least, which gives three quarters of what
can be had for a quarter of the time: others wait meanwhile."""
COMPRESSION_LEVEL: Final = 1

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_INDEX: Final = b"index.html"
_BINARY: Final = "application/octet-stream"
_OF_ENCODING: Final = {
    "br": _BINARY,
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}
"""Of files that are compressed: they are sent as what they are, for the user to unpack."""
_COMPRESSIBLE: Final = re.compile(
    r"text/.*|application/(?:.*\+)?(?:json|xml|javascript|wasm|x-ndjson|yaml)|image/(?:svg\+xml|bmp)"
)
_TARGET: Final = re.compile(rb"(?:(?i:https?)://[^/?#]*)?/([^?]*)(?:\?(.*))?", re.DOTALL)
# Directories on the way needn't be readable.
_ON_THE_WAY: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY  # nothing that would wait
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_CONTROLS: Final = bytes({*range(0x20), 0x7F} - set(b"\t\n\f\r\x1b"))


class _Refused(Exception):
    """A request that gets no file; the status says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class SharedFiles(Resource):
    """Answers all requests of a site."""

    isLeaf = True
    log = Logger()

    def __init__(
        self,
        root: str,
        clock: IReactorTime,
        *,
        prefix: str = "",
        user: str = "",
        password: str = "",
    ) -> None:
        """Begin.

        Args:
            root: the directory.
            clock: for the turns.
            prefix: path of URLs below which the files are, without slashes around it.
            user: who may read; with an empty password too, everybody.
            password: of that user.
        """
        super().__init__()
        self._root = os.fsencode(root)
        self._clock = clock
        self._prefix = prefix.encode().split(b"/") if prefix else []
        self._told_of_links = False
        self._credentials = credentials(user, password)

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        request.responseHeaders.removeHeader(b"server")
        try:
            return self._serve(request)
        except _Refused as why:
            status = why.status
        except PermissionError:
            status = HTTPStatus.FORBIDDEN
        except (FileNotFoundError, NotADirectoryError):
            status = HTTPStatus.NOT_FOUND
        except OSError as why:
            self.log.warn("a file can't be sent: {why}", why=why)
            status = HTTPStatus.SERVICE_UNAVAILABLE
        return _answer(request, status)

    def _serve(self, request: Request) -> bytes | int:
        given = credentials_in(request.getHeader(b"authorization") or b"")
        if not admits(self._credentials, given):
            request.setHeader(b"WWW-Authenticate", b'Basic realm="Restricted"')
            raise _Refused(HTTPStatus.UNAUTHORIZED)
        if request.method not in {b"GET", b"HEAD"}:
            request.setHeader(b"Allow", b"GET, HEAD")
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED)
        target = _TARGET.fullmatch(request.uri)
        if target is None:
            raise _Refused(HTTPStatus.BAD_REQUEST)
        return self._serve_path(request, target[1], target[2])

    def _serve_path(self, request: Request, path: bytes, query: bytes | None) -> bytes | int:
        parts = [unquote_to_bytes(part) for part in path.split(b"/")]
        if self._prefix and parts == self._prefix:
            return _redirect(request, parts[-1], query)
        if parts[: len(self._prefix)] != self._prefix:
            raise _Refused(HTTPStatus.NOT_FOUND)
        below = parts[len(self._prefix) :]
        place = self._find(below)
        mode = os.stat(place).st_mode  # noqa: PTH116 - bytes
        if not stat.S_ISDIR(mode):
            if not below[-1]:
                raise _Refused(HTTPStatus.NOT_FOUND)
            return self._send_file(request, place)
        if below[-1]:
            return _redirect(request, below[-1], query)
        with suppress(FileNotFoundError, _Refused):
            return self._send_file(request, self._find([*below[:-1], _INDEX]))
        return self._send_listing(request, place, parts, parent=len(below) > 1)

    def _find(self, below: list[bytes]) -> bytes:
        """Find the place of a path, without links."""
        if any(part in {b"", b".", b".."} for part in below[:-1]) or below[-1] in {b".", b".."}:
            raise _Refused(HTTPStatus.NOT_FOUND)
        if any(b"/" in part or b"\0" in part for part in below):
            raise _Refused(HTTPStatus.NOT_FOUND)
        place = self._inside(os.path.join(self._root, *below))  # noqa: PTH118 - bytes
        if place is None:
            raise _Refused(HTTPStatus.NOT_FOUND)
        return place

    def _open(self, place: bytes, flags: int) -> int:
        """Open a place that `_find` has found, unless a link has come there meanwhile."""
        root = os.path.realpath(self._root, strict=True)
        *between, name = os.path.relpath(place, root).split(b"/")
        directory = os.open(root, _ON_THE_WAY)
        try:
            for part in between:
                before, directory = directory, os.open(part, _ON_THE_WAY, dir_fd=directory)
                os.close(before)
            return os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory)
        except OSError as why:
            raise _Refused(HTTPStatus.NOT_FOUND) if why.errno == errno.ELOOP else why from None
        finally:
            os.close(directory)

    def _inside(self, path: bytes) -> bytes | None:
        """Follow all links; None: that leads out of the root.

        Raises:
            OSError: there is nothing.
        """
        root = os.path.realpath(self._root, strict=True)
        try:
            place = os.path.realpath(path, strict=True)
        except OSError as why:
            raise FileNotFoundError(why.errno, why.strerror) from why
        if place == root or place.startswith(root.rstrip(b"/") + b"/"):
            return place
        if not self._told_of_links:
            self._told_of_links = True
            self.log.warn(
                "{path} leads out of {root} and isn't shared; nor are other links that do",
                path=os.fsdecode(path),
                root=os.fsdecode(self._root),
            )
        return None

    # Responses.

    def _send_listing(
        self, request: Request, place: bytes, parts: list[bytes], *, parent: bool
    ) -> bytes | int:
        path = "/" + b"/".join(parts).decode("utf-8", "replace")
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        request.setHeader(b"Content-Security-Policy", SECURITY_POLICY)
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        directory = self._open(place, _DIRECTORY)
        if request.method == b"HEAD":
            os.close(directory)
            return b""
        try:
            entries = os.scandir(directory)
        except OSError:
            os.close(directory)
            raise

        def release() -> None:
            entries.close()
            os.close(directory)

        shown = partial(self._may_be_seen, place)
        pieces = list_directory(entries, path, parent=parent, shown=shown)
        PieceProducer(request, pieces, self._clock, release)
        return NOT_DONE_YET

    def _may_be_seen(self, place: bytes, entry: os.DirEntry[str]) -> bool:
        with suppress(OSError):
            path = os.path.join(place, os.fsencode(entry.name))  # noqa: PTH118 - bytes
            if entry.is_symlink() and self._inside(path) is None:
                return False
            return entry.is_file() or entry.is_dir()
        return False

    def _send_file(self, request: Request, place: bytes) -> bytes | int:
        file = self._open_file(place)
        try:
            return self._send_opened(request, file, place)
        except BaseException:
            file.close()
            raise

    def _open_file(self, place: bytes) -> BinaryIO:
        """Open a regular file, and nothing that would do something when it's opened."""
        if not stat.S_ISREG(os.stat(place).st_mode):  # noqa: PTH116 - bytes
            raise _Refused(HTTPStatus.NOT_FOUND)
        descriptor = self._open(place, _FILE)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _Refused(HTTPStatus.NOT_FOUND)
        return os.fdopen(descriptor, "rb")

    def _send_opened(self, request: Request, file: BinaryIO, place: bytes) -> bytes | int:
        info = os.fstat(file.fileno())
        kind = _kind(place, file)
        compressible = bool(_COMPRESSIBLE.match(kind)) and info.st_size >= LEAST_COMPRESSED_BYTES
        compressed = compressible and _wants_gzip(request)
        version = Version(info.st_size, info.st_mtime_ns, compressed)
        selection = select(request.getHeader, version, ranges=request.method == b"GET")
        _set_head(request, version, selection, kind)
        if compressible:
            request.setHeader(b"Vary", b"Accept-Encoding")
        if selection.start == selection.end or request.method == b"HEAD":
            file.close()
            request.finish()
            return NOT_DONE_YET
        plain = _read(file, selection.start, selection.end)
        pieces = _compress(plain) if compressed else plain
        PieceProducer(request, pieces, self._clock, file.close)
        return NOT_DONE_YET


def _answer(request: Request, status: HTTPStatus) -> bytes:
    """Say nothing but the status."""
    body = f"{status.value} {status.phrase}\n".encode()
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return b"" if request.method == b"HEAD" else body


def _redirect(request: Request, name: bytes, query: bytes | None) -> bytes:
    """Add the slash of a directory. Relative: who knows which names lead here."""
    location = b"./" + quote_from_bytes(name).encode() + b"/"
    request.setHeader(b"Location", location if query is None else location + b"?" + query)
    return _answer(request, HTTPStatus.MOVED_PERMANENTLY)


def _set_head(request: Request, version: Version, selection: Selection, kind: str) -> None:
    status = selection.status
    request.setResponseCode(status)
    request.setHeader(b"Accept-Ranges", b"bytes")
    request.setHeader(b"ETag", version.tag)
    request.setHeader(b"Last-Modified", version.last_modified)
    if status is HTTPStatus.NOT_MODIFIED:
        return
    request.setHeader(b"Content-Type", kind.encode())
    request.setHeader(b"X-Content-Type-Options", b"nosniff")
    size = version.size_bytes
    if status is HTTPStatus.PARTIAL_CONTENT:
        last = selection.end - 1
        request.setHeader(b"Content-Range", b"bytes %d-%d/%d" % (selection.start, last, size))
    elif status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        request.setHeader(b"Content-Range", b"bytes */%d" % size)
    if version.encoded and status is HTTPStatus.OK:
        request.setHeader(b"Content-Encoding", b"gzip")
    else:
        request.setHeader(b"Content-Length", b"%d" % (selection.end - selection.start))


def _wants_gzip(request: Request) -> bool:
    """Tell whether the whole is wanted, by somebody who unpacks it."""
    return request.getHeader(b"range") is None and accepts_gzip(
        request.getHeader(b"accept-encoding") or b""
    )


def _kind(place: bytes, file: BinaryIO) -> str:
    """Find the media type of a file by its name, else by its first bytes."""
    extension = os.path.splitext(place)[1].decode("ascii", "replace")  # noqa: PTH122 - bytes
    # Not the whole name: "data:text/html," has a meaning.
    kind, encoding = mimetypes.guess_type(f"x{extension}")
    if encoding is not None:
        return _OF_ENCODING.get(encoding, _BINARY)
    if kind is None:
        kind = "text/plain" if _is_text(os.pread(file.fileno(), SNIFF_BYTES, 0)) else _BINARY
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _is_text(beginning: bytes) -> bool:
    if beginning.translate(None, _CONTROLS) != beginning:
        return False
    try:
        beginning.decode()
    except UnicodeDecodeError as why:
        # A character that is cut off at the end.
        return why.reason == "unexpected end of data"
    return True


def _read(file: BinaryIO, start: int, end: int) -> Pieces:
    """Read that part, no more and no less, whatever becomes of the file meanwhile."""
    file.seek(start)
    while start < end:
        piece = file.read(min(READ_BYTES, end - start))
        if not piece:
            raise EOFError("the file became shorter while it was sent")
        start += len(piece)
        yield piece


def _compress(plain: Pieces) -> Pieces:
    compressor = zlib.compressobj(COMPRESSION_LEVEL, wbits=_GZIP_WINDOW)
    for piece in plain:
        yield compressor.compress(piece)
    yield compressor.flush()
