# -*- test-case-name: tests.admin.test_sessions -*-
"""Tests of `tunnelsvc.admin.sessions`."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin import sessions
from tunnelsvc.admin.sessions import (
    MOST_COOKIE_BYTES,
    SESSION_SECONDS,
    Sessions,
    parse,
    session_key,
)

KEY = bytes(range(32))
NOW = 1_800_000_000


class SessionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.sessions = self.make()

    def make(self, key: bytes = KEY) -> Sessions:
        made = Sessions("server", lambda: key, execute, self.clock)
        self.successResultOf(made.ready())
        return made

    def test_until_it_is_over(self) -> None:
        session = self.sessions.begin()
        self.assertEqual(self.sessions.find(session.cookie), session)
        self.clock.advance(SESSION_SECONDS - 1)
        self.assertEqual(self.sessions.find(session.cookie), session)
        self.clock.advance(1)
        self.assertIsNone(self.sessions.find(session.cookie))

    def test_each_is_another(self) -> None:
        first, second = self.sessions.begin(), self.sessions.begin()
        self.assertNotEqual(first.cookie, second.cookie)
        self.assertNotEqual(first.csrf, second.csrf)
        self.assertNotIn(first.csrf.encode(), first.cookie)

    def test_after_a_restart(self) -> None:
        session = self.sessions.begin()
        self.assertEqual(self.make().find(session.cookie), session)
        self.assertIsNone(self.make(bytes(32)).find(session.cookie))

    def test_nothing_can_be_changed(self) -> None:
        cookie = self.sessions.begin().cookie
        for place in range(len(cookie)):
            for other in b"1", b"A", b"_", b".", b"\xff":
                changed = cookie[:place] + other + cookie[place + 1 :]
                if changed != cookie:
                    self.assertIsNone(self.sessions.find(changed), changed)
        self.assertIsNone(self.sessions.find(cookie + b"A"))
        self.assertIsNone(self.sessions.find(cookie[:-1]))

    def test_a_clock_that_was_put_back(self) -> None:
        """Nothing holds for longer than a session does."""
        session = self.sessions.begin()
        self.clock.rightNow -= 3600
        self.assertIsNone(self.sessions.find(session.cookie))

    def test_logged_out(self) -> None:
        session, other = self.sessions.begin(), self.sessions.begin()
        self.sessions.end(session)
        self.assertIsNone(self.sessions.find(session.cookie))
        self.assertEqual(self.sessions.find(other.cookie), other)

    def test_those_who_logged_out_never_come_back(self) -> None:
        self.patch(sessions, "MOST_ENDED", 3)
        ended = [self.sessions.begin() for _ in range(5)]
        other = self.sessions.begin()
        for each in ended[:3]:
            self.sessions.end(each)
        self.assertEqual(self.sessions.find(other.cookie), other)
        self.sessions.end(ended[3])
        for each in (*ended, other):
            self.assertIsNone(self.sessions.find(each.cookie))
        self.clock.advance(1)
        new = self.sessions.begin()
        self.assertEqual(self.sessions.find(new.cookie), new)

    def test_where_it_began(self) -> None:
        session = self.sessions.begin("192.0.2.1")
        self.assertTrue(self.sessions.began_at(session, "192.0.2.1"))
        for place in ("192.0.2.2", "192.0.2.10", ""):
            self.assertFalse(self.sessions.began_at(session, place))
        for place in ("", "192.0.2.1"):
            self.assertFalse(self.sessions.began_at(self.sessions.begin(), place))

    def test_none_after_the_end(self) -> None:
        session = self.sessions.begin()
        self.sessions.close()
        for each in (session, self.sessions.begin()):
            self.assertIsNone(self.sessions.find(each.cookie))
        self.assertEqual(self.make().find(session.cookie), session)

    def test_what_is_over_needs_no_place(self) -> None:
        self.patch(sessions, "MOST_ENDED", 3)
        for _ in range(3):
            self.sessions.end(self.sessions.begin())
        self.clock.advance(SESSION_SECONDS)
        other = self.sessions.begin()
        self.sessions.end(self.sessions.begin())
        self.assertEqual(self.sessions.find(other.cookie), other)

    def test_nothing_of_it_in_a_log(self) -> None:
        session = self.sessions.begin()
        for secret in (session.cookie.decode(), session.csrf, session.id.decode()):
            self.assertNotIn(secret, repr(session))

    @settings(derandomize=True, deadline=None)
    @given(st.binary(max_size=MOST_COOKIE_BYTES + 20))
    def test_whatever_is_sent(self, value: bytes) -> None:
        self.assertIsNone(self.sessions.find(value))

    @settings(derandomize=True, deadline=None)
    @given(
        st.from_regex(rb"1\.[A-Za-z0-9_-]{22}\.[0-9]{1,14}\.[A-Za-z0-9_-]{43}\n?", fullmatch=True)
    )
    def test_what_looks_like_one(self, value: bytes) -> None:
        parsed = parse(value)
        if parsed is not None:
            id_, expires_at, mac = parsed
            self.assertEqual((len(id_), len(mac), len(str(expires_at)) <= 11), (22, 43, True))
        self.assertIsNone(self.sessions.find(value))

    def test_too_long(self) -> None:
        self.assertIsNone(parse(b"1." + b"A" * MOST_COOKIE_BYTES))


class KeyTests(SynchronousTestCase):
    """Where the key comes from, and when."""

    def test_of_site_user_and_password(self) -> None:
        keys = {
            session_key(*words)
            for words in (
                ("server", "u", "p"), ("client", "u", "p"), ("server", "u2", "p"),
                ("server", "u", "p2"),
            )
        }  # fmt: skip
        self.assertEqual(len(keys), 4)
        self.assertIn(session_key("server", "u", "p"), keys)

    def test_made_once_when_it_is_needed(self) -> None:
        made: list[Deferred[bytes]] = []

        def derive(_: Callable[[], bytes]) -> Deferred[bytes]:
            made.append(Deferred())
            return made[-1]

        kept = Sessions("server", lambda: KEY, derive, Clock())
        self.assertEqual(made, [])
        first, gone, second = kept.ready(), kept.ready(), kept.ready()
        self.assertEqual((len(made), kept.is_ready), (1, False))
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.assertNoResult(first)
        made[0].callback(KEY)
        for each in (first, second, kept.ready()):
            self.successResultOf(each)
        self.assertEqual((len(made), kept.is_ready), (1, True))

    def test_when_it_can_not_be_made(self) -> None:
        results: list[Any] = [MemoryError(), KEY]

        def make() -> bytes:
            result = results.pop(0)
            if isinstance(result, Exception):
                raise result
            return bytes(result)

        kept = Sessions("server", make, execute, Clock())
        self.failureResultOf(kept.ready(), MemoryError)
        self.assertFalse(kept.is_ready)
        self.successResultOf(kept.ready())


class WatchTests(SynchronousTestCase):
    """Who has a long answer learns when a session ends."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sessions = Sessions("server", lambda: KEY, execute, self.clock)
        self.successResultOf(self.sessions.ready())
        self.session = self.sessions.begin()
        self.ended: list[str] = []

    def watch(self, name: str, *, known: bool = True) -> Callable[[], None]:
        session = self.session if known else None
        return self.sessions.watch(session, lambda: self.ended.append(name))

    def test_logged_out(self) -> None:
        self.watch("a")
        self.watch("b")()
        self.watch("c", known=False)
        self.sessions.end(self.sessions.begin())
        self.assertEqual(self.ended, [])
        self.sessions.end(self.session)
        self.assertEqual(self.ended, ["a"])
        self.sessions.close()
        self.assertEqual(self.ended, ["a", "c"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_over(self) -> None:
        self.watch("a")
        self.watch("b", known=False)
        self.clock.advance(SESSION_SECONDS - 1)
        self.assertEqual(self.ended, [])
        self.clock.advance(1)
        self.assertEqual(self.ended, ["a"])
        self.sessions.end(self.session)
        self.assertEqual(self.ended, ["a"])

    def test_taken_back_more_than_once(self) -> None:
        unwatch = self.watch("a")
        unwatch()
        unwatch()
        self.sessions.close()
        self.assertEqual((self.ended, self.clock.getDelayedCalls()), ([], []))
