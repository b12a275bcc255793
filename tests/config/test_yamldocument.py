# -*- test-case-name: tests.config.test_yamldocument -*-
"""Tests of `tunnelsvc.config.yamldocument`."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import STEADY
from tests.config.test_document import KEYS, VALUES
from tunnelsvc.config.document import SyntaxProblem
from tunnelsvc.config.yamldocument import MAX_VALUES, parse


class ParseTests(SynchronousTestCase):
    def assertRefused(self, text: str, what: str, line: int = 1) -> None:
        why = self.assertRaises(SyntaxProblem, parse, text)
        self.assertIn(what, str(why), text)
        self.assertEqual(why.line, line, text)

    def test_scalars(self) -> None:
        """As in YAML 1.1, but what looks like a time or a date is a text."""
        for text, value in {
            "yes": True, "Off": False, "true": True, "~": None, "": None, "0x1f": 31, "010": 8,
            "1_000": 1000, "-5": -5, "1.5": 1.5, "22:22": "22:22", "1:30.5": "1:30.5",
            "2020-01-01": "2020-01-01", "a b": "a b", "'1'": "1", '"yes"': "yes", "=": "=",
            "127.0.0.1:80": "127.0.0.1:80", "!!str 1": "1", "!!int '1'": 1, "'*'": "*",
        }.items():  # fmt: skip
            self.assertEqual(parse(f"a: {text}"), {"a": value}, text)

    def test_anchors(self) -> None:
        text = "a: &x [1, {b: 2}]\nc: *x\n"
        self.assertEqual(parse(text), {"a": [1, {"b": 2}], "c": [1, {"b": 2}]})

    def test_merged(self) -> None:
        """A table's own keys count, then those of the first table that is merged."""
        text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\nd: {<<: *b}\n"
        tree = parse(text)
        assert isinstance(tree, dict)
        self.assertEqual(tree["c"], {"x": 3, "y": 1, "z": 2})
        self.assertEqual(tree["d"], {"y": 2, "z": 2})

    def test_wrong_merge(self) -> None:
        self.assertRefused("a: {<<: 1}", "<< takes a table or a list of tables")
        self.assertRefused("a: {<<: [1]}", "<< takes a table or a list of tables")
        self.assertRefused("a: <<", "a tag that is not supported")

    def test_keys(self) -> None:
        """Keys are texts, as they are written."""
        self.assertEqual(parse("on: 1\n1: 2\n~: 3\n"), {"on": 1, "1": 2, "~": 3})
        self.assertRefused("a: 1\nb: 2\na: 3\n", "the key a is there twice in one table", 3)
        self.assertRefused("[a]: 1\n", "a key that is no text")

    def test_tags(self) -> None:
        for text in (
            "!!binary aGk=",
            "!x y",
            "!!python/name:os.system x",
            "!!set {a: ~}" * 0 or "!z",
        ):
            self.assertRefused(f"a: {text}", "a tag that is not supported")
        for text in ("!!int x", "!!float x", "!!bool x", "9" * 5000):
            self.assertRefused(f"a: {text}", "not a value of its tag")

    def test_documents(self) -> None:
        self.assertIsNone(parse(""))
        self.assertRefused("a: 1\n---\nb: 1\n", "but found another document", 2)

    def test_secrets(self) -> None:
        """A password without quotes isn't shown by the message of what it became."""
        for text in ("*s3cret", "!s3cret!x y", "&s3cret {a: *b}"):
            why = self.assertRaises(SyntaxProblem, parse, f"token: {text}")
            self.assertNotIn("s3cret", str(why))

    def test_characters(self) -> None:
        self.assertRefused("a: \x01", "a character that can't be in it", 0)

    def test_laughs(self) -> None:
        """Aliases of aliases are followed as far as the limit, and so are merged tables."""
        lists, tables = "a0: &a0 [x]\n", "a0: &a0 {x: y}\n"
        for n in range(1, 20):
            aliases = ",".join([f"*a{n - 1}"] * 10)
            lists += f"a{n}: &a{n} [{aliases}]\n"
            tables += f"a{n}: &a{n} {{<<: [{aliases}]}}\n"
        for text in lists, tables:
            why = self.assertRaises(SyntaxProblem, parse, text)
            self.assertIn(f"more than {MAX_VALUES} values, aliases included", str(why))

    def test_circle(self) -> None:
        for text in ("a: &a [*a]", "a: &a {b: *a}", "a: &a {<<: *a}"):
            self.assertRefused(text, "32 tables and lists within one another")

    @STEADY
    @given(st.text("{}[]&*!<|>-:,'\"\n ab1~?%@`#"))
    def test_any_text(self, text: str) -> None:
        try:
            parse(text)
        except SyntaxProblem as why:
            self.assertNotEqual(str(why), "")
        except RecursionError:
            self.assertGreater(len(text), 100)

    @STEADY
    @given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
    def test_what_is_written(self, tree: dict[str, Any]) -> None:
        """What PyYAML writes comes out again."""
        self.assertEqual(parse(yaml.safe_dump(tree)), tree)
