# -*- test-case-name: tests.admin.history.test_store -*-
"""Databases for tests, and a worker without a thread."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.test_traffic import NOON
from tunnelsvc.admin.history.place import Owner
from tunnelsvc.admin.history.store import Store
from tunnelsvc.admin.history.values import Batch, Loaded
from tunnelsvc.admin.history.worker import BusyError, Worker
from tunnelsvc.metrics.events import Event
from tunnelsvc.metrics.journal import Changes, Moved, ProxyRecord

T = TypeVar("T")

TODAY = 739_811
"""The ordinal of 2026-07-14, or a day near it; what day it is doesn't matter."""


class Inline(Worker):
    """Does jobs at once, or not until told: `hold`, `release`."""

    def __init__(self) -> None:
        self.held: list[tuple[Callable[[], object], Deferred[object]]] = []
        self.holding = False
        self.ended = False

    def ask(self, job: Callable[[], T]) -> Deferred[T]:
        if self.ended:
            return fail(BusyError("ended"))
        if self.holding:
            answer: Deferred[T] = Deferred()
            self.held.append((job, answer))  # type: ignore[arg-type]
            return answer
        try:
            return succeed(job())
        except Exception:  # noqa: BLE001 - as the thread does it
            return fail(Failure())

    def wait(self, job: Callable[[], T], seconds: float) -> T:
        return job()

    def release(self) -> None:
        """Do what was held back."""
        self.holding = False
        held, self.held = self.held, []
        for job, answer in held:
            try:
                answer.callback(job())
            except Exception:  # noqa: BLE001 - likewise
                answer.errback(Failure())

    def end(self) -> None:
        self.ended = True


class StoreTestCase(SynchronousTestCase):
    """A database in a directory of its own."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.store = self.open()
        self.number = 0

    def open(self) -> Store:
        store = Store(self.directory, Owner(), NOON)
        self.addCleanup(store.close)
        return store

    def load(self, now: float = NOON, today: int = TODAY) -> Loaded:
        return self.store.load(now, today)

    def write(
        self,
        *moved: Moved,
        events: tuple[Event, ...] = (),
        rules: str | None = None,
        at: float = NOON,
        **changes: object,
    ) -> None:
        """Write a batch."""
        self.number += 1
        self.store.write(
            Batch(
                number=self.number,
                at=at,
                today=TODAY,
                changes=Changes(moved=moved, **changes),  # type: ignore[arg-type]
                events=events,
                rules=rules,
            )
        )


def ssh(size: int, day: int = TODAY, name: str = "ssh") -> Moved:
    return Moved(name, "tcp", day, size, 2 * size)


def record(name: str = "ssh", closed_at: float | None = None) -> ProxyRecord:
    return ProxyRecord(
        name=name,
        type="tcp",
        user="alice",
        client_id="laptop",
        remote_addr=":6000",
        started_at=NOON - 10,
        closed_at=closed_at,
        closed_reason="gone" if closed_at else "",
    )


def event(number: int, at: float = NOON, group: str = "login", **texts: str) -> Event:
    return Event(number, at, "login", group, **texts)
