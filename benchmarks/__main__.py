# -*- test-case-name: tests.test_benchmarks -*-
"""The command ``python -m benchmarks``."""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from benchmarks.backends import NEEDED, Backends, require
from benchmarks.frp import find_frp, frp_systems, our_system
from benchmarks.machine import describe_machine, idle_limit, raise_open_files
from benchmarks.others import find_others
from benchmarks.programs import BenchmarkError, programs_in
from benchmarks.report import as_json, as_text, summarise
from benchmarks.rows import ROWS, Row
from benchmarks.run import Plan, Run
from benchmarks.systems import OURS, REFERENCE, System, Tunnel, chosen, make_site, running

# What --quick stands for: a look at everything, once, in under two minutes.
QUICK_SYSTEMS: Final = (OURS, REFERENCE)
QUICK_IDLE: Final = 1000

SETTINGS: Final = {"off": (False,), "on": (True,), "both": (False, True)}


@frozen
class Found:
    """The systems of this machine, and why others aren't among them."""

    systems: list[System]
    skipped: dict[str, str]
    frp_version: str = "none"


def find_systems() -> Found:
    """Look for everything that can be measured."""
    others, skipped = find_others()
    try:
        version, server, client = find_frp(os.environ)
    except BenchmarkError as error:
        return Found([our_system(), *others], {REFERENCE: str(error), **skipped})
    # frp first, as what all others are compared with.
    frp, *mixed = frp_systems(server, client)
    return Found([frp, our_system(), *mixed, *others], skipped, version)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--runs", type=int, default=5, help="runs, of which the table has the median (5)")
    add("--seconds", type=int, default=4, help="seconds of each load (4)")
    add("--idle", type=int, default=10_000, help="idle connections held (10000)")
    add("--tls", choices=SETTINGS, default="both", help="settings to run (both)")
    add("--rows", type=_names, default=[], help="names of rows, with commas between (all)")
    add("--systems", type=_names, default=[], help="names of systems, likewise (all found)")
    add("--json", type=Path, metavar="FILE", help="write everything, each sample too, as JSON")
    add("--quick", action="store_true", help="one short run of ours and frp, below two minutes")
    add("--list", action="store_true", help="show rows and systems found, and end")
    add("--serve", metavar="SYSTEM", help="start one system, for a profiler or a load of your own")
    options = parser.parse_args(arguments)
    if options.quick:
        options.runs, options.seconds = 1, 1
        options.idle = min(options.idle, QUICK_IDLE)
    return options


def pick_rows(names: Sequence[str]) -> list[Row]:
    """Choose rows by their names, all of them if there are no names.

    Raises:
        BenchmarkError: there is none of a name.
    """
    unknown = set(names) - {row.key for row in ROWS}
    if unknown:
        known = ", ".join(row.key for row in ROWS)
        raise BenchmarkError(f"no rows: {', '.join(sorted(unknown))}. There is: {known}")
    return [row for row in ROWS if not names or row.key in names]


def make_plan(options: argparse.Namespace, found: Found, files: int) -> Plan:
    """Turn the command line into a plan; leaves its reasons in ``found.skipped``.

    Raises:
        BenchmarkError: it names rows or systems that there aren't.
    """
    systems = chosen(found.systems, options.systems)
    if options.quick and not options.systems:
        left_out = [s.name for s in systems if s.name not in QUICK_SYSTEMS]
        found.skipped.update(dict.fromkeys(left_out, "--quick, unless --systems names it"))
        systems = [system for system in systems if system.name in QUICK_SYSTEMS]
    idle = min(options.idle, idle_limit(files))
    if idle < options.idle:
        reason = f"only {idle}, as a process may have {files} files open"
        found.skipped[f"{options.idle} idle connections"] = reason
    return Plan(
        runs=options.runs,
        seconds=options.seconds,
        idle=idle,
        settings=SETTINGS[options.tls],
        rows=pick_rows(options.rows),
        systems=systems,
    )


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def _backends(files: int) -> Iterator[tuple[Path, Backends]]:
    with tempfile.TemporaryDirectory(prefix="tunnel-benchmarks-") as name:
        directory = Path(name)
        # nginx drops root's rights, and then looks for its directories.
        directory.chmod(0o755)
        with programs_in(directory / "backends") as programs:
            yield directory, Backends(programs, files)


def measure_all(options: argparse.Namespace, found: Found, files: int) -> int:
    """Run the plan, print the table, write the JSON; also when interrupted by Ctrl-C."""
    plan = make_plan(options, found, files)
    machine = describe_machine(found.frp_version)
    with _backends(files) as (directory, backends):
        run = Run(plan=plan, directory=directory, backends=backends, notice=_say)
        started, is_complete = time.monotonic(), True
        try:
            run.go()
        except KeyboardInterrupt:
            found.skipped["the rest"], is_complete = "interrupted", False
        machine["seconds_taken"] = round(time.monotonic() - started)
    lines = summarise(run.samples, plan.rows, plan.systems)
    if options.json:
        options.json.write_text(as_json(machine, run, lines, found.skipped), encoding="utf-8")
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    loads = f"{plan.runs} runs, loads of {plan.seconds} s, {plan.idle} idle connections"
    sys.stdout.write(f"{facts}\n{loads}\n\n{as_text(lines, run.failures, found.skipped)}")
    return 0 if is_complete and not run.failures else 1


def _describe(tunnel: Tunnel) -> Iterator[str]:
    for program in (tunnel.server, *tunnel.clients):
        yield f"{program.name}: process {program.process.pid}"
    for entry, port in tunnel.user_ports.items():
        yield f"{entry.value}: 127.0.0.1:{port}"


def serve(options: argparse.Namespace, found: Found, files: int) -> int:
    """Keep one system running until Ctrl-C; TLS is on unless ``--tls off``."""
    system = chosen(found.systems, [options.serve])[0]
    with _backends(files) as (directory, backends):
        ports = (backends.web_port, backends.bulk_port)
        tls = options.tls != "off"
        site = make_site(system, directory / "system", tls=tls, backends=ports)
        with running(system, site) as tunnel:
            _say("\n".join(_describe(tunnel)))
            try:
                signal.pause()
            except KeyboardInterrupt:
                return 0
    return 0


def show_choices(found: Found) -> int:
    """Print the names that ``--rows`` and ``--systems`` take."""
    lines = [f"row {row.key}: {row.title}, {row.unit}" for row in ROWS]
    lines += [f"system {system.name}" for system in found.systems]
    lines += [f"no system {name}: {reason}" for name, reason in found.skipped.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    options = parse(arguments)
    files = raise_open_files()
    try:
        found = find_systems()
        if options.list:
            return show_choices(found)
        for name in NEEDED:
            require(name)
        return (serve if options.serve else measure_all)(options, found, files)
    except BenchmarkError as error:
        _say(str(error))
        return 1


def _interrupt(*_: object) -> None:
    # SIGTERM like Ctrl-C: what was started ends, what was measured is shown.
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))
