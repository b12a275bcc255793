# -*- test-case-name: tests.client.visitors.test_sessions -*-
"""Tests of `tunnelsvc.client.visitors.sessions`."""

from twisted.internet.defer import Deferred, ensureDeferred

from tests.client.visitors.support import VisitCase
from tunnelsvc.client.visitors.sessions import MOST_WAITING, SESSION_SECONDS
from tunnelsvc.control.session import Session
from tunnelsvc.errors import VisitRefused


class SessionsTests(VisitCase):
    """Who needs a login gets it, now or a while later."""

    def current(self) -> Deferred[Session]:
        return ensureDeferred(self.sessions.current())

    def test_there_is_one(self) -> None:
        self.sessions.begin(self.session)
        self.assertIs(self.successResultOf(self.current()), self.session)

    def test_waits_for_the_next(self) -> None:
        self.sessions.begin(self.session)
        self.sessions.end()
        waiting = [self.current(), self.current()]
        self.assertNoResult(waiting[0])
        self.sessions.begin(self.session)
        self.assertEqual([self.successResultOf(each) for each in waiting], [self.session] * 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_for_ever(self) -> None:
        waiting = self.current()
        self.clock.advance(SESSION_SECONDS)
        why = self.failureResultOf(waiting, VisitRefused).getErrorMessage()
        self.assertIn("not logged in for 10 s", why)
        self.sessions.begin(self.session)

    def test_not_too_many(self) -> None:
        waiting = [self.current() for _ in range(MOST_WAITING)]
        self.failureResultOf(self.current(), VisitRefused)
        self.sessions.begin(self.session)
        for each in waiting:
            self.successResultOf(each)

    def test_closed(self) -> None:
        waiting = [self.current(), self.current()]
        self.sessions.close()
        for each in waiting:
            self.failureResultOf(each, VisitRefused)
        self.assertEqual(self.clock.getDelayedCalls(), [])
