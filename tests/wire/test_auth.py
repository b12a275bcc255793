# -*- test-case-name: tests.wire.test_auth -*-
"""Tests of `tunnelsvc.wire.auth`."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.auth import keys_match, login_key

STEADY = settings(derandomize=True, deadline=None)


class LoginKeyTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """The keys are the ones that the real programs compute."""
        self.assertEqual(login_key("12345678", 1600000000), "691857fb13aa516a008603a8932ea831")
        self.assertEqual(login_key("", 0), "cfcd208495d565ef66e7dff9f98764da")

    def test_token_in_utf8(self) -> None:
        """A token outside ASCII counts by its UTF-8 bytes: MD5 of c3a931 in hexadecimal."""
        self.assertEqual(login_key("é", 1), "cefc32b6fa695882037a9719399663fa")

    def test_no_separator(self) -> None:
        """Token and time are joined without anything between."""
        self.assertEqual(login_key("a1", 2), login_key("a", 12))


class KeysMatchTests(SynchronousTestCase):
    @STEADY
    @given(st.text(), st.text())
    def test_like_equality(self, expected: str, given_key: str) -> None:
        """Any two texts compare as ``==`` would, ASCII or not, of any length."""
        self.assertEqual(keys_match(expected, given_key), expected == given_key)
        self.assertTrue(keys_match(expected, expected))

    def test_prefix_differs(self) -> None:
        """A key that only starts right is wrong."""
        key = login_key("token", 7)
        self.assertFalse(keys_match(key, key[:-1]))
        self.assertFalse(keys_match(key, ""))
        self.assertFalse(keys_match(key, key.upper()))
