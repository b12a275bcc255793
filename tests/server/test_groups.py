# -*- test-case-name: tests.server.test_groups -*-
"""Tests of `tunnelsvc.server.groups`."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.server.fakes import FakeClient, make_registry
from tests.streams import MemoryStream, pair, recorded
from tunnelsvc.gateway import Target
from tunnelsvc.server import groups
from tunnelsvc.server.proxies.http import HTTPProxy
from tunnelsvc.server.rota import FAILED_SECONDS
from tunnelsvc.wire.messages import CloseProxy, NewProxy, NewProxyResp, StartWorkConn

SITE = "site.example"


class MemberCase(SynchronousTestCase):
    """Clients whose proxies are members of groups."""

    def setUp(self) -> None:
        self.registry = make_registry(user_conn_timeout_seconds=10.0)
        self.context = self.registry.context
        self.starts: list[str] = []
        self.clients: list[FakeClient] = []

    def client(self, **login: Any) -> FakeClient:
        """Log in a client that takes note of its work connections."""
        client = FakeClient(self.registry, **login)
        client.on_start = self._started
        self.clients.append(client)
        return client

    def _started(self, _: object, start: StartWorkConn) -> None:
        self.starts.append(start.proxy_name)

    def pump(self) -> None:
        for client in self.clients:
            client.pump()

    def open(self, client: FakeClient, name: str, **fields: Any) -> str:
        """Announce a member; returns its address or the refusal."""
        options: dict[str, Any] = {"group": "g", "group_key": "k", **fields}
        answer = client.say(NewProxy(proxy_name=name, **options))
        assert isinstance(answer, NewProxyResp)
        return answer.error or answer.remote_addr


class PortTests(MemberCase):
    """Groups of type tcp."""

    def join(self, client: FakeClient, name: str, port: int = 6000, **fields: Any) -> str:
        return self.open(client, name, proxy_type="tcp", remote_port=port, **fields)

    def user(self, port: int = 6000) -> MemoryStream:
        user = self.clients[0].reactor.user(port)
        self.pump()
        return user

    def test_connections_go_round(self) -> None:
        one, two = self.client(), self.client()
        self.assertEqual(self.join(one, "a"), ":6000")
        self.assertEqual(self.join(two, "b"), ":6000")
        self.assertEqual(self.join(two, "c"), ":6000")
        self.assertEqual(list(one.reactor.listening), [6000])
        for client in (one, two, two, one, two):
            client.work()
        for _ in range(5):
            self.user()
        self.assertEqual(self.starts, ["a", "b", "c", "a", "b"])
        counts = [self.context.proxies[name].stats.connections for name in "abc"]
        self.assertEqual(counts, [2, 2, 1])

    def test_refusals(self) -> None:
        client = self.client()
        self.join(client, "a")
        self.assertEqual(self.join(client, "b", group_key="x"), "group auth failed")
        self.assertEqual(self.join(client, "b", 6001), "group should have same remote port")
        self.assertEqual(self.join(client, "b", 0), "group should have same remote port")
        self.assertEqual(self.join(client, "b", group="other"), "port already used")
        self.assertIn("at most", self.join(client, "b", 6001, group="x" * 600))
        self.assertIn("at most", self.join(client, "b", 6001, group="a\nb"))
        self.assertEqual(self.join(client, "a"), "proxy [a] already exists")
        self.assertEqual(self.join(client, "b"), ":6000")
        self.assertEqual(list(self.context.tcp_groups._groups), ["g"])

    def test_a_random_port_is_the_same_for_all(self) -> None:
        """And told to all, which frp 0.33 doesn't; the group finds it again."""
        client = self.client()
        self.assertEqual(self.join(client, "a", 0), ":50000")
        self.assertEqual(self.join(client, "b", 0), ":50000")
        self.assertEqual(self.join(client, "c", 0, group="h"), ":50001")
        for name in "abc":
            client.say(CloseProxy(proxy_name=name))
        self.assertEqual(client.reactor.listening, {})
        self.assertEqual(self.join(client, "c", 0, group="h"), ":50001")
        self.assertEqual(self.join(client, "b", 0), ":50000")
        self.assertEqual(self.context.proxies["b"].api_conf()["remotePort"], 50000)

    def test_the_port_closes_with_the_last(self) -> None:
        one, two = self.client(), self.client()
        self.join(one, "a")
        self.join(two, "b")
        one.say(CloseProxy(proxy_name="a"))
        self.assertEqual(list(one.reactor.listening), [6000])
        two.work()
        self.user()
        self.assertEqual(self.starts, ["b"])
        two.messages.abort()
        self.assertEqual(one.reactor.listening, {})
        self.assertEqual(self.context.tcp_groups._groups, {})
        self.assertEqual(self.join(one, "a", group_key="new"), ":6000")

    def test_joining_while_the_port_closes(self) -> None:
        """A port that the group itself held isn't taken."""
        one, two = self.client(), self.client()
        self.join(one, "a")
        held: Deferred[None] = Deferred()
        listening = one.reactor.listening[6000]
        self.patch(listening, "stopListening", lambda: held)
        one.say(CloseProxy(proxy_name="a"))
        before = len(two.heard)
        request = NewProxy(proxy_name="b", remote_port=6000, group="g", group_key="other")
        two.messages.send(request)
        two.pump()
        self.assertEqual(len(two.heard), before, "it waits")
        del one.reactor.listening[6000]
        held.callback(None)
        two.pump()
        self.assertEqual(two.heard[-1], NewProxyResp(proxy_name="b", remote_addr=":6000"))
        self.assertEqual(list(one.reactor.listening), [6000])

    def test_a_newer_login(self) -> None:
        """A client that takes its own place joins anew; the others never notice."""
        one, two = self.client(), self.client()
        self.join(one, "a")
        self.join(two, "b")
        again = self.client(run_id=one.run_id)
        self.pump()
        self.assertEqual(self.join(again, "a"), ":6000")
        again.work()
        two.work()
        self.user()
        self.user()
        self.assertEqual(sorted(self.starts), ["a", "b"])

    def test_a_silent_client_costs_no_user(self) -> None:
        """The next user doesn't even wait for it."""
        one, two = self.client(), self.client()
        self.join(one, "silent")
        self.join(two, "b")
        lines = LogLines(self)
        user = self.user()
        one.reactor.advance(9)
        self.assertFalse(user.peer.lost)
        two.work()
        one.reactor.advance(1)
        self.pump()
        self.assertEqual(self.starts, ["b"])
        self.assertFalse(user.peer.lost)
        self.assertTrue([line for line in lines if "[silent]" in line and "timeout" in line])
        two.work()
        self.user()
        self.assertEqual(self.starts, ["b", "b"])

    def test_a_client_that_leaves_costs_no_user(self) -> None:
        """Users who waited for it go elsewhere."""
        one, two = self.client(), self.client()
        self.join(one, "a")
        self.join(two, "b")
        user = self.user()
        two.work()
        one.messages.abort()
        self.pump()
        self.assertEqual(self.starts, ["b"])
        self.assertFalse(user.peer.lost)

    def test_nobody_left(self) -> None:
        one = self.client()
        self.join(one, "a")
        group = self.context.tcp_groups._groups["g"]
        user = self.user()
        one.say(CloseProxy(proxy_name="a"))
        self.assertFalse(user.peer.lost, "it may still get its connection")
        one.messages.abort()
        self.assertTrue(user.peer.lost)
        late, inner = pair("late")
        group.accept(inner)
        self.assertTrue(late.lost)


class NameTests(MemberCase):
    """Groups of type https."""

    def setUp(self) -> None:
        super().setUp()
        self.registry = make_registry(vhost_https_port=8443, user_conn_timeout_seconds=10.0)
        self.context = self.registry.context

    def join(self, client: FakeClient, name: str, *domains: str, **fields: Any) -> str:
        return self.open(
            client, name, proxy_type="https", custom_domains=domains or (SITE,), **fields
        )

    def user(self, host: str = SITE) -> MemoryStream:
        """Let a user come who said something already."""
        target = self.context.tls_router.find(host, "")
        assert target is not None
        user, inner = pair("user")
        target.accept(inner, b"hello")
        self.pump()
        return user

    def test_connections_go_round(self) -> None:
        one, two = self.client(), self.client()
        self.assertEqual(self.join(one, "a"), f"{SITE}:8443")
        self.assertEqual(self.join(two, "b"), f"{SITE}:8443")
        for client in (one, two, one):
            client.work()
        for _ in range(3):
            self.user()
        self.assertEqual(self.starts, ["a", "b", "a"])
        one.messages.abort()
        two.messages.abort()
        self.assertIsNone(self.context.tls_router.find(SITE, ""))

    def test_refusals(self) -> None:
        client = self.client()
        self.join(client, "a")
        self.assertEqual(self.join(client, "b", group_key="x"), "group auth failed")
        self.assertEqual(self.join(client, "b", group="h"), "router config conflict")
        self.assertEqual(self.join(client, "b", "*.example.com"), "*.example.com:8443")
        found = self.context.tls_router.find("x.example.com", "")
        assert found is not None
        self.assertEqual(found.domains, ("*.example.com",))

    def test_the_next_hears_what_was_said(self) -> None:
        """A user whom one client can't serve comes to the next with his first bytes."""
        one, two = self.client(), self.client()
        self.join(one, "a")
        self.join(two, "b")
        got: list[bytes] = []
        two.on_start = lambda work, _: got.append(work.detach()[1])
        user = self.user()
        two.work()
        one.messages.abort()
        self.pump()
        at_client = recorded(two.streams[-1])
        self.pump()
        self.assertEqual(b"".join(got) + at_client.received, b"hello")
        self.assertFalse(user.lost)


class RouteTests(MemberCase):
    """Groups of type http."""

    def join(self, client: FakeClient, name: str, *domains: str, **fields: Any) -> str:
        return self.open(
            client, name, proxy_type="http", custom_domains=domains or (SITE,), **fields
        )

    def found(self, host: str = SITE, path: str = "/") -> Target:
        target = self.context.router.find(host, path)
        assert target is not None
        return target

    def served(self, number: int, host: str = SITE, path: str = "/") -> list[str]:
        """Ask so many times whose turn it is."""
        routes = [self.found(host, path).for_request() for _ in range(number)]
        return [route.name for route in routes if isinstance(route, HTTPProxy)]

    def test_requests_go_round(self) -> None:
        one, two = self.client(), self.client()
        self.assertEqual(self.join(one, "a"), f"{SITE}:8080")
        self.assertEqual(self.join(two, "b"), f"{SITE}:8080")
        self.assertEqual(self.served(4), ["a", "b", "a", "b"])
        one.say(CloseProxy(proxy_name="a"))
        self.assertEqual(self.served(2), ["b", "b"])
        two.messages.abort()
        self.assertIsNone(self.context.router.find(SITE, "/"))
        self.assertEqual(self.context.http_groups._groups, {})
        self.assertEqual(self.join(one, "a", group_key="new"), f"{SITE}:8080")

    def test_refusals(self) -> None:
        client = self.client()
        self.join(client, "a", http_user="u", http_pwd="p")
        same = {"http_user": "u", "http_pwd": "p"}
        self.assertEqual(self.join(client, "b", group_key="x", **same), "group auth failed")
        self.assertEqual(self.join(client, "b"), "group params invalid", "an open back door")
        self.assertEqual(self.join(client, "b", http_user="u"), "group params invalid")
        self.assertEqual(self.join(client, "b", group="h", **same), "router config conflict")
        self.assertEqual(self.join(client, "b", group="", **same), "router config conflict")
        self.assertIn("at most", self.join(client, "b", "x.example", group="x" * 600))
        self.assertEqual(self.join(client, "b", **same), f"{SITE}:8080")

    def test_a_group_does_not_take_a_place(self) -> None:
        client = self.client()
        self.join(client, "a", group="")
        self.assertEqual(self.join(client, "b"), "router config conflict")
        self.assertEqual(self.context.http_groups._groups, {})
        self.assertEqual(self.served(2), ["a", "a"])

    def test_several_places(self) -> None:
        """As frp had it up to 0.42: one name, a group for each place."""
        client = self.client()
        self.join(client, "a", SITE, "other.example", locations=("/", "/api"))
        self.join(client, "b", SITE, locations=("/",))
        self.join(client, "c", "third.example")
        self.assertEqual(self.served(2), ["a", "b"])
        self.assertEqual(self.served(2, path="/api"), ["a", "a"])
        self.assertEqual(self.served(2, "other.example"), ["a", "a"])
        self.assertEqual(self.served(2, "third.example"), ["c", "c"])
        client.say(CloseProxy(proxy_name="a"))
        self.assertEqual(self.served(2, path="/api"), ["b", "b"])
        self.assertIsNone(self.context.router.find("other.example", "/"))

    def test_all_places_or_none(self) -> None:
        client = self.client()
        self.join(client, "a", "second.example", group_key="x")
        self.assertEqual(self.join(client, "b", SITE, "second.example"), "group auth failed")
        self.assertIsNone(self.context.router.find(SITE, "/"))

    def test_the_next_for_a_request(self) -> None:
        """Who failed is passed over afterwards."""
        client = self.client()
        for name in "abc":
            self.join(client, name)
        first = self.found().for_request()
        second = self.found().instead_of([first])
        assert isinstance(second, HTTPProxy)
        self.assertEqual(second.name, "b")
        third = self.found().instead_of([first, second])
        assert isinstance(third, HTTPProxy)
        self.assertEqual(third.name, "c")
        self.assertIsNone(self.found().instead_of([first, second, third]))
        client.reactor.advance(FAILED_SECONDS)
        self.assertEqual(self.served(3), ["a", "b", "c"])
        self.patch(groups, "MOST_TRIES", 1)
        self.assertIsNone(self.found().instead_of([first]))

    def test_alone(self) -> None:
        client = self.client()
        self.join(client, "a", group="")
        proxy = self.context.proxies["a"]
        assert isinstance(proxy, HTTPProxy)
        self.assertIsNone(self.found().instead_of([proxy]))
        self.assertNotIn("loadBalancer", proxy.api_conf())

    def test_dashboard(self) -> None:
        """The group is shown, its key isn't."""
        client = self.client()
        self.join(client, "a", group_key="s3cret")
        conf = self.context.proxies["a"].api_conf()
        self.assertEqual(conf["loadBalancer"], {"group": "g"})
        self.assertNotIn("s3cret", repr(conf))
