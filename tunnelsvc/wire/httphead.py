# -*- test-case-name: tests.wire.test_httphead -*-
"""Hop 1 of an HTTP request: the heads of requests and responses (RFC 9110, RFC 9112).

Where two parsers of one byte stream disagree about where a message ends, a request can be smuggled
past the first one. So whatever RFC 9112 leaves to the reader's taste is refused here in requests:
a line ended by LF alone, a folded line, a blank before the colon, two lengths.

One regular expression, which never goes back, says what a whole head may look like: what it doesn't
match is refused, and looked at closely only to say why. httptools (llhttp) takes a quarter of the
time, but lets some of that through: several Hosts or none, a transfer coding in HTTP/1.0, codings
before chunked, blanks in the request line. It would have to be watched by half of what is here; the
tests compare the two instead.

Responses come from the proxy's own service. Odd lines are mended there, as RFC 9112 sections 2.2,
5.1 and 5.2 have it, but their lengths have to be as unambiguous as those of requests.

Names and values stay bytes, in their order and case.

Clients that ask again send the same head again, and services answer a second long with the same. So
the latest heads that were found right are remembered with what they mean; parsing is a third
of what a request costs. Nobody may change them: they are shared.
"""

import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from attrs import frozen

from tunnelsvc.units import KiB
from tunnelsvc.wire.httpheader import (
    NAME,
    Header,
    HeadError,
    HeadTooLargeError,
    VersionError,
    check_text,
    list_of,
    members_of,
    parse_header,
    values_in,
    values_of,
)

__all__ = [
    "Head",
    "HeadError",
    "HeadReader",
    "HeadTooLargeError",
    "Header",
    "Length",
    "RequestHead",
    "ResponseHead",
    "VersionError",
    "check_text",
    "list_of",
    "parse_connect_head",
    "parse_header",
    "parse_request_head",
    "parse_response_head",
    "values_of",
]

MAX_HEAD_BYTES: Final = 64 * KiB
"""A head with its last line. node takes 16 KiB, nginx 32 KiB, Go 1 MiB."""

MAX_HEADERS: Final = 256
"""Lines of a head. Apache takes 100, twisted.web 500."""

_MAX_LENGTH_DIGITS: Final = 18
"""Of a Content-Length: below 2**63, where nobody's integers overflow."""

MOST_REMEMBERED: Final = 64
"""Heads of requests, and as many of responses."""

LONGEST_REMEMBERED_BYTES: Final = 2 * KiB
"""With the one above it bounds the memory: 6 MiB for heads made to fill it, with all that is taken
apart, and some hundred KiB for those that browsers send."""

MAX_HOST_BYTES: Final = 255 + len(":65535")
"""A DNS name has 255 at most (RFC 1035 section 2.3.4); looking one up costs time by its labels."""

_HEAD_END: Final = re.compile(rb"\n\r?\n")
# Any octets but blanks and controls: RFC 3986 has no bytes above 0x7f, but browsers send them.
_REQUEST_LINE: Final = rb"(" + NAME + rb") ([\x21-\x7e\x80-\xff]++) HTTP/([0-9])\.([0-9])\r\n"
_STATUS_LINE: Final = rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?\r\n"
_LINES: Final = rb"((?:" + NAME + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+)\r\n"
_REQUEST: Final = re.compile(_REQUEST_LINE + _LINES)
_RESPONSE: Final = re.compile(_STATUS_LINE + _LINES)
_OTHER_VERSION: Final = re.compile(_REQUEST_LINE)
# Of lines that are known to be right.
_HEADER: Final = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n")
_HEADER_NAME: Final = re.compile(rb"([^:]++):[^\r]*+\r\n")
_LENGTH: Final = re.compile(rb"[0-9]{1,%d}" % _MAX_LENGTH_DIGITS)
# RFC 3986 section 3.2.2, without the sub-delimiters that no name has.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%\-]*)(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]*)(.*)", re.DOTALL)
_NO_HEADER: Final = re.compile(rb"\A([^\n]*\n)(?:[ \t][^\n]*\n)++")
_FOLD: Final = re.compile(rb"\r\n[ \t]+")
_BLANK_BEFORE_COLON: Final = re.compile(rb"(?m)^(" + NAME + rb")[ \t]+:")


class Length(Enum):
    """What a body's length is, when it isn't a number of bytes."""

    CHUNKED = "chunked"
    UNTIL_CLOSE = "until the connection closes"


@frozen
class Head:
    """What the heads of requests and responses have in common.

    Attributes:
        minor: 0 or 1, of HTTP/1.x.
        headers: in their order.
        names: those of `headers`, in lower case.
        options: what Connection says of the connection, in lower case.
        length: of the body. That of a response as the headers tell it; which requests and statuses
            have none in spite of that is `ResponseHead.has_body`.
    """

    minor: int
    headers: Sequence[Header]
    names: Sequence[bytes]
    options: Sequence[bytes]
    length: int | Length

    def values(self, name: bytes) -> list[bytes]:
        """Give the values of all headers called `name`, which is in lower case."""
        return values_in(self.headers, self.names, name)

    def members(self, name: bytes) -> list[bytes]:
        """Give the members of a comma-separated header over all its lines, in lower case."""
        return members_of(self.values(name))


@frozen
class RequestHead(Head):
    """The head of a request.

    Attributes:
        method: as it came; methods are case-sensitive.
        target: as it came: a path with query, an absolute URL, ``*`` or a host and port.
        host: whom the request is for: name or address, with the port if there is one. Empty if
            the head doesn't say.
        path: what of the target a server of its own would be asked for; empty for CONNECT.
    """

    method: bytes
    target: bytes
    host: bytes
    path: bytes

    @property
    def is_for_proxy(self) -> bool:
        """Whether it is asked as one asks a proxy: in absolute form, or for a connection."""
        return self.path != self.target


@frozen
class ResponseHead(Head):
    """The head of a response.

    Attributes:
        status: 100 to 999; whoever doesn't know one above 599 takes it for an error of the server
            (RFC 9110 section 15).
        reason: may be empty.
    """

    status: int
    reason: bytes

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
        seen = len(self._buffer)
        whole: bytes | bytearray
        if seen:
            self._buffer += data
            whole = self._buffer
        else:  # nearly always: a head comes in one piece, and isn't copied
            whole = data.lstrip(b"\r\n")
        found = _HEAD_END.search(whole, max(0, seen - 2), MAX_HEAD_BYTES)
        if found is not None:
            end = found.end()
            if seen:
                self._buffer = bytearray()
            return bytes(whole[:end]), bytes(whole[end:])
        if not seen:
            self._buffer += whole
        if len(whole) >= MAX_HEAD_BYTES:
            raise HeadTooLargeError(f"a head of more than {MAX_HEAD_BYTES} bytes")
        return None


def parse_request_head(head: bytes) -> RequestHead:
    """Parse the head of a request, strictly.

    Args:
        head: with its empty line, as `HeadReader` gives it.

    Raises:
        HeadError: it isn't exactly as RFC 9112 has it.
    """
    return (_request if len(head) > LONGEST_REMEMBERED_BYTES else _known_request)(head)


def parse_connect_head(head: bytes) -> RequestHead:
    """Parse the head of a request as `parse_request_head` does, but take a CONNECT without a port.

    Who only looks for the name of a service has no use for one, and frp's own programs send none.
    """
    return _request(head, port_needed=False)


def _request(head: bytes, *, port_needed: bool = True) -> RequestHead:
    found = _REQUEST.fullmatch(head)
    if found is None:
        raise _why_refused(head)
    method, target, major, minor_digit, lines = found.groups()
    headers, names = _headers(lines)
    if major != b"1":
        raise VersionError("HTTP/1 is spoken here")
    minor = min(int(minor_digit), 1)
    length = _body_length(headers, names, minor)
    host, path = _whom_for(method, target, _host(headers, names, minor), port_needed=port_needed)
    if length is Length.UNTIL_CLOSE:
        length = 0
    elif method == b"CONNECT" and length != 0:
        raise HeadError("a body in front of a connection")  # RFC 9110 section 9.3.6
    options = members_of(values_in(headers, names, b"connection"))
    return RequestHead(minor, headers, names, options, length, method, target, host, path)


_known_request = lru_cache(MOST_REMEMBERED)(_request)


def parse_response_head(head: bytes) -> ResponseHead:
    """Parse the head of a response; odd lines are mended.

    Args:
        head: with its empty line, as `HeadReader` gives it.

    Raises:
        HeadError: it is broken, or doesn't say clearly how long the body is.
    """
    return (_response if len(head) > LONGEST_REMEMBERED_BYTES else _known_response)(head)


def _response(head: bytes) -> ResponseHead:
    found = _RESPONSE.fullmatch(head) or _RESPONSE.fullmatch(_mended(head))
    if found is None:
        raise HeadError("no proper head of an HTTP/1 response")
    minor_digit, status, reason, lines = found.groups()
    minor = min(int(minor_digit), 1)
    headers, names = _headers(lines)
    length = _body_length(headers, names, minor)
    options = members_of(values_in(headers, names, b"connection"))
    return ResponseHead(minor, headers, names, options, length, int(status), reason or b"")


_known_response = lru_cache(MOST_REMEMBERED)(_response)


def _headers(lines: bytes) -> tuple[list[Header], list[bytes]]:
    """Take header lines, known to be right, apart; give the names in lower case too."""
    if lines.count(b"\n") > MAX_HEADERS:
        raise HeadTooLargeError(f"a head of more than {MAX_HEADERS} lines")
    headers = _HEADER.findall(lines)
    if b" \r" in lines or b"\t\r" in lines:
        headers = [(name, value.rstrip(b" \t")) for name, value in headers]
    return headers, _HEADER_NAME.findall(lines.lower())


def _mended(head: bytes) -> bytes:
    """Mend what RFC 9112 sections 2.2, 5.1 and 5.2 say of responses.

    All lines end in CRLF, none is folded, no name has a blank behind it. Lines that begin with a
    blank where no header is before them are left out.
    """
    if head.count(b"\n") != head.count(b"\r\n"):
        head = head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    head = _NO_HEADER.sub(rb"\1", head)
    return _BLANK_BEFORE_COLON.sub(rb"\1:", _FOLD.sub(b" ", head))


def _why_refused(head: bytes) -> HeadError:
    """Find the status for a request head that isn't as it must be."""
    try:
        check_text(head)
    except HeadError as error:
        return error
    if head.count(b"\n") > MAX_HEADERS + 2:
        return HeadTooLargeError(f"a head of more than {MAX_HEADERS} lines")
    found = _OTHER_VERSION.match(head)
    if found is not None and found[3] != b"1":
        return VersionError("HTTP/1 is spoken here")
    return HeadError("no request line, or a header line without a proper name")


def _body_length(headers: list[Header], names: list[bytes], minor: int) -> int | Length:
    """Find how long a body is; anything that two readers could see differently is refused."""
    lengths = values_in(headers, names, b"content-length")
    codings = values_in(headers, names, b"transfer-encoding")
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


def _host(headers: list[Header], names: list[bytes], minor: int) -> bytes:
    hosts = values_in(headers, names, b"host")
    if len(hosts) > 1 or (minor and not hosts):
        raise HeadError("not one Host")
    return _checked_host(hosts[0]) if hosts else b""


def _checked_host(host: bytes) -> bytes:
    if len(host) > MAX_HOST_BYTES or _HOST.fullmatch(host) is None:
        raise HeadError("a Host that is no host")
    return host


def _whom_for(
    method: bytes, target: bytes, host: bytes, *, port_needed: bool
) -> tuple[bytes, bytes]:
    """Find host and path of a request; RFC 9112 section 3.2 has the four forms."""
    if method == b"CONNECT":
        name, _, port = _checked_host(target).rpartition(b":")
        if port_needed and not (name and port.isdigit()):
            raise HeadError("a connection to no host or port")
        return target, b""
    if target.startswith(b"/"):
        return host, target
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
