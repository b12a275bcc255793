# -*- test-case-name: tests.test_console -*-
"""Tests of `tunnelsvc.console`."""

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.console import box


class BoxTests(SynchronousTestCase):
    """A frame around text."""

    def test_lines(self) -> None:
        self.assertEqual(
            box("one\n\nthree"),
            "+---------+\n|  one    |\n|         |\n|  three  |\n+---------+",
        )

    def test_nothing(self) -> None:
        self.assertEqual(box(""), "+----+\n|    |\n+----+")
