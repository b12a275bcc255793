# -*- test-case-name: tests.client.inspection.test_inspector -*-
"""Tests of `tunnelsvc.client.inspection`."""

from twisted.trial.unittest import SynchronousTestCase

from tests.client.inspection.exchanges import NOW, USER, Named, record, request, response
from tests.loglines import LogLines
from tunnelsvc.client.inspection import Exchange
from tunnelsvc.wire.httpexchange import KEPT_BYTES
from tunnelsvc.wire.httprecord import Conversation


class InspectorTests(SynchronousTestCase):
    """The ring of exchanges."""

    def test_numbers(self) -> None:
        inspector = Named()
        first = record(inspector, request(), response())
        second = record(inspector, request(), response())
        self.assertEqual((first.id, second.id), (1, 2))
        self.assertEqual(list(inspector), [first, second])
        self.assertEqual(list(inspector.newest_first()), [second, first])
        self.assertIs(inspector.find(1), first)
        self.assertIsNone(inspector.find(3))

    def test_the_oldest_ones_go(self) -> None:
        inspector = Named(most_exchanges=2)
        first, *others = [record(inspector, request(), response()) for _ in range(3)]
        self.assertEqual(list(inspector), others)
        self.assertTrue(first.forgotten)

    def test_the_bytes_of_all_are_bounded(self) -> None:
        body = bytes(KEPT_BYTES)
        most = 2 * KEPT_BYTES + 1000
        inspector = Named(most_kept_bytes=most)
        for _ in range(4):
            record(inspector, request(), response(body=body))
            self.assertLessEqual(sum(each.kept_bytes for each in inspector), most)
        self.assertEqual([each.id for each in inspector], [3, 4])

    def test_one_that_is_too_large_for_all(self) -> None:
        """It is forgotten while its connection still speaks, and nothing more is kept of it."""
        inspector = Named(most_kept_bytes=1000)
        conversation = Conversation(USER, inspector, lambda: NOW)
        conversation.requests.feed(request(method="POST", body=bytes(5000))[:3000])
        self.assertEqual(len(inspector), 0)
        conversation.requests.feed(bytes(5000))
        conversation.close()
        self.assertEqual(len(inspector), 0)
        self.assertEqual(record(inspector, request(), response()).id, 2)

    def test_clear(self) -> None:
        inspector = Named()
        conversation = Conversation(USER, inspector, lambda: NOW)
        conversation.requests.feed(request())
        (exchange,) = inspector
        record(inspector, request(), response())
        inspector.clear()
        self.assertEqual(list(inspector), [])
        conversation.responses.feed(response(body=b"abc"))
        self.assertEqual((exchange.done, exchange.response.body), (True, b""))
        self.assertEqual(list(inspector), [])

    def test_subscribers(self) -> None:
        """All are told of begin and end, whatever becomes of the others."""
        inspector = Named()
        lines = LogLines(self)
        told: list[tuple[int, bool]] = []

        def broken(_: Exchange) -> None:
            raise ValueError

        ends = [
            inspector.subscribe(broken),
            inspector.subscribe(lambda exchange: told.append((exchange.id, exchange.done))),
        ]
        record(inspector, request(), response())
        self.assertEqual(told, [(1, False), (1, True)])
        self.assertIn("who watches requests failed", lines)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        for end in [*ends, *ends]:
            end()
        record(inspector, request(), response())
        self.assertEqual(len(told), 2)
