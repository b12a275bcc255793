# -*- test-case-name: tests.admin.test_clientrequests -*-
"""Exchanges as JSON: rows of a list, and all that is known of one."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from tunnelsvc.client.inspection import Exchange, Inspector
from tunnelsvc.client.inspection.content import BINARY, TEXT, content_of
from tunnelsvc.client.inspection.facts import (
    headers_of,
    milliseconds,
    path_of,
    text_of,
    url_of,
    user_of,
)
from tunnelsvc.wire.httpexchange import WEBSOCKET, Half

Shape = dict[str, Any]


def row(exchange: Exchange) -> Shape:
    """Make what a list shows of an exchange."""
    return {
        "id": exchange.id,
        "at": exchange.began_at,
        "proxy": exchange.proxy,
        "method": text_of(exchange.method),
        "url": url_of(exchange),
        "path": path_of(exchange),
        "status": exchange.status,
        "ms": milliseconds(exchange.began_at, exchange.ended_at),
        "in": exchange.request.wire_bytes,
        "out": exchange.response.wire_bytes,
        "kind": exchange.kind,
        "user": user_of(exchange),
        "replay_of": exchange.replay_of or None,
        "error": exchange.error,
    }


class Rows:
    """The rows of all exchanges; those that can't change any more are made once."""

    def __init__(self) -> None:
        self._done: dict[int, Shape] = {}

    def read(self, inspector: Inspector | None) -> Mapping[int, Shape]:
        """Give the rows by number, newest first."""
        before, self._done = self._done, {}
        rows: dict[int, Shape] = {}
        for exchange in inspector.newest_first() if inspector is not None else ():
            rows[exchange.id] = made = before.get(exchange.id) or row(exchange)
            if exchange.done:
                self._done[exchange.id] = made
        return rows


def whole(exchange: Exchange, *, reveal: bool) -> Shape:
    """Make all that is known of an exchange.

    Args:
        exchange: which.
        reveal: whether secrets are in it.
    """
    shape = row(exchange) | {
        "reason": text_of(exchange.reason),
        "done": exchange.done,
        "timings": _timings(exchange),
        "request": _half(exchange.request, reveal=reveal),
        "response": _half(exchange.response, reveal=reveal),
    }
    if exchange.kind == WEBSOCKET:
        shape["websocket"] = {"sent": exchange.sent, "received": exchange.received}
    return shape


def _timings(exchange: Exchange) -> Shape:
    """Say how long it took until the service was asked, answered, and was done with that."""
    request, response = exchange.request, exchange.response
    return {
        "send": milliseconds(exchange.began_at, request.ended_at),
        "wait": milliseconds(request.ended_at, response.began_at),
        "receive": milliseconds(response.began_at, response.ended_at),
    }


def _half(half: Half, *, reveal: bool) -> Shape:
    return {
        "headers": [list(header) for header in headers_of(half, reveal=reveal)],
        "body": _body(half),
    }


def _body(half: Half) -> Shape:
    content = content_of(half)
    shape: Shape = {
        "size": half.body_bytes,
        "kept": len(half.body),
        "type": content.media_type,
        "kind": content.kind if half.body else TEXT,
        "truncated": content.truncated,
        "encoding": content.coding,
    }
    if content.text is None:
        # What can't be unpacked, or isn't to be looked at, is for a download.
        return shape | {"base64": b64encode(content.data).decode("ascii")}
    shape["text"] = content.text
    pretty = content.pretty()
    return shape if pretty is None else shape | {"pretty": pretty}


def download_type(half: Half) -> tuple[bytes, str]:
    """Give a body to be looked at as it is, and a media type by which no script can be in it."""
    content = content_of(half)
    if content.text is not None:
        # UTF-7 has halves of characters.
        return content.text.encode("utf-8", "replace"), "text/plain; charset=utf-8"
    kind = content.media_type if content.kind != BINARY else "application/octet-stream"
    return content.data, kind
