# -*- test-case-name: tests.relay.test_datagrams -*-
"""Tests of `tunnelsvc.relay.datagrams`."""

from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import MemoryStream, pair, pump
from tunnelsvc.relay.datagrams import (
    MOST_WAITING,
    MOST_WAITING_BYTES,
    WRITE_BYTES,
    DatagramChannel,
    Outbox,
)
from tunnelsvc.relay.drops import Drop, Drops
from tunnelsvc.wire.datagrams import (
    Datagram,
    DatagramCodec,
    EitherDatagrams,
    FrameDatagrams,
    MessageDatagrams,
)
from tunnelsvc.wire.messages import UDPAddress

USER = UDPAddress(ip="192.0.2.7", port=5353)


class OutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.drops = Drops(Clock(), "dns")
        self.outbox = Outbox(self.drops)

    def test_order(self) -> None:
        self.outbox.put(USER, b"1")
        self.outbox.put(USER, b"2")
        taken = [self.outbox.take() for _ in range(3)]
        self.assertEqual(taken, [(USER, b"1"), (USER, b"2"), None])

    def test_bounded(self) -> None:
        """By number: empty ones count as well."""
        fits = [self.outbox.put(USER, b"") for _ in range(MOST_WAITING + 5)]
        self.assertEqual(fits, [True] * MOST_WAITING + [False] * 5)
        self.assertEqual(self.drops.counts, {Drop.FULL: 5})
        self.outbox.take()
        self.assertTrue(self.outbox.put(USER, b""))

    def test_bounded_by_bytes(self) -> None:
        size = 65_507
        number = 0
        while self.outbox.put(USER, bytes(size)):
            number += 1
        self.assertLess(number * size, MOST_WAITING_BYTES + size)
        self.assertGreaterEqual(number * size, MOST_WAITING_BYTES)

    def test_clear(self) -> None:
        self.outbox.clear(Drop.NO_TUNNEL)
        self.assertEqual(self.drops.counts, {})
        for _ in range(3):
            self.outbox.put(USER, bytes(60_000))
        self.outbox.clear(Drop.NO_TUNNEL)
        self.assertIsNone(self.outbox.take())
        self.assertEqual(self.drops.counts, {Drop.NO_TUNNEL: 3})
        self.assertEqual(self.outbox._bytes, 0)


class End:
    """One end of a channel, and what it heard."""

    def __init__(
        self, stream: MemoryStream, codec: DatagramCodec, clock: Clock, **seconds: float
    ) -> None:
        self.stream = stream
        self.heard: list[Datagram] = []
        self.drops = Drops(clock, "dns")
        self.outbox = Outbox(self.drops)
        self.channel = DatagramChannel(stream, codec, clock, self.outbox, self._hear, **seconds)
        self.ended: list[str] = []
        self.channel.ended.addCallback(self.ended.append)

    def _hear(self, datagrams: Sequence[Datagram]) -> None:
        self.heard.extend(datagrams)

    def say(self, *contents: bytes) -> None:
        for content in contents:
            self.outbox.put(USER, content)
            self.channel.wake()


class ChannelCase(SynchronousTestCase):
    """Two ends: that of the users, and that of the service, which pings."""

    def setUp(self) -> None:
        self.clock = Clock()
        users, service = pair("work")
        self.users = End(users, FrameDatagrams(), self.clock, silence_seconds=60.0)
        self.service = End(service, FrameDatagrams(), self.clock, ping_seconds=30.0)
        self.users.channel.start()
        self.service.channel.start()

    def pump(self) -> None:
        self.clock.advance(0)
        pump(self.users.stream)


class ChannelTests(ChannelCase):
    def test_both_ways(self) -> None:
        self.users.say(b"question", b"")
        self.service.say(b"answer" * 10_000)
        self.pump()
        self.assertEqual(self.service.heard, [(USER, b"question"), (USER, b"")])
        self.assertEqual(self.users.heard, [(USER, b"answer" * 10_000)])

    def test_one_write_a_turn(self) -> None:
        self.users.say(*[b"x" * 100] * 50)
        self.assertEqual(self.users.stream.out, [])
        self.clock.advance(0)
        self.assertEqual(len(self.users.stream.out), 1)

    def test_large_writes_are_cut(self) -> None:
        self.service.stream.resumeProducing()
        self.users.say(*[bytes(10_000)] * 20)
        self.clock.advance(0)
        self.assertLess(self.users.stream.buffered(), WRITE_BYTES + 10_100)

    def test_a_slow_stream(self) -> None:
        """What it doesn't take waits, then is dropped; what waited comes when it can."""
        self.service.stream.pauseProducing()
        self.users.say(*[bytes(60_000)] * 3)
        self.clock.advance(0)
        self.assertTrue(self.users.stream.producer_paused)
        before = self.users.stream.buffered()
        self.users.say(*[bytes(100)] * (MOST_WAITING + 3))
        self.clock.advance(0)
        self.assertEqual(self.users.stream.buffered(), before)
        self.assertGreaterEqual(self.users.drops.counts[Drop.FULL], 3)
        self.service.stream.resumeProducing()
        for _ in range(5):
            self.pump()
        sent = 3 + MOST_WAITING + 3 - self.users.drops.counts[Drop.FULL]
        self.assertEqual(len(self.service.heard), sent)

    def test_too_long(self) -> None:
        """It is dropped and counted; others go on."""
        stream, far = pair("work")
        end = End(stream, MessageDatagrams(1500), self.clock)
        end.channel.start()
        end.say(bytes(1501), b"short")
        self.clock.advance(0)
        self.assertEqual(end.drops.counts, {Drop.TOO_LONG: 1})
        other = End(far, MessageDatagrams(), self.clock)
        other.channel.start()
        pump(stream)
        self.assertEqual(other.heard, [(USER, b"short")])

    def test_what_was_read_before(self) -> None:
        stream, _ = pair("work")
        end = End(stream, FrameDatagrams(), self.clock)
        end.channel.start(FrameDatagrams().encode(USER, b"early"))
        self.assertEqual(end.heard, [(USER, b"early")])

    def test_what_waited_before(self) -> None:
        stream, far = pair("work")
        end = End(stream, FrameDatagrams(), self.clock)
        end.outbox.put(USER, b"early")
        end.channel.start()
        self.clock.advance(0)
        other = End(far, EitherDatagrams(MessageDatagrams()), self.clock)
        other.channel.start()
        pump(stream)
        self.assertEqual(other.heard, [(USER, b"early")])


class LifeTests(ChannelCase):
    """How it ends."""

    def test_pings(self) -> None:
        """They keep a silent channel open."""
        for _ in range(20):
            self.clock.advance(15)
            self.pump()
        self.assertEqual((self.users.ended, self.users.heard), ([], []))

    def test_silence(self) -> None:
        self.service.stream.peer = self.service.stream  # what it writes is lost
        self.clock.pump([15] * 3)
        self.assertEqual(self.users.ended, [])
        self.clock.pump([15] * 2)
        self.assertEqual(self.users.ended, ["nothing heard for 60 s"])
        self.assertTrue(self.users.stream.lost)

    def test_datagrams_are_signs_of_life(self) -> None:
        for _ in range(10):
            self.clock.advance(29)
            self.service.channel.dataReceived(b"")
            self.service.say(b"x")
            self.pump()
        self.assertEqual(self.users.ended, [])

    def test_closed(self) -> None:
        """The other end hears of it; timers go."""
        self.users.channel.close()
        self.users.channel.close()
        self.pump()
        self.assertEqual(self.users.ended, ["closed"])
        self.assertEqual(len(self.service.ended), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.users.say(b"too late")
        self.clock.advance(0)

    def test_half_closed(self) -> None:
        self.users.stream.loseWriteConnection()
        self.pump()
        self.assertEqual(self.service.ended, ["closed by the other end"])
        self.assertEqual(len(self.users.ended), 1)

    def test_nonsense(self) -> None:
        self.service.stream.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.pump()
        self.assertEqual(len(self.users.ended), 1)
        self.assertIn("no frame", self.users.ended[0])
        self.assertTrue(self.service.stream.lost)

    def test_nonsense_at_the_start(self) -> None:
        stream, _ = pair("work")
        end = End(stream, FrameDatagrams(), self.clock)
        end.channel.start(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertIn("no frame", end.ended[0])

    def test_lost_before_the_start(self) -> None:
        stream, far = pair("work")
        far.abortConnection()
        end = End(stream, FrameDatagrams(), self.clock, ping_seconds=30.0)
        end.channel.start()
        self.assertEqual(len(end.ended), 1)
        self.clock.advance(0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)  # those of setUp

    def test_no_ping_before_the_peer(self) -> None:
        """Who takes up the peer's way has none until it has spoken."""
        stream, far = pair("work")
        end = End(stream, EitherDatagrams(MessageDatagrams()), self.clock, ping_seconds=30.0)
        end.channel.start()
        self.clock.advance(30)
        self.assertEqual(stream.buffered(), 0)
        far.write(FrameDatagrams().encode(USER, b""))
        pump(stream)
        self.clock.advance(30)
        self.assertEqual(stream.out, [FrameDatagrams().ping()])
