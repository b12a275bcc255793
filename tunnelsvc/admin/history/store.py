# -*- test-case-name: tests.admin.history.test_store -*-
"""Reads and writes the database. Everything here may block, and belongs to one thread."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from tunnelsvc.admin.history import rows
from tunnelsvc.admin.history.database import (
    DIRECTORY_MODE,
    NAME,
    BrokenError,
    Lock,
    connect,
    move_aside,
)
from tunnelsvc.admin.history.place import Owner
from tunnelsvc.admin.history.search import search
from tunnelsvc.admin.history.values import Batch, Loaded, Query, UnusableError
from tunnelsvc.metrics.events import MOST_REMEMBERED as MOST_EVENTS
from tunnelsvc.metrics.events import Event
from tunnelsvc.metrics.journal import NOBODY, Moved, ProxyRecord
from tunnelsvc.metrics.retention import MOST_REMEMBERED, REMEMBERED_SECONDS
from tunnelsvc.metrics.traffic import DAYS, Past
from tunnelsvc.units import DAY

KEPT_DAYS: Final = 400
"""Days with traffic that are kept: a year, and the same month of the year before. They are counted,
and not measured by a clock that may be wrong."""
KEPT_PROXIES: Final = 10_000
"""Proxies that are kept, of those offline: those that were online last."""
KEPT_EVENTS: Final = 100_000
KEPT_EVENT_SECONDS: Final = 90 * DAY
"""Events say who came from where."""
BELIEVED_SECONDS: Final = 30 * DAY
"""How far the clock may have gone since the last start that anything is deleted for its age."""
FORGETTING: Final = 1_000
"""New proxies after which old ones are forgotten, besides once in a while."""
ID_GAP: Final = 1_000
"""Between the ids of events before a restart and after it: the last ones may have got lost, and
their ids must not come back."""


def open_store(directory: Path, owner: Owner, now: float, today: int) -> tuple[Store, Loaded]:
    """Open the database and read what is to be shown; see `Store` and `Store.load`.

    Raises:
        UnusableError: that's not possible; says why.
    """
    store = Store(directory, owner, now)
    try:
        with explained(directory):
            return store, store.load(now, today)
    except BaseException:
        store.close()
        raise


class Store:
    """The database of one server, which no other has at the same time."""

    log = Logger()

    def __init__(self, directory: Path, owner: Owner, now: float) -> None:
        """Open it, or begin one.

        Args:
            directory: where it is; it's made if it isn't there.
            owner: of the files that are made.
            now: Unix seconds.

        Raises:
            UnusableError: that's not possible; says why.
        """
        with explained(directory):
            made = not directory.exists()
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            self._path = directory / NAME
            self._lock = Lock(directory)
            try:
                self._saved_rules: str | None = None
                self._database = self._open()
                self._write_something(now)
                _give(owner, [directory] * made + list(directory.glob(f"{NAME}*")))
            except BaseException:
                self._lock.release()
                raise
        self._new = 0
        self._believed = self._time_of("saved_at") + BELIEVED_SECONDS

    def _open(self) -> sqlite3.Connection:
        try:
            return connect(self._path)
        except BrokenError:
            self._saved_rules = _rescued_rules(self._path)
            move_aside(self._path, self.log)
            return connect(self._path)

    def _write_something(self, now: float) -> None:
        """Look whether anything can be written, before anybody relies on it."""
        with self._transaction():
            self._set("opened_at", now)
            if self._saved_rules is not None:
                self._set("rules", self._saved_rules)

    def close(self) -> None:
        """Let others have it."""
        try:
            self._database.close()
        finally:
            self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Do all of it or nothing."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # it may have ended by itself
                self._database.execute("ROLLBACK")
            raise

    def _get(self, key: str) -> object:
        row = self._database.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _set(self, key: str, value: object) -> None:
        self._database.execute("REPLACE INTO state VALUES (?, ?)", (key, value))

    def _time_of(self, key: str) -> float:
        return rows.moment(self._get(key)) or 0.0

    def load(self, now: float, today: int) -> Loaded:
        """Read what is to be shown, and note that nobody is online.

        Args:
            now: Unix seconds.
            today: the ordinal of the day.
        """
        with self._transaction():
            # All proxies together, if somebody has deleted them.
            self._database.execute("INSERT OR IGNORE INTO proxies (name, type) VALUES ('', '')")
            self._database.execute(
                "UPDATE proxies SET closed_at = ? WHERE closed_at IS NULL AND type <> ''",
                (self._time_of("saved_at"),),
            )
        events = self._latest_events()
        return Loaded(
            past=self._past(*NOBODY, today),
            proxies=tuple(self._remembered(now, today)),
            events=tuple(events),
            next_event_id=self._next_event_id(),
            rules=rows.rules(self._get("rules")),
            next_batch=rows.number(self._get("batch")) + 1,
        )

    def _past(self, name: str, kind: str, today: int) -> Past:
        key = (name, kind)
        days = self._database.execute(
            "SELECT day, in_bytes, out_bytes FROM traffic"
            " WHERE name = ? AND type = ? AND day BETWEEN ? AND ?",
            (*key, rows.day_text(max(today - DAYS, 1)), rows.day_text(today)),
        )
        total = self._database.execute(
            "SELECT in_bytes, out_bytes FROM proxies WHERE name = ? AND type = ?", key
        ).fetchone()
        return rows.past(days, *(total or (0, 0)))

    def _remembered(self, now: float, today: int) -> Iterator[ProxyRecord]:
        """Give the proxies that are shown as offline; of two of one name the later one."""
        found = self._database.execute(
            f"SELECT {rows.PROXY_COLUMNS} FROM proxies"  # noqa: S608 - a constant
            " WHERE closed_at >= ? AND type <> '' ORDER BY closed_at DESC LIMIT ?",
            (now - REMEMBERED_SECONDS, MOST_REMEMBERED),
        ).fetchall()
        names: set[str] = set()
        for row in found:
            record = rows.proxy(row, self._past(row[0], row[1], today))
            if record is not None and record.name not in names:
                names.add(record.name)
                yield record

    def _next_event_id(self) -> int:
        (last,) = self._database.execute("SELECT max(id) FROM events").fetchone()
        return rows.number(last) + ID_GAP if last else 1

    def _latest_events(self) -> list[Event]:
        found = self._database.execute(
            f"SELECT {rows.EVENT_COLUMNS} FROM events ORDER BY id DESC LIMIT ?",  # noqa: S608
            (MOST_EVENTS,),
        )
        return [event for event in map(rows.event, found) if event is not None][::-1]

    def write(self, batch: Batch) -> list[Past]:
        """Save a batch, wholly or not at all.

        Returns:
            What was saved before of each of its `Changes.fresh`.

        Raises:
            sqlite3.Error: it could not be written; the same batch may be tried again.
        """
        if batch.rules is not None:
            # Whom the administrator has locked out stays out, even if the power fails.
            self._database.execute("PRAGMA synchronous = FULL")
        try:
            with self._transaction():
                if rows.number(self._get("batch")) >= batch.number:
                    return []  # an attempt that seemed to fail has not
                past = self._save(batch)
        finally:
            self._database.execute("PRAGMA synchronous = NORMAL")
        self._new += len(batch.changes.fresh)
        if self._new >= FORGETTING:
            with suppress(sqlite3.Error):  # it's tried again, and this batch is saved
                self.forget(batch.at)
        return past

    def _save(self, batch: Batch) -> list[Past]:
        changes = batch.changes
        self._clear(changes.cleared)
        past = [
            self._past(proxy.name, proxy.type, batch.today) if rows.is_kept(proxy.name) else Past()
            for proxy in changes.fresh
        ]
        self._save_proxies(changes.proxies)
        self._add(changes.moved)
        self._database.executemany(
            f"REPLACE INTO events ({rows.EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            map(rows.event_row, batch.events),
        )
        if batch.rules is not None:
            self._set("rules", batch.rules)
        self._set("batch", batch.number)
        self._set("saved_at", batch.at)
        return past

    def _clear(self, cleared: Iterable[tuple[str, str]]) -> None:
        keys = [key for key in cleared if rows.is_kept(key[0])]
        for table in ("traffic", "proxies"):
            self._database.executemany(
                f"DELETE FROM {table} WHERE name = ? AND type = ?",  # noqa: S608 - constants
                keys,
            )

    def _save_proxies(self, records: Iterable[ProxyRecord]) -> None:
        columns = rows.PROXY_COLUMNS.split(", ")
        changed = ", ".join(f"{name} = excluded.{name}" for name in columns[2:])
        self._database.executemany(
            f"INSERT INTO proxies ({rows.PROXY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            f" ON CONFLICT (name, type) DO UPDATE SET {changed}",
            [rows.proxy_row(record) for record in records if rows.is_kept(record.name)],
        )

    def _add(self, moved: Sequence[Moved]) -> None:
        """Add traffic to the days and totals, of the proxies and of the server."""
        for day in {each.day for each in moved}:
            amounts = [(each.in_bytes, each.out_bytes) for each in moved if each.day == day]
            self._add_to(*NOBODY, day, *map(sum, zip(*amounts, strict=True)))
        for each in moved:
            if (each.name, each.type) != NOBODY and rows.is_kept(each.name):
                self._add_to(each.name, each.type, each.day, each.in_bytes, each.out_bytes)

    def _add_to(self, name: str, kind: str, day: int, in_bytes: int, out_bytes: int) -> None:
        known = self._database.execute(
            "UPDATE proxies SET in_bytes = in_bytes + ?, out_bytes = out_bytes + ?"
            " WHERE name = ? AND type = ?",
            (in_bytes, out_bytes, name, kind),
        )
        if not known.rowcount:  # the administrator has cleared it, and users still have it open
            return
        self._database.execute(
            "INSERT INTO traffic VALUES (?, ?, ?, ?, ?) ON CONFLICT (name, type, day) DO UPDATE SET"
            " in_bytes = in_bytes + excluded.in_bytes, out_bytes = out_bytes + excluded.out_bytes",
            (name, kind, rows.day_text(day), in_bytes, out_bytes),
        )

    def search(self, query: Query) -> list[Event]:
        """Find events; see `tunnelsvc.admin.history.search.search`.

        Raises:
            SearchError: likewise.
        """
        return search(self._database, query)

    def forget(self, now: float) -> None:
        """Delete what is too old or too much; `now` in Unix seconds."""
        self._new = 0
        with self._transaction():
            execute = self._database.execute
            execute(
                "DELETE FROM traffic WHERE day <= (SELECT DISTINCT day FROM traffic WHERE name = ''"
                " ORDER BY day DESC LIMIT 1 OFFSET ?)",
                (KEPT_DAYS,),
            )
            execute(
                "DELETE FROM proxies WHERE (name, type) IN (SELECT name, type FROM proxies"
                " WHERE closed_at IS NOT NULL ORDER BY closed_at DESC LIMIT -1 OFFSET ?)",
                (KEPT_PROXIES,),
            )
            execute(
                "DELETE FROM traffic WHERE NOT EXISTS (SELECT 1 FROM proxies"
                " WHERE proxies.name = traffic.name AND proxies.type = traffic.type)"
            )
            execute(
                "DELETE FROM events WHERE id <="
                " (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (KEPT_EVENTS,),
            )
            execute(
                "DELETE FROM events WHERE at < ?",
                (min(now, self._believed) - KEPT_EVENT_SECONDS,),
            )


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Say of errors what they mean for the history.

    Raises:
        UnusableError: instead of each.
    """
    try:
        yield
    except OSError as why:
        raise UnusableError(f"{why.filename or directory}: {why.strerror}") from None
    except ValueError as why:
        raise UnusableError(f"{directory}: {why}") from None
    except sqlite3.Error as why:
        raise UnusableError(f"{directory / NAME}: {why}") from None


def _give(owner: Owner, paths: list[Path]) -> None:
    if owner != Owner():
        for path in paths:
            os.chown(path, owner.uid, owner.gid)


def _rescued_rules(path: Path) -> str | None:
    """Read the rules out of a damaged database, if that's possible: they keep people out."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT value FROM state WHERE key = 'rules'").fetchone()
        if found and isinstance(rows.rules(found[0]), dict):
            return str(found[0])
    return None
