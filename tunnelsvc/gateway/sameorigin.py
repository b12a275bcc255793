# -*- test-case-name: tests.gateway.test_sameorigin -*-
"""What is of one origin for the user stays so behind ``host_header_rewrite``, and nothing else.

Services compare the host in Origin, or in Referer, with Host: Tornado and so Jupyter before they
accept a WebSocket, Django before it accepts a form. With another Host no comparison would hold. So
whoever came from the host that he asks for comes from the new one. Somebody else's page that is on
a host of that very name (``localhost``) must not profit from it.
"""

import re
from collections.abc import Iterator
from typing import Final

from tunnelsvc.wire.httphead import Header

_URL: Final = re.compile(rb"(?i:(https?://))([^/?#]*)(.*)", re.DOTALL)
_OF_PAGE: Final = frozenset({b"origin", b"referer"})
_OPAQUE: Final = b"null"
"""The origin that equals none (RFC 6454 section 7)."""


def behind_new_host(headers: list[Header], asked: bytes, host: bytes) -> Iterator[Header]:
    """Give the headers of a request with Origin and Referer as they fit to its new Host.

    Args:
        headers: of the request.
        asked: the host that the user asked for, with the port if he named one.
        host: the one that the service sees.
    """
    for name, value in headers:
        lowered = name.lower()
        if lowered not in _OF_PAGE:
            yield name, value
        elif (moved := _moved(value, asked, host)) is not None:
            yield name, moved
        elif lowered == b"origin":
            yield name, _OPAQUE


def _moved(url: bytes, asked: bytes, host: bytes) -> bytes | None:
    """Give a URL as the service is to see it; None: it must not."""
    found = _URL.fullmatch(url)
    if found is None:
        return url
    scheme, authority, rest = found.groups()
    if authority.lower() == asked.lower():
        return scheme + host + rest
    return None if authority.lower() == host.lower() else url
