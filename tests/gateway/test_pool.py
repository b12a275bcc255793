# -*- test-case-name: tests.gateway.test_pool -*-
"""Tests of `tunnelsvc.gateway.pool`."""

from twisted.internet.address import IPv4Address
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.support import Service, TellingStream
from tests.streams import MemoryStream, Recorder, pump
from tunnelsvc.errors import WorkConnectionUnavailable
from tunnelsvc.gateway.pool import CLOSE_SECONDS, IDLE_SECONDS, MOST_IDLE, UserPool
from tunnelsvc.handover import Parked, attach

USER = IPv4Address("TCP", "192.0.2.9", 5)


class PoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.service = Service(self.clock)
        self.pool = self.service.pool

    def fresh(self) -> TellingStream:
        """Open a connection."""
        stream = self.successResultOf(ensureDeferred(self.pool.fresh(USER)))
        assert isinstance(stream, TellingStream)
        return stream

    def assert_closed(self, stream: TellingStream) -> None:
        """A connection was closed in good order and is forgotten."""
        pump(stream)
        self.assertTrue(stream.lost)
        self.assertTrue(self.service.seen[0].finished)
        self.assertIsNone(self.pool.kept())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fresh(self) -> None:
        stream = self.fresh()
        self.assertIsInstance(stream.protocol, Parked)
        self.assertEqual(self.service.users, [USER])
        self.assertIsNone(self.pool.kept())

    def test_unavailable(self) -> None:
        self.service.available = False
        self.failureResultOf(ensureDeferred(self.pool.fresh(USER)), WorkConnectionUnavailable)

    def test_kept(self) -> None:
        """The last one comes first: the others may be left to time out."""
        first, second = self.fresh(), self.fresh()
        self.pool.keep(first)
        self.pool.keep(second)
        self.assertFalse(second.paused)
        self.assertIs(self.pool.kept(), second)
        self.assertIsInstance(second.protocol, Parked)
        self.assertTrue(second.paused)
        self.assertIs(self.pool.kept(), first)
        self.assertIsNone(self.pool.kept())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_time(self) -> None:
        stream = self.fresh()
        self.pool.keep(stream)
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertFalse(stream.closing)
        self.clock.advance(1)
        self.assert_closed(stream)

    def test_each_has_its_time(self) -> None:
        """One limit watches them all, from the one that is idle longest."""
        streams = [self.fresh() for _ in range(3)]
        for stream in streams:
            self.pool.keep(stream)
            self.clock.advance(10)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.service.ends[1].abortConnection()
        self.clock.advance(IDLE_SECONDS - 30)
        self.assertEqual([stream.closing for stream in streams], [True, False, False])
        self.clock.advance(19)
        self.assertFalse(streams[2].closing)
        self.clock.advance(1)
        self.assertTrue(streams[2].closing)
        pump(*streams)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_used_one_starts_anew(self) -> None:
        first, second = self.fresh(), self.fresh()
        self.pool.keep(first)
        self.clock.advance(IDLE_SECONDS - 1)
        self.pool.kept()
        self.pool.keep(first)
        self.pool.keep(second)
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertFalse(first.closing)
        self.clock.advance(1)
        self.assertTrue(first.closing and second.closing)

    def test_closed_by_the_service(self) -> None:
        stream = self.fresh()
        self.pool.keep(stream)
        self.service.ends[0].loseWriteConnection()
        pump(stream)
        self.assert_closed(stream)

    def test_reset_by_the_service(self) -> None:
        stream = self.fresh()
        self.pool.keep(stream)
        self.service.ends[0].abortConnection()
        self.assertIsNone(self.pool.kept())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_before_it_came_back(self) -> None:
        stream = self.fresh()
        self.service.ends[0].abortConnection()
        self.pool.keep(stream)
        self.assertIsNone(self.pool.kept())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unasked_bytes(self) -> None:
        """They would be taken for the response to the next request."""
        stream = self.fresh()
        self.pool.keep(stream)
        self.service.ends[0].write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.service.ends[0].write(b"more")
        pump(stream)
        self.assert_closed(stream)

    def test_bytes_from_before(self) -> None:
        stream = self.fresh()
        stream.protocol.dataReceived(b"late")
        self.pool.keep(stream)
        self.assert_closed(stream)

    def test_lost_between_two_uses(self) -> None:
        """Whoever takes it is told."""
        stream = self.fresh()
        self.pool.keep(stream)
        self.pool.kept()
        self.service.ends[0].abortConnection()
        reader = Recorder()
        attach(stream, reader)
        self.assertIsNotNone(reader.lost)

    def test_number(self) -> None:
        streams = [self.fresh() for _ in range(MOST_IDLE + 1)]
        for stream in streams:
            self.pool.keep(stream)
        pump(*streams)
        self.assertEqual([stream.lost for stream in streams], [False] * MOST_IDLE + [True])

    def test_a_crowd_is_served_again(self) -> None:
        """As many as ask at once find a connection each the next time."""
        crowd = 50
        streams = [self.fresh() for _ in range(crowd)]
        for stream in streams:
            self.pool.keep(stream)
        self.assertEqual([self.pool.kept() for _ in range(crowd)], streams[::-1])
        self.assertEqual(len(self.service.ends), crowd)

    def test_close(self) -> None:
        """What is idle closes at once, what is in use when it comes back."""
        used, idle = self.fresh(), self.fresh()
        self.pool.keep(idle)
        self.pool.close()
        pump(idle, used)
        self.assertTrue(idle.lost)
        self.assertFalse(used.lost)
        self.pool.keep(used)
        self.assert_closed(used)

    def test_drop_writes_the_rest_first(self) -> None:
        stream = self.fresh()
        stream.write(b"the end of a request")
        self.pool.drop(stream)
        self.assert_closed(stream)
        self.assertEqual(self.service.received(), b"the end of a request")

    def test_drop_does_not_wait_for_ever(self) -> None:
        stream = self.fresh()
        self.service.ends[0].paused = True
        stream.write(b"nobody reads this")
        self.pool.drop(stream)
        pump(stream)
        self.clock.advance(CLOSE_SECONDS - 1)
        self.assertFalse(stream.lost)
        self.clock.advance(1)
        self.assertTrue(stream.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class UserPoolTests(SynchronousTestCase):
    """Connections whose user the service was told."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.service = Service(self.clock, pool=UserPool)
        self.pool = self.service.pool
        self.first, self.second = MemoryStream("first"), MemoryStream("second")
        self.second.remote = IPv4Address("TCP", self.first.remote.host, 51001)

    def fresh(self) -> TellingStream:
        """Open a connection."""
        stream = self.successResultOf(ensureDeferred(self.pool.fresh(USER)))
        assert isinstance(stream, TellingStream)
        return stream

    def test_to_each_his_own(self) -> None:
        """The port counts, too: it was told."""
        older, theirs, newer = self.fresh(), self.fresh(), self.fresh()
        self.pool.keep(older, self.first)
        self.pool.keep(theirs, self.second)
        self.pool.keep(newer, self.first)
        self.assertIs(self.pool.kept(self.first), newer)
        self.assertIs(self.pool.kept(self.first), older)
        self.assertIsNone(self.pool.kept(self.first))
        self.assertIsInstance(older.protocol, Parked)
        self.assertIs(self.pool.kept(self.second), theirs)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobodys(self) -> None:
        stream = self.fresh()
        self.pool.keep(stream)
        self.assertTrue(stream.closing)
        self.assertIsNone(self.pool.kept())

    def test_the_oldest_makes_room(self) -> None:
        """Its user may have gone long ago."""
        streams = [self.fresh() for _ in range(MOST_IDLE + 1)]
        for stream in streams:
            self.pool.keep(stream, self.first)
        self.assertEqual([stream.closing for stream in streams], [True, *[False] * MOST_IDLE])

    def test_time(self) -> None:
        streams = [self.fresh(), self.fresh()]
        self.pool.keep(streams[0], self.first)
        self.clock.advance(1)
        self.pool.keep(streams[1], self.second)
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertEqual([stream.closing for stream in streams], [True, False])
        self.pool.close()
        self.assertTrue(streams[1].closing)
        late = self.fresh()
        self.pool.keep(late, self.first)
        self.assertTrue(late.closing)
