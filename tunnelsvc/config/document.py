# -*- test-case-name: tests.config.test_document -*-
"""TOML, YAML and JSON: text to tables.

What comes out is the same for all three: dictionaries with texts as keys, lists, texts, whole
numbers, flags and None; dates and fractions are left as they are, for nobody wants them. Each
format's module is imported when a file has that format.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from tunnelsvc.config.report import shorten
from tunnelsvc.config.values import BadValueError

Tree = dict[str, Any]

# Tables and lists within one another.
MAX_DEPTH: Final = 32

_TOO_DEEP: Final = f"more than {MAX_DEPTH} tables and lists within one another"

# A line that says something, by format; the first such line tells which one was meant.
_KEY: Final = r"(?:\"[^\"]*\"|'[^']*'|[\w-]+)"
_TOML_LINE: Final = re.compile(rf"\[|{_KEY}(\s*\.\s*{_KEY})*\s*=")
_YAML_LINE: Final = re.compile(rf"---|%YAML|- |\.?{_KEY}\s*:(\s|$)|<<\s*:")
# Keys in which tomllib would make tables within tables, with time and memory that grow with the
# square of their number: at the beginning of a line, in a heading, and in a table within a line.
_DEEP_KEY: Final = re.compile(
    rf"(?:^[ \t]*\[{{0,2}}|[{{,])[ \t]*(?:{_KEY}[ \t]*\.[ \t]*){{{MAX_DEPTH}}}",
    re.MULTILINE,
)
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class SyntaxProblem(BadValueError):
    """Text that is not of its format; the message shows nothing of it, which may be secret.

    Attributes:
        line: where, from 1; 0: unknown.
    """

    def __init__(self, what: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"{what} (column {column})" if column else what)
        self.line = line


def lines_that_say_something(text: str) -> list[str]:
    """Return the lines that are neither blank nor comments, without blanks around."""
    lines = (line.strip() for line in text.split("\n"))
    return [line for line in lines if line and not line.startswith(("#", ";"))]


def parse(text: str) -> Tree:
    """Parse a document, whichever of the three it is.

    As in frp, what begins with a brace is JSON, and what is good TOML is TOML. Of the rest, the
    first line tells what was meant, so that the error is of use.

    Raises:
        SyntaxProblem: it is of no format, or nothing but texts, numbers and so on.
    """
    said = lines_that_say_something(text)
    first = said[0] if said else ""
    if first.startswith("{"):
        return _parsed(_json, text)
    if _YAML_LINE.match(first) and not _TOML_LINE.match(first):
        return _parsed(_yaml, text)
    if _TOML_LINE.match(first):
        return _parsed(_toml, text)
    raise SyntaxProblem(
        "not a configuration: neither an INI file with a section [common], nor TOML, YAML or JSON"
    )


def _parsed(parser: Callable[[str], object], text: str) -> Tree:
    try:
        tree = parser(text)
    except RecursionError:
        tree = None
        depth = MAX_DEPTH + 1
    else:
        depth = _depth(tree)
    if depth > MAX_DEPTH:
        raise SyntaxProblem(_TOO_DEEP)
    if not isinstance(tree, dict):
        raise SyntaxProblem("a list or a single value; a configuration is a table of keys")
    return tree


def _depth(tree: object) -> int:
    """Say how many tables and lists are within one another, looking no deeper than allowed."""
    level: list[object] = [tree]
    for depth in range(MAX_DEPTH + 1):
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
        if not inner:
            return depth
        level = inner
    return MAX_DEPTH + 1


def _toml(text: str) -> Tree:
    import tomllib  # noqa: PLC0415 - only files of this format need it

    if _DEEP_KEY.search(text):
        raise SyntaxProblem(_TOO_DEEP)
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as why:
        place = _PLACE.search(str(why))
        what = f"not TOML: {_PLACE.sub('', str(why))}"
        if place and place[1]:
            raise SyntaxProblem(what, int(place[1]), int(place[2])) from None
        raise SyntaxProblem(f"{what} at the end", text.count("\n") + 1) from None
    except ValueError:
        raise SyntaxProblem("not TOML: a number with far too many digits") from None


def _json(text: str) -> object:
    import json  # noqa: PLC0415 - only files of this format need it

    def table(pairs: list[tuple[str, object]]) -> Tree:
        found = dict(pairs)
        if len(found) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice = next(name for name in counts if counts[name] > 1)
            raise SyntaxProblem(f"the key {shorten(twice)} is there twice in one table")
        return found

    try:
        return json.loads(text, object_pairs_hook=table)
    except json.JSONDecodeError as why:
        raise SyntaxProblem(f"not JSON: {why.msg}", why.lineno, why.colno) from None
    except ValueError as why:
        if isinstance(why, SyntaxProblem):
            raise
        raise SyntaxProblem("not JSON: a number with far too many digits") from None


def _yaml(text: str) -> object:
    from tunnelsvc.config import yamldocument  # noqa: PLC0415 - only files of this format need it

    tree = yamldocument.parse(text)
    if isinstance(tree, Mapping):
        # As in frp: a place for what anchors point at.
        return {key: value for key, value in tree.items() if not key.startswith(".")}
    return tree
