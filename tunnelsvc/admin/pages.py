# -*- test-case-name: tests.admin.test_pages -*-
"""The page and its files, read once at start."""

from importlib import resources
from typing import Final

from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from tunnelsvc.admin.web import NotFound, ReadOnly, StaticFile, answer_text

FILES: Final = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Everything there is, and its media type: what the machine's mime.types says doesn't matter."""


class StaticFiles(Resource):
    """``/static/``: the page itself, and beside it what it needs."""

    def __init__(self) -> None:
        super().__init__()
        folder = resources.files("tunnelsvc.admin") / "static"
        for name, content_type in FILES.items():
            body = (folder / name).read_bytes()
            self.putChild(name.encode(), StaticFile(body, content_type))
        self.putChild(b"", self.children[b"index.html"])

    def getChild(self, path: bytes, request: Request) -> IResource:  # noqa: ARG002
        """Answer for names that there aren't."""
        return NotFound()

    def render(self, request: Request) -> bytes:
        """Send ``/static`` to ``/static/``, where the page's relative links work."""
        return redirect(request, b"static/")


class Redirect(ReadOnly):
    """Sends browsers elsewhere."""

    def __init__(self, target: bytes) -> None:
        """Send to a URL relative to the request's, so that it holds behind a prefix too."""
        super().__init__()
        self._target = target

    def read(self, request: Request) -> bytes:
        """Answer."""
        return redirect(request, self._target)


def redirect(request: Request, target: bytes) -> bytes:
    """Answer with the URL to ask instead."""
    request.setHeader(b"Location", target)
    return answer_text(request, "See " + target.decode() + "\n", http.MOVED_PERMANENTLY)
