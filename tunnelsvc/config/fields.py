# -*- test-case-name: tests.config.test_fields -*-
"""A configuration's fields by name, for those who compare two and take of one what can be had.

A field is named ``bind_port``, one of its groups ``tls.only``.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

import attrs

from tunnelsvc.config import keys

T = TypeVar("T")

_SAID_OTHERWISE: Final = {
    "path": "",
    "tcp_mux_chosen": "tcp_mux",
    "server_addr": "server_addr",
    "certificates": "[certificate.NAME]",
    "plugins": "[plugin.NAME]",
    "dashboard.credentials_configured": "dashboard_pwd",
}
"""Fields that are set by a key besides its own, or by more than a key, and what sets them."""


def leaves(config: Any, but: Iterable[str] = ()) -> Iterator[tuple[str, Any]]:
    """Give each field with its value, those of groups one by one.

    Args:
        config: a server's or a client's.
        but: names of fields that are left out.
    """
    for each in attrs.fields(type(config)):
        value = getattr(config, each.name)
        if each.name in but:
            continue
        if attrs.has(type(value)):
            yield from ((f"{each.name}.{name}", inner) for name, inner in leaves(value))
        else:
            yield each.name, value


def changed(old: T, new: T, but: Iterable[str] = ()) -> dict[str, Any]:
    """Give the fields that differ, in the order of the class, with their new values."""
    before = dict(leaves(old, but))
    return {name: value for name, value in leaves(new, but) if before[name] != value}


def replaced(config: T, values: Mapping[str, Any]) -> T:
    """Exchange fields, those of groups, too."""
    own = {name: value for name, value in values.items() if "." not in name}
    for group in {name.partition(".")[0] for name in values if "." in name}:
        own[group] = replaced(getattr(config, group), keys.group(dict(values), group))
    return attrs.evolve(config, **own)  # type: ignore[misc]


def keys_of(names: Iterable[str], table: keys.Table) -> list[str]:
    """Name the keys of fields, as INI files have them; each once.

    Args:
        names: of fields. The file's own path isn't named, and what no key sets goes by its name.
        table: the keys of the file.
    """
    by_field = {key.field: name for name, key in table.keys.items()}
    by_field.update((prefix.field, name) for name, prefix in table.prefixes.items())
    by_field.update(_SAID_OTHERWISE)
    found = (by_field.get(name, name) for name in names)
    return list(dict.fromkeys(filter(None, found)))
