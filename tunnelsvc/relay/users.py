# -*- test-case-name: tests.relay.test_users -*-
"""Who uses a UDP port at present: nobody logs in or out, so it is who isn't silent for long."""

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelsvc.wire.messages import UDPAddress

V = TypeVar("V")


class Users(Generic[V]):
    """What is held for each user, until he has been silent for some time. Bounded.

    They are kept in the order in which they were heard of last, so one timer does for all.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        most: int,
        idle_seconds: float,
        on_gone: Callable[[V], None],
    ) -> None:
        """Begin with none.

        Args:
            clock: tells the time.
            most: how many there may be. For one more, who has been silent for longest goes.
            idle_seconds: how long one may be silent.
            on_gone: takes what was held for one who goes.
        """
        self._clock = clock
        self._most = most
        self._idle_seconds = idle_seconds
        self._on_gone = on_gone
        self._held: dict[UDPAddress, tuple[V, float]] = {}
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._held)

    def find(self, user: UDPAddress) -> V | None:
        """Return what is held for a user, of whom this is a sign of life; None: nothing."""
        found = self._held.pop(user, None)
        if found is None:
            return None
        self._held[user] = found[0], self._clock.seconds()
        return found[0]

    def add(self, user: UDPAddress, value: V) -> None:
        """Hold something for a user whom `find` doesn't know."""
        if len(self._held) >= self._most:
            self.forget_oldest()
        self._held[user] = value, self._clock.seconds()
        if self._timer is None:
            self._timer = self._clock.callLater(self._idle_seconds, self._look)

    def forget_oldest(self) -> bool:
        """Let go who has been silent for longest; False: there is nobody."""
        if not self._held:
            return False
        self._forget(next(iter(self._held)))
        return True

    def forget(self, user: UDPAddress) -> None:
        """Let go a user; one who isn't there is no error."""
        if user in self._held:
            self._forget(user)

    def clear(self) -> None:
        """All go."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._held:
            self._forget(next(iter(self._held)))

    def _forget(self, user: UDPAddress) -> None:
        self._on_gone(self._held.pop(user)[0])

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._held:
            user, (_, heard) = next(iter(self._held.items()))
            left = heard + self._idle_seconds - now
            if left > 0:
                self._timer = self._clock.callLater(left, self._look)
                return
            self._forget(user)
