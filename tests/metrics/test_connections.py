# -*- test-case-name: tests.metrics.test_connections -*-
"""Tests of `tunnelsvc.metrics.connections`, and of what lists and cuts by them."""

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.test_traffic import NOON, Time
from tunnelsvc.metrics.connections import LiveConnection, written
from tunnelsvc.metrics.counters import ProxyStats, ServerStats
from tunnelsvc.relay import Meter


class FakeUser:
    """Keeps what is asked of it."""

    def __init__(self, address: object = IPv4Address("TCP", "192.0.2.7", 5000)) -> None:
        self.address = address
        self.asked = 0
        self.cut = False

    def getPeer(self) -> object:
        self.asked += 1
        return self.address

    def abortConnection(self) -> None:
        self.cut = True


class LiveConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.stats = ServerStats(self.time)
        self.ssh = self.open("ssh")

    def open(self, name: str, kind: str = "tcp") -> ProxyStats:
        return self.stats.proxy_online(name, type=kind, conf={}, run_id="r1")

    def track(self, proxy: ProxyStats, user: FakeUser | None = None) -> tuple[Meter, FakeUser]:
        meter, user = Meter(), user or FakeUser()
        proxy.track(meter, user)
        return meter, user

    def test_none(self) -> None:
        self.assertEqual(self.stats.live_connections(), [])
        self.assertFalse(self.stats.cut(1))

    def test_lists_them(self) -> None:
        meter, _ = self.track(self.ssh)
        self.time.seconds += 5
        self.track(self.open("web", "http"), FakeUser(IPv6Address("TCP", "2001:db8::1", 80)))
        meter.up_bytes, meter.down_bytes = 3, 4
        self.assertEqual(
            self.stats.live_connections(),
            [
                LiveConnection(1, "ssh", "tcp", "192.0.2.7:5000", NOON, 3, 4),
                LiveConnection(2, "web", "http", "[2001:db8::1]:80", NOON + 5, 0, 0),
            ],
        )

    def test_nothing_is_written_before_somebody_looks(self) -> None:
        meter, user = self.track(self.ssh)
        self.assertEqual(user.asked, 0)
        self.stats.live_connections()
        self.stats.live_connections()
        self.assertEqual(user.asked, 1)
        self.ssh.untrack(meter)
        self.assertEqual(self.stats.live_connections(), [])

    def test_ids_are_never_given_twice(self) -> None:
        meter, _ = self.track(self.ssh)
        (first,) = self.stats.live_connections()
        self.ssh.untrack(meter)
        _, user = self.track(self.ssh)
        (second,) = self.stats.live_connections()
        self.assertNotEqual(first.id, second.id)
        self.assertFalse(self.stats.cut(first.id))
        self.assertFalse(user.cut)

    def test_cuts_one(self) -> None:
        _, other = self.track(self.ssh)
        _, user = self.track(self.ssh, FakeUser(IPv4Address("TCP", "192.0.2.8", 5000)))
        ids = {each.user: each.id for each in self.stats.live_connections()}
        self.assertTrue(self.stats.cut(ids["192.0.2.8:5000"]))
        self.assertTrue(user.cut)
        self.assertFalse(other.cut)
        (event,) = self.stats.events.recent()
        self.assertEqual((event.kind, event.proxy, event.detail), ("cut", "ssh", "192.0.2.8:5000"))

    def test_those_that_nobody_has_seen_have_no_id(self) -> None:
        _, user = self.track(self.ssh)
        self.assertFalse(self.stats.cut(0))
        self.assertFalse(self.stats.cut(-1))
        self.assertFalse(user.cut)

    def test_who_has_no_name_is_not_listed(self) -> None:
        self.ssh.track(Meter())
        self.assertEqual(self.stats.live_connections(), [])
        self.assertEqual(self.ssh.users(), [])
        self.assertFalse(self.stats.cut(0))

    def test_users_of_a_proxy(self) -> None:
        _, user = self.track(self.ssh)
        self.track(self.open("web"))
        self.assertEqual(self.ssh.users(), [user])

    def test_outlive_what_is_known_of_their_proxy(self) -> None:
        _, user = self.track(self.ssh)
        self.stats.proxy_offline("ssh")
        self.stats.clear_offline_proxies()
        (live,) = self.stats.live_connections()
        self.assertEqual(live.proxy, "ssh")
        self.assertTrue(self.stats.cut(live.id))
        self.assertTrue(user.cut)


class WrittenTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        self.assertEqual(written(IPv4Address("TCP", "192.0.2.7", 1)), "192.0.2.7:1")
        self.assertEqual(written(IPv6Address("TCP", "2001:db8::1", 1)), "[2001:db8::1]:1")
        self.assertEqual(written(IPv6Address("TCP", "2001:db8::1", 0)), "[2001:db8::1]")
        self.assertEqual(written(UNIXAddress(b"/run/x")), "?")
