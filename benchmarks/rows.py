# -*- test-case-name: tests.test_benchmarks -*-
"""The rows of the table: what is measured, and what ratio to frp is to be reached."""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Final

from attrs import field, frozen

from benchmarks.loads import (
    VHOST,
    Reading,
    iperf3_command,
    read_iperf3,
    read_wrk_latency,
    read_wrk_rate,
    wrk_command,
)


class Entry(Enum):
    """Where users come in: the port of a proxy that a row needs."""

    WEB = "tcp proxy before nginx"
    BULK = "tcp proxy before iperf3"
    VHOST = "http proxy before nginx"


TCP: Final = frozenset({Entry.WEB, Entry.BULK})
HTTP: Final = frozenset({Entry.VHOST})


@frozen
class Goal:
    """A ratio to frp, and on which side of it is good."""

    ratio: float
    at_least: bool = True

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.ratio:g}"

    def is_reached(self, ratio: float) -> bool:
        """Whether a measured ratio is good enough."""
        return ratio >= self.ratio if self.at_least else ratio <= self.ratio


Goals = Mapping[bool, Goal]
"""The goal with TLS off (False) and on (True)."""


@frozen(kw_only=True)
class Row:
    """One thing measured. Rows without a command are memory, which the run reads itself."""

    key: str
    title: str
    unit: str
    entry: Entry
    goals: Goals
    mixed_goal: Goal | None = None
    """When one of the two programs is frp's."""
    command: Callable[[int, int], tuple[str, ...]] | None = None
    """Takes the port of `entry` and seconds."""
    read: Callable[[str], Reading] = field(default=read_wrk_rate)


def _at_least(off: float, on: float | None = None) -> Goals:
    return {False: Goal(off), True: Goal(off if on is None else on)}


def _at_most(ratio: float) -> Goals:
    return dict.fromkeys((False, True), Goal(ratio, at_least=False))


# With one program of frp's own, its yamux sets the rules.
MIXED: Final = Goal(0.8)
MIXED_LATENCY: Final = Goal(1 / MIXED.ratio, at_least=False)


def _bulk(streams: int, *, reverse: bool) -> Row:
    way = "down" if reverse else "up"
    return Row(
        key=f"bulk-{streams}-{way}",
        title=f"bulk, {streams} stream{'s' * (streams > 1)}, {way}",
        unit="Gbit/s",
        entry=Entry.BULK,
        goals=_at_least(1.5, 1.2),
        mixed_goal=MIXED,
        command=partial(iperf3_command, streams=streams, reverse=reverse),
        read=read_iperf3,
    )


LOADS: Final = (
    *(_bulk(streams, reverse=reverse) for streams in (1, 8) for reverse in (False, True)),
    Row(
        key="keepalive",
        title="keep-alive requests",
        unit="1/s",
        entry=Entry.WEB,
        goals=_at_least(1.0),
        mixed_goal=MIXED,
        command=wrk_command,
    ),
    Row(
        key="connections",
        title="new connections",
        unit="1/s",
        entry=Entry.WEB,
        goals=_at_least(1.2),
        mixed_goal=MIXED,
        command=partial(wrk_command, close=True),
    ),
    Row(
        key="latency",
        title="latency at concurrency 1",
        unit="µs",
        entry=Entry.WEB,
        goals=_at_most(0.9),
        mixed_goal=MIXED_LATENCY,
        command=partial(wrk_command, connections=1),
        read=read_wrk_latency,
    ),
    Row(
        key="vhost-keepalive",
        title="vhost, keep-alive requests",
        unit="1/s",
        entry=Entry.VHOST,
        goals=_at_least(1.5),
        mixed_goal=MIXED,
        command=partial(wrk_command, host=VHOST),
    ),
    Row(
        key="vhost-connections",
        title="vhost, new connections",
        unit="1/s",
        entry=Entry.VHOST,
        goals=_at_least(1.2),
        mixed_goal=MIXED,
        command=partial(wrk_command, host=VHOST, close=True),
    ),
)


def _memory(key: str, what: str, unit: str, most: float) -> dict[str, Row]:
    return {
        side: Row(
            key=f"{key}-{side}",
            title=f"{what}, {side}",
            unit=unit,
            entry=Entry.WEB,
            goals=_at_most(most),
        )
        for side in ("server", "client")
    }


RSS: Final = _memory("rss", "RSS after the loads", "MiB", 1.2)
"""By side, ``server`` and ``client``; likewise `IDLE`."""
IDLE: Final = _memory("idle", "RSS per idle connection", "KiB", 0.5)

ROWS: Final = (*LOADS, *RSS.values(), *IDLE.values())
