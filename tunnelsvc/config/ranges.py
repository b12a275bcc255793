# -*- test-case-name: tests.config.test_ranges -*-
"""``[range:x]`` of INI files: one section for many proxies, ``x_0``, ``x_1`` and so on."""

from collections.abc import Iterator
from typing import Final

from attrs import define, evolve, field

from tunnelsvc.config.numbers import MAX_NUMBERS, parse_numbers
from tunnelsvc.config.report import Entry, Report, Section
from tunnelsvc.config.values import BadValueError

RANGES: Final = "range:"
"""How the names of such sections begin."""

_PORTS: Final = ("local_port", "remote_port")


def expanded(sections: list[Section], report: Report) -> list[Section]:
    """Put in what the ranges among these sections stand for.

    Each has a list of numbers (`tunnelsvc.config.numbers`) as ``local_port`` and another one of
    the same length as ``remote_port``.
    """
    ranges = _Ranges(report)
    found: list[Section] = []
    for section in sections:
        if section.name.startswith(RANGES):
            found.extend(ranges.expand(section))
        else:
            found.append(section)
    return found


@define
class _Ranges:
    """Expands the ranges of a file, which together may not become too many."""

    _report: Report
    _count: int = field(default=0, init=False)

    def expand(self, section: Section) -> Iterator[Section]:
        """Make the sections of one range."""
        found = [self._numbers(key, section) for key in _PORTS]
        if not all(found):
            return
        if len(found[0]) != len(found[1]):
            counts = " and ".join(str(len(numbers)) for numbers in found)
            what = f"local_port and remote_port must have as many numbers ({counts})"
            self._report.problem(what, section)
            return
        self._count += len(found[0])
        if self._count > MAX_NUMBERS:
            self._report.problem(f"with this, more than {MAX_NUMBERS} proxies in ranges", section)
            return
        name = section.name.removeprefix(RANGES).strip()
        for index, ports in enumerate(zip(*found, strict=True)):
            yield _member(section, f"{name}_{index}", ports)

    def _numbers(self, key: str, section: Section) -> list[int]:
        entry = section.entries.get(key)
        if entry is None:
            self._report.problem(f"{key} is missing: such as 6000-6006,6010", section)
            return []
        try:
            return parse_numbers(entry.value)
        except BadValueError as why:
            self._report.problem(str(why), entry)
            return []


def _member(section: Section, name: str, ports: tuple[int, ...]) -> Section:
    entries: dict[str, Entry] = dict(section.entries)
    for key, port in zip(_PORTS, ports, strict=True):
        entries[key] = evolve(entries[key], value=str(port))
    return evolve(section, name=name, shown=section.name, entries=entries, origin=section.name)
