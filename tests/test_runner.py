# -*- test-case-name: tests.test_runner -*-
"""Tests of `tunnelsvc.runner`."""

import atexit
import gc
import io
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Application, IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.loglines import LogLines
from tunnelsvc import __version__, runner
from tunnelsvc.config.schema import LogConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.runner import (
    ALLOCATIONS,
    STOP_SECONDS,
    Program,
    ProgramOptions,
    config_errors_exit,
    log_under_twistd,
    raise_open_files_limit,
    run,
)

CONSOLE_LOG = LogConfig()

DAEMON = {"nodaemon": 0, "logfile": None, "syslog": 0}
FOREGROUND = {**DAEMON, "nodaemon": 1}


class Reactor(MemoryReactorClock):
    """Runs its hooks, then stops as a signal would stop it."""

    def run(self) -> None:
        self.hasRun = self.running = True
        for function, args, kwargs in self.whenRunningHooks:
            function(*args, **kwargs)
        if self.running:
            self.stop()

    def callFromThread(self, call: Callable[[], None]) -> None:
        call()

    def stop(self) -> None:
        if not self.running:
            raise ReactorNotRunning
        super().stop()
        for function, args, kwargs in self.triggers["before"].pop("shutdown", ()):
            function(*args, **kwargs)


class Recorder(Service):
    """Writes down what is done with it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.stopped: Deferred[None] | None = None

    def privilegedStartService(self) -> None:
        self.calls.append("listen")
        super().privilegedStartService()

    def startService(self) -> None:
        self.calls.append("start")
        super().startService()

    def stopService(self) -> "Deferred[None] | None":
        self.calls.append("stop")
        super().stopService()
        return self.stopped


class BusyPort(Service):
    """Wants a port that somebody else has."""

    def privilegedStartService(self) -> None:
        raise CannotListenError("127.0.0.1", 7000, OSError("in use"))


class ProgramCase(SynchronousTestCase):
    """A program with one service, without a process around it."""

    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.reactor = Reactor()
        self.service = Recorder()
        self.observers: list[ILogObserver] = []
        self.hooks: list[Callable[[], None]] = []
        self.statuses: list[int] = []
        self.limits: list[tuple[int, int]] = []
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)
        self.patch(sys, "__stderr__", self.stderr)
        self.patch(runner, "globalLogBeginner", self)
        self.patch(atexit, "register", self.hooks.append)
        self.patch(os, "_exit", self.statuses.append)
        self.patch(resource, "setrlimit", lambda _, limits: self.limits.append(limits))

    def beginLoggingTo(self, observers: list[ILogObserver], redirectStandardIO: bool) -> None:
        self.assertFalse(redirectStandardIO)
        self.observers.extend(observers)

    def program(self, log: LogConfig = CONSOLE_LOG, **options: Any) -> Program:
        program = Program(log, self.reactor, **options)
        self.service.setServiceParent(program)
        return program


class RunTests(ProgramCase):
    """A program in the foreground."""

    def test_until_a_signal(self) -> None:
        self.assertEqual(run(self.program()), 0)
        self.assertEqual(self.service.calls, ["listen", "start", "stop"])
        self.assertTrue(self.reactor.hasRun)
        self.assertTrue(verifyObject(ILogObserver, self.observers[0]))

    def test_failure(self) -> None:
        """The first failure stops the reactor; another one finds it stopped."""
        program = self.program()
        self.reactor.callWhenRunning(program.fail, "refused")
        self.reactor.callWhenRunning(program.fail, "refused again")
        self.assertEqual(run(program), 1)
        self.assertEqual(self.service.calls, ["listen", "start", "stop"])
        self.assertEqual(self.stderr.getvalue(), "")

    def test_failure_is_shown_if_the_log_is_elsewhere(self) -> None:
        program = self.program(LogConfig(file=self.mktemp()))
        program.fail("login refused")
        self.assertEqual(self.stderr.getvalue(), "tunnelsvc: login refused\n")
        self.patch(sys, "__stderr__", None)
        program.fail("there is nowhere to say so")
        self.assertEqual(program.exit_status, 1)

    def test_hangup(self) -> None:
        """While it runs, SIGHUP opens the log anew and calls the hooks; it ends nothing."""
        before = signal.getsignal(signal.SIGHUP)
        path = Path(self.mktemp())
        program = self.program(LogConfig(file=str(path)))
        renamed: list[bool] = []
        program.on_hangup.append(lambda: renamed.append(path.exists()))

        def hang_up() -> None:
            path.rename(f"{path}.1")
            os.kill(os.getpid(), signal.SIGHUP)

        self.reactor.callWhenRunning(hang_up)
        self.assertEqual(run(program), 0)
        self.assertEqual(renamed, [True])
        self.assertIs(signal.getsignal(signal.SIGHUP), before)

    def test_signals_while_it_stops(self) -> None:
        """One is enough."""
        before = signal.getsignal(signal.SIGINT)
        program = self.program()
        heeded: list[object] = []

        def stop() -> None:
            heeded.append(signal.getsignal(signal.SIGINT))
            os.kill(os.getpid(), signal.SIGINT)

        self.reactor.callWhenRunning(self.reactor.addSystemEventTrigger, "before", "shutdown", stop)
        self.assertEqual(run(program), 0)
        self.assertEqual(heeded, [signal.SIG_IGN])
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_a_signal_as_it_stops_by_itself(self) -> None:
        """Twisted's handler has it stopped by the reactor's own method, which was called before."""
        program = self.program()

        def stop_twice() -> None:
            program.end()
            self.reactor.stop()

        self.reactor.callWhenRunning(stop_twice)
        self.assertEqual(run(program), 0)
        self.assertRaises(ReactorNotRunning, self.reactor.stop)

    def test_busy_port(self) -> None:
        program = self.program()
        BusyPort().setServiceParent(program)
        self.assertEqual(run(program), 1)
        self.assertFalse(self.reactor.hasRun)
        self.assertIn("Couldn't listen on 127.0.0.1:7000: in use.", self.lines)

    def test_log_file_that_cannot_be_written(self) -> None:
        program = self.program(LogConfig(file=self.mktemp() + "/nowhere/x"))
        self.assertEqual(self.assertRaises(SystemExit, run, program).code, 1)
        self.assertIn("log_file = ", self.stderr.getvalue())
        self.assertEqual(self.service.calls, [])

    def test_log_level(self) -> None:
        path = Path(self.mktemp())
        run(self.program(LogConfig(level="error", file=str(path))))
        for level in (LogLevel.warn, LogLevel.error):
            self.observers[0]({"log_format": level.name, "log_level": level, "log_namespace": "n"})
        (line,) = path.read_text(encoding="utf-8").splitlines()
        self.assertTrue(line.endswith("[E] [n] error"))

    def test_another_log_level(self) -> None:
        path = Path(self.mktemp())
        program = self.program(LogConfig(level="error", file=str(path)))
        program.set_log_level("debug")  # Nothing is there to be told, and it does no harm.
        run(program)
        program.set_log_level("warn")
        for level in (LogLevel.info, LogLevel.warn):
            self.observers[0]({"log_format": level.name, "log_level": level, "log_namespace": "n"})
        (line,) = path.read_text(encoding="utf-8").splitlines()
        self.assertTrue(line.endswith("[W] [n] warn"))

    def test_end(self) -> None:
        program = self.program()
        self.reactor.callWhenRunning(program.end)
        self.reactor.callWhenRunning(program.end)
        self.assertEqual(run(program), 0)
        self.assertEqual(self.service.calls, ["listen", "start", "stop"])

    def test_warnings_about_the_configuration(self) -> None:
        run(self.program(warnings=("no token", "no {} password")))
        self.assertEqual(self.lines[:2], ["no token", "no {} password"])

    def test_open_files(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        run(self.program())
        self.assertEqual(self.limits, [(hard, hard)])

    def test_open_files_refused(self) -> None:
        def refuse(*_: object) -> None:
            raise ValueError("not allowed to raise maximum limit")

        self.patch(resource, "setrlimit", refuse)
        raise_open_files_limit()
        self.assertEqual(run(self.program()), 0)

    def test_garbage(self) -> None:
        """Looked for less often than Python would, unless somebody wants it even less."""
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        for before, after in (
            ((700, 10, 9), (ALLOCATIONS, 10, 9)),
            ((0, 10, 10), (0, 10, 10)),
            ((50_000, 5, 5), (50_000, 5, 5)),
        ):
            gc.set_threshold(*before)
            run(self.program())
            self.assertEqual(gc.get_threshold(), after)


class ServiceTests(ProgramCase):
    """A program as a service."""

    def manager(self) -> tuple[dict[str, str], Callable[[], list[str]]]:
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.setblocking(False)
        manager.bind(path := self.mktemp())

        def received() -> list[str]:
            messages = []
            try:
                while True:
                    messages.append(manager.recv(1000).decode())
            except BlockingIOError:
                return messages

        return {"NOTIFY_SOCKET": path}, received

    def test_service_manager(self) -> None:
        """Readiness comes from whoever knows, the end from us."""
        environ, received = self.manager()
        program = self.program(environ=environ)
        program.on_started = lambda: program.ready("works")
        program.privilegedStartService()
        self.assertEqual(received(), [])
        program.startService()
        self.assertEqual(received(), ["READY=1\nSTATUS=works"])
        self.successResultOf(program.stopService())
        self.assertEqual(received(), ["STOPPING=1"])

    def test_started_without_privileges(self) -> None:
        self.program().startService()
        self.assertEqual(self.service.calls, ["listen", "start"])

    def test_slow_end(self) -> None:
        """The process ends even if a service never does."""
        program = self.program()
        program.startService()
        self.service.stopped = Deferred()
        stopped = program.stopService()
        self.reactor.advance(STOP_SECONDS - 0.1)
        self.assertNoResult(stopped)
        self.service.stopped.addErrback(lambda _: None)
        self.reactor.advance(0.2)
        self.successResultOf(stopped)
        self.assertIn("not all services stop within 5.0 s", self.lines)


class TwistdTests(ProgramCase):
    """What twistd is told."""

    def adopt(self, program: Program) -> ILogObserver | None:
        """Do what twistd does with a service that a plugin made."""
        application = Application("tunnel")
        program.setServiceParent(application)
        self.assertIn(self.service, IService(application).services[0])  # type: ignore[attr-defined]
        observer: ILogObserver | None = application.getComponent(ILogObserver, None)
        return observer

    def test_observer(self) -> None:
        observer = self.adopt(self.program(launcher=FOREGROUND))
        self.assertTrue(verifyObject(ILogObserver, observer))

    def test_left_to_twistd(self) -> None:
        self.assertIsNone(self.adopt(self.program(launcher={**DAEMON, "syslog": 1})))

    def test_left_to_the_twist_runner(self) -> None:
        self.assertIsNone(self.adopt(self.program(launcher={"logLevel": "info"})))

    def test_log_file_that_cannot_be_written(self) -> None:
        program = self.program(LogConfig(file=self.mktemp() + "/nowhere/x"), launcher=DAEMON)
        self.assertEqual(self.assertRaises(SystemExit, self.adopt, program).code, 1)

    def test_exit_status(self) -> None:
        """The hook that runs at the very end sets it, if there is something to say."""
        program = self.program(launcher=FOREGROUND)
        self.adopt(program)
        (hook,) = self.hooks
        hook()
        self.assertEqual(self.statuses, [])
        program.fail("refused")
        hook()
        self.assertEqual(self.statuses, [1])

    def test_no_hook_for_parts(self) -> None:
        """Only the top of a process sets its exit status."""
        self.program().setServiceParent(self.program())
        self.assertEqual(self.hooks, [])

    def test_where_to_log(self) -> None:
        console, file = LogConfig(level="warn"), LogConfig(level="warn", file="frps.log")
        for config, twistd, expected in (
            (console, FOREGROUND, "console"),
            (console, {**FOREGROUND, "logfile": "-"}, "console"),
            (console, {**FOREGROUND, "logfile": "x.log"}, "x.log"),
            (console, DAEMON, "twistd.log"),
            (console, {**DAEMON, "logfile": "x.log"}, "x.log"),
            (file, FOREGROUND, "frps.log"),
            (file, DAEMON, "frps.log"),
            (file, {**FOREGROUND, "logfile": "-"}, "console"),
            (file, {**DAEMON, "logfile": "x.log"}, "x.log"),
        ):
            decided = log_under_twistd(config, twistd)
            self.assertEqual(decided, LogConfig(level="warn", file=expected))

    def test_daemons_have_no_console(self) -> None:
        """twistd says so itself and ends."""
        self.assertIsNone(log_under_twistd(LogConfig(), {**DAEMON, "logfile": "-"}))


class OptionsTests(SynchronousTestCase):
    """What all command lines have."""

    def test_version(self) -> None:
        stdout = io.StringIO()
        self.patch(sys, "stdout", stdout)
        options = ProgramOptions()
        end = self.assertRaises(SystemExit, options.parseOptions, ["--version"])
        self.assertEqual(end.code, 0)
        self.assertEqual(stdout.getvalue(), f"tunnelsvc {__version__}\n")

    def test_problems(self) -> None:
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        with self.assertRaises(SystemExit) as caught, config_errors_exit():
            raise ConfigError(["first", "second"])
        self.assertEqual(caught.exception.code, 1)
        self.assertEqual(stderr.getvalue(), "first\nsecond\n")
