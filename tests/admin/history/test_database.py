# -*- test-case-name: tests.admin.history.test_database -*-
"""Tests of `tunnelsvc.admin.history.database`, and of how a store is opened."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.history.support import TODAY
from tests.loglines import LogLines
from tests.metrics.test_traffic import NOON
from tunnelsvc.admin.history import database as database_module
from tunnelsvc.admin.history.database import MIGRATIONS, NAME, connect
from tunnelsvc.admin.history.place import Owner
from tunnelsvc.admin.history.store import Store, open_store
from tunnelsvc.admin.history.values import Batch, Loaded, UnusableError


class OpenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.directory = Path(self.mktemp())
        self.path = self.directory / NAME
        self.patch(database_module, "LOCK_SECONDS", 0.0)

    def open(self) -> tuple[Store, Loaded]:
        store, loaded = open_store(self.directory, Owner(), NOON, TODAY)
        self.addCleanup(store.close)
        return store, loaded

    def make(self) -> None:
        """Make a database with something in it."""
        store, _ = self.open()
        store.write(Batch(number=1, at=NOON, today=TODAY, rules='{"blocks": [], "disabled": {}}'))
        store.close()

    def refusal(self) -> str:
        why = self.assertRaises(UnusableError, self.open)
        # Whoever puts it right needn't end the process: nothing is held.
        database_module.Lock(self.path.parent).release() if self.directory.is_dir() else None
        return str(why)

    def test_new(self) -> None:
        self.open()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (self.directory, self.path)]
        self.assertEqual(modes, [0o700, 0o600])

    def test_again(self) -> None:
        self.make()
        _, loaded = self.open()
        self.assertEqual(loaded.next_batch, 2)
        self.assertEqual(loaded.rules, {"blocks": [], "disabled": {}})

    def test_settings(self) -> None:
        self.make()
        with closing(connect(self.path)) as database:
            (mode,) = database.execute("PRAGMA journal_mode").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
        self.assertEqual((mode, version), ("wal", len(MIGRATIONS)))

    def test_an_empty_file(self) -> None:
        """Somebody has made it so that it has the right owner, or the power failed at once."""
        self.directory.mkdir()
        self.path.touch()
        self.open()

    def test_two(self) -> None:
        self.open()
        why = self.assertRaises(UnusableError, self.open)
        self.assertIn("another server has", str(why))

    def test_not_ours(self) -> None:
        self.directory.mkdir()
        for content in (b"x", b"SQLite format 3\0" + bytes(84), os.urandom(9000)):
            self.path.write_bytes(content)
            self.assertIn("is no database of this program", self.refusal())
            self.assertEqual(self.path.read_bytes(), content)

    def test_of_another_program(self) -> None:
        self.directory.mkdir()
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("CREATE TABLE proxies (x)")
        self.assertIn("is no database of this program", self.refusal())

    def test_newer(self) -> None:
        self.make()
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("PRAGMA user_version = 99")
        self.assertIn("newer version", self.refusal())
        with closing(sqlite3.connect(self.path)) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM proxies").fetchone(), (1,))

    def test_no_directory(self) -> None:
        self.directory.write_text("", encoding="ascii")
        why = self.assertRaises(UnusableError, self.open)
        self.assertIn(str(self.directory), str(why))

    def test_no_path(self) -> None:
        self.directory = Path("a\0b")
        self.assertRaises(UnusableError, self.open)

    def test_a_directory_in_the_way(self) -> None:
        self.path.mkdir(parents=True)
        self.assertIn("Is a directory", self.refusal())

    def test_damaged(self) -> None:
        """It's moved aside with all that it has; what was forbidden stays so, if possible."""
        self.make()
        with closing(connect(self.path)) as database:
            for number in range(500):
                database.execute(
                    "INSERT INTO events VALUES (?, 1, 'x', 'login', '', '', '', ?)",
                    (number, "x" * 99),
                )
        data = bytearray(self.path.read_bytes())
        data[-12_000:-4_000] = os.urandom(8_000)
        self.path.write_bytes(data)
        _, loaded = self.open()
        self.assertEqual(loaded.rules, {"blocks": [], "disabled": {}})
        (aside,) = self.directory.glob(f"{NAME}.damaged-*")
        self.assertEqual(aside.read_bytes(), bytes(data))
        (line,) = self.lines
        self.assertIn(str(aside), line)

    def test_a_large_one(self) -> None:
        """Who starts doesn't wait for the look at all of it."""
        self.make()
        self.patch(database_module, "CHECK_SECONDS", -1.0)
        self.patch(database_module, "_OPERATIONS", 1)
        self.assertEqual(self.open()[1].next_batch, 2)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=400))))
    def test_damaged_anywhere(self, patches: list[tuple[int, bytes]]) -> None:
        """Whatever is written over it: it's used, moved aside or left, and nothing is lost."""
        self.directory = Path(self.mktemp())
        self.path = self.directory / NAME
        self.make()
        data = bytearray(self.path.read_bytes())
        for where, piece in patches:
            at = where % len(data)
            data[at : at + len(piece)] = piece
        self.path.write_bytes(data)
        try:
            store, _ = open_store(self.directory, Owner(), NOON, TODAY)
        except UnusableError:
            return
        store.close()
        asides = [path.read_bytes() for path in self.directory.glob(f"{NAME}.damaged-*")]
        self.assertIn(asides, ([], [bytes(data)]))

    def test_migrations(self) -> None:
        """Each brings the tables from the version before; one that fails changes nothing."""
        self.make()
        second = "ALTER TABLE events ADD COLUMN more TEXT NOT NULL DEFAULT ''"
        self.patch(database_module, "MIGRATIONS", (*MIGRATIONS, second, "nonsense"))
        self.refusal()
        self.patch(database_module, "MIGRATIONS", (*MIGRATIONS, second))
        store, loaded = self.open()
        self.assertEqual(loaded.next_batch, 2)
        store._database.execute("SELECT more FROM events")

    def test_owner(self) -> None:
        given: list[tuple[str, int, int]] = []
        self.patch(os, "chown", lambda path, uid, gid: given.append((path.name, uid, gid)))
        open_store(self.directory, Owner(7, -1), NOON, TODAY)[0].close()
        self.assertIn((self.directory.name, 7, -1), given)
        self.assertIn((NAME, 7, -1), given)
