# -*- test-case-name: tests.wire.test_httphead -*-
"""Hop 1 of an HTTP request: the heads of requests and responses (RFC 9110, RFC 9112).

Where two parsers of one byte stream disagree about where a message ends, a request can be smuggled
past the first one. So whatever RFC 9112 leaves to the reader's taste is refused here in requests:
a line ended by LF alone, a folded line, a blank before the colon, two lengths.

httptools (llhttp) parses a head in 3 µs where this takes 19, but lets some of that through: several
Hosts or none, a transfer coding in HTTP/1.0, codings before chunked, blanks in the request line. It
would have to be watched by half of what is here; the tests compare the two instead.

Responses come from the proxy's own service. Odd line ends are mended there, as RFC 9112 sections
2.2 and 5.2 allow, but their lengths have to be as unambiguous as those of requests.

Names and values stay bytes, in their order and case.
"""

import re
from enum import Enum
from http import HTTPStatus
from typing import Final

from attrs import frozen

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.units import KiB

MAX_HEAD_BYTES: Final = 64 * KiB
"""A head with its last line. node takes 16 KiB, nginx 32 KiB, Go 1 MiB."""

MAX_HEADERS: Final = 256
"""Lines of a head. Apache takes 100, twisted.web 500."""

_MAX_LENGTH_DIGITS: Final = 18
"""Of a Content-Length: below 2**63, where nobody's integers overflow."""

Header = tuple[bytes, bytes]
"""Name as it came, value without the blanks around it."""

MAX_HOST_BYTES: Final = 255 + len(":65535")
"""A DNS name has 255 at most (RFC 1035 section 2.3.4); looking one up costs time by its labels."""

_HEAD_END: Final = re.compile(rb"\n\r?\n")
# Any octets but blanks and controls: RFC 3986 has no bytes above 0x7f, but browsers send them.
_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])"
)
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH: Final = re.compile(rb"[0-9]{1,%d}" % _MAX_LENGTH_DIGITS)
# RFC 3986 section 3.2.2, without the sub-delimiters that no name has.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%\-]*)(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]*)(.*)", re.DOTALL)
_FOLD: Final = re.compile(rb"\r\n[ \t]+")
_IN_HEADS: Final = bytes(
    [*b"\t\r\n", *(byte for byte in range(0x20, 0x100) if byte != 0x7F)]  # noqa: PLR2004 - DEL
)


class HeadError(RemoteProtocolError):
    """A head that can't be used.

    Attributes:
        status: of the response that says so.
    """

    status = 400


class HeadTooLargeError(HeadError):
    """A head with too many bytes or lines."""

    status = 431


class VersionError(HeadError):
    """A head of another major version of HTTP."""

    status = 505


class Length(Enum):
    """What a body's length is, when it isn't a number of bytes."""

    CHUNKED = "chunked"
    UNTIL_CLOSE = "until the connection closes"


@frozen
class RequestHead:
    """The head of a request.

    Attributes:
        method: as it came; methods are case-sensitive.
        target: as it came: a path with query, an absolute URL, ``*`` or a host and port.
        minor: 0 or 1, of HTTP/1.x.
        headers: in their order.
        length: of the body.
        host: whom the request is for: name or address, with the port if there is one. Empty if
            the head doesn't say.
        path: what of the target a server of its own would be asked for; `target` for CONNECT.
    """

    method: bytes
    target: bytes
    minor: int
    headers: list[Header]
    length: int | Length
    host: bytes
    path: bytes


@frozen
class ResponseHead:
    """The head of a response.

    Attributes:
        status: 100 to 599.
        reason: may be empty.
        minor: 0 or 1, of HTTP/1.x.
        headers: in their order.
        length: of the body that the headers tell of. Which requests and statuses have none in
            spite of that is `has_body`.
    """

    status: int
    reason: bytes
    minor: int
    headers: list[Header]
    length: int | Length

    def has_body(self, method: bytes) -> bool:
        """Tell whether a response to `method` is followed by a body (RFC 9112 section 6.3)."""
        if method == b"HEAD" or self.status < HTTPStatus.OK:
            return False
        return self.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class HeadReader:
    """Cuts a head off the beginning of a byte stream. Buffers `MAX_HEAD_BYTES` at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def begun(self) -> bool:
        """Whether a part of a head has come."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Take bytes.

        Empty lines before a head are dropped (RFC 9112 section 2.2).

        Returns:
            The head with its last line, and the bytes behind it; None if it isn't complete.

        Raises:
            HeadTooLargeError: it doesn't end in `MAX_HEAD_BYTES`.
        """
        buffer = self._buffer
        seen = len(buffer)
        buffer += data if seen else data.lstrip(b"\r\n")
        found = _HEAD_END.search(buffer, max(0, seen - 2), MAX_HEAD_BYTES)
        if found is not None:
            end = found.end()
            head, rest = bytes(buffer[:end]), bytes(buffer[end:])
            self._buffer = bytearray()
            return head, rest
        if len(buffer) >= MAX_HEAD_BYTES:
            raise HeadTooLargeError(f"a head of more than {MAX_HEAD_BYTES} bytes")
        return None


def parse_request_head(head: bytes) -> RequestHead:
    """Parse the head of a request, strictly.

    Args:
        head: with its empty line, as `HeadReader` gives it.

    Raises:
        HeadError: it isn't exactly as RFC 9112 has it.
    """
    first, lines = _lines(head)
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        raise HeadError("no request line")
    method, target, major, minor_digit = found.groups()
    if major != b"1":
        raise VersionError("HTTP/1 is spoken here")
    minor = min(int(minor_digit), 1)
    headers = _headers(lines)
    length = _body_length(headers, minor)
    host, path = _whom_for(method, target, _host(headers, minor))
    return RequestHead(
        method, target, minor, headers, 0 if length is Length.UNTIL_CLOSE else length, host, path
    )


def parse_response_head(head: bytes) -> ResponseHead:
    """Parse the head of a response; odd line ends are mended.

    Args:
        head: with its empty line, as `HeadReader` gives it.

    Raises:
        HeadError: it is broken, or doesn't say clearly how long the body is.
    """
    if head.count(b"\n") != head.count(b"\r\n"):
        head = head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    first, lines = _lines(_FOLD.sub(b" ", head))
    found = _STATUS_LINE.fullmatch(first)
    if found is None:
        raise HeadError("no status line of HTTP/1")
    minor, status, reason = found.groups()
    headers = _headers(lines)
    length = _body_length(headers, min(int(minor), 1))
    return ResponseHead(int(status), reason or b"", min(int(minor), 1), headers, length)


def parse_header(line: bytes) -> Header:
    """Parse one header line, or one of a trailer, without its line end.

    Raises:
        HeadError: name or value have bytes they may not have.
    """
    name, _, value = line.partition(b":")
    if len(name) == len(line) or _TOKEN.fullmatch(name) is None:
        raise HeadError("a header line without a proper name")
    return name, value.strip(b" \t")


def check_text(text: bytes) -> None:
    """Refuse bytes that no head has, and line ends that aren't CRLF.

    Raises:
        HeadError: there is one.
    """
    if text.translate(None, _IN_HEADS):
        raise HeadError("a control character")
    if not text.count(b"\r\n") == text.count(b"\n") == text.count(b"\r"):
        raise HeadError("a line end that isn't CRLF")


def values_of(headers: list[Header], name: bytes) -> list[bytes]:
    """Give the values of all headers called `name`, which is in lower case."""
    return [value for header, value in headers if header.lower() == name]


def list_of(headers: list[Header], name: bytes) -> list[bytes]:
    """Give the members of a comma-separated header over all its lines, in lower case."""
    members = b",".join(values_of(headers, name)).lower().split(b",")
    return [stripped for member in members if (stripped := member.strip(b" \t"))]


def _lines(head: bytes) -> tuple[bytes, list[bytes]]:
    """Cut a head into its first line and the others, checked for bytes that may not be there."""
    check_text(head)
    first, *lines = head.split(b"\r\n")
    del lines[-2:]
    if len(lines) > MAX_HEADERS:
        raise HeadTooLargeError(f"a head of more than {MAX_HEADERS} lines")
    return first, lines


def _headers(lines: list[bytes]) -> list[Header]:
    return [parse_header(line) for line in lines]


def _body_length(headers: list[Header], minor: int) -> int | Length:
    """Find how long a body is; anything that two readers could see differently is refused."""
    lengths = values_of(headers, b"content-length")
    codings = values_of(headers, b"transfer-encoding")
    if codings:
        if lengths or minor == 0:
            raise HeadError("Transfer-Encoding with Content-Length or in HTTP/1.0")
        if [coding.lower() for coding in codings] != [b"chunked"]:
            raise HeadError("a Transfer-Encoding other than chunked")
        return Length.CHUNKED
    if not lengths:
        return Length.UNTIL_CLOSE
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise HeadError("Content-Length isn't one number")
    return int(lengths[0])


def _host(headers: list[Header], minor: int) -> bytes:
    hosts = values_of(headers, b"host")
    if len(hosts) > 1 or (minor and not hosts):
        raise HeadError("not one Host")
    return _checked_host(hosts[0]) if hosts else b""


def _checked_host(host: bytes) -> bytes:
    if len(host) > MAX_HOST_BYTES or _HOST.fullmatch(host) is None:
        raise HeadError("a Host that is no host")
    return host


def _whom_for(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Find host and path of a request; RFC 9112 section 3.2 has the four forms."""
    if target.startswith(b"/"):
        return host, target
    if method == b"CONNECT":
        return _checked_host(target), target
    if target == b"*" and method == b"OPTIONS":
        return host, target
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not found[1]:
        raise HeadError("a target of no known form")
    path = found[2]
    if not path and method == b"OPTIONS":
        path = b"*"  # RFC 9112 section 3.2.4
    elif not path.startswith(b"/"):
        path = b"/" + path
    return _checked_host(found[1]), path
