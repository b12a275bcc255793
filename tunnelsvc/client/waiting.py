# -*- test-case-name: tests.client.test_waiting -*-
"""Who waits for proxies to run: programs that have a client in them."""

from collections.abc import Callable, Collection, Mapping

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

Addresses = Mapping[str, str]
"""Name of a running proxy to where the server put it."""


@define(eq=False)
class Waiting:
    """Programs that wait. Each is told once.

    Attributes:
        all_names: of all proxies that there are at present.
    """

    all_names: Collection[str] = ()
    _waiters: dict[Deferred[Addresses], frozenset[str]] = field(factory=dict, init=False)
    """To the names that each waits for; none: for all that there are."""

    def add(self, names: Collection[str], running: Addresses) -> Deferred[Addresses]:
        """Wait for proxies.

        Args:
            names: of the proxies; empty: all, whichever these are by then.
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
        ready = [
            waiter
            for waiter, names in self._waiters.items()
            if running.keys() >= set(names or self.all_names)
        ]
        for waiter in ready:
            del self._waiters[waiter]
        for waiter in ready:
            waiter.callback(running)

    def fail(self, why: Exception, name: str | None = None) -> None:
        """Tell those who wait for the proxy of that name, None: for any, that it is in vain."""
        self._fail(why, lambda names: name is None or not names or name in names)

    def fail_named(self, why: Exception, name: str) -> None:
        """Tell only those who named that proxy: there are others than it to wait for."""
        self._fail(why, lambda names: name in names)

    def _fail(self, why: Exception, concerns: Callable[[frozenset[str]], bool]) -> None:
        concerned = [waiter for waiter, names in self._waiters.items() if concerns(names)]
        for waiter in concerned:
            del self._waiters[waiter]
        for waiter in concerned:
            waiter.errback(Failure(why))
