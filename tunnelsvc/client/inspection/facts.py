# -*- test-case-name: tests.client.inspection.test_facts -*-
"""What there is to say of an exchange, and what isn't said to everybody who looks over a shoulder.

What came as bytes becomes text here: UTF-8 as browsers send it, else each byte a character.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from tunnelsvc.wire.httpexchange import Exchange, Half
from tunnelsvc.wire.httphead import Header, values_of

MASK: Final = "••••••"
"""Instead of a secret."""

_SECRET: Final = re.compile(
    r"auth|cookie|token|secret|passw|session|credential|signature|(?:api|access|subscription)[-_]?key"
)
"""Of names of headers; as with `tunnelsvc.config.report.is_secret`, rather too many."""
_CHALLENGES: Final = frozenset({"www-authenticate", "proxy-authenticate", "authentication-info"})
_SCHEMES: Final = ("http", "https")
_ABSOLUTE: Final = re.compile(r"(?i)https?://[^/?#]+")

TextHeader = tuple[str, str]


def text_of(data: bytes) -> str:
    """Make text of what a head has."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def is_secret(name: str) -> bool:
    """Tell whether the value of a header is for its owner only."""
    name = name.lower()
    return bool(_SECRET.search(name)) and name not in _CHALLENGES


def headers_of(half: Half, *, reveal: bool) -> list[TextHeader]:
    """Give the headers of a message as text.

    Args:
        half: the message.
        reveal: whether secrets are shown.
    """
    return [_shown(text_of(name), value, reveal=reveal) for name, value in half.headers]


def _shown(name: str, value: bytes, *, reveal: bool) -> TextHeader:
    return name, text_of(value) if reveal or not value or not is_secret(name) else MASK


def value_of(headers: Sequence[Header], name: bytes) -> str:
    """Give the value of the first header of a name in lower case; empty: there is none."""
    return text_of(next(iter(values_of(headers, name)), b""))


def url_of(exchange: Exchange) -> str:
    """Say what the user asked for, as he did."""
    target = text_of(exchange.target)
    if not target or exchange.method == b"CONNECT" or _ABSOLUTE.match(target):
        return target
    headers = exchange.request.headers
    scheme = value_of(headers, b"x-forwarded-proto").lower()
    host = value_of(headers, b"x-forwarded-host") or value_of(headers, b"host")
    path = target if target.startswith("/") else ""
    return f"{scheme if scheme in _SCHEMES else 'http'}://{host}{path}"


def path_of(exchange: Exchange) -> str:
    """Give the path of what was asked for, with its query."""
    target = text_of(exchange.target)
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return target
    path = target[absolute.end() :]
    return path if path.startswith("/") else f"/{path}"


def user_of(exchange: Exchange) -> str:
    """Say who has asked: by what the server tells of each request, else of the connection."""
    headers = exchange.request.headers
    forwarded = value_of(headers, b"x-forwarded-for").rpartition(",")[2].strip()
    return value_of(headers, b"x-real-ip") or forwarded or exchange.start.src_addr


def milliseconds(begin: float | None, end: float | None) -> float | None:
    """Tell how long it is from one time to another; None: one of them isn't known yet."""
    if begin is None or end is None:
        return None
    return round(max(0.0, end - begin) * 1000, 3)


def unmasked(headers: Iterable[TextHeader], half: Half) -> list[TextHeader]:
    """Put secrets back where a mask stands for them: the first of a name for the first mask."""
    secrets: dict[str, list[str]] = {}
    for name, value in headers_of(half, reveal=True):
        secrets.setdefault(name.lower(), []).append(value)
    result = []
    for name, value in headers:
        known = secrets.get(name.lower(), [])
        own = known.pop(0) if known else value
        result.append((name, own if value == MASK else value))
    return result
