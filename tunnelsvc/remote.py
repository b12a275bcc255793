# -*- test-case-name: tests.test_remote -*-
"""``tunnelsvc reload``, ``status`` and ``stop``: speak to a client that runs, by its admin API.

Where that is, and its password, is in the client's own file. The client may be a real frpc. What is
printed on success is what frpc prints.
"""

import json
import os
import re
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode

from attrs import frozen
from twisted.python.usage import UsageError

from tunnelsvc.addresses import LOOPBACK, host_and_port, unbracketed
from tunnelsvc.config import load_client
from tunnelsvc.config.schema import AdminConfig
from tunnelsvc.errors import TunnelError
from tunnelsvc.flags import FILE, STRICT, Flag, FlagOptions, no_unsafe
from tunnelsvc.runner import config_errors_exit
from tunnelsvc.units import KiB, MiB

DEFAULT_FILE: Final = "frpc.ini"
DEFAULT_TIMEOUT: Final = "30s"
_LOOPBACK_OF: Final = {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}  # noqa: S104 - not to listen
MOST_BYTES: Final = 16 * MiB
"""Of an answer; a thousand proxies take a few hundred KiB."""
PIECE_BYTES: Final = 64 * KiB
MOST_SECONDS: Final = 3600.0
NO_PORT: Final = "web server port should be set if you want to use this feature"

TYPES: Final = ("tcp", "udp", "tcpmux", "http", "https", "stcp", "sudp", "xtcp")
"""Types of proxies in frpc's order."""
COLUMNS: Final = {
    "Name": "name",
    "Status": "status",
    "LocalAddr": "local_addr",
    "Plugin": "plugin",
    "RemoteAddr": "remote_addr",
    "Error": "err",
}
_GAP: Final = 2
"""Spaces between columns."""

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|)")
_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}


class RemoteError(TunnelError):
    """The client can't be reached, or doesn't do what it is told."""


def duration(text: str) -> float:
    """Read a time such as ``30s``, ``500ms``, ``1m``, or ``30``.

    Returns:
        Seconds.

    Raises:
        ValueError: it is none, or nothing or too much to wait for.
    """
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * _UNIT_SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= MOST_SECONDS:
        raise ValueError("a time such as 30s")
    return seconds


_API_TIMEOUT: Final = Flag("api_timeout", "How long its admin API may take; 30s.")


class RemoteOptions(FlagOptions):
    """Options of all three commands.

    Attributes:
        path: of the client's file.
        seconds: how long a request may take.
        strict: whether a key that nobody knows is an error, where the format has such errors.
    """

    longdesc = "The file, frpc.ini unless said otherwise, tells where the client's admin API is."
    flags = (*FILE, _API_TIMEOUT)
    path: str
    seconds: float
    strict: bool

    def postOptions(self) -> None:
        """Read what was given.

        Raises:
            UsageError: a flag makes no sense.
        """
        no_unsafe(self)
        self.path = self["config"] or DEFAULT_FILE
        self.strict = self.is_on(STRICT, default=True)
        given = self[_API_TIMEOUT.dashed] or DEFAULT_TIMEOUT
        try:
            self.seconds = duration(given)
        except ValueError as why:
            raise UsageError(f"--api-timeout {given}: not {why}") from None


@frozen
class AdminAPI:
    """The admin API of one client.

    Attributes:
        config: where it is, and who may use it.
        seconds: how long a request may take.
    """

    config: AdminConfig
    seconds: float

    def ask(self, method: str, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Make one request; return the body of the answer.

        Raises:
            RemoteError: there is no answer, or it is none that we want.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        refused: OSError | None = None
        for host in self._hosts():
            try:
                return self._ask(host, method, target)
            except ConnectionRefusedError as why:
                refused = why
            except (OSError, HTTPException, ValueError) as why:
                raise RemoteError(f"{self._url(host)}: {_explain(why)}") from why
        raise RemoteError(f"{self._url(host)}: {_explain(refused)}; does the client run?")

    def _hosts(self) -> Iterator[str]:
        """Give the addresses where it may be."""
        addr = unbracketed(self.config.addr)
        yield _LOOPBACK_OF.get(addr, addr)
        # Ours listens there only, whatever the file says.
        if not self.config.has_password:
            yield LOOPBACK

    def _url(self, host: str) -> str:
        scheme = "https" if self.config.tls_cert_file else "http"
        return f"{scheme}://{host_and_port(host, self.config.port)}"

    def _ask(self, host: str, method: str, target: str) -> bytes:
        deadline = time.monotonic() + self.seconds
        connection = self._connection(host)
        try:
            connection.request(method, target, headers=self._headers())
            return _read(connection, connection.getresponse(), deadline)
        finally:
            connection.close()

    def _connection(self, host: str) -> HTTPConnection:
        config = self.config
        if not config.tls_cert_file:
            return HTTPConnection(host, config.port, timeout=self.seconds)
        # It must be the very certificate of the file, whatever names are in it.
        context = ssl.create_default_context(cafile=config.tls_cert_file)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return HTTPSConnection(host, config.port, timeout=self.seconds, context=context)

    def _headers(self) -> dict[str, str]:
        if not self.config.has_password:
            return {}
        credentials = f"{self.config.user}:{self.config.password}".encode()
        return {"Authorization": f"Basic {b64encode(credentials).decode()}"}


def _explain(why: BaseException | None) -> str:
    return str(getattr(why, "strerror", None) or why or type(why).__name__)


def _read(connection: HTTPConnection, response: HTTPResponse, deadline: float) -> bytes:
    """Read an answer, of limited length and in limited time.

    Raises:
        RemoteError: it is an error, or too long.
        OSError: it doesn't come in time.
    """
    body = b""
    while piece := response.read1(PIECE_BYTES):
        body += piece
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if len(body) > MOST_BYTES:
            raise RemoteError(f"an answer of more than {MOST_BYTES} bytes")
        if connection.sock is not None:
            connection.sock.settimeout(left)
    if response.status != 200:  # noqa: PLR2004
        raise RemoteError(_error_text(response.status, body))
    return body


def _error_text(status: int, body: bytes) -> str:
    """Say what an answer says: frpc's are JSON since 0.68, and text before."""
    text = body.decode("utf-8", "replace").strip()
    with suppress(ValueError, TypeError, KeyError):
        text = json.loads(text)["Msg"]
    shown = "\n".join(map(_printable, str(text).splitlines()))
    return f"api status code [{status}], {shown}" if shown else f"api status code [{status}]"


def _printable(text: object) -> str:
    """Show a text as one line that does nothing to a terminal: servers choose what errors say."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(text))


def _reload(api: AdminAPI, options: RemoteOptions) -> None:
    answer = api.ask("GET", "/api/reload", {"strictConfig": "true"} if options.strict else None)
    print("reload success")  # noqa: T201
    with suppress(ValueError, TypeError, KeyError):  # frpc's is empty
        said = json.loads(answer)
        for line in [*said["warnings"], *said["remarks"]]:
            print(_printable(line), file=sys.stderr)  # noqa: T201


def _stop(api: AdminAPI, _: RemoteOptions) -> None:
    api.ask("POST", "/api/stop")
    print("stop success")  # noqa: T201


def _status(api: AdminAPI, _: RemoteOptions) -> None:
    try:
        by_type: dict[str, list[dict[str, Any]]] = json.loads(api.ask("GET", "/api/status"))
        known = [name for name in TYPES if name in by_type]
        text = "".join(
            f"{_printable(name).upper()}\n{table(by_type[name])}\n"
            for name in [*known, *sorted(by_type.keys() - set(TYPES))]
            if by_type[name]
        )
    except (ValueError, TypeError, AttributeError):
        raise RemoteError("the answer is none of a client's: is that its admin_port?") from None
    print(f"Proxy Status...\n\n{text}", end="")  # noqa: T201


def table(proxies: Sequence[Mapping[str, Any]]) -> str:
    """Lay out proxies as frpc does, a line each."""
    rows = [
        list(COLUMNS),
        *([_printable(each.get(key, "")) for key in COLUMNS.values()] for each in proxies),
    ]
    widths = [max(map(len, column)) + _GAP for column in zip(*rows, strict=True)]
    lines = (
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


_COMMANDS: Final[Mapping[str, Callable[[AdminAPI, RemoteOptions], None]]] = {
    "reload": _reload,
    "status": _status,
    "stop": _stop,
}


def run_command(name: str, options: RemoteOptions) -> int:
    """Run one of the commands.

    Args:
        name: ``reload``, ``status`` or ``stop``.
        options: which file, and how long to wait.

    Returns:
        The exit status: 1 after an error, which is on standard error.

    Raises:
        SystemExit: the file can't be used; the problems are on standard error.
    """
    with config_errors_exit():
        admin = load_client(options.path, os.environ, strict=options.strict).config.admin
    try:
        if not admin.port:
            raise RemoteError(NO_PORT)
        _COMMANDS[name](AdminAPI(admin, options.seconds), options)
    except RemoteError as why:
        print(f"tunnelsvc: {why}", file=sys.stderr)  # noqa: T201
        return 1
    return 0
