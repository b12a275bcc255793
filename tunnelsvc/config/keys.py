# -*- test-case-name: tests.config.test_keys -*-
"""Every key that a file may have: which field it sets, and what its value may be.

A new key is one line here and a field in `tunnelsvc.config.schema`, which also has its default.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from tunnelsvc.config import addresses, notyet, proxyurl, values
from tunnelsvc.config.report import UNKNOWN_KEY, Entry, Report, Section, nearest
from tunnelsvc.units import DAY

# Days that log files may be kept: a century; more is a slip of the finger.
MAX_LOG_DAYS: Final = 36500

# Seconds that browsers may be told to use https only: ten years. Preload lists want one.
MAX_HSTS_SECONDS: Final = int(3650 * DAY)

# What is behind a failed value when somebody put a comment after it.
_INLINE_COMMENTS: Final = (" #", " ;", "\t#", "\t;")

PLUGIN_PARAMETERS: Final = "plugin_"
"""How keys begin that are a plugin's; `tunnelsvc.config.plugins` has them."""

Fields = dict[str, Any]
"""Values by field; only of those that the file sets."""


@frozen
class Key:
    """Sets one field: ``name``, or ``group.name`` for one of a nested class."""

    field: str
    parse: values.Parser = values.text


@frozen
class Prefix:
    """Puts all keys that begin alike into one mapping."""

    field: str
    check_name: values.Parser = values.some_text


@frozen
class Table:
    """The keys of one kind of section.

    Attributes:
        keys: by name.
        prefixes: by what the keys begin with.
        not_yet: keys that are refused.
        elsewhere: keys of other sections, or prefixes of such, and where they belong.
        once: what keys were called in older frp, and are called today.
    """

    keys: Mapping[str, Key]
    prefixes: Mapping[str, Prefix] = field(factory=dict)
    not_yet: notyet.NotYet = field(factory=dict)
    elsewhere: Mapping[str, str] = field(factory=dict)
    once: Mapping[str, str] = field(factory=dict)

    def read(self, section: Section, report: Report) -> Fields:
        """Turn a section into values of fields, leaving out the ones that are wrong."""
        fields: Fields = {}
        for entry in section.entries.values():
            try:
                self._read(entry, fields, report)
            except values.BadValueError as why:
                report.problem(_explain(str(why), entry.value), entry)
        return fields

    def _read(self, entry: Entry, fields: Fields, report: Report) -> None:
        key = self.keys.get(self.once.get(entry.key, entry.key))
        if key is not None:
            _parse(key, entry, fields)
            return
        for start, prefix in self.prefixes.items():
            if entry.key.startswith(start):
                name = prefix.check_name(entry.key.removeprefix(start))
                fields.setdefault(prefix.field, {})[name] = entry.value
                return
        if not self._is_off(entry):
            what = UNKNOWN_KEY if report.is_full else self._unknown(entry.key)
            report.useless(what, entry)

    def _is_off(self, entry: Entry) -> bool:
        off = notyet.off_values(self.not_yet, entry.key)
        if off is not None and entry.value.lower() not in off:
            raise values.BadValueError("is not supported yet; leave the line out")
        return off is not None

    def _unknown(self, key: str) -> str:
        for other, place in self.elsewhere.items():
            if key == other or (other.endswith("_") and key.startswith(other)):
                return f"it belongs {place}"
        meant = nearest(key, [*self.keys, *self.elsewhere])
        return f"{UNKNOWN_KEY}; did you mean {meant}?" if meant else UNKNOWN_KEY


def _parse(key: Key, entry: Entry, fields: Fields) -> None:
    try:
        fields[key.field] = key.parse(entry.value)
    except values.BadValueError:
        # frp can't tell such a value from none, and has files that are full of them.
        if entry.value not in {"", "0"} or not (entry.source and entry.source.zero_is_unset):
            raise


def _explain(what: str, value: str) -> str:
    if any(mark in value for mark in _INLINE_COMMENTS):
        return f"{what}; a comment needs a line of its own"
    return what


def group(fields: Fields, name: str) -> Fields:
    """Take the fields of a nested class out of the others."""
    start = f"{name}."
    names = [key for key in fields if key.startswith(start)]
    return {key.removeprefix(start): fields.pop(key) for key in names}


_BOTH: Final = {
    "token": Key("token"),
    "authenticate_heartbeats": Key("authenticate_heartbeats", values.boolean),
    "authenticate_new_work_conns": Key("authenticate_new_work_conns", values.boolean),
    "tcp_mux": Key("tcp_mux", values.boolean),
    "tcp_mux_keepalive_interval": Key("tcp_mux_keepalive_interval_seconds", values.seconds(1)),
    "heartbeat_timeout": Key("heartbeat_timeout_seconds", values.seconds_or_never),
    "udp_packet_size": Key("udp_packet_size", values.datagram_size),
    "tls_cert_file": Key("tls.cert_file"),
    "tls_key_file": Key("tls.key_file"),
    "tls_trusted_ca_file": Key("tls.trusted_ca_file"),
    "log_file": Key("log.file", values.some_text),
    "log_level": Key("log.level", values.log_level),
    "log_max_days": Key("log.max_days", values.integer(0, MAX_LOG_DAYS)),
    "disable_log_color": Key("log.disable_color", values.boolean),
}

_SERVER: Final = {
    "bind_addr": Key("bind_addr", addresses.host),
    "bind_port": Key("bind_port", values.port),
    "proxy_bind_addr": Key("proxy_bind_addr", addresses.host),
    "vhost_http_port": Key("vhost_http_port", values.port_or_off),
    "vhost_http_timeout": Key("vhost_http_timeout_seconds", values.seconds(1)),
    "vhost_https_port": Key("vhost_https_port", values.port_or_off),
    "vhost_https_redirect": Key("vhost_https_redirect", values.boolean),
    "vhost_https_hsts_max_age": Key(
        "vhost_https_hsts_max_age_seconds", values.seconds(0, MAX_HSTS_SECONDS)
    ),
    "tcpmux_httpconnect_port": Key("tcpmux_httpconnect_port", values.port_or_off),
    "tcpmux_passthrough": Key("tcpmux_passthrough", values.boolean),
    "subdomain_host": Key("subdomain_host", addresses.domain),
    "custom_404_page": Key("custom_404_page"),
    "trusted_proxies": Key("trusted_proxies", addresses.networks),
    "access_log": Key("access_log"),
    "access_log_format": Key("access_log_format", values.access_log_format),
    "detailed_errors_to_client": Key("detailed_errors_to_client", values.boolean),
    "allow_ports": Key("allow_ports", values.port_ranges),
    "max_ports_per_client": Key("max_ports_per_client", values.count),
    "max_pool_count": Key("max_pool_count", values.count),
    "user_conn_timeout": Key("user_conn_timeout_seconds", values.seconds(1)),
    "tcp_keepalive": Key("tcp_keepalive_seconds", values.keepalive),
    "tls_only": Key("tls.only", values.boolean),
    "dashboard_addr": Key("dashboard.addr", addresses.host),
    "dashboard_port": Key("dashboard.port", values.port_or_off),
    "dashboard_user": Key("dashboard.user", values.user_name),
    "dashboard_pwd": Key("dashboard.password"),
    "dashboard_tls_mode": Key("dashboard.tls_mode", values.boolean),
    "dashboard_tls_cert_file": Key("dashboard.tls_cert_file"),
    "dashboard_tls_key_file": Key("dashboard.tls_key_file"),
    "data_dir": Key("data_dir"),
    "enable_prometheus": Key("dashboard.enable_prometheus", values.boolean),
}

_CLIENT: Final = {
    "server_addr": Key("servers", addresses.servers),
    "server_port": Key("server_port", values.port),
    "protocol": Key("protocol", values.transport),
    "wire_protocol": Key("wire_protocol", values.wire_protocol),
    "http_proxy": Key("proxy_url", proxyurl.checked),
    "dns_server": Key("dns_server", addresses.dns_server),
    "dial_server_timeout": Key("dial_server_timeout_seconds", values.seconds(1)),
    "dial_server_keepalive": Key("dial_server_keepalive_seconds", values.keepalive),
    "connect_server_local_ip": Key("connect_server_local_ip", addresses.optional_address),
    "user": Key("user", values.name),
    "client_id": Key("client_id", values.name),
    "pool_count": Key("pool_count", values.count),
    "heartbeat_interval": Key("heartbeat_interval_seconds", values.seconds_or_never),
    "login_fail_exit": Key("login_fail_exit", values.boolean),
    "start": Key("start", values.items),
    "includes": Key("includes", values.items),
    "watch_config": Key("watch_config", values.boolean),
    "admin_addr": Key("admin.addr", addresses.host),
    "admin_port": Key("admin.port", values.port_or_off),
    "admin_user": Key("admin.user", values.user_name),
    "admin_pwd": Key("admin.password"),
    "admin_tls_cert_file": Key("admin.tls_cert_file"),
    "admin_tls_key_file": Key("admin.tls_key_file"),
    "tls_enable": Key("tls.enable", values.boolean),
    "tls_server_name": Key("tls.server_name"),
    "disable_custom_tls_first_byte": Key("tls.disable_custom_first_byte", values.boolean),
}

_PROXY: Final = {
    "type": Key("type"),
    "enabled": Key("enabled", values.boolean),
    "plugin": Key("plugin"),
    "local_ip": Key("local_ip", addresses.host),
    "local_port": Key("local_port", values.port),
    "use_encryption": Key("use_encryption", values.boolean),
    "use_compression": Key("use_compression", values.boolean),
    "bandwidth_limit": Key("bandwidth_limit", values.bandwidth),
    "bandwidth_limit_mode": Key("bandwidth_limit_mode", values.limit_mode),
    "proxy_protocol_version": Key("proxy_protocol_version", values.proxy_protocol),
    "group": Key("group", values.name),
    "group_key": Key("group_key"),
    "health_check_type": Key("health_check.type", values.health_check_type),
    "health_check_timeout_s": Key("health_check.timeout_seconds", values.seconds(1)),
    "health_check_max_failed": Key("health_check.max_failed", values.some),
    "health_check_interval_s": Key("health_check.interval_seconds", values.seconds(1)),
    "health_check_url": Key("health_check.url", values.url_path),
}
_PUBLIC: Final = {"role": Key("role", values.no_visitor)}
_NOT_HTTP: Final = {"inspect": Key("inspect", values.not_inspected)}
_PORT: Final = {"remote_port": Key("remote_port", values.port_or_off)}
_SECRET: Final = {
    "role": Key("role", values.role),
    "sk": Key("secret_key"),
    "allow_users": Key("allow_users", values.items),
}
_VHOST: Final = {
    "custom_domains": Key("custom_domains", addresses.domains),
    "subdomain": Key("subdomain", addresses.subdomain),
}
_HTTP_USER: Final = {
    "http_user": Key("http_user", values.user_name),
    "http_pwd": Key("http_password"),
    "route_by_http_user": Key("route_by_http_user", values.user_name),
}
_HTTP: Final = {
    "locations": Key("locations", values.locations),
    "host_header_rewrite": Key("host_header_rewrite", addresses.host_header),
    "inspect": Key("inspect", values.boolean),
}
_MULTIPLEXER: Final = {"multiplexer": Key("multiplexer", values.multiplexer)}
_VISITOR: Final = {
    "type": Key("type"),
    "role": Key("role", values.role),
    "enabled": Key("enabled", values.boolean),
    "server_name": Key("server_name", values.name),
    "server_user": Key("server_user", values.name),
    "sk": Key("secret_key"),
    "use_encryption": Key("use_encryption", values.boolean),
    "use_compression": Key("use_compression", values.boolean),
    "bind_addr": Key("bind_addr", addresses.host),
    "bind_port": Key("bind_port", values.visitor_port),
}

_CERTIFICATE: Final = {
    "cert_file": Key("cert_file"),
    "key_file": Key("key_file"),
    "domains": Key("domains", addresses.certificate_domains),
}
_HOOK: Final = {
    "addr": Key("addr", addresses.hook_addr),
    "path": Key("path", values.url_path),
    "ops": Key("ops", values.hook_ops),
    "tlsVerify": Key("tls_verify", values.boolean),
}

_METAS: Final = {"meta_": Prefix("metas")}
_ABOUT: Final = {**_METAS, "annotation_": Prefix("annotations")}
_CHECK_HEADERS: Final = {"health_check_header_": Prefix("health_check.headers", values.header_name)}
_HEADERS: Final = {
    "header_": Prefix("headers", values.header_name),
    "response_header_": Prefix("response_headers", values.header_name),
}

_KEYS_BY_TYPE: Final[Mapping[str, Mapping[str, Key]]] = {
    "tcp": {**_PUBLIC, **_PORT},
    "udp": {**_PUBLIC, **_PORT},
    "http": {**_PUBLIC, **_VHOST, **_HTTP_USER, **_HTTP},
    "https": {**_PUBLIC, **_VHOST},
    "tcpmux": {**_PUBLIC, **_VHOST, **_HTTP_USER, **_MULTIPLEXER},
    "stcp": _SECRET,
    "sudp": _SECRET,
}
VISITOR_TYPES: Final = ("stcp", "sudp")
"""Types of proxies that only visitors reach."""


def _elsewhere(kind: str) -> dict[str, str]:
    """Say of keys that a type of proxy doesn't have, which have them."""
    owners: dict[str, list[str]] = {name: ["http"] for name in _HEADERS}
    for other, own in _KEYS_BY_TYPE.items():
        for key in own:
            owners.setdefault(key, []).append(other)
    hidden = ": TLS hides requests from the server" if kind == "https" else ""
    found = {
        key: f"to proxies of type {_or(types)}{hidden * ('http' in types)}"
        for key, types in owners.items()
        if kind not in types
    }
    return dict.fromkeys(_VISITOR, "to visitors (role = visitor)") | found


def _or(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _proxy_table(kind: str, own: Mapping[str, Key]) -> Table:
    prefixes = {**_ABOUT, **_CHECK_HEADERS, **(_HEADERS if kind == "http" else {})}
    return Table({**_PROXY, **_NOT_HTTP, **own}, prefixes, notyet.PROXY, _elsewhere(kind))


PROXIES: Final = {kind: _proxy_table(kind, own) for kind, own in _KEYS_BY_TYPE.items()}
VISITOR: Final = Table(
    _VISITOR,
    not_yet=notyet.VISITOR,
    elsewhere=dict.fromkeys({**_PROXY, **_ABOUT, **_SECRET}, "to the proxy that is visited"),
)
SERVER: Final = Table(
    {**_BOTH, **_SERVER},
    not_yet=notyet.SERVER,
    elsewhere=dict.fromkeys(_CLIENT, "in the client's file"),
)
CLIENT: Final = Table(
    {**_BOTH, **_CLIENT},
    _METAS,
    notyet.CLIENT,
    elsewhere={
        **dict.fromkeys(_SERVER, "in the server's file"),
        **dict.fromkeys(
            {**_PROXY, **_HEADERS, **{key: None for own in _KEYS_BY_TYPE.values() for key in own}},
            "in the section of a proxy",
        ),
    },
)
CERTIFICATE: Final = Table(
    _CERTIFICATE,
    elsewhere=dict.fromkeys({**_BOTH, **_SERVER}, "in [common]"),
)
HOOK: Final = Table(
    _HOOK,
    elsewhere=dict.fromkeys({**_BOTH, **_SERVER}, "in [common]"),
    once={"tls_verify": "tlsVerify"},
)
FLAGS: Final = frozenset(
    name
    for table in (SERVER, CLIENT, VISITOR, CERTIFICATE, HOOK, *PROXIES.values())
    for name, key in table.keys.items()
    if key.parse is values.boolean
)
"""Keys that are true or false."""
