# -*- test-case-name: tests.gateway.test_negotiation -*-
"""Whether who asks wants an error as JSON rather than as a page (RFC 9110 section 12.5.1)."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tunnelsvc.units import KiB

MAX_ACCEPT_BYTES: Final = 1 * KiB
"""Of all Accept headers together. Browsers send 150; who sends more than this gets a page."""

_QUALITY: Final = re.compile(rb"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
"""RFC 9110 section 12.4.2."""

_NEVER: Final = (0.0, 0)
_JSON: Final = (b"*/*", b"application/*", b"application/json")
_PAGE: Final = (b"*/*", b"text/*", b"text/html")


def prefers_json(accept: Sequence[bytes]) -> bool:
    """Tell whether JSON is liked better than HTML, by these values of Accept.

    At the same quality the one counts that is named more closely: scripts ask for
    ``application/json, */*``. Who likes both alike, or neither, gets HTML.
    """
    joined = b",".join(accept)
    if b"application/" not in joined.lower() or len(joined) > MAX_ACCEPT_BYTES:
        return False
    ranges = dict(_ranges(joined.lower()))
    return _liking(ranges, _JSON) > _liking(ranges, _PAGE)


def _ranges(accept: bytes) -> Iterator[tuple[bytes, float]]:
    """Give media ranges and their qualities; malformed ones are left out."""
    for member in accept.split(b","):
        media, *parameters = (part.strip(b" \t") for part in member.split(b";"))
        given = [part[2:] for part in parameters if part.startswith(b"q=")] or [b"1"]
        if media and _QUALITY.fullmatch(given[0]):
            yield media, float(given[0])


def _liking(ranges: dict[bytes, float], kinds: Sequence[bytes]) -> tuple[float, int]:
    """Give the quality of a media type, by the closest range for it, and how close that is.

    Args:
        ranges: qualities.
        kinds: the ranges that have the type in them, the closest last.
    """
    for closeness, kind in reversed(list(enumerate(kinds, start=1))):
        if kind in ranges:
            quality = ranges[kind]
            return (quality, closeness) if quality else _NEVER
    return _NEVER
