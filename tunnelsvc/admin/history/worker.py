# -*- test-case-name: tests.admin.history.test_worker -*-
"""One thread that does things one after the other, so that nobody else waits for a disk.

It is none of the reactor's pool: that waits at the end for all its threads, and a disk that hangs
may hang for ever. The process doesn't wait for this one.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

MOST_JOBS: Final = 8
"""That may wait. There is one write at a time; the others are questions of readers, each of which
may take seconds."""

T = TypeVar("T")


class BusyError(Exception):
    """Too much waits for the thread, or it has ended."""


class Worker:
    """The thread. Jobs come and results go by the thread of the reactor."""

    def __init__(self, reactor: IReactorFromThreads) -> None:
        """Prepare; it begins with the first job."""
        self._reactor = reactor
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._ended = False

    def ask(self, job: Callable[[], T]) -> Deferred[T]:
        """Have a job done.

        Returns:
            Fires with its result or its error; with a `BusyError` if it isn't taken.
        """
        answer: Deferred[T] = Deferred()

        def work() -> None:
            try:
                result: Any = job()
            except BaseException:  # noqa: BLE001 - whatever it is, it belongs to who asked
                result = Failure()
            # A Failure given to callback() is an errback.
            self._reactor.callFromThread(answer.callback, result)

        return answer if self._take(work) else fail(BusyError("the database is busy"))

    def wait(self, job: Callable[[], T], seconds: float) -> T:
        """Have a job done, and wait for it; for when there is no reactor yet.

        Raises:
            TimeoutError: it takes too long, and may still be done.
            BusyError: it isn't taken.
            Exception: whatever the job raises.
        """
        results: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def work() -> None:
            try:
                results.put((True, job()))
            except BaseException as why:  # noqa: BLE001 - likewise
                results.put((False, why))

        if not self._take(work):
            raise BusyError("the database is busy")
        try:
            done, result = results.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"no answer within {seconds:g} s") from None
        if not done:
            raise result
        return result  # type: ignore[no-any-return]

    def end(self) -> None:
        """Take no more jobs; the thread ends after those that it has."""
        if not self._ended:
            self._ended = True
            self._jobs.put(None)

    def _take(self, work: Callable[[], None]) -> bool:
        if self._ended or self._jobs.qsize() >= MOST_JOBS:
            return False
        self._jobs.put(work)
        if self._thread.ident is None:
            self._thread.start()
        return True

    def _run(self) -> None:
        while (work := self._jobs.get()) is not None:
            work()
