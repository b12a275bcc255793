# -*- test-case-name: tests.gateway.test_router -*-
"""Which proxy a request belongs to: by host, user and path (protocol notes 6.2)."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, Generic, TypeVar

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.units import DAY

T = TypeVar("T")

_FEWEST_LABELS = 3
"""Of a name that a wildcard may match: ``*.com`` would catch other people's sites."""

MOST_REMEMBERED: Final = 1_024
"""Hosts, of 261 characters at most, whose names are remembered: the same ones are asked for."""

MOST_MISSED: Final = 1_000
"""Domains that were served and aren't any more, of which it is known."""

MISSED_SECONDS: Final = 1 * DAY
"""How long one is said to be offline rather than unknown: a computer that is off at night."""


@lru_cache(MOST_REMEMBERED)
def normalise(host: str) -> str:
    """Reduce a Host header or a configured domain to the name that is compared.

    Port, trailing dot and the brackets of an IPv6 address go, case is folded.
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host.rstrip(".").lower()


def _domains(host: str) -> Iterator[str]:
    """Give the domains that may match, the closest first."""
    yield host
    labels = host.split(".")
    while len(labels) >= _FEWEST_LABELS:
        del labels[0]
        yield ".".join(["*", *labels])
    yield "*"


def _key(domain: str, user: str) -> str:
    """Name a domain as one user sees it; no domain has an ``@``."""
    return f"{user}@{domain}" if user else domain


def _keys(host: str, user: str) -> Iterator[str]:
    """Give the keys that may match, those of the user before those of everybody."""
    for domain in _domains(host):
        yield _key(domain, user)
        yield domain


class Router(Generic[T]):
    """Routes of one port. A location is a prefix of the path; the empty one matches all.

    Attributes:
        by_user: whether it matters which user asks.
    """

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        """Begin.

        Args:
            now: gives seconds; None: what was removed is forgotten at once.
        """
        self.by_user = False
        self._locations: dict[str, dict[str, T]] = {}  # by `_key`
        self._now = now
        self._missed: dict[str, float] = {}  # domains and since when, the latest last

    def add(self, domain: str, location: str, target: T, *, user: str = "") -> None:
        """Add a route.

        Args:
            domain: a name, ``*.`` and a name, ``*`` or an address.
            location: prefix of paths.
            target: what `find` returns.
            user: of HTTP's Basic scheme, for whom alone it is; empty: for all.

        Raises:
            ProxyRefused: somebody has it.
        """
        domain = normalise(domain)
        locations = self._locations.setdefault(_key(domain, user), {})
        if location in locations:
            raise ProxyRefused("router config conflict")
        locations[location] = target
        self._missed.pop(domain, None)
        self.by_user = self.by_user or bool(user)

    def remove(self, domain: str, location: str, *, user: str = "") -> None:
        """Remove a route. One that isn't there is no error."""
        domain = normalise(domain)
        key = _key(domain, user)
        locations = self._locations.get(key, {})
        if locations.pop(location, None) is not None:
            self._miss(domain)
        if not locations and self._locations.pop(key, None) is not None and user:
            self.by_user = any("@" in key for key in self._locations)

    def _miss(self, domain: str) -> None:
        if self._now is None:
            return
        self._missed.pop(domain, None)
        self._missed[domain] = self._now()
        if len(self._missed) > MOST_MISSED:
            del self._missed[next(iter(self._missed))]

    def misses(self, host: str) -> bool:
        """Tell whether a host for which nothing is found was served not long ago."""
        if self._now is None:
            return False
        oldest = self._now() - MISSED_SECONDS
        domains = _domains(normalise(host))
        return any(self._missed.get(domain, oldest) > oldest for domain in domains)

    def find(self, host: str, path: str, user: str = "") -> T | None:
        """Find the target of a request.

        Args:
            host: as the Host header has it.
            path: decoded, without the query.
            user: who asks; it need not be known whether that is true.

        Returns:
            The target of the closest domain that has a location for the path, by the longest of
            those; None without any. Within a domain routes for this user come first.
        """
        name = normalise(host)
        for key in _keys(name, user) if user else _domains(name):
            locations = self._locations.get(key)
            if locations:
                fitting = [location for location in locations if path.startswith(location)]
                if fitting:
                    return locations[max(fitting, key=len) if len(fitting) > 1 else fitting[0]]
        return None
