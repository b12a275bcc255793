# -*- test-case-name: tests.admin.history.test_store -*-
"""What goes to the database's thread and comes from it. Who has no database needs no more."""

from collections.abc import Iterable

from attrs import field, frozen

from tunnelsvc.metrics.events import Event
from tunnelsvc.metrics.journal import Changes, ProxyRecord
from tunnelsvc.metrics.traffic import Past


class UnusableError(Exception):
    """There can't be a history; says why, for the log."""


class SearchError(Exception):
    """A search takes too long, or can't be made."""


@frozen(kw_only=True)
class Loaded:
    """What there was before the restart."""

    past: Past = field(factory=Past)
    proxies: tuple[ProxyRecord, ...] = ()
    events: tuple[Event, ...] = ()
    """The latest, the oldest of them first."""
    next_event_id: int = 1
    rules: object = None
    next_batch: int = 1


@frozen(kw_only=True)
class Batch:
    """What is written in one piece.

    Attributes:
        number: the same in every attempt to write it, and of no other.
        at: when it was gathered, Unix seconds.
        today: the ordinal of that day.
        rules: as JSON; None: they haven't changed.
    """

    number: int
    at: float
    today: int
    changes: Changes = field(factory=Changes)
    events: tuple[Event, ...] = ()
    rules: str | None = None

    def __bool__(self) -> bool:
        """Tell whether there is anything to be written."""
        return bool(self.changes or self.events or self.rules is not None)


@frozen(kw_only=True)
class Query:
    """Which events are wanted: the newest of those that fit.

    Attributes:
        before: only those with a smaller id; None: all.
        group: only those of this one; empty: of all.
        text: is in the client, proxy, address, detail or kind; case doesn't matter.
        limit: how many at most.
    """

    before: int | None = None
    group: str = ""
    text: str = ""
    limit: int = 200

    def newest(self, events: Iterable[Event]) -> list[Event]:
        """Pick those that are wanted, the newest first; one that is there twice comes once."""
        found = {event.id: event for event in events if self.matches(event)}
        return [found[number] for number in sorted(found, reverse=True)][: self.limit]

    def matches(self, event: Event) -> bool:
        """Tell whether an event fits."""
        wanted = self.text.lower()
        return (
            (self.before is None or event.id < self.before)
            and self.group in {"", event.group}
            and any(
                wanted in each.lower()
                for each in (event.client, event.proxy, event.address, event.detail, event.kind)
            )
        )
