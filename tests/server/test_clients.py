# -*- test-case-name: tests.server.test_clients -*-
"""Tests of `tunnelsvc.server.clients`."""

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.server.fakes import FakeClient, make_registry
from tunnelsvc.server import client as module
from tunnelsvc.server import names
from tunnelsvc.server.client import NO_MUX_HEARTBEAT_TIMEOUT_SECONDS
from tunnelsvc.wire.dialect import V1
from tunnelsvc.wire.framing2 import V2
from tunnelsvc.wire.messages import (
    CloseProxy,
    LoginResp,
    Message,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    ReqWorkConn,
    StartWorkConn,
)


def ssh(port: int = 6000, name: str = "ssh") -> NewProxy:
    return NewProxy(proxy_name=name, proxy_type="tcp", remote_port=port)


class LoginTests(SynchronousTestCase):
    """Who gets in."""

    def test_login(self) -> None:
        registry = make_registry()
        client = FakeClient(registry, user="me", pool_count=2)
        response = client.heard[0]
        assert isinstance(response, LoginResp)
        self.assertEqual(len(response.run_id), 16)
        self.assertEqual(response.error, "")
        self.assertTrue(response.tunnelsvc)
        self.assertEqual(client.heard[1:], [ReqWorkConn(), ReqWorkConn()])
        self.assertTrue(client.valid)

    def test_pool_count_is_clamped(self) -> None:
        client = FakeClient(make_registry(max_pool_count=3), pool_count=100)
        self.assertEqual(client.heard.count(ReqWorkConn()), 3)
        self.assertEqual(FakeClient(make_registry(), pool_count=-5).heard.count(ReqWorkConn()), 0)

    def test_versions_of_all_kinds(self) -> None:
        """Who is told by them what a peer can do takes one that can't be read for a new one."""
        registry = make_registry()
        for version in ("", "dev", "0.70", "v0.70.1", "0.70.1-rc.1", "1.2.3.4", "9" * 99 + ".0.0"):
            client = FakeClient(registry, version=version)
            self.assertTrue(client.valid)
            self.assertEqual(
                client.say(ssh(port=0, name=f"ssh-{version}")).error,  # type: ignore[attr-defined]
                "",
            )

    def test_wrong_token(self) -> None:
        for detailed, text in (
            (True, "token in login doesn't match token from configuration"),
            (False, "register control error"),
        ):
            registry = make_registry(detailed_errors_to_client=detailed)
            client = FakeClient(registry, privilege_key="")
            self.patch(type(registry.auth), "sign_login", lambda _, login: login)
            client = FakeClient(registry, privilege_key="wrong")
            [response] = client.heard
            assert isinstance(response, LoginResp)
            self.assertEqual(response.error, text)
            self.assertFalse(client.valid)
            self.assertTrue(client.streams[0].lost)
            self.assertNotIn("wrong", registry.clients)

    def test_nonsense_run_ids(self) -> None:
        for run_id in ("x" * 1000, "a\nb"):
            client = FakeClient(make_registry(), run_id=run_id)
            [response] = client.heard
            assert isinstance(response, LoginResp)
            self.assertIn("run id", response.error)

    def test_names_by_which_nobody_could_be_sent_away(self) -> None:
        """They are a part of a path: of one or two dots browsers make none, of half a character."""
        for name in ("x" * 1000, ".", "..", "a\nb", "\ud800", "\u202e"):
            for field in ("user", "client_id", "run_id"):
                called: Any = {field: name}
                client = FakeClient(make_registry(), **called)
                [response] = client.heard
                assert isinstance(response, LoginResp)
                self.assertIn("printable characters", response.error)
        client = FakeClient(make_registry())
        for name in (".", ".."):
            refused = client.say(ssh(port=0, name=name))
            self.assertIn("printable", refused.error)  # type: ignore[attr-defined]

    def test_client_id(self) -> None:
        """Nobody takes the name of a client that is there; when that has gone, it is free."""
        registry = make_registry()
        first = FakeClient(registry, user="alice", client_id="laptop")
        for detailed, text in (
            (True, "client_id [laptop] for user [alice] is already online"),
            (False, "register control error"),
        ):
            config = evolve(registry.context.config, detailed_errors_to_client=detailed)
            registry.context.config = config
            second = FakeClient(registry, user="alice", client_id="laptop")
            [response] = second.heard
            assert isinstance(response, LoginResp)
            self.assertEqual(response.error, text)
            self.assertTrue(second.streams[0].lost)
        self.assertEqual(list(registry.clients), [first.run_id])
        self.assertEqual(registry.context.stats.online_clients, 1)
        self.assertTrue(FakeClient(registry, user="bob", client_id="laptop").run_id)
        self.assertTrue(FakeClient(registry, user="alice").run_id)
        first.messages.abort()
        self.assertTrue(FakeClient(registry, user="alice", client_id="laptop").run_id)

    def test_client_id_again(self) -> None:
        """The same run id is the same client, which comes back."""
        registry = make_registry()
        first = FakeClient(registry, client_id="laptop")
        second = FakeClient(registry, client_id="laptop", run_id=first.run_id)
        self.assertEqual(second.run_id, first.run_id)

    def test_heartbeat_timeouts(self) -> None:
        for configured, muxed, expected in (
            (None, True, 0.0),
            (None, False, NO_MUX_HEARTBEAT_TIMEOUT_SECONDS),
            (30.0, True, 30.0),
        ):
            context = make_registry(heartbeat_timeout_seconds=configured).context
            self.assertEqual(module._heartbeat_timeout(context, muxed=muxed), expected)

    def test_messages_of_users(self) -> None:
        """They are written as all others, except for the frp that didn't."""
        registry = make_registry()
        for spoken, version, dialect in (
            (V1, "0.70.1", V1),
            (V2, "0.70.1", V2),
            (V2, "0.69.1", V2),
            (V2, "0.69.0", V1),
        ):
            fake = FakeClient(registry, dialect=spoken, version=version)
            self.assertIs(registry.clients[fake.run_id].payload_dialect, dialect)


class LabelTests(SynchronousTestCase):
    """What clients are called in the log."""

    def test_labels(self) -> None:
        lines = LogLines(self)
        for login, who in (
            ({}, ""),
            ({"user": "alice"}, " alice"),
            ({"client_id": "laptop"}, " laptop"),
            ({"user": "alice", "client_id": "laptop"}, " alice/laptop"),
        ):
            options: dict[str, Any] = login
            client = FakeClient(make_registry(), **options)
            client.say(ssh())
            label = f"[{client.run_id}{who}]"
            self.assertIn(f"{label} client login info", lines[-2])
            self.assertIn(f"{label} new proxy [ssh] type [tcp] success", lines[-1])
            client.messages.abort()
            self.assertIn(f"{label} client exit success", lines[-2])
            self.assertIn(f"{label} close proxy [ssh] success", lines[-1])


class TakeoverTests(SynchronousTestCase):
    """The same run id again."""

    def test_the_new_one_finds_everything_free(self) -> None:
        registry = make_registry()
        first = FakeClient(registry)
        first.say(ssh())
        self.assertIn(6000, first.reactor.listening)
        second = FakeClient(registry, run_id=first.run_id)
        self.assertEqual(second.run_id, first.run_id)
        first.pump()
        self.assertTrue(first.streams[0].lost)
        self.assertEqual(first.reactor.listening, {})
        answer = second.say(ssh())
        self.assertEqual(answer, NewProxyResp(proxy_name="ssh", remote_addr=":6000"))
        self.assertEqual(list(registry.clients), [first.run_id])

    def test_a_third_replaces_a_waiting_second(self) -> None:
        registry = make_registry()
        first = FakeClient(registry)
        first.say(ssh())
        held: Deferred[None] = Deferred()
        listening = first.reactor.listening[6000]
        self.patch(listening, "stopListening", lambda: held)
        second = FakeClient(registry, run_id=first.run_id)
        self.assertEqual(second.heard, [])
        third = FakeClient(registry, run_id=first.run_id)
        held.callback(None)
        second.pump()
        third.pump()
        answers = [client.heard[0] for client in (second, third)]
        self.assertEqual(
            [answer.error for answer in answers if isinstance(answer, LoginResp)],
            ["control was replaced during login: a newer one has its run id", ""],
        )

    def test_who_is_replaced_is_told_no_details(self) -> None:
        """Where nobody is."""
        registry = make_registry(detailed_errors_to_client=False)
        first = FakeClient(registry)
        first.say(ssh())
        self.patch(first.reactor.listening[6000], "stopListening", Deferred)
        second = FakeClient(registry, run_id=first.run_id)
        FakeClient(registry, run_id=first.run_id)
        second.pump()
        [answer] = second.heard
        assert isinstance(answer, LoginResp)
        self.assertEqual(answer.error, "register control error")

    def test_leaving(self) -> None:
        registry = make_registry()
        client = FakeClient(registry)
        client.say(ssh())
        client.messages.abort()
        self.assertEqual((registry.clients, client.reactor.listening), ({}, {}))
        self.assertEqual(registry.context.proxies, {})

    def test_server_stop(self) -> None:
        registry = make_registry()
        client = FakeClient(registry)
        client.say(ssh())
        done = ensureDeferred(registry.close())
        client.pump()
        self.successResultOf(done)
        self.assertEqual((registry.clients, client.reactor.listening), ({}, {}))


class ProxyTests(SynchronousTestCase):
    """Opening and closing proxies."""

    def refusal(self, client: FakeClient, request: NewProxy) -> str:
        answer = client.say(request)
        assert isinstance(answer, NewProxyResp)
        self.assertEqual((answer.proxy_name, answer.remote_addr), (request.proxy_name, ""))
        return answer.error

    def test_chosen_port_is_told(self) -> None:
        answer = FakeClient(make_registry()).say(ssh(0))
        self.assertEqual(answer, NewProxyResp(proxy_name="ssh", remote_addr=":50000"))

    def test_no_type_is_tcp(self) -> None:
        answer = FakeClient(make_registry()).say(NewProxy(proxy_name="a", remote_port=6000))
        self.assertEqual(answer, NewProxyResp(proxy_name="a", remote_addr=":6000"))

    def test_refusals(self) -> None:
        client = FakeClient(make_registry())
        client.say(ssh())
        self.assertEqual(self.refusal(client, ssh(6001)), "proxy [ssh] already exists")
        self.assertEqual(self.refusal(client, ssh(6000, "b")), "port already used")
        self.assertEqual(
            self.refusal(client, NewProxy(proxy_name="x", proxy_type="xtcp")),
            "unknown proxy type: xtcp (not supported yet)",
        )
        self.assertIn("name", self.refusal(client, NewProxy(proxy_type="tcp")))
        self.assertIn("name", self.refusal(client, ssh(6005, "a\x1b[31m")))

    def test_refusals_without_details(self) -> None:
        client = FakeClient(make_registry(detailed_errors_to_client=False))
        client.say(ssh())
        self.assertEqual(self.refusal(client, ssh(6000, "b")), "new proxy [b] error")

    def test_a_refused_name_is_free(self) -> None:
        client = FakeClient(make_registry(allow_ports=(range(6000, 6001),)))
        self.assertEqual(self.refusal(client, ssh(7000)), "port not allowed")
        self.assertEqual(client.say(ssh()), NewProxyResp(proxy_name="ssh", remote_addr=":6000"))

    def test_names_are_the_servers(self) -> None:
        registry = make_registry()
        FakeClient(registry).say(ssh())
        self.assertEqual(
            self.refusal(FakeClient(registry), ssh(6001)), "proxy [ssh] already exists"
        )

    def test_max_ports_per_client(self) -> None:
        client = FakeClient(make_registry(max_ports_per_client=2))
        client.say(ssh(0, "a"))
        client.say(ssh(0, "b"))
        self.assertEqual(self.refusal(client, ssh(0, "c")), "exceed the max_ports_per_client")
        web = NewProxy(proxy_name="w", proxy_type="http", custom_domains=("a.example.com",))
        self.assertEqual(self.refusal_or_address(client, web), "a.example.com:8080")
        client.say(CloseProxy(proxy_name="a"))
        self.assertEqual(self.refusal_or_address(client, ssh(6000, "c")), ":6000")

    def refusal_or_address(self, client: FakeClient, request: NewProxy) -> str:
        answer = client.say(request)
        assert isinstance(answer, NewProxyResp)
        return answer.error or answer.remote_addr

    def test_most_proxies(self) -> None:
        self.patch(module, "MOST_PROXIES_PER_CLIENT", 1)
        client = FakeClient(make_registry())
        client.say(ssh())
        self.assertIn("more than 1", self.refusal(client, ssh(0, "b")))

    def test_close(self) -> None:
        client = FakeClient(make_registry())
        client.say(ssh())
        client.say(CloseProxy(proxy_name="ssh"))
        client.say(CloseProxy(proxy_name="unknown"))
        self.assertEqual(client.reactor.listening, {})
        self.assertEqual(client.say(ssh()), NewProxyResp(proxy_name="ssh", remote_addr=":6000"))


class FailureTests(SynchronousTestCase):
    """What goes wrong with one proxy costs no other."""

    def test_one_close_that_fails(self) -> None:
        registry = make_registry()
        client = FakeClient(registry)
        for name, port in (("a", 6000), ("b", 6001)):
            client.say(ssh(port, name))

        async def broken() -> None:
            raise ZeroDivisionError

        self.patch(registry.context.proxies["a"], "unlisten", broken)
        client.messages.abort()
        self.assertEqual(registry.context.proxies, {})
        self.assertEqual(list(client.reactor.listening), [6000])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_long_names(self) -> None:
        client = FakeClient(make_registry())
        answer = client.say(ssh(6000, "x" * (names.MOST_NAME_CHARACTERS + 1)))
        assert isinstance(answer, NewProxyResp)
        self.assertIn("name of 1 to", answer.error)

    def test_long_refusals(self) -> None:
        client = FakeClient(make_registry())
        answer = client.say(NewProxy(proxy_name="a", proxy_type="x" * 9000))
        assert isinstance(answer, NewProxyResp)
        self.assertLessEqual(len(answer.error), module.MOST_ERROR_CHARACTERS)

    def test_an_answer_that_fits_in_no_message(self) -> None:
        """Nothing can be said to a client that repeats its own name in 10 KiB."""
        registry = make_registry()
        client = FakeClient(registry)
        client.messages.send(ssh(1, "x" * 10_180))
        client.pump()
        self.assertEqual(registry.clients, {})

    def test_a_takeover_forgets_its_predecessor(self) -> None:
        registry = make_registry()
        first = FakeClient(registry)
        FakeClient(registry, run_id=first.run_id)
        self.assertIsNone(registry.clients[first.run_id].before)


class WorkConnectionTests(SynchronousTestCase):
    """Work connections find their client, or hear why not."""

    def setUp(self) -> None:
        self.answers: list[Message] = []
        self.losses: list[Failure] = []

    def offer(self, client: FakeClient, message: NewWorkConn) -> str:
        self.answers.clear()
        client.on_start = lambda _, answer: self.answers.append(answer)
        near = client.work(message)
        near.on_lost = self.losses.append
        client.pump()
        if not self.answers:
            return ""
        [answer] = self.answers
        assert isinstance(answer, StartWorkConn)
        return answer.error

    def test_accepted(self) -> None:
        client = FakeClient(make_registry())
        self.assertEqual(self.offer(client, NewWorkConn(run_id=client.run_id)), "")

    def test_unknown_run_id(self) -> None:
        client = FakeClient(make_registry())
        self.assertEqual(
            self.offer(client, NewWorkConn(run_id="x")),
            "no client control found for run id [x]",
        )

    def test_unsigned(self) -> None:
        client = FakeClient(make_registry(authenticate_new_work_conns=True))
        self.assertEqual(
            self.offer(client, NewWorkConn(run_id=client.run_id)),
            "token in NewWorkConn doesn't match token from configuration",
        )

    def test_without_details(self) -> None:
        client = FakeClient(make_registry(detailed_errors_to_client=False))
        self.assertEqual(self.offer(client, NewWorkConn(run_id="x")), "invalid NewWorkConn")

    def test_pool_full(self) -> None:
        client = FakeClient(make_registry())
        message = NewWorkConn(run_id=client.run_id)
        errors = [self.offer(client, message) for _ in range(11)]
        self.assertEqual(errors[:10], [""] * 10)
        self.assertEqual(errors[10], "work connection pool is full, discarding")
