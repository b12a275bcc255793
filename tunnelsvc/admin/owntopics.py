# -*- test-case-name: tests.admin.test_owntopics -*-
"""What streams of the server's site tell of (docs/dashboard-api.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunnelsvc.admin import ownshapes
from tunnelsvc.admin.process import Process
from tunnelsvc.admin.topics import LogTopic, Message, Row, TableTopic, Topic
from tunnelsvc.admin.view import DashboardView, History

MOST_EVENTS: Final = 200
"""In a snapshot."""
MOST_SILENT_LOOKS: Final = 3
"""Of the overview: after so many, it is told even if the curve has stopped."""


class Overview:
    """The topic ``overview``: told when the curve has a new point, with that one alone."""

    name = "overview"
    interval = 1.0
    """A look is nothing, and a point should be seen while it is new."""

    def __init__(self, server: DashboardView, process: Process, history: History | None) -> None:
        self._server = server
        self._process = process
        self._history = history
        self._value: Row = {}
        self._curve: Row = {}
        self._number = 0
        self._silent = 0

    def start(self) -> None:
        """See `Topic`."""
        self._look()

    def _look(self) -> None:
        curves = self._server.stats.curves
        self._number = curves.number
        self._curve = ownshapes.curve(curves.total())
        self._value = self.read()

    def read(self) -> Row:
        """Shape it, but for the curve."""
        history = self._history is not None and self._history.is_on
        return ownshapes.overview(self._server, self._process.shape(), history=history)

    def stop(self) -> None:
        """See `Topic`."""
        self._value, self._curve = {}, {}

    def snapshot(self) -> Message:
        """See `Topic`."""
        return {"topic": self.name, "value": {**self._value, **self._curve}}

    def delta(self) -> Message | None:
        """See `Topic`; with the whole curve if more than one point of it is new."""
        new = self._server.stats.curves.number - self._number
        self._silent += 1
        if not new and self._silent < MOST_SILENT_LOOKS:
            return None
        self._silent = 0
        self._look()
        value = dict(self._value)
        if new == 1:
            value["point"] = self._curve["curve"][-1]
        elif new:
            value |= self._curve
        return {"topic": self.name, "value": value}


class Connections:
    """Reads the topic ``connections``."""

    def __init__(self, server: DashboardView) -> None:
        self._stats = server.stats
        self._more = 0

    def rows(self) -> Mapping[int, Row]:
        """Shape the rows."""
        rows, self._more = ownshapes.connections(self._stats)
        return rows

    def about(self) -> Message:
        """Tell how many there are besides."""
        return {"more": self._more}


def server_topics(server: DashboardView, overview: Overview) -> list[Topic]:
    """Make all topics of a server, besides one that there is."""
    events = server.stats.events
    connections = Connections(server)
    return [
        overview,
        TableTopic("clients", "key", lambda: ownshapes.clients(server)),
        TableTopic("proxies", "name", lambda: ownshapes.proxies(server)),
        TableTopic("connections", "id", connections.rows, about=connections.about),
        LogTopic(
            "events",
            lambda: events.recent()[-MOST_EVENTS:],
            events.subscribe,
            shape=ownshapes.event,
            key=lambda event: event.id,
        ),
    ]
