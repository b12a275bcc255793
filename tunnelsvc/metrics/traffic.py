# -*- test-case-name: tests.metrics.test_traffic -*-
"""Bytes by day, including those of transfers that still run.

The byte path counts into a meter, an object with two integers, and knows nothing of days or sums.
Only when somebody looks, and when a day ends, the ledger asks the meters that run what has come
since the last look. frp counts when a connection closes, so that a download of a day shows nothing
for a day and then belongs to the wrong one.

Whoever wants to know what moves without asking all accounts (a curve, a database) has a tally: it
is told each time that something is counted.
"""

import time
from array import array
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, Protocol

from attrs import field, frozen

from tunnelsvc.metrics.connections import Connection, User

DAYS: Final = 30
"""Days remembered, today included: what the dashboard shows."""


class Meter(Protocol):
    """Counts the bytes of one connection while it runs; both numbers only grow."""

    up_bytes: int
    """From the user to the service: what frp calls traffic in."""
    down_bytes: int
    """From the service to the user: traffic out."""


@frozen
class Traffic:
    """Bytes from the users (in) and to them (out)."""

    in_bytes: int
    out_bytes: int


@frozen
class Past:
    """What was counted before a restart, of one proxy or of all.

    Attributes:
        days: by the ordinal of the day (`datetime.date.toordinal`).
        total: of these days, and of all before.
    """

    days: Mapping[int, Traffic] = field(factory=dict)
    total: Traffic = Traffic(0, 0)


class Tally(Protocol):
    """Is told what moves."""

    def count(self, name: str, type: str, day: int, in_bytes: int, out_bytes: int) -> None:  # noqa: A002
        """Note bytes of a proxy, at least one, that moved on a day."""


class DailyTraffic:
    """Bytes of the last days, and of all time. Days are numbers that grow by one.

    A day is 16 bytes, and not two objects: a thousand proxies have thirty.
    """

    __slots__ = ("_day", "_in", "_out", "_past", "_total_in", "_total_out")

    def __init__(self, day: int) -> None:
        self._day = day
        self._in = _no_days(DAYS)
        self._out = _no_days(DAYS)
        self._total_in = 0
        self._total_out = 0
        self._past = Traffic(0, 0)

    def restore(self, day: int, past: Past) -> None:
        """Add what was counted before. Days that `day`, which becomes today, can't know are left.

        Those are older ones, and those to come, from before the clock was put back.
        """
        self._enter(day)
        for when, traffic in past.days.items():
            age = day - when
            if 0 <= age < DAYS:
                self._in[age] += traffic.in_bytes
                self._out[age] += traffic.out_bytes
        self._past = Traffic(
            self._past.in_bytes + past.total.in_bytes, self._past.out_bytes + past.total.out_bytes
        )

    def add(self, day: int, in_bytes: int, out_bytes: int) -> None:
        """Count bytes that moved on a day, which becomes today."""
        self._enter(day)
        self._in[0] += in_bytes
        self._out[0] += out_bytes
        self._total_in += in_bytes
        self._total_out += out_bytes

    def days(self, day: int) -> list[Traffic]:
        """Answer with `DAYS` days, the given one (today) first."""
        self._enter(day)
        return [Traffic(*pair) for pair in zip(self._in, self._out, strict=True)]

    def today(self, day: int) -> Traffic:
        """Answer with the first of the `days` alone."""
        self._enter(day)
        return Traffic(self._in[0], self._out[0])

    @property
    def total(self) -> Traffic:
        """All that was ever counted."""
        past = self._past
        return Traffic(past.in_bytes + self._total_in, past.out_bytes + self._total_out)

    @property
    def counted(self) -> Traffic:
        """The same without what was restored."""
        return Traffic(self._total_in, self._total_out)

    def _enter(self, day: int) -> None:
        """Move what was counted into the past. A clock that was put back only renames today."""
        if day == self._day:
            return
        passed = min(max(day - self._day, 0), DAYS)
        if passed:
            self._in = (_no_days(passed) + self._in)[:DAYS]
            self._out = (_no_days(passed) + self._out)[:DAYS]
        self._day = day


def _no_days(count: int) -> "array[int]":
    return array("Q", bytes(8 * count))


class Account:
    """Connections and traffic of one proxy. Made by `Ledger.open_account`."""

    __slots__ = ("_daily", "_ledger", "name", "running", "type")

    def __init__(self, ledger: "Ledger", name: str = "", type: str = "") -> None:  # noqa: A002
        self.name = name
        """Of the proxy."""
        self.type = type
        """Likewise."""
        self.running: dict[int, Connection] = {}
        """Open at present, by their meters' identity."""
        self._ledger = ledger
        self._daily = DailyTraffic(ledger.today())

    @property
    def connections(self) -> int:
        """How many are open at present."""
        return len(self.running)

    def track(self, meter: Meter, user: User | None = None) -> None:
        """Count an open connection, and from now on what its meter says, from 0.

        Args:
            meter: counts its bytes.
            user: who has it, for who wants to know, or to end it.
        """
        ledger = self._ledger
        self.running[id(meter)] = Connection(meter, user, ledger.now())
        ledger.connections += 1
        ledger.busy[id(self)] = self

    def untrack(self, meter: Meter) -> None:
        """Take the last reading of a tracked meter; its connection is closed."""
        day = self._ledger.today()
        self._read(self.running.pop(id(meter)), day)
        self._ledger.connections -= 1
        if not self.running:
            del self._ledger.busy[id(self)]

    def days(self) -> list[Traffic]:
        """Traffic of the last `DAYS` days, today first, up to this moment."""
        day = self._ledger.today()
        self.settle(day)
        return self._daily.days(day)

    def today(self) -> Traffic:
        """Traffic of today, up to this moment: the first of the `days`, and cheaper."""
        day = self._ledger.today()
        self.settle(day)
        return self._daily.today(day)

    def total(self) -> Traffic:
        """Traffic since the proxy is known, up to this moment."""
        self.settle(self._ledger.today())
        return self._daily.total

    def counted(self) -> Traffic:
        """Traffic since this process knows the proxy, up to this moment."""
        self.settle(self._ledger.today())
        return self._daily.counted

    def restore(self, past: Past) -> None:
        """Add what was counted before a restart. The ledger's sum has it already."""
        self._daily.restore(self._ledger.today(), past)

    def settle(self, day: int) -> None:
        """Read all meters, and count what they say as of `day`."""
        for running in self.running.values():
            meter = running.meter
            # Of thousands, most are silent most of the time.
            if meter.up_bytes != running.up_bytes or meter.down_bytes != running.down_bytes:
                self._read(running, day)

    def _read(self, running: Connection, day: int) -> None:
        up_bytes, down_bytes = running.meter.up_bytes, running.meter.down_bytes
        self._count(day, up_bytes - running.up_bytes, down_bytes - running.down_bytes)
        running.up_bytes, running.down_bytes = up_bytes, down_bytes

    def _count(self, day: int, in_bytes: int, out_bytes: int) -> None:
        self._daily.add(day, in_bytes, out_bytes)
        self._ledger.daily.add(day, in_bytes, out_bytes)
        if in_bytes or out_bytes:
            for tally in self._ledger.tallies:
                tally.count(self.name, self.type, day, in_bytes, out_bytes)


class Ledger:
    """All accounts, their sum, and the calendar.

    Attributes:
        now: the time, in Unix seconds.
        connections: open at present, over all accounts.
        daily: the sum of all accounts, as of the last `settle`.
        busy: accounts with connections, by identity.
        tallies: told of all that is counted.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """Open the books.

        Args:
            now: the time, in Unix seconds. Days are those of the local time zone.
        """
        self.now = now
        self._morning, self._midnight, self._day = _day_of(now())
        self.connections = 0
        self.daily = DailyTraffic(self._day)
        self.busy: dict[int, Account] = {}
        self.tallies: list[Tally] = []

    def open_account(self, name: str = "", type: str = "") -> Account:  # noqa: A002
        """Make an empty account, of the proxy of that name and type."""
        return Account(self, name, type)

    def restore(self, past: Past) -> None:
        """Add what all accounts have counted before a restart."""
        self.daily.restore(self.today(), past)

    def today(self) -> int:
        """Answer with the number of the day.

        The first question of a new day settles the old one: whatever moved since the last look
        belongs to the day of that look.
        """
        now = self.now()
        if not self._morning <= now < self._midnight:
            self.settle()
            self._morning, self._midnight, self._day = _day_of(now)
        return self._day

    def settle(self) -> None:
        """Read all meters."""
        for account in self.busy.values():
            account.settle(self._day)

    def days(self) -> list[Traffic]:
        """Traffic of everything in the last `DAYS` days, today first, up to this moment."""
        day = self.today()
        self.settle()
        return self.daily.days(day)

    def latest(self) -> Traffic:
        """Traffic of everything today, up to this moment: the first of the `days`, and cheaper."""
        day = self.today()
        self.settle()
        return self.daily.today(day)

    def total(self) -> Traffic:
        """Traffic of everything, up to this moment."""
        self.today()
        self.settle()
        return self.daily.total

    def seconds_to_midnight(self) -> float:
        """Answer with the time until the day ends: more than 0."""
        self.today()
        return self._midnight - self.now()


def _day_of(now: float) -> tuple[float, float, int]:
    """Find the local day: its first second, the first of the next, its number."""
    year, month, day = time.localtime(now)[:3]
    morning, midnight = (
        time.mktime((year, month, which, 0, 0, 0, 0, 0, -1)) for which in (day, day + 1)
    )
    return morning, midnight, date(year, month, day).toordinal()
