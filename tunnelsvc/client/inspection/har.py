# -*- test-case-name: tests.client.inspection.test_har -*-
"""Exchanges as an HTTP Archive 1.2, which the tools of browsers read.

http://www.softwareishard.com/blog/har-12-spec/ has the format. Sizes and times that aren't known
are -1. What isn't of it begins with an underscore: ``_webSocketCounts`` has the numbers of
messages; ``_webSocketMessages``, which browsers know, has what was said.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tunnelsvc import __version__
from tunnelsvc.client.inspection.content import Content, content_of
from tunnelsvc.client.inspection.facts import (
    MASK,
    TextHeader,
    headers_of,
    milliseconds,
    text_of,
    url_of,
    user_of,
    value_of,
)
from tunnelsvc.units import MiB
from tunnelsvc.wire.httpexchange import WEBSOCKET, Exchange, Half

UNKNOWN: Final = -1
MOST_PARAMETERS: Final = 1_000
"""Of a query or a form."""

MOST_CONTENT_BYTES: Final = 16 * MiB
"""Of bodies in one archive, unpacked; the others are left out of it."""
LEFT_OUT: Final = "left out: the archive would be too long"

Object = dict[str, Any]


def archive_text(exchanges: Iterable[Exchange], *, reveal: bool) -> Iterator[str]:
    """Write the archive, entry by entry: who takes it may do something else in between.

    Args:
        exchanges: oldest first.
        reveal: whether secrets are in it.
    """
    creator = {"name": "tunnelsvc", "version": __version__}
    log = json.dumps({"version": "1.2", "creator": creator, "pages": []})
    yield f'{{"log": {log[:-1]}, "entries": ['
    content_bytes, comma = 0, ""
    for each in exchanges:
        if not each.method:
            continue
        entry = _entry(each, reveal=reveal)
        for content in entry["request"].get("postData"), entry["response"]["content"]:
            content_bytes += len((content or {}).get("text", ""))
            if content_bytes > MOST_CONTENT_BYTES and content is not None and "text" in content:
                content |= {"text": "", "comment": LEFT_OUT}
        yield comma + json.dumps(entry)
        comma = ",\n"
    yield "]}}\n"


def _entry(exchange: Exchange, *, reveal: bool) -> Object:
    timings = _timings(exchange)
    entry: Object = {
        "startedDateTime": datetime.fromtimestamp(exchange.began_at, UTC).isoformat(
            timespec="milliseconds"
        ),
        "time": sum(value for value in timings.values() if value != UNKNOWN),
        "request": _request(exchange, reveal=reveal),
        "response": _response(exchange, reveal=reveal),
        "cache": {},
        "timings": timings,
        "comment": f"proxy {exchange.proxy}, user {user_of(exchange)}",
    }
    if exchange.error:
        entry["_error"] = exchange.error
    if exchange.kind == WEBSOCKET:
        entry["_resourceType"] = "websocket"
        entry["_webSocketCounts"] = {"sent": exchange.sent, "received": exchange.received}
    return entry


def _timings(exchange: Exchange) -> dict[str, float]:
    """Say how long it took to send, to wait, and to receive; none of them may be left out."""
    request, response = exchange.request, exchange.response
    # A server may answer before it is asked for all.
    asked = request.ended_at if request.ended_at is not None else exchange.ended_at
    answered = response.began_at if response.began_at is not None else exchange.ended_at
    ended = response.ended_at if response.ended_at is not None else exchange.ended_at
    return {
        "blocked": UNKNOWN,
        "dns": UNKNOWN,
        "connect": UNKNOWN,
        "ssl": UNKNOWN,
        "send": milliseconds(exchange.began_at, asked) or 0,
        "wait": milliseconds(asked, answered) or 0,
        "receive": milliseconds(answered, ended) or 0,
    }


def _request(exchange: Exchange, *, reveal: bool) -> Object:
    half = exchange.request
    url = url_of(exchange)
    headers = headers_of(half, reveal=reveal)
    shape: Object = {
        "method": text_of(exchange.method),
        "url": url,
        "httpVersion": f"HTTP/1.{half.minor}",
        "cookies": _cookies(headers),
        "headers": _pairs(headers),
        "queryString": _pairs(_query(url)),
        "headersSize": half.head_bytes,
        "bodySize": half.wire_bytes - half.head_bytes if not exchange.upgraded else 0,
    }
    if half.body_bytes:
        shape["postData"] = _post_data(half)
    return shape


def _query(url: str) -> list[TextHeader]:
    try:
        query = urlsplit(url).query
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        return []


def _post_data(half: Half) -> Object:
    content = content_of(half)
    shape: Object = {"mimeType": _media_type(half, content), "text": content.text or ""}
    if content.text is None:
        # The format has no other place for it.
        shape |= {"text": b64encode(content.data).decode("ascii"), "_encoding": "base64"}
    elif content.media_type == "application/x-www-form-urlencoded":
        shape["params"] = _pairs(_query(f"?{content.text}"))
    if content.truncated:
        shape["comment"] = f"the first {len(half.body)} of {half.body_bytes} bytes"
    return shape


def _response(exchange: Exchange, *, reveal: bool) -> Object:
    half = exchange.response
    headers = headers_of(half, reveal=reveal)
    begun = half.began_at is not None
    location = next((value for name, value in headers if name.lower() == "location"), "")
    return {
        "status": exchange.status,
        "statusText": text_of(exchange.reason),
        "httpVersion": f"HTTP/1.{half.minor}",
        "cookies": _set_cookies(headers),
        "headers": _pairs(headers),
        "content": _content(half),
        "redirectURL": location,
        "headersSize": half.head_bytes if begun else UNKNOWN,
        "bodySize": _body_size(exchange, half) if begun else UNKNOWN,
    }


def _body_size(exchange: Exchange, half: Half) -> int:
    return 0 if exchange.upgraded else half.body_bytes


def _content(half: Half) -> Object:
    content = content_of(half)
    coded = bool(content.coding)
    shape: Object = {
        "size": len(content.data) if coded else half.body_bytes,
        "mimeType": _media_type(half, content) or "x-unknown",
    }
    if coded and not content.truncated:
        shape["compression"] = len(content.data) - half.body_bytes
    if content.data:
        if content.text is not None:
            shape["text"] = content.text
        else:
            shape |= {"text": b64encode(content.data).decode("ascii"), "encoding": "base64"}
    if content.truncated:
        shape["comment"] = f"the first {len(half.body)} of {half.body_bytes} bytes"
    return shape


def _media_type(half: Half, content: Content) -> str:
    """Give it with its parameters: no form can be read without its boundary."""
    return value_of(half.headers, b"content-type") or content.media_type


def _pairs(pairs: Iterable[TextHeader]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in pairs]


def _cookies(headers: Iterable[TextHeader]) -> list[Object]:
    found = []
    for name, value in headers:
        if name.lower() == "cookie" and value != MASK:
            for each in value.split(";"):
                key, _, content = each.strip().partition("=")
                found.append({"name": key, "value": content})
    return found


def _set_cookies(headers: Iterable[TextHeader]) -> list[Object]:
    return [
        _set_cookie(value)
        for name, value in headers
        if name.lower() == "set-cookie" and value != MASK
    ]


def _set_cookie(value: str) -> Object:
    first, *attributes = value.split(";")
    key, _, content = first.strip().partition("=")
    shape: Object = {"name": key, "value": content}
    for each in attributes:
        name, _, setting = each.strip().partition("=")
        match name.lower():
            case "path" | "domain":
                shape[name.lower()] = setting
            case "httponly":
                shape["httpOnly"] = True
            case "secure":
                shape["secure"] = True
            case "expires":
                shape |= _expires(setting)
    return shape


def _expires(text: str) -> Object:
    try:
        return {"expires": parsedate_to_datetime(text).isoformat()}
    except (ValueError, OverflowError):
        return {}
