# -*- test-case-name: tests.quick.test_screen -*-
"""What the user of ``tunnelsvc http`` and the like sees, and where scripts find the URL."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Final, TextIO

from attrs import define, field, frozen

from tunnelsvc.console import box
from tunnelsvc.units import KiB

MOST_TARGET_CHARACTERS: Final = 200
"""Of a request's path in its line."""
_COLOURS: Final = {"2": "32", "3": "36", "4": "33", "5": "31"}
"""By a status' first digit: codes of ECMA-48 8.3.117, green to red."""


@frozen(kw_only=True)
class Answered:
    """A request that is over.

    Attributes:
        method: its.
        path: its, with the query.
        status: of the answer; None: there is none.
        ms: how long it took, in milliseconds; None: unknown.
        size: bytes of the answer's body.
        note: what else there is to say, such as why it failed.
    """

    method: str
    path: str
    status: int | None = None
    ms: float | None = None
    size: int = 0
    note: str = ""


@define
class Screen:
    """Writes to a terminal, or to whatever stands in for it.

    Attributes:
        quiet: whether only the URL is shown.
        output: where; the process's standard output unless said otherwise.
    """

    quiet: bool = False
    output: TextIO = field(factory=lambda: sys.stdout)

    def opened(self, url: str, target: str, more: str = "") -> None:
        """Tell where users go.

        Args:
            url: there.
            target: the service, as ``host:port``.
            more: lines besides, for people.
        """
        if self.quiet:
            self._print(url)
            return
        parts = (f"{url}\n    -> {target}", more, "Ctrl-C ends it.")
        text = "\n\n".join(filter(None, parts))
        framed = box(text)
        # A link that goes over two lines can be clicked and copied only without a frame in it.
        self._print(framed if framed.index("\n") <= self._columns() else text)

    def note(self, text: str) -> None:
        """Say something that isn't wrong."""
        if not self.quiet:
            self._print(text)

    def request(self, done: Answered) -> None:
        """Show a request that has been answered, in one line."""
        if self.quiet:
            return
        path = _shown(done.path)
        if len(path) > MOST_TARGET_CHARACTERS:
            path = f"{path[:MOST_TARGET_CHARACTERS]}..."
        took = "" if done.ms is None else f"{done.ms:.0f} ms"
        line = f"{_shown(done.method)[:7]:7} {took:>9} {_size(done.size):>10} {path}"
        when = time.strftime("%H:%M:%S")
        self._print(f"{when} {self._coloured(done.status)} {line} {_shown(done.note)}".rstrip())

    def _coloured(self, status: int | None) -> str:
        text = "---" if status is None else str(status)
        colour = _COLOURS.get(text[0])
        if colour is None or not self.output.isatty() or os.environ.get("NO_COLOR"):
            return text
        return f"\x1b[{colour}m{text}\x1b[0m"

    def _columns(self) -> float:
        """Tell how wide the terminal is; what isn't one is as wide as needed."""
        if self.output.isatty():
            with suppress(OSError, ValueError):
                return os.get_terminal_size(self.output.fileno()).columns or inf
        return inf

    def _print(self, text: str) -> None:
        # Whoever read it may have gone away, as "head" does; the tunnel goes on.
        with suppress(BrokenPipeError, OSError):
            self.output.write(f"{text}\n")
            self.output.flush()


def _shown(text: str) -> str:
    """Replace what a terminal might obey, or show in another order."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _size(count: float) -> str:
    units = iter(("B", "KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    while count >= KiB and unit != "TiB":
        count, unit = count / KiB, next(units)
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"


def write_url(path: str, url: str) -> Callable[[], None]:
    """Put the URL into a file, whole or not at all; nobody else may read it.

    Args:
        path: the file; what is there is replaced.
        url: its only line.

    Returns:
        Removes the file.

    Raises:
        OSError: it can't be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=".url-", dir=Path(path).absolute().parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii", errors="backslashreplace") as file:
            file.write(f"{url}\n")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

    def remove() -> None:
        with suppress(OSError):
            Path(path).unlink()

    return remove
