# -*- test-case-name: tests.e2e.test_streams -*-
"""The two ends that a tunnel stands between: local services in threads, and their users."""

import base64
import errno
import hashlib
import http.client
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast

from attrs import frozen

from tests.programs import PATIENCE, free_port
from tunnelsvc.units import KiB

# Bytes read or written in one call: more than one frame of any layer between.
CHUNK_BYTES: Final = 256 * KiB

# Appended to the client's key to answer a WebSocket handshake: RFC 6455, section 1.3.
WEBSOCKET_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# Seconds between two looks of a stopping web server.
STOP_POLL_INTERVAL: Final = 0.05

# Asks its own server for a WebSocket by the scheme that it came by, and shows the answer. Meanwhile
# it has a request under way: for those the time of a browser without a desktop stands still.
CHAT: Final = b"""<!doctype html><title>chat</title><p>nothing yet<script>
const socket = new WebSocket(location.href.replace("http", "ws").replace("/chat", "/ws"));
let answered = false;
socket.onopen = () => socket.send("kernel, are you there?");
socket.onmessage = (message) => {
    document.body.textContent = `echo: ${message.data}`;
    answered = true;
};
(async () => { while (!answered) await fetch("/waiting"); })();
</script>"""

Handler = Callable[[socket.socket], None]

NO_HEADERS: Final[Mapping[str, str]] = {}


class LocalService:
    """Runs ``handler`` in a thread for every connection: by TCP on loopback, or as it is told."""

    def __init__(
        self, handler: Handler, listener: socket.socket | None = None, *, port: int = 0
    ) -> None:
        self.live: set[socket.socket] = set()
        self._handler = handler
        # Not one that the kernel chooses: it could give that to another when the service is closed.
        self._listener = listener or socket.create_server(
            ("127.0.0.1", port or free_port()), backlog=512
        )
        address = self._listener.getsockname()
        self.port: int = address[1] if isinstance(address, tuple) else 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.live.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._handler(connection)
        self.live.discard(connection)

    def close(self) -> None:
        """Stop listening and drop every connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self.live):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def chunks(connection: socket.socket) -> Iterator[bytes]:
    """Give what arrives until the other side has finished sending."""
    while data := connection.recv(CHUNK_BYTES):
        yield data


def echo(connection: socket.socket) -> None:
    """Service: send everything back, and finish when the user has."""
    for data in chunks(connection):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def says(name: bytes) -> Handler:
    """Make a service that says its name, and then echoes."""

    def say(connection: socket.socket) -> None:
        connection.sendall(name)
        echo(connection)

    return say


def digest_after_eof(connection: socket.socket) -> None:
    """Service: answer only once the user has finished sending, with the digest of what came."""
    digest = hashlib.sha256()
    for data in chunks(connection):
        digest.update(data)
    connection.sendall(digest.hexdigest().encode())


def pattern(size: int, seed: int = 0) -> Iterator[bytes]:
    """Give ``size`` bytes that don't compress and don't repeat within a megabyte."""
    block = b"".join(
        hashlib.sha256(b"%d.%d" % (seed, counter)).digest() for counter in range(32 * KiB)
    )
    for start in range(0, size, len(block)):
        yield block[: size - start]


def digest_of(parts: Iterator[bytes]) -> str:
    """Give the SHA-256 of all parts together."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def download_of(size: int) -> Handler:
    """Make a service that sends ``pattern(size)`` to whoever connects, and closes."""

    def send(connection: socket.socket) -> None:
        for part in pattern(size):
            connection.sendall(part)

    return send


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """Connect as a user does."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as user:
        yield user


def send_pieces(user: socket.socket, *pieces: bytes, finish: bool) -> None:
    """Send these, each in a packet, and perhaps the end, unless the other side cuts us off."""
    user.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(ConnectionError):
        for piece in pieces:
            user.sendall(piece)
        if finish:
            try:
                user.shutdown(socket.SHUT_WR)
            except OSError as why:
                if why.errno != errno.ENOTCONN:  # which is how it is after a reset
                    raise


def receive(user: socket.socket, size: int) -> bytes:
    """Read exactly so many bytes, or fewer if the connection ends."""
    received = bytearray()
    while len(received) < size and (data := user.recv(min(CHUNK_BYTES, size - len(received)))):
        received += data
    return bytes(received)


def echo_once(user: socket.socket, message: bytes = b"are you there?") -> bool:
    """Whether an echo service answers on this connection."""
    user.sendall(message)
    return receive(user, len(message)) == message


def serves_echo(port: int) -> bool:
    """Whether an echo service answers on this port now."""
    try:
        with connected(port) as user:
            return echo_once(user)
    except ConnectionError:
        return False


def send_all(user: socket.socket, parts: Iterator[bytes]) -> None:
    """Send every part, as far as the other side takes it."""
    with suppress(OSError):
        for part in parts:
            user.sendall(part)


def echo_bulk(port: int, size: int, seed: int = 0) -> tuple[str, str]:
    """Send ``pattern(size, seed)`` through an echo; return the digests sent and received."""
    with connected(port) as user:
        sender = threading.Thread(target=send_all, args=(user, pattern(size, seed)), daemon=True)
        sender.start()
        digest = hashlib.sha256()
        left = size
        while left and (data := user.recv(min(CHUNK_BYTES, left))):
            digest.update(data)
            left -= len(data)
        sender.join(PATIENCE)
    return digest_of(pattern(size, seed)), digest.hexdigest()


def is_closed(user: socket.socket) -> bool:
    """Whether the other side closed or reset, waiting as long as the socket's timeout says."""
    try:
        return user.recv(1) == b""
    except ConnectionError:
        return True


@frozen
class Answer:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        """The body, which is a JSON object."""
        return cast("dict[str, object]", json.loads(self.body))


def request(
    port: int,
    path: str = "/",
    *,
    method: str = "GET",
    host: str = "127.0.0.1",
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes | Iterator[bytes] | None = None,
    user: str = "",
) -> Answer:
    """Make one HTTP request to a port of this machine, under any host name.

    Args:
        port: where to connect.
        path: the request target.
        method: the HTTP method.
        host: the name that the request is for.
        headers: more headers.
        body: bytes, or an iterator of them that is sent with chunked coding.
        user: ``name:password`` for Basic authentication.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    credentials = base64.b64encode(user.encode()).decode()
    basic = {"Authorization": f"Basic {credentials}"} if user else {}
    try:
        connection.request(method, path, body, {"Host": host, **headers, **basic})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


class WebSite(BaseHTTPRequestHandler):
    """A small web site that says what it was asked; see `serve_site`."""

    protocol_version = "HTTP/1.1"
    name = "site"

    def do_GET(self) -> None:
        """``/``: a page. ``/bytes/N``: N bytes. ``/ws``: WebSocket echo. Else: what was asked.

        ``/chat`` is a page that uses the echo and shows what came back.
        """
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._websocket()
        elif self.path == "/":
            page = f"<!doctype html><title>{self.name}</title><p>This is {self.name}."
            self._answer("text/html", page.encode())
        elif self.path == "/chat":
            self._answer("text/html", CHAT)
        elif self.path.startswith("/bytes/"):
            size = int(self.path.rpartition("/")[2])
            self._start("application/octet-stream", size)
            for part in pattern(size):
                self.wfile.write(part)
        else:
            self._answer("application/json", json.dumps(self._facts()).encode())

    def do_POST(self) -> None:
        """Answer with what was asked and the digest of the body."""
        facts = {**self._facts(), "sha256": digest_of(self._body())}
        self._answer("application/json", json.dumps(facts).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def _facts(self) -> dict[str, object]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return {"site": self.name, "path": self.path, "headers": headers}

    def _body(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            left = int(self.headers.get("Content-Length", 0))
            while left and (data := self.rfile.read(min(left, CHUNK_BYTES))):
                left -= len(data)
                yield data
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _start(self, kind: str, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def _answer(self, kind: str, body: bytes) -> None:
        self._start(kind, len(body))
        self.wfile.write(body)

    def _websocket(self) -> None:
        key = self.headers["Sec-WebSocket-Key"].encode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", websocket_accept(key))
        self.end_headers()
        self.close_connection = True
        while header := self.rfile.read(2):
            mask = self.rfile.read(4)
            masked = self.rfile.read(header[1] & 0x7F)
            self.wfile.write(bytes((header[0], len(masked))) + unmask(masked, mask))


class _SiteServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._live: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._live.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._live.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        """Be gone, with all connections, as a program that ends."""
        self.shutdown()
        self.server_close()
        for connection in list(self._live):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of users that went away."""


def serve_site(name: str, tls: ssl.SSLContext | None = None, port: int = 0) -> _SiteServer:
    """Start a `WebSite`; its port is ``server_port``, ``stop`` ends it."""
    handler = type("NamedSite", (WebSite,), {"name": name})
    server = _SiteServer(("127.0.0.1", port or free_port()), handler)
    if tls is not None:  # shakes hands when it first reads: in the connection's own thread
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=server.serve_forever, args=(STOP_POLL_INTERVAL,), daemon=True).start()
    return server


def websocket_accept(key: bytes) -> str:
    """Answer to a handshake's key: RFC 6455, section 4.2.2."""
    return base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest()).decode()


def unmask(data: bytes, mask: bytes) -> bytes:
    """Mask or unmask a payload: RFC 6455, section 5.3."""
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


@contextmanager
def websocket(
    port: int, host: str, path: str = "/ws", headers: Mapping[str, str] = NO_HEADERS
) -> Iterator[socket.socket]:
    """Open a WebSocket as a browser does.

    Raises:
        AssertionError: the server did not switch protocols.
    """
    with connected(port) as user:
        switch_to_websocket(user, host, path, headers)
        yield user


def switch_to_websocket(
    user: socket.socket, host: str, path: str = "/ws", headers: Mapping[str, str] = NO_HEADERS
) -> None:
    """Open a WebSocket on a connection.

    Raises:
        AssertionError: the server did not switch protocols.
    """
    key = base64.b64encode(os.urandom(16))
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    user.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n{more}\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := user.recv(1)):
        head += byte
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert f"sec-websocket-accept: {websocket_accept(key)}".lower() in head.decode().lower()


def websocket_echo(user: socket.socket, message: bytes) -> bytes:
    """Send one text frame of under 126 bytes and return what the next frame holds."""
    mask = os.urandom(4)
    user.sendall(bytes((0x81, 0x80 | len(message))) + mask + unmask(message, mask))
    header = receive(user, 2)
    return receive(user, header[1])
