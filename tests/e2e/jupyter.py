# -*- test-case-name: tests.e2e.test_jupyter -*-
"""A real Jupyter with a password, and a user of it who speaks what the page in a browser does."""

import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import urlencode

import websocket
from attrs import field, frozen

from tests.e2e.services import NO_HEADERS, Answer, connected
from tests.programs import (
    PATIENCE,
    ProgramTestCase,
    accepts_connections,
    free_port,
    require_module,
)

PASSWORD: Final = "open sesame"

_SALT: Final = "0123456789ab"


def start_jupyter(case: ProgramTestCase, module: str, *options: str) -> int:
    """Run a Jupyter on a free port of loopback, with nothing of this user's own; give the port.

    Args:
        case: ends it.
        module: ``jupyter_server`` or ``notebook``, which serves pages as well.
        options: more of its own.
    """
    require_module(module)
    require_module("ipykernel")
    port = free_port()
    digest = hashlib.sha256((PASSWORD + _SALT).encode()).hexdigest()
    files = case.directory / "files"
    files.mkdir()
    command = (
        *(sys.executable, "-P", "-m", module, "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        f"--ServerApp.root_dir={files}",
        f"--PasswordIdentityProvider.hashed_password=sha256:{_SALT}:{digest}",
        *options,
    )
    own = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environ = {**os.environ, **{name: str(case.directory / name.lower()) for name in own}}
    program = case.run_program(command, name="jupyter", environ=environ)
    program.wait_until(lambda: accepts_connections(port), f"port {port} listened on")
    return port


@frozen
class JupyterUser:
    """A user with cookies, on one connection that is kept.

    Attributes:
        port: where to connect.
        host: by which name, and perhaps a port.
    """

    port: int
    host: str
    cookies: SimpleCookie = field(factory=SimpleCookie, repr=False)

    def ask(
        self,
        method: str,
        path: str,
        body: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        """Make a request as a page of this site does; keep the cookies that come back."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        own = {"Host": self.host, "Origin": self.origin, "Cookie": self.cookie, **headers}
        try:
            connection.request(method, path, body, own)
            response = connection.getresponse()
            for line in response.headers.get_all("Set-Cookie", []):
                self.cookies.load(line)
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    @property
    def origin(self) -> str:
        """What a browser says of the page that asks."""
        return f"http://{self.host}"

    @property
    def cookie(self) -> str:
        """All cookies, as a request has them."""
        return "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())

    @property
    def proof(self) -> Mapping[str, str]:
        """The header without which Jupyter changes nothing: that the page could read a cookie."""
        return {"X-XSRFToken": self.cookies["_xsrf"].value}

    def log_in(self, password: str = PASSWORD) -> Answer:
        """Fill in the form."""
        self.ask("GET", "/login")
        form = urlencode({"password": password, "_xsrf": self.cookies["_xsrf"].value})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", "/login", form, kind)

    @contextmanager
    def websocket(self, path: str, origin: str = "") -> Iterator[websocket.WebSocket]:
        """Open a WebSocket.

        Args:
            path: of the request.
            origin: of the page that asks; empty: the site's own.
        """
        with connected(self.port) as stream:
            opened = websocket.create_connection(
                f"ws://{self.host}{path}",
                socket=stream,
                cookie=self.cookie,
                origin=origin or self.origin,
                timeout=PATIENCE,
            )
            try:
                yield opened
            finally:
                opened.close()


def run_cell(kernel: websocket.WebSocket, code: str) -> tuple[str, str]:
    """Run code in a kernel by its channels; return what it printed, and its result.

    The messages are Jupyter's own: https://jupyter-client.readthedocs.io, "Messaging in Jupyter".
    """
    own_id = uuid.uuid4().hex
    header = {
        "msg_id": own_id,
        "msg_type": "execute_request",
        "session": uuid.uuid4().hex,
        "username": "",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    kernel.send(json.dumps({**request, "channel": "shell", "buffers": []}))
    printed, result = [], ""
    ends: set[str] = set()
    while ends != {"execute_reply", "idle"}:
        message = _next_of(kernel, own_id)
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            printed.append(content["text"])
        elif kind == "execute_result":
            result = content["data"]["text/plain"]
        elif kind == "execute_reply":
            assert content["status"] == "ok", content
            ends.add(kind)
        elif kind == "status" and content["execution_state"] == "idle":
            ends.add("idle")
    return "".join(printed), result


def _next_of(kernel: websocket.WebSocket, parent: str) -> Any:
    """Give the next message that a request of ours brought about."""
    return until(
        lambda: json.loads(kernel.recv()),
        lambda message: message["parent_header"].get("msg_id") == parent,
    )


def until(take: Callable[[], Any], is_it: Callable[[Any], bool]) -> Any:
    """Take things until one is what is waited for; return that."""
    deadline = time.monotonic() + PATIENCE
    while not is_it(found := take()):
        assert time.monotonic() < deadline, found
    return found
