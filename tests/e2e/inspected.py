# -*- test-case-name: tests.e2e.test_inspector -*-
"""A web application behind a tunnel whose client looks at its requests."""

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler

from tests.e2e.services import Answer, request
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase, http_proxy
from tests.programs import PATIENCE, Program, eventually, free_port

HOST = "app.example"


class Page(RequestHandler):
    """JSON, compressed for who takes it."""

    def get(self) -> None:
        """Answer."""
        self.set_cookie("visited", "yes")
        self.write({"words": ["tunnel"] * 400, "query": self.get_query_argument("q", "")})

    head = get


class Upload(RequestHandler):
    """Tells what it got."""

    def post(self) -> None:
        """Answer."""
        body = self.request.body
        self.write(
            {
                "length": len(body),
                "digest": hashlib.sha256(body).hexdigest(),
                "headers": dict(self.request.headers),
            }
        )

    put = post


class Ticks(RequestHandler):
    """Says a little now and then: chunked."""

    async def get(self) -> None:
        """Answer."""
        for number in range(5):
            self.write(f"tick {number}\n")
            await self.flush()
            await asyncio.sleep(0.02)


class Chat(WebSocketHandler):
    """Sends everything back twice."""

    def on_message(self, message: str | bytes) -> None:
        """Do it."""
        self.write_message(message)
        self.write_message(message)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take no body."""


def application(directory: str) -> Application:
    """Make the application; `directory` has its files."""
    return Application(
        [
            ("/page", Page),
            ("/upload", Upload),
            ("/ticks", Ticks),
            ("/chat", Chat),
            ("/files/(.*)", StaticFileHandler, {"path": directory}),
        ],
        compress_response=True,
        # What is behind a tunnel may be named as it likes.
        websocket_max_message_size=2**24,
    )


class WebApp:
    """Runs it in a thread until it is stopped."""

    def __init__(self, directory: str, port: int = 0) -> None:
        self.port = port
        self._stop: Callable[[], object] = bool
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(directory, ready)), daemon=True
        )
        self._thread.start()
        assert ready.wait(PATIENCE)

    async def _main(self, directory: str, ready: threading.Event) -> None:
        done = asyncio.Event()
        sockets = bind_sockets(self.port, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        server = HTTPServer(application(directory))
        server.add_sockets(sockets)
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(done.set)
        ready.set()
        await done.wait()
        server.stop()
        await server.close_all_connections()

    def stop(self) -> None:
        """End; nobody listens any more afterwards."""
        self._stop()
        self._thread.join(PATIENCE)


class InspectCase(TunnelTestCase):
    """A tunnel to a `WebApp`, whose client has a site."""

    def setUp(self) -> None:
        super().setUp()
        self.files = Path(self.mktemp())
        self.files.mkdir()
        self.app = WebApp(str(self.files))
        self.addCleanup(self.stop_app)
        self.admin_port = free_port()

    def stop_app(self) -> None:
        """End the application, whichever it is by then."""
        self.app.stop()

    def begin(self, options: Options = NO_OPTIONS, common: Options = NO_OPTIONS) -> Program:
        """Start server and client."""
        self.start_server()
        proxy = {"custom_domains": HOST, "inspect": True, **options}
        return self.start_client(
            {"app": http_proxy(self.app.port, proxy)}, {"admin_port": self.admin_port, **common}
        )

    def use(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """Ask the application, as a user."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(
            self.vhost_port,
            path,
            method=method,
            host=f"{HOST}:{self.vhost_port}",
            headers=named,
            body=body or None,
        )

    def admin(self, path: str, method: str = "GET", body: bytes = b"") -> Answer:
        """Ask the client's site."""
        return request(self.admin_port, f"/api/admin/{path}", method=method, body=body or None)

    def get(self, path: str) -> Any:
        """Ask for JSON."""
        answer = self.admin(path)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def rows(self, **wanted: str) -> list[dict[str, Any]]:
        """List the requests."""
        query = "&".join(f"{name}={quote(value)}" for name, value in wanted.items())
        rows: list[dict[str, Any]] = self.get(f"requests?{query}")["rows"]
        return rows

    def done(self, **wanted: str) -> dict[str, Any]:
        """Wait for the newest request to be done, as the client sees it a moment later."""

        def look() -> dict[str, Any] | None:
            rows = self.rows(**wanted)
            return rows[0] if rows and rows[0]["ms"] is not None else None

        found = eventually(look, f"a request that is done: {wanted}")
        assert found is not None
        return found

    @contextmanager
    def app_stopped(self) -> Iterator[None]:
        """Have nobody listen for a while."""
        port = self.app.port
        self.app.stop()
        try:
            yield
        finally:
            self.app = WebApp(str(self.files), port)
