# -*- test-case-name: tests.config.test_numbers -*-
"""Tests of `tunnelsvc.config.numbers`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import STEADY
from tunnelsvc.config.numbers import MAX_NUMBERS, parse_numbers
from tunnelsvc.config.values import BadValueError

NUMBER = st.integers(0, 10**9 - 1)


class ParseTests(SynchronousTestCase):
    def assertRefused(self, text: str, what: str) -> None:
        self.assertIn(what, str(self.assertRaises(BadValueError, parse_numbers, text)))

    def test_lists(self) -> None:
        for text, numbers in {
            "7": [7],
            "6000-6002,6010": [6000, 6001, 6002, 6010],
            " 1 - 2 , 2,": [1, 2, 2],
            "5-5": [5],
        }.items():
            self.assertEqual(parse_numbers(text), numbers, text)

    def test_wrong(self) -> None:
        for text in ("x", "1-", "-1", "3-2", "1-2-3", "1 2", "1.5", "1" * 10, "١"):
            self.assertRefused(text, "such as 6000-6006,6010")

    def test_nothing(self) -> None:
        for text in ("", " ", ",,"):
            self.assertRefused(text, "not a single number")

    def test_limit(self) -> None:
        """All ports are allowed; one more isn't, in however many parts."""
        self.assertEqual(len(parse_numbers(f"0-{MAX_NUMBERS - 1}")), MAX_NUMBERS)
        for text in (f"0-{MAX_NUMBERS}", f"1,0-{MAX_NUMBERS - 1}", "0-999999999"):
            self.assertRefused(text, "more than 65536 numbers")

    @STEADY
    @given(st.one_of(st.text(), st.text("0123456789-, ")))
    def test_any_text(self, text: str) -> None:
        """Any text is numbers, or refused; never too many."""
        try:
            numbers = parse_numbers(text)
        except BadValueError:
            return
        self.assertTrue(0 < len(numbers) <= MAX_NUMBERS)

    @STEADY
    @given(st.lists(st.tuples(NUMBER, st.integers(0, 50)), min_size=1, max_size=5))
    def test_what_is_written(self, ranges: list[tuple[int, int]]) -> None:
        """What is written comes out, in that order."""
        text = ",".join(f"{first}-{min(first + more, 999999999)}" for first, more in ranges)
        wanted = [
            number
            for first, more in ranges
            for number in range(first, min(first + more, 999999999) + 1)
        ]
        self.assertEqual(parse_numbers(text), wanted)
