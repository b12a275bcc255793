# -*- test-case-name: tests.client.plugins.test_farewell -*-
"""Tests of `tunnelsvc.client.plugins.farewell`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair, pump, recorded
from tunnelsvc.client.plugins.farewell import LINGER_SECONDS, leave


class LeaveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.user, self.stream = pair("user")
        self.seen = recorded(self.user)

    def test_last_words(self) -> None:
        """They arrive before the end, though the user is still talking."""
        self.user.write(b"blah")
        gone = leave(self.stream, b"bye", self.clock)
        pump(self.user)
        self.assertEqual(bytes(self.seen.received), b"bye")
        self.assertTrue(self.seen.finished)
        self.assertNoResult(gone)
        self.user.loseWriteConnection()
        pump(self.user)
        self.successResultOf(gone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_user_who_has_finished(self) -> None:
        self.user.loseWriteConnection()
        self.stream.paused = False
        pump(self.user)
        gone = leave(self.stream, b"bye", self.clock)
        pump(self.user)
        self.assertEqual(bytes(self.seen.received), b"bye")
        self.successResultOf(gone)

    def test_a_user_who_is_gone(self) -> None:
        self.user.abortConnection()
        self.successResultOf(leave(self.stream, b"bye", self.clock))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_user_who_goes_on(self) -> None:
        gone = leave(self.stream, b"bye", self.clock)
        pump(self.user)
        self.clock.advance(LINGER_SECONDS)
        self.successResultOf(gone)
        self.assertIsNotNone(self.seen.lost)
