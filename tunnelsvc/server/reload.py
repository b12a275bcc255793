# -*- test-case-name: tests.server.test_reload -*-
"""SIGHUP: read the server's file again, and do as it says without dropping a connection.

First all is looked at: the file, and with it the certificates and whatever else it names. Only if
all of that can be used anything changes. What can't change while the server runs is said, and stays
as it is (`tunnelsvc.config.changes`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.logger import Logger

from tunnelsvc.config import Loaded
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.metrics.events import EventLog

if TYPE_CHECKING:
    from tunnelsvc.config.changes import Change

Prepare = Callable[[ServerConfig], Callable[[], None]]
"""A part of the program: given what is to be in force, it looks whether it can do so (if not, it
raises `ConfigError`, and nothing has changed), and returns what then does it and can't fail."""


class Reload:
    """Reads a server's file again whenever it is called.

    Args:
        load: reads it.
        current: gives what is in force.
        events: where people see what came of it, too.
        parts: of the program, each of which takes from a configuration what it needs. If one can't,
            those before it have done nothing that matters.
    """

    log = Logger()

    def __init__(
        self,
        load: Callable[[], Loaded[ServerConfig]],
        current: Callable[[], ServerConfig],
        events: EventLog,
        parts: Sequence[Prepare],
    ) -> None:
        self._load = load
        self._current = current
        self._events = events
        self._parts = parts

    def __call__(self) -> None:
        """Do it; what comes of it is in the log."""
        from tunnelsvc.config.changes import merge  # noqa: PLC0415 - most never do it

        try:
            loaded = self._load()
            change = merge(self._current(), loaded.config)
            commits = [prepare(change.config) for prepare in self._parts]
        except ConfigError as error:
            for problem in error.problems:
                self.log.error("{problem}", problem=problem)
            self.log.error(
                "the configuration can't be used; the one before stays in force, all of it"
            )
            self._events.add("reload_failed", detail="; ".join(error.problems))
            return
        for commit in commits:
            commit()
        for warning in loaded.warnings:
            self.log.warn("{text}", text=warning)
        for key in change.kept:
            self.log.warn(
                "{key} can't change while the server runs: the new value waits for the next start,"
                " the old one stays in force",
                key=key,
            )
        for key, when in change.live.items():
            self.log.info("{key} has changed, {when}", key=key, when=when)
        if not (change.live or change.kept):
            self.log.info("the configuration was read again; nothing has changed")
        self._events.add("reloaded", detail=_summary(change))


def _summary(change: Change) -> str:
    """Say which keys have other values now, and which wait for the next start."""
    parts = [", ".join(change.live) or "nothing has changed"]
    if change.kept:
        parts.append(f"not before the next start: {', '.join(change.kept)}")
    return "; ".join(parts)
