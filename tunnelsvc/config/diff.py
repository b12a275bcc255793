# -*- test-case-name: tests.config.test_diff -*-
"""What a new configuration changes in a client that runs: a pure function of the old and the new.

A proxy or visitor is changed if it isn't equal as a whole (as in frp, reference 1.10): it is then
both removed and added. What is equal isn't mentioned, so nobody can touch it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs
from attrs import evolve, frozen

from tunnelsvc.config import keys
from tunnelsvc.config.proxies import ProxyConfig, VisitorConfig
from tunnelsvc.config.schema import ClientConfig

LIVE: Final = frozenset({"path", "start", "includes", "watch_config", "log.level"})
"""Fields of ``[common]`` that hold at once: they are about the file, or the rest is told."""
AT_LOGIN: Final = frozenset(
    {
        "pool_count",
        "metas",
        "heartbeat_interval_seconds",
        "heartbeat_timeout_seconds",
        "login_fail_exit",
    }
)
"""Those that a session is begun with; they hold from the next one on. All others stay as they are
until the program is started again: who we are, where the server is, what listens."""

_KEYS: Final = {key.field: name for name, key in keys.CLIENT.keys.items()}
_SAID_OTHERWISE: Final = {"tcp_mux_chosen": "tcp_mux", "servers": "server_addr"}
"""Fields that a key sets besides its own."""


class Named(Protocol):
    """What there is one of by each name."""

    @property
    def name(self) -> str:
        """As in the file."""


N = TypeVar("N", bound=Named)


@frozen
class Changes(Generic[N]):
    """How one list of named things becomes another.

    Attributes:
        removed: names of those that are gone, and of those that are changed.
        added: those that are new, and those that are changed.
        order: names of all that there are afterwards.
    """

    removed: tuple[str, ...]
    added: tuple[N, ...]
    order: tuple[str, ...]

    @property
    def unchanged(self) -> tuple[str, ...]:
        """Names of those that stay as they are."""
        added = {each.name for each in self.added}
        return tuple(name for name in self.order if name not in added)

    @property
    def gone(self) -> tuple[str, ...]:
        """Names of those that there aren't any more, under whatever form."""
        left = set(self.order)
        return tuple(name for name in self.removed if name not in left)

    def apply(self, old: tuple[N, ...]) -> tuple[N, ...]:
        """Return the other list."""
        there = {each.name: each for each in old if each.name not in self.removed}
        there.update((each.name, each) for each in self.added)
        return tuple(there[name] for name in self.order)


def compare_lists(old: tuple[N, ...], new: tuple[N, ...]) -> Changes[N]:
    """Compare two lists, in each of which there is one of a name."""
    before, after = ({each.name: each for each in many} for many in (old, new))
    return Changes(
        removed=tuple(name for name, each in before.items() if after.get(name) != each),
        added=tuple(each for name, each in after.items() if before.get(name) != each),
        order=tuple(after),
    )


@frozen
class Diff:
    """What a new configuration changes.

    Attributes:
        proxies: those to be taken back, announced, left alone.
        visitors: likewise.
        common: fields of ``[common]`` that have other values, and those; a dot is between the name
            of a nested class and its field.
    """

    proxies: Changes[ProxyConfig]
    visitors: Changes[VisitorConfig]
    common: Mapping[str, Any]

    def apply(self, old: ClientConfig) -> ClientConfig:
        """Return the whole of the new configuration."""
        return self._apply(old, self.common)

    def in_effect(self, old: ClientConfig) -> ClientConfig:
        """Return what a client that runs with the old one can make of it."""
        possible = {name: new for name, new in self.common.items() if name in LIVE | AT_LOGIN}
        return self._apply(old, possible)

    def _apply(self, old: ClientConfig, common: Mapping[str, Any]) -> ClientConfig:
        evolved: ClientConfig = _evolve(old, common)
        return evolve(
            evolved,
            proxies=self.proxies.apply(old.proxies),
            visitors=self.visitors.apply(old.visitors),
        )

    @property
    def is_empty(self) -> bool:
        """Whether the two are the same."""
        changes = (self.proxies, self.visitors)
        return not self.common and not any(each.removed or each.added for each in changes)

    def remarks(self) -> list[str]:
        """Say of what doesn't hold yet when it will, a line each, without values."""
        later = _keys_of(name for name in self.common if name in AT_LOGIN)
        never = _keys_of(name for name in self.common if name not in LIVE | AT_LOGIN)
        return [
            *(f"{key} changed: holds from the next login on" for key in later),
            *(f"{key} changed: needs a restart" for key in never),
        ]


def compare(old: ClientConfig, new: ClientConfig) -> Diff:
    """Compare two configurations.

    Args:
        old: the one in effect.
        new: of the file as it is now.
    """
    return Diff(
        proxies=compare_lists(old.proxies, new.proxies),
        visitors=compare_lists(old.visitors, new.visitors),
        common=dict(_changed_fields(old, new, but=("proxies", "visitors"))),
    )


def _changed_fields(old: Any, new: Any, but: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for field in attrs.fields(type(new)):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if field.name in but or before == after:
            continue
        if attrs.has(type(after)) and type(before) is type(after):
            for name, value in _changed_fields(before, after):
                yield f"{field.name}.{name}", value
        else:
            yield field.name, after


def _evolve(old: Any, values: Mapping[str, Any]) -> Any:
    """Exchange fields, those of nested classes too."""
    own = {name: value for name, value in values.items() if "." not in name}
    for group in {name.partition(".")[0] for name in values if "." in name}:
        nested = keys.group(dict(values), group)
        own[group] = _evolve(getattr(old, group), nested)
    return evolve(old, **own)


def _keys_of(fields: Iterator[str]) -> list[str]:
    """Name the keys of fields, as INI files have them; each once."""
    names = (_KEYS.get(name) or _SAID_OTHERWISE.get(name, name) for name in fields)
    return list(dict.fromkeys(names))
