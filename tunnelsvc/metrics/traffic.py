# -*- test-case-name: tests.metrics.test_traffic -*-
"""Bytes by day, including those of transfers that still run.

The byte path counts into a meter, an object with two integers, and knows nothing of days or sums.
Only when somebody looks, and when a day ends, the ledger asks the meters that run what has come
since the last look. frp counts when a connection closes, so that a download of a day shows nothing
for a day and then belongs to the wrong one.
"""

import time
from collections.abc import Callable
from datetime import date
from typing import Final, Protocol

from attrs import frozen

from tunnelsvc.metrics.connections import Connection, User

DAYS: Final = 7
"""Days remembered, today included: what frp's traffic API answers (reference 1.9)."""


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


class DailyTraffic:
    """Bytes of the last days, and of all time. Days are numbers that grow by one."""

    __slots__ = ("_day", "_in", "_out", "_total_in", "_total_out")

    def __init__(self, day: int) -> None:
        self._day = day
        self._in = [0] * DAYS
        self._out = [0] * DAYS
        self._total_in = 0
        self._total_out = 0

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

    @property
    def total(self) -> Traffic:
        """All that was ever counted."""
        return Traffic(self._total_in, self._total_out)

    def _enter(self, day: int) -> None:
        """Move what was counted into the past. A clock that was put back only renames today."""
        passed = min(max(day - self._day, 0), DAYS)
        if passed:
            self._in = ([0] * passed + self._in)[:DAYS]
            self._out = ([0] * passed + self._out)[:DAYS]
        self._day = day


class Account:
    """Connections and traffic of one proxy. Made by `Ledger.open_account`."""

    __slots__ = ("_daily", "_ledger", "connections", "name", "running", "type")

    def __init__(self, ledger: "Ledger", name: str = "", type: str = "") -> None:  # noqa: A002
        self.name = name
        """Of the proxy."""
        self.type = type
        """Likewise."""
        self.connections = 0
        """Open at present."""
        self.running: dict[int, Connection] = {}
        """Those of them that have meters, by the meters' identity."""
        self._ledger = ledger
        self._daily = DailyTraffic(ledger.today())

    def track(self, meter: Meter, user: User | None = None) -> None:
        """Count an open connection, and from now on what its meter says, from 0.

        Args:
            meter: counts its bytes.
            user: who has it, for who wants to know, or to end it.
        """
        ledger = self._ledger
        self.running[id(meter)] = Connection(meter, user, ledger.now())
        self.connections += 1
        ledger.connections += 1
        ledger.busy[id(self)] = self

    def untrack(self, meter: Meter) -> None:
        """Take the last reading of a tracked meter; its connection is closed."""
        day = self._ledger.today()
        self._read(self.running.pop(id(meter)), day)
        self.connections -= 1
        self._ledger.connections -= 1
        if not self.running:
            del self._ledger.busy[id(self)]

    def connection_opened(self) -> None:
        """Count a connection that has no meter."""
        self.connections += 1
        self._ledger.connections += 1

    def connection_closed(self) -> None:
        """Count the end of a connection that had no meter."""
        self.connections -= 1
        self._ledger.connections -= 1

    def add(self, in_bytes: int, out_bytes: int) -> None:
        """Count bytes that no meter counts."""
        self._count(self._ledger.today(), in_bytes, out_bytes)

    def days(self) -> list[Traffic]:
        """Traffic of the last `DAYS` days, today first, up to this moment."""
        day = self._ledger.today()
        self.settle(day)
        return self._daily.days(day)

    def total(self) -> Traffic:
        """Traffic since the account was opened, up to this moment."""
        self.settle(self._ledger.today())
        return self._daily.total

    def settle(self, day: int) -> None:
        """Read all meters, and count what they say as of `day`."""
        for running in self.running.values():
            self._read(running, day)

    def _read(self, running: Connection, day: int) -> None:
        up_bytes, down_bytes = running.meter.up_bytes, running.meter.down_bytes
        self._count(day, up_bytes - running.up_bytes, down_bytes - running.down_bytes)
        running.up_bytes, running.down_bytes = up_bytes, down_bytes

    def _count(self, day: int, in_bytes: int, out_bytes: int) -> None:
        self._daily.add(day, in_bytes, out_bytes)
        self._ledger.daily.add(day, in_bytes, out_bytes)


class Ledger:
    """All accounts, their sum, and the calendar.

    Attributes:
        now: the time, in Unix seconds.
        connections: open at present, over all accounts.
        daily: the sum of all accounts, as of the last `settle`.
        busy: accounts with running meters, by identity.
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

    def open_account(self, name: str = "", type: str = "") -> Account:  # noqa: A002
        """Make an empty account, of the proxy of that name and type."""
        return Account(self, name, type)

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
