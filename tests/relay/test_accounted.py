# -*- test-case-name: tests.relay.test_accounted -*-
"""Tests of `tunnelsvc.relay.accounted`."""

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.streams import Producer, Recorder, pair, pump, recorded
from tunnelsvc.handover import attach
from tunnelsvc.relay import Closed, Reason
from tunnelsvc.relay.accounted import CLOSE_SECONDS, Accounted


class AccountedTests(SynchronousTestCase):
    """A stream, seen from this side and from the other program's."""

    def setUp(self) -> None:
        self.make()

    def make(self, unread: bytes = b"", *, far_half_closes: bool = True) -> None:
        self.clock = Clock()
        self.far, self.bare = pair("work")
        self.at_far = recorded(self.far)
        self.stream = Accounted(
            self.bare, unread, clock=self.clock, far_half_closes=far_half_closes
        )
        self.reader = Recorder()
        attach(self.stream, self.reader)
        self.stream.resumeProducing()

    def move(self) -> None:
        self.stream.write(b"hello")
        self.far.write(b"hello, too")
        pump(self.far)
        self.clock.advance(2)

    def account(self) -> Closed:
        return self.successResultOf(self.stream.closed)

    def test_interfaces(self) -> None:
        for interface in ITransport, IConsumer, IPushProducer:
            self.assertTrue(verifyObject(interface, self.stream))

    def test_far_closes(self) -> None:
        self.make(b"unread")
        self.move()
        self.assertEqual(bytes(self.at_far.received), b"hello")
        self.assertEqual(bytes(self.reader.received), b"hello, too")
        self.far.loseConnection()
        pump(self.far)
        self.assertTrue(self.reader.finished)
        self.assertNoResult(self.stream.closed)
        self.stream.write(b", bye")
        self.stream.loseConnection()
        pump(self.far)
        self.assertEqual(self.account(), Closed(Reason.FAR_CLOSED, 10, 16, 2.0))

    def test_near_closes(self) -> None:
        self.move()
        self.stream.loseWriteConnection()
        self.stream.write(b"not any more")
        pump(self.far)
        self.far.loseConnection()
        pump(self.far)
        self.stream.loseConnection()
        pump(self.far)
        self.assertIs(self.account().reason, Reason.NEAR_CLOSED)

    def test_lost(self) -> None:
        self.move()
        self.far.abortConnection()
        assert self.reader.lost is not None
        self.assertIsInstance(self.reader.lost.value, ConnectionLost)
        self.assertIs(self.account().reason, Reason.FAR_LOST)

    def test_cut(self) -> None:
        self.stream.abortConnection()
        assert self.reader.lost is not None
        self.assertIsInstance(self.reader.lost.value, ConnectionAborted)
        self.assertEqual(self.account(), Closed(Reason.NEAR_LOST, 0, 0, 0.0))

    def test_heard_elsewhere(self) -> None:
        """Who finished first is known where TLS is read."""
        self.stream.far_finished()
        self.stream.loseConnection()
        self.far.loseConnection()
        pump(self.far)
        self.assertIs(self.account().reason, Reason.FAR_CLOSED)

    def test_lost_before(self) -> None:
        """What happened to a parked stream counts."""
        self.far, self.bare = pair("work")
        self.far.abortConnection()
        self.stream = Accounted(self.bare, b"x", clock=self.clock)
        self.assertEqual(self.account().down_bytes, 1)

    def test_end_of_both(self) -> None:
        """Of a far end that can't half-close; nothing that was written must be taken."""
        self.make(far_half_closes=False)
        self.move()
        self.stream.registerProducer(Producer(), True)
        self.far.loseWriteConnection()
        pump(self.far)
        assert self.reader.lost is not None
        self.assertIsInstance(self.reader.lost.value, ConnectionDone)
        self.assertFalse(self.reader.finished)
        self.far.loseConnection()
        pump(self.far)
        self.assertEqual(self.account(), Closed(Reason.FAR_CLOSED, 5, 10, 2.0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_end_of_both_that_does_not_come(self) -> None:
        self.make(far_half_closes=False)
        self.stream.write(b"never taken")
        self.far.pauseProducing()
        self.far.loseWriteConnection()
        pump(self.far)
        self.assertIsNotNone(self.reader.lost)
        lost = self.reader.lost
        self.assertNoResult(self.stream.closed)
        self.clock.advance(CLOSE_SECONDS)
        self.assertIs(self.account().reason, Reason.FAR_CLOSED)
        self.assertIs(self.reader.lost, lost)  # told once
