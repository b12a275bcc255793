# -*- test-case-name: tests.test_parallel -*-
"""Run the tests in several processes at once, measured by coverage where that tells anything.

``python -m tests.parallel [--jobs N] [--report] [OPTIONS OF TRIAL] NAME...``, where a name is what
trial takes: a package, a module, a class, a method. Each process has a temporary directory of its
own and runs a part: a module of those that wait for programs, the modules of a package of all
others. When a part has ended there is a line for it, below what failed in it; all that it printed
stays in a file of the temporary directory. In the end there is coverage's report, if it is wanted.

Trial's own ``--jobs`` won't do: its workers start each test by its name alone, have the checkout
on the PYTHONPATH of every program that a test starts, and are measured only where all those
programs are, too.
"""

import argparse
import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import field, frozen

# Packages whose modules take long, and wait for most of the time. What they test are programs
# beside them: there is little to measure, and that would cost a fifth more of processor time.
SLOW_PACKAGES: Final = ("e2e", "interop")

# Modules that take longer than one would think by their size.
LONG_MODULES: Final = ("tests.e2e.test_heartbeats",)

# Processes at once, if nobody says how many: each waits for half of its time, so there are two more
# than the machine has processors.
JOBS: Final = min(8, len(os.sched_getaffinity(0)) + 2)

# The line of trial's that comes before the first test that failed.
COMPLAINTS: Final = "=" * 79

# The package of all tests, and the percentage of the program that they must run.
ALL: Final = "tests"
LEAST_COVERAGE: Final = 95

# What the shell says of a program that was ended by SIGINT.
INTERRUPTED: Final = 128 + signal.SIGINT


@frozen
class Part:
    """What one process runs."""

    label: str
    names: tuple[str, ...]
    """For trial."""
    size_bytes: int = 0
    """Of the source: how long it takes is about in proportion."""

    @property
    def is_measured(self) -> bool:
        """Whether it runs some of the program in its own process, and not only beside it."""
        return not set(SLOW_PACKAGES).intersection(self.label.split("."))


@frozen
class Outcome:
    """How a part ended."""

    part: Part
    status: int
    seconds: float
    output: str = field(default="", repr=False)

    @property
    def tests(self) -> int:
        """How many there were."""
        ran = re.findall(r"^Ran (\d+) tests? in", self.output, re.MULTILINE)
        return sum(map(int, ran))

    @property
    def complaints(self) -> str:
        """What trial says below its list of tests; all there is, if it hasn't got so far."""
        _, line, rest = self.output.partition(f"\n{COMPLAINTS}\n")
        return f"{COMPLAINTS}\n{rest}" if line else self.output

    @property
    def summary(self) -> str:
        """The last line of trial's output, or what there is instead."""
        return (self.output.strip() or "no output").splitlines()[-1]


def find_parts(names: Sequence[str]) -> list[Part]:
    """Find what to run, in the order in which to begin it: what takes longest first."""
    parts = [part for name in names for part in _parts_of(name)]
    return sorted(parts, key=lambda part: (part.label not in LONG_MODULES, -part.size_bytes))


def _parts_of(name: str) -> Iterator[Part]:
    folder = Path(*name.split("."))
    if not folder.is_dir():
        yield Part(name, (name,))
        return
    for package in sorted(path.parent for path in folder.rglob("__init__.py")):
        files = sorted(package.glob("test_*.py"))
        if package.name in SLOW_PACKAGES:
            yield from (_part(_dotted(file), [file]) for file in files)
        elif files:
            yield _part(_dotted(package), files)


def _part(label: str, files: Sequence[Path]) -> Part:
    size = sum(file.stat().st_size for file in files)
    return Part(label, tuple(map(_dotted, files)), size)


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


@frozen
class Runner:
    """Runs parts, each in a process."""

    directory: Path
    """For temporary files and output; removed by nobody, so that one can look at it."""
    options: Sequence[str] = ()
    """For trial."""

    def command(self, part: Part, number: int) -> list[str]:
        """Give what to run for a part; the directory's name is short for the sake of sockets."""
        trial = ("-m", "twisted.trial", "--temp-directory", str(self.directory / str(number)))
        measured = ("-m", "coverage", "run") if part.is_measured else ()
        return [sys.executable, *measured, *trial, *self.options, *part.names]

    async def run(self, part: Part, number: int = 0, output: Path | None = None) -> Outcome:
        """Run a part; its output goes to a file, or to where ours goes.

        Raises:
            CancelledError: so was this; the process was interrupted, and has cleaned up, unless
                this was cancelled once more.
        """
        begun = time.monotonic()
        command = self.command(part, number)
        with (output or Path(os.devnull)).open("wb") as file:
            # A session of its own: Ctrl-C interrupts it by way of us, and only once.
            process = await asyncio.create_subprocess_exec(
                *command,
                stdout=file if output else None,
                stderr=asyncio.subprocess.STDOUT if output else None,
                start_new_session=True,
            )
            try:
                status = await process.wait()
            except asyncio.CancelledError:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
                await process.wait()
                raise
        text = output.read_text(encoding="utf-8", errors="replace") if output else ""
        return Outcome(part, status, time.monotonic() - begun, text)

    async def run_all(self, parts: Sequence[Part], jobs: int) -> list[Outcome]:
        """Run so many at once, in this order; show each when it has ended."""
        free = asyncio.Semaphore(jobs)

        async def run_one(number: int, part: Part) -> Outcome:
            async with free:
                outcome = await self.run(part, number, self.directory / f"{number}.log")
                show(outcome)
                return outcome

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run_one(*each)) for each in enumerate(parts)]
        return [task.result() for task in tasks]


def show(outcome: Outcome) -> None:
    """Print what there is to say of a part."""
    if outcome.status:
        print(f"\n{outcome.complaints}", flush=True)
    label = outcome.part.label
    print(f"{label:<40} {outcome.seconds:6.1f} s  {outcome.summary}", flush=True)


def show_total(outcomes: Sequence[Outcome], seconds: float) -> None:
    """Print what came of it all."""
    number = sum(outcome.tests for outcome in outcomes)
    print(f"\nRan {number} tests in {len(outcomes)} processes in {seconds:.1f} s")
    for outcome in outcomes:
        if outcome.status:
            print(f"FAILED: {outcome.part.label}, exit status {outcome.status}")


def report(*, whole: bool) -> int:
    """Print what coverage has measured; return the exit status, 0 if it is enough.

    Args:
        whole: whether all tests have run. Of a few of them nobody expects that.
    """
    coverage = (sys.executable, "-m", "coverage")
    least = ("--fail-under", str(LEAST_COVERAGE)) if whole else ()
    combined = subprocess.run((*coverage, "combine", "--quiet"), check=False).returncode
    return combined or subprocess.run((*coverage, "report", *least), check=False).returncode


async def run(parts: Sequence[Part], directory: Path, jobs: int, options: Sequence[str]) -> int:
    """Run it all; return the exit status."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    directory.mkdir(parents=True, exist_ok=True)
    runner = Runner(directory, options)
    if len(parts) == 1:
        return (await runner.run(parts[0])).status
    begun = time.monotonic()
    outcomes = await runner.run_all(parts, jobs)
    show_total(outcomes, time.monotonic() - begun)
    return int(any(outcome.status for outcome in outcomes))


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.parallel", allow_abbrev=False)
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N")
    parser.add_argument("--temp-directory", type=Path, default=Path("_trial_temp"))
    parser.add_argument("--report", action="store_true")
    parsed, rest = parser.parse_known_args(arguments)
    options = [each for each in rest if each.startswith("-")]
    names = [each for each in rest if not each.startswith("-")] or [ALL]
    parts = find_parts(names)
    try:
        status = asyncio.run(run(parts, parsed.temp_directory.absolute(), parsed.jobs, options))
    except asyncio.CancelledError:
        return INTERRUPTED
    if status or not parsed.report:
        return status
    return report(whole=names == [ALL])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
