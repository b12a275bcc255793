# -*- test-case-name: tests.admin.test_clientpage -*-
"""The client's page for people: how each proxy is. Works without scripts, and loads itself anew."""

from collections.abc import Iterable
from html import escape
from importlib import resources
from typing import Final

from twisted.web.server import Request

from tunnelsvc import __version__
from tunnelsvc.addresses import host_and_port
from tunnelsvc.admin import clientshapes
from tunnelsvc.admin.clientview import ClientView
from tunnelsvc.admin.web import ReadOnly, answer
from tunnelsvc.client.status import RUNNING

RELOAD_SECONDS: Final = 5
STYLE: Final = "client.css"
_COLUMNS: Final = {
    "Name": "name",
    "Type": "type",
    "Status": "status",
    "Local address": "local_addr",
    "Plugin": "plugin",
    "Remote address": "remote_addr",
    "Error": "err",
}
"""Headings to fields of `tunnelsvc.admin.clientshapes.status`."""

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{seconds}">
<title>{title}</title>
<link rel="icon" href="static/icon.svg">
<link rel="stylesheet" href="static/{style}">
</head>
<body>
<h1>{title} <small>tunnelsvc {version}</small></h1>
{content}
</body>
</html>
"""


class StatusPage(ReadOnly):
    """``/``."""

    def __init__(self, client: ClientView) -> None:
        super().__init__()
        self._client = client

    def read(self, request: Request) -> bytes:
        """Answer."""
        config = self._client.config
        proxies = [clientshapes.status(each) for each in self._client.proxy_statuses()]
        title = escape(f"Client of {host_and_port(config.server_addr, config.server_port)}")
        page = _PAGE.format(
            seconds=RELOAD_SECONDS,
            style=STYLE,
            version=__version__,
            title=title,
            content=_table(proxies) if proxies else "<p>No proxies.</p>",
        )
        return answer(request, page.encode(), "text/html; charset=utf-8")


def _table(proxies: Iterable[dict[str, str]]) -> str:
    head = "".join(f'<th scope="col">{heading}</th>' for heading in _COLUMNS)
    rows = "\n".join(_row(each) for each in proxies)
    return (
        f'<div class="scroll">\n<table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _row(proxy: dict[str, str]) -> str:
    cells = "".join(f"<td>{escape(proxy[field])}</td>" for field in _COLUMNS.values())
    return f'<tr class="{"good" if proxy["status"] == RUNNING else "bad"}">{cells}</tr>'


class PageFile(ReadOnly):
    """A file beside the dashboard's."""

    def __init__(self, name: str, content_type: str) -> None:
        super().__init__()
        self._body = (resources.files("tunnelsvc.admin") / "static" / name).read_bytes()
        self._content_type = content_type

    def read(self, request: Request) -> bytes:
        """Answer."""
        request.setHeader(b"Cache-Control", b"no-cache")
        return answer(request, self._body, self._content_type)
