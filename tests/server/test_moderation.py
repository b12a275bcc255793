# -*- test-case-name: tests.server.test_moderation -*-
"""Tests of `tunnelsvc.server.moderation`: the clients and proxies are real, the network isn't."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from tests.server.fakes import FakeClient, make_registry
from tests.server.test_clients import ssh
from tests.streams import MemoryStream, Recorder, recorded
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.gateway.route import Asker
from tunnelsvc.interfaces import Stream
from tunnelsvc.metrics.retention import REMEMBERED_SECONDS
from tunnelsvc.relay import Meter
from tunnelsvc.server.client import REFUSED_SECONDS
from tunnelsvc.server.moderation import Moderation
from tunnelsvc.server.proxies.http import HTTPProxy
from tunnelsvc.server.proxies.tcp import TCPProxy
from tunnelsvc.wire.messages import CloseProxy, LoginResp, NewProxy, NewProxyResp

KICKED = "kicked by the server's administrator"
BLOCKED = "blocked by the server's administrator"
DISABLED = "proxy [ssh] is disabled by the server's administrator"


class FakeSession:
    """A multiplexed session; keeps how it was ended."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def open_stream(self) -> Stream:
        raise NotImplementedError

    def close(self) -> None:
        self.ends.append("close")

    def abort(self) -> None:
        self.ends.append("abort")


class FakePort:
    """A UDP port in memory."""

    last: "FakePort"

    def __init__(self, _: Any, number: int, receive: Any, *, interface: str) -> None:
        assert interface
        self.number = number or 50053
        self.receive = receive
        self.stopped = False
        FakePort.last = self

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", "127.0.0.1", self.number)

    def stopListening(self) -> None:
        self.stopped = True

    def send_to(self, data: bytes, address: Any) -> bool:
        raise NotImplementedError  # nobody answers here


class ModerationCase(SynchronousTestCase):
    """A server, and who moderates it."""

    def setUp(self) -> None:
        self.build()

    def build(self, **options: Any) -> None:
        self.registry = make_registry(**options)
        self.context = self.registry.context
        self.stats = self.context.stats
        self.moderation = Moderation(self.registry)
        self.changes: list[dict[str, Any]] = []
        self.moderation.on_change = lambda: self.changes.append(self.moderation.rules())

    def client(self, **fields: Any) -> FakeClient:
        return FakeClient(self.registry, **{"user": "alice", "hostname": "pc", **fields})

    def key(self, client: FakeClient) -> str:
        return self.registry.clients[client.run_id].key

    def events(self) -> list[str]:
        return [event.kind for event in self.stats.events.recent()]

    def last(self, kind: str) -> tuple[str, str, str, str]:
        event = [each for each in self.stats.events.recent() if each.kind == kind][-1]
        return event.client, event.proxy, event.address, event.detail

    def user(self, client: FakeClient, port: int = 6000) -> tuple[MemoryStream, Recorder]:
        """Let a user come, who meets the client."""
        user = client.reactor.user(port)
        at_user = recorded(user)
        client.streams.append(user)
        client.work()
        user.write(b"hello")
        client.pump()
        return user, at_user


class KickTests(ModerationCase):
    def test_ends_the_conversation(self) -> None:
        session = FakeSession()
        client = self.client(session=session)
        client.say(ssh())
        key = self.key(client)
        self.assertTrue(self.moderation.kick(key))
        client.pump()
        self.assertTrue(client.streams[0].lost)
        self.assertEqual(session.ends, ["close"])
        self.assertEqual((self.registry.clients, self.context.proxies), ({}, {}))
        self.assertEqual(self.stats.online_clients, 0)
        self.assertEqual(self.last("kicked"), (key, "", "192.0.2.7", ""))
        self.assertEqual(self.last("logout"), (key, "", "192.0.2.7", KICKED))
        self.assertEqual(
            self.last("proxy_closed"), (key, "ssh", "192.0.2.7", f"its client is gone: {KICKED}")
        )
        self.assertFalse(self.moderation.kick(key))

    def test_ends_what_users_have(self) -> None:
        client = self.client()
        client.say(ssh())
        _, at_user = self.user(client)
        self.assertEqual(len(self.stats.live_connections()), 1)
        self.moderation.kick(self.key(client))
        client.pump()
        self.assertIsNotNone(at_user.lost)
        self.assertEqual(self.stats.live_connections(), [])

    def test_nobody_elses(self) -> None:
        first, second = self.client(), self.client(hostname="other")
        first.say(ssh())
        second.say(ssh(6001, "other"))
        _, at_user = self.user(second, 6001)
        self.moderation.kick(self.key(first))
        second.pump()
        self.assertIsNone(at_user.lost)
        self.assertEqual(list(self.registry.clients), [second.run_id])

    def test_it_may_come_back(self) -> None:
        client = self.client()
        client.say(ssh())
        self.moderation.kick(self.key(client))
        again = self.client(run_id=client.run_id)
        self.assertEqual(again.run_id, client.run_id)
        answer = again.say(ssh())
        assert isinstance(answer, NewProxyResp)
        self.assertEqual((answer.error, answer.remote_addr), ("", ":6000"))

    def test_an_unknown_client(self) -> None:
        self.assertFalse(self.moderation.kick("nobody"))
        self.assertEqual(self.events(), [])


class BlockTests(ModerationCase):
    def refusal(self, **fields: Any) -> str:
        """Log in; return why that was refused, empty if it wasn't."""
        (response, *_) = self.client(**fields).heard
        assert isinstance(response, LoginResp)
        return response.error

    def test_ends_the_conversation_and_refuses_another(self) -> None:
        client = self.client()
        key = self.key(client)
        block = self.moderation.block(key)
        assert block is not None
        self.assertEqual(self.registry.clients, {})
        self.assertEqual(self.last("logout")[-1], BLOCKED)
        self.assertEqual((block.user, block.hostname, block.address), ("alice", "pc", "192.0.2.7"))
        self.assertEqual(self.refusal(), BLOCKED)
        self.assertEqual(self.refusal(run_id=client.run_id), BLOCKED)
        self.assertEqual(self.last("login_refused"), ("alice", "", "192.0.2.7", BLOCKED))
        self.assertEqual(self.refusal(user="bob"), "")
        self.assertEqual(self.refusal(hostname="other"), "")

    def test_by_client_id(self) -> None:
        self.moderation.block(self.key(self.client(client_id="laptop")))
        self.assertEqual(self.refusal(client_id="laptop", hostname="other"), BLOCKED)
        self.assertEqual(self.refusal(), "")

    def test_details_may_be_secret(self) -> None:
        self.build(detailed_errors_to_client=False)
        self.moderation.block(self.key(self.client()))
        self.assertEqual(self.refusal(), "register control error")

    def test_allowed_again(self) -> None:
        block = self.moderation.block(self.key(self.client()))
        assert block is not None
        self.assertEqual(self.moderation.blocks, [block])
        self.assertTrue(self.moderation.allow(block.id))
        self.assertFalse(self.moderation.allow(block.id))
        self.assertEqual(self.moderation.blocks, [])
        self.assertEqual(self.refusal(), "")
        self.assertEqual(self.last("allowed"), ("alice.pc", "", "192.0.2.7", ""))
        self.assertEqual([len(rules["blocks"]) for rules in self.changes], [1, 0])

    def test_one_that_is_gone_already(self) -> None:
        client = self.client()
        key = self.key(client)
        client.messages.abort()
        self.assertIsNotNone(self.moderation.block(key))
        self.assertEqual(self.refusal(), BLOCKED)

    def test_all_logins_of_the_same_program(self) -> None:
        """Without a client id, they can't be told apart."""
        first, second, other = self.client(), self.client(), self.client(user="bob")
        self.moderation.block(self.key(first))
        self.assertEqual(list(self.registry.clients), [other.run_id])
        self.assertNotIn(second.run_id, self.registry.clients)

    def test_an_unknown_client(self) -> None:
        self.assertIsNone(self.moderation.block("nobody"))
        self.assertEqual((self.changes, self.moderation.blocks), ([], []))

    def test_a_blocked_one_takes_nobodys_place(self) -> None:
        """Who knows a run id, isn't let in by it."""
        self.moderation.block(self.key(self.client()))
        other = self.client(user="bob")
        self.assertEqual(self.refusal(run_id=other.run_id), BLOCKED)
        self.assertEqual(list(self.registry.clients), [other.run_id])

    def test_who_waits_for_its_place_is_told(self) -> None:
        """The one before it with that run id still closes its ports."""
        first = self.client()
        first.say(ssh())
        stopping: Deferred[None] = Deferred()
        listening = first.reactor.listening[6000]
        self.patch(listening, "stopListening", lambda: stopping)
        session = FakeSession()
        second = self.client(run_id=first.run_id, session=session)
        self.assertEqual(second.heard, [])
        self.moderation.block(self.key(first))
        second.pump()
        [response] = second.heard
        assert isinstance(response, LoginResp)
        self.assertEqual(response.error, BLOCKED)
        self.assertEqual(session.ends, [])
        second.reactor.advance(REFUSED_SECONDS)
        self.assertEqual(session.ends, ["close"])
        stopping.callback(None)
        second.pump()
        self.assertEqual((second.heard, self.registry.clients), ([response], {}))

    def test_restored(self) -> None:
        self.moderation.block(self.key(self.client()))
        rules = self.moderation.rules()
        self.build()
        self.moderation.restore(rules)
        self.assertEqual(self.refusal(), BLOCKED)
        self.assertEqual(self.changes, [])
        self.assertRaises(ValueError, self.moderation.restore, "nonsense")
        self.assertEqual(self.refusal(), BLOCKED)


class DisableTests(ModerationCase):
    def disable(self, name: str = "ssh") -> bool:
        return self.successResultOf(ensureDeferred(self.moderation.disable(name)))

    def enable(self, name: str = "ssh") -> bool:
        return self.successResultOf(ensureDeferred(self.moderation.enable(name)))

    def not_enabled(self, name: str = "ssh") -> str:
        enabling = ensureDeferred(self.moderation.enable(name))
        return str(self.failureResultOf(enabling, ProxyRefused).value)

    def open(self, client: FakeClient, request: NewProxy | None = None) -> str:
        answer = client.say(request or ssh())
        assert isinstance(answer, NewProxyResp)
        return answer.error or answer.remote_addr

    def assert_gone(self, name: str = "ssh") -> None:
        """Nobody reaches it, and it is remembered."""
        stats = self.stats.proxy(name)
        assert stats is not None
        self.assertEqual((stats.online, stats.disabled), (False, True))
        self.assertEqual(stats.closed_reason, "disabled by the server's administrator")
        self.assertEqual(self.moderation.disabled, {name})

    def assert_back(self, name: str = "ssh") -> None:
        stats = self.stats.proxy(name)
        assert stats is not None
        self.assertEqual((stats.online, stats.disabled), (True, False))
        self.assertEqual(self.moderation.disabled, frozenset())

    def test_tcp(self) -> None:
        client = self.client()
        self.open(client)
        _, at_user = self.user(client)
        self.assertTrue(self.disable())
        client.pump()
        self.assertNotIn(6000, client.reactor.listening)
        self.assertIsNotNone(at_user.lost)
        self.assertIn(client.run_id, self.registry.clients)
        self.assert_gone()
        self.assertEqual(self.last("disabled"), ("", "ssh", "", ""))
        self.assertTrue(self.disable())
        self.assertTrue(self.enable())
        self.assertFalse(self.enable())
        self.assert_back()
        _, at_user = self.user(client)
        self.assertIsNone(at_user.lost)
        self.assertEqual(len(self.stats.live_connections()), 1)
        self.assertEqual(self.events()[-2:], ["disabled", "enabled"])
        self.assertEqual([rules["disabled"] for rules in self.changes], [{"ssh": "tcp"}, {}])

    def test_a_client_of_ours_is_told(self) -> None:
        """That there is nothing to be done at its end; frp's would take it for an answer."""
        for version, told in ("0.1.0", True), ("", False):
            self.build()
            client = self.client(tunnelsvc=version)
            self.open(client)
            client.heard.clear()
            self.disable()
            client.pump()
            self.enable()
            client.pump()
            news = [
                NewProxyResp(proxy_name="ssh", error=DISABLED, unasked=True),
                NewProxyResp(proxy_name="ssh", remote_addr=":6000", unasked=True),
            ]
            self.assertEqual(client.heard, news if told else [])

    def test_an_unknown_proxy(self) -> None:
        self.assertFalse(self.disable())
        self.assertFalse(self.enable())
        self.assertEqual((self.changes, self.stats.proxies()), ([], []))

    def test_users_who_come_meanwhile(self) -> None:
        """Who was accepted before, and waits for a work connection, gets none."""
        client = self.client()
        self.open(client)
        user = client.reactor.user(6000)
        at_user = recorded(user)
        client.streams.append(user)
        self.disable()
        client.work()
        client.pump()
        self.assertEqual(self.stats.live_connections(), [])
        self.assertIsNotNone(at_user.lost)

    def test_whoever_announces_it_is_refused(self) -> None:
        client = self.client()
        self.open(client)
        self.disable()
        client.messages.send(CloseProxy(proxy_name="ssh"))
        self.assertEqual(self.open(client), DISABLED)
        self.assertEqual(self.open(self.client(user="bob")), DISABLED)
        self.assertEqual(self.last("proxy_refused")[1:], ("ssh", "192.0.2.7", DISABLED))
        self.assertTrue(self.enable())
        self.assertEqual(self.open(client), ":6000")
        self.assert_back()

    def test_the_text_may_be_secret(self) -> None:
        self.build(detailed_errors_to_client=False)
        client = self.client()
        self.open(client)
        self.disable()
        client.messages.send(CloseProxy(proxy_name="ssh"))
        self.assertEqual(self.open(client), "new proxy [ssh] error")

    def test_its_client_leaves(self) -> None:
        client = self.client()
        self.open(client)
        self.disable()
        client.messages.abort()
        client.pump()
        self.assertEqual((self.context.proxies, self.registry.clients), ({}, {}))
        self.assertNotIn("proxy_closed", self.events())
        self.assert_gone()
        self.assertTrue(self.enable())
        self.assertEqual(self.open(self.client()), ":6000")
        self.assert_back()

    def test_its_client_is_kicked(self) -> None:
        client = self.client()
        self.open(client)
        self.disable()
        self.moderation.kick(self.key(client))
        self.assertEqual(self.context.proxies, {})
        self.assertEqual(self.open(self.client()), DISABLED)

    def test_its_client_leaves_while_it_is_closed(self) -> None:
        """The port is closed once, and free when that is done."""
        client = self.client()
        self.open(client)
        listening = client.reactor.listening[6000]
        stopping: Deferred[None] = Deferred()
        asked: list[int] = []

        def stop() -> Deferred[None]:
            asked.append(1)
            return stopping

        self.patch(listening, "stopListening", stop)
        disabling = ensureDeferred(self.moderation.disable("ssh"))
        client.messages.abort()
        self.assertIn("ssh", self.context.proxies)
        self.assertNoResult(disabling)
        del client.reactor.listening[6000]
        stopping.callback(None)
        self.assertTrue(self.successResultOf(disabling))
        self.assertEqual((asked, self.context.proxies), ([1], {}))

    def test_it_is_closed_by_its_client_as_it_is_enabled(self) -> None:
        client = self.client()
        self.open(client)
        self.disable()
        self.registry.clients[client.run_id].proxies.clear()
        self.context.release("ssh")
        self.assertTrue(self.enable())
        self.assertEqual(client.reactor.listening, {})

    def test_a_port_that_the_server_chose(self) -> None:
        """Its client was told which, so it is that or none."""
        client = self.client()
        self.assertEqual(self.open(client, ssh(0)), ":50000")
        self.disable()
        self.enable()
        self.assertEqual(list(client.reactor.listening), [50000])
        self.disable()
        self.assertEqual(self.open(client, ssh(50000, "thief")), ":50000")
        self.assertEqual(self.not_enabled(), "port already used")
        self.assertEqual(self.moderation.disabled, {"ssh"})
        client.say(CloseProxy(proxy_name="thief"))
        self.assertTrue(self.enable())
        self.assert_back()

    def test_a_port_that_another_program_has_taken(self) -> None:
        client = self.client()
        self.open(client)
        self.disable()

        def taken(*_: Any, **__: Any) -> None:
            raise CannotListenError("", 6000, OSError("in use"))

        patched = self.patch(client.reactor, "listenTCP", taken)
        self.assertEqual(self.not_enabled(), "port unavailable")
        self.assert_gone()
        patched.restore()
        self.assertTrue(self.enable())
        self.assert_back()

    def test_a_name_that_the_configuration_has_no_place_for(self) -> None:
        """A reload has taken away what it needs."""
        client = self.client()
        request = NewProxy(proxy_name="web", proxy_type="http", custom_domains=("a.example",))
        self.open(client, request)
        self.disable("web")
        self.context.takes_http = False
        self.assertIn("not supported", self.not_enabled("web"))
        self.assert_gone("web")

    def test_the_others_of_a_group_go_on(self) -> None:
        client = self.client()
        for name in ("a", "b"):
            self.open(client, NewProxy(proxy_name=name, proxy_type="tcp", group="g", remote_port=0))
        self.disable("a")
        for _ in range(2):
            _, at_user = self.user(client, 50000)
            self.assertIsNone(at_user.lost)
        self.assertEqual({live.proxy for live in self.stats.live_connections()}, {"b"})
        self.enable("a")
        for _ in range(2):
            self.user(client, 50000)
        self.assertEqual({live.proxy for live in self.stats.live_connections()}, {"a", "b"})

    def test_the_last_of_a_group_comes_back_to_its_port_or_not_at_all(self) -> None:
        client = self.client()
        request = NewProxy(proxy_name="a", proxy_type="tcp", group="g", remote_port=0)
        self.assertEqual(self.open(client, request), ":50000")
        self.disable("a")
        self.enable("a")
        self.assertEqual(list(client.reactor.listening), [50000])
        self.disable("a")
        self.open(client, ssh(50000, "thief"))
        self.assertIn("[:50000], where proxy [a] was, is taken", self.not_enabled("a"))
        self.assertEqual(list(client.reactor.listening), [50000])
        self.assert_gone("a")
        stats = self.stats.proxy("a")
        assert stats is not None
        self.assertEqual(stats.remote_addr, ":50000")

    def test_a_bug_as_it_is_enabled(self) -> None:
        """It is told to whoever asked, and stays disabled."""
        client = self.client()
        self.open(client)
        self.disable()

        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        self.patch(TCPProxy, "again", broken)
        enabling = ensureDeferred(self.moderation.enable("ssh"))
        self.failureResultOf(enabling, ZeroDivisionError)
        self.assert_gone()

    def test_http(self) -> None:
        client = self.client()
        request = NewProxy(proxy_name="web", proxy_type="http", custom_domains=("a.example",))
        self.open(client, request)
        find = self.context.router.find
        before = self.context.proxies["web"]
        assert isinstance(before, HTTPProxy)
        finished, told = before.exchange_finished, list[str]()

        class Request:
            def getPeer(self) -> Asker:
                return Asker("192.0.2.9", 5)

            def abortConnection(self) -> None:
                told.append("abort")

            def turn_away(self) -> None:
                told.append("turn away")
                finished(meter)

        meter = Meter()
        before.exchange_started(meter, Request())
        self.disable("web")
        self.assertEqual(told, ["turn away"])
        self.assertIsNone(find("a.example", "/"))
        self.assertTrue(before.backend.closed)
        self.enable("web")
        after = find("a.example", "/")
        self.assertIs(after, self.context.proxies["web"])
        assert isinstance(after, HTTPProxy)
        self.assertFalse(after.backend.closed)

    def test_http_name_that_is_taken(self) -> None:
        client = self.client()
        request = NewProxy(proxy_name="web", proxy_type="http", custom_domains=("a.example",))
        self.open(client, request)
        self.disable("web")
        self.open(
            client, NewProxy(proxy_name="w2", proxy_type="http", custom_domains=("a.example",))
        )
        self.assertEqual(self.not_enabled("web"), "router config conflict")
        self.assert_gone("web")

    def test_a_secret_one(self) -> None:
        client = self.client()
        self.open(client, NewProxy(proxy_name="s", proxy_type="stcp", sk="x"))
        self.disable("s")
        self.assertTrue(self.context.proxies["s"].closed)
        self.enable("s")
        self.assertFalse(self.context.proxies["s"].closed)

    def test_udp(self) -> None:
        """Its users are forgotten, and the port is the one that its client was told."""
        self.patch(self.context.udp_ports, "bind", FakePort)
        client = self.client()
        request = NewProxy(proxy_name="dns", proxy_type="udp", remote_port=0)
        self.assertEqual(self.open(client, request), ":50053")
        FakePort.last.receive(b"?", ("192.0.2.9", 5))
        [live] = self.stats.live_connections()
        self.assertEqual((live.user, live.in_bytes), ("192.0.2.9:5", 1))
        self.disable("dns")
        self.assertEqual(self.stats.live_connections(), [])
        self.assertTrue(FakePort.last.stopped)
        self.enable("dns")
        self.assertEqual((FakePort.last.number, FakePort.last.stopped), (50053, False))
        FakePort.last.receive(b"?", ("192.0.2.9", 5))
        self.assertEqual(len(self.stats.live_connections()), 1)
        client.messages.abort()
        self.assertTrue(FakePort.last.stopped)

    def test_by_names_on_a_port_that_is_shared(self) -> None:
        self.build(vhost_https_port=8443, tcpmux_httpconnect_port=8444)
        client = self.client()
        for kind, router in (
            ("https", self.context.tls_router),
            ("tcpmux", self.context.connect_router),
        ):
            more: Any = {"multiplexer": "httpconnect"} if kind == "tcpmux" else {}
            for group in ("", "g"):
                name = f"{kind}{group}"
                fields = {"custom_domains": ("a.example",), "group": group, **more}
                request = NewProxy(proxy_name=name, proxy_type=kind, **fields)
                self.assertTrue(self.open(client, request).startswith("a.example:844"))
                self.disable(name)
                self.assertIsNone(router.find("a.example", ""))
                self.enable(name)
                self.assertIsNotNone(router.find("a.example", ""))
                client.say(CloseProxy(proxy_name=name))
                self.assertIsNone(router.find("a.example", ""))

    def test_a_name_that_the_client_knows_otherwise(self) -> None:
        """A server plugin may have given it another: it is that under which users come."""
        client = self.client()
        self.open(client)
        proxy = self.context.proxies["ssh"]
        owner = self.registry.clients[client.run_id]
        owner.proxies["called"] = owner.proxies.pop("ssh")
        proxy.called = "called"
        self.disable()
        self.enable()
        self.assertIs(owner.proxies["called"], self.context.proxies["ssh"])
        self.assertIsNot(owner.proxies["called"], proxy)

    def test_as_it_is_opened(self) -> None:
        """It doesn't stay open for having been asked for before."""
        client = self.client()
        proxy_open = HTTPProxy.open

        async def open_slowly(proxy: HTTPProxy) -> str:
            address = await proxy_open(proxy)
            self.disable("web")
            return address

        self.patch(HTTPProxy, "open", open_slowly)
        request = NewProxy(proxy_name="web", proxy_type="http", custom_domains=("a.example",))
        self.assertIn("disabled by the server's administrator", self.open(client, request))
        self.assertIsNone(self.context.router.find("a.example", "/"))
        self.assertEqual(self.context.proxies, {})

    def test_restored_and_not_forgotten(self) -> None:
        """It can be enabled only while it is shown."""
        client = self.client()
        self.open(client)
        self.disable()
        rules = self.moderation.rules()
        self.build()
        self.moderation.restore(rules)
        client = self.client()
        self.assertEqual(self.open(client), DISABLED)
        client.reactor.advance(REMEMBERED_SECONDS + 1)
        self.assertEqual(self.stats.clear_offline_proxies(), 0)
        (stats,) = self.stats.proxies()
        self.assertEqual((stats.name, stats.type, stats.disabled), ("ssh", "tcp", True))
        self.assertTrue(self.enable())
        self.assertEqual(self.stats.clear_offline_proxies(), 1)
