# -*- test-case-name: tests.config.test_convert -*-
"""An INI file to TOML.

All that the file sets is in the result under frp's names (`tunnelsvc.config.names`), so that frp
takes it as well, but for keys that are only ours. What stays behind: comments. ``{{ .Envs.NAME }}``
stays what it is; a range of proxies becomes a range in a template.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import define, field

from tunnelsvc.config import files, keys, legacy, names, values
from tunnelsvc.config.dialect import inherited
from tunnelsvc.config.naming import Kind, Name, Names
from tunnelsvc.config.numbers import parse_numbers
from tunnelsvc.config.ranges import RANGES
from tunnelsvc.config.report import Entry, Report, Section
from tunnelsvc.errors import ConfigError

_VARIABLE: Final = re.compile(r"\{\{ \.Envs\.(\w+) \}\}")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")

_RANGE_PORTS: Final = {"local_port": "{{ $v.First }}", "remote_port": "{{ $v.Second }}"}
_TLS_MODE: Final = "dashboard_tls_mode"
_NEVER_EMPTY: Final = "webServer.tls."
"""A table that turns TLS on in frp, whatever is in it."""


class _Variables(Mapping[str, str]):
    """An environment in which each variable stands for itself."""

    def __getitem__(self, name: str) -> str:
        return f"{{{{ .Envs.{name} }}}}"

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def convert(path: str, role: files.Role) -> tuple[str, tuple[str, ...]]:
    """Turn an INI file into TOML.

    Args:
        path: the file; of a client, it may be one that another one includes.
        role: whose it is.

    Returns:
        The text, and what its owner should know, a line each.

    Raises:
        ConfigError: with everything that can't be converted.
    """
    report = Report(path)
    sections = dict(legacy.parse(legacy.read(path), _Variables(), report))
    common = sections.pop(files.COMMON, None)
    if common is None and (role == "server" or not sections):
        hint = " (for a file that another one includes, say --role client)" if sections else ""
        report.fail(f"there is no section [common]{hint}")
    if role == "client":
        by_name = {name: each for name, each in sections.items() if not name.startswith(RANGES)}
        sections = {
            name: inherited(each, by_name, files.known_keys(each, by_name), report)
            for name, each in sections.items()
        }
    writer = _Writer(role, sections, report)
    if common is not None:
        writer.common(common)
    for section in sections.values():
        writer.section(section)
    warnings = report.finish()
    return "\n".join([*writer.lines, ""]), warnings


def write(path: str, text: str) -> None:
    """Write a file that there isn't yet; only its owner reads it, for it holds secrets.

    Raises:
        ConfigError: it can't be written, or is there.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as why:
        raise ConfigError([f"{path}: can't be written: {why.strerror or why}"]) from None
    except ValueError:
        raise ConfigError([f"{path!r}: can't be the name of a file"]) from None


@define
class _Writer:
    """Writes TOML.

    Attributes:
        lines: of the result.
    """

    _role: files.Role
    _sections: Mapping[str, Section]
    """All but [common]."""
    _report: Report
    lines: list[str] = field(factory=list, init=False)

    def common(self, section: Section) -> None:
        """Write what concerns the whole program."""
        server = self._role == "server"
        own = names.SERVER if server else names.CLIENT
        entries = dict(section.entries)
        if server:
            self._dashboard(entries)
        elif "start" in entries:
            entries["start"] = self._start(entries["start"])
        self._entries(section.with_entries(entries), own, keys.SERVER if server else keys.CLIENT)
        if "includes" in entries and entries["includes"].value:
            what = "the files that it names are still INI files, which a real frpc won't take"
            self._report.warn(what, entries["includes"])

    def _dashboard(self, entries: dict[str, Entry]) -> None:
        """Say what means something else in TOML if it isn't said: address and TLS."""
        mode = entries.pop(_TLS_MODE, None)
        if mode is None or mode.value.lower() in values.NO:
            for key in "dashboard_tls_cert_file", "dashboard_tls_key_file":
                entries.pop(key, None)
        if any(key.startswith("dashboard_") for key in entries) and "dashboard_addr" not in entries:
            bind = entries.get("bind_addr")
            addr = bind.value if bind else "0.0.0.0"  # noqa: S104 - what frp has for nothing
            entries["dashboard_addr"] = Entry(files.COMMON, "dashboard_addr", addr, 0)

    def _start(self, entry: Entry) -> Entry:
        """Name the proxies of ranges."""
        found: list[str] = []
        for name in values.items(entry.value):
            section = self._sections.get(name)
            ports = section.entries.get("local_port") if section else None
            if name.startswith(RANGES) and ports and "{{" not in ports.value:
                start = name.removeprefix(RANGES).strip()
                try:
                    found += [f"{start}_{n}" for n in range(len(parse_numbers(ports.value)))]
                except values.BadValueError as why:
                    self._report.problem(str(why), ports)
            else:
                found.append(name)
        return Entry(entry.section, entry.key, ",".join(found), entry.line)

    def section(self, section: Section) -> None:
        """Write a proxy, a visitor, a certificate or a server plugin."""
        if self._role == "server":
            for array in names.SERVER_ARRAYS:
                if section.name.startswith(array.section):
                    name = section.name.removeprefix(array.section)
                    table = keys.HOOK if array.names is names.HOOK else keys.CERTIFICATE
                    self._array(array.name, name, section, array.names, table)
                    return
            self._report.warn("left out: proxies belong in the client's file", section)
        elif section.name.startswith(RANGES):
            self._range(section)
        else:
            self._client_section(section, section.name)

    def _client_section(self, section: Section, name: str) -> None:
        """Write a proxy or a visitor.

        Args:
            section: where it is.
            name: of the proxy.
        """
        role = section.entries.get("role")
        kind = section.entries.get("type")
        entries = {key: entry for key, entry in section.entries.items() if key != "role"}
        if not kind or not kind.value:
            entries = {"type": Entry(section.name, "type", "tcp", section.line), **entries}
        plugin = entries.get("plugin")
        if plugin is None or not plugin.value:
            entries = {k: e for k, e in entries.items() if not k.startswith("plugin")}
        own = section.with_entries(entries)
        if role is not None and role.value.lower() == "visitor":
            self._array("visitors", name, own, names.VISITOR, keys.VISITOR)
        else:
            table = keys.PROXIES.get(entries["type"].value)
            self._array("proxies", name, own, names.PROXY, table)

    def _range(self, section: Section) -> None:
        arguments: list[str] = []
        for key in _RANGE_PORTS:
            port = section.entries.get(key)
            try:
                arguments.append(_argument(port.value if port else ""))
            except values.BadValueError as why:
                self._report.problem(f"{key}: {why}", port or section)
                return
        entries = {
            key: Entry(section.name, key, _RANGE_PORTS.get(key, _from_top(entry.value)), entry.line)
            for key, entry in section.entries.items()
        }
        function = f"parseNumberRangePair {' '.join(arguments)}"
        self.lines += ["", f"{{{{- range $i, $v := {function} }}}}"]
        name = section.name.removeprefix(RANGES).strip()
        self._client_section(section.with_entries(entries), f"{name}_{{{{ $i }}}}")
        self.lines += ["{{- end }}"]

    def _array(
        self, array: str, name: str, section: Section, own: Names, table: keys.Table | None
    ) -> None:
        self.lines += ["", f"[[{array}]]", f"name = {_quoted(name)}"]
        self._entries(section, own, table)

    def _entries(self, section: Section, own: Names, table: keys.Table | None) -> None:
        """Write the keys of a section.

        Args:
            section: of the file.
            own: how keys are called.
            table: which keys it may have; None: a type of proxy that we don't have.
        """
        several: dict[str, list[str]] = {}
        for entry in section.entries.values():
            key, name = _name(entry.key, own)
            foreign = table is not None and not _has(table, entry.key)
            if name is not None and not entry.value and name.path.startswith(_NEVER_EMPTY):
                continue
            if name is None or foreign:
                self._report.warn("left out: it does nothing here", entry)
                continue
            try:
                self._entry(entry, key, name, several)
            except values.BadValueError as why:
                self._report.problem(str(why), entry)
        self.lines += [f"{path} = [{', '.join(items)}]" for path, items in several.items()]

    def _entry(self, entry: Entry, key: str, name: Name, several: dict[str, list[str]]) -> None:
        text = entry.value
        if name.kind is Kind.SCOPE:
            scopes = several.setdefault(name.path, [])
            if "{{" in text:
                raise values.BadValueError("must be true or false to be converted")
            if values.boolean(text):
                scopes.append(_quoted(name.word))
        elif name.kind is Kind.HEADERS:
            header = f"{{ name = {_quoted(entry.key.removeprefix(key))}, value = {_quoted(text)} }}"
            several.setdefault(name.path, []).append(header)
        elif name.kind is Kind.TEXTS:
            inner = entry.key.removeprefix(key)
            bare = inner if _BARE_KEY.fullmatch(inner) else _quoted(inner)
            self.lines.append(f"{name.path}.{bare} = {_quoted(text)}")
        else:
            self.lines.append(f"{name.path} = {_value(name.kind, text)}")


def _name(key: str, own: Names) -> tuple[str, Name | None]:
    """Find the name of a key, or of all that begin like it."""
    if key in own.by_key:
        return key, own.by_key[key]
    for start, name in own.by_key.items():
        if start.endswith("_") and key.startswith(start):
            return start, name
    return key, None


def _has(table: keys.Table, key: str) -> bool:
    known = key in table.keys or key.startswith(tuple(table.prefixes))
    return (
        known
        or key in table.not_yet
        or key.startswith(keys.PLUGIN_PARAMETERS)
        or any(pattern.endswith("*") and key.startswith(pattern[:-1]) for pattern in table.not_yet)
    )


def _value(kind: Kind, text: str) -> str:
    if kind is Kind.NUMBER and not ("{{" in text or _INTEGER.fullmatch(text)):
        raise values.BadValueError("not a number")
    if kind is Kind.NUMBER:
        return text if "{{" in text else str(int(text))
    if kind is Kind.FLAG:
        return text if "{{" in text else str(values.boolean(text)).lower()
    if kind is Kind.PORTS:  # of which there are as many as the text says, so it must say so
        return f"[{', '.join(_port_range(each) for each in values.port_ranges(text))}]"
    if kind is Kind.LIST or (kind is Kind.TEXT_OR_LIST and "," in text):
        return f"[{', '.join(map(_quoted, values.items(text)))}]"
    return _quoted(text)


def _port_range(ports: range) -> str:
    if len(ports) == 1:
        return f"{{ single = {ports[0]} }}"
    return f"{{ start = {ports[0]}, end = {ports[-1]} }}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{escaped}"'


def _argument(text: str) -> str:
    """Write an argument of a template's function."""
    variable = _VARIABLE.fullmatch(text)
    if variable is None:
        parse_numbers(text)
    return f"$.Envs.{variable[1]}" if variable else f'"{text}"'


def _from_top(text: str) -> str:
    """Name variables as they are called within a range."""
    return _VARIABLE.sub(r"{{ $.Envs.\1 }}", text)
