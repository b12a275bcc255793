# -*- test-case-name: tests.client.test_filewatch -*-
"""Tests of `tunnelsvc.client.filewatch`, with files and without waiting."""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.client.filewatch import LOOK_SECONDS, SETTLE_SECONDS, FileWatch, look_at

SETTLED = int(SETTLE_SECONDS / LOOK_SECONDS) + 1
"""Looks until a change is believed."""


class FileWatchTests(SynchronousTestCase):
    """What is a change, and when it is told."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.main = self.directory / "frpc.ini"
        self.main.write_text("one", encoding="utf-8")
        self.clock = Clock()
        self.told: list[str] = []
        self.watch = FileWatch(self.files, self.changed, self.clock)
        self.watch.start()
        self.addCleanup(self.watch.stop)

    def files(self) -> list[str]:
        return [str(self.main), *map(str, sorted(self.directory.glob("*.more")))]

    def changed(self) -> None:
        self.told.append(self.main.read_text(encoding="utf-8"))

    def look(self, times: int = 1) -> list[str]:
        """Let it look, and give what was told since the last time."""
        self.clock.pump([LOOK_SECONDS] * times)
        told, self.told = self.told, []
        return told

    def write(self, text: str) -> None:
        self.main.write_text(text, encoding="utf-8")

    def test_nothing_changes(self) -> None:
        self.assertEqual(self.look(20), [])

    def test_written(self) -> None:
        self.write("three")
        self.assertEqual(self.look(SETTLED - 1), [])
        self.assertEqual(self.look(), ["three"])
        self.assertEqual(self.look(20), [])

    def test_the_same_size(self) -> None:
        self.write("two")
        self.assertEqual(self.look(SETTLED), ["two"])

    def test_being_written(self) -> None:
        """Never half of it."""
        for length in range(1, 10):
            self.write("[common]\n[a]\n[b]\n"[:length])
            self.assertEqual(self.look(SETTLED - 1), [])
        self.write("whole")
        self.assertEqual(self.look(SETTLED), ["whole"])

    def test_replaced(self) -> None:
        """As editors do: by another file of that name, at once or in two steps."""
        new = self.directory / "new"
        new.write_text("two", encoding="utf-8")
        new.replace(self.main)
        self.assertEqual(self.look(SETTLED), ["two"])
        self.main.replace(self.directory / "frpc.ini~")
        self.assertEqual(self.look(20), [])
        self.write("new")
        self.assertEqual(self.look(SETTLED), ["new"])

    def test_gone_and_the_same_again(self) -> None:
        aside = self.directory / "aside"
        self.main.replace(aside)
        self.assertEqual(self.look(20), [])
        aside.replace(self.main)
        self.assertEqual(self.look(20), [])

    def test_a_link_to_another_file(self) -> None:
        other = self.directory / "other"
        other.write_text("two", encoding="utf-8")
        link = self.directory / "link"
        link.symlink_to(other.absolute())
        link.replace(self.main)
        self.assertEqual(self.look(SETTLED), ["two"])

    def test_included_files(self) -> None:
        more = self.directory / "a.more"
        more.write_text("x", encoding="utf-8")
        self.assertEqual(len(self.look(SETTLED)), 1)
        more.write_text("xx", encoding="utf-8")
        self.assertEqual(len(self.look(SETTLED)), 1)
        more.unlink()
        self.assertEqual(len(self.look(SETTLED)), 1)
        self.assertEqual(self.look(20), [])

    def test_stop_and_start(self) -> None:
        """What changes in between is known already."""
        self.watch.stop()
        self.watch.stop()
        self.assertFalse(self.watch.running)
        self.write("two")
        self.assertEqual(self.look(20), [])
        self.watch.start()
        self.assertEqual(self.look(20), [])
        self.assertTrue(self.watch.running)

    def test_a_failure_ends_nothing(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        self.watch.stop()
        self.watch = FileWatch(self.files, fail, self.clock)
        self.watch.start()
        for text in ("two", "three"):
            self.write(text)
            self.look(SETTLED)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_look(self) -> None:
        self.assertIsNone(look_at([str(self.main), str(self.directory / "none")]))
        self.assertEqual(look_at([]), ())
