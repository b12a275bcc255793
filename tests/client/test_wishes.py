# -*- test-case-name: tests.client.test_wishes -*-
"""Tests of `tunnelsvc.client.wishes`."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.client import wishes
from tunnelsvc.client.wishes import Wishes


class WishesTests(SynchronousTestCase):
    """A few at a time, all in order, none beyond reason."""

    def setUp(self) -> None:
        self.patch(wishes, "MOST_OPEN", 2)
        self.patch(wishes, "MOST_WAITING", 3)
        self.wishes = Wishes()
        self.begun: list[tuple[int, Callable[[], None]]] = []

    def wish(self, number: int) -> None:
        async def fulfil(done: Callable[[], None]) -> None:
            self.begun.append((number, done))

        self.wishes.add(fulfil)

    def numbers(self) -> list[int]:
        return [number for number, _ in self.begun]

    def test_some_at_a_time(self) -> None:
        for number in range(4):
            self.wish(number)
        self.assertEqual(self.numbers(), [0, 1])
        self.begun[1][1]()
        self.assertEqual(self.numbers(), [0, 1, 2])

    def test_done_counts_once(self) -> None:
        """A connection may be started, and lost later."""
        for number in range(4):
            self.wish(number)
        self.begun[0][1]()
        self.begun[0][1]()
        self.assertEqual(self.numbers(), [0, 1, 2])

    def test_beyond_all_reason(self) -> None:
        for number in range(100):
            self.wish(number)
        while len(self.begun) < 5:
            self.begun[len(self.begun) - 2][1]()
        for _, done in list(self.begun):
            done()
        self.assertEqual(self.numbers(), [0, 1, 2, 3, 4])

    def test_a_bug_of_ours_takes_no_place(self) -> None:
        async def broken(done: Callable[[], None]) -> None:
            raise ZeroDivisionError

        for _ in range(5):
            self.wishes.add(broken)
        self.wish(7)
        self.assertEqual(self.numbers(), [7])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 5)
