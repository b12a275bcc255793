# -*- test-case-name: tests.config.test_files -*-
"""A file of any format to the sections that are in it.

As in frp the content tells the format, never the file's name: a section ``[common]`` makes it an
INI file.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from attrs import frozen

from tunnelsvc.config import keys, legacy
from tunnelsvc.config.dialect import inherited, parents
from tunnelsvc.config.numbers import MAX_NUMBERS
from tunnelsvc.config.ranges import expanded
from tunnelsvc.config.report import Entry, Report, Section, Source
from tunnelsvc.units import MiB

Role = Literal["client", "server"]
"""Whose configuration a file is."""

COMMON: Final = "common"

# Bytes of all the files that one includes.
MAX_INCLUDED_BYTES: Final = 16 * MiB

_COMMON_HEADING: Final = re.compile(rb"^[ \t]*\[[ \t]*common[ \t]*\]", re.MULTILINE)
_HEADING: Final = re.compile(r"\[\s*([^\[\]]*?)\s*\]")
_KEY: Final = re.compile(r"([A-Za-z]\w*)\s*=")


@frozen
class Settings:
    """What one needs to know to read a file.

    Attributes:
        environ: what ``{{ .Envs.NAME }}`` stands for.
        role: whose file it is.
        strict: whether an unknown key in TOML, YAML and JSON is an error.
    """

    environ: Mapping[str, str]
    role: Role
    strict: bool


@frozen
class File:
    """What is in a file.

    Attributes:
        common: what concerns the whole program.
        others: proxies and so on.
        is_ini: its format.
    """

    common: Section
    others: list[Section]
    is_ini: bool


def load(path: str, settings: Settings, report: Report) -> File:
    """Read a file.

    Args:
        path: the file.
        settings: see there.
        report: gets what is wrong, and from now on speaks as the file does.

    Raises:
        ConfigError: it can't be read, or there is nothing to be had from it.
    """
    content = legacy.read(path)
    if _COMMON_HEADING.search(content) or _looks_like_ini(_first_line(content)):
        return _ini(content, settings, report)
    return _document(content, settings, report)


def load_included(
    patterns: tuple[str, ...], file: File, settings: Settings, report: Report
) -> Iterator[Section]:
    """Read the proxies and visitors of the files that a client's file includes.

    Args:
        patterns: see `tunnelsvc.config.includes`.
        file: that has them.
        settings: as for that file.
        report: on that file.

    Raises:
        ConfigError: see `load`.
    """
    if not patterns:
        return
    from tunnelsvc.config import includes  # noqa: PLC0415 - most files include none

    where = file.common.find("includes")
    names: list[str] = []
    for pattern in patterns:
        try:
            more = [name for name in includes.files(pattern) if name not in names]
        except includes.IncludeError as why:
            report.problem(str(why), where)
            continue
        if not more:
            report.warn(f"there is no file {pattern}", where)
        names.extend(more)
    if len(names) > includes.MAX_FILES:
        report.problem(f"includes more than {includes.MAX_FILES} files", where)
        return
    size = sections = 0
    for name in names:
        content = legacy.read(name)
        size += len(content)
        if size > MAX_INCLUDED_BYTES:
            report.fail(f"includes more than {MAX_INCLUDED_BYTES} bytes")
        found = _included(content, settings, report.of(Source(name)), ini=file.is_ini)
        sections += len(found)
        if sections > MAX_NUMBERS:
            report.fail(f"includes more than {MAX_NUMBERS} proxies and visitors")
        yield from found


def _included(content: bytes, settings: Settings, report: Report, *, ini: bool) -> list[Section]:
    first = _first_line(content)
    heading = _HEADING.fullmatch(first) is not None
    if not first:
        return []
    if _COMMON_HEADING.search(content) or (heading and ini) or _looks_like_ini(first):
        sections = dict(legacy.parse(content, settings.environ, report))
        common = sections.pop(COMMON, None)
        if common is not None:
            report.warn("ignored: an included file is there for proxies and visitors", common)
        return _ini_sections(sections, settings, report)
    file = _document(content, settings, report)
    for entry in file.common.entries.values():
        report.warn("ignored: an included file is there for proxies and visitors", entry)
    return file.others


def _first_line(content: bytes) -> str:
    """Return the first line that says something."""
    for raw in content.removeprefix(legacy.BYTE_ORDER_MARK).split(b"\n"):
        line = raw.strip()
        if line and not line.startswith((b"#", b";")):
            return line.decode(errors="replace")
    return ""


def _looks_like_ini(line: str) -> bool:
    """Tell from its first line whether a file was meant to be an INI file."""
    from tunnelsvc.config import names  # noqa: PLC0415 - INI files have [common] and don't need it

    paths = [array.name for array in (*names.SERVER_ARRAYS, *names.CLIENT_ARRAYS)]
    for each in (names.SERVER, names.CLIENT):
        paths += [*(name.path for name in each.by_key.values()), *each.subtrees]
    tops = {path.partition(".")[0].lower() for path in paths}
    heading = _HEADING.match(line)
    if heading and not line.startswith("[["):
        return heading[1].partition(".")[0].lower() not in tops
    key = _KEY.match(line)
    known = {*names.SERVER.by_key, *names.CLIENT.by_key}
    return key is not None and key[1] in known and key[1].lower() not in tops


def _ini(content: bytes, settings: Settings, report: Report) -> File:
    sections = dict(legacy.parse(content, settings.environ, report))
    common = sections.pop(COMMON, None)
    if common is None:
        report.fail("there is no section [common]")
    return File(common, _ini_sections(sections, settings, report), is_ini=True)


def _ini_sections(
    sections: dict[str, Section], settings: Settings, report: Report
) -> list[Section]:
    if settings.role == "server":
        return list(sections.values())
    found = expanded(list(sections.values()), report)
    if not any("." in section.name for section in found):
        return found
    by_name = {section.name: section for section in found}
    return [inherited(section, by_name, known_keys(section, by_name), report) for section in found]


def known_keys(section: Section, by_name: Mapping[str, Section]) -> frozenset[str]:
    """Say what may come to a section from another one: what its type has."""

    def value(key: str) -> str:
        for name in (section.name, *parents(section.name)):
            entry = by_name[name].entries.get(key) if name in by_name else None
            if entry is not None:
                return entry.value
        return ""

    visitor = value("role").lower() == "visitor"
    table = keys.VISITOR if visitor else keys.PROXIES.get(value("type") or "tcp")
    return frozenset(table.keys if table else ())


def _document(content: bytes, settings: Settings, report: Report) -> File:
    from tunnelsvc.config import (  # noqa: PLC0415 - only files of these formats need them
        document,
        gotemplate,
        names,
        tables,
    )

    report.source = Source(report.path, names.WORDS, settings.strict, zero_is_unset=True)
    text = _decoded(content, report)
    try:
        whole = gotemplate.expand(text, settings.environ)
    except gotemplate.TemplateError as why:
        report.fail(str(why), why.line)
    try:
        tree = document.parse(whole)
    except document.SyntaxProblem as why:
        if why.line and "{{" in text:
            report.fail(f"{why}; in line {why.line} of what the templates become")
        report.fail(str(why), why.line)
    server = settings.role == "server"
    arrays = names.SERVER_ARRAYS if server else names.CLIENT_ARRAYS
    common = tables.read_common(tree, names.SERVER if server else names.CLIENT, arrays, report)
    if server:
        _set_tls_mode(common)
    return File(common, list(tables.read_arrays(tree, arrays, report)), is_ini=False)


def _decoded(content: bytes, report: Report) -> str:
    content = content.removeprefix(legacy.BYTE_ORDER_MARK)
    try:
        return content.decode()
    except UnicodeDecodeError as why:
        line = content.count(b"\n", 0, why.start) + 1
        report.fail("not UTF-8; save the file in that encoding", line)


def _set_tls_mode(common: Section) -> None:
    """Turn the dashboard's TLS on where there is a table of it, as frp does."""
    entry = common.entries.get("dashboard_tls_cert_file")
    if entry is not None and entry.value and isinstance(common.entries, dict):
        common.entries["dashboard_tls_mode"] = Entry(
            entry.section, "dashboard_tls_mode", "true", 0, entry.shown, entry.source
        )
