# -*- test-case-name: tests.test_benchmarks -*-
"""What a tunnel is to the benchmark: how to start one, and how to know that it works."""

import http.client
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from attrs import frozen

from benchmarks.loads import VHOST
from benchmarks.programs import (
    PATIENCE,
    BenchmarkError,
    Program,
    Programs,
    free_port,
    is_listened_on,
    programs_in,
)
from benchmarks.rows import Entry

OURS: Final = "tunnelsvc"
REFERENCE: Final = "frp"

HTTP_OK: Final = 200


@frozen(kw_only=True)
class Site:
    """What a system is told: where to put files, which ports to use, what is behind."""

    directory: Path
    tls: bool
    control_port: int
    """Where the client finds the server."""
    user_ports: dict[Entry, int]
    """Where users are to come in."""
    web_port: int
    """Of nginx."""
    bulk_port: int
    """Of the iperf3 server."""

    def write(self, name: str, text: str) -> str:
        """Write a configuration file; return its path."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return str(path)


Command = tuple[str, ...]


@frozen
class Launch:
    """The commands of a tunnel; the clients start when the server listens."""

    server: Command
    clients: tuple[Command, ...]


@frozen(kw_only=True)
class System:
    """A tunnel program, or two of different make."""

    name: str
    launch: Callable[[Site], Launch]
    entries: frozenset[Entry]
    tls: tuple[bool, ...] = (False, True)
    """In which of the two settings it takes part; what always encrypts does in the second."""
    is_mixed: bool = False
    """One program ours, one frp's."""
    control_port: int | None = None
    """The port on which the server insists."""
    shares_port: bool = False
    """Users come in by the port that clients use."""


@frozen(kw_only=True)
class Tunnel:
    """A system that is running and was seen to work."""

    server: Program
    clients: tuple[Program, ...]
    user_ports: dict[Entry, int]

    def check(self) -> None:
        """See that everything still runs.

        Raises:
            BenchmarkError: a program has ended.
        """
        for program in (self.server, *self.clients):
            if program.process.poll() is not None:
                raise BenchmarkError(f"{program.name} has ended\n{program.excerpt()}")

    def rss_bytes(self, side: str) -> int:
        """Resident memory of all processes of the ``server`` or the ``client`` side.

        Raises:
            BenchmarkError: a program has ended.
        """
        self.check()
        side_programs = (self.server,) if side == "server" else self.clients
        return sum(program.rss_bytes() for program in side_programs)


def answers(port: int) -> bool:
    """Whether nginx answers a request of `VHOST` that enters by a port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/", headers={"Host": VHOST})
        return connection.getresponse().status == HTTP_OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ready_checks(tunnel: Tunnel) -> Iterator[tuple[str, Callable[[], bool]]]:
    for entry, port in tunnel.user_ports.items():
        check = is_listened_on if entry is Entry.BULK else answers
        yield f"{entry.value} at {port}", partial(check, port)


def make_site(system: System, directory: Path, *, tls: bool, backends: tuple[int, int]) -> Site:
    """Choose ports for a system; ``backends`` are those of nginx and of iperf3."""
    web_port, bulk_port = backends
    control_port = system.control_port or free_port()
    return Site(
        directory=directory,
        tls=tls,
        control_port=control_port,
        user_ports={
            entry: control_port if system.shares_port else free_port()
            for entry in Entry
            if entry in system.entries
        },
        web_port=web_port,
        bulk_port=bulk_port,
    )


def _start(system: System, site: Site, programs: Programs) -> Tunnel:
    if is_listened_on(site.control_port):
        raise BenchmarkError(f"{system.name}: port {site.control_port} is in use")
    launch = system.launch(site)
    server = programs.start(launch.server, f"{system.name} server")
    server.wait_until(lambda: is_listened_on(site.control_port), "listening")
    clients = tuple(programs.start(command, f"{system.name} client") for command in launch.clients)
    tunnel = Tunnel(server=server, clients=clients, user_ports=site.user_ports)
    for what, look in _ready_checks(tunnel):
        clients[-1].wait_until(look, what)
    return tunnel


@contextmanager
def running(system: System, site: Site) -> Iterator[Tunnel]:
    """Run a system while the block lasts.

    Raises:
        BenchmarkError: it didn't start.
    """
    with programs_in(site.directory) as programs:
        yield _start(system, site, programs)


def chosen(systems: Sequence[System], names: Sequence[str]) -> list[System]:
    """Pick systems by their names, all of them if there are no names.

    Raises:
        BenchmarkError: there is none of a name.
    """
    unknown = set(names) - {system.name for system in systems}
    if unknown:
        known = ", ".join(system.name for system in systems)
        raise BenchmarkError(f"not here: {', '.join(sorted(unknown))}. There is: {known}")
    return [system for system in systems if not names or system.name in names]
