# -*- test-case-name: tests.config.test_reading -*-
"""Tests of `tunnelsvc.config.reading`."""

import os
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config import legacy, reading
from tunnelsvc.config.reading import read_bytes
from tunnelsvc.errors import ConfigError


class ReadBytesTests(SynchronousTestCase):
    """Files, and what only has the name of one."""

    def fifo(self) -> str:
        path: str = self.mktemp()
        os.mkfifo(path)
        return path

    def test_file(self) -> None:
        path = self.mktemp()
        Path(path).write_bytes(b"abc")
        self.assertEqual((read_bytes(path, 9), read_bytes(path, 2)), (b"abc", b"ab"))

    def test_endless(self) -> None:
        self.assertEqual(read_bytes("/dev/zero", 100_000), bytes(100_000))

    def test_nothing(self) -> None:
        self.assertEqual(read_bytes(os.devnull, 9), b"")

    def test_directory(self) -> None:
        self.assertRaises(IsADirectoryError, read_bytes, ".", 9)

    def test_pipe(self) -> None:
        """All that somebody writes, also if that one comes later."""
        path = self.fifo()
        writer = Thread(target=Path(path).write_bytes, args=(b"x" * 200_000,))
        writer.start()
        self.addCleanup(writer.join)
        self.assertEqual(read_bytes(path, 300_000), b"x" * 200_000)

    def test_pipe_of_nobody(self) -> None:
        """A program that reads its file again doesn't stand still for ever."""
        self.patch(reading, "PIPE_SECONDS", 0.01)
        path = self.fifo()
        why = self.assertRaises(ConfigError, legacy.read, path)
        self.assertEqual(
            why.problems,
            (f"{path}: can't be read: it doesn't come to an end within 0.01 s",),
        )

    def test_without_waiting(self) -> None:
        path = self.mktemp()
        Path(path).write_bytes(b"abc")
        self.assertEqual(read_bytes(path, 9, waits=False), b"abc")
        for other in self.fifo(), "/dev/zero":
            why = self.assertRaises(OSError, read_bytes, other, 9, waits=False)
            self.assertEqual(why.strerror, "not a regular file")

    def test_pipe_without_an_end(self) -> None:
        self.patch(reading, "PIPE_SECONDS", 0.01)
        path = self.fifo()
        both_ends = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, both_ends)
        os.write(both_ends, b"x")
        self.assertRaises(TimeoutError, read_bytes, path, 9)
