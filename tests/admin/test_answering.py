# -*- test-case-name: tests.admin.test_answering -*-
"""Tests of `tunnelsvc.admin.answering`; answers at once and later: `tests.admin.test_ownapi`."""

from collections.abc import Iterable, Iterator

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.admin.streams import Listener, unchunked
from tunnelsvc.admin.answering import PIECE_CHARACTERS, TAKE_SECONDS, Pieces
from tunnelsvc.admin.channel import DashboardSite

PIECE = "ä" + "x" * (PIECE_CHARACTERS - 1)


class Long(Resource):
    """Answers with a text in pieces."""

    isLeaf = True

    def __init__(self, pieces: Iterable[str], clock: Clock) -> None:
        super().__init__()
        self.pieces = pieces
        self.clock = clock

    def render(self, request: Request) -> int:
        Pieces(request, self.pieces, self.clock)
        return NOT_DONE_YET


class PiecesTests(SynchronousTestCase):
    """A text that is longer than what anybody wants to hold in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.taken = 0

    def ask(self, pieces: Iterable[str]) -> Listener:
        return Listener(DashboardSite(Long(pieces, self.clock), self.clock), "/")

    def counted(self, pieces: int) -> Iterator[str]:
        for _ in range(pieces):
            self.taken += 1
            yield PIECE

    def body(self, listener: Listener) -> tuple[str, bool]:
        _, _, body = listener.transport.value().partition(b"\r\n\r\n")
        text, ended = unchunked(body)
        return text.decode(), ended

    def test_others_have_turns_in_between(self) -> None:
        listener = self.ask(self.counted(3))
        turns = [self.taken]
        self.clock.callLater(0, lambda: turns.append(self.taken))
        self.clock.advance(0)
        self.assertEqual(turns, [1, 2])
        self.assertEqual((self.taken, self.body(listener)), (3, (PIECE * 3, True)))

    def test_small_ones_go_together(self) -> None:
        self.assertEqual(self.body(self.ask(["a", "", "b"])), ("ab", True))
        self.assertEqual(self.body(self.ask([])), ("", True))

    def test_no_faster_than_it_is_taken(self) -> None:
        listener = self.ask(self.counted(3))
        listener.pause()
        self.clock.advance(TAKE_SECONDS / 2)
        self.assertEqual(self.taken, 1)
        listener.resume()
        self.clock.pump([0] * 3)
        self.assertEqual((self.taken, self.body(listener)), (3, (PIECE * 3, True)))
        self.assertFalse(listener.transport.disconnecting)

    def test_who_takes_nothing_is_dropped(self) -> None:
        listener = self.ask(self.counted(3))
        listener.pause()
        self.clock.advance(TAKE_SECONDS + 1)
        self.assertTrue(listener.transport.disconnected)
        self.assertEqual(self.taken, 1)

    def test_who_goes_leaves_nothing(self) -> None:
        for act in (lambda _: None, Listener.pause):
            listener = self.ask(self.counted(3))
            act(listener)
            listener.leave()
            taken = self.taken
            self.clock.pump([0, TAKE_SECONDS * 2])
            self.assertEqual(self.taken, taken)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_half_is_not_taken_for_the_whole(self) -> None:
        def broken() -> Iterator[str]:
            yield PIECE
            raise ValueError("oops")

        listener = self.ask(broken())
        self.clock.advance(0)
        self.assertEqual(self.body(listener), (PIECE, False))
        self.assertTrue(listener.transport.disconnected)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
