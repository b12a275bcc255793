# -*- test-case-name: tests.test_hangup -*-
"""Tests of `tunnelsvc.hangup`."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.programs import (
    PATIENCE,
    TUNNELSVC,
    Program,
    ProgramTestCase,
    eventually,
    free_port,
    require_program,
)
from tunnelsvc.hangup import Hangup


class Reactor:
    """Keeps what it is to call, as a reactor does until its next turn."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callFromThread(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class HangupTests(SynchronousTestCase):
    """The signal, and what is done."""

    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.lines = LogLines(self)
        self.reactor = Reactor()
        self.ended: list[bool] = []
        self.hangup = Hangup(self.reactor, lambda: self.ended.append(True))
        self.called: list[str] = []

    def raise_signal(self) -> None:
        signal.raise_signal(signal.SIGHUP)
        self.reactor.turn()

    def test_nothing_to_do(self) -> None:
        """The signal ends nobody."""
        self.hangup.listen()
        self.raise_signal()
        self.assertEqual(self.ended, [])
        self.assertEqual(self.lines[-1], "SIGHUP: log files were opened anew")

    def test_hooks(self) -> None:
        """They run in order, in the reactor's next turn, each time."""
        self.hangup.hooks += [lambda: self.called.append("a"), lambda: self.called.append("b")]
        self.hangup.listen()
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(self.called, [])
        self.reactor.turn()
        self.raise_signal()
        self.assertEqual(self.called, ["a", "b", "a", "b"])

    def test_broken_hook(self) -> None:
        """One that fails keeps no other from running."""

        def broken() -> None:
            raise OSError("disk on fire")

        self.hangup.hooks += [broken, lambda: self.called.append("b")]
        self.hangup.listen()
        self.raise_signal()
        self.assertEqual(self.called, ["b"])
        (error,) = self.flushLoggedErrors(OSError)
        self.assertEqual(str(error.value), "disk on fire")

    def test_given_back(self) -> None:
        before = signal.getsignal(signal.SIGHUP)
        self.hangup.unlisten()
        self.assertIs(signal.getsignal(signal.SIGHUP), before)
        self.hangup.listen()
        self.assertIsNot(signal.getsignal(signal.SIGHUP), before)
        self.hangup.unlisten()
        self.assertIs(signal.getsignal(signal.SIGHUP), before)

    def test_in_another_thread(self) -> None:
        """Where signals can't be handled they are left alone."""
        before = signal.getsignal(signal.SIGHUP)
        thread = threading.Thread(target=self.hangup.listen)
        thread.start()
        thread.join(PATIENCE)
        self.assertIs(signal.getsignal(signal.SIGHUP), before)


class TerminalTests(ProgramTestCase):
    """A server that somebody starts in a terminal which is closed then."""

    def start(self, *before: str) -> tuple[Program, int]:
        """Run a server in the foreground of a terminal; return it and the terminal's other end."""
        common = {"bind_addr": "127.0.0.1", "bind_port": free_port(), "log_file": "frps.log"}
        config = self.write_config("frps.ini", {"common": common})
        outer, inner = os.openpty()
        command = (
            require_program("setsid"),
            "--ctty",
            *before,
            *TUNNELSVC,
            "server",
            "-c",
            str(config),
        )
        process = subprocess.Popen(
            command, cwd=self.directory, stdin=inner, stdout=inner, stderr=inner
        )
        os.close(inner)
        server = Program("server", process, self.directory / "frps.log")
        self.addCleanup(server.stop)
        eventually(server.log.exists, "a log file")
        server.wait_for("tunnel server started successfully")
        self.started.append(server)
        return server, outer

    def test_closed(self) -> None:
        """It ends in order, as by SIGTERM; a signal alone doesn't end it."""
        server, terminal = self.start()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("log files were opened anew")
        os.close(terminal)
        self.assertEqual(server.wait(), 0)
        self.assertEqual(len(server.lines("the terminal was closed")), 1, server.excerpt())

    def test_nohup(self) -> None:
        """It was told that the terminal's end isn't its own."""
        server, terminal = self.start(require_program("nohup"))
        os.close(terminal)
        server.wait_for("log files were opened anew")
        self.assertEqual(server.stop(), 0)
