# -*- test-case-name: tests.config.test_gotemplate -*-
"""The part of Go's text/template that frp's documentation shows for TOML, YAML and JSON files.

Variables of the environment, and one piece of text for each port of a range::

    {{- range $_, $v := parseNumberRangePair "6000-6002,6010" "7000-7002,7010" }}
    [[proxies]]
    name = "tcp-{{ $v.First }}"
    localPort = {{ $v.First }}
    remotePort = {{ $v.Second }}
    {{- end }}

What `text/template` says of actions, trimmed blanks, comments and scopes of variables holds here;
whatever else it has is refused. What an action gives is never itself expanded.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from tunnelsvc.config.numbers import MAX_NUMBERS, parse_numbers
from tunnelsvc.config.values import BadValueError
from tunnelsvc.units import MiB

# Bytes (characters, rather) that come out: some ten thousand proxies.
MAX_EXPANDED: Final = 8 * MiB

# Ranges within ranges. More than one has no use.
MAX_DEPTH: Final = 4

MISSING: Final = "<no value>"

# Each character can be matched in one way only, so that no text takes long.
_ACTION: Final = re.compile(
    r"\{\{(?P<left>-(?=\s))?"
    r"(?P<body>(?:\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`|/\*(?:(?!\*/).)*\*/|[^\"`{}/]|/(?!\*))*?)"
    r"(?P<right>(?<=\s)-)?\}\}",
    re.DOTALL,
)
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`)|(?P<word>\$?[.\w]+|\$)|(?P<mark>:=|[,|()=]))"
)
_ESCAPE: Final = re.compile(r"\\(.)")
_NAME: Final = re.compile(r"[^\W\d]\w*")
_COMMENT: Final = re.compile(r"\s*/\*.*\*/\s*", re.DOTALL)

_SUPPORTED: Final = (
    "of templates, only {{ .Envs.NAME }}, {{ range … }} over parseNumberRange and "
    "parseNumberRangePair, and {{ end }} are supported"
)


class TemplateError(BadValueError):
    """A template that can't be expanded.

    Attributes:
        line: where, from 1.
    """

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


@frozen
class Pair:
    """An element of parseNumberRangePair."""

    first: int
    second: int


Value = str | int | Pair

Arguments = Sequence[str]


@frozen
class Text:
    """What is copied."""

    text: str


@frozen
class Output:
    """What is replaced: an argument, see `_Expansion.value`."""

    argument: str
    line: int
    in_comment: bool


@frozen
class Range:
    """What is repeated."""

    index: str
    """The variable for the number of the element; empty: none."""
    element: str
    """The variable for the element; empty: none."""
    function: str
    arguments: tuple[str, ...]
    line: int
    body: "list[Text | Output | Range]" = field(factory=list)


Node = Text | Output | Range


def expand(template: str, environ: Mapping[str, str]) -> str:
    """Expand a file.

    Raises:
        TemplateError: it can't be.
    """
    if "{{" not in template:
        return template
    nodes = _Parser(template).parse()
    expansion = _Expansion(environ)
    expansion.run(nodes, {})
    return "".join(expansion.pieces)


@define
class _Parser:
    """Cuts a template into nodes."""

    template: str
    _line: int = field(default=1, init=False)

    def parse(self) -> list[Node]:
        """Return the nodes at the top.

        Raises:
            TemplateError: something else than what is supported.
        """
        top: list[Node] = []
        open_ranges: list[Range] = []
        position, trim = 0, False
        while (start := self.template.find("{{", position)) >= 0:
            nodes = open_ranges[-1].body if open_ranges else top
            text = self.template[position:start]
            self._line += text.count("\n")
            action = _ACTION.match(self.template, start)
            if action is None:
                raise TemplateError("{{ without }}, or with something else than text", self._line)
            text = text.lstrip() if trim else text
            nodes.append(Text(text.rstrip() if action["left"] else text))
            self._action(action, nodes, open_ranges)
            position, trim = action.end(), bool(action["right"])
        if open_ranges:
            raise TemplateError("{{ range … }} without {{ end }}", open_ranges[-1].line)
        text = self.template[position:]
        top.append(Text(text.lstrip() if trim else text))
        return top

    def _action(self, action: re.Match[str], nodes: list[Node], open_ranges: list[Range]) -> None:
        line = self._line
        self._line += action[0].count("\n")
        if _COMMENT.fullmatch(action["body"]):
            return
        tokens = self._tokens(action["body"], line)
        if tokens[:1] == ["range"]:
            if len(open_ranges) == MAX_DEPTH:
                raise TemplateError(f"more than {MAX_DEPTH} ranges within one another", line)
            found = _range(tokens[1:], line)
            nodes.append(found)
            open_ranges.append(found)
        elif tokens == ["end"]:
            if not open_ranges:
                raise TemplateError("{{ end }} without {{ range … }}", line)
            open_ranges.pop()
        elif len(tokens) == 1 and tokens[0][0] in '.$"`':
            nodes.append(Output(tokens[0], line, self._in_comment(action.start())))
        else:
            raise TemplateError(_SUPPORTED, line)

    def _tokens(self, body: str, line: int) -> list[str]:
        tokens, position = [], 0
        stripped = body.rstrip()
        while position < len(stripped):
            token = _TOKEN.match(stripped, position)
            if token is None:
                raise TemplateError(_SUPPORTED, line)
            tokens.append(token[token.lastgroup or 0])
            position = token.end()
        return tokens

    def _in_comment(self, position: int) -> bool:
        start = self.template.rfind("\n", 0, position) + 1
        return self.template[start:position].lstrip().startswith("#")


def _range(tokens: list[str], line: int) -> Range:
    """Read what follows the word ``range``."""
    variables: list[str] = []
    if ":=" in tokens:
        at = tokens.index(":=")
        variables = [token for token in tokens[:at] if token != ","]
        commas = tokens[:at].count(",")
        named = all(_NAME.fullmatch(name[1:]) and name[0] == "$" for name in variables)
        if not named or not 1 <= len(variables) <= 2 or commas != len(variables) - 1:  # noqa: PLR2004
            raise TemplateError("not {{ range $index, $element := … }}", line)
        tokens = tokens[at + 1 :]
    function, *arguments = tokens or [""]
    wanted = {"parseNumberRange": 1, "parseNumberRangePair": 2}.get(function)
    if wanted is None or any(argument[0] not in '"`.$' for argument in arguments):
        raise TemplateError(_SUPPORTED, line)
    if len(arguments) != wanted:
        raise TemplateError(f"{function} takes {wanted} text{'s' * (wanted > 1)}", line)
    # With one variable, Go gives it the element.
    index, element = (["", "", *variables])[-2:] if len(variables) != 1 else ("", variables[0])
    return Range(index, element, function, tuple(arguments), line)


@define
class _Expansion:
    """Makes text of nodes."""

    _environ: Mapping[str, str]
    pieces: list[str] = field(factory=list, init=False)
    _size: int = field(default=0, init=False)
    _rounds: int = field(default=0, init=False)

    def run(self, nodes: Sequence[Node], scope: Mapping[str, Value]) -> None:
        """Expand nodes.

        Args:
            nodes: of the top, or of a range.
            scope: variables by name, with ``$``; ``.`` is the element of the range.
        """
        for node in nodes:
            match node:
                case Text():
                    self._add(node.text, 0)
                case Output():
                    value = self._value(node, scope)
                    if isinstance(value, Pair):
                        raise TemplateError("a pair has a .First and a .Second", node.line)
                    self._add(str(value), node.line)
                case Range():
                    self._repeat(node, scope)

    def _add(self, text: str, line: int) -> None:
        self.pieces.append(text)
        self._size += len(text)
        if self._size > MAX_EXPANDED:
            raise TemplateError(f"expands to more than {MAX_EXPANDED} characters", line)

    def _repeat(self, node: Range, scope: Mapping[str, Value]) -> None:
        for index, element in enumerate(self._elements(node, scope)):
            self._rounds += 1
            if self._rounds > MAX_NUMBERS:
                raise TemplateError(f"repeats more than {MAX_NUMBERS} times", node.line)
            inner = {**scope, ".": element}
            if node.index:
                inner[node.index] = index
            if node.element:
                inner[node.element] = element
            self.run(node.body, inner)

    def _elements(self, node: Range, scope: Mapping[str, Value]) -> Iterator[Value]:
        texts = [
            str(self._value(Output(argument, node.line, in_comment=False), scope))
            for argument in node.arguments
        ]
        try:
            ranges = [parse_numbers(text) for text in texts]
        except BadValueError as why:
            raise TemplateError(f"{node.function}: {why}", node.line) from None
        if len(ranges) == 1:
            return iter(ranges[0])
        if len(ranges[0]) != len(ranges[1]):
            counts = " and ".join(str(len(numbers)) for numbers in ranges)
            what = f"{node.function}: there must be as many numbers in both ({counts})"
            raise TemplateError(what, node.line)
        return (Pair(*pair) for pair in zip(*ranges, strict=True))

    def _value(self, node: Output, scope: Mapping[str, Value]) -> Value:
        """Say what an argument stands for."""
        argument, line = node.argument, node.line
        if argument[0] == '"':
            return _ESCAPE.sub(lambda match: _unescape(match[1], line), argument[1:-1])
        if argument[0] == "`":
            return argument[1:-1]
        root, dot, rest = argument.partition(".")
        if rest.startswith("Envs.") and root in {"", "$"} and (root or "." not in scope):
            return self._variable(rest.removeprefix("Envs."), node)
        known = scope.get(root or ".")
        if known is None:
            raise TemplateError(f"there is no {root or argument} here; {_SUPPORTED}", line)
        if not dot or not rest:
            return known
        if not isinstance(known, Pair) or rest not in {"First", "Second"}:
            raise TemplateError(f"{argument}: only pairs have something, .First and .Second", line)
        return known.first if rest == "First" else known.second

    def _variable(self, name: str, node: Output) -> str:
        if not _NAME.fullmatch(name):
            raise TemplateError(_SUPPORTED, node.line)
        if name not in self._environ:
            if node.in_comment:
                return MISSING
            raise TemplateError(f"the environment variable {name} is not set", node.line)
        return self._environ[name]


def _unescape(character: str, line: int) -> str:
    if character not in '"\\':
        raise TemplateError(f"\\{character} in a text is not supported", line)
    return character
