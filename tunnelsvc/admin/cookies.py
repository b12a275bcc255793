# -*- test-case-name: tests.admin.test_gate -*-
"""The cookie by which a browser shows its session, and the token against other sites' pages."""

from hmac import compare_digest
from typing import Final

from twisted.web.server import Request

from tunnelsvc.admin.sessions import parse
from tunnelsvc.admin.web import is_secure

CSRF_HEADER: Final = b"x-csrf-token"
CSRF_PARAMETER: Final = b"csrf"
"""Of a query that reads something. Without the cookie the token is worth nothing to who sees it."""


def cookie_name(request: Request, site: str) -> bytes:
    """Name the cookie of a site: all ports of a host share what they have.

    Over TLS so that only this host over TLS can have set it (RFC 6265bis section 4.1.3.2).
    """
    name = f"tunnelsvc_{site}_{getattr(request.getHost(), 'port', 0)}".encode()
    return b"__Host-" + name if is_secure(request) else name


def cookies_of(request: Request, site: str) -> list[bytes]:
    """Read the session's cookie, and whatever else has its name and form.

    There may be others: any site below a name can set cookies for the name itself (RFC 6265 section
    8.6), and they must not stand before the one that we have set.
    """
    name = cookie_name(request, site)
    headers = request.requestHeaders.getRawHeaders(b"cookie") or []
    pairs = (pair.partition(b"=") for header in headers for pair in header.split(b";"))
    return [
        value.strip()
        for its, _, value in pairs
        if its.strip() == name and parse(value.strip()) is not None
    ]


def set_cookie(request: Request, site: str, value: bytes, seconds: float) -> None:
    """Have the browser keep a cookie; or forget it, after 0 seconds."""
    parts = [
        b"%b=%b" % (cookie_name(request, site), value), b"Path=/", b"Max-Age=%d" % seconds,
        b"HttpOnly", b"SameSite=Strict",
    ]  # fmt: skip
    if is_secure(request):
        parts.append(b"Secure")
    request.cookies.append(b"; ".join(parts))


def is_token(csrf: str, given: bytes) -> bool:
    """Tell whether what a change comes with is the session's token."""
    return bool(csrf) and compare_digest(csrf.encode(), given)
