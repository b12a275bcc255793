# -*- test-case-name: tests.metrics.test_counters -*-
"""Tests of `tunnelsvc.metrics.counters`."""

from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.moving import move
from tests.metrics.test_traffic import MIDNIGHT, NONE, NOON, Time
from tunnelsvc.metrics.counters import ProxyStats, ServerStats
from tunnelsvc.metrics.retention import MOST_REMEMBERED, REMEMBERED_SECONDS
from tunnelsvc.metrics.traffic import Traffic
from tunnelsvc.relay import Meter
from tunnelsvc.units import HOUR


class ServerStatsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.stats = ServerStats(self.time)

    def login(self, run_id: str, user: str = "", client_id: str = "") -> None:
        self.stats.client_online(
            run_id,
            user=user,
            client_id=client_id,
            version="0.70.1",
            address="192.0.2.1",
            os="linux",
            arch="amd64",
            hostname=run_id,
        )

    def open(self, name: str, kind: str = "tcp", run_id: str = "r1") -> ProxyStats:
        return self.stats.proxy_online(name, type=kind, conf={"name": name}, run_id=run_id)

    def names(self) -> list[str]:
        return [proxy.name for proxy in self.stats.proxies()]

    def test_empty(self) -> None:
        self.assertEqual(self.stats.proxies(), [])
        self.assertEqual(self.stats.clients(), [])
        self.assertEqual(self.stats.proxies_by_type(), {})
        self.assertEqual((self.stats.connections, self.stats.online_clients), (0, 0))
        self.assertEqual(self.stats.last_days()[0], NONE)

    def test_a_proxy_knows_whose_it_is(self) -> None:
        self.login("r1", user="alice", client_id="laptop")
        proxy = self.open("alice.ssh")
        self.assertIs(self.stats.proxy("alice.ssh"), proxy)
        self.assertEqual((proxy.user, proxy.client_id, proxy.run_id), ("alice", "laptop", "r1"))
        self.assertEqual(proxy.conf, {"name": "alice.ssh"})
        self.assertEqual((proxy.online, proxy.started_at, proxy.closed_at), (True, NOON, None))

    def test_a_proxy_of_a_nameless_client(self) -> None:
        self.login("r1")
        self.assertEqual(self.open("ssh").client_id, "r1")

    def test_a_proxy_of_nobody_known(self) -> None:
        proxy = self.open("ssh", run_id="r7")
        self.assertEqual((proxy.user, proxy.client_id), ("", "r7"))

    def test_goes_offline_and_comes_back_with_its_traffic(self) -> None:
        before = self.open("ssh")
        move(before, 1, 2)
        self.time.seconds += 5
        self.stats.proxy_offline("ssh")
        self.assertEqual((before.online, before.closed_at), (False, NOON + 5))
        self.time.seconds += 5
        after = self.open("ssh", run_id="r2")
        self.assertIs(after, before)
        self.assertEqual((after.online, after.started_at, after.run_id), (True, NOON + 10, "r2"))
        self.assertEqual(after.total(), Traffic(1, 2))

    def test_another_type_of_the_same_name_starts_at_zero(self) -> None:
        move(self.open("web"), 1, 2)
        self.stats.proxy_offline("web")
        proxy = self.open("web", kind="http")
        self.assertEqual(proxy.total(), NONE)
        self.assertEqual(self.names(), ["web"])
        self.assertEqual(self.stats.last_days()[0], Traffic(1, 2))
        self.assertEqual(self.stats.clear_offline_proxies(), 0)

    def test_the_end_of_an_unknown_proxy(self) -> None:
        self.stats.proxy_offline("ssh")
        self.assertEqual(self.names(), [])

    def test_a_second_end_is_no_news(self) -> None:
        proxy = self.open("ssh")
        self.stats.proxy_offline("ssh")
        self.time.seconds += 5
        self.stats.proxy_offline("ssh")
        self.assertEqual(proxy.closed_at, NOON)

    def test_connections_and_live_traffic(self) -> None:
        ssh, web, meter = self.open("ssh"), self.open("web", "http"), Meter()
        ssh.track(meter)
        other = Meter()
        web.track(other)
        meter.up_bytes, meter.down_bytes = 3, 4
        self.assertEqual((ssh.connections, web.connections, self.stats.connections), (1, 1, 2))
        self.assertEqual(ssh.last_days()[0], Traffic(3, 4))
        self.assertEqual(self.stats.last_days()[0], Traffic(3, 4))
        ssh.untrack(meter)
        other.up_bytes, other.down_bytes = 10, 20
        web.untrack(other)
        self.assertEqual(self.stats.connections, 0)
        self.assertEqual(self.stats.last_days()[0], Traffic(13, 24))

    def test_connections_outlive_their_proxy(self) -> None:
        proxy, meter = self.open("ssh"), Meter()
        proxy.track(meter)
        self.stats.proxy_offline("ssh")
        self.stats.clear_offline_proxies()
        meter.up_bytes = 5
        self.assertEqual(self.stats.connections, 1)
        self.assertEqual(self.stats.last_days()[0], Traffic(5, 0))
        proxy.untrack(meter)
        self.assertEqual(self.stats.connections, 0)
        self.assertEqual(self.stats.last_days()[0], Traffic(5, 0))

    def test_counted_by_type(self) -> None:
        for name in "ab":
            self.open(name)
        self.open("c", "http")
        self.open("d", "udp")
        self.stats.proxy_offline("a")
        self.stats.proxy_offline("d")
        self.assertEqual(self.stats.proxies_by_type(), {"tcp": 1, "http": 1, "udp": 0})

    def test_sorted_by_name(self) -> None:
        for name in "bca":
            self.open(name)
        self.assertEqual(self.names(), ["a", "b", "c"])

    def test_offline_proxies_are_forgotten_on_request(self) -> None:
        for name in "abc":
            self.open(name)
        self.stats.proxy_offline("a")
        self.stats.proxy_offline("c")
        self.assertEqual(self.stats.clear_offline_proxies(), 2)
        self.assertEqual(self.names(), ["b"])

    def test_offline_proxies_are_forgotten_after_a_week(self) -> None:
        self.open("a")
        self.open("b")
        self.stats.proxy_offline("a")
        self.time.seconds += REMEMBERED_SECONDS
        self.assertEqual(self.names(), ["a", "b"])
        self.time.seconds += 1
        self.assertIsNone(self.stats.proxy("a"))
        self.assertEqual(self.names(), ["b"])

    def test_a_client_that_registers_without_end(self) -> None:
        for number in range(MOST_REMEMBERED + 10):
            self.open(str(number))
            self.stats.proxy_offline(str(number))
        self.assertEqual(len(self.names()), MOST_REMEMBERED)

    def test_clients(self) -> None:
        self.login("r1", user="alice")
        self.login("r2")
        self.stats.client_offline("r2")
        self.assertEqual([client.key for client in self.stats.clients()], ["r2", "alice.r1"])
        self.assertEqual(self.stats.online_clients, 1)
        client = self.stats.client("alice.r1")
        assert client is not None
        self.assertEqual((client.wire_protocol, client.version), ("v1", "0.70.1"))

    def test_roll_ends_the_day(self) -> None:
        proxy, meter = self.open("ssh"), Meter()
        proxy.track(meter)
        meter.down_bytes = 1
        self.assertEqual(self.stats.roll(), 12 * HOUR)
        meter.down_bytes = 3
        self.time.seconds = MIDNIGHT
        self.assertGreater(self.stats.roll(), 22 * HOUR)
        meter.down_bytes = 7
        self.time.seconds += HOUR
        self.assertEqual(proxy.last_days()[:2], [Traffic(0, 4), Traffic(0, 3)])
