# -*- test-case-name: tests.control.test_serverside -*-
"""Tests of `tunnelsvc.control.serverside`."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair, pump
from tunnelsvc.control import serverside
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.serverside import ControlCore, make_server_control
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import (
    WIRE_VERSION,
    CloseProxy,
    LoginResp,
    Message,
    NewProxy,
    NewProxyResp,
    Ping,
    Pong,
    ReqWorkConn,
    UDPPacket,
)


class Desk:
    """Serves requests when told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.hold: dict[str, Deferred[None]] = {}
        self.pings: list[Deferred[str]] | None = None

    async def new_proxy(self, request: NewProxy) -> NewProxyResp:
        self.calls.append(f"open {request.proxy_name}")
        if request.proxy_name == "broken":
            raise ZeroDivisionError
        if request.proxy_name in self.hold:
            await self.hold[request.proxy_name]
        return NewProxyResp(proxy_name=request.proxy_name, remote_addr=":1")

    async def close_proxy(self, name: str) -> None:
        self.calls.append(f"close {name}")
        if name == "broken":
            raise ZeroDivisionError

    async def close_all(self) -> None:
        self.calls.append("close all")

    def hears_pings(self) -> bool:
        return self.pings is not None

    async def ping(self, ping: Ping) -> str:
        assert self.pings is not None
        self.pings.append(Deferred())
        return await self.pings[-1]


class ServerControlTests(SynchronousTestCase):
    """One conversation, from the server's side; the client is a second `MessageProtocol`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.build(timeout=90.0)

    def build(self, *, timeout: float, scopes: bool = False) -> None:
        self.near, self.far = pair("control")
        self.desk = Desk()
        self.ends: list[str] = []
        self.core = ControlCore(
            messages=MessageProtocol(self.near, self.clock),
            desk=self.desk,
            auth=TokenAuth(token="t", heartbeats=scopes, now=self.clock.seconds),
            clock=self.clock,
            heartbeat_timeout_seconds=timeout,
            on_end=self.ends.append,
        )
        self.control = make_server_control(self.core)
        self.core.messages.on_message = self.control.received
        self.core.messages.on_lost = self.control.lost
        self.core.messages.start()
        self.client = MessageProtocol(self.far, self.clock)
        self.got: list[Message] = []
        self.client.on_message = self.hear
        self.client.start()

    def hear(self, message: Message) -> None:
        self.got.append(message)
        if isinstance(message, LoginResp) and not message.error:
            self.client.encrypt(derive_key("t"))

    def pump(self) -> None:
        pump(self.near)

    def say(self, *messages: Message) -> None:
        for message in messages:
            self.client.send(message)
        self.pump()

    def accept(self, work_connections: int = 0) -> None:
        self.control.accept(LoginResp(run_id="r"), work_connections)
        self.pump()

    def test_accept(self) -> None:
        self.accept(2)
        self.assertEqual(self.got, [LoginResp(run_id="r"), ReqWorkConn(), ReqWorkConn()])

    def test_turned_away(self) -> None:
        """Dropped before it was let in: the client hears why."""
        self.control.drop("control was replaced")
        self.pump()
        refusal = LoginResp(version=WIRE_VERSION, error="control was replaced")
        self.assertEqual(self.got, [refusal])
        self.assertTrue(self.near.lost)
        self.assertEqual(self.ends, ["control was replaced"])
        self.assertTrue(self.core.ended.called)
        self.control.accept(LoginResp(), 1)
        self.control.drop("late")
        self.assertEqual(self.desk.calls, ["close all"])

    def test_requests_are_answered_in_order(self) -> None:
        self.accept()
        self.got.clear()
        self.desk.hold["slow"] = Deferred()
        self.say(NewProxy(proxy_name="slow"), NewProxy(proxy_name="b"), CloseProxy(proxy_name="b"))
        self.assertEqual((self.desk.calls, self.got), (["open slow"], []))
        self.desk.hold["slow"].callback(None)
        self.pump()
        self.assertEqual(self.desk.calls, ["open slow", "open b", "close b"])
        self.assertEqual(
            [message.proxy_name for message in self.got if isinstance(message, NewProxyResp)],
            ["slow", "b"],
        )

    def test_too_many_requests_at_once(self) -> None:
        self.patch(serverside, "MOST_WAITING", 3)
        self.accept()
        self.desk.hold["slow"] = Deferred()
        self.say(NewProxy(proxy_name="slow"), *[NewProxy(proxy_name="b")] * 5)
        self.assertEqual(self.ends, ["more requests at once than anybody needs"])
        self.desk.hold["slow"].callback(None)

    def test_too_long_requests_at_once(self) -> None:
        """What a hanging plugin keeps waiting is bounded in bytes, too."""
        self.patch(serverside, "MOST_WAITING_BYTES", 3_000)
        self.accept()
        self.desk.hold["slow"] = Deferred()
        long = NewProxy(proxy_name="b", metas={"a": "x" * 1_000})
        self.say(NewProxy(proxy_name="slow", metas=long.metas), long, long)
        self.assertEqual(self.ends, [])
        self.desk.hold["slow"].callback(None)
        self.assertEqual(self.core.waiting_bytes, 0)
        self.desk.hold["slow"] = Deferred()
        self.say(NewProxy(proxy_name="slow"), *[long] * 5)
        self.assertEqual(self.ends, ["more requests at once than anybody needs"])
        self.desk.hold["slow"].callback(None)
        self.assertEqual(self.core.waiting_bytes, 0)

    def test_a_failing_request_costs_only_itself(self) -> None:
        self.accept()
        self.say(CloseProxy(proxy_name="broken"), CloseProxy(proxy_name="b"))
        self.assertEqual(self.desk.calls, ["close broken", "close b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_bug_of_ours_is_answered(self) -> None:
        self.accept()
        self.say(NewProxy(proxy_name="broken"))
        error = "internal error of the server"
        self.assertEqual(self.got[-1], NewProxyResp(proxy_name="broken", error=error))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_known_but_unexpected_messages_are_ignored(self) -> None:
        self.accept()
        self.say(UDPPacket(), LoginResp(), Ping())
        self.assertEqual(self.got[-1], Pong())

    def test_ask(self) -> None:
        self.control.ask_work_connection()
        self.pump()
        self.assertEqual(self.got, [])
        self.accept()
        self.control.ask_work_connection()
        self.pump()
        self.assertEqual(self.got[-1], ReqWorkConn())

    def test_heartbeat(self) -> None:
        self.accept()
        for _ in range(5):
            self.clock.advance(60)
            self.say(Ping())
        self.assertEqual(self.got[1:], [Pong()] * 5)
        self.clock.advance(90)
        self.assertEqual(self.ends, ["heartbeat timeout"])

    def test_heartbeat_off(self) -> None:
        self.build(timeout=0.0)
        self.accept()
        self.clock.advance(10_000)
        self.assertEqual(self.ends, [])

    def test_unsigned_ping_where_it_must_be_signed(self) -> None:
        self.build(timeout=90, scopes=True)
        self.accept()
        self.say(Ping())
        error = "token in heartbeat doesn't match token from configuration"
        self.assertEqual(self.got[-1], Pong(error=error))
        self.assertEqual(self.ends, [error])

    def test_loss_closes_all(self) -> None:
        self.accept()
        self.far.abortConnection()
        self.assertEqual(self.desk.calls, ["close all"])
        self.assertEqual(len(self.ends), 1)
        self.assertTrue(self.core.ended.called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drop_closes_all_after_what_is_under_way(self) -> None:
        self.accept()
        self.desk.hold["slow"] = Deferred()
        self.say(NewProxy(proxy_name="slow"))
        self.control.drop("replaced")
        self.pump()
        self.assertEqual(self.ends, ["replaced"])
        self.assertFalse(self.core.ended.called)
        self.desk.hold["slow"].callback(None)
        self.assertEqual(self.desk.calls, ["open slow", "close all"])
        self.assertTrue(self.core.ended.called)
        self.control.drop("again")
        self.control.closed()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_while_greeting(self) -> None:
        self.far.abortConnection()
        self.assertEqual(len(self.ends), 1)
        self.control.accept(LoginResp(), 1)
        self.assertTrue(self.core.ended.called)
