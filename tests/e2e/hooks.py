"""A server plugin outside of the server, for tests with real programs."""

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

UNCHANGED: Final[Mapping[str, Any]] = {"reject": False, "unchange": True}
Decide = Callable[[str, dict[str, Any]], Mapping[str, Any]]
POLL_SECONDS: Final = 0.05


class HookService:
    """Answers a server's questions, and keeps them.

    Args:
        decide: makes the answer from an op and its content.
        tls: for TLS.

    Attributes:
        asked: op and content of each question.
        port: where it listens.
    """

    def __init__(
        self, decide: Decide = lambda *_: UNCHANGED, tls: ssl.SSLContext | None = None
    ) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.decide = decide
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.asked.append((question["op"], question["content"]))
                body = json.dumps(owner.decide(question["op"], question["content"])).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True
        ).start()

    def contents(self, op: str) -> list[dict[str, Any]]:
        """What it was asked about an op."""
        return [content for each, content in self.asked if each == op]

    def section(self, *ops: str) -> Mapping[str, object]:
        """Give its section of the server's file."""
        return {"addr": f"127.0.0.1:{self.port}", "path": "/handler", "ops": ",".join(ops)}

    def stop(self) -> None:
        """Be gone."""
        self._server.shutdown()
        self._server.server_close()
