# -*- test-case-name: tests.admin.history.test_rows -*-
"""Tests of `tunnelsvc.admin.history.rows`."""

import math
import sqlite3
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin.history import rows
from tunnelsvc.metrics.events import Event
from tunnelsvc.metrics.journal import ProxyRecord
from tunnelsvc.metrics.traffic import Past, Traffic

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(),
    st.text(),
    st.binary(),
    st.sampled_from(["2026-11-25", "login", "refusal"]),
)
"""Whatever may be in a column of a database."""


class ParsingTests(SynchronousTestCase):
    """Whatever is in the database, it's a value of ours or left out."""

    @given(st.lists(VALUES, min_size=8, max_size=8))
    def test_any_event(self, row: list[Any]) -> None:
        event = rows.event(tuple(row))
        if event is not None:
            self.assertGreater(event.id, 0)
            self.assertTrue(math.isfinite(event.at))
            self.assertEqual(rows.event(rows.event_row(event)), event)

    @given(st.lists(VALUES, min_size=8, max_size=8))
    def test_any_proxy(self, row: list[Any]) -> None:
        record = rows.proxy(tuple(row), Past())
        if record is not None:
            self.assertTrue(0 < len(record.name) <= rows.MOST_CHARACTERS)
            self.assertGreaterEqual(record.started_at, 0)

    @given(st.lists(st.tuples(VALUES, VALUES, VALUES)), VALUES, VALUES)
    def test_any_traffic(self, days: list[tuple[Any, ...]], up: Any, down: Any) -> None:
        past = rows.past(days, up, down)
        for amount in (*past.days.values(), past.total):
            self.assertTrue(0 <= amount.in_bytes <= rows.MOST_BYTES)
            self.assertTrue(0 <= amount.out_bytes <= rows.MOST_BYTES)
        self.assertTrue(all(1 <= day <= 3_652_059 for day in past.days))

    @given(VALUES)
    def test_any_rules(self, value: Any) -> None:
        rows.rules(value)

    def test_deeply_nested_rules(self) -> None:
        text = "[" * 500_000
        self.assertEqual(rows.rules(text), text)


class RoundTripTests(SynchronousTestCase):
    @given(st.integers(1, 3_652_059))
    def test_days(self, day: int) -> None:
        self.assertEqual(rows.day_number(rows.day_text(day)), day)

    def test_past(self) -> None:
        past = rows.past([("1970-01-02", 1, 2), ("-", 3, 4), ("1970-01-03", "x", -1)], 5, 6)
        self.assertEqual(past, Past({719164: Traffic(1, 2), 719165: Traffic(0, 0)}, Traffic(5, 6)))

    @given(st.text(max_size=200), st.text(max_size=200), st.floats(0, 1e12))
    def test_what_is_written_is_read(self, name: str, other: str, at: float) -> None:
        """Through SQLite itself; half a character becomes a question mark, if it isn't a name."""
        event = Event(7, at, "login", "login", name, other, name, other)
        written = rows.event_row(event)
        database = sqlite3.connect(":memory:")
        self.addCleanup(database.close)
        read = rows.event(database.execute("SELECT ?, ?, ?, ?, ?, ?, ?, ?", written).fetchone())
        assert read is not None
        self.assertEqual((read.client, read.proxy), (rows.writable(name), rows.writable(other)))
        self.assertEqual(read.at, at)
        if rows.is_kept(name):
            record = ProxyRecord(name=name, type="tcp", user=other, started_at=at, closed_at=at)
            row = database.execute("SELECT ?, ?, ?, ?, ?, ?, ?, ?", rows.proxy_row(record))
            back = rows.proxy(row.fetchone(), Past())
            assert back is not None
            self.assertEqual((back.name, back.closed_at), (name, at))

    def test_names_that_arent_kept(self) -> None:
        for name in ("", "\ud800", "x" * 501):
            self.assertFalse(rows.is_kept(name))
        self.assertTrue(rows.is_kept("x" * 500))

    def test_rules(self) -> None:
        self.assertEqual(rows.rules(rows.rules_text({"a": [1, "b"]})), {"a": [1, "b"]})
        self.assertRaises(ValueError, rows.rules_text, "x" * rows.MOST_RULES)
        self.assertEqual(rows.rules("no JSON"), "no JSON")
        self.assertIsNone(rows.rules(None))
