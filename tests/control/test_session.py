# -*- test-case-name: tests.control.test_session -*-
"""Tests of `tunnelsvc.control.session`."""

from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.control.fakes import FakeServer, terms
from tunnelsvc.control.session import Session, log_in
from tunnelsvc.errors import LoginRefused, RemoteProtocolError
from tunnelsvc.wire.auth import login_key
from tunnelsvc.wire.messages import (
    LoginResp,
    Message,
    NewProxyResp,
    NewVisitorConn,
    NewVisitorConnResp,
    NewWorkConn,
    Ping,
    Pong,
    ReqWorkConn,
    StartWorkConn,
)


class SessionTests(SynchronousTestCase):
    """One login, from the client's side."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = FakeServer(self.clock)
        self.messages: list[Message] = []
        self.wanted = 0
        self.losses: list[Failure] = []

    def message_received(self, message: Message) -> None:
        self.messages.append(message)

    def work_connection_wanted(self, session: Session) -> None:
        self.wanted += 1

    def log_in(self, run_id: str = "", **options: Any) -> Deferred[Session]:
        result = ensureDeferred(
            log_in(self.server.connect, terms(self.clock, self, **options), run_id)
        )
        self.server.pump()
        return result

    def session(self, **options: Any) -> Session:
        session = self.successResultOf(self.log_in(**options))
        session.messages.on_lost = self.losses.append
        session.run()
        self.server.pump()
        return session

    def test_login(self) -> None:
        session = self.session(user="me", pool_count=3, metas={"a": "b"})
        self.assertEqual((session.run_id, session.server_is_ours), ("r1", False))
        [login] = self.server.logins
        self.assertEqual((login.user, login.pool_count, login.metas), ("me", 3, {"a": "b"}))
        self.assertEqual(login.privilege_key, login_key("12345678", login.timestamp))
        self.assertEqual(len(login.version.split(".")), 3)
        self.assertTrue(login.tunnelsvc)

    def test_a_server_of_ours(self) -> None:
        self.server.answer = lambda _: LoginResp(run_id="r1", tunnelsvc="0.1.0")
        self.assertTrue(self.session().server_is_ours)

    def test_refusal(self) -> None:
        self.server.answer = lambda _: LoginResp(error="no")
        failure = self.failureResultOf(self.log_in(), LoginRefused)
        self.assertEqual(failure.getErrorMessage(), "no")

    def test_nonsense(self) -> None:
        self.server.answer = lambda _: Pong()
        self.failureResultOf(self.log_in(), RemoteProtocolError)
        self.assertTrue(self.server.links[0].closed)

    def test_messages_find_their_owner(self) -> None:
        self.session()
        self.server.say(ReqWorkConn())
        self.server.say(NewProxyResp(proxy_name="ssh"))
        self.assertEqual((self.wanted, self.messages), (1, [NewProxyResp(proxy_name="ssh")]))

    def test_work_connection(self) -> None:
        session = self.session()
        work = self.successResultOf(ensureDeferred(session.open_work()))
        got: list[Message] = []
        work.on_message = got.append
        self.server.pump()
        self.assertEqual(self.server.heard[-1], NewWorkConn(run_id="r1"))
        self.server.work[-1].send(StartWorkConn(proxy_name="ssh"))
        self.server.pump()
        self.assertEqual(got, [StartWorkConn(proxy_name="ssh")])

    def test_visitor_connection(self) -> None:
        session = self.session()
        first = NewVisitorConn(run_id="r1", proxy_name="ssh")
        visit = self.successResultOf(ensureDeferred(session.open_visitor(first)))
        answer = visit.expect(10)
        self.server.pump()
        self.assertEqual(self.server.heard[-1], first)
        self.server.work[-1].send(NewVisitorConnResp(proxy_name="ssh"))
        self.server.pump()
        self.assertEqual(self.successResultOf(answer), NewVisitorConnResp(proxy_name="ssh"))

    def test_heartbeat(self) -> None:
        session = self.session()
        for _ in range(10):
            self.clock.advance(30)
            self.server.say(Pong())
        self.assertGreaterEqual(self.server.heard.count(Ping()), 10)
        self.assertEqual(self.losses, [])
        session.close()
        self.server.pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_pong(self) -> None:
        self.session()
        self.clock.advance(90)
        [failure] = self.losses
        self.assertIn("heartbeat", failure.getErrorMessage())
        self.assertTrue(self.server.links[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused_ping(self) -> None:
        self.session()
        self.server.say(Pong(error="token in heartbeat doesn't match"))
        [failure] = self.losses
        self.assertIn("token in heartbeat", failure.getErrorMessage())

    def test_without_pings_no_pongs_are_waited_for(self) -> None:
        self.session(heartbeat_interval_seconds=0.0)
        self.clock.advance(100_000)
        self.assertEqual((self.losses, self.server.heard), ([], []))

    def test_loss(self) -> None:
        session = self.session()
        self.server.control.abort()
        self.assertEqual(len(self.losses), 1)
        session.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
