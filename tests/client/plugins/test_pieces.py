# -*- test-case-name: tests.client.plugins.test_pieces -*-
"""Tests of `tunnelsvc.client.plugins.pieces`."""

from collections.abc import Callable, Iterator

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.client.plugins.websupport import SiteCase
from tests.streams import HIGH_WATER_BYTES
from tunnelsvc.client.plugins import pieces
from tunnelsvc.client.plugins.pieces import PieceProducer
from tunnelsvc.relay import Reason

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PIECE = b"x" * 16384
NUMBER = 64


class Made(Resource):
    """Makes bodies of pieces, and counts."""

    isLeaf = True

    def __init__(self, case: SiteCase, *, fails: bool = False) -> None:
        super().__init__()
        self.case = case
        self.fails = fails
        self.first = b""
        self.made = self.released = 0

    def render(self, request: Request) -> bytes | int:
        if self.first:
            first, self.first = self.first, b""
            return first
        PieceProducer(request, self.pieces(), self.case.clock, self.release)
        return NOT_DONE_YET

    def pieces(self) -> Iterator[bytes]:
        for number in range(NUMBER):
            self.made += 1
            yield PIECE if number % 2 else b""
        if self.fails:
            raise ValueError("not there any more")

    def release(self) -> None:
        self.released += 1


class PieceProducerTests(SiteCase):
    """One response, or several."""

    def setUp(self) -> None:
        super().setUp()
        self.made = Made(self)
        self.visitor = self.visit(self.made)

    def test_all(self) -> None:
        answer = self.visitor.ask(GET)
        self.assertEqual(answer.count(PIECE), NUMBER // 2)
        self.assertTrue(answer.endswith(b"\r\n0\r\n\r\n"))
        self.assertEqual(self.made.released, 1)

    def test_one_each_turn(self) -> None:
        """Others have their turns in between."""
        due: list[Callable[[], None]] = []
        self.patch(pieces, "soon", lambda _, call: due.append(call))
        self.visitor.end.write(GET)
        self.visitor.end.step()
        for turn in range(4):
            self.assertEqual(self.made.made, turn)
            [call] = due
            due.clear()
            call()

    def test_a_slow_user(self) -> None:
        """No more is made than fits, of any response."""
        self.visitor.end.pauseProducing()
        self.visitor.ask(GET + GET)
        self.assertLess(self.made.made * len(PIECE) / 2, HIGH_WATER_BYTES + 3 * len(PIECE))
        self.visitor.end.resumeProducing()
        self.visitor.turn()
        self.assertEqual(self.visitor.take().count(PIECE), NUMBER)
        self.assertEqual(self.made.released, 2)

    def test_begins_with_a_full_buffer(self) -> None:
        """A response that follows one which isn't taken yet waits from its beginning."""
        big = b"y" * 2 * HIGH_WATER_BYTES
        self.made.first = big
        self.visitor.end.pauseProducing()
        self.visitor.ask(GET + GET)
        self.assertEqual(self.made.made, 0)
        self.visitor.end.resumeProducing()
        self.visitor.turn()
        answer = self.visitor.take()
        self.assertIn(big, answer)
        self.assertEqual(answer.count(PIECE), NUMBER // 2)

    def test_a_user_who_leaves(self) -> None:
        self.visitor.end.pauseProducing()
        self.visitor.ask(GET)
        self.visitor.end.abortConnection()
        self.visitor.turn()
        self.assertEqual(self.made.released, 1)
        self.assertLess(self.made.made, NUMBER)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """The user notices that it isn't the whole."""
        made = Made(self, fails=True)
        visitor = self.visit(made)
        answer = visitor.ask(GET)
        self.assertNotIn(b"\r\n0\r\n\r\n", answer)
        assert visitor.closed is not None
        self.assertIs(visitor.closed.reason, Reason.NEAR_LOST)
        self.assertEqual(made.released, 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
