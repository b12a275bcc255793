# -*- test-case-name: tests.admin.test_topics -*-
"""Tests of `tunnelsvc.admin.topics`."""

from collections.abc import Callable
from typing import Any

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin.topics import MOST_PENDING, LogTopic, TableTopic, ValueTopic, changes

ROWS = st.dictionaries(
    st.integers(0, 5), st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.booleans()})
)


def applied(rows: dict[int, Any], message: dict[str, Any] | None) -> dict[int, Any]:
    """Do with rows what a page does with a delta."""
    rows = dict(rows)
    for row in message["changed"] if message else ():
        rows[row["id"]] = {**rows.get(row["id"], {}), **row}
    for key in message["gone"] if message else ():
        del rows[key]
    return rows


def with_keys(rows: dict[int, Any]) -> dict[int, Any]:
    return {key: {"id": key, **row} for key, row in rows.items()}


class TableTests(SynchronousTestCase):
    @given(st.lists(ROWS, min_size=1))
    def test_whoever_follows_has_what_there_is(self, states: list[dict[int, Any]]) -> None:
        tables = [with_keys(state) for state in states]
        coming = iter(tables)
        topic = TableTopic("t", "id", lambda: next(coming))
        topic.start()
        seen = {row["id"]: row for row in topic.snapshot()["rows"]}
        self.assertEqual(seen, tables[0])
        for table in tables[1:]:
            seen = applied(seen, topic.delta())
            self.assertEqual(seen, table)
            self.assertEqual(topic.snapshot()["rows"], list(table.values()))

    def test_only_what_is_different(self) -> None:
        before = {1: {"id": 1, "a": 1, "b": 2}, 2: {"id": 2, "a": 1, "b": 2}}
        now = {1: {"id": 1, "a": 1, "b": 3}, 2: dict(before[2]), 3: {"id": 3, "a": 0, "b": 0}}
        self.assertEqual(changes("id", before, now), [{"id": 1, "b": 3}, now[3]])

    def test_nothing_new(self) -> None:
        topic = TableTopic("t", "id", lambda: {1: {"id": 1, "a": [1]}})
        topic.start()
        self.assertIsNone(topic.delta())

    def test_more_than_rows(self) -> None:
        more = [3]
        topic: TableTopic[int] = TableTopic(
            "t", "id", dict, about=lambda: {"more": more[0], "of": 9}
        )
        topic.start()
        self.assertEqual(topic.snapshot(), {"topic": "t", "rows": [], "more": 3, "of": 9})
        self.assertIsNone(topic.delta())
        more[0] = 4
        self.assertEqual(topic.delta(), {"topic": "t", "changed": [], "gone": [], "more": 4})

    def test_stopped_it_holds_nothing(self) -> None:
        topic = TableTopic("t", "id", lambda: {1: {"id": 1}})
        topic.start()
        topic.stop()
        self.assertEqual(topic.snapshot()["rows"], [])


class ValueTests(SynchronousTestCase):
    def test_whole_when_different(self) -> None:
        value = {"a": 1}
        topic = ValueTopic("v", lambda: dict(value))
        topic.start()
        self.assertEqual(topic.snapshot(), {"topic": "v", "value": {"a": 1}})
        self.assertIsNone(topic.delta())
        value["a"] = 2
        self.assertEqual(topic.delta(), {"topic": "v", "value": {"a": 2}})
        self.assertEqual(topic.snapshot(), {"topic": "v", "value": {"a": 2}})
        topic.stop()
        self.assertEqual(topic.snapshot()["value"], None)


@frozen
class Entry:
    id: int
    text: str = ""


class Log:
    """Something with entries, as `LogTopic` takes it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.listeners: list[Callable[[Entry], None]] = []

    def subscribe(self, callback: Callable[[Entry], None]) -> Callable[[], None]:
        self.listeners.append(callback)
        return lambda: self.listeners.remove(callback)

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        for each in self.listeners:
            each(entry)


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.log = Log()
        self.topic = LogTopic(
            "log",
            lambda: self.log.entries,
            self.log.subscribe,
            shape=lambda entry: {"id": entry.id, "text": entry.text},
            key=lambda entry: entry.id,
        )

    def ids(self, message: dict[str, Any] | None, field: str = "changed") -> list[int]:
        return [row["id"] for row in message[field]] if message else []

    def test_what_comes_is_told_once_newest_first(self) -> None:
        self.log.add(Entry(1))
        self.topic.start()
        self.assertEqual(self.topic.snapshot(), {"topic": "log", "rows": [{"id": 1, "text": ""}]})
        self.assertIsNone(self.topic.delta())
        self.log.add(Entry(2))
        self.log.add(Entry(3))
        self.assertEqual(self.ids(self.topic.snapshot(), "rows"), [3, 2, 1])
        self.assertEqual(self.ids(self.topic.delta()), [3, 2])
        self.assertIsNone(self.topic.delta())

    def test_the_last_word_on_an_entry(self) -> None:
        self.topic.start()
        self.log.add(Entry(1, "began"))
        self.log.add(Entry(2))
        self.log.add(Entry(1, "ended"))
        delta = self.topic.delta()
        assert delta is not None
        self.assertEqual(delta["changed"], [{"id": 1, "text": "ended"}, {"id": 2, "text": ""}])

    def test_a_flood(self) -> None:
        self.topic.start()
        for number in range(MOST_PENDING + 5):
            self.log.add(Entry(number))
        ids = self.ids(self.topic.delta())
        self.assertEqual((len(ids), ids[0], ids[-1]), (MOST_PENDING, MOST_PENDING + 4, 5))

    def test_it_listens_only_while_somebody_does(self) -> None:
        self.topic.stop()
        self.assertEqual(self.log.listeners, [])
        self.topic.start()
        self.assertEqual(len(self.log.listeners), 1)
        self.log.add(Entry(1))
        self.topic.stop()
        self.assertEqual(self.log.listeners, [])
        self.topic.start()
        self.assertIsNone(self.topic.delta())
