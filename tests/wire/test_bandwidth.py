# -*- test-case-name: tests.wire.test_bandwidth -*-
"""Tests of `tunnelsvc.wire.bandwidth`."""

import contextlib  # whose own name would mean something to trial

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config import values
from tunnelsvc.wire.bandwidth import MOST_CHARACTERS, bytes_per_second


class LimitTests(SynchronousTestCase):
    """Texts as limits."""

    def test_units(self) -> None:
        cases = {
            "": 0,
            "1MB": 1048576,
            "512KB": 524288,
            " 1.5MB ": 1572864,
            ".5KB": 512,
            "1e3KB": 1024000,
            "0KB": 0,
            "0.0001KB": 0,
            "-1MB": 0,
        }
        for text, rate in cases.items():
            self.assertEqual(bytes_per_second(text), rate, text)

    def test_no_unit(self) -> None:
        for text in ("1", "MB1", "1GB", "1mb", "1 M", "B", "KB" * MOST_CHARACTERS, "1.0" * 99):
            why = self.assertRaises(ValueError, bytes_per_second, text)
            self.assertEqual(str(why), "unit not support")

    def test_no_number(self) -> None:
        for text in (
            "MB",
            "xKB",
            "infMB",
            "nanMB",
            "1_0KB",
            "0x1KB",
            "1 KB",
            "\u0661MB",
            "1e999KB",
        ):
            why = self.assertRaises(ValueError, bytes_per_second, text)
            self.assertEqual(str(why), "bandwidth limit is not a number", text)

    @given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from(["MB", "KB"]))
    def test_what_a_file_may_have(self, whole: int, part: int, unit: str) -> None:
        """Everything that our own files may have is a limit for the server."""
        text = f"{whole}.{part}{unit}"
        try:
            values.bandwidth(text)
        except values.BadValueError:
            return
        size = 1024 if unit == "KB" else 1048576
        self.assertLessEqual(abs(bytes_per_second(text) - float(f"{whole}.{part}") * size), 1)

    @given(st.text(max_size=2 * MOST_CHARACTERS))
    def test_any_text(self, text: str) -> None:
        for unit in ("", "KB", "MB"):
            with contextlib.suppress(ValueError):
                self.assertGreaterEqual(bytes_per_second(text + unit), 0)
