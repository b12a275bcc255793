# -*- test-case-name: tests.admin.test_browsers -*-
"""Tell people's browsers from programs: those get a form to log in by, these a Basic challenge.

By what browsers say of themselves (W3C Fetch Metadata), but that only to hosts they hold for
secure: https, or this machine. Elsewhere it shows by what they want, or that it was a page of ours
that asked (``Referer``, which pages have them send to their own site only).
"""

from typing import Final

from twisted.web.server import Request

_METADATA: Final = (b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-site")
_SAID_BY_PAGES: Final = (b"referer", b"origin", b"x-csrf-token")
_PAGE: Final = b"text/html"
_STREAM: Final = b"text/event-stream"


def is_navigation(request: Request) -> bool:
    """Tell whether a browser wants a page, to show it."""
    if not wants_page(request):
        return False
    mode = request.getHeader(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate"
    return not any(request.getHeader(name) is not None for name in _METADATA)


def is_browser(request: Request) -> bool:
    """Tell whether a browser asks, which would ask a person for the password in a window."""
    if any(request.getHeader(name) is not None for name in (*_METADATA, *_SAID_BY_PAGES)):
        return True
    return wants_page(request) or _STREAM in _accepted(request)


def wants_page(request: Request) -> bool:
    """Tell whether a page is what is asked for, by name and not by ``*/*``."""
    return _PAGE in _accepted(request)


def _accepted(request: Request) -> bytes:
    return (request.getHeader(b"accept") or b"").lower()
