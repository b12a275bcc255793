# -*- test-case-name: tests.metrics.test_retention -*-
"""Tests of `tunnelsvc.metrics.retention`."""

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.metrics.retention import MOST_REMEMBERED, REMEMBERED_SECONDS, Attic


class AtticTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.attic = Attic()

    def test_remembers_for_a_week(self) -> None:
        self.attic.put("a", 0.0)
        self.attic.put("b", 1.0)
        self.assertEqual(self.attic.clear(REMEMBERED_SECONDS), [])
        self.assertEqual(self.attic.clear(REMEMBERED_SECONDS + 0.5), ["a"])
        self.assertEqual(self.attic.keys(), ["b"])

    def test_what_comes_back_is_young_again(self) -> None:
        self.attic.put("a", 0.0)
        self.attic.put("b", 1.0)
        self.attic.put("a", 2.0)
        self.assertEqual(self.attic.keys(), ["b", "a"])

    def test_taken_out(self) -> None:
        self.attic.put("a", 0.0)
        self.attic.take("a")
        self.attic.take("a")
        self.assertEqual(self.attic.clear(10 * REMEMBERED_SECONDS), [])

    def test_the_oldest_makes_room(self) -> None:
        for number in range(MOST_REMEMBERED + 2):
            self.attic.put(str(number), 0.0)
        self.assertEqual(self.attic.clear(0.0), ["0", "1"])
        self.assertEqual(len(self.attic.keys()), MOST_REMEMBERED)
