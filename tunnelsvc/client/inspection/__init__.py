# -*- test-case-name: tests.client.inspection.test_inspector -*-
"""What users asked the local web services for, and what they got (docs/inspector.md).

Only of proxies with ``inspect = true``; a client that has neither one nor a page imports none of
this.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar, Final

from twisted.logger import Logger

from tunnelsvc.units import MiB
from tunnelsvc.wire.httpexchange import Exchange

__all__ = ["Exchange", "Inspector"]

MOST_EXCHANGES: Final = 500
"""How many are kept; the oldest ones go first."""
MOST_KEPT_BYTES: Final = 32 * MiB
"""Heads and bodies of all, though there be fewer then."""

Callback = Callable[[Exchange], None]


class Inspector:
    """The latest exchanges of all inspected proxies of a client."""

    log: ClassVar[Logger] = Logger()

    def __init__(
        self, most_exchanges: int = MOST_EXCHANGES, most_kept_bytes: int = MOST_KEPT_BYTES
    ) -> None:
        """Begin with none.

        Args:
            most_exchanges: how many are kept.
            most_kept_bytes: of their heads and bodies, together.
        """
        self._most_exchanges = most_exchanges
        self._most_kept_bytes = most_kept_bytes
        self._exchanges: dict[int, Exchange] = {}
        self._kept: dict[int, int] = {}
        self._kept_bytes = 0
        self._last_id = 0
        self._callbacks: list[Callback] = []

    def __len__(self) -> int:
        return len(self._exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        """Give the exchanges, oldest first."""
        return iter(list(self._exchanges.values()))

    def newest_first(self) -> Iterator[Exchange]:
        """Give the exchanges, newest first."""
        return reversed(list(self._exchanges.values()))

    def find(self, id_: int) -> Exchange | None:
        """Return the exchange of a number; None: it is forgotten, or never was."""
        return self._exchanges.get(id_)

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Have every exchange told: when it begins, and when it is done.

        Returns:
            Ends that.
        """
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def clear(self) -> None:
        """Forget all; of those that aren't done nothing more is kept."""
        for exchange in self:
            self._forget(exchange)

    # Of `tunnelsvc.wire.httpexchange.Ledger`.

    def began(self, exchange: Exchange) -> None:
        """Keep an exchange, and give it a number."""
        self._last_id += 1
        exchange.id = self._last_id
        self._exchanges[exchange.id] = exchange
        self._kept[exchange.id] = 0
        if len(self._exchanges) > self._most_exchanges:
            self._forget_oldest()
        self._tell(exchange)

    def grew(self, exchange: Exchange, length: int) -> None:
        """Make room for what is kept of an exchange."""
        if exchange.forgotten:
            return
        self._kept[exchange.id] += length
        self._kept_bytes += length
        while self._kept_bytes > self._most_kept_bytes:
            self._forget_oldest()

    def ended(self, exchange: Exchange) -> None:
        """Tell that an exchange is done."""
        self._tell(exchange)

    def _forget_oldest(self) -> None:
        self._forget(next(iter(self._exchanges.values())))

    def _forget(self, exchange: Exchange) -> None:
        del self._exchanges[exchange.id]
        self._kept_bytes -= self._kept.pop(exchange.id)
        exchange.forgotten = True
        if not exchange.done:  # its connection still has it
            exchange.request.body.clear()
            exchange.response.body.clear()

    def _tell(self, exchange: Exchange) -> None:
        """Tell all who want to know; what is wrong with them is no user's trouble."""
        for callback in list(self._callbacks):
            try:
                callback(exchange)
            except Exception:  # noqa: BLE001 - see above
                self.log.failure("who watches requests failed")
