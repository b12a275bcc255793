# -*- test-case-name: tests.server.test_permission -*-
"""Tests of `tunnelsvc.server.permission`: clients in memory, plugins that a test answers for."""

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.server.fakes import FakeClient, make_registry
from tests.streams import recorded
from tunnelsvc.config.values import HOOK_OPS
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.errors import HookRefused
from tunnelsvc.server.hooks.contents import UserInfo
from tunnelsvc.wire.messages import (
    CloseProxy,
    LoginResp,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    Ping,
    Pong,
    StartWorkConn,
)

NO = HookRefused("no")


class FakeHooks:
    """Takes the place of `tunnelsvc.server.hooks.asking.Hooks`."""

    answer_seconds = 8.0

    def __init__(self, *ops: str) -> None:
        self.ops = ops or HOOK_OPS
        self.asked: list[tuple[str, Any]] = []
        self.waiting: list[Deferred[Any]] = []

    def hears(self, op: str) -> bool:
        return op in self.ops

    def _ask(self, op: str, what: Any) -> Deferred[Any]:
        if not self.hears(op):
            return succeed(what)
        self.asked.append((op, what))
        self.waiting.append(Deferred())
        return self.waiting[-1]

    async def login(self, login: Any, peer: IAddress) -> Any:
        return await self._ask("Login", login)

    async def new_proxy(self, user: UserInfo, request: Any) -> Any:
        return await self._ask("NewProxy", request)

    async def ping(self, user: UserInfo, ping: Any) -> None:
        await self._ask("Ping", ping)

    async def new_work_conn(self, user: UserInfo, message: Any) -> None:
        await self._ask("NewWorkConn", message)

    async def new_user_conn(self, user: UserInfo, name: str, kind: str, peer: IAddress) -> None:
        await self._ask("NewUserConn", (name, kind))

    def proxy_closed(self, user: UserInfo, name: str) -> None:
        self.asked.append(("CloseProxy", name))

    def answer(self, result: Any = None) -> None:
        """Answer the last question; an exception: refuse."""
        waiting = self.waiting.pop()
        waiting.errback(result) if isinstance(result, Exception) else waiting.callback(result)


class PermissionTests(SynchronousTestCase):
    """What waits for a plugin, and what doesn't."""

    def use(self, *ops: str, **options: Any) -> FakeHooks:
        self.lines = LogLines(self)
        self.registry = make_registry(**options)
        hooks = FakeHooks(*ops)
        self.registry.context.hooks = hooks  # type: ignore[assignment]
        return hooks

    def is_in(self, client: FakeClient) -> bool:
        """Tell what came of a login."""
        assert isinstance(client.valid, Deferred)
        return self.successResultOf(client.valid)

    def test_login(self) -> None:
        """Until there is an answer nobody is there, and nothing is said."""
        hooks = self.use("Login")
        client = FakeClient(self.registry, user="a")
        self.assertEqual((client.heard, self.registry.clients), ([], {}))
        hooks.answer(hooks.asked[0][1])
        client.pump()
        [response] = client.heard
        assert isinstance(response, LoginResp)
        self.assertEqual((response.error, list(self.registry.clients)), ("", [response.run_id]))
        self.assertTrue(self.is_in(client))

    def test_refused_login(self) -> None:
        hooks = self.use("Login")
        client = FakeClient(self.registry)
        hooks.answer(NO)
        client.pump()
        [response] = client.heard
        assert isinstance(response, LoginResp)
        self.assertEqual(response.error, "no")
        self.assertFalse(self.is_in(client))
        self.assertTrue(client.streams[0].lost)

    def test_login_that_is_gone(self) -> None:
        for answer in (NO, "login"):
            hooks = self.use("Login")
            client = FakeClient(self.registry)
            client.streams[0].abortConnection()
            hooks.answer(hooks.asked[0][1] if answer == "login" else answer)
            self.assertFalse(self.is_in(client))
            self.assertEqual((list(self.lines), self.registry.clients), ([], {}))

    def test_login_by_a_token_that_is_old_by_now(self) -> None:
        """The server was reloaded meanwhile: what is said next would be under the new one."""
        hooks = self.use("Login")
        client = FakeClient(self.registry)
        auth = self.registry.auth
        self.registry.reconfigure(TokenAuth(token="new", now=auth.now))
        hooks.answer(hooks.asked[0][1])
        client.pump()
        [response] = client.heard
        assert isinstance(response, LoginResp)
        self.assertIn("token in login doesn't match", response.error)
        self.assertEqual((self.is_in(client), self.registry.clients), (False, {}))

    def ssh(self, name: str = "ssh", port: int = 6000) -> NewProxy:
        return NewProxy(proxy_name=name, proxy_type="tcp", remote_port=port)

    def test_proxies_in_order(self) -> None:
        """The second is asked about after the first; both ways of ending are told."""
        hooks = self.use("NewProxy", "CloseProxy")
        client = FakeClient(self.registry)
        client.messages.send(self.ssh("a"))
        client.say(self.ssh("b", 6001))
        self.assertEqual([each.proxy_name for _, each in hooks.asked], ["a"])
        hooks.answer(hooks.asked[0][1])
        client.pump()
        self.assertEqual(hooks.asked[-1][1].proxy_name, "b")
        hooks.answer(hooks.asked[-1][1])
        client.say(CloseProxy(proxy_name="a"))
        client.messages.abort()
        self.assertEqual(hooks.asked[2:], [("CloseProxy", "a"), ("CloseProxy", "b")])

    def test_a_name_that_two_proxies_get(self) -> None:
        """The second one doesn't; nor does one of the client's own names come twice."""
        hooks = self.use("NewProxy")
        client = FakeClient(self.registry)
        for name, port in (("a", 6000), ("b", 6001)):
            client.say(self.ssh(name, port))
            hooks.answer(self.ssh("same", port))
            client.pump()
        self.assertEqual(
            client.heard[-2:],
            [
                NewProxyResp(proxy_name="a", remote_addr=":6000"),
                NewProxyResp(proxy_name="b", error="proxy [same] already exists"),
            ],
        )
        answer = client.say(self.ssh("a", 6002))
        self.assertEqual(answer, NewProxyResp(proxy_name="a", error="proxy [a] already exists"))
        client.say(CloseProxy(proxy_name="a"))
        self.assertEqual(self.registry.context.proxies, {})

    def test_a_client_that_is_gone(self) -> None:
        """Nothing that it still wanted is asked about, or opened; its successor doesn't wait."""
        hooks = self.use("NewProxy")
        client = FakeClient(self.registry)
        client.messages.send(self.ssh("a"))
        client.say(self.ssh("b", 6001))
        second = FakeClient(self.registry, run_id=client.run_id)
        second.pump()
        self.assertEqual(second.run_id, client.run_id)
        self.assertEqual((len(hooks.asked), client.reactor.listening), (1, {}))

    def test_ping(self) -> None:
        """While one is thought about there may be more; they get no answer."""
        hooks = self.use("Ping")
        client = FakeClient(self.registry)
        client.messages.send(Ping())
        client.say(Ping())
        self.assertEqual(len(hooks.asked), 1)
        hooks.answer()
        client.pump()
        self.assertEqual(client.heard[1:], [Pong()])
        client.say(Ping())
        hooks.answer(NO)
        client.pump()
        self.assertEqual(client.heard[2:], [Pong(error="no")])
        self.assertTrue(client.streams[0].lost)

    def test_terse(self) -> None:
        hooks = self.use("Ping", detailed_errors_to_client=False)
        client = FakeClient(self.registry)
        client.say(Ping())
        hooks.answer(NO)
        client.pump()
        self.assertEqual(client.heard[1:], [Pong(error="invalid ping")])

    def test_an_answer_that_comes_too_late(self) -> None:
        hooks = self.use("Ping")
        client = FakeClient(self.registry)
        client.say(Ping())
        client.messages.abort()
        hooks.answer(NO)
        self.assertEqual(self.registry.clients, {})

    def test_work_connections(self) -> None:
        hooks = self.use("NewWorkConn")
        client = FakeClient(self.registry)
        heard: list[StartWorkConn] = []
        client.on_start = lambda _, start: heard.append(start)
        client.work(NewWorkConn(run_id=client.run_id))
        hooks.answer(NO)
        client.pump()
        self.assertEqual(heard, [StartWorkConn(error="no")])
        client.say(self.ssh())
        user = recorded(client.reactor.user(6000))
        client.work(NewWorkConn(run_id=client.run_id))
        self.assertEqual(len(heard), 1)
        hooks.answer()
        client.pump()
        self.assertEqual(heard[1].proxy_name, "ssh")
        self.assertIsNone(user.lost)

    def test_a_work_connection_that_is_gone(self) -> None:
        """Or that speaks before it may: it's in nobody's way."""
        hooks = self.use("NewWorkConn")
        client = FakeClient(self.registry)
        for answer in (None, NO):
            client.work(NewWorkConn(run_id=client.run_id)).abort()
            hooks.answer(answer)
        work = client.work(NewWorkConn(run_id=client.run_id))
        work.send(Ping())
        client.pump()
        self.assertTrue(work.stream.lost)  # type: ignore[attr-defined]
        hooks.answer()
        [pool] = [each.work._pool for each in self.registry.clients.values()]
        self.assertEqual(len(pool._ready), 0)

    def test_users(self) -> None:
        """No work connection is asked for before the answer."""
        hooks = self.use("NewUserConn")
        client = FakeClient(self.registry)
        client.say(self.ssh())
        before = list(client.heard)
        user = recorded(client.reactor.user(6000))
        client.pump()
        self.assertEqual(hooks.asked, [("NewUserConn", ("ssh", "tcp"))])
        self.assertEqual(client.heard, before)
        hooks.answer()
        client.pump()
        self.assertGreater(len(client.heard), len(before))
        self.assertIsNone(user.lost)
        other = recorded(client.reactor.user(6000))
        hooks.answer(NO)
        self.assertIsNotNone(other.lost)
        self.assertIn("was rejected: no", self.lines[-1])

    def test_a_proxy_that_closes_meanwhile(self) -> None:
        hooks = self.use("NewUserConn")
        client = FakeClient(self.registry)
        client.say(self.ssh())
        user = recorded(client.reactor.user(6000))
        client.say(CloseProxy(proxy_name="ssh"))
        hooks.answer()
        self.assertIsNotNone(user.lost)
