# -*- test-case-name: tests.admin.history.test_search -*-
"""Finds events, by text that somebody has typed: it's never part of a statement, nor a pattern."""

import sqlite3
from typing import Any, Final

from tunnelsvc.admin.history import rows
from tunnelsvc.admin.history.database import code_of, limited
from tunnelsvc.admin.history.values import Query, SearchError
from tunnelsvc.metrics.events import Event

SEARCH_SECONDS: Final = 2.0
"""How long a search may take."""
_SEARCHED: Final = ("client", "proxy", "address", "detail", "kind")
"""Columns that are looked through."""


def search(database: sqlite3.Connection, query: Query) -> list[Event]:
    """Find events, the newest first.

    Raises:
        SearchError: it takes too long, or the database can't be read.
    """
    if "\0" in query.text:  # where SQLite's patterns would end
        return []
    conditions, values = _conditions(query)
    statement = (
        f"SELECT {rows.EVENT_COLUMNS} FROM events WHERE {conditions}"  # noqa: S608 - see there
        " ORDER BY id DESC LIMIT ?"
    )
    try:
        with limited(database, SEARCH_SECONDS):
            found = database.execute(statement, (*values, max(query.limit, 0))).fetchall()
    except sqlite3.Error as why:
        if code_of(why) == sqlite3.SQLITE_INTERRUPT:
            raise SearchError("the search takes too long") from None
        raise SearchError(f"the database can't be read: {why}") from None
    return [event for event in map(rows.event, found) if event is not None]


def _conditions(query: Query) -> tuple[str, list[Any]]:
    """Write the WHERE of a search: of constants, and a mark for each value."""
    conditions, values = ["1"], list[Any]()
    if query.before is not None:
        conditions.append("id < ?")
        values.append(min(max(query.before, 0), rows.MOST_ID))
    if query.group:
        conditions.append("category = ?")
        values.append(rows.writable(query.group))
    if query.text:
        conditions.append(f"({' OR '.join(f'{name} LIKE ? ESCAPE ?' for name in _SEARCHED)})")
        values += [pattern(query.text[: rows.MOST_CHARACTERS]), "\\"] * len(_SEARCHED)
    return " AND ".join(conditions), values


def pattern(wanted: str) -> str:
    r"""Write the pattern of LIKE that finds a text anywhere, with ``\`` as escape."""
    escaped = rows.writable(wanted).replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
