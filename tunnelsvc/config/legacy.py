# -*- test-case-name: tests.config.test_legacy -*-
"""frp's INI files: lines to sections.

What the two INI libraries that frp has used agree on. It is not the dialect of Python's
configparser: a line may be indented, and never continues the one before. A comment is a whole line
that begins with ``#`` or ``;``; in a value both are ordinary characters.

No line's text is shown in a message here: it may be a password whose key was forgotten.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import define, field

from tunnelsvc.config.report import Entry, Report, Section
from tunnelsvc.config.template import expand
from tunnelsvc.config.values import BadValueError
from tunnelsvc.errors import ConfigError
from tunnelsvc.units import KiB, MiB

# Bytes of a file: a few thousand proxies. Whatever is larger was named by mistake.
MAX_FILE_BYTES: Final = 1 * MiB

# Bytes of a line: Go's bufio.Scanner, which reads many such files, stops there too.
MAX_LINE_BYTES: Final = 64 * KiB

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_COMMENTS: Final = ("#", ";")
_HEADING: Final = re.compile(r"\[([^\[\]]*)\]\s*([#;].*)?")

# Control characters but the tab, and halves of surrogate pairs, which is how Python shows bytes of
# an environment variable that aren't UTF-8.
_UNFIT: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")

Sections = Mapping[str, Section]


def read(path: str) -> bytes:
    """Read a configuration file.

    Raises:
        ConfigError: it can't be read or is too large.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as why:
        raise ConfigError([f"{path}: can't be read: {why.strerror or why}"]) from None
    except ValueError:
        raise ConfigError([f"{path!r}: can't be the name of a file"]) from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError([f"{path}: larger than {MAX_FILE_BYTES} bytes: not a configuration"])
    return content


def parse(content: bytes, environ: Mapping[str, str], report: Report) -> Sections:
    """Cut a file into its sections, in the file's order.

    Args:
        content: UTF-8, with or without byte order mark.
        environ: what ``{{ .Envs.NAME }}`` stands for.
        report: gets what is wrong. Such lines are left out of the result.
    """
    parser = _Parser(report, environ)
    lines = content.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            parser.feed(line, number)
        except BadValueError as why:
            report.problem(str(why), number)
    return parser.sections


def unquote(value: str) -> str:
    """Take a matching pair of quotes away, unless there are more of them inside."""
    for quote in ('"', "'"):
        if len(value) > 1 and value[0] == quote and value.find(quote, 1) == len(value) - 1:
            return value[1:-1]
    return value


def _decode(raw: bytes) -> str:
    try:
        return raw.decode().strip()
    except UnicodeDecodeError:
        # Comments in some other encoding do no harm, and frp doesn't mind them either.
        if raw.lstrip().startswith((b"#", b";")):
            return ""
        raise BadValueError("not UTF-8; save the file in that encoding") from None


@define
class _Parser:
    """Takes lines; raises `BadValueError` for one that can't be used."""

    _report: Report
    _environ: Mapping[str, str]
    sections: dict[str, Section] = field(factory=dict, init=False)
    _entries: dict[str, Entry] = field(factory=dict, init=False)
    """Of the section that we are in."""
    _name: str | None = field(default=None, init=False)

    def feed(self, raw: bytes, number: int) -> None:
        if len(raw) > MAX_LINE_BYTES:
            raise BadValueError(f"line of more than {MAX_LINE_BYTES} bytes")
        line = _decode(raw)
        if not line or line.startswith(_COMMENTS):
            return
        try:
            line = self._expand(line)
        except BadValueError as why:
            raise BadValueError(f"{self._place(line)}{why}") from None
        if line.startswith("["):
            self._heading(line, number)
        else:
            self._entry(line, number)

    def _expand(self, line: str) -> str:
        line = expand(line, self._environ).strip()
        unfit = _UNFIT.search(line)
        if unfit:
            raise BadValueError(f"holds the character U+{ord(unfit[0]):04X}, which is no text")
        return line

    def _place(self, line: str) -> str:
        """Say where a line is that can't be expanded, as far as that is certain."""
        key, equals, value = line.partition("=")
        if not (self._name and equals) or "{{" in key:
            return ""
        return f"{Entry(self._name, key.strip(), value, 0).place}: "

    def _heading(self, line: str, number: int) -> None:
        heading = _HEADING.fullmatch(line)
        name = heading[1].strip() if heading else ""
        # What follows a heading that can't be used must not end up in the section before.
        self._entries = {}
        self._name = name
        if not name:
            raise BadValueError("not a section's heading, which is [name]")
        section = Section(name, number, self._entries)
        first = self.sections.setdefault(name, section)
        if first is not section:
            self._report.problem(f"the section was already in line {first.line}", section)

    def _entry(self, line: str, number: int) -> None:
        key, equals, value = line.partition("=")
        key = key.strip()
        if not equals:
            raise BadValueError('neither "key = value" nor [section] nor a comment (# or ;)')
        if not key:
            raise BadValueError('nothing before the "="')
        if self._name is None:
            raise BadValueError("a key before the first section; [common] goes first")
        entry = Entry(self._name, key, unquote(value.strip()), number)
        first = self._entries.setdefault(key, entry)
        if first is not entry:
            what = f"{entry.place}: the key was already in line {first.line}"
            self._report.problem(what, number)
