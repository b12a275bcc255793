# -*- test-case-name: tests.client.inspection.test_curl -*-
"""A request as a line for the shell, that has curl send it again."""

import re
import shlex
from base64 import b64encode
from collections.abc import Iterator
from typing import Final

from tunnelsvc.client.inspection.facts import headers_of, text_of, url_of
from tunnelsvc.client.inspection.request import OF_THE_CONNECTION
from tunnelsvc.wire.httpexchange import Exchange

LEFT_OUT: Final = OF_THE_CONNECTION | {
    "host",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
}
"""What curl says by itself, or the tunnel."""
_CURLS_OWN: Final = ("Accept", "User-Agent")
"""What curl sends unless it is told not to."""
_OBEYED: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Controls, but line ends, which are harmless in quotes: ^C and what ends a bracketed paste aren't,
nor is a tab, which completes names. What comes behind them would be typed, not quoted."""


def curl_of(exchange: Exchange, *, reveal: bool) -> str:
    """Write the line.

    Args:
        exchange: whose request it is.
        reveal: whether secrets are in it.
    """
    request = exchange.request
    body = bytes(request.body)
    words = ["curl", *_method(text_of(exchange.method), has_body=bool(body)), "--path-as-is", "-g"]
    headers = [
        (name, value)
        for name, value in headers_of(request, reveal=reveal)
        if name.lower() not in LEFT_OUT
    ]
    for name, value in headers:
        words += ["-H", f"{name}: {value}" if value else f"{name};"]
    words += _not_said(headers, has_body=bool(body))
    if any(name.lower() == "accept-encoding" for name, _ in headers):
        words.append("--compressed")
    before, after = _body(body)
    words += [*after, *_url(url_of(exchange))]
    line = before + " ".join(map(_quoted, words))
    if len(body) < request.body_bytes:
        line = f"# only the first {len(body)} of {request.body_bytes} bytes were kept\n{line}"
    return line + "\n"


def _url(url: str) -> list[str]:
    """Give the words for the URL, which may be whatever a CONNECT asks for: an option, even."""
    return ["--url", url] if url.startswith("-") else [url]


def _quoted(word: str) -> str:
    """Quote for the shell; by escapes, where a terminal that it is pasted into would obey."""
    if not _OBEYED.search(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    octal = _OBEYED.sub(lambda found: "".join(f"\\{b:03o}" for b in found[0].encode()), escaped)
    return f"$'{octal}'"


def _method(method: str, *, has_body: bool) -> list[str]:
    if method == "HEAD":
        return ["--head"]
    usual = "POST" if has_body else "GET"
    return [] if method == usual else ["-X", method]


def _not_said(headers: list[tuple[str, str]], *, has_body: bool) -> Iterator[str]:
    """Give the words that keep curl from saying what the user didn't."""
    said = {name.lower() for name, _ in headers}
    for name in (*_CURLS_OWN, *(["Content-Type"] if has_body else [])):
        if name.lower() not in said:
            yield from ("-H", f"{name}:")


def _body(body: bytes) -> tuple[str, list[str]]:
    """Give what goes before the line, and the words for it."""
    if not body:
        return "", []
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if not _OBEYED.search(text):
        return "", ["--data-raw", text]  # which doesn't take a leading @ for a file
    encoded = b64encode(body).decode("ascii")
    return f"printf %s {shlex.quote(encoded)} | base64 -d | ", ["--data-binary", "@-"]
