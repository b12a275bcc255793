# -*- test-case-name: tests.admin.test_gate -*-
"""Tests of `tunnelsvc.admin.gate`: who may pass, by HTTP Basic and by a session."""

from base64 import b64encode

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import DASHBOARD, RIGHT, Dashboard, basic
from tunnelsvc.admin.throttle import (
    FORGET_SECONDS,
    MOST_DELAY_SECONDS,
    MOST_WAITING,
)

WRONG = basic("admin:wrong")


class WhoMayPassTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()

    def status(self, authorization: bytes | None) -> int:
        """Ask with an Authorization header, and wait for as long as it takes."""
        connection = self.dashboard.connect()
        connection.send("GET", "/api/serverinfo", authorization)
        if not connection.answered():
            self.dashboard.clock.advance(MOST_DELAY_SECONDS)
        return connection.answer().status

    def test_right(self) -> None:
        self.assertEqual(self.status(RIGHT), 200)

    def test_the_scheme_in_any_case(self) -> None:
        self.assertEqual(self.status(RIGHT.replace(b"Basic", b"bASIC")), 200)

    def test_both_parts_count(self) -> None:
        for given_ in ("admin:wrong", "other:secret", "admin:", ":secret", "admin", "", ":"):
            self.assertEqual(self.status(basic(given_)), 401, given_)
            self.dashboard.clock.advance(FORGET_SECONDS)

    def test_unreadable(self) -> None:
        encoded = b64encode(b"admin:secret")
        for header in (
            b"",
            b"Basic",
            b"Basic !!!!",
            b"Basic " + encoded[:5] + b"\xff" + encoded[5:],
            b"Basic " + encoded.rstrip(b"=") + b"A",
            b"Bearer " + encoded,
            encoded,
        ):
            self.assertEqual(self.status(header), 401, header)
            self.dashboard.clock.advance(FORGET_SECONDS)

    def test_everything_but_the_health_is_guarded(self) -> None:
        for path in (
            "/", "/static/", "/static/app.js", "/static/loginx", "/static//login/login.css",
            "/api/serverinfo", "/metrics", "/x", "//", "/logout", "/api/admin/session",
        ):  # fmt: skip
            answer = self.dashboard.ask(path, authorization=None)
            self.assertEqual(answer.status, 401, path)
            self.assertTrue(answer.headers["WWW-Authenticate"].startswith('Basic realm="Restrict'))
        self.assertEqual(self.dashboard.ask("/healthz", authorization=None).status, 200)

    def test_nothing_hides_behind_the_health(self) -> None:
        for path in ("/healthz/", "/healthz/api/serverinfo", "/healthz/../api/serverinfo"):
            answer = self.dashboard.ask(path, authorization=None)
            self.assertEqual((answer.status, answer.body), (404, b"Not Found\n"), path)

    def test_other_characters_than_ascii(self) -> None:
        config = evolve(DASHBOARD, user="jürgen", password="密码:x")
        self.dashboard = Dashboard(config=config)
        self.assertEqual(self.status(basic("jürgen:密码:x")), 200)
        self.assertEqual(self.status(basic("jurgen:密码:x")), 401)

    def test_nothing_configured_is_admin_admin(self) -> None:
        config = evolve(DASHBOARD, user="x", password="", credentials_configured=False)
        self.dashboard = Dashboard(config=config)
        self.assertEqual(self.status(basic("admin:admin")), 200)
        self.assertEqual(self.status(basic("x:")), 401)

    @given(st.binary(max_size=60).filter(lambda raw: not set(raw) & set(b"\r\n\0")))
    def test_no_header_breaks_it(self, raw: bytes) -> None:
        assume(raw.strip() != RIGHT)
        self.dashboard.clock.advance(2 * FORGET_SECONDS)
        self.assertIn(self.status(raw), {400, 401})


class DelayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()
        self.clock = self.dashboard.clock

    def test_a_browser_that_has_not_been_asked_yet_does_not_wait(self) -> None:
        for _ in range(20):
            self.assertEqual(self.dashboard.ask("/", authorization=None).status, 401)

    def test_each_failure_waits_longer(self) -> None:
        for delay in (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
            connection = self.dashboard.connect()
            connection.send("GET", "/", WRONG)
            self.clock.advance(delay - 0.01)
            self.assertFalse(connection.answered())
            self.clock.advance(0.02)
            self.assertEqual(connection.answer().status, 401)

    def test_others_do_not_wait(self) -> None:
        attacker, other = self.dashboard.connect("198.51.100.1"), self.dashboard.connect()
        attacker.send("GET", "/", WRONG)
        other.send("GET", "/api/serverinfo")
        self.assertFalse(attacker.answered())
        self.assertEqual(other.answer().status, 200)

    def test_the_right_password_does_not_wait(self) -> None:
        connections = [self.dashboard.connect() for _ in range(3)]
        for connection in connections:
            connection.send("GET", "/", WRONG)
        self.assertEqual(self.dashboard.ask("/api/serverinfo").status, 200)

    def test_many_connections_do_not_make_guessing_faster(self) -> None:
        connections = [self.dashboard.connect() for _ in range(MOST_WAITING + 3)]
        for connection in connections:
            connection.send("GET", "/", WRONG)
        refused = connections[MOST_WAITING:]
        self.assertEqual([each.answer().status for each in refused], [429] * 3)
        answer = self.dashboard.ask("/")
        self.assertEqual(answer.status, 429)
        self.assertEqual(answer.headers["Retry-After"], "5")
        self.clock.advance(MOST_DELAY_SECONDS)
        waiting = connections[:MOST_WAITING]
        self.assertEqual([each.answer().status for each in waiting], [401] * MOST_WAITING)
        self.assertEqual(self.dashboard.ask("/api/serverinfo").status, 200)

    def test_hanging_up_early_frees_no_place(self) -> None:
        for _ in range(MOST_WAITING):
            connection = self.dashboard.connect()
            connection.send("GET", "/", WRONG)
            connection.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.dashboard.ask("/").status, 429)
        self.clock.advance(MOST_DELAY_SECONDS)
        self.assertEqual(self.dashboard.ask("/").status, 301)

    def test_nobody_waits_after_the_end(self) -> None:
        connection = self.dashboard.connect()
        connection.send("GET", "/", WRONG)
        self.dashboard.gate.close()
        self.clock.advance(2 * MOST_DELAY_SECONDS)
        self.assertFalse(connection.answered())
        connection.channel.connectionLost(Failure(ConnectionDone()))
