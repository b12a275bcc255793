# -*- test-case-name: tests.server.test_workpool -*-
"""Tests of `tunnelsvc.server.workpool`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair
from tunnelsvc.errors import WorkConnectionUnavailable
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.server.workpool import ASK_SECONDS, SPARE_CAPACITY, WorkPool
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.messages import Ping


class WorkPoolTests(SynchronousTestCase):
    """Ready connections, wishes and waits."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked = 0
        self.pool = self.make(1)

    def make(self, size: int) -> WorkPool:
        return WorkPool(size, self.ask, self.clock, 10.0)

    def ask(self) -> None:
        self.asked += 1

    def work(self) -> MessageProtocol:
        work = MessageProtocol(pair("work")[0], self.clock)
        work.start()
        return work

    def test_ready_one_is_given_at_once_and_replaced(self) -> None:
        work = self.work()
        self.assertTrue(self.pool.offer(work))
        self.assertIs(self.successResultOf(self.pool.take()), work)
        self.assertEqual(self.asked, 1)

    def test_first_come_first_served(self) -> None:
        works = [self.work() for _ in range(3)]
        for work in works:
            self.pool.offer(work)
        self.assertEqual([self.successResultOf(self.pool.take()) for _ in works], works)

    def test_waits_for_one(self) -> None:
        taken = self.pool.take()
        self.assertEqual(self.asked, 2, "one for the user, one to spare")
        self.assertNoResult(taken)
        work = self.work()
        self.pool.offer(work)
        self.assertIs(self.successResultOf(taken), work)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_burst_asks_once_for_each(self) -> None:
        users = [self.pool.take() for _ in range(50)]
        self.assertEqual(self.asked, 51)
        for _ in users:
            self.assertTrue(self.pool.offer(self.work()))
        self.assertTrue(self.pool.offer(self.work()))
        self.assertEqual(self.asked, 51)
        for user in users:
            self.successResultOf(user)

    def test_the_logins_wishes_count(self) -> None:
        self.pool.asked(1)
        self.pool.take().addErrback(lambda _: None)
        self.assertEqual(self.asked, 1)

    def test_lost_wishes_are_repeated(self) -> None:
        """A client that never answered is asked again, or its spares would be gone for good."""
        self.pool.asked(5)
        self.clock.advance(ASK_SECONDS + 1)
        self.pool.take().addErrback(lambda _: None)
        self.assertEqual(self.asked, 2)

    def test_lost_wishes_of_those_who_wait_are_repeated(self) -> None:
        """Without anybody new who would ask."""
        taken = self.pool.take()
        self.assertEqual(self.asked, 2)
        self.clock.advance(ASK_SECONDS + 1)
        self.assertEqual(self.asked, 4)
        self.pool.offer(self.work())
        self.successResultOf(taken)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_time_limit(self) -> None:
        taken = self.pool.take()
        self.clock.advance(10)
        failure = self.failureResultOf(taken, WorkConnectionUnavailable)
        self.assertIn("timeout trying to get work connection", failure.getErrorMessage())
        work = self.work()
        self.assertTrue(self.pool.offer(work))
        self.assertIs(self.successResultOf(self.pool.take()), work)

    def test_full(self) -> None:
        for _ in range(1 + SPARE_CAPACITY):
            self.assertTrue(self.pool.offer(self.work()))
        self.assertFalse(self.pool.offer(self.work()))

    def test_dead_ones_are_not_given(self) -> None:
        dead, alive = self.work(), self.work()
        self.pool.offer(dead)
        self.pool.offer(alive)
        dead.abort()
        self.assertIs(self.successResultOf(self.pool.take()), alive)

    def test_one_that_speaks_too_early_is_cut(self) -> None:
        early = self.work()
        self.pool.offer(early)
        early.dataReceived(encode(Ping()))
        self.assertNoResult(self.pool.take().addErrback(lambda _: None))

    def test_loss_after_it_was_taken(self) -> None:
        work = self.work()
        self.pool.offer(work)
        self.pool.take()
        work.abort()
        self.assertTrue(self.pool.offer(self.work()))

    def test_close(self) -> None:
        waiting = self.pool.take()
        self.pool.close()
        self.failureResultOf(waiting, WorkConnectionUnavailable)
        self.failureResultOf(self.pool.take(), WorkConnectionUnavailable)
        self.assertFalse(self.pool.offer(self.work()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_cuts_the_ready_ones(self) -> None:
        near, _ = pair("work")
        work = MessageProtocol(near, self.clock)
        work.start()
        self.pool.offer(work)
        self.pool.close()
        self.assertTrue(near.lost)

    def test_a_pool_of_none_keeps_one_spare(self) -> None:
        pool = self.make(0)
        pool.offer(self.work())
        self.successResultOf(pool.take())
        self.assertEqual(self.asked, 1)
