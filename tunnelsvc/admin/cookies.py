# -*- test-case-name: tests.admin.test_gate -*-
"""The cookie by which a browser shows its session, and the token against other sites' pages."""

from hmac import compare_digest
from typing import Final

from twisted.web.server import Request

from tunnelsvc.admin.sessions import parse
from tunnelsvc.admin.web import is_secure

CSRF_HEADER: Final = b"x-csrf-token"


def cookie_name(request: Request, site: str) -> bytes:
    """Name the cookie of a site: all ports of a host share what they have.

    Over TLS so that only this host over TLS can have set it (RFC 6265bis section 4.1.3.2).
    """
    name = f"tunnelsvc_{site}_{getattr(request.getHost(), 'port', 0)}".encode()
    return b"__Host-" + name if is_secure(request) else name


def cookie_of(request: Request, site: str) -> bytes | None:
    """Read the session's cookie; None if there is none, or what is none of ours."""
    value: bytes | None = request.received_cookies.get(cookie_name(request, site))
    return value if value is not None and parse(value) is not None else None


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
