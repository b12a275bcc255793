# -*- test-case-name: tests.config.test_document -*-
"""Tests of `tunnelsvc.config.document`."""

import json
import sys
import tomllib
from time import process_time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import STEADY
from tunnelsvc.config.document import MAX_DEPTH, SyntaxProblem, parse

SAME = {
    "toml": 'bindPort = 7000\nauth.token = "x"\n[[proxies]]\nname = "a"\nenabled = true\n',
    "yaml": "bindPort: 7000\nauth: {token: x}\nproxies:\n- name: a\n  enabled: true\n",
    "json": '{"bindPort": 7000, "auth": {"token": "x"},\n'
    '"proxies": [{"name": "a", "enabled": true}]}',
}
KEYS = st.text("abcXYZ", min_size=1, max_size=5)
VALUES = st.recursive(
    st.one_of(st.text(st.characters(codec="utf-8")), st.integers(-(2**40), 2**40), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


class ParseTests(SynchronousTestCase):
    def assertRefused(self, text: str, what: str, line: int = 0) -> None:
        why = self.assertRaises(SyntaxProblem, parse, text)
        self.assertIn(what, str(why), text)
        self.assertEqual(why.line, line, text)

    def test_same(self) -> None:
        """The same in each of the formats."""
        expected = {
            "bindPort": 7000,
            "auth": {"token": "x"},
            "proxies": [{"name": "a", "enabled": True}],
        }
        for name, text in SAME.items():
            self.assertEqual(parse(text), expected, name)
            comment = "" if name == "json" else "# comment\n\n"
            self.assertEqual(parse(f"\n{comment}{text}"), expected, name)
        windows = SAME["toml"].replace("\n", "\r\n")
        self.assertEqual(parse(windows), expected)

    def test_first_lines(self) -> None:
        """Ways in which files begin."""
        for text in ("a.b = 1", '"a" = 1', "[log]\n", "[[proxies]]\n", "a . b = 1", "'a:b' = 1"):
            self.assertEqual(parse(text), tomllib.loads(text))
        for text in ("a: 1", "---\na: 1", '"a": 1', "a:\n  1", "%YAML 1.1\n---\na: 1"):
            self.assertEqual(parse(text), {"a": 1}, text)

    def test_none(self) -> None:
        for text in ("", "\n# nothing\n", "hello", "!@#", "; x"):
            self.assertRefused(text, "not a configuration: neither an INI file")

    def test_toml_errors(self) -> None:
        self.assertRefused('a = "x"\nb = x', "not TOML: Invalid value (column 5)", 2)
        self.assertRefused("a =", "not TOML: Invalid value at the end", 1)
        self.assertRefused("a = 1\na = 2", "not TOML: Cannot overwrite a value", 2)
        self.assertRefused(f"a = {'9' * 5000}", "not TOML: a number with far too many digits")

    def test_json_errors(self) -> None:
        self.assertRefused('{"a": 1,\n"b" 2}', "not JSON: Expecting ':' delimiter (column 5)", 2)
        self.assertRefused('{"a": {"b": 1, "b": 2}}', "the key b is there twice in one table")
        self.assertRefused(f'{{"a": {"9" * 5000}}}', "not JSON: a number with far too many digits")

    def test_many_keys_twice(self) -> None:
        """Take no long time: counting each anew took 20 s, and a client that runs stood still."""
        names = [f"a{number}" for number in range(50_000)]
        pairs = ",".join(f'"{name}":1' for name in [*names, names[-1]])
        began = process_time()
        self.assertRefused(f"{{{pairs}}}", "the key a49999 is there twice in one table")
        self.assertLess(process_time() - began, 5.0)

    def test_yaml_errors(self) -> None:
        self.assertRefused("a: [1", "not YAML: expected ',' or ']'", 1)

    def test_no_table(self) -> None:
        self.assertRefused("- a\n- b\n", "a list or a single value")
        self.assertRefused("---\n", "a list or a single value")

    def test_dots(self) -> None:
        """In YAML, tables for anchors have names that begin with a dot."""
        self.assertEqual(parse(".x: &x {a: 1}\ny: *x\n"), {"y": {"a": 1}})

    def test_depth(self) -> None:
        """As deep as allowed and no deeper, be it without end."""
        for start in ("a = ", '{"a": ', "a: "):
            end = "}" * start.startswith("{")
            for depth in (MAX_DEPTH - 1, MAX_DEPTH + 1, 3 * sys.getrecursionlimit()):
                text = f"{start}{'[' * depth}{']' * depth}{end}"
                if depth < MAX_DEPTH:
                    self.assertEqual(list(parse(text)), ["a"])
                else:
                    why = self.assertRaises(SyntaxProblem, parse, text)
                    self.assertIn("32 tables and lists within one another", str(why))

    @STEADY
    @given(st.one_of(st.text(), st.text('{}[]=:-"\n a1,.#&*!<|>')))
    def test_any_text(self, text: str) -> None:
        """Any text is a table or refused."""
        try:
            tree = parse(text)
        except SyntaxProblem:
            return
        self.assertIsInstance(tree, dict)

    @STEADY
    @given(st.sampled_from(["a = ", "a: ", '{"a": ']), st.text())
    def test_any_value(self, start: str, text: str) -> None:
        try:
            parse(start + text)
        except SyntaxProblem as why:
            self.assertGreaterEqual(why.line, 0)

    @STEADY
    @given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
    def test_json(self, tree: dict[str, Any]) -> None:
        """What is written as JSON comes out again."""
        self.assertEqual(parse(json.dumps(tree)), tree)
