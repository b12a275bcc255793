# -*- test-case-name: tests.client.inspection.test_request -*-
"""A request that is to be sent again, perhaps edited: its bytes."""

import re
from collections.abc import Sequence
from typing import Final

from attrs import field, frozen

from tunnelsvc.client.inspection.facts import TextHeader, path_of, text_of
from tunnelsvc.errors import TunnelError
from tunnelsvc.units import KiB, MiB
from tunnelsvc.wire.httpexchange import WEBSOCKET, Exchange
from tunnelsvc.wire.httphead import MAX_HEADERS, Header
from tunnelsvc.wire.httpheader import NOT_TO_BE_SET

MOST_HEAD_BYTES: Final = 60 * KiB
"""Of what is edited; local services take less, most of them."""
MOST_BODY_BYTES: Final = 1 * MiB

OF_THE_CONNECTION: Final = frozenset(
    {*(name.decode() for name in NOT_TO_BE_SET - {b"host"}), "expect"}
)
"""Headers that are about the connection that a request came on (RFC 9110 section 7.6.1), or about
how its body was sent: it goes on one of its own, in one piece."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET: Final = re.compile(r"[\x21-\x7e\x80-\U0010ffff]+")
_NO_VALUE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
"""Methods that say nothing of a body if there is none (RFC 9110 section 8.6)."""


class CannotReplayError(TunnelError):
    """A request can't be sent, for the reason in the message."""


@frozen
class Edits:
    """What is to be different; None: it stays.

    Attributes:
        method: GET, for example.
        path: with the query.
        headers: all of them.
        body: as it is sent: what `headers` says of its coding has to fit.
    """

    method: str | None = None
    path: str | None = None
    headers: Sequence[TextHeader] | None = None
    body: bytes | None = field(default=None, repr=False)


def request_of(exchange: Exchange, edits: Edits) -> bytes:
    """Write the request of an exchange again.

    Raises:
        CannotReplayError: it can't be done, or what is edited makes no request.
    """
    if exchange.kind == WEBSOCKET or exchange.upgraded or not exchange.method:
        raise CannotReplayError("only HTTP requests can be sent again, no other protocols")
    method = text_of(exchange.method) if edits.method is None else edits.method
    path = path_of(exchange) if edits.path is None else edits.path
    body = _body(exchange, edits)
    headers = _headers(exchange, edits)
    _check(method, path)
    if body or method not in _BODILESS:
        headers.append((b"Content-Length", b"%d" % len(body)))
    headers.append((b"Connection", b"close"))
    lines = [f"{method} {path} HTTP/1.1".encode(), *(b"%b: %b" % header for header in headers)]
    head = b"\r\n".join([*lines, b"", b""])
    if len(head) > MOST_HEAD_BYTES or len(headers) > MAX_HEADERS:
        raise CannotReplayError("the headers are too long")
    return head + body


def _check(method: str, path: str) -> None:
    if not _TOKEN.fullmatch(method) or method == "CONNECT":
        raise CannotReplayError(f"{method[:40]!r} is no method that can be sent")
    if not _TARGET.fullmatch(path) or not (
        path.startswith("/") or (method, path) == ("OPTIONS", "*")
    ):
        raise CannotReplayError("the path must begin with a slash, and can't have blanks in it")


def _body(exchange: Exchange, edits: Edits) -> bytes:
    if edits.body is not None:
        if len(edits.body) > MOST_BODY_BYTES:
            raise CannotReplayError(f"the body can't be longer than {MOST_BODY_BYTES} bytes")
        return edits.body
    request = exchange.request
    if len(request.body) < request.body_bytes:
        raise CannotReplayError(
            f"only the first {len(request.body)} of {request.body_bytes} bytes of the body were"
            " kept; give it another body"
        )
    if not request.complete:
        raise CannotReplayError("the request isn't complete")
    return bytes(request.body)


def _headers(exchange: Exchange, edits: Edits) -> list[Header]:
    if edits.headers is None:
        headers = list(exchange.request.headers)
    else:
        headers = [_header(name, value) for name, value in edits.headers]
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in text_of(value).split(",")
    }
    hidden = OF_THE_CONNECTION | (named - {"host"})
    kept = [header for header in headers if text_of(header[0]).lower() not in hidden]
    hosts = sum(name.lower() == b"host" for name, _ in kept)
    if hosts != 1:
        raise CannotReplayError("there must be one Host header")
    return kept


def _header(name: str, value: str) -> Header:
    if not _TOKEN.fullmatch(name):
        raise CannotReplayError(f"{name[:40]!r} is no name of a header")
    value = value.strip(" \t")
    if _NO_VALUE.search(value):
        raise CannotReplayError(f"the value of {name} has a line end or another control character")
    return name.encode(), value.encode()
