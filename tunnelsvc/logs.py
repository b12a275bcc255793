# -*- test-case-name: tests.test_logs -*-
"""The log: which events are shown, how a line looks, and where it goes.

A line is frp's, so that scripts which read it go on working::

    2026-07-20 13:22:59.812 [I] [client/registration] [ssh] start proxy success
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    formatEvent,
)
from twisted.python.logfile import DailyLogFile
from zope.interface import implementer

from tunnelsvc.errors import ConfigError

Level: TypeAlias = Any
"""A constant of `LogLevel`; the package that makes them has no types."""

CONSOLE: Final = "console"
"""The ``log_file`` that is standard output."""

LEVELS: Final[dict[str, Level]] = {
    "trace": LogLevel.debug,
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warn": LogLevel.warn,
    "error": LogLevel.error,
}
"""``log_level`` to Twisted's levels, which have none below debug."""

LETTERS: Final[dict[Level, str]] = {
    LogLevel.debug: "D",
    LogLevel.info: "I",
    LogLevel.warn: "W",
    LogLevel.error: "E",
    LogLevel.critical: "E",
}

COLORS: Final[dict[str, str]] = {"D": "1;32", "I": "1;34", "W": "1;33", "E": "1;31"}
"""Letter to parameters of the terminal's "select graphic rendition" (ECMA-48 8.3.117)."""

OURS: Final = "tunnelsvc"
"""Twisted names a logger after its class, ``tunnelsvc.client.registration.Registration``, or its
module."""

FOREIGN_NAMESPACES: Final = ("twisted", "log_legacy")
"""Who tells about each port and factory at info: to us that is debug."""

# Names that peers choose end up in messages. As they are, a line feed would forge a line and an
# escape sequence would reach the terminal of whoever reads the log.
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_CONTROL_BUT_LAYOUT: Final = {
    code: text for code, text in _CONTROL.items() if chr(code) not in "\n\t"
}


MOST_FIELD_CHARACTERS: Final = 512
"""Of a field in a line; longer than any sentence of ours."""
_WHOLE: Final = frozenset({"log_format", "log_namespace", "log_io", "log_text"})


class LeanLogger:
    """Logs a line for each connection, in half the time that `Logger` takes.

    `Logger` makes a copy of itself for each object that logs, and looks the level up by name.
    """

    def __init__(self, namespace: str) -> None:
        self._logger = Logger(namespace=namespace)
        self._namespace = namespace

    def info(self, log_format: str, **fields: object) -> None:
        """Log at info; see ``Logger.info``."""
        self._logger.observer(
            fields
            | {
                "log_logger": self._logger,
                "log_level": LogLevel.info,
                "log_namespace": self._namespace,
                "log_source": None,
                "log_format": log_format,
                "log_time": time.time(),
            }
        )


def format_line(event: LogEvent, *, color: bool = False) -> str | None:
    """Turn an event into a line, with a traceback below it if the event has a failure.

    Args:
        event: what was logged.
        color: set off the letter of the level.

    Returns:
        Text that ends with a line feed; None for an event that says nothing.
    """
    message = _message(event)
    if len(message) > MOST_FIELD_CHARACTERS:
        message = _message(_clipped(event))
    if not message.isprintable():
        message = message.translate(_CONTROL)
    failure = event.get("log_failure")
    if not message and failure is None:
        return None
    letter = LETTERS.get(event.get("log_level", LogLevel.info), "I")
    level = f"\x1b[{COLORS[letter]}m[{letter}]\x1b[0m" if color else f"[{letter}]"
    line = f"{_stamp(event)} {level} [{_where(str(event.get('log_namespace', '-')))}] {message}\n"
    if failure is not None:
        line += _indented(failure.getTraceback())
    return line


def _message(event: LogEvent) -> str:
    """Fill in the fields, in a tenth of the time that Twisted's more able way takes."""
    template = event.get("log_format")
    if isinstance(template, str) and "(" not in template:
        try:
            return template.format_map(event)
        except Exception:  # noqa: BLE001, S110 - Twisted's way says what is wrong
            pass
    return formatEvent(event)


def _clipped(event: LogEvent) -> LogEvent:
    """Shorten what peers may have chosen: a log that anybody can fill is no log."""
    texts = {
        key: str(value)
        for key, value in event.items()
        if isinstance(value, str | Exception) and key not in _WHOLE
    }
    long = {
        key: f"{text[:MOST_FIELD_CHARACTERS]}..."
        for key, text in texts.items()
        if len(text) > MOST_FIELD_CHARACTERS
    }
    return event | long if long else event


def _stamp(event: LogEvent) -> str:
    when = event.get("log_time") or time.time()
    return f"{_second(int(when))}.{int(when * 1000) % 1000:03}"


@lru_cache(maxsize=1)
def _second(when: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


@lru_cache(maxsize=256)
def _where(namespace: str) -> str:
    """Name the file that speaks, as frp does, if it is one of ours."""
    package, *names = namespace.split(".")
    modules = [name for name in names if name.islower()]
    return "/".join(modules) if package == OURS and modules else namespace


def _indented(text: str) -> str:
    lines = text.translate(_CONTROL_BUT_LAYOUT).splitlines()
    return "".join(f"\t{line}\n" for line in lines)


class DailyFile(DailyLogFile):
    """A log file that gets the date into its name when the day is over: ``frps.log.2026-07-20``.

    Args:
        path: the file of today; it is continued if it exists.
        max_days: days that old files are kept; 0: for ever.
        now: gives Unix seconds.

    Raises:
        OSError: the file can't be written.
    """

    def __init__(self, path: str, max_days: int, now: Callable[[], float] = time.time) -> None:
        self._max_days = max_days
        self._now = now
        where = Path(path).absolute()
        super().__init__(where.name, str(where.parent))
        self._delete_old()

    def toDate(self, *args: float) -> tuple[int, ...]:  # noqa: N802
        """Give year, month and day of a time; without one, of now."""
        return time.localtime(*(args or (self._now(),)))[:3]

    def suffix(self, tupledate: Any) -> str:
        """Name a day."""
        return date(*tupledate).isoformat()

    def rotate(self) -> None:
        """Begin the file of a new day."""
        super().rotate()
        self._delete_old()

    def reopen(self) -> None:
        """Go on in the file that has the path now: somebody else has renamed ours.

        Raises:
            OSError: it can't be written; ours is still open.
        """
        with Path(self.path).open("ab+"):
            super().reopen()

    def _delete_old(self) -> None:
        if self._max_days <= 0:
            return
        oldest = date(*self.toDate()) - timedelta(days=self._max_days)
        for path in Path(self.directory).glob(f"{self.name}.*-*-*"):
            # Not ours, or gone already: leave it.
            with suppress(ValueError, OSError):
                if date.fromisoformat(path.name.removeprefix(f"{self.name}.")) < oldest:
                    path.unlink()


@implementer(ILogObserver)
class Observer:
    """Shows the events of a level, and those above, on the console or in a file.

    Args:
        target: where a line is written, and perhaps an escape sequence for its color.
        level: the lowest that is shown.
    """

    log = Logger()

    def __init__(self, target: Any, level: Level, *, color: bool = False) -> None:
        self._writer = FileLogObserver(target, lambda event: format_line(event, color=color))
        self._filter = LogLevelFilterPredicate()
        self._shown: dict[tuple[Any, Level], bool] = {}
        self._target = target
        self.show_from(level)

    def __call__(self, event: LogEvent) -> None:
        """Show an event, or don't; for events like earlier ones that is known."""
        like = event.get("log_namespace"), event.get("log_level")
        shown = self._shown.get(like)
        if shown is None:
            shown = self._shown[like] = self._filter(event) is not PredicateResult.no
        if shown:
            self._writer(event)

    def show_from(self, level: Level) -> None:
        """Choose the lowest level that is shown."""
        self._shown.clear()
        self._filter.defaultLogLevel = level
        self._filter.clearLogLevels()
        if level == LogLevel.info:
            for namespace in FOREIGN_NAMESPACES:
                self._filter.setLogLevelForNamespace(namespace, LogLevel.warn)

    def reopen(self) -> None:
        """Open the file anew, if it is one; one that can't be opened is no reason to stop."""
        if not isinstance(self._target, DailyFile):
            return
        try:
            self._target.reopen()
        except OSError as why:
            self.log.error(
                "log_file = {path}: can't be opened anew: {why}; the old file is written on",
                path=self._target.path,
                why=why.strerror,
            )


def make_observer(
    *,
    file: str = CONSOLE,
    level: str = "info",
    max_days: int = 3,
    disable_color: bool = False,
    stdout: IO[str] | None = None,
) -> Observer:
    """Build what the values of ``log_file``, ``log_level`` and so on ask for.

    Args:
        file: ``console`` or a path.
        level: a key of `LEVELS`.
        max_days: days that old files are kept; 0: for ever.
        disable_color: no colours, not even on a terminal.
        stdout: the console, if it isn't the process's.

    Raises:
        ConfigError: the file can't be written.
    """
    if file == CONSOLE:
        target = stdout or sys.stdout
        return Observer(target, LEVELS[level], color=target.isatty() and not disable_color)
    return Observer(_open(file, max_days), LEVELS[level])


def _open(path: str, max_days: int) -> DailyFile:
    try:
        return DailyFile(path, max_days)
    except OSError as why:
        raise ConfigError(
            [f"[common] log_file = {path}: can't be written: {why.strerror}"]
        ) from None
