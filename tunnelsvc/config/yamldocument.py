# -*- test-case-name: tests.config.test_yamldocument -*-
"""YAML 1.1, as frp reads it, with PyYAML: text to tables.

PyYAML cuts the text into nodes; which values they are is decided here, for its own loader lets a
key be there twice, takes ``2020-01-01`` for a date and ``22:22`` for a number in base 60, and
follows aliases as far as they go.
"""

from collections.abc import Iterator
from typing import Any, Final

import yaml
from attrs import define, field
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import Resolver

from tunnelsvc.config.document import MAX_DEPTH, SyntaxProblem
from tunnelsvc.config.report import shorten

# Values that come out, each as often as aliases repeat it: some thousand proxies have as many.
MAX_VALUES: Final = 200_000

_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_TAG}merge"
_TEXT: Final = frozenset({f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value"})


def parse(text: str) -> object:
    """Parse a document.

    Raises:
        SyntaxProblem: it isn't one, or not a single one, or more than the limits allow.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as why:
        mark = why.problem_mark or why.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise SyntaxProblem(f"not YAML: {_without_names(why)}", line, column) from None
    except yaml.YAMLError:
        raise SyntaxProblem("not YAML: a character that can't be in it") from None
    return _Builder().build(node, 0) if node else None


def _without_names(why: yaml.MarkedYAMLError) -> str:
    """Say what is wrong, but not which alias or tag: it may be a password without quotes."""
    what = str(why.problem or why.context or "")
    named = any(word in what for word in ("alias", "anchor", "tag"))
    return what.partition(" '")[0] if named else what


class _Loader(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser,
              yaml.composer.Composer, Resolver):  # fmt: skip
    """Makes nodes, and nothing of them."""

    def __init__(self, stream: str) -> None:
        yaml.reader.Reader.__init__(self, stream)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)
        yaml.composer.Composer.__init__(self)
        Resolver.__init__(self)


@define
class _Builder:
    """Makes values of nodes."""

    _scalars: SafeConstructor = field(factory=SafeConstructor, init=False)
    _count: int = field(default=0, init=False)

    def build(self, node: Node, depth: int) -> Any:
        """Make a value.

        Args:
            node: of it.
            depth: in how many tables and lists it is.
        """
        self._count += 1
        if self._count > MAX_VALUES:
            raise _problem(f"more than {MAX_VALUES} values, aliases included", node)
        if depth > MAX_DEPTH:
            raise _problem(f"more than {MAX_DEPTH} tables and lists within one another", node)
        if isinstance(node, MappingNode):
            return self._table(node, depth)
        if isinstance(node, SequenceNode):
            return [self.build(each, depth + 1) for each in node.value]
        assert isinstance(node, ScalarNode)
        return self._scalar(node)

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag in _TEXT:
            return node.value
        if not node.tag.startswith(_TAG) or node.tag == _MERGE:
            raise _problem("a tag that is not supported", node)
        if ":" in node.value:  # base 60
            return node.value
        constructor = self._scalars.yaml_constructors.get(node.tag)
        if constructor is None or node.tag == f"{_TAG}binary":
            raise _problem("a tag that is not supported", node)
        try:
            return constructor(self._scalars, node)
        except (ValueError, KeyError, yaml.YAMLError):
            raise _problem("not a value of its tag", node) from None

    def _table(self, node: MappingNode, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for other in self._merged(value, depth):
                    # Of several, the first counts.
                    merged = {**other, **merged}
                continue
            if not isinstance(key, ScalarNode):
                raise _problem("a key that is no text", key)
            if key.value in own:
                what = f"the key {shorten(key.value)} is there twice in one table"
                raise _problem(what, key)
            own[key.value] = self.build(value, depth + 1)
        return {**merged, **own}

    def _merged(self, value: Node, depth: int) -> Iterator[dict[str, Any]]:
        """Give the tables that ``<<`` names."""
        nodes = value.value if isinstance(value, SequenceNode) else [value]
        for node in nodes:
            if not isinstance(node, MappingNode):
                raise _problem("<< takes a table or a list of tables", node)
            yield self.build(node, depth + 1)


def _problem(what: str, node: Node) -> SyntaxProblem:
    return SyntaxProblem(f"not YAML: {what}", node.start_mark.line + 1, node.start_mark.column + 1)
