# -*- test-case-name: tests.relay.test_bandwidth -*-
"""Whose bytes may pass now: a token bucket, and turns for those who wait for it.

See `tunnelsvc.relay.bandwidth` for who they are.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tunnelsvc.units import KiB

BURST_SECONDS: Final = 1.0
"""What a proxy that was idle may send at once, in seconds of its rate; frp's figure."""
TURN_SECONDS: Final = 0.02
"""Between two looks for new tokens; a timer is not worth less."""
MOST_SLICE_BYTES: Final = 32 * KiB
"""What one connection gets before it is the next one's turn."""
LEAST_SLICE_BYTES: Final = 1 * KiB
"""What is worth a turn."""


class TokenBucket:
    """How many bytes may pass: so many a second, and those that weren't used of the last one."""

    def __init__(self, rate: int, now: float) -> None:
        """Begin full.

        Args:
            rate: bytes per second.
            now: seconds, of the clock that `available` is told, too.
        """
        self.rate = rate
        self._most = rate * BURST_SECONDS
        self._tokens = self._most
        self._since = now

    def available(self, now: float) -> int:
        """Tell how many bytes may pass; less than 0: more did than were to."""
        self._tokens = min(self._most, self._tokens + (now - self._since) * self.rate)
        self._since = now
        return int(self._tokens)

    def spend(self, length: int) -> None:
        """Take note of bytes that pass."""
        self._tokens -= length

    def seconds_until(self, length: int) -> float:
        """Tell how long it takes from the last look until so many bytes may pass."""
        return max(0.0, (min(length, self._most) - self._tokens) / self.rate)


class Lanes:
    """All directions of all connections of one proxy, and which of them wait."""

    log = Logger()

    def __init__(self, rate: int, clock: IReactorTime) -> None:
        """Begin with nobody.

        Args:
            rate: bytes per second; more than 0.
            clock: has the time.
        """
        self.clock = clock
        self._bucket = TokenBucket(rate, clock.seconds())
        self._least = min(LEAST_SLICE_BYTES, rate)
        self._waiting: deque[Lane] = deque()
        self._timer: IDelayedCall | None = None

    def take(self, length: int) -> bool:
        """Let bytes pass at once, all or none; not before others who wait.

        Returns:
            Whether they may. A datagram that may not can as well be dropped.
        """
        if self._waiting or self._bucket.available(self.clock.seconds()) < length:
            return False
        self._bucket.spend(length)
        return True

    def charge(self, length: int) -> None:
        """Take note of bytes that have passed: the next ones wait the longer."""
        self._bucket.spend(length)

    def wait(self, lane: "Lane") -> None:
        """Let a lane have its turns as long as it holds something."""
        if not lane.waiting:
            lane.waiting = True
            self._waiting.append(lane)
            self._set_timer()

    def forget(self, lane: "Lane") -> None:
        """Let it wait no more."""
        if lane.waiting:
            lane.waiting = False
            self._waiting.remove(lane)
            if not self._waiting and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _set_timer(self) -> None:
        if self._timer is None and self._waiting:
            self._bucket.available(self.clock.seconds())
            wanted = min(len(self._waiting[0].held), self._least)
            seconds = max(TURN_SECONDS, self._bucket.seconds_until(wanted))
            self._timer = self.clock.callLater(seconds, self._turn)

    def _turn(self) -> None:
        """Let pass what may by now."""
        self._timer = None
        available = self._bucket.available(self.clock.seconds())
        while self._waiting:
            lane = self._waiting[0]
            length = min(len(lane.held), available, MOST_SLICE_BYTES)
            if length < min(len(lane.held), self._least):
                break
            self._waiting.popleft()
            lane.waiting = False
            available -= length
            self._bucket.spend(length)
            try:
                lane.release(length)
            except Exception:  # noqa: BLE001 - it mustn't end the other connections
                self.log.failure("passing on bytes failed")
                lane.abort()
        self._set_timer()


class Lane:
    """One direction of one connection.

    Attributes:
        held: bytes that wait.
        waiting: whether it is given turns.
        blocked: whether those who take the bytes don't want any now.
    """

    __slots__ = ("_deliver", "_emptied", "_lanes", "_pause", "abort", "blocked", "held", "waiting")

    def __init__(
        self,
        lanes: Lanes,
        deliver: Callable[[bytes], None],
        pause: Callable[[], None],
        emptied: Callable[[], None],
        abort: Callable[[], None],
    ) -> None:
        """Begin with nothing.

        Args:
            lanes: those of the proxy.
            deliver: passes bytes on.
            pause: stops who sends them.
            emptied: called when nothing is held any more.
            abort: ends the connection.
        """
        self.held = bytearray()
        self.waiting = self.blocked = False
        self.abort = abort
        self._lanes = lanes
        self._deliver = deliver
        self._pause = pause
        self._emptied = emptied

    def feed(self, data: bytes) -> None:
        """Pass bytes on, now or later."""
        if not self.held and not self.blocked and self._lanes.take(len(data)):
            self._deliver(data)
            return
        self.held += data
        self._pause()
        if not self.blocked:
            self._lanes.wait(self)

    def release(self, length: int) -> None:
        """Pass on so many bytes of those that are held, which is for the limit to say."""
        data = bytes(self.held[:length])
        del self.held[:length]
        self._deliver(data)
        if not self.held:
            self._emptied()
        elif not self.blocked:
            self._lanes.wait(self)

    def block(self) -> None:
        """Wait until somebody takes the bytes."""
        self.blocked = True
        self._lanes.forget(self)

    def unblock(self) -> None:
        """Go on."""
        self.blocked = False
        if self.held:
            self._lanes.wait(self)

    def clear(self) -> bytes:
        """Hold nothing any more; return what it was."""
        self._lanes.forget(self)
        data = bytes(self.held)
        self.held.clear()
        return data
