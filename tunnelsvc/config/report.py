# -*- test-case-name: tests.config.test_report -*-
"""What is wrong with a file: gathered, each in one line that says where, and told all at once."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final, NoReturn

from attrs import define, field, frozen

from tunnelsvc.errors import ConfigError

# Problems, or warnings, told at once. More come from a file that isn't a configuration at all.
MAX_LINES: Final = 50

# Characters of a value, a key or a section's name that a message shows.
MAX_SHOWN_CHARACTERS: Final = 80

# How alike (0 to 1, as difflib counts) a known name must be to be suggested. One letter left out
# of a short name such as `type` gives 0.86, two letters exchanged in a long one 0.9.
_ALIKE: Final = 0.7

_SECRET_PARTS: Final = ("token", "pwd", "passw", "secret", "group_key", "http_proxy")
_SECRET_PREFIXES: Final = ("meta_", "header_", "response_header_", "plugin_header_", "sk")
"""Metadata is what server plugins take passwords from; headers may be `Authorization`."""


def is_secret(key: str) -> bool:
    """Tell whether the value of this key must not be shown."""
    return key.startswith(_SECRET_PREFIXES) or any(part in key for part in _SECRET_PARTS)


def shorten(text: str) -> str:
    """Cut what a message shows of a text in a file."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, if any."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=_ALIKE)), None)


@frozen
class Entry:
    """One ``key = value`` line. As a string: what messages show of it, secrets masked."""

    section: str
    key: str
    value: str = field(repr=False)
    line: int
    """Line number, from 1."""

    @property
    def place(self) -> str:
        """The entry without its value."""
        return f"[{shorten(self.section)}] {shorten(self.key)}"

    def __str__(self) -> str:
        value = "***" if self.value and is_secret(self.key) else shorten(self.value)
        return f"{self.place} = {value}"


@frozen
class Section:
    """One ``[name]`` and what follows it."""

    name: str
    line: int
    entries: Mapping[str, Entry] = field(factory=dict)

    @property
    def place(self) -> str:
        """The name, as messages show it."""
        return f"[{shorten(self.name)}]"

    def find(self, *keys: str) -> "Entry | Section":
        """Return the first of these entries that the file has, to point at; else the section."""
        return next((self.entries[key] for key in keys if key in self.entries), self)


@define
class Report:
    """Gathers problems and warnings about one file.

    Attributes:
        path: the file, as its user named it.
    """

    path: str
    _problems: list[str] = field(factory=list, init=False)
    _warnings: list[str] = field(factory=list, init=False)
    _wrong_lines: set[int] = field(factory=set, init=False)

    def problem(self, what: str, where: Entry | Section | int | None = None) -> None:
        """Note something that makes the file unusable.

        Args:
            what: what is wrong, or what would be right.
            where: an entry, a section, a line number, or None for the whole file. Of an entry,
                only the first problem counts: what doesn't fit it then follows from that.
        """
        if isinstance(where, Entry):
            if where.line in self._wrong_lines:
                return
            self._wrong_lines.add(where.line)
            what, where = f"{where}: {what}", where.line
        self._problems.append(self._line(what, where))

    def warn(self, what: str, where: Entry | Section | int | None = None) -> None:
        """Note something that the file's owner should know. No entry's value is shown.

        A key that we don't know may be a misspelt one, and its value a password.
        """
        self._warnings.append(self._line(what, where))

    def fail(self, what: str) -> NoReturn:
        """Note a problem of the whole file after which there is nothing more to look at.

        Raises:
            ConfigError: with all the problems.
        """
        self.problem(what)
        raise ConfigError(_limited(self._problems, self.path))

    def finish(self) -> tuple[str, ...]:
        """Return the warnings.

        Raises:
            ConfigError: there are problems.
        """
        if self._problems:
            raise ConfigError(_limited(self._problems, self.path))
        return tuple(_limited(self._warnings, self.path))

    def _line(self, what: str, where: Entry | Section | int | None) -> str:
        if where is None:
            return f"{self.path}: {what}"
        if isinstance(where, int):
            return f"{self.path}:{where}: {what}"
        return f"{self.path}:{where.line}: {where.place}: {what}"


def _limited(lines: list[str], path: str) -> list[str]:
    left_out = len(lines) - MAX_LINES
    return lines if left_out <= 0 else [*lines[:MAX_LINES], f"{path}: and {left_out} more"]
