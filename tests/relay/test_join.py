# -*- test-case-name: tests.relay.test_join -*-
"""Tests of `tunnelsvc.relay.join`."""

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.streams import HIGH_WATER_BYTES, MemoryStream, pair, pump, recorded
from tunnelsvc.relay import Closed, Meter, Reason, join
from tunnelsvc.relay.join import IDLE_SECONDS


class JoinCase(SynchronousTestCase):
    """Two streams, joined in the middle; `user` and `service` are the outer ends."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.user, self.near = pair("near")
        self.service, self.far = pair("far")
        self.at_user = recorded(self.user)
        self.at_service = recorded(self.service)
        self.meter = Meter()
        self.results: list[Closed] = []

    def join(
        self,
        near_unread: bytes = b"",
        far_unread: bytes = b"",
        *,
        far_half_closes: bool = True,
        near_half_closes: bool = True,
    ) -> None:
        join(
            self.near,
            self.far,
            near_unread,
            far_unread,
            clock=self.clock,
            far_half_closes=far_half_closes,
            near_half_closes=near_half_closes,
            meter=self.meter,
        ).addCallback(self.results.append)

    def pump(self) -> None:
        pump(self.user, self.service)

    def closed(self) -> Closed:
        self.assertEqual(self.clock.getDelayedCalls(), [])
        [closed] = self.results
        return closed


class FakeTests(SynchronousTestCase):
    """The fake is what it claims to be."""

    def test_interfaces(self) -> None:
        for interface in (ITransport, IConsumer, IPushProducer):
            self.assertTrue(verifyObject(interface, MemoryStream("x")))


class DataTests(JoinCase):
    """Bytes go through, in order and with back-pressure."""

    def test_both_ways_and_counted(self) -> None:
        self.join()
        self.user.write(b"question")
        self.service.write(b"an answer")
        self.pump()
        self.assertEqual(bytes(self.at_service.received), b"question")
        self.assertEqual(bytes(self.at_user.received), b"an answer")
        self.assertEqual((self.meter.up_bytes, self.meter.down_bytes), (8, 9))

    def test_unread_bytes_go_first(self) -> None:
        self.user.write(b" world")
        self.service.write(b" there")
        self.join(b"hello", b"hi")
        self.pump()
        self.assertEqual(bytes(self.at_service.received), b"hello world")
        self.assertEqual(bytes(self.at_user.received), b"hi there")

    def test_unread_bytes_that_fill_the_other_hold(self) -> None:
        """The pause that they cause is not undone by the start of the join."""
        self.join(near_unread=bytes(HIGH_WATER_BYTES + 1))
        self.assertTrue(self.near.paused)
        self.pump()
        self.assertFalse(self.near.paused)

    def test_slow_reader_stops_the_writer(self) -> None:
        self.join()
        self.service.paused = True
        chunk = bytes(16384)
        for _ in range(100):
            self.user.write(chunk)
        self.pump()
        self.assertTrue(self.near.paused)
        self.assertLessEqual(self.far.buffered(), HIGH_WATER_BYTES + len(chunk))
        self.service.paused = False
        self.pump()
        self.assertEqual(len(self.at_service.received), 100 * len(chunk))

    def test_events_before_the_join_are_not_lost(self) -> None:
        self.near.protocol.dataReceived(b"early")
        self.near.protocol.readConnectionLost()
        self.join()
        self.pump()
        self.assertEqual(bytes(self.at_service.received), b"early")
        self.assertTrue(self.at_service.finished)
        self.service.loseConnection()
        self.user.loseConnection()
        self.pump()
        self.closed()


class EndTests(JoinCase):
    """How a pair ends."""

    def test_half_close_keeps_the_answer(self) -> None:
        self.join()
        self.user.write(b"all of it")
        self.user.loseWriteConnection()
        self.pump()
        self.assertTrue(self.at_service.finished)
        self.assertIsNone(self.at_user.lost)
        self.service.write(b"the answer")
        self.service.loseConnection()
        self.pump()
        self.assertEqual(bytes(self.at_user.received), b"the answer")
        self.assertTrue(self.at_user.finished)
        self.user.loseConnection()
        self.pump()
        closed = self.closed()
        self.assertEqual(closed.reason, Reason.NEAR_CLOSED)
        self.assertEqual((closed.up_bytes, closed.down_bytes), (9, 10))
        self.assertFalse(closed.cut)

    def test_half_close_from_the_far_side(self) -> None:
        self.join()
        self.service.write(b"greeting")
        self.service.loseWriteConnection()
        self.pump()
        self.assertTrue(self.at_user.finished)
        self.user.write(b"late words")
        self.user.loseConnection()
        self.pump()
        self.assertEqual(bytes(self.at_service.received), b"late words")
        self.service.loseConnection()
        self.pump()
        self.assertEqual(self.closed().reason, Reason.FAR_CLOSED)

    def test_a_far_end_that_cannot_half_close_ends_all(self) -> None:
        self.join(far_half_closes=False)
        self.service.write(b"last words")
        self.service.loseWriteConnection()
        self.pump()
        self.assertEqual(bytes(self.at_user.received), b"last words")
        self.assertTrue(self.near.lost)
        self.service.loseConnection()
        self.user.loseConnection()
        self.pump()
        self.assertEqual(self.closed().reason, Reason.FAR_CLOSED)

    def test_a_near_end_that_cannot_half_close_ends_all(self) -> None:
        self.join(near_half_closes=False)
        self.user.write(b"last words")
        self.user.loseWriteConnection()
        self.pump()
        self.assertEqual(bytes(self.at_service.received), b"last words")
        self.assertTrue(self.far.lost)
        self.user.loseConnection()
        self.service.loseConnection()
        self.pump()
        self.assertEqual(self.closed().reason, Reason.NEAR_CLOSED)

    def test_a_far_end_may_finish_before_a_near_end_that_cannot(self) -> None:
        self.join(near_half_closes=False)
        self.service.write(b"last words")
        self.service.loseWriteConnection()
        self.pump()
        self.assertTrue(self.at_user.finished)
        self.user.write(b"thanks")
        self.user.loseConnection()
        self.pump()
        self.assertEqual(bytes(self.at_service.received), b"thanks")
        self.service.loseConnection()
        self.pump()
        self.assertEqual(self.closed().reason, Reason.FAR_CLOSED)

    def test_half_close_waits_for_a_slow_reader(self) -> None:
        self.join()
        self.service.paused = True
        for _ in range(20):
            self.user.write(bytes(16384))
        self.user.loseConnection()
        self.pump()
        self.assertFalse(self.at_service.finished)
        self.service.paused = False
        self.pump()
        self.assertEqual(len(self.at_service.received), 20 * 16384)
        self.assertTrue(self.at_service.finished)

    def test_reset_resets_the_other(self) -> None:
        self.join()
        self.user.abortConnection()
        self.pump()
        assert self.at_service.lost is not None
        self.assertFalse(self.at_service.finished)
        closed = self.closed()
        self.assertEqual(closed.reason, Reason.NEAR_LOST)
        self.assertEqual(closed.because(near="the user", far="x"), "cut off by the user")
        self.assertTrue(closed.cut)

    def test_a_reset_is_not_preceded_by_an_end(self) -> None:
        """Who reads slowly would take the first for the end, and the part for the whole."""
        for dying, other in (("user", "far"), ("service", "near")):
            self.setUp()
            self.join()
            getattr(self, dying).abortConnection()
            self.assertFalse(getattr(self, other).write_closed)
            self.assertTrue(getattr(self, other).lost)

    def test_reset_while_the_other_has_paused_it(self) -> None:
        """Twisted never finishes closing a transport whose producer died paused."""
        self.join()
        self.service.paused = True
        for _ in range(20):
            self.user.write(bytes(16384))
        self.pump()
        self.assertTrue(self.near.paused)
        self.user.abortConnection()
        self.pump()
        self.assertTrue(self.far.lost)
        self.closed()

    def test_far_reset(self) -> None:
        self.join()
        self.service.abortConnection()
        self.pump()
        self.assertEqual(self.closed().reason, Reason.FAR_LOST)
        self.assertIsNotNone(self.at_user.lost)

    def test_clean_loss_flushes_the_other(self) -> None:
        """A TLS peer that said goodbye and went is no reset."""
        self.join()
        self.service.write(b"goodbye")
        self.pump()
        self.far.lost = True
        self.far.protocol.connectionLost(Failure(ConnectionDone()))
        self.pump()
        self.assertEqual(bytes(self.at_user.received), b"goodbye")
        self.assertTrue(self.at_user.finished)
        self.assertTrue(self.near.lost)
        self.closed()

    def test_loss_after_one_end_has_finished(self) -> None:
        self.join()
        self.user.loseWriteConnection()
        self.pump()
        self.service.abortConnection()
        self.pump()
        closed = self.closed()
        self.assertEqual(closed.reason, Reason.NEAR_CLOSED)
        self.assertTrue(closed.cut)

    def test_finish_after_the_other_is_gone(self) -> None:
        self.join()
        self.near.lost = True
        self.near.protocol.connectionLost(Failure(ConnectionDone()))
        self.near.protocol.readConnectionLost()
        self.pump()
        self.service.loseConnection()
        self.pump()
        self.closed()

    def test_lost_before_the_join(self) -> None:
        self.near.protocol.connectionLost(Failure(ConnectionDone()))
        self.near.lost = True
        self.join()
        self.pump()
        self.service.loseConnection()
        self.pump()
        self.closed()


class TimeTests(JoinCase):
    """No wait without an end."""

    def test_idle_half_closed_pair_is_cut(self) -> None:
        self.join()
        self.user.loseWriteConnection()
        self.pump()
        self.clock.advance(IDLE_SECONDS)
        self.pump()
        closed = self.closed()
        self.assertEqual(closed.reason, Reason.IDLE)
        self.assertEqual(closed.seconds, IDLE_SECONDS)

    def test_a_moving_half_closed_pair_lives(self) -> None:
        self.join()
        self.user.loseWriteConnection()
        for _ in range(5):
            self.service.write(b"tick")
            self.pump()
            self.clock.advance(IDLE_SECONDS - 1)
        self.assertEqual(self.results, [])
        self.assertEqual(bytes(self.at_user.received), 5 * b"tick")
        self.clock.advance(IDLE_SECONDS)
        self.clock.advance(IDLE_SECONDS)
        self.assertEqual(self.closed().reason, Reason.IDLE)

    def test_an_open_pair_may_be_idle(self) -> None:
        self.join()
        self.pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_peer_that_does_not_take_the_rest_is_cut(self) -> None:
        self.join(far_half_closes=False)
        self.user.paused = True
        self.service.write(b"nobody reads this")
        self.pump()
        self.service.loseConnection()
        self.pump()
        self.assertFalse(self.near.lost)
        self.clock.advance(IDLE_SECONDS)
        self.pump()
        self.assertTrue(self.near.lost)
        self.closed()
