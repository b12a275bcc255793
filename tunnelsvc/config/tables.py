# -*- test-case-name: tests.config.test_tables -*-
"""A document's tables to the sections of an INI file that says the same.

So everything behind this, what a value may be and what fits what, is there once for all formats.
"""

from collections.abc import Iterator
from typing import Any, Final

from attrs import define, field

from tunnelsvc.config.document import Tree
from tunnelsvc.config.legacy import unfit_character
from tunnelsvc.config.naming import Array, Kind, Name, Names
from tunnelsvc.config.report import UNKNOWN_KEY, Entry, Report, Section, nearest, shorten
from tunnelsvc.config.tokensource import TOKEN_SOURCE, read_token
from tunnelsvc.config.values import BadValueError

# Whole numbers have fewer bits; longer ones Python doesn't even show.
_MOST: Final = 2**63

_ENDS: Final = ("start", "end")
_SINGLE: Final = "single"
_VERSION: Final = "version"
"""What frp's schema has at the top without ever looking at it."""


def read_common(tree: Tree, names: Names, arrays: tuple[Array, ...], report: Report) -> Section:
    """Read what is outside of all arrays.

    Args:
        tree: the document.
        names: of the keys.
        arrays: to be left out.
        report: gets what is wrong; its source is the document.
    """
    left_out = {array.name.lower() for array in arrays} | {_VERSION}
    own = {key: value for key, value in tree.items() if key.lower() not in left_out}
    reader = _Reader(names, "", report)
    reader.read(own, "")
    return Section("common", 0, reader.entries, shown="", source=report.source)


def read_arrays(tree: Tree, arrays: tuple[Array, ...], report: Report) -> Iterator[Section]:
    """Read what there may be any number of, such as proxies."""
    for array in arrays:
        for key, value in tree.items():
            if key.lower() != array.name.lower() or value is None:
                continue
            if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
                report.problem(f"{array.name}: must be a list of tables, as [[{array.name}]]")
                continue
            yield from _read_array(value, array, report)


def _read_array(tables: list[Tree], array: Array, report: Report) -> Iterator[Section]:
    taken: set[str] = set()
    for number, table in enumerate(tables, start=1):
        name, rest = _name(table)
        if not isinstance(name, str) or not name or unfit_character(name):
            where = f"{array.name}, number {number}"
            report.problem(f"{where}: name is missing, or no text of one line")
            continue
        if name in taken:
            report.problem(f"{array.name}: the name [{shorten(name)}] is duplicated")
            continue
        taken.add(name)
        shown = f"{array.name}.{name}"
        reader = _Reader(array.names, shown, report)
        for key, value in array.implied.items():
            reader.add(key, value, "")
        reader.read(rest, "")
        full_name = f"{array.section}{name}"
        yield Section(full_name, 0, reader.entries, shown=shown, source=report.source)


def _name(table: Tree) -> tuple[Any, Tree]:
    names = [key for key in table if key.lower() == "name"]
    rest = {key: value for key, value in table.items() if key not in names}
    return (table[names[0]] if names else None), rest


@define
class _Reader:
    """Reads one table with what is in it.

    Attributes:
        entries: what an INI file would have, by its key.
    """

    _names: Names
    _shown: str
    """What messages call the table."""
    _report: Report
    entries: dict[str, Entry] = field(factory=dict, init=False)
    _keys: dict[str, list[str]] = field(factory=dict, init=False)
    """Keys of INI files by path, in small letters: Go's JSON takes letters of either size."""
    _tables: set[str] = field(factory=set, init=False)
    """Paths at which there are tables, in small letters."""

    def __attrs_post_init__(self) -> None:
        for key, name in self._names.by_key.items():
            self._keys.setdefault(name.path.lower(), []).append(key)
        for path in [*self._keys, *self._names.subtrees]:
            parts = path.lower().split(".")
            self._tables |= {".".join(parts[:count]) for count in range(1, len(parts))}

    def add(self, key: str, value: str, path: str) -> None:
        """Add what an INI file would have as ``key = value``."""
        entry = Entry(self._shown, key, value, 0, shown=path, source=self._report.source)
        if self.entries.setdefault(key, entry) is not entry:
            self._report.problem(f"{entry.place}: the key is there twice")

    def read(self, table: Tree, path: str) -> None:
        """Read a table at a path; empty: the one that this reads."""
        for key, value in table.items():
            inner = f"{path}.{key}" if path else key
            if value is None:
                continue
            if unfit_character(key):
                self._report.problem(f"{self._place(path)}: a key that is no text of one line")
            elif inner.lower() in self._keys:
                self._read_value(inner, value)
            elif (start := self._subtree(inner)) is not None:
                self._refused(start, value, inner)
            elif inner.lower() == TOKEN_SOURCE.lower() and "token" in self._names.by_key:
                self._token(value, inner)
            elif inner.lower() in self._tables:
                self._read_table(inner, value)
            else:
                self._unknown(inner)

    def _place(self, path: str) -> str:
        return Entry(self._shown, "", "", 0, shown=path or "the top").place

    def _subtree(self, path: str) -> str | None:
        found = (
            start for name, start in self._names.subtrees.items() if name.lower() == path.lower()
        )
        return next(found, None)

    def _read_table(self, path: str, value: object) -> None:
        if isinstance(value, dict):
            self.read(value, path)
        else:
            self._report.problem(f"{self._place(path)}: must be a table, such as {path}.… = …")

    def _read_value(self, path: str, value: object) -> None:
        keys = self._keys[path.lower()]
        name = self._names.by_key[keys[0]]
        entry = Entry(self._shown, keys[0], _show(value), 0, name.path, self._report.source)
        try:
            for key, text in self._texts(keys, name, value):
                inner = key.removeprefix(keys[0]) if name.kind in _SEVERAL else ""
                self.add(key, text, f"{name.path}.{inner}" if inner else name.path)
        except BadValueError as why:
            self._report.problem(str(why), entry)
            if name.kind in _CONVERTERS:
                # So that nobody thinks that it is missing.
                self.entries.setdefault(keys[0], entry)

    def _texts(self, keys: list[str], name: Name, value: object) -> Iterator[tuple[str, str]]:
        """Give key and value for each that an INI file has."""
        if name.kind is Kind.SCOPE:
            yield from self._scopes(keys, value)
        elif name.kind is Kind.TEXTS:
            for key, text in _table(value).items():
                yield f"{keys[0]}{_text(key)}", _text(text)
        elif name.kind is Kind.HEADERS:
            for header in _list(value):
                yield f"{keys[0]}{_member(header, 'name')}", _member(header, "value")
        else:
            yield keys[0], _CONVERTERS[name.kind](value)

    def _scopes(self, keys: list[str], value: object) -> Iterator[tuple[str, str]]:
        words = {self._names.by_key[key].word: key for key in keys}
        found = {_text(item) for item in _list(value)}
        if not found <= words.keys():
            raise BadValueError(f"not a list of these: {', '.join(words)}")
        for word, key in words.items():
            yield key, "true" if word in found else "false"

    def _refused(self, start: str, value: object, path: str) -> None:
        """Pass on what frp has and we don't, so that it is refused unless it is off."""
        if isinstance(value, dict):
            for key, inner in value.items():
                self._refused(f"{start}{key}_", inner, f"{path}.{key}")
        else:
            off = value is None or value in ([], "", 0, False)
            shown = "" if off else _show(value)
            self.add(start.rstrip("_"), shown, path)

    def _token(self, value: object, path: str) -> None:
        try:
            token = read_token(_table(value))
        except BadValueError as why:
            self._report.problem(f"{self._place(path)}: {why}")
            return
        self.add("token", token, path)

    def _unknown(self, path: str) -> None:
        known = self._names.by_key
        if path in known:  # as it is in an INI file
            what = f"{UNKNOWN_KEY}; here it is {known[path].path}"
        elif self._report.is_full:
            what = UNKNOWN_KEY
        else:
            meant = _nearest_path(path, sorted({name.path for name in known.values()}))
            what = f"{UNKNOWN_KEY}; did you mean {meant}?" if meant else UNKNOWN_KEY
        self._report.useless(
            what, Entry(self._shown, path, "", 0, shown=path, source=self._report.source)
        )


def _nearest_path(path: str, known: list[str]) -> str | None:
    """Look among what is in the same table first, then for a name that another table has."""
    table, _, key = path.rpartition(".")
    beside = [other for other in known if other.rpartition(".")[0].lower() == table.lower()]
    for paths in beside, known:
        by_key = {other.rpartition(".")[2]: other for other in reversed(paths)}
        meant = nearest(key, by_key)
        if meant:
            return by_key[meant]
    return None


def _show(value: object) -> str:
    """Write a value as messages show it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) < _MOST:
        return str(value)
    if isinstance(value, str):
        return f'"{value}"' if not unfit_character(value) else "…"
    if isinstance(value, list):
        return "[…]"
    return "{…}" if isinstance(value, dict) else "…"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadValueError("must be a text: in quotes")
    unfit = unfit_character(value)
    if unfit:
        raise BadValueError(f"holds the character {unfit}, which is no text")
    return value


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValueError("must be a whole number, without quotes")
    if abs(value) >= _MOST:
        raise BadValueError("a number with far too many digits")
    return str(value)


def _flag(value: object) -> str:
    if not isinstance(value, bool):
        raise BadValueError("must be true or false, without quotes")
    return str(value).lower()


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise BadValueError("must be a list, in brackets")
    return value


def _table(value: object) -> Tree:
    if not isinstance(value, dict):
        raise BadValueError("must be a table")
    return value


def _items(value: object) -> str:
    found = [_text(item) for item in _list(value)]
    if any("," in item for item in found):
        raise BadValueError("no item may hold a comma")
    return ",".join(found)


def _text_or_items(value: object) -> str:
    return _items(value) if isinstance(value, list) else _text(value)


def _member(value: object, name: str) -> str:
    members = {key.lower(): member for key, member in _table(value).items()}
    if set(members) != {"name", "value"}:
        raise BadValueError('must be a list of { name = "…", value = "…" }')
    return _text(members[name])


def _ports(value: object) -> str:
    return ",".join(_port_range(each) for each in _list(value))


def _port_range(value: object) -> str:
    ports = {key.lower(): port for key, port in _table(value).items()} if value else {}
    if set(ports) == {_SINGLE}:
        return _number(ports[_SINGLE])
    if set(ports) == set(_ENDS):
        return "-".join(_number(ports[end]) for end in _ENDS)
    raise BadValueError("must be a list of { start = 2000, end = 3000 } and { single = 3001 }")


_SEVERAL: Final = frozenset({Kind.TEXTS, Kind.HEADERS})
"""What stands for several keys of an INI file, each with a name of its own."""

_CONVERTERS: Final = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.FLAG: _flag,
    Kind.LIST: _items,
    Kind.TEXT_OR_LIST: _text_or_items,
    Kind.PORTS: _ports,
}
