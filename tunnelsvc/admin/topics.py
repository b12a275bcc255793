# -*- test-case-name: tests.admin.test_topics -*-
"""What streams tell of, apart from how: everything there is, and what has changed since.

A `Topic` remembers what it has told last. It is started when somebody begins to listen, and stopped
when nobody does any more; in between `delta` is called every `interval` seconds, and `snapshot` for
each who comes later, which tells what the last `delta` has left.

Messages are JSON. Of a table of rows, of which one field is the key::

    {"topic": "connections", "rows": [{"id": 7, "in": 0, "out": 0}]}             a snapshot
    {"topic": "connections", "changed": [{"id": 7, "in": 512}], "gone": [3, 4]}  a delta

A row that has changed comes with its key and the fields that are different.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

Row = dict[str, Any]
Message = dict[str, Any]
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

INTERVAL_SECONDS: Final = 2.0
"""Between two looks: as often as rates are measured."""
MOST_PENDING: Final = 1_000
"""Entries of a log between two looks; of more, the oldest aren't told."""

_NOTHING: Final = object()


class Topic(Protocol):
    """See the module."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def interval(self) -> float:
        """Seconds between two looks."""

    def start(self) -> None:
        """Take stock."""

    def stop(self) -> None:
        """Forget everything."""

    def snapshot(self) -> Message:
        """Tell all that was there at the last look."""

    def delta(self) -> Message | None:
        """Look again, and tell what is different; None: nothing."""


class ValueTopic:
    """One value, which is told whole when it has changed."""

    def __init__(
        self, name: str, read: Callable[[], object], interval: float = INTERVAL_SECONDS
    ) -> None:
        """Begin.

        Args:
            name: see `Topic`.
            read: the value, JSON.
            interval: see `Topic`.
        """
        self.name = name
        self.interval = interval
        self._read = read
        self._value: object = None

    def start(self) -> None:
        """See `Topic`."""
        self._value = self._read()

    def stop(self) -> None:
        """See `Topic`."""
        self._value = None

    def snapshot(self) -> Message:
        """See `Topic`."""
        return {"topic": self.name, "value": self._value}

    def delta(self) -> Message | None:
        """See `Topic`."""
        value = self._read()
        if value == self._value:
            return None
        self._value = value
        return self.snapshot()


class TableTopic(Generic[K]):
    """Rows that come, change and go.

    Two thousand rows that all change cost some milliseconds. Rows that are the same objects as
    before aren't looked into.
    """

    def __init__(
        self,
        name: str,
        key: str,
        read: Callable[[], Mapping[K, Row]],
        *,
        interval: float = INTERVAL_SECONDS,
        about: Callable[[], Message] = dict,
    ) -> None:
        """Begin.

        Args:
            name: see `Topic`.
            key: which field of a row is.
            read: all rows by key, each with the same fields. They aren't changed afterwards.
            interval: see `Topic`.
            about: more fields of the message, asked for after `read`; in a delta, those that have
                changed.
        """
        self.name = name
        self.interval = interval
        self._key = key
        self._read = read
        self._about = about
        self._rows: Mapping[K, Row] = {}
        self._said: Message = {}

    def start(self) -> None:
        """See `Topic`."""
        self._rows = self._read()
        self._said = self._about()

    def stop(self) -> None:
        """See `Topic`."""
        self._rows, self._said = {}, {}

    def snapshot(self) -> Message:
        """See `Topic`."""
        return {"topic": self.name, "rows": list(self._rows.values()), **self._said}

    def delta(self) -> Message | None:
        """See `Topic`."""
        before, self._rows = self._rows, self._read()
        said, self._said = self._said, self._about()
        changed = changes(self._key, before, self._rows)
        gone = [key for key in before if key not in self._rows]
        more = difference(said, self._said)
        if not (changed or gone or more):
            return None
        return {"topic": self.name, "changed": changed, "gone": gone, **more}


def changes(key: str, before: Mapping[K, Row], now: Mapping[K, Row]) -> list[Row]:
    """List the rows that are new, and of the others what is different, with the key."""
    changed = []
    for name, row in now.items():
        old = before.get(name)
        if old is None:
            changed.append(row)
        elif old is not row and old != row:
            changed.append({key: name, **difference(old, row)})
    return changed


def difference(old: Row, new: Row) -> Row:
    """Pick the fields that are different now."""
    return {field: value for field, value in new.items() if old.get(field, _NOTHING) != value}


class LogTopic(Generic[T]):
    """Entries that come, and may be told again when they have changed.

    A snapshot has the newest first, as has a delta, whose entries may be known already.
    """

    def __init__(
        self,
        name: str,
        recent: Callable[[], Iterable[T]],
        subscribe: Callable[[Callable[[T], None]], Callable[[], None]],
        *,
        shape: Callable[[T], Row],
        key: Callable[[T], int],
        interval: float = 1.0,
    ) -> None:
        """Begin.

        Args:
            name: see `Topic`.
            recent: what a snapshot has, the newest last.
            subscribe: given who is to be called for each entry, a function that ends this.
            shape: makes a row of an entry.
            key: of an entry: a number that grows.
            interval: see `Topic`.
        """
        self.name = name
        self.interval = interval
        self._recent = recent
        self._subscribe = subscribe
        self._shape = shape
        self._key = key
        self._unsubscribe: Callable[[], None] | None = None
        self._pending: dict[int, T] = {}

    def start(self) -> None:
        """See `Topic`."""
        self._unsubscribe = self._subscribe(self._take)

    def stop(self) -> None:
        """See `Topic`."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._pending.clear()

    def _take(self, entry: T) -> None:
        key = self._key(entry)
        self._pending.pop(key, None)
        self._pending[key] = entry
        if len(self._pending) > MOST_PENDING:
            del self._pending[next(iter(self._pending))]

    def snapshot(self) -> Message:
        """See `Topic`; with entries that the next delta has again."""
        return {"topic": self.name, "rows": self._shaped(self._recent())}

    def delta(self) -> Message | None:
        """See `Topic`."""
        pending, self._pending = self._pending, {}
        if not pending:
            return None
        return {"topic": self.name, "changed": self._shaped(pending.values())}

    def _shaped(self, entries: Iterable[T]) -> list[Row]:
        return [self._shape(each) for each in reversed(list(entries))]
