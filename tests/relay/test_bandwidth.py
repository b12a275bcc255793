# -*- test-case-name: tests.relay.test_bandwidth -*-
"""Tests of `tunnelsvc.relay.bandwidth`."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.streams import HIGH_WATER_BYTES, MemoryStream, Producer, Recorder, pair, pump, recorded
from tunnelsvc.handover import attach, park, untaken_bytes
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Closed, Reason, codecs, dress, join
from tunnelsvc.relay.bandwidth import BandwidthLimit
from tunnelsvc.relay.lanes import LEAST_SLICE_BYTES, MOST_SLICE_BYTES, TURN_SECONDS, TokenBucket

RATE = 10_000
STEADY = settings(derandomize=True, deadline=None)


class BucketTests(SynchronousTestCase):
    """Tokens and time."""

    def test_an_idle_second_is_kept(self) -> None:
        bucket = TokenBucket(RATE, 5.0)
        self.assertEqual(bucket.available(5.0), RATE)
        self.assertEqual(bucket.available(500.0), RATE)

    def test_spent(self) -> None:
        bucket = TokenBucket(RATE, 0.0)
        bucket.spend(RATE)
        self.assertEqual(bucket.available(0.0), 0)
        self.assertEqual(bucket.seconds_until(RATE // 2), 0.5)
        self.assertEqual(bucket.available(0.25), RATE // 4)
        self.assertEqual(bucket.seconds_until(1), 0.0)

    def test_overspent(self) -> None:
        bucket = TokenBucket(RATE, 0.0)
        bucket.spend(3 * RATE)
        self.assertEqual(bucket.available(1.0), -RATE)
        self.assertEqual(bucket.seconds_until(1_000_000), 2.0)

    def test_a_clock_that_is_set_back(self) -> None:
        bucket = TokenBucket(RATE, 100.0)
        bucket.spend(RATE)
        self.assertEqual(bucket.available(50.0), 0)
        self.assertEqual(bucket.available(50.5), RATE // 2)

    @given(st.integers(1, 10**9), st.lists(st.tuples(st.floats(0, 10), st.integers(0, 10**8))))
    @STEADY
    def test_never_too_much(self, rate: int, steps: list[tuple[float, int]]) -> None:
        bucket = TokenBucket(rate, 0.0)
        now, passed = 0.0, 0
        for seconds, wanted in steps:
            now += seconds
            length = max(0, min(wanted, bucket.available(now)))
            bucket.spend(length)
            passed += length
            self.assertLessEqual(passed, rate * (now + 1) * (1 + 1e-9))


class LimitCase(SynchronousTestCase):
    """Streams under one limit, which begins with nothing to spare."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.limit = BandwidthLimit(RATE, self.clock)
        self.assertTrue(self.limit.take(RATE))

    def pair(self) -> tuple[MemoryStream, MemoryStream, Stream]:
        """Give the far end of a connection, the near one, and that under the limit."""
        far, bare = pair("work")
        stream, _ = self.limit.put_on(bare, b"")
        return far, bare, stream

    def advance(self, seconds: float, *streams: MemoryStream) -> None:
        """Let time pass."""
        for _ in range(round(seconds / TURN_SECONDS)):
            self.clock.advance(TURN_SECONDS)
            pump(*streams)

    def assert_idle(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ReadingTests(LimitCase):
    """What comes from the other program."""

    def setUp(self) -> None:
        super().setUp()
        self.far, self.bare, self.stream = self.pair()
        self.reader = Recorder()
        attach(self.stream, self.reader)
        self.stream.resumeProducing()

    def pump(self, seconds: float = 0.0) -> None:
        pump(self.far)
        self.advance(seconds, self.far)

    def test_interfaces(self) -> None:
        for interface in (ITransport, IConsumer, IPushProducer):
            self.assertTrue(verifyObject(interface, self.stream))

    def test_within_the_limit(self) -> None:
        """Nothing is held, nobody waits."""
        self.advance(1)
        for _ in range(10):
            self.far.write(bytes(RATE // 10))
        pump(self.far)
        self.assertEqual(len(self.reader.received), RATE)
        self.assertFalse(self.bare.paused)
        self.assert_idle()

    def test_above_the_limit(self) -> None:
        """Who sends is paused at once: no more than one read is held."""
        for number in range(50):
            self.far.write(bytes([number]) * 1000)
        self.pump()
        self.assertTrue(self.bare.paused)
        self.assertEqual(self.far.buffered(), 49_000)
        for seconds in range(1, 6):
            self.pump(1.0)
            self.assertLessEqual(abs(len(self.reader.received) - seconds * RATE), 1500)
        self.pump(0.5)
        self.assertEqual(
            bytes(self.reader.received), b"".join(bytes([number]) * 1000 for number in range(50))
        )
        self.assertFalse(self.bare.paused)
        self.assert_idle()

    def test_unread_bytes_after_a_pause(self) -> None:
        """Time that was before them isn't theirs: a second's rate is all that was saved."""
        self.advance(10)
        _, bare = pair("other")
        self.limit.put_on(bare, bytes(5 * RATE))
        self.far.write(b"hello")
        self.pump(3.9)
        self.assertEqual(bytes(self.reader.received), b"")
        self.pump(0.2)
        self.assertEqual(bytes(self.reader.received), b"hello")

    def test_unread_bytes_count(self) -> None:
        """They pass, and those that come behind wait for them."""
        _, bare = pair("other")
        _, unread = self.limit.put_on(bare, bytes(RATE))
        self.assertEqual(unread, bytes(RATE))
        self.far.write(b"hello")
        self.pump(0.9)
        self.assertEqual(bytes(self.reader.received), b"")
        self.pump(0.2)
        self.assertEqual(bytes(self.reader.received), b"hello")

    def test_what_was_read_before(self) -> None:
        far, bare = pair("work")
        far.write(b"early")
        bare.protocol.dataReceived(b"very ")
        stream, _ = self.limit.put_on(bare, b"")
        reader = Recorder()
        attach(stream, reader)
        stream.resumeProducing()
        self.advance(1, far)
        self.assertEqual(bytes(reader.received), b"very early")

    def test_a_reader_who_pauses(self) -> None:
        """What is held for him waits, for others it's as if he weren't there."""
        self.far.write(b"hello")
        self.pump()
        park(self.stream)
        self.assert_idle()
        self.pump(1)
        self.assertEqual(bytes(self.reader.received), b"")
        attach(self.stream, self.reader)
        self.stream.resumeProducing()
        self.pump(0.1)
        self.assertEqual(bytes(self.reader.received), b"hello")
        self.far.write(b", you")
        self.pump()
        self.assertEqual(bytes(self.reader.received), b"hello, you")

    def test_a_reader_who_pauses_between_two_pieces(self) -> None:
        self.far.write(bytes(5000))
        self.pump(0.3)
        received = len(self.reader.received)
        self.assertLess(received, 5000)
        self.stream.pauseProducing()
        self.pump(1)
        self.assertEqual(len(self.reader.received), received)
        self.stream.resumeProducing()
        self.pump(1)
        self.assertEqual(len(self.reader.received), 5000)

    def test_end(self) -> None:
        """The end of file comes behind the last byte."""
        self.far.write(bytes(3000))
        self.far.loseWriteConnection()
        self.pump(0.1)
        self.bare.protocol.readConnectionLost()
        self.assertFalse(self.reader.finished)
        self.pump(1)
        self.assertEqual(len(self.reader.received), 3000)
        self.assertTrue(self.reader.finished)

    def test_end_for_a_paused_reader(self) -> None:
        """As of a socket, which isn't read while it's paused."""
        self.stream.pauseProducing()
        self.bare.protocol.readConnectionLost()
        self.assertFalse(self.reader.finished)
        self.stream.resumeProducing()
        self.clock.advance(0)
        self.assertTrue(self.reader.finished)

    def test_loss(self) -> None:
        """It is told behind the last byte that came before it."""
        for kind in (ConnectionLost, ConnectionDone):
            self.setUp()
            self.far.write(bytes(3000))
            self.pump()
            self.bare._gone(kind())
            self.assertIsNone(self.reader.lost)
            self.advance(1)
            self.assertEqual(len(self.reader.received), 3000)
            assert self.reader.lost is not None
            self.assertTrue(self.reader.lost.check(kind))
            self.assert_idle()

    def test_loss_for_a_paused_reader(self) -> None:
        """He may never read again: he gets what there is, and is told at once."""
        self.far.write(bytes(3000))
        self.pump()
        self.stream.pauseProducing()
        self.far.abortConnection()
        self.assertEqual(len(self.reader.received), 3000)
        self.assertIsNotNone(self.reader.lost)
        self.assert_idle()

    def test_loss_stops_the_producer_when_it_is_told(self) -> None:
        producer = Producer()
        self.stream.registerProducer(producer, True)
        self.far.write(bytes(3000))
        self.pump()
        self.far.abortConnection()
        self.assertNotIn("stop", producer.told)
        self.advance(1)
        self.assertIn("stop", producer.told)

    def test_aborted(self) -> None:
        self.far.write(bytes(3000))
        self.pump()
        self.stream.abortConnection()
        assert self.reader.lost is not None
        self.assertTrue(self.reader.lost.check(ConnectionAborted))
        self.assertEqual(bytes(self.reader.received), b"")
        self.assert_idle()

    def test_aborted_after_a_loss(self) -> None:
        """Which wasn't told yet."""
        self.far.write(bytes(3000))
        self.pump()
        self.far.abortConnection()
        self.stream.abortConnection()
        self.assertIsNone(self.reader.lost)
        self.clock.advance(0)
        assert self.reader.lost is not None
        self.assertTrue(self.reader.lost.check(ConnectionAborted))
        self.assert_idle()

    def test_closed_after_a_loss(self) -> None:
        self.far.write(bytes(3000))
        self.pump()
        self.far.abortConnection()
        self.stream.loseConnection()
        self.clock.advance(0)
        assert self.reader.lost is not None
        self.assertTrue(self.reader.lost.check(ConnectionLost))
        self.assert_idle()

    def test_a_reader_who_fails(self) -> None:
        """Others don't notice."""
        far, _, stream = self.pair()
        other = Recorder()
        attach(stream, other)
        stream.resumeProducing()
        self.far.write(bytes(100))
        far.write(bytes(100))
        pump(self.far, far)
        self.patch(self.reader, "dataReceived", lambda _: 1 / 0)
        self.advance(1, far)
        self.assertEqual(len(other.received), 100)
        self.assertTrue(self.bare.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class WritingTests(LimitCase):
    """What goes to the other program."""

    def setUp(self) -> None:
        super().setUp()
        self.far, self.bare, self.stream = self.pair()
        self.at_far = recorded(self.far)
        self.reader = Recorder()
        attach(self.stream, self.reader)
        self.stream.resumeProducing()
        self.producer = Producer()
        self.stream.registerProducer(self.producer, True)

    def pump(self, seconds: float = 0.0) -> None:
        pump(self.far)
        self.advance(seconds, self.far)

    def test_within_the_limit(self) -> None:
        self.advance(1)
        self.stream.write(bytes(RATE))
        self.assertEqual(self.bare.buffered(), RATE)
        self.assertEqual(self.producer.told, [])
        self.assert_idle()

    def test_above_the_limit(self) -> None:
        self.stream.write(bytes(5000))
        self.assertEqual(self.producer.told, ["pause"])
        self.assertEqual(untaken_bytes(self.stream), 5000)
        self.pump(0.4)
        self.assertLessEqual(abs(len(self.at_far.received) - 4000), 1500)
        self.assertEqual(self.producer.told, ["pause"])
        self.pump(0.4)
        self.assertEqual(len(self.at_far.received), 5000)
        self.assertEqual(self.producer.told, ["pause", "resume"])
        self.assert_idle()

    def test_a_full_stream(self) -> None:
        """One that the peer doesn't take; the limit doesn't let it go on."""
        self.far.paused = True
        self.limit = BandwidthLimit(1_000_000, self.clock)
        self.far, self.bare, self.stream = self.pair()
        self.stream.registerProducer(self.producer, True)
        self.stream.write(bytes(HIGH_WATER_BYTES + 1))
        self.assertEqual(self.producer.told, ["pause"])
        self.stream.write(b"more")
        self.assertEqual(self.bare.buffered(), HIGH_WATER_BYTES + 1)
        self.assertEqual(untaken_bytes(self.stream), HIGH_WATER_BYTES + 5)
        self.advance(1)
        self.assertNotIn("resume", self.producer.told)
        at_far = recorded(self.far)
        self.pump(0.1)
        self.assertEqual(len(at_far.received), HIGH_WATER_BYTES + 5)
        self.assertEqual(self.producer.told[-1], "resume")
        self.assertEqual(self.producer.told.count("resume"), 1)

    def test_finish(self) -> None:
        """Behind the last byte."""
        self.stream.write(bytes(3000))
        self.stream.unregisterProducer()
        self.stream.loseWriteConnection()
        self.stream.write(b"too late")
        self.pump(0.1)
        self.assertFalse(self.bare.write_closed)
        self.pump(1)
        self.assertEqual(len(self.at_far.received), 3000)
        self.assertTrue(self.at_far.finished)
        self.far.write(b"bye")
        self.pump(0.1)
        self.assertEqual(bytes(self.reader.received), b"bye")

    def test_finish_at_once(self) -> None:
        self.stream.unregisterProducer()
        self.stream.loseWriteConnection()
        self.assertTrue(self.bare.write_closed)

    def test_close(self) -> None:
        self.stream.write(bytes(3000))
        self.far.write(b"nobody reads this")
        self.pump()
        self.stream.unregisterProducer()
        self.stream.loseConnection()
        self.pump(1)
        self.assertEqual(len(self.at_far.received), 3000)
        self.assertTrue(self.bare.lost)
        self.assertEqual(bytes(self.reader.received), b"")
        assert self.reader.lost is not None
        self.assertTrue(self.reader.lost.check(ConnectionDone))
        self.assert_idle()

    def test_a_producer_that_leaves_a_full_stream(self) -> None:
        """What is held goes out, although nobody says any more when there is room."""
        self.far.paused = True
        self.stream.write(bytes(100))
        self.bare.producer.pauseProducing()
        self.stream.unregisterProducer()
        self.stream.loseConnection()
        self.advance(1)
        self.assertTrue(self.bare.closing)

    def test_stop(self) -> None:
        """Who took what we read is gone; a producer's owner may yet abort."""
        self.stream.stopProducing()
        self.assertFalse(self.bare.closing)
        self.stream.unregisterProducer()
        self.assertTrue(self.bare.closing)

    def test_stop_without_a_producer(self) -> None:
        self.stream.unregisterProducer()
        self.stream.stopProducing()
        self.assertTrue(self.bare.closing)

    def test_abort(self) -> None:
        self.stream.write(bytes(3000))
        self.stream.abortConnection()
        self.assertEqual(bytes(self.at_far.received), b"")
        self.assertIsNotNone(self.at_far.lost)
        self.assert_idle()

    def test_lost(self) -> None:
        self.stream.write(bytes(3000))
        self.far.abortConnection()
        self.assertIn("stop", self.producer.told)
        self.assertIsNotNone(self.reader.lost)
        self.assert_idle()


class SharingTests(LimitCase):
    """Several connections of one proxy."""

    def connections(self, number: int) -> list[tuple[MemoryStream, Recorder]]:
        """Make connections; return their far ends, and what reads the near ones."""
        made = []
        for _ in range(number):
            far, _, stream = self.pair()
            reader = Recorder()
            attach(stream, reader)
            stream.resumeProducing()
            made.append((far, reader))
        return made

    def test_together(self) -> None:
        """They have one limit, and equal parts of it."""
        made = self.connections(5)
        for far, _ in made:
            for _ in range(200):
                far.write(bytes(1000))
        ends = [far for far, _ in made]
        pump(*ends)
        self.advance(10, *ends)
        parts = [len(reader.received) for _, reader in made]
        self.assertLessEqual(abs(sum(parts) - 10 * RATE), RATE // 10)
        self.assertLessEqual(max(parts) - min(parts), 2 * LEAST_SLICE_BYTES)

    def test_turns_that_tokens_interrupt(self) -> None:
        """Nobody gets more because a slice is no part of what there is each time."""
        for slices in (0.4, 1.25, 1.9):
            rate = int(slices * MOST_SLICE_BYTES / TURN_SECONDS)
            self.limit = BandwidthLimit(rate, self.clock)
            self.limit.take(rate)
            made = self.connections(3)
            for far, _ in made:
                for _ in range(400):
                    far.write(bytes(MOST_SLICE_BYTES))
            ends = [far for far, _ in made]
            pump(*ends)
            self.advance(2, *ends)
            parts = [len(reader.received) for _, reader in made]
            self.assertLessEqual(max(parts) - min(parts), 2 * MOST_SLICE_BYTES, slices)
            self.assertLessEqual(abs(sum(parts) - 2 * rate), 2 * MOST_SLICE_BYTES)
            for far in ends:
                far.abortConnection()

    def test_little_beside_much(self) -> None:
        """It doesn't wait for all of that."""
        (much, reader), (little, other) = self.connections(2)
        much.write(bytes(10 * MOST_SLICE_BYTES))
        pump(much)
        self.advance(0.5, much)
        little.write(b"hello")
        pump(little)
        self.advance(0.5, much)
        self.assertEqual(bytes(other.received), b"hello")
        self.assertLess(len(reader.received), 10 * MOST_SLICE_BYTES)

    def test_both_directions(self) -> None:
        """They share the limit, as in frp."""
        far, bare, stream = self.pair()
        at_far, reader = recorded(far), Recorder()
        attach(stream, reader)
        stream.resumeProducing()
        far.write(bytes(30_000))
        stream.write(bytes(30_000))
        pump(far)
        self.advance(4, far)
        parts = len(at_far.received), len(reader.received)
        self.assertLessEqual(abs(sum(parts) - 4 * RATE), RATE // 10)
        self.assertLessEqual(abs(parts[0] - parts[1]), 2 * LEAST_SLICE_BYTES)
        self.assertTrue(bare.paused)

    def test_short_connections(self) -> None:
        """Nobody escapes the limit by many connections of a few bytes each."""
        passed = 0
        for _ in range(100):
            [(far, reader)] = self.connections(1)
            far.write(bytes(1000))
            pump(far)
            self.advance(TURN_SECONDS, far)
            passed += len(reader.received)
        self.assertLessEqual(passed, 2 * 100 * TURN_SECONDS * RATE)

    def test_a_tiny_limit(self) -> None:
        """One of less than a slice."""
        self.limit = BandwidthLimit(10, self.clock)
        [(far, reader)] = self.connections(1)
        far.write(bytes(50))
        pump(far)
        self.advance(6, far)
        self.assertEqual(len(reader.received), 50)
        self.assert_idle()

    def test_a_large_limit(self) -> None:
        """As many turns as it takes."""
        rate = 100_000_000
        self.limit = BandwidthLimit(rate, self.clock)
        self.limit.take(rate)
        [(far, reader)] = self.connections(1)
        for _ in range(500):
            far.write(bytes(100_000))
        pump(far)
        self.advance(0.2, far)
        self.assertLessEqual(abs(len(reader.received) - rate * 0.2), rate * 0.02)


class JoinedTests(SynchronousTestCase):
    """A pair of which one stream has a limit."""

    @given(
        st.integers(100, 100_000),
        st.lists(st.tuples(st.booleans(), st.integers(1, 20_000))),
        st.booleans(),
        st.booleans(),
    )
    @settings(derandomize=True, deadline=None, max_examples=50)
    def test_all_of_it_and_not_too_fast(
        self, rate: int, steps: list[tuple[bool, int]], below: bool, compression: bool
    ) -> None:
        """Whatever is sent arrives, in order, dressed above or below the limit; then it ends."""
        clock = Clock()
        limit = BandwidthLimit(rate, clock)
        user, near = pair("near")
        service, bare = pair("far")
        stages = {"encryption": True, "compression": compression}
        far_end, _ = dress(service, b"", codecs(bytes(16), **stages))
        stream: Stream = bare
        if below:
            stream, _ = limit.put_on(stream, b"")
        stream, _ = dress(stream, b"", codecs(bytes(16), **stages))
        if not below:
            stream, _ = limit.put_on(stream, b"")
        at_user, at_service = recorded(user), Recorder()
        attach(far_end, at_service)
        far_end.resumeProducing()
        results: list[Closed] = []
        join(near, stream, clock=clock).addCallback(results.append)
        sent = {True: b"", False: b""}
        for number, (up, length) in enumerate(steps):
            data = bytes([number % 256]) * length
            sent[up] += data
            (user if up else far_end).write(data)
        user.loseWriteConnection()
        far_end.loseWriteConnection()
        total = len(sent[True]) + len(sent[False])
        seconds = 0.0
        while not results and seconds < 2 * total / rate + 60:
            pump(user, service)
            clock.advance(0.1)
            seconds += 0.1
            if not below:
                passed = len(at_user.received) + len(at_service.received)
                self.assertLessEqual(passed, rate * (seconds + 1.1))
        self.assertEqual(bytes(at_service.received), sent[True])
        self.assertEqual(bytes(at_user.received), sent[False])
        self.assertEqual([closed.cut for closed in results], [False])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_a_user_who_leaves(self) -> None:
        """Nothing is left behind."""
        clock = Clock()
        limit = BandwidthLimit(1000, clock)
        user, near = pair("near")
        service, bare = pair("far")
        at_service = recorded(service)
        stream, _ = limit.put_on(bare, b"")
        results: list[Closed] = []
        join(near, stream, clock=clock).addCallback(results.append)
        user.write(bytes(50_000))
        service.write(bytes(50_000))
        pump(user, service)
        user.abortConnection()
        clock.advance(0)
        self.assertEqual([closed.reason for closed in results], [Reason.NEAR_LOST])
        self.assertIsNotNone(at_service.lost)
        self.assertEqual(clock.getDelayedCalls(), [])
