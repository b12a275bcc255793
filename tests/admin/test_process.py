# -*- test-case-name: tests.admin.test_process -*-
"""Tests of `tunnelsvc.admin.process`."""

import os
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin import process
from tunnelsvc.admin.process import Process
from tunnelsvc.units import MiB


class ProcessTests(SynchronousTestCase):
    def test_memory(self) -> None:
        before = Process().shape()["memory_bytes"]
        more = bytearray(64 * MiB)
        more[::4096] = b"x" * len(more[::4096])
        after = Process().shape()["memory_bytes"]
        self.assertGreater(after, before + 32 * MiB)
        self.assertLess(after, before + 128 * MiB)

    def test_where_linux_does_not_tell(self) -> None:
        self.patch(process, "STATM", Path("/nonexistent"))
        self.patch(process, "OPEN_FILES", "/nonexistent")
        shape = Process().shape()
        self.assertGreater(shape["memory_bytes"], 10 * MiB)
        self.assertIsNone(shape["open_files"])

    def test_open_files(self) -> None:
        before = Process().shape()["open_files"]
        ends = os.pipe()
        self.addCleanup(os.close, ends[0])
        self.addCleanup(os.close, ends[1])
        self.assertEqual(Process().shape()["open_files"], before + 2)

    def test_processor(self) -> None:
        times = {"monotonic": 100.0, "process_time": 5.0}
        self.patch(time, "monotonic", lambda: times["monotonic"])
        self.patch(time, "process_time", lambda: times["process_time"])
        looking = Process()
        times.update(monotonic=102.0, process_time=5.5)
        self.assertEqual(looking.shape()["cpu_percent"], 25.0)
        times.update(monotonic=102.5, process_time=6.0)
        self.assertEqual(looking.shape()["cpu_percent"], 25.0)
        times.update(monotonic=106.0)
        self.assertEqual(looking.shape()["cpu_percent"], 12.5)
