# -*- test-case-name: tests.e2e.test_api -*-
"""A plain HTTP client that follows a stream of the dashboard, as a page does."""

import base64
import http.client
import json
import threading
from contextlib import suppress
from typing import Any, Final

from tests.programs import PATIENCE, eventually

KEYS: Final = {"clients": "key", "proxies": "name", "connections": "id", "events": "id"}


class Watching:
    """Follows topics in a thread.

    Attributes:
        tables: rows by topic and key, as they are now.
        overview: likewise.
        seen: (topic, key, row) after each change, in order.
        points: of the curve that came one by one.
        ended: whether the stream has ended.
    """

    def __init__(self, port: int, topics: str, user: str = "admin:secret") -> None:
        self.tables: dict[str, dict[Any, dict[str, Any]]] = {topic: {} for topic in KEYS}
        self.overview: dict[str, Any] = {}
        self.seen: list[tuple[str, Any, dict[str, Any]]] = []
        self.points: list[list[int]] = []
        self.ended = False
        self._heard: set[str] = set()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        token = base64.b64encode(user.encode()).decode()
        headers = {"Authorization": f"Basic {token}"}
        self._connection.request("GET", f"/api/admin/stream?topics={topics}", headers=headers)
        self.response = self._connection.getresponse()
        self._socket = self._connection.sock
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        eventually(lambda: self._heard == set(topics.split(",")), "all snapshots")

    def _follow(self) -> None:
        kind = ""
        with suppress(OSError, http.client.HTTPException, AttributeError, ValueError):
            while line := self.response.readline().decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind != "alive":
                    self._take(kind, json.loads(value))
        self.ended = True

    def _take(self, kind: str, message: dict[str, Any]) -> None:
        topic = message["topic"]
        if topic == "overview":
            self.overview = {**self.overview, **message["value"]}
            self.points += [message["value"]["point"]] if "point" in message["value"] else []
        else:
            table = {} if kind == "snapshot" else dict(self.tables[topic])
            for row in message["rows" if kind == "snapshot" else "changed"]:
                key = row[KEYS[topic]]
                table[key] = {**table.get(key, {}), **row}
                self.seen.append((topic, key, table[key]))
            for key in message.get("gone", ()):
                del table[key]
            self.tables[topic] = table
        self._heard.add(topic)

    def rows(self, topic: str) -> list[dict[str, Any]]:
        """Give the rows of a table, as they are now."""
        return list(self.tables[topic].values())

    def kinds(self) -> list[str]:
        """Give the kinds of all events, the oldest first."""
        return [row["kind"] for _, row in sorted(self.tables["events"].items())]

    def close(self) -> None:
        """Watch no more."""
        with suppress(OSError):
            self._socket.shutdown(2)
        self._thread.join(PATIENCE)
        self.response.close()
        self._connection.close()
