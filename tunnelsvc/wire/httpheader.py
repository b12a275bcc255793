# -*- test-case-name: tests.wire.test_httphead -*-
"""Single headers of HTTP messages: what is allowed in them, and finding one among others."""

import re
from collections.abc import Sequence
from typing import Final

from tunnelsvc.errors import RemoteProtocolError

Header = tuple[bytes, bytes]
"""Name as it came, value without the blanks around it."""

NAME: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
"""Expression for a header's name, or another token (RFC 9110 section 5.6.2)."""

NOT_TO_BE_SET: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of which nobody chooses the value by configuration: they say how a message is read, or
have a key of their own (Host)."""

_TOKEN: Final = re.compile(NAME)
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
    """A head with too many bytes or lines.

    RFC 6585 has a status of its own for it (431), RFC 9112 one for a long target (414); browsers
    and scripts do nothing else for them, so it's one answer for all that can't be used.
    """


class VersionError(HeadError):
    """A head of another major version of HTTP."""

    status = 505


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


def values_of(headers: Sequence[Header], name: bytes) -> list[bytes]:
    """Give the values of all headers called `name`, which is in lower case."""
    return [value for header, value in headers if header.lower() == name]


def list_of(headers: Sequence[Header], name: bytes) -> list[bytes]:
    """Give the members of a comma-separated header over all its lines, in lower case."""
    return members_of(values_of(headers, name))


def values_in(headers: Sequence[Header], names: Sequence[bytes], name: bytes) -> list[bytes]:
    """Do as `values_of`, quicker.

    Args:
        headers: with their names as they came.
        names: the same, in lower case.
        name: in lower case.
    """
    count = names.count(name)
    if not count:
        return []
    if count == 1:
        return [headers[names.index(name)][1]]
    return [value for lowered, (_, value) in zip(names, headers, strict=True) if lowered == name]


def members_of(values: list[bytes]) -> list[bytes]:
    """Give the members of comma-separated values, in lower case."""
    if not values:
        return []
    members = b",".join(values).lower().split(b",")
    return [stripped for member in members if (stripped := member.strip(b" \t"))]
