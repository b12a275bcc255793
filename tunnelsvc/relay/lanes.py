# -*- test-case-name: tests.relay.test_bandwidth -*-
"""Whose bytes may pass now: a token bucket, and turns for those who wait for it.

See `tunnelsvc.relay.bandwidth` for who they are.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tunnelsvc.units import KiB

BURST_SECONDS: Final = 1.0
"""What a proxy that was idle may send at once, in seconds of its rate; frp's figure."""
TURN_SECONDS: Final = 0.02
"""Between two looks for new tokens; a timer is not worth less."""
PLENTY_WINDOWS: Final = 5
"""As many looks' tokens are enough for all: they use less than there is."""
MOST_SLICE_BYTES: Final = 16 * KiB
"""What one connection gets before it is the next one's turn, unless the rate is so low that it is
less: what there is between two looks."""
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
        elapsed = max(0.0, now - self._since)  # clocks are set back
        self._tokens = min(self._most, self._tokens + elapsed * self.rate)
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
        self._each_window = rate * TURN_SECONDS
        self._least = min(LEAST_SLICE_BYTES, rate)
        self._slice = max(self._least, min(MOST_SLICE_BYTES, int(self._each_window)))
        self._queue: list[tuple[int, int, Lane]] = []
        """Those who wait by what they were served, and some who don't any more."""
        self._waiting = 0
        self._tickets = count(1)
        self._served = 0
        """What the last one was served before: who comes anew isn't served for what it wasn't."""
        self._timer: IDelayedCall | None = None
        self._window = 0
        self._seen = self._seen_before = 0
        """Lanes of this window, and of the one before."""
        self._ahead_bytes = 0
        """Those that passed others who wait, in this window."""

    def take(self, length: int) -> bool:
        """Let bytes pass at once, all or none; not before others who wait.

        Returns:
            Whether they may. A datagram that may not can as well be dropped.
        """
        if self._waiting or self._bucket.available(self.clock.seconds()) < length:
            return False
        self._bucket.spend(length)
        return True

    def admit(self, lane: "Lane", length: int) -> bool:
        """Let bytes of a lane pass at once, all or none.

        Between two looks for new tokens each lane may have its part of them, as some are quicker
        than others; more only if there are so many that nobody can be short of them. Others who
        wait have had theirs, and keep half for the case that more and more lanes come.
        """
        now = self.clock.seconds()
        available = self._bucket.available(now)
        if available < length:
            return False
        self._look_at(lane, now)
        passed = lane.window_bytes + length
        lanes = max(self._seen, self._seen_before)
        if self._waiting:
            if (
                passed * lanes > self._each_window
                or self._ahead_bytes + length > self._each_window / 2
            ):
                return False
            self._ahead_bytes += length
        elif (
            lanes > 1
            and lane.window_bytes
            and passed * lanes > self._each_window
            and available < PLENTY_WINDOWS * self._each_window
        ):
            return False
        lane.served = max(lane.served, self._served)
        self._serve(lane, length)
        return True

    def _look_at(self, lane: "Lane", now: float) -> None:
        """Begin a new window where it's time for one."""
        window = int(now / TURN_SECONDS)
        if window != self._window:
            self._seen_before = self._seen if window == self._window + 1 else 0
            self._window, self._seen, self._ahead_bytes = window, 0, 0
        if lane.window != window:
            lane.window, lane.window_bytes = window, 0
            self._seen += 1

    def charge(self, length: int) -> None:
        """Take note of bytes that have passed: the next ones wait the longer.

        Only the last second's tokens are there for them, not those of all the time before.
        """
        self._bucket.available(self.clock.seconds())
        self._bucket.spend(length)

    def wait(self, lane: "Lane") -> None:
        """Let a lane have its turns as long as it holds something."""
        if not lane.waiting:
            lane.waiting = next(self._tickets)
            lane.served = max(lane.served, self._served)
            heappush(self._queue, (lane.served, lane.waiting, lane))
            self._waiting += 1
            self._set_timer()

    def forget(self, lane: "Lane") -> None:
        """Let it wait no more."""
        if lane.waiting:
            lane.waiting = 0
            self._waiting -= 1
            if not self._waiting:
                self._queue.clear()
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None

    def _next(self) -> "Lane | None":
        """Tell who of those who wait was served least."""
        while self._queue:
            _, ticket, lane = self._queue[0]
            if lane.waiting == ticket:
                return lane
            heappop(self._queue)  # was forgotten
        return None

    def _set_timer(self) -> None:
        if self._timer is None and (lane := self._next()) is not None:
            self._bucket.available(self.clock.seconds())
            wanted = min(len(lane.held), self._least)
            seconds = max(TURN_SECONDS, self._bucket.seconds_until(wanted))
            self._timer = self.clock.callLater(seconds, self._turn)

    def _turn(self) -> None:
        """Let pass what may by now."""
        self._timer = None
        now = self.clock.seconds()
        available = self._bucket.available(now)
        while (lane := self._next()) is not None:
            length = min(len(lane.held), available, self._slice)
            if length < min(len(lane.held), self._least):
                break
            heappop(self._queue)
            lane.waiting = 0
            self._waiting -= 1
            self._served = lane.served
            available -= length
            self._look_at(lane, now)
            self._serve(lane, length)
            try:
                lane.release(length)
            except Exception:  # noqa: BLE001 - it mustn't end the other connections
                self.log.failure("passing on bytes failed")
                lane.abort()
        self._set_timer()

    def _serve(self, lane: "Lane", length: int) -> None:
        lane.window_bytes += length
        lane.served += length
        self._bucket.spend(length)


def _nothing(*_: object) -> None:
    """Do what a lane does that has ended."""


class Lane:
    """One direction of one connection.

    Attributes:
        held: bytes that wait.
        waiting: its ticket while it is given turns; 0: it isn't.
        served: bytes that passed, for comparison with those of others.
        window: the one in which its bytes passed last.
        window_bytes: how many of them.
        blocked: whether those who take the bytes don't want any now.
    """

    __slots__ = (
        "_deliver",
        "_emptied",
        "_lanes",
        "_pause",
        "abort",
        "blocked",
        "held",
        "served",
        "waiting",
        "window",
        "window_bytes",
    )

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
        self.blocked = False
        self.waiting = self.served = self.window = self.window_bytes = 0
        self.abort = abort
        self._lanes = lanes
        self._deliver = deliver
        self._pause = pause
        self._emptied = emptied

    def feed(self, data: bytes) -> None:
        """Pass bytes on, now or later."""
        if not self.held and not self.blocked and self._lanes.admit(self, len(data)):
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

    def end(self) -> None:
        """Call nobody any more: the stream that is called knows us."""
        self.clear()
        self.abort = self._deliver = self._pause = self._emptied = _nothing
