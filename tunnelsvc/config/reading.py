# -*- test-case-name: tests.config.test_reading -*-
"""The bytes of a file, few enough and soon enough: it may be a pipe that nobody writes to.

Such a thing is read when a program starts (``-c <(make-config)``), but also when one that runs
reads its file again, and all its users would wait.
"""

import errno
import os
import stat
import time
from typing import Final

PIPE_SECONDS: Final = 10.0
"""How long what is no regular file may take, all of it."""
LOOK_SECONDS: Final = 0.01
"""Between two looks whether there is more."""


def read_bytes(path: str, most: int, *, waits: bool = True) -> bytes:
    """Read a file.

    Args:
        path: the file.
        most: how many bytes to read at most.
        waits: whether it may be something that has to be waited for.

    Raises:
        OSError: it can't be read; ``TimeoutError``: not in time.
        ValueError: it can't be the name of a file.
    """
    # Without waiting for somebody who writes to a pipe, and without becoming a terminal's program.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(most)
        if not waits:
            raise OSError(errno.EINVAL, "not a regular file")
        return _read_slow(descriptor, most, is_pipe=stat.S_ISFIFO(mode))
    finally:
        os.close(descriptor)


def _read_slow(descriptor: int, most: int, *, is_pipe: bool) -> bytes:
    """Read what may have to be waited for; a pipe is at its end before anybody writes to it."""
    until = time.monotonic() + PIPE_SECONDS
    content = b""
    while len(content) < most:
        try:
            piece = os.read(descriptor, most - len(content))
            if not piece and (content or not is_pipe):
                break
        except BlockingIOError:
            piece = b""
        content += piece
        if not piece:
            time.sleep(LOOK_SECONDS)
        if time.monotonic() > until:
            raise TimeoutError(None, f"it doesn't come to an end within {PIPE_SECONDS:g} s")
    return content
