# -*- test-case-name: tests.config.test_changes -*-
"""What of a server's new configuration can take the place of the old one while it runs.

Each field of `ServerConfig` is in one of the two tables, by its name as `tunnelsvc.config.fields`
has it. What of a client's can is in `tunnelsvc.config.diff`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import field, frozen

from tunnelsvc.config import keys
from tunnelsvc.config.fields import changed, keys_of, leaves, replaced
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
        # Proxies and their entrance must agree on it, those that are there, too.
        "tcpmux_passthrough",
        "tcp_keepalive_seconds",
        "log.file",
        "log.max_days",
        "log.disable_color",
        "dashboard.addr",
        "dashboard.port",
        "dashboard.enable_prometheus",
        "data_dir",
        # Of a client; no server's file sets them.
        "tls.enable",
        "tls.server_name",
        "tls.disable_custom_first_byte",
    }
)
"""Fields whose change waits for the next start: mostly what is listened on."""


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
    names = list(changed(old, new))
    kept = [name for name in names if name in RESTART] + list(_unsafe(names, before, after))
    live = {
        key: LIVE[name]
        for name in names
        if name not in kept
        for key in keys_of([name], keys.SERVER)
    }
    return Change(
        replaced(new, {name: before[name] for name in kept}),
        live,
        tuple(keys_of(kept, keys.SERVER)),
    )


def _unsafe(names: list[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Name what can change in general, but not like this."""
    if before["dashboard.credentials_configured"] and not after["dashboard.credentials_configured"]:
        # admin/admin is for loopback, and it may listen elsewhere.
        locked = {"dashboard.user", "dashboard.password", "dashboard.credentials_configured"}
        yield from (name for name in names if name in locked)
    files = {"dashboard.tls_cert_file", "dashboard.tls_key_file"}
    if any(bool(before[name]) != bool(after[name]) for name in files):
        # Whoever uses it would have to use another URL.
        yield from (name for name in names if name in files)
