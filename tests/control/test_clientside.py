# -*- test-case-name: tests.control.test_clientside -*-
"""Tests of `tunnelsvc.control.clientside`."""

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.control.fakes import FakeServer, RecordingOwner, terms
from tests.loglines import LogLines
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.control.backoff import QUICK_SECONDS, Backoff
from tunnelsvc.control.clientside import ClientControl, ClientCore, make_client_control
from tunnelsvc.control.session import LOGIN_SECONDS, Session
from tunnelsvc.wire.messages import LoginResp


class ClientControlTests(RecordingOwner, SynchronousTestCase):
    """Connect, log in, run, and again."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = FakeServer(self.clock)
        self.events: list[str] = []
        self.sessions: list[Session] = []
        self.lines = LogLines(self)
        self.control = self.build()

    def build(self, **options: object) -> ClientControl:
        self.core = ClientCore(
            [self.server.listed()], terms(self.clock, self, **options), Backoff(Random(1)), self
        )
        return make_client_control(self.core)

    def start(self) -> None:
        self.control.start()
        self.server.pump()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.server.pump()

    def test_login(self) -> None:
        self.start()
        self.assertEqual(self.events, ["in"])
        self.assertIn("[r1] login to server success, get run id [r1]", self.lines)

    def test_refused_first_login_is_the_end(self) -> None:
        self.server.answer = lambda _: LoginResp(error="token in login doesn't match")
        self.start()
        self.assertEqual(
            self.events, ["login to server failed: token in login doesn't match [vps:7000]"]
        )
        self.assertTrue(self.server.links[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unreachable_first_time_is_the_end(self) -> None:
        self.server.up = False
        self.start()
        [message] = self.events
        self.assertTrue(message.startswith("login to server failed: "), message)
        self.assertIn("refused", message)

    def test_unless_told_to_go_on(self) -> None:
        self.server.up = False
        self.control = self.build(login_fail_exit=False)
        self.start()
        self.assertEqual(self.events, [])
        self.server.up = True
        self.advance(QUICK_SECONDS)
        self.assertEqual(self.events, ["in"])

    def test_back_at_once_with_the_same_run_id(self) -> None:
        self.start()
        self.server.control.abort()
        self.assertEqual(self.events, ["in", "lost"])
        self.assertTrue(self.server.links[0].closed)
        self.advance(0)
        self.assertEqual(self.events, ["in", "lost", "in"])
        self.assertEqual([login.run_id for login in self.server.logins], ["", "r1"])

    def test_back_within_a_second_of_a_restart(self) -> None:
        self.start()
        self.server.up = False
        self.server.control.abort()
        for _ in range(100):
            self.advance(0.5)
        self.server.up = True
        self.advance(QUICK_SECONDS)
        self.assertEqual(self.events, ["in", "lost", "in"])

    def test_a_later_refusal_is_not_the_end(self) -> None:
        self.start()
        self.server.answer = lambda _: LoginResp(error="not now")
        self.server.control.abort()
        self.advance(0)
        self.assertEqual(self.events, ["in", "lost"])
        self.server.answer = lambda _: LoginResp(run_id="r1")
        self.advance(QUICK_SECONDS)
        self.assertEqual(self.events, ["in", "lost", "in"])

    def test_a_server_that_hangs_up(self) -> None:
        for options, hint in (
            ({}, ""),
            ({"tls": TLSConfig(enable=False)}, "insist on TLS"),
            ({"wire_protocol": "v2"}, "It may be older than frp 0.69: wire_protocol is v2"),
        ):
            self.events.clear()
            self.control = self.build(**options)
            self.server.answer = lambda _: None
            self.start()
            self.server.control.abort()
            [message] = self.events
            self.assertIn("the server hung up without an answer", message)
            self.assertIn(hint, message)

    def test_silence_at_login(self) -> None:
        self.server.answer = lambda _: None
        self.start()
        self.advance(LOGIN_SECONDS)
        [message] = self.events
        self.assertIn("no message within 10 s", message)

    def test_stop_while_running(self) -> None:
        self.start()
        self.control.stop()
        self.server.pump()
        self.assertEqual(self.events, ["in", "lost"])
        self.assertTrue(self.server.links[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.control.stop()
        self.control.start()
        self.assertEqual(len(self.server.links), 1)

    def test_stop_while_connecting(self) -> None:
        self.server.answer = lambda _: None
        self.start()
        self.control.stop()
        self.assertTrue(self.server.links[0].closed)
        self.assertEqual((self.events, self.clock.getDelayedCalls()), ([], []))

    def test_stop_while_waiting(self) -> None:
        self.control = self.build(login_fail_exit=False)
        self.server.up = False
        self.start()
        self.control.stop()
        self.assertEqual((self.events, self.clock.getDelayedCalls()), ([], []))

    def test_stop_before_start(self) -> None:
        self.control.stop()
        self.control.start()
        self.assertEqual(self.server.links, [])
