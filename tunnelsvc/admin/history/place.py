# -*- test-case-name: tests.admin.history.test_place -*-
"""Where the database is: what the file says, else what the system or twistd keeps for us."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

PID_FILE: Final = "twistd.pid"
"""What twistd has unless it's told otherwise."""


@frozen
class Owner:
    """Whom files are to belong to; -1: to whom they do anyway."""

    uid: int = -1
    gid: int = -1


@frozen
class Place:
    """A directory, and whose the files in it are.

    Attributes:
        directory: an absolute path; None: nowhere.
        owner: whom twistd lets the process become when it has begun.
    """

    directory: Path | None
    owner: Owner = Owner()


def find(data_dir: str, launcher: Mapping[str, Any] | None, environ: Mapping[str, str]) -> Place:
    """Find it.

    Args:
        data_dir: what our file says; may be empty.
        launcher: options of twistd, or of whatever else runs us; None: nothing does.
        environ: environment of the process.
    """
    options = launcher or {}
    uid, gid = (options.get(name) for name in ("uid", "gid"))
    owner = Owner(-1 if uid is None else uid, -1 if gid is None else gid)
    return Place(_directory(data_dir, options, environ), owner)


def _directory(
    data_dir: str, options: Mapping[str, Any], environ: Mapping[str, str]
) -> Path | None:
    if data_dir:
        # A daemon changes its directory.
        return Path(data_dir).absolute()
    # systemd gives absolute paths: that of our unit, and those that somebody added.
    state = environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(state) if state else _beside_pid_file(options)


def _beside_pid_file(options: Mapping[str, Any]) -> Path | None:
    if "nodaemon" not in options or not options.get("pidfile"):
        return None
    path = Path(options["pidfile"]).absolute()
    # In the foreground twistd writes one, too, wherever it was started.
    usual = path == Path(PID_FILE).absolute()
    return None if usual and options["nodaemon"] else path.parent
