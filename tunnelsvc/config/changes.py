# -*- test-case-name: tests.config.test_changes -*-
"""What of a server's new configuration can take the place of the old one while it runs.

A field of `ServerConfig` is named ``bind_port``, one of its groups ``tls.only``. Each is in one of
the two tables.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve, field, fields, frozen, has

from tunnelsvc.config import keys
from tunnelsvc.config.schema import ServerConfig

NOW: Final = "at once"
NEXT_CONNECTION: Final = "for connections from now on"
NEXT_LOGIN: Final = "for clients that log in from now on"
NEXT_PROXY: Final = "for proxies that are opened from now on"

LIVE: Final[Mapping[str, str]] = {
    "token": NEXT_LOGIN,
    "authenticate_heartbeats": NEXT_LOGIN,
    "authenticate_new_work_conns": NEXT_LOGIN,
    "max_pool_count": NEXT_LOGIN,
    "heartbeat_timeout_seconds": NEXT_LOGIN,
    "tcp_mux": NEXT_LOGIN,
    "tcp_mux_chosen": NEXT_LOGIN,
    "tcp_mux_keepalive_interval_seconds": NEXT_LOGIN,
    "allow_ports": NEXT_PROXY,
    "max_ports_per_client": NEXT_PROXY,
    "subdomain_host": NEXT_PROXY,
    "udp_packet_size": NEXT_PROXY,
    "certificates": NEXT_CONNECTION,
    "vhost_https_hsts_max_age_seconds": NEXT_CONNECTION,
    "tls.only": NEXT_CONNECTION,
    "tls.cert_file": NEXT_CONNECTION,
    "tls.key_file": NEXT_CONNECTION,
    "tls.trusted_ca_file": NEXT_CONNECTION,
    "trusted_proxies": NEXT_CONNECTION,
    "vhost_https_redirect": NOW,
    "vhost_http_timeout_seconds": NOW,
    "custom_404_page": NOW,
    "access_log": NOW,
    "access_log_format": NOW,
    "plugins": NOW,
    "detailed_errors_to_client": NOW,
    "user_conn_timeout_seconds": NOW,
    "log.level": NOW,
    "dashboard.user": NOW,
    "dashboard.password": NOW,
    "dashboard.credentials_configured": NOW,
    "dashboard.tls_cert_file": NEXT_CONNECTION,
    "dashboard.tls_key_file": NEXT_CONNECTION,
}
"""Fields that can change while a server runs, and when that shows."""

RESTART: Final = frozenset(
    {
        "path",
        "bind_addr",
        "bind_port",
        "proxy_bind_addr",
        "vhost_http_port",
        "vhost_https_port",
        "tcpmux_httpconnect_port",
        "tcpmux_passthrough",
        "tcp_keepalive_seconds",
        "log.file",
        "log.max_days",
        "log.disable_color",
        "dashboard.addr",
        "dashboard.port",
        "dashboard.enable_prometheus",
        # Of a client; no server's file sets them.
        "tls.enable",
        "tls.server_name",
        "tls.disable_custom_first_byte",
    }
)
"""Fields whose change waits for the next start: mostly what is listened on."""

_SECTIONS: Final = {"certificates": "[certificate.NAME]", "plugins": "[plugin.NAME]"}
_UNNAMED: Final = frozenset({"path", "tcp_mux_chosen", "dashboard.credentials_configured"})
"""Fields that no key sets by itself."""


@frozen
class Change:
    """What becomes of a new configuration.

    Attributes:
        config: what is in force from now on.
        live: keys (in the INI form) that have changed, and when that shows.
        kept: keys that have changed in the file, but have to wait for the next start.
    """

    config: ServerConfig
    live: Mapping[str, str] = field(factory=dict)
    kept: tuple[str, ...] = ()


def merge(old: ServerConfig, new: ServerConfig) -> Change:
    """Take of a new configuration what can change; nothing else is touched."""
    before, after = dict(leaves(old)), dict(leaves(new))
    changed = [name for name in after if before[name] != after[name]]
    kept = [name for name in changed if name in RESTART] + list(_unsafe(changed, before, after))
    config = _replaced(new, {name: before[name] for name in kept})
    live = {key_of(name): LIVE[name] for name in changed if name not in kept}
    live.pop("", None)
    return Change(config, live, tuple(filter(None, map(key_of, kept))))


def _unsafe(
    changed: list[str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[str]:
    """Name what can change in general, but not like this."""
    if before["dashboard.credentials_configured"] and not after["dashboard.credentials_configured"]:
        # admin/admin is for loopback, and it may listen elsewhere.
        locked = {"dashboard.user", "dashboard.password", "dashboard.credentials_configured"}
        yield from (name for name in changed if name in locked)
    files = {"dashboard.tls_cert_file", "dashboard.tls_key_file"}
    if any(bool(before[name]) != bool(after[name]) for name in files):
        # Whoever uses it would have to use another URL.
        yield from (name for name in changed if name in files)


def leaves(config: ServerConfig) -> Iterator[tuple[str, Any]]:
    """Give each field with its value, those of groups one by one."""
    for each in fields(ServerConfig):
        value = getattr(config, each.name)
        if has(type(value)):
            for inner in fields(type(value)):
                yield f"{each.name}.{inner.name}", getattr(value, inner.name)
        else:
            yield each.name, value


def _replaced(config: ServerConfig, values: Mapping[str, Any]) -> ServerConfig:
    for name, value in values.items():
        group, _, inner = name.rpartition(".")
        if group:
            value = evolve(getattr(config, group), **{inner: value})  # noqa: PLW2901
        config = evolve(config, **{group or inner: value})
    return config


def key_of(name: str) -> str:
    """Give the key of a server's file that sets a field; empty if none does by itself."""
    if name in _UNNAMED:
        return ""
    if name in _SECTIONS:
        return _SECTIONS[name]
    found = (key for key, entry in keys.SERVER.keys.items() if entry.field == name)
    return next(found, "")
