# -*- test-case-name: tests.e2e.test_commands -*-
"""Run real programs (ours, frp's, Debian's) as processes and talk to them.

Everything here blocks, so it is for ``SynchronousTestCase`` only: a test reads from top to bottom,
as the person would who does the same in a few terminals. Every wait ends.

Our own programs run as installed (``python -P``, in a temporary directory), never from the
checkout, so that a packaging mistake fails here.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeVar

from attrs import field, frozen
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tunnelsvc.units import DAY, HOUR, MINUTE

# Seconds: how long anything may take that normally takes less than one. Only failures wait so long.
PATIENCE: Final = 30.0

# Seconds between two looks at something that no event tells us about.
POLL_INTERVAL: Final = 0.02

# Seconds that a program gets to end by itself after SIGTERM.
TERMINATE_GRACE: Final = 10.0

# Ports of which a process that runs tests takes its own, and blocks of them, of which it claims one
# after the other.
PORTS: Final = 12000
BLOCK: Final = 100

# The first port that the kernel may give to anybody who doesn't mind which; else what Linux has.
EPHEMERAL_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
EPHEMERAL: Final = 32768

# Where Debian keeps programs that a plain user's PATH lacks.
SYSTEM_PATHS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")

# Characters of a program's output that a failed test shows.
SHOWN_OUTPUT: Final = 6000

# What a server's file may say that it listens on besides its bind_port.
PUBLIC_PORTS: Final = (
    "vhost_http_port",
    "vhost_https_port",
    "tcpmux_httpconnect_port",
    "dashboard_port",
)

T = TypeVar("T")

Sections = Mapping[str, Mapping[str, object]]
"""An INI file: section, key, value. True and False become ``true`` and ``false``."""


@frozen
class Peer:
    """A program that takes ``-c FILE``: one of ours or one of frp's."""

    name: str
    command: tuple[str, ...]
    version: tuple[int, ...] = ()
    """Of frp; empty for ours."""

    @property
    def label(self) -> str:
        """The name as part of a method's name."""
        return "".join(c if c.isalnum() else "_" for c in self.name)


TUNNELSVC: Final = (sys.executable, "-P", "-m", "tunnelsvc")
OUR_SERVER: Final = Peer("tunnelsvc server", (*TUNNELSVC, "server"))
OUR_CLIENT: Final = Peer("tunnelsvc client", (*TUNNELSVC, "client"))


@frozen
class FrpBinaries:
    """The real frp programs that somebody built and put below ``FRP_BIN_DIR``."""

    servers: tuple[Peer, ...] = ()
    clients: tuple[Peer, ...] = ()

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> "FrpBinaries":
        """Find every executable frps* and frpc*, oldest first, and ask each for its version."""
        directory = environ.get("FRP_BIN_DIR", "")
        if not directory:
            return cls()
        found = {kind: tuple(_frp_peers(Path(directory), kind)) for kind in ("frps", "frpc")}
        return cls(servers=found["frps"], clients=found["frpc"])


def _frp_peers(directory: Path, kind: str) -> list[Peer]:
    executables = (
        path.absolute()
        for path in sorted(directory.rglob(f"{kind}*"))
        if path.is_file() and os.access(path, os.X_OK)
    )
    return sorted((_frp_peer(path, kind) for path in executables), key=lambda peer: peer.version)


def _frp_peer(path: Path, kind: str) -> Peer:
    answer = subprocess.run(
        [path, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    text = answer.stdout.strip()
    return Peer(f"{kind} {text}", (str(path),), tuple(int(part) for part in text.split(".")))


def require_program(name: str) -> str:
    """Return the path of a Debian program.

    Raises:
        SkipTest: it isn't installed.
        AssertionError: it isn't installed and ``TUNNELSVC_TEST_STRICT=1`` says that it must be.
    """
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_PATHS))
    path = shutil.which(name, path=search)
    if path is None:
        raise _missing(name)
    return path


def require_module(name: str) -> None:
    """Look for a Python package that has a program.

    Raises:
        SkipTest: it isn't installed.
        AssertionError: it isn't installed and ``TUNNELSVC_TEST_STRICT=1`` says that it must be.
    """
    if find_spec(name) is None:
        raise _missing(name)


def _missing(name: str) -> Exception:
    if os.environ.get("TUNNELSVC_TEST_STRICT") == "1":
        return AssertionError(f"{name} is not installed, and TUNNELSVC_TEST_STRICT=1 wants it")
    return SkipTest(f"{name} is not installed")


def _first_ephemeral() -> int:
    try:
        first = int(EPHEMERAL_FILE.read_text(encoding="ascii").split()[0])
    except OSError:
        return EPHEMERAL
    return first if first > 1024 + PORTS else EPHEMERAL


def _claimed_ports() -> Iterator[int]:
    """Give ports that no other process gives, as long as this one lives.

    All are below those that the kernel chooses itself, so that no connection and no listener of
    anybody takes one between our looking and the program's listening. A block of them belongs to
    whoever has bound a name made of its number: names of Unix sockets without a file are as wide as
    ports are, the network namespace, and the kernel frees them when their process ends.
    """
    first = _first_ephemeral() - PORTS
    for start in random.sample(range(first, first + PORTS, BLOCK), PORTS // BLOCK):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0tunnelsvc-tests-ports-{start}")
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        yield from filter(_is_free, range(start, start + BLOCK))
    raise AssertionError(f"all {PORTS} ports for tests are in use")


def _is_free(port: int) -> bool:
    """Whether nobody has it, for neither TCP nor UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


_claims: Final[list[socket.socket]] = []
_ports: Final = _claimed_ports()


def free_port() -> int:
    """Return a port that nobody listens on, never the same one twice, in no other process either.

    Raises:
        AssertionError: there is none left.
    """
    return next(_ports)


def eventually(look: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Call ``look`` until its answer is true and return that.

    Raises:
        AssertionError: it never was.
    """
    deadline = time.monotonic() + patience
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:g} s: {what}")
        time.sleep(POLL_INTERVAL)
    return answer


def stay_within_the_day(patience: float = PATIENCE) -> None:
    """Wait for tomorrow if there is less left of today, for who asks what was counted today."""
    now = time.localtime()
    left = DAY - (now.tm_hour * HOUR + now.tm_min * MINUTE + now.tm_sec)
    if left < patience:
        time.sleep(left)


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on a port of the loopback address."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionError:
        return False
    return True


def is_listened_on(port: int) -> bool:
    """Whether somebody listens on a port of any address, who isn't disturbed (proc(5))."""
    ending, listening = f":{port:04X}", "0A"
    for table in ("tcp", "tcp6"):
        lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        for fields in map(str.split, lines):
            if fields[1].endswith(ending) and fields[3] == listening:
                return True
    return False


def _write_ini(path: Path, sections: Sections) -> Path:
    def shown(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    lines = []
    for name, options in sections.items():
        lines.append(f"[{name}]")
        lines.extend(f"{key} = {shown(value)}" for key, value in options.items())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@frozen
class ProcessStatus:
    """Looks at a process from outside, by /proc."""

    pid: int

    def open_files(self) -> int:
        """Number of descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def memory_bytes(self) -> int:
        """Resident memory it has."""
        return self._memory_bytes("VmRSS:")

    def peak_memory_bytes(self) -> int:
        """The most resident memory it ever had."""
        return self._memory_bytes("VmHWM:")

    def _memory_bytes(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith(name))
        return int(line.split()[1]) * 1024

    def is_running(self) -> bool:
        """Whether it is there and not a zombie."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"


def heed_interrupts() -> None:
    """Let programs that are started from now on notice SIGINT.

    A shell has its background jobs ignore it, and whoever ignores a signal when a program is
    started bequeaths that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@frozen(eq=False)
class Program:
    """A running process whose output, both streams in one, goes to a file."""

    name: str
    process: "subprocess.Popen[bytes]" = field(repr=False)
    log: Path

    @property
    def status(self) -> ProcessStatus:
        """What /proc says of it."""
        return ProcessStatus(self.process.pid)

    def output(self) -> str:
        """Everything printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def lines(self, text: str) -> list[str]:
        """The lines of output that have a text in them."""
        return [line for line in self.output().splitlines() if text in line]

    def wait_for(self, text: str, times: int = 1, patience: float = PATIENCE) -> None:
        """Wait until so many lines of output have a text in them."""
        self.wait_until(lambda: len(self.lines(text)) >= times, f"{text!r} printed", patience)

    def wait_until(self, look: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Wait for something that this program is to bring about; it must not end before."""
        try:
            eventually(lambda: look() or self.process.poll() is not None, what, patience)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.excerpt()}") from None
        if not look():
            raise AssertionError(f"ended without: {what}\n{self.excerpt()}")

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait for its end and return the exit status."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {patience} s\n{self.excerpt()}") from None

    def excerpt(self) -> str:
        """The end of its output, for the message of a failed test."""
        state = self.process.poll()
        state_text = "still running" if state is None else f"exit status {state}"
        return f"--- {self.name}, {state_text}:\n{self.output()[-SHOWN_OUTPUT:]}"

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """End it politely; return the exit status.

        Raises:
            AssertionError: it took force.
        """
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(TERMINATE_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM didn't end it\n{self.excerpt()}") from None


class ProgramTestCase(SynchronousTestCase):
    """A test with programs: they get a directory of their own and are gone at the end."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)
        self.started: list[Program] = []
        # Registered first, so that it runs when all have ended.
        self.addCleanup(self.check_outputs)

    def check_outputs(self) -> None:
        """No program ever met an error that it didn't expect."""
        for program in self.started:
            self.assertEqual(program.lines("Traceback"), [], program.excerpt())
            self.assertEqual(program.lines("Unhandled"), [], program.excerpt())

    def run_program(
        self,
        command: Sequence[str],
        *,
        name: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> Program:
        """Start a program in the test's directory; it is stopped when the test ends."""
        name = name or Path(command[0]).name
        log = self.directory / f"{len(self.started)}-{name.replace(' ', '-')}.log"
        heed_interrupts()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        program = Program(name, process, log)
        self.started.append(program)
        self.addCleanup(program.stop)
        return program

    def write_config(self, name: str, sections: Sections) -> Path:
        """Write an INI file into the test's directory."""
        return _write_ini(self.directory / name, sections)

    def run_server(
        self,
        sections: Sections,
        peer: Peer = OUR_SERVER,
        environ: Mapping[str, str] | None = None,
    ) -> Program:
        """Start a server with this configuration and wait until it listens on all its ports."""
        config = self.write_config("frps.ini", sections)
        server = self.run_program(
            (*peer.command, "-c", str(config)), name=peer.name, environ=environ
        )
        port = sections["common"]["bind_port"]
        assert isinstance(port, int)
        server.wait_until(lambda: accepts_connections(port), f"port {port} listened on")
        for key in PUBLIC_PORTS:
            other = sections["common"].get(key)
            if isinstance(other, int) and other:
                server.wait_until(partial(is_listened_on, other), f"{key} {other} listened on")
        return server

    def run_client(
        self,
        sections: Sections,
        peer: Peer = OUR_CLIENT,
        environ: Mapping[str, str] | None = None,
    ) -> Program:
        """Start a client with this configuration, and wait until its proxies are started."""
        config = self.write_config("frpc.ini", sections)
        client = self.run_program(
            (*peer.command, "-c", str(config)), name=peer.name, environ=environ
        )
        for proxy in sections:
            if proxy != "common":
                client.wait_for(f"[{proxy}] start proxy success")
        return client

    def show_outputs(self) -> str:
        """What every program of this test printed, for the message of a failure."""
        return "\n".join(program.excerpt() for program in self.started)
