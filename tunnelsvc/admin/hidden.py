# -*- test-case-name: tests.admin.test_hidden -*-
"""Secrets of a configuration file, hidden from who may see the rest, and put back in.

Whatever follows a key that has a secret is replaced, to the end of the line, by a mark. The mark
stands for that text and no other, so a file that is edited and sent back gets its secrets back,
wherever they are moved to. That works for INI, TOML, YAML and JSON alike, as nothing is parsed;
where it can't tell what is secret it hides too much.
"""

import os
import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import zip_longest
from typing import Final

from tunnelsvc.config.report import is_secret
from tunnelsvc.errors import ConfigError

MARK_BYTES: Final = 8
"""Of the hash in a mark: none of a file's secrets has another's."""
_MARK: Final = re.compile(r"\*\*\*[0-9a-f]{8,32}\*\*\*")
"""Also one that an editor has changed, which must not become the secret."""
_KEY: Final = re.compile(r"([A-Za-z_][\w.-]*)[\"']?\s*[=:]\s*(?=\S)|([A-Za-z_][\w.-]*)[\"']?\s*:$")
"""A key whose value is behind it on the line; of YAML, a key whose value is below it."""
_TABLE: Final = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+\s*$")
_HUMPS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_MORE_SECRETS: Final = ("metadatas", "headers", "proxy_url")
"""Of TOML; `is_secret` knows the names of INI files."""
MOST_SHOWN: Final = 100
"""Characters of a line that an error repeats."""
_MULTILINE: Final = ('"""', "'''")


class Hider:
    """Hides and puts back, for one program: marks of another one mean nothing."""

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def hide(self, text: str) -> str:
        """Return a file's text with marks for its secrets."""
        return "".join(_Lines(self._mark).hide(text))

    def put_back(self, text: str, file: str) -> str:
        """Return a text with the secrets for the marks in it.

        Args:
            text: what `hide` returned, edited.
            file: what the file has now.

        Raises:
            ConfigError: there are marks of secrets that the file doesn't have, or where none would
                be hidden.
        """
        secrets: dict[str, str] = {}

        def remember(secret: str) -> str:
            mark = self._mark(secret)
            secrets[mark] = secret
            return mark

        for _ in _Lines(remember).hide(file):
            pass
        unknown = [mark for mark in _MARK.findall(text) if mark not in secrets]
        if unknown:
            raise ConfigError(
                [f"{unknown[0]} stands for a secret that isn't in the file any more; write it out"]
            )
        whole = _MARK.sub(lambda mark: secrets[mark[0]], text)
        # Elsewhere it would be shown: as a name, in an error, or the next time.
        for given, hidden in zip_longest(text.splitlines(), self.hide(whole).splitlines()):
            if given and given != hidden and (mark := _MARK.search(given)) is not None:
                raise ConfigError(
                    [f"{mark[0]} must be all that is behind a key which has a secret: {_at(given)}"]
                )
        return whole

    def _mark(self, secret: str) -> str:
        digest = blake2b(secret.encode(), key=self._key, digest_size=MARK_BYTES).hexdigest()
        return f"***{digest}***"


class _Lines:
    """Goes through the lines of one file, and knows what the ones above mean for the next."""

    def __init__(self, mark: Callable[[str], str]) -> None:
        self._mark = mark
        self._table_is_secret = False
        self._below: int | None = None
        """Lines that are indented deeper than this are of a secret."""
        self._until = ""
        """What ends the text of many lines that we are in."""

    def hide(self, text: str) -> Iterator[str]:
        for line in text.splitlines(keepends=True):
            body = line.rstrip("\r\n")
            at = self._begin(body)
            end = line[len(body) :]
            yield (body[:at] + self._mark(body[at:]) if body[at:].strip() else body) + end

    def _begin(self, line: str) -> int:
        """Tell where in a line the secret begins; at its end if there is none."""
        indent = len(line) - len(line.lstrip())
        if self._until:
            if self._until in line:
                self._until = ""
            return indent
        if self._below is not None and line.strip():
            if indent > self._below or line.strip() in {"}", "]", "},", "],"}:
                return self._value_of_any_key(line, indent)
            self._below = None
        if table := _TABLE.match(line):
            self._table_is_secret = _hides(table[1])
            return len(line)
        return self._of_a_key(line, indent)

    def _value_of_any_key(self, line: str, indent: int) -> int:
        key = _KEY.search(line)
        return key.end() if key is not None else indent

    def _of_a_key(self, line: str, indent: int) -> int:
        for key in _KEY.finditer(line):
            if not (self._table_is_secret or _hides(key[1] or key[2])):
                continue
            value = line[key.end() :]
            for quotes in _MULTILINE:
                if value.startswith(quotes) and quotes not in value.removeprefix(quotes):
                    self._until = quotes
            if not value or value.rstrip().endswith(("{", "[", "|", ">", "|-", ">-", "|+", ">+")):
                self._below = indent
            return key.end()
        return len(line)


def _at(line: str) -> str:
    """Show a line in an error."""
    return line.strip()[:MOST_SHOWN]


def _hides(key: str) -> bool:
    """Tell whether a key, or the name of a table, is one of a secret."""
    names = [_HUMPS.sub("_", name).lower() for name in key.split(".")]
    return any(is_secret(name) or name.endswith(_MORE_SECRETS) for name in names)
