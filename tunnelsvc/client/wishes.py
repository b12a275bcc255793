# -*- test-case-name: tests.client.test_wishes -*-
"""Hop 4 of a user connection: the server's wishes for work connections, some at a time."""

from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger

MOST_OPEN = 256
"""Work connections that are being opened or wait for a user. A server keeps a dozen ready; more
are opened only for users who wait, and those are started at once."""
MOST_WAITING = 10_000
"""Wishes kept for later. A server that wants more than that is out of order."""

Fulfil = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
"""Fulfils a wish, and calls what it is given once the connection has a user or is gone."""


class Wishes:
    """Fulfils wishes in order, so many at a time."""

    log = Logger()

    def __init__(self) -> None:
        self._open = 0
        self._waiting: deque[Fulfil] = deque()

    def add(self, fulfil: Fulfil) -> None:
        """Fulfil one more; beyond all reason it is dropped."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(fulfil)
            self._next()

    def _next(self) -> None:
        while self._waiting and self._open < MOST_OPEN:
            self._open += 1
            done = _Once(self._done)
            attempt = ensureDeferred(self._waiting.popleft()(done))
            attempt.addErrback(partial(self._broken, done))

    def _broken(self, done: Callable[[], None], failure: Any) -> None:
        self.log.failure("a work connection failed", failure)
        done()

    def _done(self) -> None:
        self._open -= 1
        self._next()


class _Once:
    """Calls through the first time only: a connection may be started and lost."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()
