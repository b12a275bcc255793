# -*- test-case-name: tests.server.vhost.test_rewrite -*-
"""Heads as they are passed on: what belongs to one connection goes, what a proxy adds comes.

What is left keeps its order and case (RFC 9110 section 7.6).
"""

from http import HTTPStatus
from typing import Final

from attrs import frozen

from tunnelsvc.server.vhost.rules import Rules
from tunnelsvc.wire.httphead import Header, Length, RequestHead, ResponseHead, list_of, values_of

_OF_ONE_CONNECTION: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"upgrade",
    }
)
_NEVER_DROPPED: Final = frozenset({b"content-length", b"host", b"transfer-encoding"})
"""Whoever names one of these in Connection wants the message to be read differently behind us."""
_FORWARDED: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)
_H2C: Final = b"h2c"
"""Upgrading to HTTP/2 would take later requests of the connection past the router."""


@frozen
class Origin:
    """Where a request came from, for the X-Forwarded headers.

    Attributes:
        address: the user's IP address; empty if there is none.
        scheme: ``http`` or ``https``, as the user sees it.
    """

    address: bytes
    scheme: bytes = b"http"


def wanted_upgrade(head: RequestHead) -> bytes:
    """Give the protocols that a request wants to go over to; empty: none that is passed on."""
    if head.minor == 0 or head.length != 0 or _H2C in list_of(head.headers, b"upgrade"):
        return b""
    if b"upgrade" not in list_of(head.headers, b"connection"):
        return b""
    return b", ".join(values_of(head.headers, b"upgrade"))


def agrees_to_upgrade(request: RequestHead, response: ResponseHead) -> bool:
    """Tell whether a 101 names protocols that the request offered, and nothing else."""
    offered = {name.strip() for name in wanted_upgrade(request).lower().split(b",")} - {b""}
    chosen = set(list_of(response.headers, b"upgrade"))
    return bool(chosen) and chosen <= offered


def keeps_alive(head: RequestHead | ResponseHead) -> bool:
    """Tell whether the sender of a head keeps its connection (RFC 9112 section 9.3)."""
    options = list_of(head.headers, b"connection")
    return b"close" not in options and (head.minor > 0 or b"keep-alive" in options)


def connection_header(head: RequestHead, *, keep: bool) -> bytes:
    """Give the Connection header of a response to `head`; empty: none is needed."""
    if not keep:
        return b"close"
    return b"" if head.minor else b"keep-alive"


def request_for_backend(head: RequestHead, rules: Rules, origin: Origin) -> bytes:
    """Give the head that the local service gets.

    Args:
        head: the user's.
        rules: the proxy's.
        origin: where it came from.
    """
    dropped = _dropped(head) | _FORWARDED
    dropped |= {name.lower() for name, _ in rules.headers}
    if head.length is not Length.CHUNKED:
        dropped |= {b"trailer"}
    host = rules.host or head.host
    headers = [
        (name, host if lowered == b"host" else value)
        for name, value in head.headers
        if (lowered := name.lower()) not in dropped
    ]
    if not values_of(headers, b"host"):
        headers.insert(0, (b"Host", host))
    headers += _for_next(head)
    headers += _forwarded(head, rules, origin)
    headers += rules.headers
    return _assemble(b"%b %b HTTP/1.1" % (head.method, head.path), headers)


def response_for_user(
    head: ResponseHead, *, switching: bool = False, connection: bytes = b"", framed: bool = True
) -> bytes:
    """Give the head that the user gets.

    Args:
        head: the local service's.
        switching: both go over to another protocol after it.
        connection: what we say about the user's connection; empty: nothing.
        framed: the body is passed on as it is framed. Else it ends with the connection.
    """
    dropped = _dropped(head)
    if not framed:
        dropped |= {b"transfer-encoding", b"trailer"}
    if head.status < HTTPStatus.OK or head.status == HTTPStatus.NO_CONTENT:
        dropped |= {b"content-length", b"transfer-encoding"}  # RFC 9110 section 8.6
    headers = [header for header in head.headers if header[0].lower() not in dropped]
    if switching:
        headers += [(b"Connection", b"Upgrade")]
        headers += [(b"Upgrade", value) for value in values_of(head.headers, b"upgrade")]
    elif connection:
        headers += [(b"Connection", connection)]
    return _assemble(b"HTTP/1.1 %d %b" % (head.status, head.reason), headers)


def _dropped(head: RequestHead | ResponseHead) -> set[bytes]:
    return {*_OF_ONE_CONNECTION, *list_of(head.headers, b"connection")} - _NEVER_DROPPED


def _for_next(head: RequestHead) -> list[Header]:
    """Say anew what the user said about the connection, where it goes for the next one too."""
    upgrade = wanted_upgrade(head)
    if upgrade:
        return [(b"Connection", b"Upgrade"), (b"Upgrade", upgrade)]
    if b"trailers" in list_of(head.headers, b"te"):
        return [(b"Connection", b"TE"), (b"TE", b"trailers")]
    return []


def _forwarded(head: RequestHead, rules: Rules, origin: Origin) -> list[Header]:
    way = values_of(head.headers, b"x-forwarded-for")
    headers = [
        (b"X-Forwarded-For", b", ".join([*way, origin.address]) if origin.address else b""),
        (b"X-Forwarded-Host", head.host),
        (b"X-Forwarded-Proto", origin.scheme),
        (b"X-Real-IP", origin.address),
    ]
    ours = {name.lower() for name, _ in rules.headers}
    return [(name, value) for name, value in headers if value and name.lower() not in ours]


def _assemble(first: bytes, headers: list[Header]) -> bytes:
    lines = [first, *(b"%b: %b" % header for header in headers), b"", b""]
    return b"\r\n".join(lines)
