# -*- test-case-name: tests.e2e.test_plugins -*-
"""Users that speak TLS, whatever certificate they see, to a port of this machine."""

import http.client
import os
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.e2e.services import NO_HEADERS, Answer, connected
from tests.programs import PATIENCE


def context() -> ssl.SSLContext:
    """Make what begins TLS, with HTTP/1.1 as ALPN."""
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["http/1.1"])
    return made


@contextmanager
def secured(port: int, name: str) -> Iterator[ssl.SSLSocket]:
    """Connect as a user of the host called `name` does."""
    with connected(port) as user, context().wrap_socket(user, server_hostname=name) as tls:
        yield tls


@contextmanager
def session(port: int, name: str) -> Iterator[http.client.HTTPConnection]:
    """Connect for several requests."""
    with secured(port, name) as user:
        connection = http.client.HTTPConnection(name, timeout=PATIENCE)
        connection.sock = user
        yield connection


def ask(
    connection: http.client.HTTPConnection,
    path: str = "/",
    *,
    method: str = "GET",
    host: str = "",
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes | Iterator[bytes] | None = None,
) -> Answer:
    """Make a request on a connection; `host` is another one than it was made for."""
    connection.request(method, path, body, {**({"Host": host} if host else {}), **headers})
    response = connection.getresponse()
    return Answer(response.status, dict(response.getheaders()), response.read())


def upgrade(user: ssl.SSLSocket, host: str, path: str = "/ws") -> bytes:
    """Ask for a WebSocket; return the head of the answer."""
    key = b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        f"Origin: https://{host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    )
    user.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := user.recv(1)):
        head += byte
    return head
