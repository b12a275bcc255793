# -*- test-case-name: tests.link.test_asking -*-
"""Tests of `tunnelsvc.link.asking`."""

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair, pump, recorded
from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.handover import Parked, attach
from tunnelsvc.link.asking import ask

SECONDS = 7.0


class AskTests(SynchronousTestCase):
    """Until a line has come."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ours, self.theirs = pair("peer")
        self.theirs.paused = False
        self.buffer = b""

    def take(self, data: bytes) -> bytes | None:
        self.buffer += data
        if b"!" in self.buffer:
            raise RemoteProtocolError("no")
        line, end, self.buffer = self.buffer.partition(b"\n")
        if not end:
            self.buffer = line
        return line if end else None

    def ask(self, first: bytes = b"") -> "Deferred[bytes]":
        return ask(self.ours, self.clock, SECONDS, self.take, first)

    def say(self, data: bytes) -> None:
        self.theirs.write(data)
        pump(self.ours)

    def assert_left(self) -> None:
        self.assertIsInstance(self.ours.protocol, Parked)
        self.assertTrue(self.ours.paused)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answer(self) -> None:
        answer = self.ask()
        self.say(b"ye")
        self.assertNoResult(answer)
        self.say(b"s\n")
        self.assertEqual(self.successResultOf(answer), b"yes")
        self.assert_left()

    def test_what_follows_is_for_others(self) -> None:
        answer = self.ask()
        self.say(b"yes\n")
        self.say(b"more")
        self.assertEqual(self.successResultOf(answer), b"yes")
        reader = recorded(self.ours)
        attach(self.ours, reader)
        pump(self.ours)
        self.assertEqual(bytes(reader.received), b"more")

    def test_read_before(self) -> None:
        self.assertEqual(self.successResultOf(self.ask(b"yes\n")), b"yes")
        answer = self.ask(b"y")
        self.say(b"es\n")
        self.assertEqual(self.successResultOf(answer), b"yes")

    def test_nonsense(self) -> None:
        answer = self.ask()
        self.say(b"!")
        self.failureResultOf(answer, RemoteProtocolError)
        self.assert_left()
        self.assertFalse(self.ours.lost, "there may be an answer to it")

    def test_silence(self) -> None:
        answer = self.ask()
        self.clock.advance(SECONDS)
        failure = self.failureResultOf(answer, error.TimeoutError)
        self.assertIn("no answer within 7 s", failure.getErrorMessage())
        self.assertTrue(self.ours.lost)

    def test_end(self) -> None:
        answer = self.ask()
        self.theirs.loseWriteConnection()
        pump(self.ours)
        self.failureResultOf(answer, error.ConnectionLost)
        self.assertTrue(self.ours.lost)

    def test_loss(self) -> None:
        answer = self.ask()
        self.theirs.abortConnection()
        self.failureResultOf(answer, error.ConnectionLost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_before(self) -> None:
        self.theirs.abortConnection()
        self.failureResultOf(self.ask(), error.ConnectionLost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        answer = self.ask()
        answer.cancel()
        self.failureResultOf(answer)
        self.assertTrue(self.ours.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])
