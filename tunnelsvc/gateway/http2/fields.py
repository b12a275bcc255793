# -*- test-case-name: tests.gateway.http2.test_fields -*-
"""Header fields of HTTP/2 and heads of HTTP/1.1, one made of the other (RFC 9113 section 8).

h2 has looked at the fields before. What would be dangerous on the way to HTTP/1.1 is looked at here
once more: it isn't what h2 is for.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from tunnelsvc.gateway.requesttext import RequestText
from tunnelsvc.wire.httphead import Header, HeadError, Length, ResponseHead

_OF_ONE_CONNECTION: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that no response has (RFC 9113 section 8.2.2)."""
_NOT_IN_REQUESTS: Final = _OF_ONE_CONNECTION - {b"te"}
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")


class NotByHTTP2Error(HeadError):
    """A request of a kind that is served by HTTP/1.1 only."""


def request_text(fields: Iterable[Header], *, ended: bool) -> RequestText:
    """Make the text of a request.

    Args:
        fields: pseudo-header fields and others.
        ended: there is no body.

    Raises:
        NotByHTTP2Error: it is a CONNECT.
        HeadError: it is malformed, or can't be said in HTTP/1.1.
    """
    pseudo: dict[bytes, bytes] = {}
    headers: list[Header] = []
    for name, value in fields:
        if name[:1] != b":":
            headers.append((name, value))
        elif pseudo.setdefault(name, value) is not value:
            raise HeadError("a pseudo-header field twice")
    method = pseudo.get(b":method", b"")
    if method == b"CONNECT":
        raise NotByHTTP2Error("CONNECT")
    if any(name.lower() in _NOT_IN_REQUESTS for name, _ in headers):
        raise HeadError("a field of one connection")
    return RequestText(
        method, _target(pseudo, method), _host(pseudo, headers), headers, _length(headers, ended)
    )


def _target(pseudo: dict[bytes, bytes], method: bytes) -> bytes:
    path = pseudo.get(b":path", b"")
    if path[:1] == b"/" or (path == b"*" and method == b"OPTIONS"):
        return path
    raise HeadError("a :path that is none")


def _host(pseudo: dict[bytes, bytes], headers: Sequence[Header]) -> bytes:
    """Find the one host that a request names, twice perhaps."""
    named = [value for name, value in headers if name.lower() == b"host"]
    if b":authority" in pseudo:
        named.append(pseudo[b":authority"])
    if not named or len(set(named)) > 1:
        raise HeadError("not one host")
    return named[0]


def _length(headers: Sequence[Header], ended: bool) -> int | Length | None:
    said = {value for name, value in headers if name.lower() == b"content-length"}
    if not said:
        return None if ended else Length.CHUNKED
    [length, *others] = said
    if others or _LENGTH.fullmatch(length) is None or (ended and int(length)):
        raise HeadError("a Content-Length that isn't the body's")
    return int(length)


def response_fields(head: ResponseHead) -> list[Header]:
    """Give the fields of a response, interim ones included."""
    return [(b":status", b"%d" % head.status), *ordinary_fields(head.headers)]


def ordinary_fields(headers: Iterable[Header]) -> list[Header]:
    """Give the fields of a response or a trailer that HTTP/2 can have."""
    lowered = ((name.lower(), value) for name, value in headers)
    return [field for field in lowered if field[0] not in _OF_ONE_CONNECTION]
