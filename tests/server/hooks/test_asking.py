# -*- test-case-name: tests.server.hooks.test_asking -*-
"""Tests of `tunnelsvc.server.hooks.asking`; the web services are in memory, the clock is ours."""

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tunnelsvc.config.schema import WebhookConfig
from tunnelsvc.config.values import HOOK_OPS
from tunnelsvc.errors import HookRefused
from tunnelsvc.server.hooks import asking
from tunnelsvc.server.hooks.asking import ANSWER_SECONDS, AT_ONCE, AT_ONCE_OF_ONE, Hooks
from tunnelsvc.server.hooks.contents import UserInfo
from tunnelsvc.server.hooks.webhook import WebhookError
from tunnelsvc.wire.messages import Login, NewProxy, NewWorkConn, Ping

PEER = IPv4Address("TCP", "192.0.2.1", 5)
USER = UserInfo(user="alice", metas={"token": "s3cret"}, run_id="r")
UNCHANGED = {"unchange": True}


class Service:
    """Takes the place of a `Webhook`; requests wait until they are answered."""

    made: "dict[str, Service]" = {}  # noqa: RUF012 - each test has its own

    def __init__(self, config: WebhookConfig, *_: object, **__: object) -> None:
        self.name = config.name
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        self.waiting: list[Deferred[bytes]] = []
        self.closed = False
        self.cancelled = 0
        Service.made[config.name] = self

    async def post(self, op: str, body: bytes, number: str) -> bytes:
        question = json.loads(body)
        assert question["op"] == op
        self.asked.append((op, question["content"], number))
        answer: Deferred[bytes] = Deferred()
        self.waiting.append(answer)
        try:
            return await answer
        except CancelledError:
            self.cancelled += 1
            raise

    def answer(self, **answer: Any) -> None:
        self.waiting.pop(0).callback(json.dumps(answer).encode())

    async def close(self) -> None:
        self.closed = True


class AskingTests(SynchronousTestCase):
    """Questions and answers."""

    def setUp(self) -> None:
        self.patch(asking, "Webhook", Service)
        self.patch(Service, "made", {})
        self.lines = LogLines(self)
        self.clock = Clock()
        self.addCleanup(self.answer_all)

    def answer_all(self) -> None:
        """Leave nobody waiting: see `tests.server.hooks.test_turns`."""
        while waiting := [each for each in Service.made.values() if each.waiting]:
            answer = waiting[0].waiting.pop(0)
            if not answer.called:
                answer.callback(json.dumps(UNCHANGED).encode())

    def hooks(self, **ops: tuple[str, ...]) -> Hooks:
        """Make plugins by name and what they hear; none: one that hears everything."""
        configs = [
            WebhookConfig(name=name, addr="http://x", ops=heard)
            for name, heard in (ops or {"a": HOOK_OPS}).items()
        ]
        made = Hooks(configs, self.clock)
        for name, service in Service.made.items():
            setattr(self, name, service)
        return made

    a: Service
    b: Service

    def login(self, hooks: Hooks, **fields: Any) -> Deferred[Login]:
        return ensureDeferred(hooks.login(Login(**fields), PEER))

    def refusal(self, asked: Deferred[Any]) -> str:
        return str(self.failureResultOf(asked, HookRefused).value)

    def test_hears(self) -> None:
        hooks = self.hooks(a=("Login",), b=("Ping", "Login"))
        self.assertEqual([op for op in HOOK_OPS if hooks.hears(op)], ["Login", "Ping"])

    def test_nobody_wants_to_know(self) -> None:
        hooks = self.hooks(a=("Login",))
        self.successResultOf(ensureDeferred(hooks.ping(USER, Ping())))
        hooks.proxy_closed(USER, "p")
        self.assertEqual(self.a.asked, [])

    def test_contents(self) -> None:
        """Each question has what frp's has."""
        hooks = self.hooks()
        user = {"user": "alice", "metas": {"token": "s3cret"}, "run_id": "r", "client_id": ""}
        for coroutine, op, content in (
            (hooks.login(Login(user="alice"), PEER), "Login", {"client_address": "192.0.2.1:5"}),
            (hooks.new_proxy(USER, NewProxy(proxy_name="p")), "NewProxy", {"proxy_name": "p"}),
            (hooks.ping(USER, Ping(timestamp=9)), "Ping", {"timestamp": 9}),
            (hooks.new_work_conn(USER, NewWorkConn(run_id="r")), "NewWorkConn", {"run_id": "r"}),
            (
                hooks.new_user_conn(USER, "p", "tcp", PEER),
                "NewUserConn",
                {"proxy_name": "p", "proxy_type": "tcp", "remote_addr": "192.0.2.1:5"},
            ),
        ):
            asked: Deferred[Any] = ensureDeferred(coroutine)
            said, got, number = self.a.asked[-1]
            self.assertEqual((said, len(number)), (op, 16))
            expected: dict[str, Any] = content if op == "Login" else {"user": user, **content}
            self.assertEqual(got | expected, got)
            self.a.answer(**UNCHANGED)
            self.successResultOf(asked)
        hooks.proxy_closed(USER, "p")
        self.assertEqual(self.a.asked[-1][:2], ("CloseProxy", {"user": user, "proxy_name": "p"}))

    def test_one_after_the_other(self) -> None:
        """In the file's order, by one number; each sees what the one before made of it."""
        hooks = self.hooks(a=("Login",), b=("Login",))
        asked = self.login(hooks, user="alice", pool_count=3)
        self.assertEqual(self.b.asked, [])
        self.a.answer(content={"user": "bob", "pool_count": 7})
        self.assertEqual(self.b.asked[0][1]["user"], "bob")
        self.assertEqual(self.b.asked[0][2], self.a.asked[0][2])
        self.b.answer(**UNCHANGED)
        self.assertEqual(self.successResultOf(asked), Login(user="bob", pool_count=7))

    def test_reject(self) -> None:
        """The reason is passed on, and nobody else is asked."""
        hooks = self.hooks(a=("Login",), b=("Login",))
        for given, told in (
            ("not you", "not you"),
            ("", "rejected by the server's plugin a"),
            ("x" * 5000, "x" * 1000),
        ):
            asked = self.login(hooks)
            self.a.answer(reject=True, reject_reason=given, unchange=True)
            self.assertEqual(self.refusal(asked), told)
        self.assertEqual(self.b.asked, [])

    def test_no_answer_that_counts(self) -> None:
        hooks = self.hooks()
        for answer, why in (
            (b"<html>", "not JSON"),
            (b"{}", "neither content nor unchange"),
            (b'{"content":null}', "neither content nor unchange"),
            (b'{"content":{"pool_count":"3"}}', "integer expected"),
            (WebhookError("its status is 500, not 200"), "its status is 500"),
        ):
            asked = self.login(hooks, user="alice")
            waiting = self.a.waiting.pop()
            if isinstance(answer, bytes):
                waiting.callback(answer)
            else:
                waiting.errback(answer)
            self.assertEqual(self.refusal(asked), "send Login request to plugin error")
            self.assertIn("send Login request to plugin [a] error: ", self.lines[-1])
            self.assertIn(why, self.lines[-1])

    def test_an_empty_answer_where_nothing_depends_on_it(self) -> None:
        """As with frp: these contents aren't used."""
        hooks = self.hooks()
        asked = ensureDeferred(hooks.new_user_conn(USER, "p", "tcp", PEER))
        self.a.answer()
        self.successResultOf(asked)

    def test_too_late(self) -> None:
        """The time is for all together."""
        hooks = self.hooks(a=("Login",), b=("Login",))
        asked = self.login(hooks)
        self.clock.advance(ANSWER_SECONDS - 1)
        self.a.answer(**UNCHANGED)
        self.clock.advance(0.5)
        self.assertNoResult(asked)
        self.clock.advance(0.5)
        self.assertEqual(self.refusal(asked), "send Login request to plugin error")
        self.assertIn("plugin [b] error: no answer within 8 s", self.lines[-1])
        self.assertEqual(self.b.cancelled, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def users(self, hooks: Hooks, count: int, run_id: str = "r") -> list[Deferred[None]]:
        user = UserInfo(run_id=run_id)
        return [ensureDeferred(hooks.new_user_conn(user, "p", "tcp", PEER)) for _ in range(count)]

    def test_users_wait_for_one_another(self) -> None:
        """Those of a client; others aren't held up."""
        self.patch(asking, "MOST_WAITING", 20)
        hooks = self.hooks()
        many = self.users(hooks, AT_ONCE_OF_ONE + 25)
        self.assertEqual(len(self.a.asked), AT_ONCE_OF_ONE)
        for refused in many[-5:]:
            self.assertEqual(self.refusal(refused), "send NewUserConn request to plugin error")
        self.assertIn("20 others wait already", self.lines[-1])
        [other] = self.users(hooks, 1, "other")
        self.assertEqual(len(self.a.asked), AT_ONCE_OF_ONE + 1)
        self.a.waiting.pop().callback(b'{"unchange":true}')
        self.successResultOf(other)
        self.clock.advance(ANSWER_SECONDS)
        for user in many[:-5]:
            self.refusal(user)

    def test_never_more_requests(self) -> None:
        hooks = self.hooks()
        users = [user for n in range(AT_ONCE) for user in self.users(hooks, 2, f"client {n}")]
        self.assertEqual(len(self.a.asked), AT_ONCE)
        self.clock.advance(ANSWER_SECONDS)
        for user in users:
            self.refusal(user)

    def test_the_order_of_proxies(self) -> None:
        """A proxy that is closed and opened again is told in this order."""
        hooks = self.hooks()
        hooks.proxy_closed(USER, "p")
        opened = ensureDeferred(hooks.new_proxy(USER, NewProxy(proxy_name="p")))
        other = UserInfo(run_id="other")
        hooks.proxy_closed(other, "q")
        self.assertEqual([op for op, _, _ in self.a.asked], ["CloseProxy", "CloseProxy"])
        self.a.answer()
        self.assertEqual(self.a.asked[-1][0], "NewProxy")
        self.a.waiting.pop().callback(b'{"unchange":true}')
        self.assertEqual(self.successResultOf(opened), NewProxy(proxy_name="p"))

    def test_all_hear_of_the_end_of_a_proxy(self) -> None:
        """Whatever the first one answers."""
        hooks = self.hooks(a=("CloseProxy",), b=("CloseProxy",))
        for reply in (WebhookError("no"), b"nonsense", b'{"reject":true}'):
            hooks.proxy_closed(USER, "p")
            waiting = self.a.waiting.pop()
            waiting.callback(reply) if isinstance(reply, bytes) else waiting.errback(reply)
            self.b.answer()
        self.assertEqual(len(self.b.asked), 3)
        [line] = self.lines
        self.assertIn("send CloseProxy request to plugin [a] error: no", line)

    def test_nobody_listens_to_the_end_of_a_proxy(self) -> None:
        """The limit is on each request, so that none is left out because others take long."""
        hooks = self.hooks()
        for n in range(3):
            hooks.proxy_closed(USER, f"p{n}")
        for n in range(3):
            self.assertEqual(self.a.asked[-1][1]["proxy_name"], f"p{n}")
            self.clock.advance(ANSWER_SECONDS)
        self.assertEqual((self.a.cancelled, len(self.lines)), (3, 3))

    def test_too_many_ends(self) -> None:
        self.patch(asking, "MOST_NOTICES", 2)
        hooks = self.hooks()
        for n in range(4):
            hooks.proxy_closed(USER, f"p{n}")
        self.assertEqual(len(self.lines), 1)
        self.a.answer()
        self.a.answer()
        hooks.proxy_closed(USER, "again")
        self.assertEqual(
            [content["proxy_name"] for _, content, _ in self.a.asked], ["p0", "p1", "again"]
        )

    def test_too_many_ends_of_one_client(self) -> None:
        """They are in nobody else's way."""
        self.patch(asking, "MOST_NOTICES_OF_ONE", 2)
        hooks = self.hooks()
        for n in range(4):
            hooks.proxy_closed(USER, f"p{n}")
        hooks.proxy_closed(UserInfo(run_id="other"), "q")
        self.assertEqual(len(self.lines), 1)
        self.answer_all()
        self.assertEqual(
            [content["proxy_name"] for _, content, _ in self.a.asked], ["p0", "q", "p1"]
        )
        self.assertEqual((hooks._notices, hooks._notices_of), (set(), {}))

    def test_close(self) -> None:
        """Ends of proxies are told for a short time; whoever still asks is sent away."""
        hooks = self.hooks()
        asked = self.login(hooks)
        hooks.proxy_closed(USER, "p")
        hooks.proxy_closed(UserInfo(run_id="other"), "q")
        closed = ensureDeferred(hooks.close())
        self.a.waiting[1].callback(b"")
        self.assertNoResult(closed)
        self.clock.advance(asking.LAST_NOTICES_SECONDS)
        self.successResultOf(closed)
        self.assertEqual(self.refusal(asked), "the server stops")
        self.assertEqual((self.a.closed, self.a.cancelled), (True, 2))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody_wants_to_know_any_more(self) -> None:
        hooks = self.hooks()
        asked = self.login(hooks)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((self.a.cancelled, list(self.lines)), (1, []))

    def test_close_when_all_is_told(self) -> None:
        hooks = self.hooks()
        self.successResultOf(ensureDeferred(hooks.close()))
        self.assertTrue(self.a.closed)

    def test_no_secrets_in_the_log(self) -> None:
        hooks = self.hooks()
        asked = ensureDeferred(hooks.new_proxy(USER, NewProxy(proxy_name="p", sk="s3cret")))
        self.a.answer(content={"sk": ["s3cret"]})
        self.refusal(asked)
        self.assertNotIn("s3cret", "\n".join(self.lines))
