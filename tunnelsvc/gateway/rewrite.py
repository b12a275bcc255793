# -*- test-case-name: tests.gateway.test_rewrite -*-
"""Heads as they are passed on: what belongs to one connection goes, what a proxy adds comes.

What is left keeps its order and case (RFC 9110 section 7.6).
"""

from http import HTTPStatus
from typing import Final

from tunnelsvc.gateway.forwarded import FORWARDED, Origin, by_proxy
from tunnelsvc.gateway.rules import Rules
from tunnelsvc.gateway.sameorigin import behind_new_host
from tunnelsvc.wire.httphead import Head, Header, Length, RequestHead, ResponseHead

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
_EXPECT: Final = frozenset({b"expect"})
"""Nobody who speaks HTTP/1.0 can be told to go on (RFC 9110 section 10.1.1)."""
_TRAILER: Final = frozenset({b"trailer"})
_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})
_IN_REQUESTS: Final = _OF_ONE_CONNECTION | FORWARDED
_IN_REQUESTS_WITHOUT_CHUNKS: Final = _IN_REQUESTS | _TRAILER
_HSTS: Final = b"strict-transport-security"
_H2C: Final = b"h2c"
"""Upgrading to HTTP/2 would take later requests of the connection past the router."""


def wanted_upgrade(head: RequestHead) -> bytes:
    """Give the protocols that a request wants to go over to; empty: none that is passed on."""
    if b"upgrade" not in head.names or head.minor == 0:
        return b""
    if _H2C in head.members(b"upgrade") or b"upgrade" not in head.options:
        return b""
    return b", ".join(head.values(b"upgrade"))


def agrees_to_upgrade(request: RequestHead, response: ResponseHead) -> bool:
    """Tell whether a 101 names protocols that the request offered, and nothing else."""
    offered = {name.strip() for name in wanted_upgrade(request).lower().split(b",")} - {b""}
    chosen = set(response.members(b"upgrade"))
    return bool(chosen) and chosen <= offered


def keeps_alive(head: Head) -> bool:
    """Tell whether the sender of a head keeps its connection (RFC 9112 section 9.3)."""
    return b"close" not in head.options and (head.minor > 0 or b"keep-alive" in head.options)


def may_ask_more(head: RequestHead) -> bool:
    """Tell whether a user's connection takes another request once `head` is answered.

    Not behind a CONNECT that came to nothing: who took the connection for granted has sent what
    was meant for its other end, perhaps by order of somebody else, and that is no request.
    """
    return head.method != b"CONNECT" and keeps_alive(head)


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
    chunked = head.length is Length.CHUNKED
    dropped = _and_named(head, _IN_REQUESTS if chunked else _IN_REQUESTS_WITHOUT_CHUNKS)
    if not head.minor:
        dropped |= _EXPECT
    if origin.passed_on:
        dropped -= FORWARDED
    if rules.names:
        dropped |= rules.replaced(head.names)
    host = rules.host or head.host
    headers = [] if b"host" in head.names else [(b"Host", host)]
    headers += [
        (name, host if lowered == b"host" else value)
        for lowered, (name, value) in zip(head.names, head.headers, strict=True)
        if lowered not in dropped
    ]
    if rules.host:
        headers = list(behind_new_host(headers, head.host, host))
    headers += _for_next(head)
    if not origin.passed_on:
        headers += _forwarded(head, rules, origin)
    headers += rules.headers
    return _assemble(b"%b %b HTTP/1.1" % (head.method, head.path), headers)


def response_for_user(
    head: ResponseHead,
    rules: Rules,
    *,
    switching: bool = False,
    connection: bytes = b"",
    framed: bool = True,
    hsts: bytes = b"",
) -> bytes:
    """Give the head that the user gets.

    Args:
        head: the local service's.
        rules: the proxy's.
        switching: both go over to another protocol after it.
        connection: what we say about the user's connection; empty: nothing.
        framed: the body is passed on as it is framed. Else it ends with the connection.
        hsts: value of Strict-Transport-Security, if the service sets none; empty: none.
    """
    dropped = _and_named(head, _OF_ONE_CONNECTION)
    if not framed:
        dropped |= _LENGTHS - {b"content-length"} | _TRAILER
    if head.status < HTTPStatus.OK or head.status == HTTPStatus.NO_CONTENT:
        dropped |= _LENGTHS  # RFC 9110 section 8.6
    added = rules.response_headers
    if added and (switching or head.status >= HTTPStatus.OK):
        dropped |= rules.response_names
    else:
        added = ()
    headers = [
        header
        for lowered, header in zip(head.names, head.headers, strict=True)
        if lowered not in dropped
    ]
    headers += added
    if hsts and not any(name.lower() == _HSTS for name, _ in headers):
        headers.append((b"Strict-Transport-Security", hsts))
    if switching:
        headers += [(b"Connection", b"Upgrade")]
        headers += [(b"Upgrade", value) for value in head.values(b"upgrade")]
    elif connection:
        headers += [(b"Connection", connection)]
    return _assemble(b"HTTP/1.1 %d %b" % (head.status, head.reason), headers)


def as_it_came(first: bytes, head: Head, *, without: frozenset[bytes]) -> bytes:
    """Give a head whose connection belongs to both ends, who are about to be joined.

    Args:
        first: its first line or lines, without the end.
        head: has the headers.
        without: names of headers that are left out, in lower case.
    """
    headers = zip(head.names, head.headers, strict=True)
    return _assemble(first, [header for lowered, header in headers if lowered not in without])


def _and_named(head: Head, dropped: frozenset[bytes]) -> frozenset[bytes]:
    """Add to the names of dropped headers those that Connection has."""
    if dropped.issuperset(head.options):
        return dropped
    return dropped.union(head.options) - _NEVER_DROPPED


def _for_next(head: RequestHead) -> list[Header]:
    """Say anew what the user said about the connection, where it goes for the next one too."""
    upgrade = wanted_upgrade(head)
    if upgrade:
        return [(b"Connection", b"Upgrade"), (b"Upgrade", upgrade)]
    if b"trailers" in head.members(b"te"):
        return [(b"Connection", b"TE"), (b"TE", b"trailers")]
    return []


def _forwarded(head: RequestHead, rules: Rules, origin: Origin) -> list[Header]:
    if origin.trust is not None:
        headers = by_proxy(head, origin)
    else:
        address = origin.address
        way = head.values(b"x-forwarded-for") if address and origin.extends else []
        headers = [
            (b"X-Forwarded-For", b", ".join([*way, address])),
            (b"X-Forwarded-Host", head.host),
            (b"X-Forwarded-Proto", origin.scheme),
            (b"X-Real-IP", address),
        ]
    if rules.names:
        headers = [header for header in headers if header[0].lower() not in rules.names]
    return [header for header in headers if header[1]]


def _assemble(first: bytes, headers: list[Header]) -> bytes:
    return b"\r\n".join([first, *map(b": ".join, headers), b"", b""])
