# -*- test-case-name: tests.config.test_dialect -*-
r"""What frp's second INI library made of INI files, as far as it takes nothing from the first.

frp has read them literally up to 0.35, and with Go's ini.v1 since. Files of both times are to mean
what they meant; where that can't be, a value is what is written there. So each of these happens
only where the literal reading would be an error or pointless:

* a line that ends with ``\`` goes on in the next one, if that can't be a line of its own;
* ``%(key)s`` is the value of that key, if the section has it;
* what ``[a.b]`` lacks comes from ``[a]``, and the file's owner is told.

(`tunnelsvc.config.legacy` has what concerns single lines: quotes, ``key: value``, ``key`` alone.)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import define, evolve, field

from tunnelsvc.config.report import Entry, Report, Section, is_secret
from tunnelsvc.config.values import MAX_NAME_CHARACTERS, BadValueError
from tunnelsvc.units import KiB

# Bytes of a line: Go's bufio.Scanner, which reads many such files, stops there too. Characters,
# when it is a value that variables have made longer.
MAX_LINE_BYTES: Final = 64 * KiB

# Values within values; ini.v1 has 99.
MAX_DEPTH: Final = 16

_VARIABLE: Final = re.compile(r"%\(([^()]+)\)s")
_NO_CONTINUATION: Final = (b"#", b";", b"[")


def joined(lines: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Give the lines with their numbers, from 1, each with what continues it."""
    index = 0
    while index < len(lines):
        number, line = index + 1, lines[index]
        index += 1
        while index < len(lines) and _goes_on(line, lines[index]):
            line = line.rstrip()[:-1] + lines[index].strip()
            index += 1
        yield number, line


def _goes_on(line: bytes, following: bytes) -> bool:
    first, after = line.strip(), following.strip()
    if len(line) > MAX_LINE_BYTES or not first.endswith(b"\\") or b"=" not in first:
        return False
    return bool(after) and not (
        first.startswith(_NO_CONTINUATION) or after.startswith(_NO_CONTINUATION) or b"=" in after
    )


def interpolated(section: Section, report: Report) -> Section:
    """Put in what ``%(key)s`` stands for."""
    if not any("%(" in entry.value for entry in section.entries.values()):
        return section
    reader = _Interpolation(section.entries)
    entries = {}
    for key, entry in section.entries.items():
        entries[key] = entry
        try:
            entries[key] = evolve(entry, value=reader.value(entry, 0))
        except BadValueError as why:
            report.problem(str(why), entry)
    return section.with_entries(entries)


@define
class _Interpolation:
    """The values of one section."""

    _entries: Mapping[str, Entry]
    _known: dict[str, str] = field(factory=dict, init=False)

    def value(self, entry: Entry, depth: int) -> str:
        """Give a value with all that is in it."""
        if depth > MAX_DEPTH:
            raise BadValueError(f"%(…)s within one another more than {MAX_DEPTH} times")
        if entry.key not in self._known:
            found = _VARIABLE.sub(lambda name: self._inner(entry, name, depth), entry.value)
            if len(found) > MAX_LINE_BYTES:
                raise BadValueError(f"becomes longer than {MAX_LINE_BYTES} characters")
            self._known[entry.key] = found
        return self._known[entry.key]

    def _inner(self, entry: Entry, name: re.Match[str], depth: int) -> str:
        other = self._entries.get(name[1])
        # A secret stays where it is masked in messages.
        if other is None or other is entry or (is_secret(other.key) and not is_secret(entry.key)):
            return name[0]
        return self.value(other, depth + 1)


def inherited(
    section: Section, by_name: Mapping[str, Section], known: frozenset[str], report: Report
) -> Section:
    """Add what ``[a.b]`` has from ``[a]``.

    Args:
        section: that may have such a name.
        by_name: all that it may have something from.
        known: keys that are of use to it.
        report: is told.
    """
    entries = dict(section.entries)
    for name in parents(section.name):
        parent = by_name.get(name)
        found = parent.entries if parent else {}
        more = {key: found[key] for key in found if key in known and key not in entries}
        if parent and more:
            what = f"has {', '.join(more)} from {parent.place}, as frp has it since 0.36"
            report.warn(what, section)
        entries.update(more)
    return section.with_entries(entries)


def parents(name: str) -> Iterator[str]:
    """Give the names from whose sections one of this name may have something, the nearest first."""
    while "." in name and len(name) <= MAX_NAME_CHARACTERS:
        name = name.rpartition(".")[0]
        yield name
