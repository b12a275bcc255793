# -*- test-case-name: tests.test_benchmarks -*-
"""Start programs, wait for them, look at their memory, and end them by their process id."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import field, frozen

# Seconds: how long anything may take that normally takes less than one.
PATIENCE: Final = 30.0

# Seconds between two looks at something that no event tells us about.
POLL_INTERVAL: Final = 0.05

# Seconds that a program gets to end by itself after SIGTERM.
TERMINATE_GRACE: Final = 5.0

# Below the kernel's range for outgoing connections (32768 up), so that none of those takes a port
# between our looking and the program's listening.
PORT_RANGE: Final = range(10000, 20000)

# Where Debian keeps programs that a plain user's PATH lacks.
SYSTEM_PATHS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")

# Columns of the kernel's tables of sockets, and the state of one that listens (proc(5)).
LOCAL: Final = 1
STATE: Final = 3
LISTENING: Final = "0A"

# Characters of a program's output that a failure shows.
SHOWN_OUTPUT: Final = 2000


class BenchmarkError(Exception):
    """A program or a load didn't do what it was started for; the text says what it printed."""


def find_program(name: str) -> str | None:
    """Return the path of an installed program, None if there is none."""
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_PATHS))
    return shutil.which(name, path=search)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_ports = filter(_is_free, random.sample(PORT_RANGE, len(PORT_RANGE)))


def free_port() -> int:
    """Return a TCP port that nobody listens on, never the same one twice."""
    return next(_ports)


def is_listened_on(port: int) -> bool:
    """Whether somebody listens on a TCP port.

    By the kernel's tables, as a connection would count: iperf3 would take it for a test.
    """
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
    ]
    return any(
        fields[STATE] == LISTENING and int(fields[LOCAL].rpartition(":")[2], 16) == port
        for fields in lines
    )


def run_to_end(command: Sequence[str], patience: float = PATIENCE) -> str:
    """Run a command; return what it printed.

    Raises:
        BenchmarkError: it failed, or took longer than ``patience`` seconds.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the commands are this package's own
            command, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{command[0]} didn't end within {patience:g} s") from None
    if done.returncode:
        shown = (done.stdout + done.stderr)[-SHOWN_OUTPUT:]
        raise BenchmarkError(f"{command[0]}: exit status {done.returncode}\n{shown}")
    return done.stdout


@frozen(eq=False)
class Program:
    """A running process whose output, both streams in one, goes to a file."""

    name: str
    process: "subprocess.Popen[bytes]" = field(repr=False)
    log: Path

    def excerpt(self) -> str:
        """The end of its output, for the message of a failure."""
        state = self.process.poll()
        state_text = "still running" if state is None else f"exit status {state}"
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return f"--- {self.name}, {state_text}:\n{text[-SHOWN_OUTPUT:]}"

    def wait_until(self, look: Callable[[], bool], what: str) -> None:
        """Wait for something that this program is to bring about.

        Raises:
            BenchmarkError: it ended before, or `PATIENCE` did.
        """
        deadline = time.monotonic() + PATIENCE
        while not look():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"never {what}\n{self.excerpt()}")
            time.sleep(POLL_INTERVAL)

    def rss_bytes(self) -> int:
        """Resident memory of the process and of those it forked (sshd has one for a session)."""
        return sum(_rss_bytes(pid) for pid in _family(self.process.pid))

    def stop(self) -> None:
        """End it politely, else by force."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(TERMINATE_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _rss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def _family(root: int) -> set[int]:
    parents = dict(_parents())
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _parents() -> Iterator[tuple[int, int]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The program's name, in brackets, may have spaces and brackets itself.
            after_name = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
            yield int(path.parent.name), int(after_name.split()[1])


class Programs:
    """What was started and has to end, the last one first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: list[Program] = []

    def start(self, command: Sequence[str], name: str) -> Program:
        """Start a program in the directory, its output in a file there."""
        self.directory.mkdir(parents=True, exist_ok=True)
        log = self.directory / f"{len(self._running)}-{name.replace(' ', '-')}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the commands are this package's own
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        program = Program(name, process, log)
        self._running.append(program)
        return program

    def stop(self) -> None:
        """End them all."""
        while self._running:
            self._running.pop().stop()


@contextmanager
def programs_in(directory: Path) -> Iterator[Programs]:
    """Give a `Programs` whose programs have ended when the block is left."""
    programs = Programs(directory)
    try:
        yield programs
    finally:
        programs.stop()
