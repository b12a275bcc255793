# -*- test-case-name: tests.server.proxies.test_http -*-
"""Tests of `tunnelsvc.server.proxies.http`."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from tests.server.fakes import FakeClient, make_registry
from tunnelsvc.gateway.pool import BackendPool, UserPool
from tunnelsvc.gateway.route import Asker
from tunnelsvc.relay import Meter
from tunnelsvc.server.proxies import http
from tunnelsvc.server.proxies.http import HTTPProxy
from tunnelsvc.wire.messages import CloseProxy, NewProxy, NewProxyResp, StartWorkConn


class FakeRequest:
    """A request under way."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def getPeer(self) -> Asker:
        return Asker("192.0.2.9", 5)

    def abortConnection(self) -> None:
        self.ends.append("abort")

    def turn_away(self) -> None:
        self.ends.append("turn away")


class HTTPProxyTests(SynchronousTestCase):
    """Registering host names and paths."""

    def setUp(self) -> None:
        self.build()

    def build(self, **options: Any) -> None:
        self.registry = make_registry(**options)
        self.router = self.registry.context.router
        self.client = FakeClient(self.registry)

    def open(self, name: str = "web", **fields: Any) -> str:
        """Announce a proxy; returns its address or the refusal."""
        answer = self.client.say(NewProxy(proxy_name=name, proxy_type="http", **fields))
        assert isinstance(answer, NewProxyResp)
        return answer.error or answer.remote_addr

    def proxy(self, name: str = "web") -> HTTPProxy:
        proxy = self.registry.context.proxies[name]
        assert isinstance(proxy, HTTPProxy)
        return proxy

    def test_domains_and_locations(self) -> None:
        address = self.open(
            custom_domains=("A.example.com", "*.b.example.com"), locations=("/", "/api")
        )
        self.assertEqual(
            address, ",".join(2 * ["a.example.com:8080"] + 2 * ["*.b.example.com:8080"])
        )
        self.assertIs(self.router.find("a.example.com:8080", "/api/x"), self.proxy())
        self.assertIs(self.router.find("c.b.example.com", "/"), self.proxy())
        self.assertIsNone(self.router.find("c.example.com", "/"))

    def test_default_port_is_left_out(self) -> None:
        self.build(vhost_http_port=80)
        self.assertEqual(self.open(custom_domains=("a.example.com",)), "a.example.com")

    def test_https_address(self) -> None:
        """Of those names that the server has certificates for, for who shows a URL."""
        self.build(vhost_https_port=8443)
        self.registry.context.ends_tls = lambda host: host != "plain.example"
        answer = self.client.say(
            NewProxy(
                proxy_name="web",
                proxy_type="http",
                custom_domains=("plain.example", "*.safe.example", "safe.example"),
            )
        )
        assert isinstance(answer, NewProxyResp)
        self.assertEqual(answer.https_addr, "safe.example:8443")
        self.assertTrue(answer.remote_addr.startswith("plain.example:8080,"))

    def test_no_https_address(self) -> None:
        answer = self.client.say(
            NewProxy(proxy_name="web", proxy_type="http", custom_domains=("a.example",))
        )
        assert isinstance(answer, NewProxyResp)
        self.assertEqual(answer.https_addr, "")

    def test_an_entrance_without_a_port(self) -> None:
        """A program that has a `tunnelsvc.web.VhostResource` knows its own address."""
        self.build(vhost_http_port=0)
        self.registry.context.takes_http = True
        self.assertEqual(self.open(custom_domains=("a.example.com",)), "a.example.com")

    def test_users_who_share_nothing(self) -> None:
        """Of clients that tell the service who its user is; see `UserPool`."""
        self.open(custom_domains=("a.example.com",))
        self.assertIs(type(self.proxy().backend), BackendPool)
        self.open("b", custom_domains=("b.example.com",), one_user_per_work_conn=True)
        self.assertIs(type(self.proxy("b").backend), UserPool)

    def test_033_sends_an_empty_location(self) -> None:
        self.assertEqual(
            self.open(custom_domains=("a.example.com",), locations=("",)), "a.example.com:8080"
        )

    def test_subdomain(self) -> None:
        self.build(subdomain_host="frp.example.com")
        self.assertEqual(self.open(subdomain="Lab"), "lab.frp.example.com:8080")
        for subdomain in ("a.b", "*"):
            self.assertEqual(
                self.open("other", subdomain=subdomain),
                "'.' and '*' are not supported in subdomain",
            )
        for subdomain in ("alice@lab", "a:", "[::1]", "a b", "a\n", "a/b", "x" * 64):
            self.assertIn("one label", self.open("other", subdomain=subdomain), subdomain)
        self.assertEqual(
            self.open("other", custom_domains=("x.frp.example.com",)),
            "custom domain [x.frp.example.com] should not belong to subdomain host"
            " [frp.example.com]",
        )

    def test_refusals(self) -> None:
        self.assertEqual(
            self.open(subdomain="lab"),
            "subdomain is not supported because this feature is not enabled in server",
        )
        self.assertEqual(self.open(), "subdomain and custom domains should not be both empty")
        self.assertIn("header", self.open(custom_domains=("a",), headers={"X": "a\r\nb"}))
        self.build(vhost_http_port=0)
        self.assertEqual(
            self.open(custom_domains=("a.example.com",)),
            "type [http] not supported when vhost http port is not set",
        )

    def test_domains_that_are_none(self) -> None:
        for domain in ("a b.example", "a\n.example", "*.*.example", "x" * 300, "a..b"):
            self.assertIn("is no host name", self.open(custom_domains=(domain,)), domain)
        for domain in ("münchen.example", "under_score.example", "*", "192.0.2.1", "[::1]"):
            self.assertNotIn("no host", self.open(domain, custom_domains=(domain,)), domain)

    def test_most_routes(self) -> None:
        self.patch(http, "MOST_ROUTES", 3)
        self.assertIn("more than 3", self.open(custom_domains=("a", "b"), locations=("/", "/x")))

    def test_more_addresses_than_an_answer_holds(self) -> None:
        domains = tuple(f"{number}.{'x' * 50}.example.com" for number in range(100))
        address = self.open(custom_domains=domains)
        self.assertTrue(address.endswith(".example.com:8080,..."))
        self.assertLess(len(address), 5_000)

    def test_a_conflict_takes_nothing(self) -> None:
        self.open(custom_domains=("b.example.com",))
        conflict = self.open("other", custom_domains=("a.example.com", "b.example.com"))
        self.assertEqual(conflict, "router config conflict")
        self.assertIsNone(self.router.find("a.example.com", "/"))
        self.assertEqual(
            self.open("third", custom_domains=("a.example.com",)), "a.example.com:8080"
        )

    def test_one_user(self) -> None:
        for user in ("alice", ""):
            self.open(user or "all", custom_domains=("a.example.com",), route_by_http_user=user)
        self.assertIs(self.router.find("a.example.com", "/", "alice"), self.proxy("alice"))
        self.assertIs(self.router.find("a.example.com", "/", "bob"), self.proxy("all"))
        again = {"custom_domains": ("a.example.com",), "route_by_http_user": "alice"}
        self.assertEqual(self.open("again", **again), "router config conflict")
        self.client.say(CloseProxy(proxy_name="alice"))
        self.assertIs(self.router.find("a.example.com", "/", "alice"), self.proxy("all"))
        self.assertEqual(self.open("again", **again), "a.example.com:8080")

    def test_response_headers(self) -> None:
        self.open(custom_domains=("a.example.com",), response_headers={"X-A": "b"})
        self.assertEqual(self.proxy().rules.response_headers, ((b"X-A", b"b"),))
        refusal = self.open("b", custom_domains=("b.com",), response_headers={"X": "a\nb"})
        self.assertIn("header [X] can't be set", refusal)

    def test_close(self) -> None:
        self.open(custom_domains=("a.example.com",))
        self.client.say(CloseProxy(proxy_name="web"))
        self.assertIsNone(self.router.find("a.example.com", "/"))
        self.assertEqual(self.open(custom_domains=("a.example.com",)), "a.example.com:8080")

    def test_backend_is_a_work_connection(self) -> None:
        """The user is told, where he came in isn't (protocol notes 5.2)."""
        self.open(custom_domains=("a.example.com",))
        starts: list[StartWorkConn] = []
        self.client.on_start = lambda _, start: starts.append(start)
        self.client.work()
        user = IPv4Address("TCP", "192.0.2.1", 5)
        backend = self.successResultOf(ensureDeferred(self.proxy().open_backend(user)))
        self.client.pump()
        self.assertEqual(
            starts, [StartWorkConn(proxy_name="web", src_addr="192.0.2.1", src_port=5)]
        )
        backend.abortConnection()

    def test_requests_are_counted(self) -> None:
        self.open(custom_domains=("a.example.com",))
        proxy, meter = self.proxy(), Meter()
        request = FakeRequest()
        proxy.exchange_started(meter, request)
        meter.up_bytes += 10
        self.assertEqual((proxy.stats.connections, proxy.stats.total().in_bytes), (1, 10))
        (live,) = self.registry.context.stats.live_connections()
        self.assertEqual((live.proxy, live.user, live.in_bytes), ("web", "192.0.2.9:5", 10))
        self.assertTrue(self.registry.context.stats.cut(live.id))
        self.assertEqual(request.ends, ["abort"])
        meter.down_bytes += 20
        proxy.exchange_finished(meter)
        self.assertEqual((proxy.stats.connections, proxy.stats.total().out_bytes), (0, 20))

    def test_api_conf(self) -> None:
        self.open(custom_domains=("a.example.com",), http_user="me", http_pwd="secret")
        conf = self.proxy().api_conf()
        self.assertEqual(conf["customDomains"], ["a.example.com"])
        self.assertNotIn("secret", repr(conf))
