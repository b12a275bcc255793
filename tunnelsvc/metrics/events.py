# -*- test-case-name: tests.metrics.test_events -*-
"""What happened lately: logins, refusals, closures, reloads, and what the administrator did.

Much of it is brought about by strangers, as often as they like. So of one kind, from one place, a
few are kept each minute, and of the others it is said how many there were; and the kind that there
is most of makes room for the next, so that a flood of one takes nothing from the others. An event
costs the same however many came before.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import define, field, frozen

from tunnelsvc.addresses import site_of

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "login": ("login", "proxy_opened", "dashboard_login"),
    "refusal": (
        "login_refused",
        "proxy_refused",
        "user_refused",
        "dashboard_refused",
        "dashboard_locked",
    ),
    "closure": ("logout", "proxy_closed"),
    "config": ("started", "reloaded", "reload_failed"),
    "admin": ("kicked", "blocked", "allowed", "disabled", "enabled", "cut"),
}
"""The kinds of events, by group."""
_GROUP_OF: Final = {kind: group for group, kinds in GROUPS.items() for kind in kinds}

MOST_CHARACTERS: Final = 300
"""Of each text of an event: strangers write some of them."""
MOST_REMEMBERED: Final = 1_000
"""Events, of all kinds together."""

WINDOW_SECONDS: Final = 60.0
"""How long similar events are counted together, from the first on."""
MOST_REFUSALS: Final = 10
"""Of one kind, from one place, in that time; the others are only counted."""
MOST_OTHERS: Final = 100
"""Likewise of kinds that only those bring about who have logged in."""
PLACES: Final = 10
"""How many times as many there may be from all places together."""
MOST_WINDOWS: Final = 10_000
"""Pairs of a kind and a place told apart at a time; further places count as one."""


@frozen
class Event:
    """Something that happened."""

    id: int
    """Grows from one to the next, also over restarts where they are kept."""
    at: float
    """Unix seconds."""
    kind: str
    group: str
    client: str = ""
    """Key of the client that it is about, as in `tunnelsvc.metrics.clients`; may be empty."""
    proxy: str = ""
    address: str = ""
    """Where it came from, without a port; may be empty."""
    detail: str = ""


@define(eq=False)
class _Window:
    """How many similar events there were since the first of them."""

    kind: str
    address: str
    began: float
    kept: int = 0
    only_counted: int = 0


@define(eq=False)
class EventLog:
    """The latest events of one server.

    Attributes:
        next_id: of the event that comes next.
    """

    _now: Callable[[], float]
    next_id: int = field(default=1, init=False)
    _events: dict[str, deque[Event]] = field(init=False)
    """By kind."""
    _remembered: int = field(default=0, init=False)
    _windows: dict[tuple[str, str], _Window] = field(factory=dict, init=False)
    """By kind and place; the oldest first. An empty place stands for all."""
    _subscribers: list[Callable[[Event], None]] = field(factory=list, init=False)

    @_events.default
    def _no_events(self) -> dict[str, deque[Event]]:
        return {kind: deque() for kind in _GROUP_OF}

    def add(
        self, kind: str, *, client: str = "", proxy: str = "", address: str = "", detail: str = ""
    ) -> None:
        """Note that something happened just now; see `Event`.

        Args:
            kind: one of those in `GROUPS`.
            client: key of the client.
            proxy: name of the proxy.
            address: where it came from, without a port.
            detail: what else there is to say.

        Raises:
            KeyError: there is no such kind.
        """
        group = _GROUP_OF[kind]
        now = self._now()
        self._close_windows(now)
        if group in {"config", "admin"} or self._admits(kind, group, address, now):
            self._append(kind, now, client=client, proxy=proxy, address=address, detail=detail)

    def recent(self) -> list[Event]:
        """List the latest events, the newest last: at most `MOST_REMEMBERED`."""
        self._close_windows(self._now())
        return sorted(
            (event for events in self._events.values() for event in events),
            key=lambda event: event.id,
        )

    def restore(self, events: Iterable[Event], next_id: int) -> None:
        """Put in what was there before a restart; to be called before the first `add`.

        Args:
            events: the oldest first; of a kind that isn't known any more they are left out.
            next_id: what the next one gets, more than those before.
        """
        for event in events:
            if event.kind in self._events:
                self._remember(event)
        self.next_id = max(self.next_id, next_id)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Tell somebody of each event from now on.

        Args:
            callback: is told within whatever the event is about, and so must neither fail nor take
                long.

        Returns:
            Ends it.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def _append(self, kind: str, at: float, **texts: str) -> None:
        group = _GROUP_OF[kind]
        bounded = {name: text[:MOST_CHARACTERS] for name, text in texts.items()}
        event = Event(self.next_id, at, kind, group, **bounded)
        self.next_id += 1
        self._remember(event)
        for callback in self._subscribers[:]:
            callback(event)

    def _remember(self, event: Event) -> None:
        self._events[event.kind].append(event)
        self._remembered += 1
        if self._remembered > MOST_REMEMBERED:
            max(self._events.values(), key=len).popleft()
            self._remembered -= 1

    def _admits(self, kind: str, group: str, address: str, now: float) -> bool:
        """Count an event; tell whether it is one of those that are kept."""
        most = MOST_REFUSALS if group == "refusal" else MOST_OTHERS
        place = site_of(address) if address else "?"
        if (kind, place) not in self._windows and len(self._windows) >= MOST_WINDOWS:
            place = "others"
        here = self._windows.setdefault((kind, place), _Window(kind, address, now))
        if here.kept >= most:
            here.only_counted += 1
            return False
        here.kept += 1
        everywhere = self._windows.setdefault((kind, ""), _Window(kind, "", now))
        if everywhere.kept >= most * PLACES:
            everywhere.only_counted += 1
            return False
        everywhere.kept += 1
        return True

    def _close_windows(self, now: float) -> None:
        """Say of those whose time is up how many events weren't kept."""
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if now - window.began < WINDOW_SECONDS:
                return
            del self._windows[key]
            if window.only_counted:
                detail = f"{window.only_counted} more like this within {WINDOW_SECONDS:g} s"
                self._append(window.kind, now, address=window.address, detail=detail)
