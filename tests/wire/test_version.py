# -*- test-case-name: tests.wire.test_version -*-
"""Tests of `tunnelsvc.wire.version`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.version import is_older


class VersionTests(SynchronousTestCase):
    def test_order(self) -> None:
        """By numbers, not by letters; the third one doesn't matter."""
        for version in ("0.33.0", "v0.33.12", "0.9.1"):
            self.assertTrue(is_older(version, (0, 34)), version)
        for version in ("0.34.0", "0.100.0", "1.0.0"):
            self.assertFalse(is_older(version, (0, 34)), version)

    @given(st.text(max_size=40))
    def test_any_text(self, version: str) -> None:
        """Of what is no version nothing is known to be missing."""
        self.assertFalse(is_older(version, (0, 0)))
