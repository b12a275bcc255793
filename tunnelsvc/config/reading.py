# -*- test-case-name: tests.config.test_reading -*-
"""The bytes of a file, few enough and soon enough: it may be a pipe that nobody writes to.

Such a thing is read when a program starts (``-c <(make-config)``), but also when one that runs
reads its file again, and all its users would wait.
"""

import os
import select
import stat
import time
from typing import Final

PIPE_SECONDS: Final = 10.0
"""How long what is no regular file may take, all of it."""
PIECE_BYTES: Final = 64 * 1024


def read_bytes(path: str, most: int) -> bytes:
    """Read a file.

    Args:
        path: the file.
        most: how many bytes to read at most.

    Raises:
        OSError: it can't be read; ``TimeoutError``: not in time.
        ValueError: it can't be the name of a file.
    """
    # Without waiting for somebody who writes to a pipe, and without becoming a terminal's program.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(most)
        return _read_slow(descriptor, most)
    finally:
        os.close(descriptor)


def _read_slow(descriptor: int, most: int) -> bytes:
    """Read what may have to be waited for."""
    until = time.monotonic() + PIPE_SECONDS
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    content = b""
    while len(content) < most:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError(None, f"it doesn't come to an end within {PIPE_SECONDS:g} s")
        piece = os.read(descriptor, min(PIECE_BYTES, most - len(content)))
        if not piece:
            break
        content += piece
    return content
