# -*- test-case-name: tests.admin.test_pages -*-
"""The page and its files, read once at start."""

from hashlib import sha256
from importlib import resources
from typing import Final

from attrs import frozen
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from tunnelsvc.admin.web import NotFound, ReadOnly, answer, answer_text

FILES: Final = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Everything there is, and its media type: what the machine's mime.types says doesn't matter."""


@frozen
class _File:
    body: bytes
    content_type: str
    etag: bytes


class StaticFile(ReadOnly):
    """One file. Browsers keep it and ask whether it is still the same, so that an update shows."""

    def __init__(self, file: _File) -> None:
        super().__init__()
        self._file = file

    def read(self, request: Request) -> bytes:
        """Answer with the file, or that the browser has it."""
        request.setHeader(b"Cache-Control", b"no-cache")
        if request.setETag(self._file.etag) is http.CACHED:
            return b""
        return answer(request, self._file.body, self._file.content_type)


class StaticFiles(Resource):
    """``/static/``: the page itself, and beside it what it needs."""

    def __init__(self) -> None:
        super().__init__()
        folder = resources.files("tunnelsvc.admin") / "static"
        for name, content_type in FILES.items():
            body = (folder / name).read_bytes()
            etag = b'"%s"' % sha256(body).hexdigest()[:16].encode()
            self.putChild(name.encode(), StaticFile(_File(body, content_type, etag)))
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
