# -*- test-case-name: tests.admin.history.test_database -*-
"""The database's file: whose it is, which form it has, and whether it's whole.

Nothing is ever deleted. What isn't ours, or is of a newer version, is left as it is; what of ours
is damaged is moved aside, and a new one begun.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from tunnelsvc.admin.history.values import UnusableError
from tunnelsvc.units import MiB

NAME: Final = "tunnelsvc.db"
"""Of the file."""
APPLICATION_ID: Final = 0x74756E6C
"""In the file's header: it is ours (``tunl``)."""
MODE: Final = 0o600
"""Of the file: users' addresses are nobody's business."""
DIRECTORY_MODE: Final = 0o700
"""Of a directory that we make."""
LOCK_SECONDS: Final = 6.0
"""How long another server may have the directory: one that is just stopping has five seconds."""
LOCK_POLL_SECONDS: Final = 0.1
BUSY_SECONDS: Final = 1.0
"""How long somebody else may be writing, who looks at the file by other programs."""
CHECK_SECONDS: Final = 5.0
"""How long the look at whether a database is whole may take; a large one is looked at in part."""
_OPERATIONS: Final = 20_000
"""Of SQLite, between two looks at the clock: about a millisecond."""
MOST_WAL_BYTES: Final = 4 * MiB
"""Of the log beside the file, after it has been worked off."""

MIGRATIONS: Final = (
    # 1: the first.
    """
    CREATE TABLE state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE proxies (
        name TEXT NOT NULL,  -- with its type empty: all proxies together
        type TEXT NOT NULL,
        user TEXT NOT NULL DEFAULT '',
        client_id TEXT NOT NULL DEFAULT '',
        remote_addr TEXT NOT NULL DEFAULT '',
        started_at REAL NOT NULL DEFAULT 0,  -- Unix seconds, like all times
        closed_at REAL,  -- NULL: online
        closed_reason TEXT NOT NULL DEFAULT '',
        in_bytes INTEGER NOT NULL DEFAULT 0,  -- in all
        out_bytes INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (name, type)
    ) WITHOUT ROWID;
    CREATE TABLE traffic (
        name TEXT NOT NULL,
        type TEXT NOT NULL,
        day TEXT NOT NULL,  -- of the local calendar, 2026-11-25
        in_bytes INTEGER NOT NULL,
        out_bytes INTEGER NOT NULL,
        PRIMARY KEY (name, type, day)
    ) WITHOUT ROWID;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        category TEXT NOT NULL,
        client TEXT NOT NULL,
        proxy TEXT NOT NULL,
        address TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    CREATE INDEX events_at ON events (at);
    INSERT INTO proxies (name, type) VALUES ('', '');
    """,
)
"""Each brings the tables from the version before to its own: SQL, run in one transaction."""


class BrokenError(UnusableError):
    """The database is ours, and damaged."""


class Lock:
    """Keeps other servers away from a directory, as long as this process lives.

    It is on a file of its own: those of the database SQLite locks itself, in a way that forgets all
    locks when any descriptor of the file is closed.
    """

    def __init__(self, directory: Path) -> None:
        """Take it, within `LOCK_SECONDS`.

        Raises:
            UnusableError: another server has it.
            OSError: the file can't be made.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(directory / f"{NAME}.lock", flags, MODE))
        deadline = time.monotonic() + LOCK_SECONDS
        while not self._take():
            if time.monotonic() > deadline:
                self.release()
                raise UnusableError(f"another server has {directory}")
            time.sleep(LOCK_POLL_SECONDS)

    def _take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let others come."""
        self._file.close()


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, and make it if there is none; to be used by this thread only.

    Raises:
        UnusableError: the file isn't ours, is newer than we are, or damaged (`BrokenError`).
        sqlite3.Error: it can't be read or written.
        OSError: it can't be made.
    """
    # SQLite would make it readable for everybody; the files beside it get the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE))
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        database.text_factory = lambda data: data.decode("utf-8", "replace")
        _prepare(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    version = _version(database, path)
    if version > len(MIGRATIONS):
        raise UnusableError(f"{path} is of a newer version of this program")
    if version:
        _check(database, path)
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        database.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number};"
            f" PRAGMA application_id = {APPLICATION_ID}; COMMIT"
        )
    # Only now: so the header says whose it is from the first moment on.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute(f"PRAGMA journal_size_limit = {MOST_WAL_BYTES}")


def _version(database: sqlite3.Connection, path: Path) -> int:
    """Find the version of the tables; 0: there are none.

    Raises:
        UnusableError: it is a file of somebody else.
    """
    foreign = f"{path} is no database of this program, and is left as it is"
    try:
        (mark,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
    except sqlite3.DatabaseError as why:
        if code_of(why) == sqlite3.SQLITE_NOTADB:
            raise UnusableError(foreign) from None
        if code_of(why) == sqlite3.SQLITE_CORRUPT and _is_marked(path):
            raise BrokenError(f"{path} is damaged") from None
        raise
    if mark == APPLICATION_ID and version > 0:
        return int(version)
    # SQLite would write over a file that is shorter than a page.
    if pages or path.stat().st_size:
        raise UnusableError(foreign)
    return 0


def _is_marked(path: Path) -> bool:
    """Whether the header of a file that SQLite can't read says that it's ours."""
    with path.open("rb") as file:
        return file.read(72)[68:] == APPLICATION_ID.to_bytes(4, "big")


def _check(database: sqlite3.Connection, path: Path) -> None:
    """Look whether the database is whole.

    Raises:
        BrokenError: it isn't.
    """
    try:
        with limited(database, CHECK_SECONDS):
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as why:
        if code_of(why) == sqlite3.SQLITE_INTERRUPT:
            return
        if code_of(why) not in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise
        found = str(why)
    if found != "ok":
        raise BrokenError(f"{path} is damaged ({found})")


@contextmanager
def limited(database: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupt what takes longer than so many seconds.

    Raises:
        sqlite3.Error: it did; its `code_of` is ``SQLITE_INTERRUPT``.
    """
    deadline = time.monotonic() + seconds
    database.set_progress_handler(lambda: time.monotonic() > deadline, _OPERATIONS)
    try:
        yield
    finally:
        database.set_progress_handler(None, 0)


def move_aside(path: Path, log: Logger) -> None:
    """Rename a damaged database, and what is beside it, so that SQLite still can open it.

    Raises:
        OSError: that's not permitted.
    """
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for end in ("-wal", "-shm", ""):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(aside.with_name(aside.name + end))
    log.error(
        "the database of the dashboard's history is damaged: it is {aside} now, and a new one is"
        " begun",
        aside=str(aside),
    )


def code_of(why: sqlite3.Error) -> int:
    """Give SQLite's own code of an error, without its details; 0: there is none."""
    return getattr(why, "sqlite_errorcode", 0) & 0xFF
