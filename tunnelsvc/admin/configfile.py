# -*- test-case-name: tests.admin.test_configfile -*-
"""Exchange a configuration file for another one, which is checked first.

A reader sees the old file or the new one, never half of one, and an error leaves the old one.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from twisted.web import http

from tunnelsvc.admin.routing import APIError
from tunnelsvc.errors import ConfigError

PRIVATE = stat.S_IRUSR | stat.S_IWUSR
"""Mode of a file that there was none of: it has a token in it."""

_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def not_written(path: str, why: OSError) -> APIError:
    """Say why `replace` failed: it mustn't be written, or something is broken."""
    forbidden = why.errno in _FORBIDDEN
    code = http.FORBIDDEN if forbidden else http.INTERNAL_SERVER_ERROR
    return APIError(code, f"{path} can't be written: {why.strerror}")


def replace(path: str, content: bytes, check: Callable[[str], object]) -> None:
    """Write a file, if its content is right.

    Args:
        path: the file. If it is a link, what that leads to is written.
        content: the new one.
        check: given the path of a file with the new content, raises ConfigError if it isn't right.

    Raises:
        ConfigError: it isn't right. The messages name `path`.
        OSError: it can't be written.
    """
    target = Path(path).resolve()
    # Beside it, since renaming doesn't cross file systems, and what it names may be beside it, too.
    descriptor, name = mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            _take_after(target, descriptor)
            os.fsync(descriptor)
        _check(name, path, check)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise


def _check(name: str, path: str, check: Callable[[str], object]) -> None:
    try:
        check(name)
    except ConfigError as why:
        raise ConfigError([problem.replace(name, path) for problem in why.problems]) from None


def _take_after(target: Path, descriptor: int) -> None:
    """Give a new file the owner and the mode of the one that it replaces."""
    try:
        before = target.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, PRIVATE)
        return
    mode = stat.S_IMODE(before.st_mode)
    after = os.fstat(descriptor)
    if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
        try:
            os.fchown(descriptor, before.st_uid, before.st_gid)
        except PermissionError:
            mode &= PRIVATE  # What its group may must not become what ours may.
    with suppress(PermissionError):
        os.fchmod(descriptor, mode)
