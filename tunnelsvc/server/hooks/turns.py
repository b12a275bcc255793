# -*- test-case-name: tests.server.hooks.test_turns -*-
"""Who is asked for next: a plugin gets a bounded number of questions at a time, in fair turns.

Questions stand in lines, one for each client and kind of question. A line lets a few out at a time
(one, where the order counts), and the lines take turns: a client whose users come in thousands
waits for itself.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred

from tunnelsvc.errors import TunnelError

T = TypeVar("T")


class LineFullError(TunnelError):
    """There are more in a line already than may wait. Never leaves this package."""


@define(eq=False)
class _Line:
    width: int
    running: int = 0
    waiting: deque[Deferred[None]] = field(factory=deque)


class Turns:
    """Runs what it is given, so much at a time.

    Args:
        at_once: how many run at the same time, over all lines.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._lines: dict[Hashable, _Line] = {}
        self._due: dict[Hashable, None] = {}  # lines whose first one could run; in order

    async def run(
        self, key: Hashable, width: int, most_waiting: int, call: Callable[[], Awaitable[T]]
    ) -> T:
        """Call when its turn comes; who is cancelled before that leaves the line.

        Args:
            key: the line.
            width: how many of it run at the same time.
            most_waiting: how many may wait in it.
            call: what to run.

        Raises:
            LineFullError: as it says.
        """
        await self._enter(key, width, most_waiting)
        try:
            return await call()
        finally:
            self._leave(key)

    async def _enter(self, key: Hashable, width: int, most_waiting: int) -> None:
        line = self._lines.setdefault(key, _Line(width))
        if self._free and line.running < width and not line.waiting:
            self._free -= 1
            line.running += 1
            return
        if len(line.waiting) >= most_waiting:
            self._forget_if_idle(key, line)
            raise LineFullError(f"{most_waiting} others wait already")
        waiter: Deferred[None] = Deferred(lambda gone: self._give_up(key, gone))
        line.waiting.append(waiter)
        if line.running < width:
            self._due[key] = None
        await waiter

    def _give_up(self, key: Hashable, waiter: Deferred[None]) -> None:
        line = self._lines[key]
        line.waiting.remove(waiter)
        self._forget_if_idle(key, line)

    def _leave(self, key: Hashable) -> None:
        line = self._lines[key]
        self._free += 1
        line.running -= 1
        if line.waiting:
            self._due[key] = None
        self._forget_if_idle(key, line)
        self._next()

    def _next(self) -> None:
        while self._free and self._due:
            key = next(iter(self._due))
            del self._due[key]
            line = self._lines[key]
            waiter = line.waiting.popleft()
            self._free -= 1
            line.running += 1
            if line.waiting and line.running < line.width:
                self._due[key] = None
            waiter.callback(None)

    def _forget_if_idle(self, key: Hashable, line: _Line) -> None:
        if not line.waiting:
            self._due.pop(key, None)
            if not line.running:
                del self._lines[key]
