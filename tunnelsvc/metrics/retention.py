# -*- test-case-name: tests.metrics.test_retention -*-
"""How long, and how many of those that went offline are remembered."""

from typing import Final

from tunnelsvc.units import DAY

REMEMBERED_SECONDS: Final = 7 * DAY
"""How long an offline proxy or client is shown, as in frp (reference 1.9)."""
MOST_REMEMBERED: Final = 1_000
"""Offline proxies, and offline clients, shown at most: a client that registers names without end
and drops them must not fill the memory. The oldest is forgotten first."""


class Attic:
    """The keys of what is offline, oldest first."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def put(self, key: str, now: float) -> None:
        """Note that `key` went offline now (Unix seconds)."""
        self._since.pop(key, None)
        self._since[key] = now

    def take(self, key: str) -> None:
        """Note that `key` is online or gone. It need not be known."""
        self._since.pop(key, None)

    def clear(self, now: float) -> list[str]:
        """Forget what is too old or too much.

        Returns:
            The keys forgotten.
        """
        forgotten: list[str] = []
        for key, since in self._since.items():
            excess = len(self._since) - len(forgotten) > MOST_REMEMBERED
            if not excess and now - since <= REMEMBERED_SECONDS:
                break
            forgotten.append(key)
        for key in forgotten:
            del self._since[key]
        return forgotten

    def keys(self) -> list[str]:
        """List what is remembered, oldest first."""
        return list(self._since)
