# -*- test-case-name: tests.client.test_waiting -*-
"""Tests of `tunnelsvc.client.waiting`."""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.client.waiting import Waiting
from tunnelsvc.errors import LoginFailed, ProxyRefused, ProxyRemoved

A, B = {"a": ":1"}, {"b": ":2"}


class WaitingTests(SynchronousTestCase):
    """Who is told what, and when."""

    def setUp(self) -> None:
        self.waiting = Waiting()

    def test_all_run_already(self) -> None:
        self.assertEqual(self.successResultOf(self.waiting.add(["a"], A | B)), A | B)
        self.assertEqual(self.successResultOf(self.waiting.add([], {})), {})

    def test_each_waits_for_its_own(self) -> None:
        first, both = self.waiting.add(["a"], {}), self.waiting.add(["a", "b"], {})
        self.waiting.look(B)
        self.assertNoResult(first)
        self.waiting.look(A)
        self.assertEqual(self.successResultOf(first), A)
        self.assertNoResult(both)
        self.waiting.look(A | B)
        self.assertEqual(self.successResultOf(both), A | B)

    def test_a_refused_proxy(self) -> None:
        first, second = self.waiting.add(["a"], {}), self.waiting.add(["b"], {})
        self.waiting.fail(ProxyRefused("no"), "a")
        self.assertEqual(str(self.failureResultOf(first, ProxyRefused).value), "no")
        self.waiting.look(A | B)
        self.assertEqual(self.successResultOf(second), A | B)

    def test_all_that_there_are_by_then(self) -> None:
        self.waiting.all_names = ["a"]
        everything, named = self.waiting.add([], {}), self.waiting.add(["a"], {})
        self.waiting.all_names = ["b"]
        self.waiting.look(B)
        self.assertEqual(self.successResultOf(everything), B)
        self.assertNoResult(named)

    def test_a_removed_proxy(self) -> None:
        """Who waits for all goes on: there are others."""
        self.waiting.all_names = ["a", "b"]
        everything, named = self.waiting.add([], {}), self.waiting.add(["a"], {})
        self.waiting.fail_named(ProxyRemoved("gone"), "a")
        self.failureResultOf(named, ProxyRemoved)
        self.assertNoResult(everything)
        self.waiting.fail(ProxyRefused("no"), "b")
        self.failureResultOf(everything, ProxyRefused)

    def test_all_in_vain(self) -> None:
        waiters = [self.waiting.add([name], {}) for name in "ab"]
        self.waiting.fail(LoginFailed("no"))
        for waiter in waiters:
            self.failureResultOf(waiter, LoginFailed)

    def test_cancel(self) -> None:
        waiter = self.waiting.add(["a"], {})
        waiter.cancel()
        self.failureResultOf(waiter, CancelledError)
        self.waiting.look(A)
        self.waiting.fail(LoginFailed("no"))

    def test_who_waits_again_when_told(self) -> None:
        again = []
        waiter = self.waiting.add(["a"], {})
        waiter.addErrback(lambda _: again.append(self.waiting.add(["a"], {})))
        self.waiting.fail(ProxyRefused("no"), "a")
        self.assertNoResult(again[0])
        self.waiting.look(A)
        self.successResultOf(again[0])
