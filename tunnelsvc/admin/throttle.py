# -*- test-case-name: tests.admin.test_throttle -*-
"""Slow for who guesses passwords, and closed for who goes on."""

from collections import OrderedDict
from typing import Final

from attrs import define, frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelsvc.addresses import site_of
from tunnelsvc.units import DAY, HOUR, MINUTE

FIRST_DELAY_SECONDS: Final = 0.2
"""Before the answer to a first wrong password, as in frp. Doubles with each failure after it."""
MOST_DELAY_SECONDS: Final = 5.0
"""A person who mistypes still waits this long; a program tries for ever."""
FORGET_SECONDS: Final = 10 * MINUTE
"""After this time without a failure an address starts at the first delay again."""
MOST_WAITING: Final = 8
"""Delayed answers of one address at a time. More than this is refused unread, so that guessing on
many connections isn't faster; a browser opens at most six."""
MOST_ADDRESSES: Final = 10_000
"""Addresses whose failures are remembered; the one that failed longest ago is forgotten first."""
LOCK_FAILURES: Final = 10
"""So many in a row, and an address is locked out: nobody mistypes that often."""
FIRST_LOCK_SECONDS: Final = 5 * MINUTE
"""For how long, the first time. Doubles with each lock-out after it."""
MOST_LOCK_SECONDS: Final = HOUR
FORGET_LOCKS_SECONDS: Final = DAY
"""After this time without a failure the next lock-out is a first one."""


@define(eq=False)
class _Failures:
    count: int = 0
    last_at: float = 0.0
    waiting: int = 0
    locks: int = 0
    locked_until: float = 0.0


@frozen
class Failed:
    """What becomes of a failure.

    Attributes:
        count: how many in a row.
        delay_seconds: how long the answer has to wait.
        locked_seconds: how long the address is locked out from now on; 0: it isn't.
    """

    count: int
    delay_seconds: float
    locked_seconds: float = 0.0


class Throttle:
    """Knows who failed lately, and how long that one has to wait.

    Only who asks from an address can have it locked out: addresses are those of connections, or
    what a trusted proxy says (`tunnelsvc.admin.auth.Keeper.address`).

    Attributes:
        clock: of delays.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._delayed: set[IDelayedCall] = set()

    def refused_seconds(self, address: str) -> float:
        """Tell how long an address must not ask, whatever it knows; 0: it may.

        It mustn't while it is locked out, or has too many answers due.
        """
        failures = self._failures.get(site_of(address))
        if failures is None:
            return 0.0
        locked: float = failures.locked_until - self.clock.seconds()
        if locked > 0:
            return locked
        return MOST_DELAY_SECONDS if failures.waiting >= MOST_WAITING else 0.0

    def failed(self, address: str) -> Failed:
        """Note a failure."""
        now = self.clock.seconds()
        failures = self._found(site_of(address), now)
        failures.count += 1
        failures.last_at = now
        count = failures.count
        if count >= LOCK_FAILURES:
            return Failed(count, 0.0, self._lock(failures, now))
        delay = min(FIRST_DELAY_SECONDS * 2 ** (count - 1), MOST_DELAY_SECONDS)
        self._wait(failures, delay)
        return Failed(count, delay)

    def _found(self, site: str, now: float) -> _Failures:
        """Find what is known of one, and make it the last that failed."""
        failures = self._failures.pop(site, None) or _Failures()
        silent = now - max(failures.last_at, failures.locked_until)
        if silent > FORGET_SECONDS:
            failures.count = 0
        if silent > FORGET_LOCKS_SECONDS:
            failures.locks = 0
        self._failures[site] = failures
        if len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)
        return failures

    def _lock(self, failures: _Failures, now: float) -> float:
        doublings = min(failures.locks, 32)
        seconds = min(FIRST_LOCK_SECONDS * 2.0**doublings, MOST_LOCK_SECONDS)
        failures.locks += 1
        failures.count = 0
        failures.locked_until = now + seconds
        return seconds

    def _wait(self, failures: _Failures, seconds: float) -> None:
        """Keep a place taken for the time of a delay, even if nobody waits for the answer."""

        def over() -> None:
            failures.waiting -= 1
            self._delayed.discard(call)

        failures.waiting += 1
        call = self.clock.callLater(seconds, over)
        self._delayed.add(call)

    def succeeded(self, address: str) -> None:
        """Note a success: the next failure is a first one. Answers that are due stay due."""
        failures = self._failures.get(site_of(address))
        if failures is not None:
            failures.count = failures.locks = 0

    def close(self) -> None:
        """Stop all timers."""
        delayed, self._delayed = self._delayed, set()
        for call in delayed:
            call.cancel()
