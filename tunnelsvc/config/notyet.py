# -*- test-case-name: tests.config.test_notyet -*-
"""What frp knows and we don't yet: refused, so that nobody relies on what isn't there.

Each table gives, by key (``*`` at the end: all that begin so), the values that ask for nothing
and are therefore accepted: frp's defaults. When a feature comes, its lines go.
"""

from collections.abc import Mapping
from typing import Final

NotYet = Mapping[str, frozenset[str]]

_OFF: Final = frozenset({"", "0", "false"})


def _off_or(*values: str) -> frozenset[str]:
    return _OFF.union(values)


SERVER: Final[NotYet] = {
    "authentication_method": _off_or("token"),
    "oidc_*": _OFF,
    "bind_udp_port": _OFF,
    "kcp_bind_port": _OFF,
    "quic_keepalive_period": _off_or("10"),
    "quic_max_idle_timeout": _off_or("30"),
    "quic_max_incoming_streams": _off_or("100000"),
    "quic_*": _OFF,
    "nat_hole_analysis_data_reserve_hours": _off_or("168"),
    "nat_hole_*": _OFF,
    "assets_dir": _OFF,
    "pprof_enable": _OFF,
}

CLIENT: Final[NotYet] = {
    "authentication_method": _off_or("token"),
    "oidc_*": _OFF,
    "quic_keepalive_period": _off_or("10"),
    "quic_max_idle_timeout": _off_or("30"),
    "quic_max_incoming_streams": _off_or("100000"),
    "quic_*": _OFF,
    "nat_hole_*": _OFF,
    "assets_dir": _OFF,
    "pprof_enable": _OFF,
}

PROXY: Final[NotYet] = {}

VISITOR: Final[NotYet] = {
    "protocol": _off_or("quic"),
    "keep_tunnel_open": _OFF,
    "max_retries_an_hour": _off_or("8"),
    "min_retry_interval": _off_or("90"),
    "fallback_to": _OFF,
    "fallback_timeout_ms": _off_or("1000"),
}

PROXY_TYPES: Final = ("xtcp",)

PLUGINS: Final = ("virtual_net",)

CLIENT_SECTIONS: Final = "range:"
"""How the names of many proxies in one section begin."""


def off_values(table: NotYet, key: str) -> frozenset[str] | None:
    """Return which values of a key ask for nothing; None: it isn't a key of this table."""
    if key in table:
        return table[key]
    patterns = (pattern for pattern in table if pattern.endswith("*"))
    found = next((each for each in patterns if key.startswith(each[:-1])), None)
    return table[found] if found is not None else None
