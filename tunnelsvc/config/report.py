# -*- test-case-name: tests.config.test_report -*-
"""What is wrong with a file: gathered, each in one line that says where, and told all at once."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, NoReturn

from attrs import Factory, define, evolve, field, frozen

from tunnelsvc.errors import ConfigError

# Problems, or warnings, told at once. More come from a file that isn't a configuration at all.
MAX_LINES: Final = 50

# Characters of a value, a key or a section's name that a message shows.
MAX_SHOWN_CHARACTERS: Final = 80

# How alike (0 to 1, as difflib counts) a known name must be to be suggested. One letter left out
# of a short name such as `type` gives 0.86, two letters exchanged in a long one 0.9.
_ALIKE: Final = 0.7

UNKNOWN_KEY: Final = "unknown key"
"""How messages begin about a key that nothing is known of."""

_SECRET_PARTS: Final = ("token", "pwd", "passw", "secret", "group_key", "http_proxy")
_SECRET_PREFIXES: Final = (
    "meta_",
    "header_",
    "response_header_",
    "plugin_header_",
    "health_check_header_",
    "sk",
)
"""Metadata is what server plugins take passwords from; headers may be `Authorization`."""


def is_secret(key: str) -> bool:
    """Tell whether the value of this key must not be shown."""
    key = key.lower()
    return key.startswith(_SECRET_PREFIXES) or any(part in key for part in _SECRET_PARTS)


def shorten(text: str) -> str:
    """Cut what a message shows of a text in a file."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, if any."""
    from difflib import get_close_matches  # noqa: PLC0415 - most files have no such name

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=_ALIKE)), None)


@frozen
class Source:
    """The file that something came from, and how it speaks.

    Attributes:
        path: the file, as its user named it.
        words: what is called otherwise in it than in an INI file: keys and phrases of messages.
        strict: whether a key that nobody knows makes it unusable.
        zero_is_unset: whether ``""`` and ``0`` stand for nothing wherever they are no value.
    """

    path: str
    words: Mapping[str, str] = field(factory=dict, repr=False, eq=False)
    strict: bool = False
    zero_is_unset: bool = False

    def say(self, what: str) -> str:
        """Put a message into the words of this file."""
        if not self.words:
            return what
        return _any_of(tuple(self.words)).sub(lambda match: self.words[match[0]], what)


@cache
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Compile what finds whole words, the longest ones first."""
    known = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w.])(?:{known})(?!\w)")


@frozen
class Entry:
    """One ``key = value``. As a string: what messages show of it, secrets masked."""

    section: str
    """As its file has it; nothing: outside of all."""
    key: str
    """As INI files have it."""
    value: str = field(repr=False)
    line: int
    """Line number, from 1; 0: unknown."""
    shown: str = ""
    """The key as its file has it, if that differs."""
    source: Source | None = None
    """None: the file that is reported on."""

    @property
    def place(self) -> str:
        """The entry without its value."""
        key = shorten(self.shown or self.key)
        return f"[{shorten(self.section)}] {key}" if self.section else key

    def __str__(self) -> str:
        value = "***" if self.value and is_secret(self.key) else shorten(self.value)
        return f"{self.place} = {value}"


@frozen
class Section:
    """One ``[name]`` and what follows it."""

    name: str
    line: int
    entries: Mapping[str, Entry] = field(factory=dict)
    shown: str | None = None
    """The name as its file has it, if that differs; empty: it has none."""
    source: Source | None = None
    """As `Entry.source`."""
    origin: str = ""
    """The section of a range that this one was made of."""

    @property
    def place(self) -> str:
        """The name, as messages show it."""
        shown = self.name if self.shown is None else self.shown
        return f"[{shorten(shown)}]" if shown else ""

    @property
    def is_visitor(self) -> bool:
        """Whether it is a visitor's, and not a proxy's."""
        role = self.entries.get("role")
        return role is not None and role.value.lower() == "visitor"

    def with_entries(self, entries: Mapping[str, Entry]) -> "Section":
        """Return this section with other entries."""
        return evolve(self, entries=entries)

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
    _wrong: set[Entry] = field(factory=set, init=False)
    source: Source = field(
        default=Factory(lambda self: Source(self.path), takes_self=True), init=False
    )
    """Of what says nothing else."""

    @property
    def is_full(self) -> bool:
        """Whether there is more than is told already, so that no hint is worth its time."""
        return max(len(self._problems), len(self._warnings)) > MAX_LINES

    def problem(self, what: str, where: Entry | Section | int | None = None) -> None:
        """Note something that makes the file unusable.

        Args:
            what: what is wrong, or what would be right.
            where: an entry, a section, a line number, or None for the whole file. Of an entry,
                only the first problem counts: what doesn't fit it then follows from that.
        """
        if isinstance(where, Entry):
            if where in self._wrong:
                return
            self._wrong.add(where)
            self._problems.append(self._line(what, where, f"{where}: "))
            return
        self._problems.append(self._line(what, where))

    def warn(self, what: str, where: Entry | Section | int | None = None) -> None:
        """Note something that the file's owner should know. No entry's value is shown.

        A key that we don't know may be a misspelt one, and its value a password.
        """
        self._warnings.append(self._line(what, where))

    def useless(self, what: str, where: Entry | Section) -> None:
        """Note what the file could as well leave out; where that is an error, it is one.

        Args:
            what: why.
            where: an entry, whose value isn't shown (see `warn`), or a section.
        """
        if (where.source or self.source).strict:
            self._problems.append(self._line(what, where))
        elif what.startswith(UNKNOWN_KEY):
            self.warn(what.replace(UNKNOWN_KEY, f"{UNKNOWN_KEY}, ignored", 1), where)
        else:
            self.warn(f"ignored: {what}", where)

    def of(self, source: Source) -> "Report":
        """Return a report on another file that belongs to this one; both come out together."""
        other = Report(source.path)
        other.source = source
        other._problems, other._warnings = self._problems, self._warnings
        other._wrong = self._wrong
        return other

    def fail(self, what: str, line: int = 0) -> NoReturn:
        """Note a problem after which there is nothing more to look at.

        Args:
            what: what is wrong.
            line: where; 0: in the whole file.

        Raises:
            ConfigError: with all the problems.
        """
        self.problem(what, line)
        raise ConfigError(_limited(self._problems, self.path))

    def finish(self) -> tuple[str, ...]:
        """Return the warnings.

        Raises:
            ConfigError: there are problems.
        """
        if self._problems:
            raise ConfigError(_limited(self._problems, self.path))
        return tuple(_limited(self._warnings, self.path))

    def _line(self, what: str, where: Entry | Section | int | None, shown: str = "") -> str:
        """Compose a message.

        Args:
            what: what it says.
            where: see `problem`.
            shown: what is shown of the place; else what is known of it without any value.
        """
        source = self.source
        line = where if isinstance(where, int) else 0
        if isinstance(where, Entry | Section):
            source, line = where.source or source, where.line
            shown = shown or (f"{where.place}: " if where.place else "")
        numbered = f"{source.path}:{line}" if line else source.path
        return f"{numbered}: {shown}{source.say(what)}"


def _limited(lines: list[str], path: str) -> list[str]:
    left_out = len(lines) - MAX_LINES
    return lines if left_out <= 0 else [*lines[:MAX_LINES], f"{path}: and {left_out} more"]
