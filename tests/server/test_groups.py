# -*- test-case-name: tests.server.test_groups -*-
"""Tests for `tunnelsvc.server.groups`."""

from typing import Any

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.server.fakes import FakeClient, make_registry
from tests.streams import MemoryStream, pair, recorded
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.gateway import Target
from tunnelsvc.server import groups
from tunnelsvc.server.groups import FAILED_SECONDS, MOST_TRIES, Group, Rota
from tunnelsvc.server.proxies.http import HTTPProxy
from tunnelsvc.wire.messages import CloseProxy, NewProxy, NewProxyResp, StartWorkConn

SITE = "site.example"


@define(eq=False)
class Someone:
    """A member."""

    name: str


@define
class Model:
    """What a rota ought to do, said in another way: by when each had its last turn."""

    turn: int = 0
    turns: dict[str, int] = field(factory=dict)
    failing: dict[str, float] = field(factory=dict)

    def join(self, name: str) -> None:
        self.turns[name] = self._next()

    def leave(self, name: str) -> None:
        self.turns.pop(name, None)
        self.failing.pop(name, None)

    def take(self, tried: set[str], now: float) -> str | None:
        names = self.turns.keys() - tried
        good = {name for name in names if self.failing.get(name, now) <= now}
        chosen = min(good or names, key=self.turns.__getitem__, default=None)
        if chosen is not None:
            self.turns[chosen] = self._next()
        return chosen

    def fail(self, name: str, now: float) -> None:
        if name in self.turns:
            self.failing[name] = now + FAILED_SECONDS

    def _next(self) -> int:
        self.turn += 1
        return self.turn


NAMES = st.sampled_from("abcde")
STEPS = st.one_of(
    st.tuples(st.just("join"), NAMES),
    st.tuples(st.just("leave"), NAMES),
    st.tuples(st.just("fail"), NAMES),
    st.tuples(st.just("take"), st.sets(NAMES)),
    st.tuples(st.just("wait"), st.floats(0, 2 * FAILED_SECONDS)),
)


class RotaTests(SynchronousTestCase):
    """Whose turn it is."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.rota: Rota[Someone] = Rota(self.clock.seconds)
        self.members = {name: Someone(name) for name in "abcde"}

    def join(self, names: str) -> None:
        for name in names:
            self.rota.join(self.members[name])

    def took(self, number: int) -> str:
        """Give so many turns; return who got them."""
        taken = [self.rota.take() for _ in range(number)]
        return "".join(member.name for member in taken if member is not None)

    def test_in_turn(self) -> None:
        self.assertIsNone(self.rota.take())
        self.join("abc")
        self.assertEqual(self.took(7), "abcabca")
        self.rota.leave(self.members["c"])
        self.join("d")
        self.assertEqual(self.took(4), "badb")
        self.assertEqual(len(self.rota), 3)

    def test_repeated(self) -> None:
        self.join("a")
        refusal = self.assertRaises(ProxyRefused, self.rota.join, Someone("a"))
        self.assertEqual(str(refusal), "group proxy repeated")

    def test_a_failed_one_is_passed_over_for_some_time(self) -> None:
        self.join("abc")
        self.rota.failed(self.members["b"])
        self.assertEqual(self.took(4), "acac")
        self.clock.advance(FAILED_SECONDS)
        self.assertEqual(self.took(3), "bac")

    def test_if_all_failed_they_are_tried(self) -> None:
        self.join("ab")
        for name in "ab":
            self.rota.failed(self.members[name])
        self.assertEqual(self.took(3), "aba")

    def test_who_comes_back_has_not_failed(self) -> None:
        """Nor does it matter what becomes of the one before, of the same name."""
        self.join("ab")
        before = self.members["a"]
        self.rota.failed(before)
        self.rota.leave(before)
        self.members["a"] = Someone("a")
        self.join("a")
        self.rota.failed(before)
        self.rota.leave(before)
        self.assertEqual(self.took(2), "ba")

    def test_turns_of_one_user(self) -> None:
        """Whoever is passed over has failed; each is asked once."""
        self.join("abc")
        turns = self.rota.turns()
        self.assertEqual([next(turns).name, next(turns).name], ["a", "b"])
        self.assertEqual(self.took(2), "cb", "a has failed, b has the user")
        self.assertEqual([member.name for member in turns], ["c"])
        self.assertIsNone(next(turns, None))

    def test_turns_end(self) -> None:
        for number in range(2 * MOST_TRIES):
            self.rota.join(Someone(str(number)))
        self.assertEqual(len(list(self.rota.turns())), MOST_TRIES)

    @settings(derandomize=True, deadline=None)
    @given(st.lists(STEPS, max_size=60))
    def test_any_order(self, steps: list[tuple[str, Any]]) -> None:
        """Joining, leaving and failing in any order: the right one is always found."""
        self.setUp()
        model = Model()
        for step, value in steps:
            now = self.clock.seconds()
            match step:
                case "join" if value not in model.turns:
                    self.members[value] = Someone(value)
                    self.join(value)
                    model.join(value)
                case "leave":
                    self.rota.leave(self.members[value])
                    model.leave(value)
                case "fail":
                    self.rota.failed(self.members[value])
                    model.fail(value, now)
                case "take":
                    taken = self.rota.take([self.members[name] for name in value])
                    expected = model.take(value, now)
                    self.assertEqual(taken.name if taken else None, expected)
                case "wait":
                    self.clock.advance(value)
            self.assertEqual(len(self.rota), len(model.turns))
            self.assertLessEqual(len(self.rota._failed), len(self.rota))


class GroupTests(SynchronousTestCase):
    """Who may join."""

    def test_the_first_sets_the_terms(self) -> None:
        group: Group[Someone] = Group(Clock().seconds)
        first, second = Someone("a"), Someone("b")
        group.join(first, "kéy", b"terms")
        for key, terms, why in (
            ("key", b"terms", "group auth failed"),
            ("\ud800", b"terms", "group auth failed"),
            ("kéy", b"other", "group params invalid"),
            ("kéy", b"", "group params invalid"),
        ):
            refusal = self.assertRaises(ProxyRefused, group.join, second, key, terms)
            self.assertEqual(str(refusal), why)
        group.join(second, "kéy", b"terms")
        group.rota.leave(first)
        self.assertRaises(ProxyRefused, group.join, first, "new", b"terms")
        group.rota.leave(second)
        group.join(first, "new", b"")


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
