# -*- test-case-name: tests.gateway.test_pages -*-
"""What a user sees when there is no answer from a service: small pages, without our name."""

from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from tunnelsvc.units import MiB

MAX_PAGE_BYTES: Final = 1 * MiB
"""Of the file of ``custom_404_page``, which goes into the send buffer as a whole."""

_TEXTS: Final = {
    HTTPStatus.BAD_REQUEST: "The request can't be understood, or could be understood in two ways.",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.NOT_FOUND: (
        "The page you requested was not found. Maybe the site is not connected at the moment."
    ),
    HTTPStatus.REQUEST_TIMEOUT: "The request didn't arrive in time.",
    HTTPStatus.MISDIRECTED_REQUEST: "This site has to be asked on a connection of its own.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The headers of the request are too long.",
    HTTPStatus.NOT_IMPLEMENTED: "This server doesn't serve requests of this kind.",
    HTTPStatus.BAD_GATEWAY: (
        "The site is connected, but the service behind it didn't answer. Please try again later."
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: ("The site is offline at the moment. Please try again later."),
    HTTPStatus.GATEWAY_TIMEOUT: "The service behind this site took too long to answer.",
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: "This server speaks HTTP/1.0 and HTTP/1.1.",
}
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p></body>
</html>
"""


class Pages:
    """Makes error responses."""

    log = Logger(namespace="vhost")

    def __init__(self, custom_404_page: str = "") -> None:
        """Begin.

        Args:
            custom_404_page: path of a file that is shown instead of the 404 page; may be empty.
        """
        self._custom_404_page = custom_404_page

    def response(self, status: int, *, body: bool, connection: bytes, now: float) -> bytes:
        """Make a whole response.

        Args:
            status: 400 or more; one that `_TEXTS` has.
            body: False: the head alone, as for HEAD.
            connection: value of the Connection header; empty: none.
            now: seconds since 1970.
        """
        status = HTTPStatus(status)
        content, kind = self._content(status)
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Date: {formatdate(now, usegmt=True)}",
            f"Content-Type: {kind}; charset=utf-8",
            f"Content-Length: {len(content)}",
            "Cache-Control: no-store",
        ]
        if status is HTTPStatus.UNAUTHORIZED:
            lines.append('WWW-Authenticate: Basic realm="Restricted"')
        if connection:
            lines.append(f"Connection: {connection.decode()}")
        head = "\r\n".join([*lines, "", ""]).encode()
        return head + content if body else head

    def _content(self, status: HTTPStatus) -> tuple[bytes, str]:
        """Give the content and its media type."""
        text = _TEXTS[status]
        if status is HTTPStatus.UNAUTHORIZED:
            return f"{text}\n".encode(), "text/plain"  # as frp has it
        if status is HTTPStatus.NOT_FOUND and self._custom_404_page:
            custom = self._read_custom()
            if custom is not None:
                return custom, "text/html"
        return _PAGE.format(title=status.phrase, text=text).encode(), "text/html"

    def _read_custom(self) -> bytes | None:
        """Read the file anew, so that it can be edited while we run."""
        try:
            with Path(self._custom_404_page).open("rb") as file:
                return file.read(MAX_PAGE_BYTES)
        except OSError as error:
            self.log.warn("custom_404_page can't be read: {error}", error=error)
            return None
