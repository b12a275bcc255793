# -*- test-case-name: tests.client.test_filewatch -*-
"""Notice when a configuration file has changed, and is whole again (``watch_config``).

By looking at it: notifications by the system differ from system to system, and get lost with
network file systems and directories that are mounted into containers. Editors put a new file in the
place of the old one, which a look by name sees.

Nobody can tell whether a file that is being written is complete. So one is left alone until it has
been the same for a while; who writes in pieces with longer pauses should rename it into its place.
"""

import os
from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

LOOK_SECONDS: Final = 1.0
"""Between two looks; each takes microseconds a file."""
SETTLE_SECONDS: Final = 2.0
"""How long files must be the same before they are believed to be whole."""

Sight = tuple[tuple[str, int, int, int], ...]
"""Of each file: path, inode, size in bytes, time of the last change in nanoseconds."""


def look_at(paths: Iterable[str]) -> Sight | None:
    """Look at files; None if one isn't there, as between the steps of an editor."""
    sight = []
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - every second, and Path makes objects of it
        except OSError:
            return None
        sight.append((path, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(sight)


class FileWatch:
    """Looks at files from time to time."""

    log = Logger()

    def __init__(
        self, files: Callable[[], Iterable[str]], on_change: Callable[[], None], clock: IReactorTime
    ) -> None:
        """Prepare; nothing is looked at yet.

        Args:
            files: gives the paths of all that belong together; asked at each look.
            on_change: called when any has changed, come or gone, and all have settled.
            clock: for the looks.
        """
        self._files = files
        self._on_change = on_change
        self._clock = clock
        self._known: Sight | None = None
        self._changed: Sight | None = None
        self._changed_at = 0.0
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    @property
    def running(self) -> bool:
        """Whether files are looked at."""
        return self._looking.running

    def start(self) -> None:
        """Take the files as they are now for known, and begin."""
        self._known = look_at(self._files())
        self._looking.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        sight = look_at(self._files())
        if sight is None or sight == self._known:
            self._changed = None
        elif sight != self._changed:
            self._changed, self._changed_at = sight, self._clock.seconds()
        elif self._clock.seconds() - self._changed_at >= SETTLE_SECONDS:
            self._known, self._changed = sight, None
            self._tell()

    def _tell(self) -> None:
        try:
            self._on_change()
        except Exception:  # noqa: BLE001 - whatever it is, the next change shall be seen
            self.log.failure("reading changed files failed")
