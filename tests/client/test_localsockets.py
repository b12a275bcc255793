# -*- test-case-name: tests.client.test_localsockets -*-
"""Tests of `tunnelsvc.client.localsockets`."""

from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import UnknownHostError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.client.localsocketsupport import FakeSockets
from tests.loglines import LogLines
from tunnelsvc.client import localsockets
from tunnelsvc.client.localsockets import (
    IDLE_SECONDS,
    LOOK_UP_SECONDS,
    MOST_SOCKETS,
    LocalSockets,
)
from tunnelsvc.config.proxies import UDPProxyConfig
from tunnelsvc.relay.datagrams import Outbox
from tunnelsvc.relay.drops import Drop, Drops
from tunnelsvc.wire.messages import UDPAddress
from tunnelsvc.wire.proxyprotocol import Transport, header

ALICE = UDPAddress(ip="192.0.2.7", port=5000)
BOB = UDPAddress(ip="192.0.2.8", port=5000)


class LocalSocketsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.made = FakeSockets()
        self.patch(localsockets, "connect_udp", self.made)
        self.drops = Drops(self.clock, "dns")
        self.outbox = Outbox(self.drops)
        self.answers = 0

    def make(self, **options: Any) -> LocalSockets:
        config = UDPProxyConfig(name="dns", local_port=53, **options)
        return LocalSockets(self.clock, config, self.outbox, self.answered)

    def answered(self) -> None:
        self.answers += 1


class UserTests(LocalSocketsCase):
    def test_a_socket_for_each(self) -> None:
        sockets = self.make()
        sockets.deliver([(ALICE, b"1"), (BOB, b""), (ALICE, b"2")])
        self.assertEqual([each.sent for each in self.made], [[b"1", b"2"], [b""]])
        self.assertEqual(self.made[0].peer, ("127.0.0.1", 53))
        self.made[1].answer(b"to bob")
        self.assertEqual(self.outbox.take(), (BOB, b"to bob"))
        self.assertEqual(self.answers, 1)

    def test_few_descriptors(self) -> None:
        """A flood of users takes none from proxies that aren't udp: the oldest make room."""
        self.patch(localsockets, "getrlimit", lambda _: (1000, 1000))
        sockets = self.make()
        self.made.descriptor = 750
        sockets.deliver([(ALICE, b"1")])
        self.assertEqual(self.drops.counts[Drop.NO_SERVICE], 1)
        self.made.descriptor = 749
        sockets.deliver([(ALICE, b"2")])
        self.made.descriptor = 750
        sockets.deliver([(BOB, b"3")])
        self.assertEqual([each.closed for each in self.made], [True, True, True, False])
        self.assertEqual([each.sent for each in self.made], [[], [b"2"], [], [b"3"]])

    def test_idle(self) -> None:
        """Datagrams of both directions keep a socket; without, it is closed."""
        sockets = self.make()
        sockets.deliver([(ALICE, b"1"), (BOB, b"1")])
        self.clock.advance(IDLE_SECONDS - 1)
        self.made[0].answer(b"news")
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertEqual([each.closed for each in self.made], [False, True])
        sockets.deliver([(ALICE, b"2")])
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertFalse(self.made[0].closed)
        self.clock.advance(1)
        self.assertTrue(self.made[0].closed)
        sockets.deliver([(ALICE, b"3")])
        self.assertEqual(len(self.made), 3)

    def test_bounded(self) -> None:
        sockets = self.make()
        users = [UDPAddress(ip="192.0.2.7", port=number) for number in range(MOST_SOCKETS + 3)]
        sockets.deliver([(user, b"") for user in users])
        self.assertEqual([each.closed for each in self.made].count(False), MOST_SOCKETS)
        self.assertTrue(all(each.closed for each in self.made[:3]))

    def test_close(self) -> None:
        sockets = self.make()
        sockets.deliver([(ALICE, b"1")])
        sockets.close()
        self.assertTrue(self.made[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        sockets.deliver([(ALICE, b"1")])
        self.assertEqual(len(self.made), 2)

    def test_introduction(self) -> None:
        """Before the first datagram of each socket, once; a service of IPv6 reads it, too."""
        for host, local in (("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")):
            self.made.clear()
            sockets = self.make(local_ip=host, proxy_protocol_version="v2")
            sockets.deliver([(ALICE, b"1"), (ALICE, b"2"), (BOB, b"1")])
            first, second = (
                header("v2", (user.ip, user.port), (local, 53), Transport.DATAGRAM)
                for user in (ALICE, BOB)
            )
            sent = [each.sent for each in self.made]
            self.assertEqual(sent, [[first + b"1", b"2"], [second + b"1"]])

    def test_introduction_not_taken(self) -> None:
        """With it, a datagram may be too long; the next one tells who the user is."""
        sockets = self.make(proxy_protocol_version="v2")
        self.made.works = False
        sockets.deliver([(ALICE, b"long")])
        self.assertEqual(self.drops.counts, {Drop.UNSENT: 1})
        self.assertTrue(self.made[0].closed)
        self.made.works = True
        sockets.deliver([(ALICE, b"1"), (ALICE, b"2")])
        who = header("v2", (ALICE.ip, ALICE.port), ("127.0.0.1", 53), Transport.DATAGRAM)
        self.assertEqual([each.sent for each in self.made[1:]], [[who + b"1", b"2"]])


class AbsenceTests(LocalSocketsCase):
    """A service that isn't there, or can't be found."""

    def test_refused(self) -> None:
        """The socket stays: the service may come."""
        sockets = self.make()
        sockets.deliver([(ALICE, b"1")])
        self.made[0].on_error(ConnectionRefusedError())
        sockets.deliver([(ALICE, b"2")])
        self.assertEqual(self.made[0].sent, [b"1", b"2"])
        self.assertEqual(self.drops.counts, {Drop.NO_SERVICE: 1})

    def test_no_way(self) -> None:
        sockets = self.make()
        self.made.error = OSError("network is unreachable")
        sockets.deliver([(ALICE, b"1"), (BOB, b"1")])
        self.assertEqual(self.drops.counts, {Drop.NO_SERVICE: 2})
        self.made.error = None
        sockets.deliver([(ALICE, b"2")])
        self.assertEqual(self.made[0].sent, [b"2"])

    def test_not_taken(self) -> None:
        sockets = self.make()
        sockets.deliver([(ALICE, b"1")])
        self.made[0].works = False
        sockets.deliver([(ALICE, b"2")])
        self.assertEqual(self.drops.counts, {Drop.UNSENT: 1})


class NameTests(LocalSocketsCase):
    """A service that is known by its name."""

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[Deferred[list[str]]] = []
        self.patch(localsockets, "resolve", self.resolve)

    async def resolve(self, _reactor: object, host: str) -> list[str]:
        self.assertEqual(host, "dns.local")
        self.asked.append(Deferred())
        return await self.asked[-1]

    def test_found(self) -> None:
        sockets = self.make(local_ip="dns.local")
        looking = ensureDeferred(sockets.look_up())
        self.assertNoResult(looking)
        self.asked[0].callback(["::1", "192.0.2.53", "192.0.2.54"])
        self.successResultOf(looking)
        sockets.deliver([(ALICE, b"1"), (BOB, b"1")])
        self.assertEqual(self.made[0].peer, ("192.0.2.53", 53))
        self.assertEqual(len(self.asked), 1)

    def test_moved(self) -> None:
        """New users find it where it is now, soon; the others keep their sockets."""
        sockets = self.make(local_ip="dns.local")
        ensureDeferred(sockets.look_up())
        self.asked[0].callback(["192.0.2.53"])
        sockets.deliver([(ALICE, b"1")])
        self.clock.advance(LOOK_UP_SECONDS)
        sockets.deliver([(BOB, b"1")])
        self.assertEqual(self.made[1].peer, ("192.0.2.53", 53))
        self.asked[1].callback(["192.0.2.54"])
        sockets.deliver([(UDPAddress(ip="192.0.2.9"), b"1"), (ALICE, b"2")])
        self.assertEqual(self.made[2].peer, ("192.0.2.54", 53))
        self.assertEqual(self.made[0].sent, [b"1", b"2"])

    def test_unknown(self) -> None:
        """It is told; datagrams are dropped until the name is known."""
        lines = LogLines(self)
        sockets = self.make(local_ip="dns.local")
        looking = ensureDeferred(sockets.look_up())
        self.asked[0].errback(UnknownHostError())
        self.successResultOf(looking)
        self.assertIn("[dns] local service: dns.local: no such name", lines)
        sockets.deliver([(ALICE, b"1")])
        self.assertEqual((len(self.asked), len(self.made)), (1, 0))
        self.clock.advance(LOOK_UP_SECONDS)
        sockets.deliver([(ALICE, b"1")])
        self.asked[1].callback(["192.0.2.53"])
        sockets.deliver([(ALICE, b"2")])
        self.assertEqual(self.made[0].sent, [b"2"])
        self.assertEqual(self.drops.counts, {Drop.NO_SERVICE: 2})

    def test_addresses_are_no_names(self) -> None:
        self.successResultOf(ensureDeferred(self.make().look_up()))
        self.assertEqual(self.asked, [])
