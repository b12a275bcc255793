# -*- test-case-name: tests.test_benchmarks -*-
"""From samples to the table: medians, spread, ratios to frp, goals. As text and as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from attrs import asdict, frozen

from benchmarks.rows import Goal, Row
from benchmarks.run import Failure, Run, Sample
from benchmarks.systems import OURS, REFERENCE, System

# Significant digits of a number in the table: the third is already noise.
DIGITS: Final = 3

HEADINGS: Final = (
    "workload",
    "unit",
    "system",
    "median",
    "min – max",
    "× frp",
    "min – max",
    "goal",
    "reached",
)


@frozen
class Figure:
    """A median and how far the runs lie from it."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Figure | None":
        """Sum up; None if there are no values."""
        known = sorted(values)
        return cls(median(known), known[0], known[-1]) if known else None


@frozen(kw_only=True)
class Line:
    """One system in one row of the table."""

    tls: bool
    row: str
    title: str
    unit: str
    system: str
    figure: Figure
    ratio: float | None
    """Of the medians, to frp's; None without frp."""
    ratio_least: float | None
    """Of the ratios within one run."""
    ratio_most: float | None
    goal: str | None
    reached: bool | None


Values = Mapping[int, float]
"""By run."""


def _values(samples: Iterable[Sample], tls: bool, row: str, system: str) -> Values:
    wanted = (tls, row, system)
    return {s.run: s.value for s in samples if (s.tls, s.row, s.system) == wanted}


def goal_for(row: Row, system: System, tls: bool) -> Goal | None:
    """The goal that a system has in a row: only ours, and ours with frp, have any."""
    if system.is_mixed:
        return row.mixed_goal
    return row.goals[tls] if system.name == OURS else None


def _line(row: Row, system: System, tls: bool, values: Values, reference: Values) -> Line | None:
    figure = Figure.of(values.values())
    if figure is None:
        return None
    base = Figure.of(reference.values())
    # Memory that didn't grow at all gives no ratio.
    ratio = figure.median / base.median if base and base.median > 0 else None
    pairs = Figure.of(
        value / reference[run] for run, value in values.items() if reference.get(run, 0) > 0
    )
    goal = goal_for(row, system, tls)
    return Line(
        tls=tls,
        row=row.key,
        title=row.title,
        unit=row.unit,
        system=system.name,
        figure=figure,
        ratio=ratio,
        ratio_least=pairs.least if pairs else None,
        ratio_most=pairs.most if pairs else None,
        goal=str(goal) if goal else None,
        reached=goal.is_reached(ratio) if goal and ratio is not None else None,
    )


def summarise(
    samples: Sequence[Sample], rows: Sequence[Row], systems: Sequence[System]
) -> list[Line]:
    """Make the table's lines: by TLS setting, row, system, in the order given."""
    lines = (
        _line(
            row,
            system,
            tls,
            _values(samples, tls, row.key, system.name),
            _values(samples, tls, row.key, REFERENCE),
        )
        for tls in (False, True)
        for row in rows
        for system in systems
    )
    return [line for line in lines if line is not None]


def shown(value: float | None) -> str:
    """Write a number with `DIGITS` digits, never as a power of ten."""
    if value is None:
        return "–"
    digits = DIGITS - len(str(int(abs(value))))
    return f"{round(value, digits):.{max(digits, 0)}f}"


def _verdict(line: Line) -> str:
    unknown = "?" if line.goal else ""
    return {True: "yes", False: "**no**", None: unknown}[line.reached]


def _cells(line: Line) -> tuple[str, ...]:
    figure, unknown = line.figure, line.ratio_least is None
    return (
        line.title,
        line.unit,
        line.system,
        shown(figure.median),
        f"{shown(figure.least)} – {shown(figure.most)}",
        shown(line.ratio),
        "–" if unknown else f"{shown(line.ratio_least)} – {shown(line.ratio_most)}",
        line.goal or "",
        _verdict(line),
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a Markdown table whose columns are also straight to the eye."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = (
        "| " + " | ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) + " |"
        for row in rows
    )
    return [head, "|" + "|".join("-" * (n + 2) for n in widths) + "|", *body]


def _without_repetition(rows: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Name a workload in its first line only."""
    result, last = [], ""
    for row in rows:
        result.append(("", "", *row[2:]) if row[0] == last else row)
        last = row[0]
    return result


def as_text(lines: Sequence[Line], failures: Sequence[Failure], skipped: Mapping[str, str]) -> str:
    """Write the tables, then what is missing in them."""
    parts: list[str] = []
    for tls in (False, True):
        cells = [_cells(line) for line in lines if line.tls is tls]
        if cells:
            table = _table([HEADINGS, *_without_repetition(cells)])
            parts += [f"TLS {'on' if tls else 'off'}:", "", *table, ""]
    parts += [f"Skipped: {name}: {reason}" for name, reason in skipped.items()]
    for failure in failures:
        setting = f"run {failure.run + 1}, TLS {'on' if failure.tls else 'off'}"
        what = failure.row or "start"
        parts.append(
            f"Failed: {failure.system}, {what}, {setting}: {failure.reason.splitlines()[0]}"
        )
    goals = [line.reached for line in lines if line.reached is not None]
    parts.append(f"Goals reached: {sum(goals)} of {len(goals)}.")
    return "\n".join(parts) + "\n"


def as_json(
    machine: Mapping[str, object], run: Run, lines: Sequence[Line], skipped: Mapping[str, str]
) -> str:
    """Write everything known, samples included."""
    plan = run.plan
    answer = {
        "machine": dict(machine),
        "options": {"runs": plan.runs, "seconds": plan.seconds, "idle": plan.idle},
        "lines": [asdict(line) for line in lines],
        "samples": [asdict(sample) for sample in run.samples],
        "failures": [asdict(failure) for failure in run.failures],
        "skipped": dict(skipped),
    }
    return json.dumps(answer, indent=1, ensure_ascii=False) + "\n"
