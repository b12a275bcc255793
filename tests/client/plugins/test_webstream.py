# -*- test-case-name: tests.client.plugins.test_webstream -*-
"""Tests of `tunnelsvc.client.plugins.webstream`."""

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.client.plugins.websupport import SiteCase, Visitor
from tests.streams import HIGH_WATER_BYTES
from tunnelsvc.client.plugins.farewell import LINGER_SECONDS
from tunnelsvc.client.plugins.webstream import IDLE_SECONDS, STALL_SECONDS
from tunnelsvc.relay import Closed, Reason

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Hello(Resource):
    """Says hello, at once or when it is told."""

    isLeaf = True

    def __init__(self, *, waits: bool = False, body: bytes = b"hello") -> None:
        super().__init__()
        self.waiting: list[Request] = []
        self.waits = waits
        self.body = body
        self.lost = 0

    def render(self, request: Request) -> bytes | int:
        assert request.content is not None
        self.content = request.content.read()
        if not self.waits:
            return self.body
        self.waiting.append(request)
        request.notifyFinish().addErrback(lambda _: self.gone())
        return NOT_DONE_YET

    def gone(self) -> None:
        self.lost += 1

    def answer(self) -> None:
        request = self.waiting.pop(0)
        request.write(self.body)
        request.finish()


class WebStreamTests(SiteCase):
    """From connection to account."""

    def assertEnded(self, visitor: Visitor, reason: Reason) -> Closed:
        """All is over, for that reason, and nothing is left behind."""
        assert visitor.closed is not None
        self.assertIs(visitor.closed.reason, reason)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return visitor.closed

    def test_requests(self) -> None:
        """One after the other, the first of them read before."""
        visitor = self.visit(Hello(), GET[:10])
        self.assertIn(b"\r\n\r\nhello", visitor.ask(GET[10:]))
        self.assertIn(b"\r\n\r\nhello", visitor.ask(GET))
        visitor.end.loseConnection()
        visitor.turn()
        closed = self.assertEnded(visitor, Reason.FAR_CLOSED)
        self.assertEqual(closed.down_bytes, 2 * len(GET))
        self.assertGreater(closed.up_bytes, 2 * len(b"hello"))

    def test_a_body_is_dropped(self) -> None:
        resource = Hello()
        visitor = self.visit(resource)
        answer = visitor.ask(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        self.assertIn(b"hello", answer)
        self.assertEqual(resource.content, b"")

    def test_the_last_answer_arrives(self) -> None:
        """Though the user goes on talking: nothing is reset."""
        visitor = self.visit(Hello())
        self.assertIn(b"hello", visitor.ask(LAST + b"blah"))
        self.assertTrue(visitor.seen.finished)
        self.assertIsNone(visitor.closed)
        visitor.ask(b"blah")
        visitor.end.loseConnection()
        visitor.turn()
        self.assertEnded(visitor, Reason.NEAR_CLOSED)

    def test_who_never_stops_talking(self) -> None:
        visitor = self.visit(Hello())
        visitor.ask(LAST)
        self.clock.advance(LINGER_SECONDS)
        visitor.turn()
        self.assertEnded(visitor, Reason.NEAR_CLOSED)

    def test_who_takes_the_last_answer_late(self) -> None:
        """What is on its way then isn't lost."""
        body = b"x" * 2 * HIGH_WATER_BYTES
        visitor = self.visit(Hello(body=body))
        visitor.end.pauseProducing()
        visitor.ask(LAST)
        self.clock.advance(STALL_SECONDS - 1)
        visitor.end.resumeProducing()
        visitor.turn()
        self.assertTrue(visitor.take().endswith(body))

    def test_who_doesn_t_take_the_last_answer(self) -> None:
        visitor = self.visit(Hello(body=b"x" * 2 * HIGH_WATER_BYTES))
        visitor.end.pauseProducing()
        visitor.ask(LAST)
        self.clock.advance(STALL_SECONDS)
        self.assertEnded(visitor, Reason.NEAR_CLOSED)
        self.assertIsNotNone(visitor.seen.lost)

    def test_half_closed(self) -> None:
        """Who has said all, with its end of file, still gets the answers."""
        resource = Hello(waits=True)
        visitor = self.visit(resource)
        visitor.ask(GET + GET)
        visitor.end.loseWriteConnection()
        visitor.turn()
        for _ in range(2):
            resource.answer()
            visitor.turn()
            self.assertIn(b"hello", visitor.take())
        self.assertTrue(visitor.seen.finished)
        self.assertEnded(visitor, Reason.FAR_CLOSED)

    def test_half_closed_at_a_real_frps(self) -> None:
        """There, nobody listens any more."""
        resource = Hello(waits=True)
        visitor = self.visit(resource, half_closes=False)
        visitor.ask(GET)
        visitor.end.loseWriteConnection()
        visitor.turn()
        self.assertEqual(resource.lost, 1)
        self.assertEnded(visitor, Reason.FAR_CLOSED)

    def test_cut_off(self) -> None:
        resource = Hello(waits=True)
        visitor = self.visit(resource)
        visitor.ask(GET)
        visitor.end.abortConnection()
        visitor.turn()
        self.assertEqual(resource.lost, 1)
        self.assertEnded(visitor, Reason.FAR_LOST)

    def test_idle(self) -> None:
        visitor = self.visit(Hello())
        visitor.ask(GET)
        self.clock.advance(IDLE_SECONDS)
        visitor.turn()
        self.assertTrue(visitor.seen.finished)
        visitor.end.loseConnection()
        visitor.turn()
        self.assertEnded(visitor, Reason.NEAR_CLOSED)

    def test_who_takes_nothing(self) -> None:
        visitor = self.visit(Hello(body=b"x" * 2 * HIGH_WATER_BYTES))
        visitor.end.pauseProducing()
        visitor.ask(GET)
        self.clock.advance(STALL_SECONDS)
        self.assertEnded(visitor, Reason.NEAR_LOST)

    def test_who_takes_it_late(self) -> None:
        body = b"x" * 2 * HIGH_WATER_BYTES
        visitor = self.visit(Hello(body=body))
        visitor.end.pauseProducing()
        visitor.ask(GET)
        self.clock.advance(STALL_SECONDS - 1)
        visitor.end.resumeProducing()
        visitor.turn()
        self.assertTrue(visitor.take().endswith(body))
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertIn(b"200 OK", visitor.ask(GET))

    def test_garbage(self) -> None:
        visitor = self.visit(Hello(), b"\x16\x03\x01\r\n\r\n")
        visitor.turn()
        self.assertTrue(visitor.take().startswith(b"HTTP/1.1 400 "))
        self.assertTrue(visitor.seen.finished)
