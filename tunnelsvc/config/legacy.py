# -*- test-case-name: tests.config.test_legacy -*-
"""frp's INI files: lines to sections.

What the two INI libraries that frp has used agree on, and what can be had of the second without
harm to the first (`tunnelsvc.config.dialect`). It is not the dialect of Python's configparser: a
line may be indented. A comment is a whole line that begins with ``#`` or ``;``; in a value both are
ordinary characters.

No line's text is shown in a message here: it may be a password whose key was forgotten.
"""

import re
from collections.abc import Mapping
from typing import Final

from attrs import define, field

from tunnelsvc.config.dialect import MAX_LINE_BYTES, interpolated, joined
from tunnelsvc.config.keys import FLAGS
from tunnelsvc.config.reading import read_bytes
from tunnelsvc.config.report import Entry, Report, Section
from tunnelsvc.config.template import expand
from tunnelsvc.config.values import BadValueError
from tunnelsvc.errors import ConfigError
from tunnelsvc.units import MiB

# Bytes of a file: a few thousand proxies. Whatever is larger was named by mistake.
MAX_FILE_BYTES: Final = 1 * MiB

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# How ini.v1 lets keys be written, too; the first library had no use for such a line.
_WITH_COLON: Final = re.compile(r"([A-Za-z_][\w-]*)\s*:(?:\s+([^=]*))?")
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
        content = read_bytes(path, MAX_FILE_BYTES + 1)
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
    for number, line in joined(content.removeprefix(BYTE_ORDER_MARK).split(b"\n")):
        try:
            parser.feed(line, number)
        except BadValueError as why:
            report.problem(str(why), number)
    return {name: interpolated(each, report) for name, each in parser.sections.items()}


def unquote(value: str) -> str:
    """Take a matching pair of quotes away, unless there are more of them inside."""
    for quote in ('"', "'", "`"):
        if len(value) > 1 and value[0] == quote and value.find(quote, 1) == len(value) - 1:
            return value[1:-1]
    return value


def unfit_character(text: str) -> str:
    """Name the first character, if any, that is no text."""
    unfit = _UNFIT.search(text)
    return f"U+{ord(unfit[0]):04X}" if unfit else ""


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
        unfit = unfit_character(line)
        if unfit:
            raise BadValueError(f"holds the character {unfit}, which is no text")
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
        section = Section(name, number, self._entries, source=self._report.source)
        first = self.sections.setdefault(name, section)
        if first is not section:
            self._report.problem(f"the section was already in line {first.line}", section)

    def _entry(self, line: str, number: int) -> None:
        key, equals, value = _divided(line)
        if not equals:
            raise BadValueError('neither "key = value" nor [section] nor a comment (# or ;)')
        if not key:
            raise BadValueError('nothing before the "="')
        if self._name is None:
            raise BadValueError("a key before the first section; [common] goes first")
        text = unquote(value.strip())
        entry = Entry(self._name, key, text, number, source=self._report.source)
        first = self._entries.setdefault(key, entry)
        if first is entry:
            return
        what = f"{entry.place}: the key was already in line {first.line}"
        if first.value == text:  # no riddle which of them holds
            self._report.warn(f"{what}, with the same value", number)
        else:
            self._report.problem(what, number)


def _divided(line: str) -> tuple[str, str, str]:
    """Cut a line into key, what divides, if anything does, and value."""
    with_colon = _WITH_COLON.fullmatch(line)
    if with_colon:
        return with_colon[1], ":", with_colon[2] or ""
    key, equals, value = line.partition("=")
    if not equals and line in FLAGS:
        return line, "=", "true"
    return key.strip(), equals, value
