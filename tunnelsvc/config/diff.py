# -*- test-case-name: tests.config.test_diff -*-
"""What a new configuration changes in a client that runs: a pure function of the old and the new.

A proxy or visitor is changed if it isn't equal as a whole (as in frp, reference 1.10): it is then
both removed and added. What is equal isn't mentioned, so nobody can touch it.
"""

from collections.abc import Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import evolve, frozen

from tunnelsvc.config import keys
from tunnelsvc.config.fields import changed, keys_of, replaced
from tunnelsvc.config.proxies import ProxyConfig, VisitorConfig
from tunnelsvc.config.schema import ClientConfig

LIVE: Final = frozenset({"path", "start", "includes", "watch_config", "log.level"})
"""Fields of ``[common]``, by their names as `tunnelsvc.config.fields` has them, that hold at once:
they are about the file, or the rest is told."""
AT_LOGIN: Final = frozenset(
    {
        "pool_count",
        "metas",
        "heartbeat_interval_seconds",
        "heartbeat_timeout_seconds",
        "login_fail_exit",
    }
)
"""Those that a session is begun with; they hold from the next one on."""
RESTART: Final = frozenset(
    {
        "server_addr",
        "server_port",
        "servers",
        "protocol",
        "wire_protocol",
        "proxy_url",
        "dns_server",
        "dial_server_timeout_seconds",
        "dial_server_keepalive_seconds",
        "connect_server_local_ip",
        "token",
        "authenticate_heartbeats",
        "authenticate_new_work_conns",
        "user",
        "client_id",
        "udp_packet_size",
        "tcp_mux",
        "tcp_mux_chosen",
        "tcp_mux_keepalive_interval_seconds",
        "tls.enable",
        "tls.cert_file",
        "tls.key_file",
        "tls.trusted_ca_file",
        "tls.server_name",
        "tls.disable_custom_first_byte",
        "log.file",
        "log.max_days",
        "log.disable_color",
        "admin.addr",
        "admin.port",
        "admin.user",
        "admin.password",
        "admin.tls_cert_file",
        "admin.tls_key_file",
        # Of a server; no client's file sets it.
        "tls.only",
    }
)
"""Those that stay until the next start: who we are, where the server is, what listens."""


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
        common: fields of ``[common]`` that have other values, and those.
    """

    proxies: Changes[ProxyConfig]
    visitors: Changes[VisitorConfig]
    common: Mapping[str, Any]

    def apply(self, old: ClientConfig) -> ClientConfig:
        """Return the whole of the new configuration."""
        return self._apply(old, self.common)

    def in_effect(self, old: ClientConfig) -> ClientConfig:
        """Return what a client that runs with the old one can make of it."""
        possible = {name: new for name, new in self.common.items() if name not in RESTART}
        return self._apply(old, possible)

    def _apply(self, old: ClientConfig, common: Mapping[str, Any]) -> ClientConfig:
        return evolve(
            replaced(old, common),
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
        later = keys_of((name for name in self.common if name in AT_LOGIN), keys.CLIENT)
        never = keys_of((name for name in self.common if name in RESTART), keys.CLIENT)
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
        common=changed(old, new, but=("proxies", "visitors")),
    )
