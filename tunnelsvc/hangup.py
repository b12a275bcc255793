# -*- test-case-name: tests.test_hangup -*-
"""SIGHUP: to a daemon "read your files anew", to a program in a terminal "the terminal was closed".

Daemons take it for the first (nginx, sshd), and its default action, which ends a program, is what
whoever closes a terminal expects. So both are done, each where it is meant: a program that was
started in the foreground of a terminal, and has none any more, ends. ``nohup`` says that a
terminal's end is none of ours.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from twisted.logger import Logger

_TERMINAL: Final = "/dev/tty"
"""The controlling terminal of whoever opens it (tty(4)); can't be opened by those without one."""


class Hangup:
    """Answers SIGHUP while a program runs.

    Args:
        reactor: calls the hooks.
        end: ends the program.

    Attributes:
        hooks: what is to be done, in order.
    """

    log = Logger()

    def __init__(self, reactor: Any, end: Callable[[], None]) -> None:
        self.hooks: list[Callable[[], None]] = []
        self._reactor = reactor
        self._end = end
        self._handler_before: Any = None
        self._in_terminal = False

    def listen(self) -> None:
        """Take the signal. Outside of the main thread it stays with whoever has it."""
        with suppress(ValueError):
            before = signal.signal(signal.SIGHUP, self._signalled)
            self._handler_before = before
            self._in_terminal = before is not signal.SIG_IGN and _in_foreground()

    def unlisten(self) -> None:
        """Give the signal back."""
        before, self._handler_before = self._handler_before, None
        if before is not None:
            signal.signal(signal.SIGHUP, before)

    def _signalled(self, *_: object) -> None:
        # Between any two instructions of whatever runs: only this may be done here.
        self._reactor.callFromThread(self.hung_up)

    def hung_up(self) -> None:
        """Do what is to be done. A hook that fails keeps none of the others from it."""
        for hook in self.hooks[:]:
            try:
                hook()
            except Exception:  # noqa: BLE001 - whatever it is, it's that hook's
                self.log.failure("SIGHUP: {hook} failed", hook=hook)
        if self._in_terminal and not _has_terminal():
            self.log.info("SIGHUP: the terminal was closed")
            self._end()
        else:
            # The hooks say themselves what else they did.
            self.log.info("SIGHUP: log files were opened anew")


def _in_foreground() -> bool:
    """Tell whether the terminal that we were started from is waiting for us."""
    try:
        terminal = os.open(_TERMINAL, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def _has_terminal() -> bool:
    try:
        os.close(os.open(_TERMINAL, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
