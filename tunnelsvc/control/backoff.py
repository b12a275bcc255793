# -*- test-case-name: tests.control.test_backoff -*-
"""How long to wait before the next attempt to reach the server."""

from random import Random

from attrs import define, field

from tunnelsvc.units import MINUTE

FIRST_SECONDS = 0.1
"""Second retry after a loss; the first one is immediate, as most losses are restarts."""
QUICK_SECONDS = 1.0
"""Longest wait during the first minutes: a restarted server is found within a second."""
QUICK_PERIOD_SECONDS = 5 * MINUTE
"""How long an outage counts as a restart. A refused connect a second costs nobody anything."""
SLOW_SECONDS = 20.0
"""Longest wait later on, as frp has it (protocol notes 5.4)."""
MOST_DOUBLINGS = 16
"""Where counting stops: far beyond the longest wait, far below what overflows a float."""
STABLE_SECONDS = 10.0
"""A session that lived less than this does not count as success, so that a server that accepts
and drops at once is not hammered."""
JITTER = 0.1
"""Part of a wait that is random, so that a thousand clients don't come back at one instant."""


@define(eq=False)
class Backoff:
    """Waits that grow while the server stays away."""

    random: Random
    _attempts: int = field(default=0, init=False)
    _since: float = field(default=0.0, init=False)

    def succeeded(self, lived_seconds: float) -> None:
        """Take note of a session that has ended after `lived_seconds`."""
        if lived_seconds >= STABLE_SECONDS:
            self._attempts = 0

    def wait_seconds(self, now: float) -> float:
        """Return how long to wait before the next attempt.

        Args:
            now: the clock's seconds.
        """
        if self._attempts == 0:
            self._since = now
        longest = QUICK_SECONDS if now - self._since < QUICK_PERIOD_SECONDS else SLOW_SECONDS
        wait = min(longest, FIRST_SECONDS * 2 ** (self._attempts - 1)) if self._attempts else 0.0
        self._attempts = min(self._attempts + 1, MOST_DOUBLINGS)
        return wait * (1 - self.random.uniform(0, JITTER))
