# -*- test-case-name: tests.config.test_names -*-
"""What `tunnelsvc.config.names` is made of."""

from collections.abc import Mapping
from enum import Enum, auto

from attrs import field, frozen


class Kind(Enum):
    """What a value is in a document."""

    TEXT = auto()
    NUMBER = auto()
    FLAG = auto()
    LIST = auto()
    """Of texts; with commas between in an INI file."""
    TEXT_OR_LIST = auto()
    """Either, the same in an INI file."""
    TEXTS = auto()
    """A table of texts; in an INI file each is a key of its own, and this is how they begin."""
    PORTS = auto()
    """A list of ``{start, end}`` and ``{single}``; 1-3,5 in an INI file."""
    SCOPE = auto()
    """A flag that is on if its word is in the list of this name."""
    HEADERS = auto()
    """A list of ``{name, value}``; as `TEXTS` in an INI file."""


@frozen
class Name:
    """Where a key's value is in a document.

    Attributes:
        path: with dots, below the top, the proxy or whatever the key belongs to.
        kind: what is there.
        word: of a `Kind.SCOPE`.
    """

    path: str
    kind: Kind = Kind.TEXT
    word: str = ""


@frozen
class Names:
    """The names of one kind of table.

    Attributes:
        by_key: name by the key of an INI file; of a `Kind.TEXTS`, by how such keys begin.
        subtrees: what frp has in its newer formats only and we don't at all, by path, to how keys
            begin that stand for what is there.
        ours: paths of which frp knows nothing.
    """

    by_key: Mapping[str, Name]
    subtrees: Mapping[str, str] = field(factory=dict)
    ours: frozenset[str] = frozenset()


@frozen
class Array:
    """What a file has any number of, as ``[[name]]``.

    Attributes:
        name: of the array.
        section: how the names of such sections begin in an INI file.
        names: of what is in one.
        implied: keys that an INI file has in such a section besides.
    """

    name: str
    section: str
    names: Names
    implied: Mapping[str, str] = field(factory=dict)


def texts(names: Mapping[str, str]) -> dict[str, Name]:
    """Name texts: paths by key."""
    return {key: Name(path) for key, path in names.items()}


def numbers(names: Mapping[str, str]) -> dict[str, Name]:
    """Name whole numbers: paths by key."""
    return {key: Name(path, Kind.NUMBER) for key, path in names.items()}


def flags(names: Mapping[str, str]) -> dict[str, Name]:
    """Name flags: paths by key."""
    return {key: Name(path, Kind.FLAG) for key, path in names.items()}


def lists(names: Mapping[str, str]) -> dict[str, Name]:
    """Name lists of texts: paths by key."""
    return {key: Name(path, Kind.LIST) for key, path in names.items()}
