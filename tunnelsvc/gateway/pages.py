# -*- test-case-name: tests.gateway.test_pages -*-
"""What a user sees when there is no answer from a service: small pages, without our name.

Which of the two it is, the tunnel or the service, is what visitors and owners want to know. Nothing
else is told: no address, no error of the system, nothing of the request.
"""

import json
from email.utils import formatdate
from html import escape
from http import HTTPStatus
from typing import Final

from attrs import frozen
from twisted.logger import Logger

from tunnelsvc.config.reading import read_bytes
from tunnelsvc.units import MiB

MAX_PAGE_BYTES: Final = 1 * MiB
"""Of the file of ``custom_404_page``, which goes into the send buffer as a whole."""


@frozen
class _Error:
    """What is said about one status.

    Attributes:
        code: for programs; never changes.
        title: heading of the page.
        text: a sentence for somebody who only wanted to see a web site.
    """

    code: str
    title: str
    text: str


_MOVED: Final = _Error(
    "moved_to_https", "Moved", "This site is at another address, which begins with https."
)
_ERRORS: Final = {
    HTTPStatus.MOVED_PERMANENTLY: _MOVED,
    HTTPStatus.PERMANENT_REDIRECT: _MOVED,
    HTTPStatus.BAD_REQUEST: _Error(
        "bad_request",
        "Bad request",
        "The request can't be understood, could be understood in two ways, or is too long.",
    ),
    HTTPStatus.UNAUTHORIZED: _Error(
        "unauthorized", "Unauthorized", "This site asks for a user name and a password."
    ),
    HTTPStatus.NOT_FOUND: _Error(
        "site_not_found",
        "Not found",
        "The page you requested was not found. There is no site of this name or path here.",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: _Error(
        "method_not_allowed",
        "Method not allowed",
        "There are no pages here. This port takes requests for connections only, by CONNECT.",
    ),
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: _Error(
        "proxy_unauthorized", "Unauthorized", "This proxy asks for a user name and a password."
    ),
    HTTPStatus.REQUEST_TIMEOUT: _Error(
        "request_timeout", "Request timeout", "The request didn't arrive in time."
    ),
    HTTPStatus.MISDIRECTED_REQUEST: _Error(
        "misdirected", "Misdirected request", "This site has to be asked on another connection."
    ),
    HTTPStatus.BAD_GATEWAY: _Error(
        "service_down",
        "The service behind this site doesn't answer",
        "The computer that serves this site is connected, but the program there doesn't answer as "
        "it should. It may not be running. Please try again later.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: _Error(
        "site_offline",
        "This site is offline",
        "The computer that serves this site isn't connected at the moment, or doesn't offer it. "
        "Please try again later.",
    ),
    HTTPStatus.GATEWAY_TIMEOUT: _Error(
        "service_timeout",
        "The service behind this site takes too long",
        "The computer that serves this site is connected, but the program there took too long to "
        "answer. Please try again later.",
    ),
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: _Error(
        "version_not_supported",
        "HTTP version not supported",
        "This server speaks HTTP/1.0 and HTTP/1.1.",
    ),
}
_CHALLENGES: Final = {
    HTTPStatus.UNAUTHORIZED: "WWW-Authenticate",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "Proxy-Authenticate",
}
_HTML: Final = "text/html; charset=utf-8"
# Nothing in it that a Content-Security-Policy could forbid.
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width"><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p></body>
</html>
"""


class Pages:
    """Makes error responses."""

    log = Logger()

    def __init__(self, custom_404_page: str = "") -> None:
        """Begin.

        Args:
            custom_404_page: path of a file that is shown instead of the 404 page; may be empty.
        """
        self._custom_404_page = custom_404_page

    def response(
        self,
        status: int,
        *,
        body: bool,
        connection: bytes,
        now: float,
        as_json: bool = False,
        location: bytes = b"",
    ) -> bytes:
        """Make a whole response.

        Args:
            status: one that `_ERRORS` has.
            body: False: the head alone, as for HEAD.
            connection: value of the Connection header; empty: none.
            now: seconds since 1970.
            as_json: not as a page.
            location: value of the Location header; empty: none.
        """
        status = HTTPStatus(status)
        content, kind = self._content(status, as_json=as_json)
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Date: {formatdate(now, usegmt=True)}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(content)}",
            "Cache-Control: no-store",
        ]
        if status in _CHALLENGES:
            lines.append(f'{_CHALLENGES[status]}: Basic realm="Restricted"')
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: CONNECT")
        if location:
            lines.append(f"Location: {location.decode()}")
        if connection:
            lines.append(f"Connection: {connection.decode()}")
        head = "\r\n".join([*lines, "", ""]).encode()
        return head + content if body else head

    def _content(self, status: HTTPStatus, *, as_json: bool) -> tuple[bytes, str]:
        """Give the content and its media type."""
        if as_json:
            return _json(status)
        error = _ERRORS[status]
        if status in _CHALLENGES:
            return f"{error.title}\n".encode(), "text/plain; charset=utf-8"  # as frp has it
        if status is HTTPStatus.NOT_FOUND and self._custom_404_page:
            custom = self._read_custom()
            if custom is not None:
                return custom, _HTML
        page = _PAGE.format(title=escape(error.title), text=escape(error.text))
        return page.encode(), _HTML

    def _read_custom(self) -> bytes | None:
        """Read the file anew, so that it can be edited while we run."""
        try:
            return read_bytes(self._custom_404_page, MAX_PAGE_BYTES, waits=False)
        except (OSError, ValueError) as error:
            self.log.warn("custom_404_page can't be read: {error}", error=error)
            return None


def _json(status: HTTPStatus) -> tuple[bytes, str]:
    error = _ERRORS[status]
    shape = {"error": error.code, "status": status.value, "message": error.text}
    return json.dumps(shape).encode() + b"\n", "application/json"
