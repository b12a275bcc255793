# -*- test-case-name: tests.config.test_keys -*-
"""Every key that a file may have: which field it sets, and what its value may be.

A new key is one line here and a field in `tunnelsvc.config.schema`, which also has its default.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from tunnelsvc.config import notyet, values
from tunnelsvc.config.report import Entry, Report, Section, nearest
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
    """

    keys: Mapping[str, Key]
    prefixes: Mapping[str, Prefix] = field(factory=dict)
    not_yet: notyet.NotYet = field(factory=dict)
    elsewhere: Mapping[str, str] = field(factory=dict)

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
        key = self.keys.get(entry.key)
        if key is not None:
            fields[key.field] = key.parse(entry.value)
            return
        for start, prefix in self.prefixes.items():
            if entry.key.startswith(start):
                name = prefix.check_name(entry.key.removeprefix(start))
                fields.setdefault(prefix.field, {})[name] = entry.value
                return
        if not self._is_off(entry):
            report.warn(self._unknown(entry.key), entry)

    def _is_off(self, entry: Entry) -> bool:
        off = notyet.off_values(self.not_yet, entry.key)
        if off is not None and entry.value.lower() not in off:
            raise values.BadValueError("is not supported yet; leave the line out")
        return off is not None

    def _unknown(self, key: str) -> str:
        for other, place in self.elsewhere.items():
            if key == other or (other.endswith("_") and key.startswith(other)):
                return f"ignored: it belongs {place}"
        meant = nearest(key, [*self.keys, *self.elsewhere])
        return f"unknown key, ignored; did you mean {meant}?" if meant else "unknown key, ignored"


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
    "tls_cert_file": Key("tls.cert_file"),
    "tls_key_file": Key("tls.key_file"),
    "tls_trusted_ca_file": Key("tls.trusted_ca_file"),
    "log_file": Key("log.file", values.some_text),
    "log_level": Key("log.level", values.log_level),
    "log_max_days": Key("log.max_days", values.integer(0, MAX_LOG_DAYS)),
    "disable_log_color": Key("log.disable_color", values.boolean),
}

_SERVER: Final = {
    "bind_addr": Key("bind_addr", values.host),
    "bind_port": Key("bind_port", values.port),
    "proxy_bind_addr": Key("proxy_bind_addr", values.host),
    "vhost_http_port": Key("vhost_http_port", values.port_or_off),
    "vhost_http_timeout": Key("vhost_http_timeout_seconds", values.seconds(1)),
    "vhost_https_port": Key("vhost_https_port", values.port_or_off),
    "vhost_https_redirect": Key("vhost_https_redirect", values.boolean),
    "vhost_https_hsts_max_age": Key(
        "vhost_https_hsts_max_age_seconds", values.seconds(0, MAX_HSTS_SECONDS)
    ),
    "subdomain_host": Key("subdomain_host", values.domain),
    "custom_404_page": Key("custom_404_page"),
    "trusted_proxies": Key("trusted_proxies", values.networks),
    "access_log": Key("access_log"),
    "access_log_format": Key("access_log_format", values.access_log_format),
    "detailed_errors_to_client": Key("detailed_errors_to_client", values.boolean),
    "allow_ports": Key("allow_ports", values.port_ranges),
    "max_ports_per_client": Key("max_ports_per_client", values.count),
    "max_pool_count": Key("max_pool_count", values.count),
    "user_conn_timeout": Key("user_conn_timeout_seconds", values.seconds(1)),
    "tcp_keepalive": Key("tcp_keepalive_seconds", values.keepalive),
    "tls_only": Key("tls.only", values.boolean),
    "dashboard_addr": Key("dashboard.addr", values.host),
    "dashboard_port": Key("dashboard.port", values.port_or_off),
    "dashboard_user": Key("dashboard.user", values.user_name),
    "dashboard_pwd": Key("dashboard.password"),
    "dashboard_tls_mode": Key("dashboard.tls_mode", values.boolean),
    "dashboard_tls_cert_file": Key("dashboard.tls_cert_file"),
    "dashboard_tls_key_file": Key("dashboard.tls_key_file"),
    "enable_prometheus": Key("dashboard.enable_prometheus", values.boolean),
}

_CLIENT: Final = {
    "server_addr": Key("server_addr", values.host),
    "server_port": Key("server_port", values.port),
    "dial_server_timeout": Key("dial_server_timeout_seconds", values.seconds(1)),
    "dial_server_keepalive": Key("dial_server_keepalive_seconds", values.keepalive),
    "connect_server_local_ip": Key("connect_server_local_ip", values.optional_address),
    "user": Key("user", values.name),
    "pool_count": Key("pool_count", values.count),
    "heartbeat_interval": Key("heartbeat_interval_seconds", values.seconds_or_never),
    "login_fail_exit": Key("login_fail_exit", values.boolean),
    "start": Key("start", values.items),
    "tls_enable": Key("tls.enable", values.boolean),
    "tls_server_name": Key("tls.server_name"),
    "disable_custom_tls_first_byte": Key("tls.disable_custom_first_byte", values.boolean),
}

_PROXY: Final = {
    "type": Key("type"),
    "plugin": Key("plugin"),
    "local_ip": Key("local_ip", values.host),
    "local_port": Key("local_port", values.port),
    "use_encryption": Key("use_encryption", values.boolean),
    "use_compression": Key("use_compression", values.boolean),
    "group": Key("group", values.name),
    "group_key": Key("group_key"),
    "health_check_type": Key("health_check.type", values.health_check_type),
    "health_check_timeout_s": Key("health_check.timeout_seconds", values.seconds(1)),
    "health_check_max_failed": Key("health_check.max_failed", values.some),
    "health_check_interval_s": Key("health_check.interval_seconds", values.seconds(1)),
    "health_check_url": Key("health_check.url", values.url_path),
}

_TCP: Final = {
    "remote_port": Key("remote_port", values.port_or_off),
}

_CERTIFICATE: Final = {
    "cert_file": Key("cert_file"),
    "key_file": Key("key_file"),
    "domains": Key("domains", values.certificate_domains),
}

_VHOST: Final = {
    "custom_domains": Key("custom_domains", values.domains),
    "subdomain": Key("subdomain", values.subdomain),
}

_HTTP: Final = {
    "locations": Key("locations", values.locations),
    "http_user": Key("http_user", values.user_name),
    "http_pwd": Key("http_password"),
    "route_by_http_user": Key("route_by_http_user", values.user_name),
    "host_header_rewrite": Key("host_header_rewrite", values.host_header),
}

_METAS: Final = {"meta_": Prefix("metas")}
_HEADERS: Final = {
    "header_": Prefix("headers", values.header_name),
    "response_header_": Prefix("response_headers", values.header_name),
}

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
            {**_PROXY, **_TCP, **_VHOST, **_HTTP, **_HEADERS}, "in the section of a proxy"
        ),
    },
)
CERTIFICATE: Final = Table(
    _CERTIFICATE,
    elsewhere=dict.fromkeys({**_BOTH, **_SERVER}, "in [common]"),
)
PROXIES: Final = {
    "tcp": Table(
        {**_PROXY, **_TCP},
        _METAS,
        notyet.PROXY,
        elsewhere={
            **dict.fromkeys(_VHOST, "to proxies of type http or https"),
            **dict.fromkeys({**_HTTP, **_HEADERS}, "to proxies of type http"),
        },
    ),
    "http": Table(
        {**_PROXY, **_VHOST, **_HTTP},
        {**_METAS, **_HEADERS},
        notyet.PROXY,
        elsewhere=dict.fromkeys(_TCP, "to proxies of type tcp"),
    ),
    "https": Table(
        {**_PROXY, **_VHOST},
        _METAS,
        notyet.PROXY,
        elsewhere={
            **dict.fromkeys(_TCP, "to proxies of type tcp"),
            **dict.fromkeys(
                {**_HTTP, **_HEADERS},
                "to proxies of type http: TLS hides requests from the server",
            ),
        },
    ),
}
