# -*- test-case-name: tests.client.test_waiting -*-
"""Who waits for proxies to run: programs that have a client in them."""

from collections.abc import Collection, Mapping

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

Addresses = Mapping[str, str]
"""Name of a running proxy to where the server put it."""


@define(eq=False)
class Waiting:
    """Programs that wait. Each is told once."""

    _waiters: dict[Deferred[Addresses], frozenset[str]] = field(factory=dict, init=False)

    def add(self, names: Collection[str], running: Addresses) -> Deferred[Addresses]:
        """Wait for proxies.

        Args:
            names: of the proxies.
            running: those that run now.

        Returns:
            Fires with the addresses of all running proxies; can be cancelled.
        """
        waiter: Deferred[Addresses] = Deferred(self._forget)
        self._waiters[waiter] = frozenset(names)
        self.look(running)
        return waiter

    def _forget(self, cancelled: Deferred[Addresses]) -> None:
        self._waiters.pop(cancelled, None)

    def look(self, running: Addresses) -> None:
        """Tell those whose proxies all run."""
        ready = [waiter for waiter, names in self._waiters.items() if names <= running.keys()]
        for waiter in ready:
            del self._waiters[waiter]
        for waiter in ready:
            waiter.callback(running)

    def fail(self, why: Exception, name: str | None = None) -> None:
        """Tell those who wait for the proxy of that name, None: for any, that it is in vain."""
        concerned = [
            waiter for waiter, names in self._waiters.items() if name is None or name in names
        ]
        for waiter in concerned:
            del self._waiters[waiter]
        for waiter in concerned:
            waiter.errback(Failure(why))
