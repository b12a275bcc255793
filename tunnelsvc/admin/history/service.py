# -*- test-case-name: tests.admin.history.test_service -*-
"""Saves what the dashboard shows every few seconds, and brings it back at the next start.

The reactor gathers a batch, and the thread writes it; while one is under way, or can't be written,
the next one gathers, in bounded space. So a slow disk delays nothing, and a full one costs what
doesn't fit any more. After a crash what is lost is the last batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, maybeDeferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.admin.history import rows
from tunnelsvc.admin.history.place import Place
from tunnelsvc.admin.history.values import Batch, Loaded, Query, SearchError, UnusableError
from tunnelsvc.admin.history.worker import BusyError, Worker
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.metrics.events import Event
from tunnelsvc.metrics.journal import Journal
from tunnelsvc.metrics.traffic import Past
from tunnelsvc.units import HOUR, MINUTE

if TYPE_CHECKING:
    from tunnelsvc.admin.history.store import Store

SAVE_SECONDS: Final = 3.0
"""Between two batches: what a crash may cost."""
LIFE_SECONDS: Final = MINUTE
"""Between two batches when nothing happens: from them we know until when we lived."""
FORGET_SECONDS: Final = HOUR
"""Between two looks at what is too old."""
OPEN_SECONDS: Final = 20.0
"""How long the start may wait for the disk."""
LAST_SECONDS: Final = 2.0
"""How long the stop may."""
COMPLAINT_SECONDS: Final = MINUTE
"""Between two lines in the log about one trouble."""
MOST_EVENTS: Final = 5_000
"""That wait to be saved; further ones push out the oldest."""
MOST_ANSWERED: Final = 1_000
"""Events given at a time."""


class HistoryError(Exception):
    """A question can't be answered now; says why."""


class Moderated(Protocol):
    """Has rules that are to be kept; `tunnelsvc.server.moderation` has them."""

    on_change: Callable[[], None]
    """Called whenever they change."""

    def rules(self) -> object:
        """Give them, as JSON can have it."""

    def restore(self, rules: Any) -> None:
        """Put what `rules` gave into force again.

        Raises:
            ValueError: it isn't that.
        """


class History(MultiService):
    """The services whose state is saved are its children: they begin after it and end before it.

    Attributes:
        is_on: whether anything is saved.
    """

    log = Logger()

    def __init__(
        self,
        place: Place,
        stats: ServerStats,
        moderation: Moderated,
        reactor: Any,
        worker: Worker | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            place: where the database is.
            stats: what is saved, and restored.
            moderation: likewise.
            reactor: its clock, and its thread.
            worker: does what blocks; None: a thread of its own.
        """
        super().__init__()
        self.is_on = False
        self._place = place
        self._stats = stats
        self._moderation = moderation
        self._reactor = reactor
        self._worker = worker or Worker(reactor)
        self._store: Store | None = None
        self._journal = Journal()
        self._events: list[Event] = []
        self._rules_changed = False
        self._batch: Batch | None = None
        self._next_batch = 1
        self._writing: Deferred[Any] | None = None
        self._waiting: list[Deferred[None]] = []
        self._saved_at = 0.0
        self._forgot_at = 0.0
        self._silent_until = 0.0
        self._is_failing = False
        self._call: IDelayedCall | None = None

    def privilegedStartService(self) -> None:
        """Restore everything, then let the others listen.

        Raises:
            CannotListenError: a port of theirs is taken.
        """
        self._open()
        try:
            super().privilegedStartService()
        except BaseException:
            self._close()
            raise

    def _open(self) -> None:
        directory = self._place.directory
        if directory is None:
            self.log.info(
                "data_dir isn't set: what the dashboard shows is forgotten when this server ends"
            )
            return
        # Memory that servers without a database don't spend.
        from tunnelsvc.admin.history.store import open_store  # noqa: PLC0415

        now = self._reactor.seconds()
        job = partial(open_store, directory, self._place.owner, now, self._stats.day())
        try:
            self._store, loaded = self._worker.wait(job, OPEN_SECONDS)
        except (UnusableError, TimeoutError) as why:
            self._worker.end()
            self.log.error(
                "nothing of the dashboard is saved or restored: {why}; set data_dir to a directory"
                " that this server has for itself and may write to",
                why=str(why),
            )
            return
        self.is_on = True
        self._saved_at = self._forgot_at = now
        self._restore(loaded)
        self.log.info("history is kept in {directory}", directory=str(directory))

    def _restore(self, loaded: Loaded) -> None:
        stats = self._stats
        stats.restore(loaded.past, loaded.proxies)
        stats.events.restore(loaded.events, loaded.next_event_id)
        self._next_batch = loaded.next_batch
        self._journal = stats.keep_journal()
        stats.events.subscribe(self._add_event)
        if loaded.rules is not None:
            try:
                self._moderation.restore(loaded.rules)
            except ValueError as why:
                self.log.error("what was blocked and disabled isn't any more: {why}", why=str(why))
        self._moderation.on_change = self._rules_change

    def startService(self) -> None:
        """Begin to save."""
        super().startService()
        if self._store is not None:
            self._forget(self._store)
            self._call = self._reactor.callLater(SAVE_SECONDS, self._tick, self._store)

    def _tick(self, store: Store) -> None:
        self._call = self._reactor.callLater(SAVE_SECONDS, self._tick, store)
        self.save()
        if abs(self._reactor.seconds() - self._forgot_at) >= FORGET_SECONDS:
            self._forget(store)

    def _forget(self, store: Store) -> None:
        now = self._forgot_at = self._reactor.seconds()
        self._worker.ask(partial(store.forget, now)).addErrback(
            lambda failure: self._complain("old history can't be deleted", failure)
        )

    def _add_event(self, event: Event) -> None:
        self._events.append(event)
        if len(self._events) > MOST_EVENTS:
            del self._events[: MOST_EVENTS // 10]

    def _rules_change(self) -> None:
        """Save at once: who has locked somebody out relies on it."""
        self._rules_changed = True
        if self._call is not None:
            self._call.reset(0)

    def save(self) -> Deferred[None]:
        """Have written what couldn't be the last time, else what has gathered.

        Returns:
            Fires when the present attempt has succeeded or failed; it never fails.
        """
        if self._store is not None and self._writing is None:
            self._begin(self._store)
        ended: Deferred[None] = Deferred()
        if self._writing is None:
            ended.callback(None)
        else:
            self._waiting.append(ended)
        return ended

    def _begin(self, store: Store) -> None:
        if self._batch is None:
            batch = self._gather()
            if not batch and abs(batch.at - self._saved_at) < LIFE_SECONDS:
                return
            self._batch = batch
            self._next_batch += 1
        batch = self._batch
        self._writing = writing = self._worker.ask(partial(store.write, batch))
        writing.addCallbacks(partial(self._written, batch), self._not_written)
        writing.addErrback(lambda failure: self.log.failure("saving history failed", failure))
        writing.addBoth(lambda _: self._ended())

    def _ended(self) -> None:
        self._writing = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _gather(self) -> Batch:
        self._stats.roll()
        events, self._events = tuple(self._events), []
        rules = self._rules_text() if self._rules_changed else None
        self._rules_changed = False
        return Batch(
            number=self._next_batch,
            at=self._reactor.seconds(),
            today=self._stats.day(),
            changes=self._journal.take(),
            events=events,
            rules=rules,
        )

    def _rules_text(self) -> str | None:
        try:
            return rows.rules_text(self._moderation.rules())
        except ValueError as why:
            self.log.error("the blocks aren't saved: {why}", why=str(why))
            return None

    def _written(self, batch: Batch, before: list[Past]) -> None:
        self._batch = None
        self._saved_at = batch.at
        # What was saved of proxies that come back after they were forgotten here.
        for proxy, past in zip(batch.changes.fresh, before, strict=False):
            proxy.restore(past)
        if self._is_failing:
            self._is_failing, self._silent_until = False, 0.0
            self.log.info("history is saved again")

    def _not_written(self, failure: Failure) -> None:
        self._is_failing = True
        self._complain("history can't be saved, which is tried again", failure)

    def _complain(self, what: str, failure: Failure) -> None:
        now = self._reactor.seconds()
        if now < self._silent_until:
            return
        self._silent_until = now + COMPLAINT_SECONDS
        self.log.error(
            "{what}, in {directory}: {why}",
            what=what,
            directory=str(self._place.directory),
            why=failure.getErrorMessage(),
        )

    def events(
        self, before: int | None = None, limit: int = 200, group: str = "", text: str = ""
    ) -> Deferred[list[Event]]:
        """Find events, the newest first, also those that aren't in memory any more.

        Args:
            before: only those with smaller ids; None: all.
            limit: at most so many, and at most `MOST_ANSWERED`.
            group: of one group only, unless empty.
            text: only those that have it somewhere, in small letters or capitals; unless empty.

        Returns:
            Fires within seconds; fails with a `HistoryError`.
        """
        limit = min(max(limit, 0), MOST_ANSWERED)
        query = Query(before=before, group=group, text=text, limit=limit)
        if self._store is None:
            return succeed(query.newest(self._stats.events.recent()))
        unsaved = [*(self._batch.events if self._batch is not None else ()), *self._events]
        found = self._worker.ask(partial(self._store.search, query))
        return found.addCallbacks(lambda saved: query.newest([*saved, *unsaved]), _not_found)

    def stopService(self) -> Deferred[None]:
        """End the others, and write the last; fires when that is done or takes too long."""
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        # In case that the others take too long: then this is the last.
        self.save()
        try:
            await maybeDeferred(super().stopService)
        finally:
            if self._call is not None:
                self._call.cancel()
                self._call = None
            if self.is_on:
                await self._write_last()

    async def _write_last(self) -> None:
        last = ensureDeferred(self._finish()).addTimeout(LAST_SECONDS, self._reactor)
        try:
            await last
        except (DeferredTimeoutError, CancelledError):
            self.log.error(
                "the last seconds of history are lost: {directory} takes too long",
                directory=str(self._place.directory),
            )
        self.is_on, self._store = False, None
        self._worker.end()

    async def _finish(self) -> None:
        # What is under way, what couldn't be written before, what has gathered since: at least
        # until when we lived.
        self._saved_at = 0.0
        for _ in range(3):
            await self.save()
        if self._store is not None:
            await self._worker.ask(self._store.close).addErrback(
                lambda failure: self._complain("history can't be closed", failure)
            )

    def _close(self) -> None:
        """Let another server have the database, at once."""
        store, self._store = self._store, None
        if store is not None:
            self.is_on = False
            self._worker.wait(store.close, LAST_SECONDS)
            self._worker.end()


def _not_found(failure: Failure) -> NoReturn:
    failure.trap(BusyError, SearchError)
    raise HistoryError(failure.getErrorMessage())
