# -*- test-case-name: tests.e2e.test_clientpage_load -*-
"""A client's site without a client: says to the client's page what it is told to say.

It runs in threads, beside tests that block. What a real client can't be made to show at will (a
full list, a request every few milliseconds, each kind of trouble) comes from here; everything else
is tested with the real program.
"""

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import tunnelsvc.admin
from tunnelsvc.admin.pages import TYPES
from tunnelsvc.admin.web import HEADERS
from tunnelsvc.client.inspection import MOST_EXCHANGES as MOST
from tunnelsvc.client.inspection.facts import MASK

Row = dict[str, Any]
"""As in the answers of the API (docs/inspector.md)."""

STATIC: Final = Path(tunnelsvc.admin.__file__).parent / "static"
NO_HEADERS: Final[Mapping[str, str]] = {}
SECRETS: Final = ("authorization", "cookie", "set-cookie")


class MockSite:
    """What there is to show, and the server that shows it on `port` of loopback."""

    def __init__(self, port: int = 0) -> None:
        self.status: Row = {
            "version": "0.1.0",
            "server": "tunnel.example.com:7000",
            "connected": True,
            "since": time.time() - 5000,
            "run_id": "3f9a51c77b0e2d18",
            "error": "",
            "hint": "",
            "proxies": [],
            "visitors": [],
            "config": {"path": "/etc/tunnelsvc/frpc.ini", "editable": True},
        }
        self.config = {"text": "", "path": "/etc/tunnelsvc/frpc.ini", "etag": "1", "hidden": True}
        self.check: Row = {
            "problems": [],
            "warnings": [],
            "diff": "",
            "changes": {"added": [], "removed": [], "changed": []},
            "remarks": [],
        }
        self.requests: dict[int, Row] = {}
        self.details: dict[int, Row] = {}
        self.bodies: dict[tuple[int, str], tuple[str, bytes]] = {}
        self._streams: list[SimpleQueue[bytes | None]] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.mock = self  # type: ignore[attr-defined]
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The page's."""
        return f"http://127.0.0.1:{self.port}/static/"

    def add(self, row: Row, detail: Row | None = None) -> None:
        """Have a request made, or its answer arrive."""
        self.requests[row["id"]] = row
        if detail is not None:
            self.details[row["id"]] = detail
        gone = list(self.requests)[:-MOST]
        for each in gone:
            del self.requests[each]
        self.send("delta", {"topic": "requests", "changed": [row], "gone": gone})

    def say(self, **changes: object) -> None:
        """Change the status."""
        self.status |= changes
        self.send("delta", {"topic": "status", "value": self.status})

    def send(self, event: str, data: Row) -> None:
        """Send an event to every page."""
        message = f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
        for stream in list(self._streams):
            stream.put(message)

    def snapshots(self, stream: "SimpleQueue[bytes | None]") -> None:
        """Begin a stream."""
        rows = list(reversed(self.requests.values()))
        for data in (
            {"topic": "status", "value": self.status},
            {"topic": "requests", "rows": rows},
        ):
            stream.put(f"event: snapshot\ndata: {json.dumps(data)}\n\n".encode())
        self._streams.append(stream)

    def forget(self, stream: "SimpleQueue[bytes | None]") -> None:
        """End a stream."""
        with suppress(ValueError):
            self._streams.remove(stream)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        for stream in self._streams:
            stream.put(None)


def exchange(
    number: int,
    method: str,
    url: str,
    status: int,
    **more: object,
) -> Row:
    """Give a row of the list of requests."""
    path = urlsplit(url).path
    query = urlsplit(url).query
    return {
        "id": number,
        "at": time.time(),
        "proxy": "web",
        "method": method,
        "url": url,
        "path": f"{path}?{query}" if query else path,
        "status": status,
        "ms": 12.5,
        "in": 0,
        "out": 512,
        "kind": "http",
        "user": "203.0.113.7:51234",
        "replay_of": None,
        "error": "",
        **more,
    }


def side(headers: Mapping[str, str], text: str = "", **body: object) -> Row:
    """Give a request or a response with a body of text, or whatever else is said of it."""
    media_type = next((v for k, v in headers.items() if k.lower() == "content-type"), "")
    size = len(text.encode())
    said = {"size": size, "kept": size, "text": text, "type": media_type, "truncated": False}
    return {
        "headers": [[name, value] for name, value in headers.items()],
        "body": {**said, "encoding": "", **body},
    }


def masked(detail: Row) -> Row:
    """Give the details of a request as they are before somebody wants to see the secrets."""

    def hidden(part: Row) -> Row:
        headers = [[n, MASK if n.lower() in SECRETS else v] for n, v in part["headers"]]
        return {**part, "headers": headers}

    return {**detail, "request": hidden(detail["request"]), "response": hidden(detail["response"])}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: browsers break off what they don't want any more."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def mock(self) -> MockSite:
        site: MockSite = self.server.mock  # type: ignore[attr-defined]
        return site

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def answer(
        self, body: bytes, media_type: str = "application/json", code: int = 200, **more: str
    ) -> None:
        self.send_response(code)
        for name, value in HEADERS.items():
            self.send_header(name.decode(), value.decode())
        for header, text in more.items():
            self.send_header(header, text)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def say(self, value: object, code: int = 200) -> None:
        self.answer(json.dumps(value).encode(), code=code)

    def error(self, code: int, message: str) -> None:
        self.say({"Code": code, "Msg": message}, code)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path.startswith("/static/"):
            self.file(url.path.removeprefix("/static/"))
        elif url.path.startswith("/api/admin/"):
            self.get(url.path.removeprefix("/api/admin/").split("/"), query)
        else:
            self.error(404, "no such page")

    def file(self, name: str) -> None:
        path = STATIC / (name if "/" in name else f"client/{name or 'index.html'}")
        if ".." in name or not path.is_file():
            self.error(404, "no such file")
            return
        self.answer(path.read_bytes(), TYPES[path.suffix])

    def get(self, path: list[str], query: dict[str, str]) -> None:
        mock = self.mock
        match path:
            case ["session"]:
                self.say({"user": "", "csrf": "", "by": "none", "version": "0.1.0"})
            case ["status"]:
                self.say(mock.status)
            case ["config"]:
                self.say(mock.config)
            case ["stream"]:
                self.stream()
            case ["requests"]:
                self.say({"rows": mock_filter(mock, query), "more": False})
            case ["requests", number] if int(number) in mock.requests:
                self.detail(int(number), reveal="reveal" in query)
            case ["requests", number, "curl"]:
                self.answer(f"curl http://example/{number}\n".encode(), "text/plain")
            case ["requests", number, "body", part] if (int(number), part) in mock.bodies:
                media_type, content = mock.bodies[int(number), part]
                self.answer(content, media_type)
            case _:
                self.error(404, "no such thing")

    def detail(self, number: int, *, reveal: bool) -> None:
        row = self.mock.requests[number]
        empty = {"request": side(NO_HEADERS), "response": side(NO_HEADERS)}
        detail: Row = row | self.mock.details.get(number, empty)
        self.say(detail if reveal else masked(detail))

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.close_connection = True
        stream: SimpleQueue[bytes | None] = SimpleQueue()
        self.mock.snapshots(stream)
        with suppress(OSError):
            while (message := stream.get()) is not None:
                self.wfile.write(message)
        self.mock.forget(stream)

    def body(self) -> Row:
        length = int(self.headers.get("Content-Length") or 0)
        value: Row = json.loads(self.rfile.read(length) or b"{}")
        return value

    def do_POST(self) -> None:
        mock, sent = self.mock, self.body()
        match urlsplit(self.path).path.removeprefix("/api/admin/").split("/"):
            case ["config", "check"]:
                self.say(mock.check)
            case ["reload"]:
                self.say(mock.check)
            case ["requests", number, "replay"]:
                original = mock.requests[int(number)]
                new = max(mock.requests) + 1
                edited = {name: sent[name] for name in ("method", "path") if name in sent}
                row: Row = original | edited
                row |= {"id": new, "at": time.time(), "replay_of": int(number), "ms": 8.0}
                mock.add(row, mock.details.get(int(number)))
                self.say({"id": new})
            case _:
                self.error(404, "no such thing")

    def do_PUT(self) -> None:
        sent = self.body()
        if sent["etag"] != self.mock.config["etag"]:
            self.error(409, "the file has changed meanwhile")
            return
        etag = str(int(sent["etag"]) + 1)
        self.mock.config |= {"text": sent["text"], "etag": etag}
        self.say({**self.mock.check, "etag": etag})

    def do_DELETE(self) -> None:
        gone = list(self.mock.requests)
        self.mock.requests.clear()
        self.mock.send("delta", {"topic": "requests", "changed": [], "gone": gone})
        self.say({})


def mock_filter(mock: MockSite, query: Mapping[str, str]) -> list[Row]:
    """Give the requests that have a text in them, newest first."""
    text = query.get("text", "").lower()

    def has(row: Row) -> bool:
        return text in json.dumps([row, mock.details.get(row["id"])]).lower()

    return [row for row in reversed(mock.requests.values()) if has(row)]
