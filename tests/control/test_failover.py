# -*- test-case-name: tests.control.test_failover -*-
"""Tests of `tunnelsvc.control.clientside` where there are several servers."""

from itertools import pairwise
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.control.fakes import FakeServer, RecordingOwner, terms
from tests.loglines import LogLines
from tunnelsvc.control.backoff import QUICK_SECONDS, STABLE_SECONDS, Backoff
from tunnelsvc.control.clientside import ClientControl, ClientCore, make_client_control
from tunnelsvc.control.failback import (
    LASTING_SECONDS,
    LEAVE_SECONDS,
    LOOK_SECONDS,
    MOST_STEADY_SECONDS,
    PROBE_SECONDS,
    STEADY_SECONDS,
)
from tunnelsvc.control.session import Session
from tunnelsvc.units import HOUR
from tunnelsvc.wire.messages import LoginResp, Message, NewProxyResp, ReqWorkConn

LONG_SECONDS = STEADY_SECONDS + 3 * PROBE_SECONDS
"""Until the client is back, and some."""


class FailoverCase(RecordingOwner, SynchronousTestCase):
    """A client with three servers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers = [FakeServer(self.clock, name) for name in "abc"]
        for server in self.servers:
            run_id = f"run-{server.host}"
            server.answer = lambda _, run_id=run_id: LoginResp(run_id=run_id)  # type: ignore[misc]
        self.events: list[str] = []
        self.sessions: list[Session] = []
        self.wanted: list[Session] = []
        self.lines = LogLines(self)
        self.control = self.build()

    def build(self, **options: Any) -> ClientControl:
        self.core = ClientCore(
            [server.listed() for server in self.servers],
            terms(self.clock, self, heartbeat_interval_seconds=0.0, **options),
            Backoff(Random(1)),
            self,
        )
        return make_client_control(self.core)

    # What of `RecordingOwner` is more here.

    def logged_in(self, session: Session) -> None:
        self.sessions.append(session)
        self.events.append(f"in {session.terms.config.server_addr}")

    def message_received(self, message: Message) -> None:
        self.events.append(type(message).__name__)

    def work_connection_wanted(self, session: Session) -> None:
        self.wanted.append(session)

    def pump(self) -> None:
        for server in self.servers:
            server.pump()

    def start(self, *down: int) -> None:
        for index in down:
            self.servers[index].up = False
        self.control.start()
        self.pump()

    def advance(self, seconds: float, step: float = 0.5) -> None:
        self.clock.advance(0)
        for _ in range(int(seconds / step)):
            self.pump()
            self.clock.advance(step)
        self.pump()

    def told(self) -> list[str]:
        events, self.events = self.events, []
        return events


class RoundTests(FailoverCase):
    """Which server is tried, and when."""

    def test_the_first(self) -> None:
        self.start()
        self.assertEqual(self.told(), ["in a"])
        self.assertIn("[run-a] using server a:7000, which is number 1 of 3", self.lines)
        self.advance(LONG_SECONDS)
        self.assertEqual([server.probes for server in self.servers], [0, 0, 0])

    def test_the_next(self) -> None:
        self.start(0, 1)
        self.assertEqual(self.told(), ["in c"])
        self.assertIn("[run-c] using server c:7000, which is number 3 of 3", self.lines)
        self.assertTrue(any("[a:7000]; trying server b:7000" in line for line in self.lines))
        self.assertEqual(self.clock.seconds(), 0, "nobody waits between servers")

    def test_a_refused_login_is_no_end_either(self) -> None:
        self.servers[0].answer = lambda _: LoginResp(error="not you")
        self.start()
        self.assertEqual(self.told(), ["in b"])

    def test_all_failed_the_first_time(self) -> None:
        self.servers[2].answer = lambda _: LoginResp(error="not you")
        self.start(0, 1)
        [message] = self.told()
        for server in "abc":
            self.assertIn(f"[{server}:7000]", message)
        self.assertIn("not you", message)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unless_told_to_go_on(self) -> None:
        self.control = self.build(login_fail_exit=False)
        self.start(0, 1, 2)
        self.assertEqual(self.told(), [])
        self.servers[1].up = True
        self.advance(QUICK_SECONDS)
        self.assertEqual(self.told(), ["in b"])

    def test_a_loss_begins_with_the_first(self) -> None:
        self.start(0)
        self.servers[0].up = True
        self.advance(STABLE_SECONDS)
        self.servers[1].control.abort()
        self.advance(0.5)
        self.assertEqual(self.told(), ["in b", "lost", "in a"])

    def test_a_server_that_falls_at_once_is_left(self) -> None:
        self.start()
        self.servers[0].control.abort()
        self.advance(0.5)
        self.assertEqual(self.told(), ["in a", "lost", "in b"])
        self.servers[1].control.abort()
        self.advance(0.5)
        self.assertEqual(self.told(), ["lost", "in c"])
        self.servers[2].control.abort()
        self.advance(QUICK_SECONDS)
        self.assertEqual(self.told(), ["lost", "in a"])

    def test_stop_while_connecting(self) -> None:
        self.servers[0].answer = lambda _: None
        self.start()
        self.control.stop()
        self.pump()
        self.assertEqual([len(server.links) for server in self.servers], [1, 0, 0])
        self.assertEqual((self.told(), self.clock.getDelayedCalls()), ([], []))

    def test_each_server_has_its_run_id(self) -> None:
        self.start()
        self.servers[0].control.abort()
        self.advance(0.5)
        self.servers[1].control.abort()
        self.servers[2].up = False
        self.advance(QUICK_SECONDS)
        logins = [[login.run_id for login in server.logins] for server in self.servers]
        self.assertEqual(logins, [["", "run-a"], [""], []])


class FailbackTests(FailoverCase):
    """Back to a better one."""

    def test_back_to_the_first(self) -> None:
        self.start(0, 1)
        self.servers[0].up = True
        self.advance(STEADY_SECONDS)
        self.assertEqual(self.told(), ["in c"])
        self.advance(LONG_SECONDS - STEADY_SECONDS)
        self.assertEqual(self.told(), ["leaving", "lost", "in a"])
        self.assertTrue(self.servers[2].links[0].closed)
        probes = [server.probes for server in self.servers]
        self.advance(LONG_SECONDS)
        self.assertEqual([server.probes for server in self.servers], probes, "it is the best")
        self.assertIn("[run-a] using server a:7000, which is number 1 of 3", self.lines)

    def test_by_and_by(self) -> None:
        self.start(0, 1)
        self.servers[1].up = True
        self.advance(LONG_SECONDS)
        self.assertEqual(self.told(), ["in c", "leaving", "lost", "in b"])
        self.servers[0].up = True
        self.advance(LONG_SECONDS)
        self.assertEqual(self.told(), ["leaving", "lost", "in a"])

    def test_one_that_comes_and_goes(self) -> None:
        self.start(0)
        for _ in range(10):
            self.servers[0].up = not self.servers[0].up
            self.advance(STEADY_SECONDS - PROBE_SECONDS)
        self.assertEqual(self.told(), ["in b"])

    def test_one_that_takes_no_login(self) -> None:
        self.servers[0].answer = lambda _: LoginResp(error="not you")
        self.start()
        self.advance(10 * LONG_SECONDS)
        self.assertEqual(self.told(), ["in b"])
        most = 1 + 10 * LONG_SECONDS / STEADY_SECONDS
        self.assertLess(len(self.servers[0].logins), most, "one in a steady time")
        self.assertIn("not back to server a:7000: not you", self.lines)

    def test_one_that_drops_its_clients(self) -> None:
        """It answers, takes the login, and is gone: fewer and fewer go back to it."""
        self.start(0)
        better = self.servers[0]
        better.up = True
        times: list[float] = []
        while self.clock.seconds() < 3 * HOUR:
            self.advance(PROBE_SECONDS, step=PROBE_SECONDS)
            if len(better.logins) > len(times):
                times.append(self.clock.seconds())
                better.control.abort()
        waits = [after - before for before, after in pairwise(times)]
        self.assertGreater(waits[1], 1.5 * waits[0])
        self.assertLess(len(times), 15)
        self.assertLess(max(waits), MOST_STEADY_SECONDS + LONG_SECONDS)

    def test_one_that_lasts_is_trusted_again(self) -> None:
        self.start(0)
        self.servers[0].up = True
        self.advance(LONG_SECONDS)
        self.servers[0].control.abort()
        self.advance(5)
        self.assertEqual(self.core.steady_seconds, 2 * STEADY_SECONDS)
        self.servers[0].up = False
        self.servers[0].control.abort()
        self.advance(5)
        self.assertEqual(self.core.current, 1)
        self.servers[0].up = True
        self.advance(2 * LONG_SECONDS + LASTING_SECONDS, step=5)
        self.servers[0].control.abort()
        self.advance(5)
        self.assertEqual(self.core.steady_seconds, STEADY_SECONDS)

    def test_the_old_one_is_kept_for_its_users(self) -> None:
        self.start(0)
        self.sessions[0].users = 1
        self.servers[0].up = True
        self.advance(LONG_SECONDS)
        self.assertEqual(self.told(), ["in b", "leaving", "lost", "in a"])
        old = self.servers[1]
        old.say(NewProxyResp(proxy_name="late"))
        self.assertEqual(self.told(), [], "it isn't asked any more")
        old.say(ReqWorkConn())
        self.assertEqual(self.wanted, [self.sessions[0]], "users that it has accepted are served")
        self.advance(10 * LOOK_SECONDS)
        self.assertFalse(old.links[0].closed)
        self.sessions[0].user_gone()
        self.advance(2 * LOOK_SECONDS)
        self.assertTrue(old.links[0].closed)
        self.assertEqual(self.core.farewells, set())

    def test_but_not_for_ever(self) -> None:
        self.start(0)
        self.sessions[0].users = 1
        self.servers[0].up = True
        self.advance(LONG_SECONDS)
        self.advance(LEAVE_SECONDS, step=LOOK_SECONDS)
        self.assertTrue(self.servers[1].links[0].closed)

    def test_the_old_one_is_lost_meanwhile(self) -> None:
        self.start(0)
        self.sessions[0].users = 1
        self.servers[0].up = True
        self.advance(LONG_SECONDS)
        self.servers[1].control.abort()
        self.advance(0.5)
        self.assertEqual(self.told(), ["in b", "leaving", "lost", "in a"])
        self.assertEqual(self.core.farewells, set())

    def test_stop_with_users_at_the_old_one(self) -> None:
        self.start(0)
        self.sessions[0].users = 1
        self.servers[0].up = True
        self.advance(LONG_SECONDS)
        self.control.stop()
        self.pump()
        self.assertTrue(self.servers[1].links[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_new_one_is_lost_with_users_at_the_old_one(self) -> None:
        self.start(0)
        self.sessions[0].users = 1
        self.servers[0].up = True
        self.advance(LONG_SECONDS)
        self.told()
        self.servers[0].up = False
        self.servers[0].control.abort()
        self.advance(QUICK_SECONDS)
        self.assertEqual(self.told(), ["lost", "in b"])
        self.assertFalse(self.servers[1].links[0].closed)
        self.assertEqual([login.run_id for login in self.servers[1].logins], ["", ""])
        self.control.stop()
        self.pump()
        self.assertTrue(self.servers[1].links[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def advance_to_login(self) -> None:
        """Let the client begin to log in to the first server."""
        while not self.servers[0].logins:
            self.assertLess(self.clock.seconds(), LONG_SECONDS)
            self.advance(1)

    def test_stop_while_waiting_with_users_at_the_old_one(self) -> None:
        self.start(0)
        self.sessions[0].users = 1
        self.servers[0].up = True
        self.advance(LONG_SECONDS)
        for server in self.servers:
            server.up = False
        self.servers[0].control.abort()
        self.control.stop()
        self.pump()
        self.assertTrue(self.servers[1].links[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_while_looking(self) -> None:
        """A login that is under way at the first is given up for a round of its own."""
        self.start(0)
        self.servers[0].up = True
        self.servers[0].answer = lambda _: None
        self.advance_to_login()
        self.servers[0].answer = lambda _: LoginResp(run_id="run-a")
        self.servers[1].control.abort()
        self.assertTrue(self.servers[0].links[0].closed)
        self.advance(0.5)
        self.assertEqual(self.told(), ["in b", "lost", "in a"])

    def test_stop_while_looking(self) -> None:
        self.start(0)
        self.servers[0].up = True
        self.servers[0].answer = lambda _: None
        self.advance_to_login()
        self.control.stop()
        self.pump()
        self.assertTrue(self.servers[0].links[0].closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
