# -*- test-case-name: tests.config.test_includes -*-
"""``includes``: which files more proxies and visitors are in."""

import os
import re
from collections.abc import Iterator
from fnmatch import translate
from pathlib import Path
from typing import Final

# Files of one configuration: one for each of some hundred services.
MAX_FILES: Final = 1000

# What is in brackets, an escaped character, or another one.
_PART: Final = re.compile(r"\[\^?[^\[\]\\^]+\]|\\.|[^\[\\]", re.DOTALL)


class IncludeError(Exception):
    """A pattern that names nothing that could be read; the message says why."""


def files(pattern: str) -> Iterator[str]:
    """Give the files that a pattern names, in the order of their names.

    As in frp only the last part of the pattern may have ``*``, ``?`` and ``[a-z]``, and a relative
    one is below the directory in which the program runs.

    Raises:
        IncludeError: it is no pattern, or there is no such directory.
    """
    directory, name = os.path.split(pattern)
    match = _matcher(name)
    try:
        entries = sorted(os.scandir(directory or "."), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        raise IncludeError(f"include: directory of {pattern} not exist") from None
    except (OSError, ValueError) as why:
        reason = getattr(why, "strerror", None) or "can't be the name of one"
        raise IncludeError(f"include: directory of {pattern} can't be read: {reason}") from None
    for entry in entries:
        if match.fullmatch(entry.name) and _is_meant(entry):
            yield str(Path(directory, entry.name))


def _is_meant(entry: "os.DirEntry[str]") -> bool:
    """Tell whether a pattern means it: no directory, and no pipe or socket, which may never end."""
    return entry.is_file() or not Path(entry.path).exists()  # a link to nothing is an error


def _matcher(pattern: str) -> re.Pattern[str]:
    """Compile the pattern of a name, as Go's filepath.Match has it."""
    # fnmatch differs in what negates, and knows no backslash; it takes no long time with any name.
    parts = _PART.findall(pattern)
    if "".join(parts) != pattern:
        raise IncludeError(f"include: {pattern} has a [ without ], or \\ in it or at the end")
    return re.compile(translate("".join(map(_as_fnmatch, parts))))


def _as_fnmatch(part: str) -> str:
    if part.startswith("\\"):
        return f"[{part[1]}]"
    if part.startswith("[!"):
        return f"[{part[2:-1]}!]"
    return part.replace("[^", "[!", 1)
