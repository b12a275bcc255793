# -*- test-case-name: tests.admin.test_ownshapes -*-
"""Tests of `tunnelsvc.admin.ownshapes`."""

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.schemas import wrong_with_named
from tests.admin.support import STARTED, Dashboard, FakeBlock
from tests.admin.test_ownapi import FakeUser
from tests.metrics.moving import move
from tunnelsvc.admin import ownshapes
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.metrics.curve import SAMPLE_SECONDS
from tunnelsvc.relay import Meter


class ShapeTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        dashboard = Dashboard()
        self.clock = dashboard.clock
        self.server = dashboard.server
        self.stats = self.server.stats


class OverviewTests(ShapeTestCase):
    def test_ports_that_are_one(self) -> None:
        self.server.config = ServerConfig(bind_port=7000, vhost_http_port=7000)
        self.server.ports = {"bind": 7000}
        self.assertEqual(ownshapes.ports(self.server), {"bind": 7000, "vhost_http": 7000})
        self.server.config = ServerConfig(bind_port=7000, vhost_http_port=80)
        self.server.ports = {"bind": 7000, "vhost_http": 80}
        self.assertEqual(ownshapes.ports(self.server), {"bind": 7000, "vhost_http": 80})

    def test_sums(self) -> None:
        self.server.login("r1")
        self.server.login("r2")
        self.stats.client_offline("r2")
        self.server.proxy("a").track(Meter())
        self.server.proxy("b")
        self.stats.proxy_offline("b")
        self.stats.curves.begin(self.clock.seconds())
        move(self.server.proxy("web", "http"), 2000, 4001)
        self.clock.advance(SAMPLE_SECONDS)
        self.stats.curves.sample(self.clock.seconds())
        shape = ownshapes.overview(self.server, {}, history=True)
        self.assertEqual(shape["clients"], {"online": 1, "known": 2})
        self.assertEqual(
            shape["proxies"], {"tcp": {"online": 1, "known": 2}, "http": {"online": 1, "known": 1}}
        )
        self.assertEqual(shape["connections"], 1)
        self.assertEqual(shape["rate"], {"in": 1000, "out": 2000})
        self.assertEqual((shape["started_at"], shape["now"]), (STARTED, STARTED + SAMPLE_SECONDS))


class ClientTests(ShapeTestCase):
    def test_online(self) -> None:
        self.server.login("r1", user="alice", client_id="laptop")
        self.server.proxy("alice.ssh")
        self.server.proxy("alice.old")
        self.stats.proxy_offline("alice.old")
        self.server.round_trips["r1"] = 0.012345
        row = ownshapes.clients(self.server)["alice.laptop"]
        self.assertEqual(
            row,
            {
                "key": "alice.laptop",
                "user": "alice",
                "client_id": "laptop",
                "run_id": "r1",
                "address": "192.0.2.7",
                "hostname": "box",
                "version": "0.70.1",
                "os": "linux",
                "arch": "amd64",
                "protocol": "v1",
                "online": True,
                "since": STARTED,
                "last_seen": None,
                "rtt_ms": 12.3,
                "proxies": ["alice.ssh"],
                "blocked": False,
            },
        )

    def test_offline(self) -> None:
        self.server.login("r1")
        self.server.proxy("ssh")
        self.clock.advance(5)
        self.stats.client_offline("r1")
        row = ownshapes.clients(self.server)["r1"]
        self.assertEqual((row["online"], row["last_seen"]), (False, STARTED + 5))
        self.assertEqual((row["rtt_ms"], row["proxies"]), (None, []))
        self.assertEqual(wrong_with_named(row, "Client"), [])

    def test_blocked(self) -> None:
        self.server.login("r1")
        self.server.login("r2", host="other")
        self.server.moderation.blocks.append(FakeBlock())
        rows = ownshapes.clients(self.server)
        self.assertEqual((rows["r1"]["blocked"], rows["r2"]["blocked"]), (True, False))
        self.assertEqual(
            ownshapes.block(FakeBlock(id=7)),
            {
                "id": 7,
                "user": "",
                "client_id": "",
                "hostname": "box",
                "address": "192.0.2.7",
                "since": STARTED,
            },
        )


class ProxyTests(ShapeTestCase):
    def test_online(self) -> None:
        self.server.login("r1", user="alice", client_id="laptop")
        proxy = self.server.proxy("alice.ssh")
        proxy.remote_addr = ":6000"
        proxy.track(Meter())
        move(proxy, 3, 4)
        self.assertEqual(
            ownshapes.proxies(self.server)["alice.ssh"],
            {
                "name": "alice.ssh",
                "type": "tcp",
                "client": "alice.laptop",
                "user": "alice",
                "online": True,
                "disabled": False,
                "remote_addr": ":6000",
                "urls": [],
                "connections": 1,
                "today": {"in": 3, "out": 4},
                "total": {"in": 3, "out": 4},
                "rate": {"in": 0, "out": 0},
                "started_at": STARTED,
                "closed_at": None,
                "closed_reason": "",
            },
        )

    def test_offline(self) -> None:
        self.server.proxy("ssh").disabled = True
        self.clock.advance(5)
        self.stats.proxy_offline("ssh", "the client is gone")
        row = ownshapes.proxies(self.server)["ssh"]
        self.assertEqual(
            (row["online"], row["disabled"], row["closed_at"], row["closed_reason"]),
            (False, True, STARTED + 5, "the client is gone"),
        )
        self.assertEqual(wrong_with_named(row, "Proxy"), [])

    def urls(self, kind: str, listening: dict[str, int], **conf: object) -> list[str]:
        proxy = self.server.proxy(f"{kind}{len(self.stats.proxies())}", kind, **conf)
        self.server.config = ServerConfig(subdomain_host="t.example")
        return ownshapes.urls(proxy, self.server, listening)

    def test_urls(self) -> None:
        names = ["a.example", "*.b.example", "2001:db8::1"]
        self.assertEqual(
            self.urls("http", {"vhost_http": 8080}, customDomains=names, subdomain="c"),
            [
                "http://a.example:8080/",
                "http://[2001:db8::1]:8080/",
                "http://c.t.example:8080/",
            ],
        )
        self.assertEqual(
            self.urls("http", {"vhost_http": 80}, subdomain="c", locations=["/x", "/y/"]),
            ["http://c.t.example/x", "http://c.t.example/y/"],
        )
        self.assertEqual(
            self.urls("https", {"vhost_https": 443, "vhost_http": 80}, subdomain="c"),
            ["https://c.t.example/"],
        )
        self.assertEqual(self.urls("http", {}, subdomain="c"), [])
        self.assertEqual(self.urls("http", {"vhost_http": 80}), [])

    def test_urls_of_sites_whose_certificate_the_server_has(self) -> None:
        """By https, as their clients are told; there may be no port for http at all."""
        self.server.certified = {"c.t.example"}
        names = ["a.example"]
        both = {"vhost_http": 8080, "vhost_https": 8443}
        self.assertEqual(
            self.urls("http", both, customDomains=names, subdomain="c", locations=["/x"]),
            ["http://a.example:8080/x", "https://c.t.example:8443/x"],
        )
        self.assertEqual(
            self.urls("http", {"vhost_https": 443}, customDomains=names, subdomain="c"),
            ["https://c.t.example/"],
        )


class ConnectionTests(ShapeTestCase):
    def test_rows(self) -> None:
        meter = Meter()
        self.clock.advance(1.5)
        self.server.proxy("ssh").track(meter, FakeUser())
        meter.up_bytes, meter.down_bytes = 5, 6
        rows, more = ownshapes.connections(self.stats)
        self.assertEqual(
            (list(rows.values()), more),
            (
                [
                    {
                        "id": 1,
                        "proxy": "ssh",
                        "type": "tcp",
                        "user": "198.51.100.9:4321",
                        "since": STARTED + 1.5,
                        "in": 5,
                        "out": 6,
                    }
                ],
                0,
            ),
        )

    def test_too_many_rows(self) -> None:
        proxy = self.server.proxy("ssh")
        for _ in range(ownshapes.MOST_CONNECTIONS + 3):
            proxy.track(Meter(), FakeUser())
        rows, more = ownshapes.connections(self.stats)
        self.assertEqual((len(rows), min(rows), more), (ownshapes.MOST_CONNECTIONS, 4, 3))


class EventTests(ShapeTestCase):
    def test_row(self) -> None:
        self.stats.events.add("cut", client="c", proxy="p", address="192.0.2.1", detail="d")
        (event,) = self.stats.events.recent()
        self.assertEqual(
            ownshapes.event(event),
            {
                "id": 1,
                "at": STARTED,
                "kind": "cut",
                "group": "admin",
                "client": "c",
                "proxy": "p",
                "address": "192.0.2.1",
                "detail": "d",
            },
        )
