# -*- test-case-name: tests.admin.test_web -*-
"""What all answers of the dashboard have in common."""

import json
from abc import ABC, abstractmethod
from typing import Any, Final

from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

SERVER_NAME: Final = b"tunnelsvc"
HEADERS: Final = {
    b"Content-Security-Policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"X-Content-Type-Options": b"nosniff",
    b"X-Frame-Options": b"DENY",
    b"Referrer-Policy": b"no-referrer",
    b"Cross-Origin-Opener-Policy": b"same-origin",
    b"Cross-Origin-Resource-Policy": b"same-origin",
    b"Cache-Control": b"no-store",
}
"""On every answer, whoever gives it. Static files replace the last."""
IDLE_SECONDS: Final = 60.0
"""How long a connection may be silent; the page asks every few seconds."""


class DashboardRequest(Request):
    """A request whose answer has the security headers, whatever becomes of it."""

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - twisted.web's name
        """Drop the body: nothing here takes one, and `Request` would keep it, however large."""

    def process(self) -> None:
        """Answer."""
        for name, value in HEADERS.items():
            self.setHeader(name, value)
        super().process()


class DashboardSite(Site):
    """A site that keeps no access log: the page alone would write a line a second."""

    noisy = False

    def __init__(self, resource: IResource, reactor: Any) -> None:
        super().__init__(
            resource, requestFactory=DashboardRequest, timeout=IDLE_SECONDS, reactor=reactor
        )

    def log(self, request: http.Request) -> None:
        """See the class."""


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
