# -*- test-case-name: tests.client.inspection.test_search -*-
"""Tests of `tunnelsvc.client.inspection.search`."""

import gzip

from twisted.trial.unittest import SynchronousTestCase

from tests.client.inspection.exchanges import Named, record, request, response
from tunnelsvc.client.inspection.search import (
    MOST_LOOKED_THROUGH_BYTES,
    STATUS,
    Filter,
    search,
)
from tunnelsvc.wire.httpexchange import KEPT_BYTES


class SearchTests(SynchronousTestCase):
    """Who is found."""

    def setUp(self) -> None:
        self.inspector = Named()
        record(self.inspector, request("/first", "Cookie: s3cret"), response(body=b"Hello"))
        packed = gzip.compress(b"packed words")
        record(
            self.inspector,
            request("/second", method="POST", body=b"name=Alice"),
            response("Content-Encoding: gzip", status="404 Not Found", body=packed),
        )
        self.inspector.proxy = "other"
        record(self.inspector, request("/third"), why="connection refused")

    def find(self, **wanted: object) -> list[int]:
        found = search(self.inspector, Filter(**wanted), None, 10)  # type: ignore[arg-type]
        self.assertEqual(found.before, 0)
        return [each.id for each in found.exchanges]

    def test_all(self) -> None:
        self.assertEqual(self.find(), [3, 2, 1])

    def test_by_fields(self) -> None:
        self.assertEqual(self.find(proxy="other"), [3])
        self.assertEqual(self.find(method="post"), [2])
        self.assertEqual(self.find(status="404"), [2])
        self.assertEqual(self.find(status="2xx"), [1])
        self.assertEqual(self.find(status="error"), [3, 2])
        self.assertEqual(self.find(ids=frozenset({1, 3, 9})), [3, 1])
        self.assertEqual(self.find(method="get", status="5xx"), [])

    def test_by_text(self) -> None:
        for text, ids in (
            ("FIRST", [1]),
            ("a.example", [3, 2, 1]),
            ("hello", [1]),
            ("alice", [2]),
            ("packed WORDS", [2]),
            ("not found", [2]),
            ("refused", [3]),
            ("post ", [2]),
            ("content-encoding: gzip", [2]),
            ("192.0.2.1", [3, 2, 1]),
            ("nowhere", []),
        ):
            self.assertEqual(self.find(text=text), ids, text)

    def test_secrets_are_not_found(self) -> None:
        self.assertEqual(self.find(text="s3cret"), [])
        self.assertEqual(self.find(text="cookie"), [1])

    def test_statuses(self) -> None:
        for good in ("404", "4xx", "error", "1xx"):
            self.assertTrue(STATUS.fullmatch(good), good)
        for bad in ("4", "40", "0xx", "xx", "4x4", "4xxx"):
            self.assertFalse(STATUS.fullmatch(bad), bad)

    def test_page_by_page(self) -> None:
        found = search(self.inspector, Filter(), None, 2)
        self.assertEqual(([each.id for each in found.exchanges], found.before), ([3, 2], 2))
        found = search(self.inspector, Filter(), found.before, 2)
        self.assertEqual(([each.id for each in found.exchanges], found.before), ([1], 0))
        self.assertEqual(search(self.inspector, Filter(), 1, 2).exchanges, [])

    def test_bodies_bit_by_bit(self) -> None:
        """Not too much is looked through in one go; by `before` all is in the end."""
        inspector = Named()
        count = MOST_LOOKED_THROUGH_BYTES // KEPT_BYTES + 10
        record(inspector, request("/needle"), response())
        for _ in range(count):
            record(inspector, request(), response(body=b"hay" * (KEPT_BYTES // 3)))
        found = search(inspector, Filter(text="needle"), None, 10)
        self.assertEqual(found.exchanges, [])
        rounds = 0
        while found.before:
            rounds += 1
            self.assertEqual(found.exchanges, [])
            found = search(inspector, Filter(text="needle"), found.before, 10)
        self.assertEqual([each.id for each in found.exchanges], [1])
        self.assertGreater(rounds, 1)
