# -*- test-case-name: tests.admin.history.test_worker -*-
"""Tests of `tunnelsvc.admin.history.worker`, with a real thread."""

import threading
from functools import partial
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.trial.unittest import TestCase

from tunnelsvc.admin.history.worker import MOST_JOBS, BusyError, Worker

PATIENCE = 30.0


class WorkerTests(TestCase):
    def setUp(self) -> None:
        self.worker = Worker(reactor)  # type: ignore[arg-type]
        self.addCleanup(self.worker.end)

    def test_results_and_errors(self) -> Any:
        async def check() -> None:
            thread = await self.worker.ask(threading.current_thread)
            self.assertEqual((thread.name, thread.daemon), ("history", True))
            with self.assertRaises(ZeroDivisionError):
                await self.worker.ask(lambda: 1 // 0)
            self.assertIs(await self.worker.ask(threading.current_thread), thread)

        return ensureDeferred(check())

    def test_in_order(self) -> Any:
        async def check() -> None:
            done: list[int] = []
            jobs = [self.worker.ask(partial(done.append, n)) for n in range(MOST_JOBS // 2)]
            await gatherResults(jobs)
            self.assertEqual(done, list(range(MOST_JOBS // 2)))

        return ensureDeferred(check())

    def test_bounded(self) -> Any:
        """Behind a disk that hangs so many wait; the others are told at once."""

        async def check() -> None:
            disk, begun = threading.Event(), threading.Event()

            def hang() -> None:
                begun.set()
                disk.wait(PATIENCE)

            hanging = self.worker.ask(hang)
            begun.wait(PATIENCE)
            waiting = [self.worker.ask(int) for _ in range(MOST_JOBS)]
            self.failureResultOf(self.worker.ask(int), BusyError)
            self.assertRaises(BusyError, self.worker.wait, int, PATIENCE)
            self.assertFalse(any(each.called for each in waiting))
            disk.set()
            await hanging
            await gatherResults(waiting)

        return ensureDeferred(check())

    def test_waiting(self) -> None:
        self.assertEqual(self.worker.wait(lambda: 3, PATIENCE), 3)
        self.assertRaises(ZeroDivisionError, self.worker.wait, lambda: 1 // 0, PATIENCE)

    def test_waiting_has_an_end(self) -> None:
        disk = threading.Event()
        self.addCleanup(disk.set)
        self.assertRaises(TimeoutError, self.worker.wait, lambda: disk.wait(PATIENCE), 0.01)

    def test_ended(self) -> None:
        self.worker.wait(int, PATIENCE)
        thread = self.worker._thread
        self.worker.end()
        self.worker.end()
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())
        self.failureResultOf(self.worker.ask(int), BusyError)

    def test_ended_before_it_began(self) -> None:
        self.worker.end()
        self.failureResultOf(self.worker.ask(int), BusyError)
