# -*- test-case-name: tests.test_linefile -*-
"""A file that lines are added to, many a second: gathered, and written in one piece.

Nobody waits for the disk, and nobody notices that it is full: lines that can't be written are
lost, and once in a while the log says so.
"""

import os
import stat
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tunnelsvc.units import MINUTE, KiB

FLUSH_BYTES: Final = 64 * KiB
"""When so much has gathered it is written."""

FLUSH_SECONDS: Final = 1.0
"""When a line has waited for so long it is written; whoever watches the file won't notice."""

COMPLAINT_SECONDS: Final = 1 * MINUTE
"""Between two lines in the log about one trouble."""

MODE: Final = 0o640
"""Of a new file, less what the umask takes: whoever reads logs is put into the group."""

_LINE_FEED: Final = ord("\n")

_FLAGS: Final = (
    # Not to wait for the reader of a pipe, which a path may be.
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
)


class LineFile:
    """Adds lines to a file; see above.

    Args:
        path: of the file, made absolute at once: a daemon changes its directory.
        clock: for the time limits.
        key: of the configuration, for the log.

    Attributes:
        path: of the file.

    Raises:
        OSError: it can't be written.
    """

    log = Logger()

    def __init__(self, path: str, clock: IReactorTime, *, key: str) -> None:
        self.path = Path(path).absolute()
        self._clock = clock
        self._key = key
        self._lines: list[bytes] = []
        self._size = 0
        self._due: IDelayedCall | None = None
        self._torn = False
        self._lost = 0
        self._silent_until = 0.0
        self._descriptor: int | None = os.open(self.path, _FLAGS, MODE)

    def write(self, line: bytes) -> None:
        """Add a line, with its line feed. Never fails; after `close` it's dropped."""
        if self._descriptor is None:
            return
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_BYTES:
            self.flush()
        elif self._due is None:
            self._due = self._clock.callLater(FLUSH_SECONDS, self._flush_when_due)

    def _flush_when_due(self) -> None:
        self._due = None
        self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        lines, self._lines, self._size = self._lines, [], 0
        if not lines or self._descriptor is None:
            return
        # The half of a line that is there ends before the next one begins.
        before = b"\n" if self._torn else b""
        data = before + b"".join(lines)
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as why:
            self._lost += data.count(b"\n", max(written, len(before)))
            self._complain(why)
        if written:
            self._torn = data[written - 1] != _LINE_FEED

    def _complain(self, why: OSError) -> None:
        now = self._clock.seconds()
        if now < self._silent_until:
            return
        self._silent_until = now + COMPLAINT_SECONDS
        self.log.error(
            "{key} = {path}: can't be written: {why}; lines lost so far: {lost}",
            key=self._key,
            path=str(self.path),
            why=why.strerror,
            lost=self._lost,
        )

    def reopen(self) -> None:
        """Go on in the file that has the path now; if it can't be opened, in the old one."""
        if self._descriptor is None:
            return
        self.flush()
        try:
            opened = _open_like(self._descriptor, self.path)
        except OSError as why:
            self.log.error(
                "{key} = {path}: can't be opened anew: {why}; the old file is written on",
                key=self._key,
                path=str(self.path),
                why=why.strerror,
            )
            return
        os.close(self._descriptor)
        self._descriptor = opened
        # The half of a line, if there is one, may be in this file as well as in the other.
        self._torn = self._torn and os.fstat(opened).st_size > 0

    def close(self) -> None:
        """Write what has gathered, and no more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self.flush()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _open_like(before: int, path: Path) -> int:
    """Open a file to add to it; if it isn't there, it gets the mode of the one before.

    A daemon has another umask than what started it, and the first file is older than the daemon.
    """
    try:
        made = os.open(path, _FLAGS | os.O_EXCL, MODE)
    except FileExistsError:
        return os.open(path, _FLAGS, MODE)
    os.fchmod(made, stat.S_IMODE(os.fstat(before).st_mode))
    return made
