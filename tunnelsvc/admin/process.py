# -*- test-case-name: tests.admin.test_process -*-
"""What the server's process takes of its machine, as far as that is cheap to know."""

import os
import resource
import time
from pathlib import Path
from typing import Any, Final

from tunnelsvc.units import KiB

STATM: Final = Path("/proc/self/statm")
"""Of Linux (proc(5)): sizes in pages, the second is what is in memory."""
OPEN_FILES: Final = "/proc/self/fd"
LEAST_SECONDS: Final = 1.0
"""Over which the processor's time is averaged: who asks more often gets the same answer."""


class Process:
    """Looks at the process in which it is."""

    def __init__(self) -> None:
        self._looked_at = time.monotonic()
        self._used = time.process_time()
        self._percent = 0.0

    def shape(self) -> dict[str, Any]:
        """Return what becomes JSON; ``open_files`` is null where that can't be known."""
        return {
            "cpu_percent": self._cpu_percent(),
            "memory_bytes": _memory_bytes(),
            "open_files": _open_files(),
        }

    def _cpu_percent(self) -> float:
        """Tell how busy one processor was since the last look, in percent."""
        now, used = time.monotonic(), time.process_time()
        seconds = now - self._looked_at
        if seconds >= LEAST_SECONDS:
            self._percent = round(100 * (used - self._used) / seconds, 1)
            self._looked_at, self._used = now, used
        return self._percent


def _memory_bytes() -> int:
    """Tell what is in memory; where only the most that ever was is known, that."""
    try:
        pages = int(STATM.read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KiB
    return pages * resource.getpagesize()


def _open_files() -> int | None:
    try:
        return len(os.listdir(OPEN_FILES)) - 1  # noqa: PTH208 - and not the folder itself
    except OSError:
        return None
