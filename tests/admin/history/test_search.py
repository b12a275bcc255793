# -*- test-case-name: tests.admin.history.test_search -*-
"""Tests of `tunnelsvc.admin.history.search`."""

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.admin.history.support import StoreTestCase, event
from tunnelsvc.admin.history import database, rows
from tunnelsvc.admin.history import search as search_module
from tunnelsvc.admin.history.values import Query, SearchError

EVENTS = (
    event(1, client="alice.laptop", proxy="ssh", address="192.0.2.1"),
    event(2, group="refusal", address="2001:db8::1", detail="100% wrong_token"),
    event(3, client="bob", detail=r"a \ b"),
    event(4, group="refusal", detail="'; DROP TABLE events; --"),
)


class SearchTests(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write(events=EVENTS)

    def ids(
        self, before: int | None = None, group: str = "", text: str = "", limit: int = 9
    ) -> list[int]:
        query = Query(before=before, group=group, text=text, limit=limit)
        return [found.id for found in self.store.search(query)]

    def test_newest_first(self) -> None:
        self.assertEqual(self.ids(), [4, 3, 2, 1])
        self.assertEqual(self.store.search(Query(before=2)), [EVENTS[0]])

    def test_pages(self) -> None:
        self.assertEqual(self.ids(limit=2), [4, 3])
        self.assertEqual(self.ids(before=3, limit=2), [2, 1])
        self.assertEqual(self.ids(before=1), [])
        for before in (1 << 63, 1 << 900):
            self.assertEqual(self.ids(before=before), [4, 3, 2, 1])
        self.assertEqual(self.ids(before=-5), [])
        self.assertEqual((self.ids(limit=0), self.ids(limit=-1)), ([], []))

    def test_groups(self) -> None:
        self.assertEqual(self.ids(group="refusal"), [4, 2])
        for nonsense in ("nope", "refusal' OR '1", "\ud800"):
            self.assertEqual(self.ids(group=nonsense), [])

    def test_text(self) -> None:
        """In each column, whatever the case; no character means another."""
        for text, found in {
            "LAPTOP": [1],
            "ssh": [1],
            "192.0": [1],
            "2001:db8": [2],
            "login": [4, 3, 2, 1],
            "100%": [2],
            "%": [2],
            "_": [2],
            "\\": [3],
            "'": [4],
            "\0": [],
            "\ud800": [],
            "DROP TABLE": [4],
            "nowhere": [],
        }.items():
            self.assertEqual(self.ids(text=text), found, text)
        self.assertEqual(self.ids(text="' OR 1 --"), [])
        self.assertEqual(self.ids(), [4, 3, 2, 1])

    @settings(max_examples=60)
    @given(
        st.text(st.characters(max_codepoint=127, min_codepoint=1), max_size=30),
        st.text(st.sampled_from("ab%_\\'\"*[]-"), max_size=3),
    )
    def test_any_text_is_found_where_it_is(self, detail: str, wanted: str) -> None:
        """The database and `Query.matches` agree, and both with common sense."""
        found = event(9, detail=detail)
        self.number += 1
        self.write(events=(found,))
        query = Query(text=wanted, before=10, limit=1)
        self.assertEqual(
            query.matches(found), wanted.lower() in "login" or wanted in detail.lower()
        )
        self.assertEqual(self.store.search(query)[:1] == [found], query.matches(found))

    def test_without_a_database(self) -> None:
        """`Query.newest` finds the same."""
        for query in (
            *(Query(text=text) for text in ("", "SSH", "token", "2001:", "bob", "x")),
            *(Query(group=group) for group in ("refusal", "admin")),
            *(Query(before=3), Query(before=4, limit=1)),
        ):
            found = [each.id for each in query.newest((*EVENTS, EVENTS[0]))]
            wanted = self.ids(query.before, query.group, query.text, query.limit)
            self.assertEqual(found, wanted, query)

    def test_a_long_text(self) -> None:
        self.assertEqual(self.ids(text="x" * 100_000), [])

    def test_it_takes_too_long(self) -> None:
        self.patch(search_module, "SEARCH_SECONDS", -1.0)
        self.patch(database, "_OPERATIONS", 1)
        self.assertRaises(SearchError, self.ids, text="nowhere")
        self.patch(search_module, "SEARCH_SECONDS", 30.0)
        self.assertEqual(self.ids(text="ssh"), [1])

    def test_a_database_that_is_gone(self) -> None:
        self.store._database.close()
        why = self.assertRaises(SearchError, self.ids)
        self.assertIn("can't be read", str(why))
        self.store._database = sqlite3.connect(":memory:")

    def test_damaged_rows(self) -> None:
        self.store._database.execute("UPDATE events SET at = 'x' WHERE id = 2")
        self.assertEqual(self.ids(), [4, 3, 1])
        self.assertEqual(rows.MOST_ID, (1 << 63) - 1)
