# -*- test-case-name: tests.metrics.test_journal -*-
"""What of the counters isn't saved yet, for whoever saves it (`tunnelsvc.admin.history`).

The database is told what has moved, and never what there is: so two that add to the same day add
up, and a clock that is put back counts nothing twice.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from tunnelsvc.metrics.traffic import Past

if TYPE_CHECKING:
    from tunnelsvc.metrics.counters import ProxyStats

MOST_MOVED: Final = 10_000
"""Pairs of a proxy and a day told apart while nothing can be saved; the traffic of further ones
is that of the server only. Also how many proxies may wait to be saved."""
NOBODY: Final = ("", "")
"""Name and type under which that is counted."""

Key = tuple[str, str]
"""Name and type of a proxy."""


@frozen(kw_only=True)
class ProxyRecord:
    """What is remembered of a proxy over restarts. Times are Unix seconds."""

    name: str
    type: str
    user: str = ""
    client_id: str = ""
    remote_addr: str = ""
    started_at: float = 0.0
    closed_at: float | None = None
    """None: it is online."""
    closed_reason: str = ""
    past: Past = field(factory=Past)


@frozen
class Moved:
    """Bytes of a proxy that moved on a day, an ordinal."""

    name: str
    type: str
    day: int
    in_bytes: int
    out_bytes: int


@frozen(kw_only=True)
class Changes:
    """What is to be saved, in this order.

    Attributes:
        cleared: proxies whose records and traffic are to be forgotten.
        fresh: proxies that begin at zero here, though more may be saved of them.
        proxies: records that have changed.
        moved: traffic.
    """

    cleared: Sequence[Key] = ()
    fresh: "Sequence[ProxyStats]" = field(default=(), repr=False)
    proxies: Sequence[ProxyRecord] = ()
    moved: Sequence[Moved] = ()

    def __bool__(self) -> bool:
        """Tell whether there is anything to be saved."""
        return bool(self.cleared or self.fresh or self.proxies or self.moved)


class Journal:
    """Gathers changes until somebody takes them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._cleared: dict[Key, None] = {}
        self._fresh: dict[Key, ProxyStats] = {}
        self._changed: dict[Key, ProxyStats] = {}
        self._moved: dict[tuple[Key, int], list[int]] = {}

    def count(self, name: str, type: str, day: int, in_bytes: int, out_bytes: int) -> None:  # noqa: A002
        """See `tunnelsvc.metrics.traffic.Tally`."""
        key = ((name, type), day)
        moved = self._moved.get(key)
        if moved is None:
            if len(self._moved) >= MOST_MOVED:
                key = (NOBODY, day)
            moved = self._moved.setdefault(key, [0, 0])
        moved[0] += in_bytes
        moved[1] += out_bytes

    def fresh(self, proxy: "ProxyStats") -> None:
        """Note a proxy that wasn't known here, and so begins at zero."""
        self._fresh[proxy.name, proxy.type] = proxy
        # Names without end, while nothing can be saved: the oldest are as if nothing were saved.
        if len(self._fresh) > MOST_MOVED:
            del self._fresh[next(iter(self._fresh))]

    def changed(self, proxy: "ProxyStats") -> None:
        """Note that a proxy came online or went offline."""
        self._changed[proxy.name, proxy.type] = proxy
        if len(self._changed) > MOST_MOVED:
            del self._changed[next(iter(self._changed))]

    def cleared(self, name: str, type: str) -> None:  # noqa: A002
        """Note that a proxy is to be forgotten; its traffic stays in the server's sum."""
        key = (name, type)
        self._changed.pop(key, None)
        self._fresh.pop(key, None)
        self._cleared[key] = None
        for mine, day in [each for each in self._moved if each[0] == key]:
            in_bytes, out_bytes = self._moved.pop((mine, day))
            self.count(*NOBODY, day, in_bytes, out_bytes)

    def take(self) -> Changes:
        """Give what has gathered, and begin anew."""
        changes = Changes(
            cleared=tuple(self._cleared),
            fresh=tuple(self._fresh.values()),
            proxies=tuple(map(_record, self._changed.values())),
            moved=tuple(Moved(*key, day, *moved) for (key, day), moved in self._moved.items()),
        )
        self._cleared, self._fresh, self._changed, self._moved = {}, {}, {}, {}
        return changes


def _record(proxy: "ProxyStats") -> ProxyRecord:
    return ProxyRecord(
        name=proxy.name,
        type=proxy.type,
        user=proxy.user,
        client_id=proxy.client_id,
        remote_addr=proxy.remote_addr,
        started_at=proxy.started_at,
        closed_at=None if proxy.online else proxy.closed_at,
        closed_reason=proxy.closed_reason,
    )
