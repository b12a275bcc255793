# -*- test-case-name: tests.test_linefile -*-
"""Tests of `tunnelsvc.linefile`."""

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tunnelsvc.linefile import COMPLAINT_SECONDS, FLUSH_BYTES, FLUSH_SECONDS, LineFile


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class LineFileCase(SynchronousTestCase):
    """A file in a directory of its own."""

    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.clock = Clock()
        self.path = Path(self.mktemp()) / "access.log"
        self.path.parent.mkdir()

    def open(self, path: Path | None = None) -> LineFile:
        file = LineFile(str(path or self.path), self.clock, key="access_log")
        self.addCleanup(file.close)
        return file

    def content(self) -> bytes:
        return self.path.read_bytes()


class WriteTests(LineFileCase):
    def test_gathered(self) -> None:
        """Lines are written together, a second after the first."""
        file = self.open()
        file.write(b"one\n")
        self.clock.advance(FLUSH_SECONDS - 0.1)
        file.write(b"two\n")
        self.assertEqual(self.content(), b"")
        self.clock.advance(0.2)
        self.assertEqual(self.content(), b"one\ntwo\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many(self) -> None:
        """When there are many they don't wait."""
        file = self.open()
        line = b"x" * 1023 + b"\n"
        for _ in range(FLUSH_BYTES // len(line)):
            self.assertEqual(self.content(), b"")
            file.write(line)
        self.assertEqual(len(self.content()), FLUSH_BYTES)
        file.write(b"next\n")
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(self.content()[FLUSH_BYTES:], b"next\n")

    def test_one_timer(self) -> None:
        file = self.open()
        for _ in range(5):
            file.write(b"line\n")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_added(self) -> None:
        """What was there stays."""
        self.path.write_bytes(b"before\n")
        file = self.open()
        file.write(b"after\n")
        file.flush()
        self.assertEqual(self.content(), b"before\nafter\n")

    def test_close(self) -> None:
        """The end writes what has gathered; what comes later is dropped without a word."""
        file = self.open()
        file.write(b"last\n")
        file.close()
        self.assertEqual(self.content(), b"last\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        file.write(b"too late\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        file.reopen()
        file.close()
        self.assertEqual(self.content(), b"last\n")
        self.assertEqual(self.lines, [])

    def test_mode(self) -> None:
        """Others can't read it."""
        self.addCleanup(os.umask, os.umask(0o022))
        self.open()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)

    def test_mode_of_the_next(self) -> None:
        """Who reads one file reads the next, whatever a daemon's umask is."""
        self.addCleanup(os.umask, os.umask(0o022))
        file = self.open()
        os.umask(0o077)
        for mode in 0o640, 0o644, 0o600:
            self.path.chmod(mode)
            file.reopen()
            self.path.rename(self.path.with_suffix(f".{mode:o}"))
            file.reopen()
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), mode)

    def test_not_inherited(self) -> None:
        descriptor = self.open()._descriptor
        assert descriptor is not None
        self.assertFalse(os.get_inheritable(descriptor))

    def test_cannot_be_opened(self) -> None:
        self.assertRaises(FileNotFoundError, self.open, self.path / "nowhere" / "x")
        self.assertRaises(IsADirectoryError, self.open, self.path.parent)

    def test_pipe_without_reader(self) -> None:
        """Nobody waits for one."""
        os.mkfifo(self.path)
        self.assertRaises(OSError, self.open)

    def test_directory_of_a_daemon(self) -> None:
        """The path means what it meant at the start."""
        self.addCleanup(os.chdir, Path.cwd())
        elsewhere = self.path.parent.absolute()
        file = self.open()
        os.chdir("/")
        (elsewhere / "access.log").unlink()
        file.reopen()
        self.assertTrue((elsewhere / "access.log").exists())


class ReopenTests(LineFileCase):
    def test_renamed(self) -> None:
        """Each file gets the lines of its time, none is lost."""
        file = self.open()
        file.write(b"before\n")
        moved = self.path.rename(self.path.with_suffix(".1"))
        file.write(b"meanwhile\n")
        file.reopen()
        file.write(b"after\n")
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(moved.read_bytes(), b"before\nmeanwhile\n")
        self.assertEqual(self.content(), b"after\n")

    def test_descriptors(self) -> None:
        """The old file is closed."""
        file = self.open()
        before = open_files()
        for _ in range(5):
            file.reopen()
        self.assertEqual(open_files(), before)

    def test_vanished_directory(self) -> None:
        """The old file is written on until the directory is back."""
        file = self.open()
        directory = self.path.parent
        moved = directory.rename(f"{directory}.moved")
        file.reopen()
        file.write(b"line\n")
        file.flush()
        self.assertEqual((moved / "access.log").read_bytes(), b"line\n")
        (line,) = self.lines
        self.assertEqual(
            line,
            f"access_log = {self.path.absolute()}: can't be opened anew: No such file or "
            "directory; the old file is written on",
        )
        directory.mkdir()
        file.reopen()
        file.write(b"back\n")
        file.flush()
        self.assertEqual(self.content(), b"back\n")


class FullDiskTests(LineFileCase):
    def test_complaints(self) -> None:
        """Lines are lost, nobody fails, and the log has a line a minute."""
        file = self.open(Path("/dev/full"))
        for _ in range(3):
            file.write(b"one\n")
            file.write(b"two\n")
            self.clock.advance(FLUSH_SECONDS)
        (line,) = self.lines
        self.assertEqual(
            line,
            "access_log = /dev/full: can't be written: No space left on device; "
            "lines lost so far: 2",
        )
        self.clock.advance(COMPLAINT_SECONDS)
        file.write(b"three\n")
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(len(self.lines), 2)
        self.assertIn("lines lost so far: 7", self.lines[1])

    def pipe(self) -> Callable[[], bytes]:
        """Make the path a pipe that holds a page; return what reads all of it."""
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.room = fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        return lambda: os.read(reader, 1024 * 1024)

    def test_half_a_line(self) -> None:
        """The half that had room ends before the next line begins."""
        read = self.pipe()
        file = self.open()
        long = b"x" * self.room + b"\n"
        file.write(b"first\n")
        file.write(long)
        file.write(b"lost\n")
        file.flush()
        self.assertIn("lines lost so far: 2", self.lines[0])
        self.assertEqual(read(), b"first\n" + long[: self.room - 6])
        file.write(b"next\n")
        file.write(b"last\n")
        file.flush()
        self.assertEqual(read(), b"\nnext\nlast\n")
        file.write(b"again\n")
        file.flush()
        self.assertEqual(read(), b"again\n")

    def test_still_full(self) -> None:
        """The half stays one while nothing can be written."""
        read = self.pipe()
        file = self.open()
        file.write(b"x" * self.room + b"\n")
        file.flush()
        file.write(b"lost\n")
        file.flush()
        read()
        file.write(b"next\n")
        file.flush()
        self.assertEqual(read(), b"\nnext\n")

    def test_new_file(self) -> None:
        """A new file doesn't begin with the end of a line of the old one."""
        self.pipe()
        file = self.open()
        file.write(b"x" * self.room + b"\n")
        file.flush()
        self.path.unlink()
        file.reopen()
        file.write(b"next\n")
        file.flush()
        self.assertEqual(self.content(), b"next\n")
