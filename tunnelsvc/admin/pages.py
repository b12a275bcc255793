# -*- test-case-name: tests.admin.test_pages -*-
"""A site's page and its files, read once at start.

Each site is a page of ES modules, as they are, without a build step: ``static/server/`` or
``static/client/``, and ``static/shared/`` which both use.
"""

from collections.abc import Iterator
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

from attrs import frozen
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from tunnelsvc.admin.web import NotFound, ReadOnly, answer, answer_text

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Media types by suffix: what the machine's mime.types says doesn't matter. Files with other
suffixes aren't served."""
SHARED: Final = "shared"
"""The folder of what all pages use."""
INDEX: Final = "index.html"
"""A page itself: at ``/static/``, from where its links lead to the folders."""


@frozen
class StoredFile:
    """A file's bytes.

    Attributes:
        body: all of them.
        content_type: its media type.
        etag: changes when the bytes do.
    """

    body: bytes
    content_type: str
    etag: bytes

    @classmethod
    def read(cls, file: Traversable) -> "StoredFile":
        """Read a file of the package.

        Raises:
            KeyError: it has none of the suffixes of `TYPES`.
        """
        body = file.read_bytes()
        etag = b'"%s"' % sha256(body).hexdigest()[:16].encode()
        return cls(body, TYPES[PurePosixPath(file.name).suffix], etag)


class StaticFile(ReadOnly):
    """One file. Browsers keep it and ask whether it is still the same, so that an update shows."""

    def __init__(self, file: StoredFile) -> None:
        super().__init__()
        self._file = file

    def read(self, request: Request) -> bytes:
        """Answer with the file, or that the browser has it."""
        request.setHeader(b"Cache-Control", b"no-cache")
        if request.setETag(self._file.etag) is http.CACHED:
            return b""
        return answer(request, self._file.body, self._file.content_type)


def files_of(folder: str) -> Iterator[Traversable]:
    """Give the files of a folder below ``static/`` that are to be served, its page among them."""
    for file in (resources.files("tunnelsvc.admin") / "static" / folder).iterdir():
        if PurePosixPath(file.name).suffix in TYPES:
            yield file


class Folder(Resource):
    """The files of one folder below ``static/``, but the page itself."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        for file in files_of(folder):
            if file.name != INDEX:
                self.putChild(file.name.encode(), StaticFile(StoredFile.read(file)))

    def getChild(self, path: bytes, request: Request) -> IResource:  # noqa: ARG002
        """Answer for names that there aren't."""
        return NotFound()

    def render(self, request: Request) -> bytes:
        """Answer for the folder itself: there is no list."""
        return NotFound().render(request)


class StaticFiles(Resource):
    """``/static/``: a page itself, and below it the folders of what it needs."""

    def __init__(self, page: str) -> None:
        """Read the files.

        Args:
            page: the folder with the page, ``server`` or ``client``.
        """
        super().__init__()
        index = resources.files("tunnelsvc.admin") / "static" / page / INDEX
        self.putChild(b"", StaticFile(StoredFile.read(index)))
        for folder in (SHARED, page):
            self.putChild(folder.encode(), Folder(folder))

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


def redirect(request: Request, target: bytes, code: int = http.MOVED_PERMANENTLY) -> bytes:
    """Answer with the URL to ask instead."""
    request.setHeader(b"Location", target)
    return answer_text(request, "See " + target.decode() + "\n", code)
