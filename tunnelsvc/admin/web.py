# -*- test-case-name: tests.admin.test_web -*-
"""What all answers of the dashboard have in common."""

import json
from abc import ABC, abstractmethod
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from tunnelsvc.addresses import is_loopback
from tunnelsvc.admin.identity import NOBODY
from tunnelsvc.units import KiB, MiB

SERVER_NAME: Final = b"tunnelsvc"
HEADERS: Final = {
    b"Content-Security-Policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    b"X-Content-Type-Options": b"nosniff",
    b"X-Frame-Options": b"DENY",
    # With "no-referrer" browsers say "Origin: null" of our own form, and nothing by which a page of
    # ours can be told from a program where they don't send Sec-Fetch-Site: http to another machine.
    b"Referrer-Policy": b"same-origin",
    b"Permissions-Policy": (
        b"accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
        b"microphone=(), midi=(), payment=(), serial=(), usb=()"
    ),
    b"Cross-Origin-Resource-Policy": b"same-origin",
    b"Cache-Control": b"no-store",
}
"""On every answer, whoever gives it. Static files replace the last.

There is no Strict-Transport-Security: it would hold for all ports of the host, those of users'
sites, too, and make a certificate of one's own impossible to accept.
"""
OPENER: Final = (b"Cross-Origin-Opener-Policy", b"same-origin")
"""Where browsers heed it; elsewhere they write an error into their console."""
TOO_MANY_REQUESTS: Final = 429
"""RFC 6585 section 4; twisted.web has no name for it."""
MOST_BODY_BYTES: Final = 16 * KiB
MOST_DROPPED_BYTES: Final = 4 * MiB
"""What is read of a body that is too long, so that who sends it gets to see the answer."""


class DashboardRequest(Request):
    """A request whose answer has the security headers, whatever becomes of it.

    Attributes:
        identity: who makes it, once a guard has let it pass.
        too_long: whether the body is longer than may be, and so dropped.
    """

    most_body_bytes = MOST_BODY_BYTES
    most_dropped_bytes = MOST_DROPPED_BYTES

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.identity = NOBODY
        self.too_long = False
        self._pieces: list[bytes] = []
        self._received = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - twisted.web's name
        """Keep a piece of the body; `Request` would keep it all, however large."""
        self._received += len(data)
        if self._received <= self.most_body_bytes:
            self._pieces.append(data)
            return
        self.too_long = True
        self._pieces.clear()
        if self._received > self.most_dropped_bytes and self.channel is not None:
            self.channel.loseConnection()

    def body(self) -> bytes:
        """Return what came with the request."""
        return b"".join(self._pieces)

    def process(self) -> None:
        """Answer."""
        for name, value in HEADERS.items():
            self.setHeader(name, value)
        if is_secure(self) or is_loopback(asked_host(self)):
            self.setHeader(*OPENER)
        super().process()


def is_secure(request: Request) -> bool:
    """Tell whether a browser asks by https, of us or of a proxy before us that says so.

    Who lies gets a cookie that the browser doesn't keep; nobody can have others lie.
    """
    return request.isSecure() or request.getHeader(b"x-forwarded-proto") == b"https"


def asked_host(request: Request) -> str:
    """Give name or address by which somebody asks for us; see `host_of`."""
    return host_of((request.getHeader(b"host") or b"").decode("latin-1"))


def host_of(host: str) -> str:
    """Give name or address of a Host header, without the port; empty if it can't be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def answer(request: Request, body: bytes, content_type: str, code: int = http.OK) -> bytes:
    """Fill in a response, and return the body that `Resource.render` has to return."""
    request.setResponseCode(code)
    request.setHeader(b"Server", SERVER_NAME)
    request.setHeader(b"Content-Type", content_type.encode("ascii"))
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return b"" if request.method == b"HEAD" else body


def answer_json(request: Request, value: object, code: int = http.OK) -> bytes:
    """Answer with JSON; see `answer`."""
    body = json.dumps(value, separators=(",", ":")) + "\n"
    return answer(request, body.encode("ascii"), "application/json", code)


def answer_text(request: Request, text: str, code: int = http.OK) -> bytes:
    """Answer with plain text; see `answer`."""
    return answer(request, text.encode("utf-8"), "text/plain; charset=utf-8", code)


def refuse_method(request: Request, *allowed: bytes) -> bytes:
    """Answer that the method is none that the resource has."""
    request.setHeader(b"Allow", b", ".join(allowed))
    return answer_text(request, "Method Not Allowed\n", http.NOT_ALLOWED)


class ReadOnly(Resource, ABC):
    """A resource without children that can only be read."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Answer GET and HEAD of exactly this path; see `read`."""
        if request.postpath:
            return answer_text(request, "Not Found\n", http.NOT_FOUND)
        if request.method not in {b"GET", b"HEAD"}:
            return refuse_method(request, b"GET", b"HEAD")
        return self.read(request)

    @abstractmethod
    def read(self, request: Request) -> bytes:
        """Answer a GET or HEAD."""


class NotFound(Resource):
    """Answers for every path that there isn't."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Answer."""
        return answer_text(request, "Not Found\n", http.NOT_FOUND)
