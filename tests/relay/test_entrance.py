# -*- test-case-name: tests.relay.test_entrance -*-
"""Tests of `tunnelsvc.relay.entrance`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair
from tunnelsvc.relay.datagrams import MOST_WAITING, DatagramChannel
from tunnelsvc.relay.drops import Drop, Drops
from tunnelsvc.relay.entrance import IDLE_SECONDS, MOST_USERS, Entrance, PortUser
from tunnelsvc.wire.datagrams import FrameDatagrams, SocketAddress, user_at

ALICE = ("192.0.2.7", 5000)
BOB = ("fe80::1", 5000, 0, 3)


class Port:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, SocketAddress]] = []
        self.works = True

    def send_to(self, data: bytes, address: SocketAddress) -> bool:
        if self.works:
            self.sent.append((data, address))
        return self.works


class Counter:
    """Keeps what is counted."""

    def __init__(self) -> None:
        self.meters: list[PortUser] = []
        self.present: list[PortUser] = []

    def track(self, meter: PortUser, user: PortUser) -> None:
        assert meter is user
        self.meters.append(meter)
        self.present.append(user)

    def untrack(self, meter: PortUser) -> None:
        self.present.remove(meter)

    @property
    def users(self) -> int:
        return len(self.present)

    @property
    def in_bytes(self) -> int:
        return sum(meter.up_bytes for meter in self.meters)

    @property
    def out_bytes(self) -> int:
        return sum(meter.down_bytes for meter in self.meters)


class EntranceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.drops = Drops(self.clock, "dns")
        self.wanted = 0
        self.entrance = Entrance(self.clock, self.drops, self.want)
        self.entrance.port = self.port = Port()
        self.entrance.account = self.counter = Counter()

    def want(self) -> None:
        self.wanted += 1

    def test_waits_for_a_channel(self) -> None:
        self.entrance.received(b"1", ALICE)
        self.entrance.received(b"2", BOB)
        self.assertEqual(self.wanted, 2)
        self.assertEqual(self.entrance.outbox.take(), (user_at(ALICE), b"1"))
        self.assertEqual(self.entrance.outbox.take(), (user_at(BOB), b"2"))

    def test_answers(self) -> None:
        """They go where the question came from, zone and all."""
        self.entrance.received(b"1", BOB)
        self.entrance.deliver([(user_at(BOB), b"answer"), (user_at(BOB), b"")])
        self.assertEqual(self.port.sent, [(b"answer", BOB), (b"", BOB)])
        self.assertEqual(
            (self.counter.users, self.counter.in_bytes, self.counter.out_bytes), (1, 1, 6)
        )

    def test_strangers(self) -> None:
        """Nobody is sent anything who hasn't asked, or not for long."""
        self.entrance.deliver([(user_at(ALICE), b"answer")])
        self.entrance.received(b"1", ALICE)
        self.clock.advance(IDLE_SECONDS)
        self.entrance.deliver([(user_at(ALICE), b"answer")])
        self.assertEqual(self.port.sent, [])
        self.assertEqual(self.drops.counts, {Drop.STRANGER: 2})
        self.assertEqual((self.counter.users, self.counter.out_bytes), (0, 0))

    def test_a_user_can_be_seen(self) -> None:
        self.entrance.received(b"1", ALICE)
        self.entrance.received(b"1", BOB)
        alice, bob = (user.getPeer() for user in self.counter.present)
        self.assertEqual((alice.host, alice.port, alice.type), (*ALICE, "UDP"))
        self.assertEqual((bob.host, bob.port), BOB[:2])

    def test_a_user_can_be_sent_away(self) -> None:
        """Nothing goes to him any more; he may come again, as everybody."""
        self.entrance.received(b"1", ALICE)
        self.entrance.received(b"1", BOB)
        (alice, _) = self.counter.present
        alice.abortConnection()
        alice.abortConnection()
        self.assertEqual([user.address for user in self.counter.present], [BOB])
        self.entrance.deliver([(user_at(ALICE), b"answer"), (user_at(BOB), b"answer")])
        self.assertEqual(self.port.sent, [(b"answer", BOB)])
        self.entrance.received(b"1", ALICE)
        self.assertEqual(self.counter.users, 2)

    def test_answers_are_signs_of_life(self) -> None:
        self.entrance.received(b"subscribe", ALICE)
        for _ in range(5):
            self.clock.advance(IDLE_SECONDS - 1)
            self.entrance.deliver([(user_at(ALICE), b"news")])
        self.assertEqual(len(self.port.sent), 5)

    def test_bounded(self) -> None:
        """Datagrams that wait, and users."""
        for number in range(MOST_USERS + 10):
            self.entrance.received(b"", ("192.0.2.7", number))
        self.assertEqual(self.counter.users, MOST_USERS)
        self.assertEqual(self.drops.counts[Drop.FULL], MOST_USERS + 10 - MOST_WAITING)

    def test_a_full_system(self) -> None:
        self.port.works = False
        self.entrance.received(b"1", ALICE)
        self.entrance.deliver([(user_at(ALICE), b"answer")])
        self.assertEqual(self.drops.counts, {Drop.UNSENT: 1})
        self.assertEqual(self.counter.out_bytes, 0)

    def test_close(self) -> None:
        stream, _ = pair("work")
        channel = DatagramChannel(
            stream, FrameDatagrams(), self.clock, self.entrance.outbox, self.entrance.deliver
        )
        self.entrance.use(channel)
        channel.start()
        self.entrance.received(b"1", ALICE)
        self.assertEqual(self.wanted, 0)
        self.clock.advance(0)
        self.assertEqual(stream.buffered(), len(FrameDatagrams().encode(user_at(ALICE), b"1")))
        self.entrance.close()
        self.assertTrue(stream.lost)
        self.assertEqual(self.counter.users, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
