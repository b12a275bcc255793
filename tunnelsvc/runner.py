# -*- test-case-name: tests.test_runner -*-
"""What both programs do around their services, under twistd or from our own command line."""

import atexit
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from attrs import asdict, evolve
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.logger import ILogObserver, Logger, globalLogBeginner
from twisted.python.components import Componentized
from twisted.python.usage import Options

from tunnelsvc import __version__
from tunnelsvc.config.schema import LogConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.hangup import Hangup
from tunnelsvc.logs import CONSOLE, LEVELS, Observer, make_observer
from tunnelsvc.memory import Trimmer
from tunnelsvc.notify import Notifier

STOP_SECONDS: Final = 5.0
"""How long services may take to stop. Less than what others wait before they kill (Docker 10 s,
systemd 90 s), so that the pid file is removed even if a peer doesn't answer."""

TWISTD_LOG: Final = "twistd.log"
"""Where twistd logs as a daemon unless told otherwise."""


ALLOCATIONS: Final = 2500
"""New objects that may come together before Python looks for garbage among them. A connection has
some sixty, and leaves none behind; with Python's 700, looking for it takes a twentieth of the time
of new connections."""


class ProgramOptions(Options):
    """What the command lines of all our programs have in common."""

    opt_h = Options.opt_help

    def opt_version(self) -> None:
        """Show the version and exit."""
        sys.stdout.write(f"tunnelsvc {__version__}\n")
        raise SystemExit(0)


@contextmanager
def config_errors_exit() -> Iterator[None]:
    """Show the problems of a configuration, one a line, and end the program with status 1.

    Raises:
        SystemExit: instead of each ConfigError. Not twistd's UsageError, which ends with 0.
    """
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        raise SystemExit(1) from None


def raise_open_files_limit() -> None:
    """Allow as many open files as we may have: each user takes two, and 1024 are soon used up."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some containers show a limit that they don't grant.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def look_for_garbage_less_often() -> None:
    """See `ALLOCATIONS`; who has asked for more, or for none, is left alone."""
    first, *others = gc.get_threshold()
    if 0 < first < ALLOCATIONS:
        gc.set_threshold(ALLOCATIONS, *others)


def log_under_twistd(log: LogConfig, twistd: Mapping[str, Any]) -> LogConfig | None:
    """Decide where to log when twistd runs us.

    Args:
        log: what our file says.
        twistd: twistd's own options.

    Returns:
        Where; None to leave it to whoever runs us (syslog, the ``twist`` runner).
    """
    if "nodaemon" not in twistd or twistd.get("syslog"):
        return None
    given = twistd["logfile"]
    if given == "-":
        return evolve(log, file=CONSOLE) if twistd["nodaemon"] else None
    if given:
        return evolve(log, file=given)
    if log.file == CONSOLE and not twistd["nodaemon"]:
        return evolve(log, file=TWISTD_LOG)
    return log


class Program(MultiService):
    """The top of a tree of services, and what the process around it needs.

    Args:
        log_config: where to log.
        reactor: what runs us.
        warnings: about the configuration; logged at start.
        launcher: options of the program that runs us, twistd's if it is that.
        environ: environment of the process.

    Attributes:
        reactor: as given.
        exit_status: of the process; 1 after `fail`.
        on_started: called when all services have started.
        on_hangup: called one by one on SIGHUP, by the reactor; see `tunnelsvc.hangup`.
    """

    log = Logger()

    def __init__(
        self,
        log_config: LogConfig,
        reactor: Any,
        *,
        warnings: Sequence[str] = (),
        launcher: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__()
        self.log_config = log_config
        self.exit_status = 0
        self.on_started: Callable[[], None] | None = None
        self.reactor = reactor
        self._warnings = warnings
        self._launcher = launcher or {}
        self._notifier = Notifier(environ)
        self._prepared = False
        self._observer: Observer | None = None
        self._hangup = Hangup(reactor, self._stop_reactor)
        self.on_hangup = self._hangup.hooks
        self._trimmer = Trimmer(reactor)

    def setServiceParent(self, parent: Any) -> None:
        """Let the application of twistd log as our file says, and end with our exit status.

        twistd looks for an ``ILogObserver`` on the application after it has made our service. Of
        exit statuses it knows nothing: it returns 0 after the reactor, whatever happened. So the
        status is set by the last thing that a process does, when twistd's pid file is gone. Hooks
        run in reverse order: those registered after ours, that is all but the interpreter's own
        and those of modules loaded before, still get their turn.

        Raises:
            SystemExit: the log file can't be written.
        """
        if isinstance(parent, Componentized):
            log_config = log_under_twistd(self.log_config, self._launcher)
            if log_config is not None:
                parent.setComponent(ILogObserver, self.open_log(log_config))
            atexit.register(self._end_process)
        super().setServiceParent(parent)

    def open_log(self, log_config: LogConfig) -> ILogObserver:
        """Make the observer that logs there, and opens its file anew on SIGHUP.

        Raises:
            SystemExit: the file can't be written.
        """
        with config_errors_exit():
            observer = make_observer(**asdict(log_config))
        # Before the others, who may have something to say.
        self.on_hangup.insert(0, observer.reopen)
        self._observer = observer
        return observer

    def set_log_level(self, level: str) -> None:
        """Log from now on what `level` says, a key of `tunnelsvc.logs.LEVELS`.

        Where whoever runs us does the logging (syslog, the ``twist`` runner) that is theirs to say.
        """
        if self._observer is not None:
            self._observer.show_from(LEVELS[level])

    def _end_process(self) -> None:
        if self.exit_status:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.exit_status)

    def privilegedStartService(self) -> None:
        """Tell what is strange about the configuration; listen."""
        self._prepared = True
        raise_open_files_limit()
        look_for_garbage_less_often()
        for warning in self._warnings:
            self.log.warn("{text}", text=warning)
        super().privilegedStartService()

    def startService(self) -> None:
        """Start all services."""
        if not self._prepared:  # The twist runner knows no privileges.
            self.privilegedStartService()
        self._hangup.listen()
        self._trimmer.start()
        super().startService()
        if self.on_started is not None:
            self.on_started()

    def stopService(self) -> Deferred[Any]:
        """Stop all services; fires when that is done, or took too long."""
        self._notifier.stopping()
        stopped: Deferred[Any] = super().stopService()
        stopped.addTimeout(STOP_SECONDS, self.reactor, self._not_stopped)
        return stopped.addBoth(self._stopped)

    def _not_stopped(self, _result: object, limit: float) -> None:
        self.log.error("not all services stop within {limit} s", limit=limit)

    def _stopped(self, result: object) -> object:
        self._hangup.unlisten()
        self._trimmer.stop()
        return result

    def ready(self, status: str) -> None:
        """Tell the service manager that we do our work now.

        Args:
            status: what that is, in one line.
        """
        self._notifier.ready(status)

    def fail(self, message: str) -> None:
        """End the process with status 1.

        Args:
            message: why, for the user; the log has it already.
        """
        self.exit_status = 1
        # Not sys.stderr: under twistd that is the log.
        if self.log_config.file != CONSOLE and sys.__stderr__ is not None:
            sys.__stderr__.write(f"tunnelsvc: {message}\n")
        self.reactor.callWhenRunning(self._stop_reactor)

    def end(self) -> None:
        """End the process in order, with status 0 unless it has failed."""
        self.reactor.callWhenRunning(self._stop_reactor)

    def _stop_reactor(self) -> None:
        with suppress(ReactorNotRunning):
            self.reactor.stop()


def run(program: Program) -> int:
    """Run a program in the foreground until SIGINT, SIGTERM or a failure ends it.

    Args:
        program: the services.

    Returns:
        The exit status: 0 after a signal.

    Raises:
        SystemExit: the log file can't be written.
    """
    observer = program.open_log(program.log_config)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    try:
        program.privilegedStartService()
        program.startService()
    except CannotListenError as why:
        program.log.error("{why}", why=why)
        program.fail(str(why))
        return program.exit_status
    program.reactor.addSystemEventTrigger("before", "shutdown", program.stopService)
    with _signals_once(program.reactor):
        program.reactor.run()
    return program.exit_status


@contextmanager
def _signals_once(reactor: Any) -> Iterator[None]:
    """While services stop, which takes `STOP_SECONDS` at most, ignore who asks for it again.

    Twisted would log an error of the second Ctrl-C, and of one that comes as we stop by ourselves.
    """
    stop = reactor.stop

    def stop_once() -> None:
        with suppress(ReactorNotRunning):
            stop()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ignore() -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)

    reactor.addSystemEventTrigger("before", "shutdown", ignore)
    reactor.stop = stop_once  # which is what Twisted's handlers call
    try:
        yield
    finally:
        reactor.stop = stop
        for number, handler in before.items():
            signal.signal(number, handler)
