# -*- test-case-name: tests.gateway.http2.test_budget -*-
"""Tests of `tunnelsvc.gateway.http2.budget`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.http2.budget import Budget


class BudgetTests(SynchronousTestCase):
    """So much at once, and so much a second."""

    def test_at_once(self) -> None:
        budget = Budget(Clock(), most=3, per_second=1.0)
        self.assertEqual([budget.spend() for _ in range(4)], [True, True, True, False])

    def test_fills_again_but_not_over(self) -> None:
        clock = Clock()
        budget = Budget(clock, most=2, per_second=0.5)
        budget.spend()
        budget.spend()
        clock.advance(2)
        self.assertEqual([budget.spend(), budget.spend()], [True, False])
        clock.advance(100)
        self.assertEqual([budget.spend() for _ in range(3)], [True, True, False])

    def test_steady(self) -> None:
        """What comes no faster than it may never uses it up."""
        clock = Clock()
        budget = Budget(clock, most=1, per_second=2.0)
        for _ in range(100):
            self.assertTrue(budget.spend())
            clock.advance(0.5)
