# -*- test-case-name: tests.client.plugins.test_listing -*-
"""A page that lists a directory, made in pieces: directories may be long."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from html import escape
from itertools import islice
from typing import AnyStr, Final
from urllib.parse import quote

from tunnelsvc.client.plugins.pieces import Pieces
from tunnelsvc.units import KiB

BATCH_ENTRIES: Final = 200
"""Entries that are looked at in one turn of the reactor: some milliseconds."""
MOST_ENTRIES: Final = 10_000
"""That are listed: they have to be sorted, and so be in memory, 2 MiB for each user who asks and
doesn't take the page."""

SECURITY_POLICY: Final = b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
"""Of the page, which has a style sheet and nothing else."""

_HEAD: Final = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Index of {path}</title>
<style>td {{ padding-right: 2em }} td + td {{ text-align: right; white-space: nowrap }}</style>
</head>
<body><h1>Index of {path}</h1>
<table>
"""
_ROW: Final = '<tr><td><a href="{href}">{name}</a></td><td>{size}</td><td>{changed}</td></tr>\n'
_CUT: Final = "<tr><td>There are more than {most} entries; the rest isn't shown.</td></tr>\n"
_TAIL: Final = "</table></body>\n</html>\n"
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def list_directory(
    entries: Iterator[os.DirEntry[AnyStr]],
    path: str,
    *,
    parent: bool,
    shown: Callable[[os.DirEntry[AnyStr]], bool],
) -> Pieces:
    """List a directory.

    Args:
        entries: from ``os.scandir``.
        path: as the user sees it.
        parent: whether there is something above that the user may see.
        shown: whether an entry may be seen.
    """
    found: list[os.DirEntry[AnyStr]] = []
    while len(found) <= MOST_ENTRIES and (batch := list(islice(entries, BATCH_ENTRIES))):
        found += filter(shown, batch)
        yield b""
    cut = len(found) > MOST_ENTRIES
    del found[MOST_ENTRIES:]
    found.sort(key=lambda entry: os.fsencode(entry.name))
    yield _HEAD.format(path=escape(path)).encode() + (_up() if parent else b"")
    for first in range(0, len(found), BATCH_ENTRIES):
        yield "".join(map(_row, found[first : first + BATCH_ENTRIES])).encode()
    yield ((_CUT.format(most=MOST_ENTRIES) if cut else "") + _TAIL).encode()


def _up() -> bytes:
    return _ROW.format(href="../", name="../", size="", changed="").encode()


def _row(entry: os.DirEntry[AnyStr]) -> str:
    name, size, changed = os.fsencode(entry.name), "", ""
    with suppress(OSError):  # gone meanwhile, or nowhere a link leads to
        info = entry.stat()
        changed = f"{datetime.fromtimestamp(int(info.st_mtime), UTC):%Y-%m-%d %H:%M}"
        if stat.S_ISDIR(info.st_mode):
            name += b"/"
        else:
            size = _size(info.st_size)
    return _ROW.format(
        # "./" lest a colon in the name make it a scheme.
        href=f"./{quote(name)}",
        name=escape(name.decode("utf-8", "replace")),
        size=size,
        changed=changed,
    )


def _size(size: float) -> str:
    for unit in _UNITS[:-1]:
        if size < KiB:
            return f"{size:.3g} {unit}"
        size /= KiB
    return f"{size:.3g} {_UNITS[-1]}"
