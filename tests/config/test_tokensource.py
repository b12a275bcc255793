# -*- test-case-name: tests.config.test_tokensource -*-
"""Tests of `tunnelsvc.config.tokensource`."""

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import STEADY
from tunnelsvc.config.tokensource import MAX_TOKEN_BYTES, read_token
from tunnelsvc.config.values import BadValueError


class ReadTests(SynchronousTestCase):
    def file(self, content: bytes) -> dict[str, Any]:
        path = self.mktemp()
        Path(path).write_bytes(content)
        return {"type": "file", "file": {"path": path}}

    def assertRefused(self, source: dict[str, Any], what: str) -> None:
        self.assertIn(what, str(self.assertRaises(BadValueError, read_token, source)))

    def test_file(self) -> None:
        self.assertEqual(read_token(self.file(b"\n a b \r\n")), "a b")
        self.assertEqual(read_token({"Type": "file", **self.file(b"x")}), "x")

    def test_wrong(self) -> None:
        for source in ({}, {"type": "file"}, {"type": "file", "file": "x"},
                       {"type": "file", "file": {}}, {"type": "other", "file": {"path": "x"}},
                       {**self.file(b"x"), "more": 1}):  # fmt: skip
            self.assertRefused(source, 'must be type = "file" and file.path = "…"')
        for path in ("", 1, ["x"]):
            self.assertRefused(
                {"type": "file", "file": {"path": path}}, "file.path must be the name of a file"
            )
        self.assertRefused(
            {"type": "exec", "exec": {"command": "x"}},
            'unsafe feature "TokenSourceExec" is not enabled',
        )

    def test_unreadable(self) -> None:
        for path, why in {
            "not/there": "No such file",
            ".": "Is a directory",
            "a\0b": "not a file",
        }.items():
            self.assertRefused({"type": "file", "file": {"path": path}}, why)
        self.assertRefused(self.file(b"\xff"), "not a file of text")

    def test_content(self) -> None:
        """Nothing of it is shown."""
        for content in (b"", b" \n", b"s3cret\nmore", b"s3cret" * MAX_TOKEN_BYTES):
            source = self.file(content)
            why = str(self.assertRaises(BadValueError, read_token, source))
            self.assertIn("must hold the token, in one line, and nothing else", why)
            self.assertNotIn("s3cret", why)

    @STEADY
    @given(
        st.dictionaries(
            st.sampled_from(["type", "file", "exec"]),
            st.one_of(st.text(), st.dictionaries(st.just("path"), st.text())),
        )
    )
    def test_any_source(self, source: dict[str, Any]) -> None:
        self.assertRaises(BadValueError, read_token, source)
