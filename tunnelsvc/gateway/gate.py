# -*- test-case-name: tests.gateway.test_gate -*-
"""What is asked of a request before it is routed: whether it came the right way, as to TLS."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from attrs import frozen

from tunnelsvc.addresses import bracketed
from tunnelsvc.gateway.forwarded import Origin
from tunnelsvc.gateway.router import normalise
from tunnelsvc.wire.httphead import RequestHead

ACME_PATH: Final = re.compile(rb"/\.well-known/acme-challenge/[A-Za-z0-9_-]+")
"""Asked for by http to issue a certificate (RFC 8555 section 8.3), so it must not need one."""

HTTPS_PORT: Final = 443
"""Which URLs leave out."""

_SAME_METHOD: Final = frozenset({b"GET", b"HEAD"})
"""Whatever a program knows of redirects, it repeats these as they are."""

# Octets that browsers send and a URI can't have (RFC 3986 section 2).
_UNFIT: Final = re.compile(rb"[\x80-\xff]")


@frozen
class Turned:
    """How a request is answered instead of being routed.

    Attributes:
        status: of the response.
        location: where to ask instead; empty: nowhere.
    """

    status: int
    location: bytes = b""


Gate = Callable[[RequestHead, Origin], Turned | None]
"""Looks at a request and where it is from; None: it may go on."""


def to_https(covers: Callable[[str], bool], port: int) -> Gate:
    """Make a gate that sends users to https, but for what issues certificates.

    Those who came by https to a trusted proxy before us are where they should be.

    Args:
        covers: tells whether a host is served by https.
        port: where.
    """
    suffix = b"" if port == HTTPS_PORT else b":%d" % port

    def gate(head: RequestHead, origin: Origin) -> Turned | None:
        path = head.path
        if path[:1] != b"/" or ACME_PATH.fullmatch(path):  # ``*`` and hosts to connect to
            return None
        name = normalise(head.host.decode())
        if not covers(name) or origin.scheme_of(head) == b"https":
            return None
        path = _UNFIT.sub(lambda octet: b"%%%02X" % octet[0][0], path)
        location = b"https://%b%b%b" % (bracketed(name).encode(), suffix, path)
        if head.method in _SAME_METHOD:
            return Turned(HTTPStatus.MOVED_PERMANENTLY, location)
        return Turned(HTTPStatus.PERMANENT_REDIRECT, location)

    return gate


def only_for(covers: Callable[[str], bool]) -> Gate:
    """Make a gate for connections that were made for some names: others have to be asked anew.

    Without it, who may connect to one site could ask for all others under its name (RFC 9110
    sections 7.4 and 15.5.20).

    Args:
        covers: tells whether a host is one of those.
    """

    def gate(head: RequestHead, _: Origin) -> Turned | None:
        if not head.host or covers(normalise(head.host.decode())):
            return None
        return Turned(HTTPStatus.MISDIRECTED_REQUEST)

    return gate
