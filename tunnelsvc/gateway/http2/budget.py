# -*- test-case-name: tests.gateway.http2.test_budget -*-
"""How much of something a peer may do: so much at once, and so much a second."""

from twisted.internet.interfaces import IReactorTime


class Budget:
    """A bucket of tokens, full at the beginning."""

    def __init__(self, clock: IReactorTime, *, most: int, per_second: float) -> None:
        self._clock = clock
        self._most = most
        self._per_second = per_second
        self._left: float = most
        self._since = clock.seconds()

    def spend(self) -> bool:
        """Take one; tell whether there was one."""
        now = self._clock.seconds()
        gained = max(0.0, now - self._since) * self._per_second
        self._left = min(self._most, self._left + gained) - 1
        self._since = now
        return self._left >= 0
