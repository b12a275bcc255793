# -*- test-case-name: tests.test_benchmarks -*-
"""Run every row on every system, the systems in turn, so that a slow minute is everybody's."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final, Protocol

from attrs import Factory, field, frozen

from benchmarks.hold import Crowd
from benchmarks.loads import Reading
from benchmarks.programs import PATIENCE, BenchmarkError, run_to_end
from benchmarks.rows import IDLE, RSS, Entry, Row
from benchmarks.systems import System, Tunnel, make_site, running

# Seconds between the last connection held and the look at the memory: what was for opening goes.
SETTLE: Final = 1.0

# Seconds before each load, for the system before to get done with closing its connections.
PAUSE: Final = 0.3

# Connections held before the first look at the memory: what the first user of all costs is there.
WARM_CONNECTIONS: Final = 10

KIB: Final = 1024
MIB: Final = 1024 * KIB


@frozen
class Sample:
    """One number of one run."""

    run: int
    tls: bool
    row: str
    system: str
    value: float
    details: Mapping[str, float] = Factory(dict)


@frozen
class Failure:
    """A number that there isn't, and why."""

    run: int
    tls: bool
    row: str
    """Empty: the system didn't start."""
    system: str
    reason: str


@frozen(kw_only=True)
class Plan:
    """What to run."""

    runs: int
    seconds: int
    """Of each load."""
    idle: int
    """Connections held open for `IDLE`."""
    settings: Sequence[bool]
    """Of TLS."""
    rows: Sequence[Row]
    systems: Sequence[System]

    def in_turn(self, run: int, tls: bool) -> list[System]:
        """The systems that take part, each run another one first."""
        systems = [system for system in self.systems if tls in system.tls]
        first = run % len(systems) if systems else 0
        return systems[first:] + systems[:first]

    def has(self, rows: Mapping[str, Row]) -> bool:
        """Whether one of a kind of memory row is wanted."""
        return any(row in self.rows for row in rows.values())


class BackendPorts(Protocol):
    """What a run needs of `Backends`."""

    web_port: int
    bulk_port: int

    def renew_bulk(self) -> None:
        """Start iperf3 afresh."""


def measure(row: Row, tunnel: Tunnel, seconds: int) -> Reading:
    """Put one load on a tunnel.

    Raises:
        BenchmarkError: the load failed.
    """
    assert row.command is not None
    command = row.command(tunnel.user_ports[row.entry], seconds)
    try:
        return row.read(run_to_end(command, seconds + PATIENCE))
    except BenchmarkError:
        # That a program has ended says more than that it didn't answer.
        tunnel.check()
        raise


def measure_idle(tunnel: Tunnel, count: int) -> dict[str, float]:
    """Hold connections open; return by side the bytes of memory that each of them took.

    Raises:
        BenchmarkError: some connections didn't come about.
    """
    crowd = Crowd(tunnel.user_ports[Entry.WEB])
    try:
        crowd.grow(WARM_CONNECTIONS)
        time.sleep(SETTLE)
        before = {side: tunnel.rss_bytes(side) for side in IDLE}
        crowd.grow(WARM_CONNECTIONS + count)
        time.sleep(SETTLE)
        return {side: (tunnel.rss_bytes(side) - before[side]) / count for side in IDLE}
    finally:
        crowd.close()


@frozen(kw_only=True)
class Run:
    """Carries out a plan and collects what it gives; what is there survives an interruption."""

    plan: Plan
    directory: Path
    backends: BackendPorts
    notice: Callable[[str], None]
    """Told about each number as it comes."""
    samples: list[Sample] = field(init=False, factory=list)
    failures: list[Failure] = field(init=False, factory=list)

    def go(self) -> None:
        """Do it all."""
        for run in range(self.plan.runs):
            for tls in self.plan.settings:
                self._loads(run, tls)
                if self.plan.has(IDLE):
                    self._idle(run, tls)

    def _loads(self, run: int, tls: bool) -> None:
        with ExitStack() as stack:
            tunnels: list[tuple[System, Tunnel]] = []
            for system in self.plan.in_turn(run, tls):
                try:
                    tunnels.append((system, stack.enter_context(self._running(system, tls))))
                except BenchmarkError as error:
                    self._fail(run, tls, "", system, error)
            for row in self.plan.rows:
                if row.command is not None:
                    self._row(run, tls, row, tunnels)
            self._rss(run, tls, tunnels)

    def _running(self, system: System, tls: bool) -> AbstractContextManager[Tunnel]:
        ports = (self.backends.web_port, self.backends.bulk_port)
        # Each time another directory: programs write files that they don't expect to find.
        directory = self.directory / f"{time.monotonic_ns()}"
        return running(system, make_site(system, directory, tls=tls, backends=ports))

    def _row(self, run: int, tls: bool, row: Row, tunnels: list[tuple[System, Tunnel]]) -> None:
        for system, tunnel in tunnels:
            if row.entry not in system.entries:
                continue
            time.sleep(PAUSE)
            try:
                if row.entry is Entry.BULK:
                    self.backends.renew_bulk()
                reading = measure(row, tunnel, self.plan.seconds)
            except BenchmarkError as error:
                self._fail(run, tls, row.key, system, error)
            else:
                self._note(run, tls, row, system, reading)

    def _rss(self, run: int, tls: bool, tunnels: list[tuple[System, Tunnel]]) -> None:
        for side, row in RSS.items():
            if row not in self.plan.rows:
                continue
            for system, tunnel in tunnels:
                try:
                    reading = Reading(tunnel.rss_bytes(side) / MIB, {})
                except BenchmarkError as error:
                    self._fail(run, tls, row.key, system, error)
                else:
                    self._note(run, tls, row, system, reading)

    def _idle(self, run: int, tls: bool) -> None:
        """Each system alone and new: memory that loads have left behind would be used again."""
        for system in self.plan.in_turn(run, tls):
            if Entry.WEB not in system.entries:
                continue
            try:
                with self._running(system, tls) as tunnel:
                    sizes = measure_idle(tunnel, self.plan.idle)
            except BenchmarkError as error:
                self._fail(run, tls, "idle", system, error)
                continue
            for side, row in IDLE.items():
                if row in self.plan.rows:
                    self._note(run, tls, row, system, Reading(sizes[side] / KIB, {}))

    def _note(self, run: int, tls: bool, row: Row, system: System, reading: Reading) -> None:
        value = reading.value
        self.samples.append(Sample(run, tls, row.key, system.name, value, reading.details))
        self.notice(f"{_where(run, tls)} {row.key:18} {system.name:16} {value:10.4g} {row.unit}")

    def _fail(self, run: int, tls: bool, row: str, system: System, error: BenchmarkError) -> None:
        self.failures.append(Failure(run, tls, row, system.name, str(error)))
        self.notice(f"{_where(run, tls)} {row or 'start':18} {system.name:16} FAILED: {error}")


def _where(run: int, tls: bool) -> str:
    return f"run {run + 1}, TLS {'on ' if tls else 'off'}:"
