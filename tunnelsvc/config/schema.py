# -*- test-case-name: tests.config.test_schema -*-
"""The values that a configuration file is turned into. Frozen; secrets are masked in ``repr``."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, ClassVar, Final

from attrs import field, frozen

Ports = tuple[range, ...]
"""Port numbers allowed, as ranges; empty: all."""


def _mask(value: object) -> str:
    return "'***'" if value else "''"


def secret(**options: Any) -> Any:
    """Declare a field whose value never appears in ``repr``."""
    return field(default="", repr=_mask, **options)


def _mask_values(mapping: Mapping[str, str]) -> str:
    return repr(dict.fromkeys(mapping, "***"))


def secrets() -> Any:
    """Declare a mapping whose values never appear in ``repr``: passwords may be among them."""
    return field(default=NO_HEADERS, repr=_mask_values)


NO_HEADERS: Final[Mapping[str, str]] = {}


@frozen(kw_only=True)
class LogConfig:
    """Where the log goes and what is in it."""

    file: str = "console"
    """``console`` (standard output) or a path, rotated daily."""
    level: str = "info"
    """One of trace, debug, info, warn, error."""
    max_days: int = 3
    """Days that rotated files are kept; 0: for ever."""
    disable_color: bool = False


@frozen(kw_only=True)
class TLSConfig:
    """TLS between client and server; file names are empty when unset."""

    enable: bool = True
    """Client: use TLS. Without meaning on the server, which recognises it."""
    only: bool = False
    """Server: refuse clients without TLS (implied by `trusted_ca_file`)."""
    cert_file: str = ""
    key_file: str = ""
    trusted_ca_file: str = ""
    server_name: str = ""
    """Client: the name the server's certificate must have; empty: the server's address."""
    disable_custom_first_byte: bool = False
    """Client: don't send frp's 0x17 before the ClientHello. We send it by default, as every
    server from 0.25 on understands it (protocol notes 1.3)."""


@frozen(kw_only=True)
class DashboardConfig:
    """The HTTP site that shows what the server does."""

    addr: str
    port: int = 0
    """0: off."""
    user: str = "admin"
    password: str = secret()
    credentials_configured: bool = False
    """Whether the file set user or password. Without, admin/admin on loopback only."""
    tls_cert_file: str = ""
    tls_key_file: str = ""
    enable_prometheus: bool = False


@frozen(kw_only=True)
class CertificateConfig:
    """``[certificate.NAME]`` of frps.ini: for web sites, on ``vhost_https_port``."""

    name: str
    """Without what all such sections begin with."""
    cert_file: str
    key_file: str
    domains: tuple[str, ...] = ()
    """Names, and wildcards such as ``*.example.com``; empty: those in the certificate."""


@frozen(kw_only=True)
class ServerConfig:
    """``[common]`` of frps.ini."""

    path: str = ""
    bind_addr: str = "0.0.0.0"  # noqa: S104 - frp's default; a tunnel server is public
    bind_port: int = 7000
    proxy_bind_addr: str = "0.0.0.0"  # noqa: S104
    vhost_http_port: int = 0
    """0: no http proxies."""
    vhost_http_timeout_seconds: float = 60.0
    vhost_https_port: int = 0
    """0: no https proxies, and no TLS for http proxies."""
    vhost_https_redirect: bool = False
    """Send users of http, where there is a certificate, to https."""
    vhost_https_hsts_max_age_seconds: float = 0.0
    """How long browsers shall ask by https only (RFC 6797); 0: don't tell them."""
    certificates: tuple[CertificateConfig, ...] = ()
    subdomain_host: str = ""
    custom_404_page: str = ""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Proxies before the server, whose X-Forwarded headers are believed."""
    access_log: str = ""
    """Path of the file for a line a request; empty: none."""
    access_log_format: str = "combined"
    """``combined`` or ``json``."""
    token: str = secret()
    authenticate_heartbeats: bool = False
    authenticate_new_work_conns: bool = False
    detailed_errors_to_client: bool = True
    allow_ports: Ports = ()
    max_ports_per_client: int = 0
    """0: no limit."""
    max_pool_count: int = 5
    user_conn_timeout_seconds: float = 10.0
    heartbeat_timeout_seconds: float | None = None
    """None: 90 s for clients without tcp_mux, none for those with it; 0 or less: never."""
    tcp_mux: bool = True
    """Kept for the file's sake: the server takes clients of both kinds at once."""
    tcp_mux_chosen: bool = False
    """Whether the file set `tcp_mux`; then nothing goes beside the multiplexed connection."""
    tcp_mux_keepalive_interval_seconds: float = 30.0
    tcp_keepalive_seconds: float = 7200.0
    """Less than 0: off."""
    tls: TLSConfig = TLSConfig()
    log: LogConfig = LogConfig()
    dashboard: DashboardConfig = DashboardConfig(addr="127.0.0.1")

    @property
    def takes_http(self) -> bool:
        """Whether users of http proxies can come in by a port."""
        return bool(self.vhost_http_port or (self.vhost_https_port and self.certificates))


@frozen(kw_only=True)
class HealthCheckConfig:
    """How a client finds out whether a local service can take users."""

    type: str
    """``tcp``: it accepts a connection. ``http``: it answers with a status of 2xx."""
    timeout_seconds: float = 3.0
    """How long one check may take."""
    max_failed: int = 1
    """Failures in a row after which it can't."""
    interval_seconds: float = 10.0
    """From the end of one check to the next."""
    url: str = ""
    """Path and query that a check of type http asks for."""


@frozen(kw_only=True)
class PluginConfig:
    """What every plugin has; see `tunnelsvc.config.plugins`."""

    name: ClassVar[str]
    """As ``plugin`` has it."""
    types: ClassVar[tuple[str, ...]]
    """Types of proxies whose users it can serve."""


@frozen(kw_only=True)
class ProxyConfig:
    """What every proxy has. `name` is as in the file, without the user."""

    name: str
    type: str
    local_ip: str = "127.0.0.1"
    local_port: int = 0
    """0: there is a plugin."""
    plugin: PluginConfig | None = None
    """Serves the users, instead of what listens on `local_port`."""
    use_encryption: bool = False
    use_compression: bool = False
    group: str = ""
    """Proxies of one group share a port or a host; empty: this one is alone."""
    group_key: str = secret()
    health_check: HealthCheckConfig | None = None
    metas: Mapping[str, str] = secrets()


@frozen(kw_only=True)
class TCPProxyConfig(ProxyConfig):
    """``type = tcp``."""

    type: str = "tcp"
    remote_port: int = 0
    """0: the server chooses."""


@frozen(kw_only=True)
class VhostProxyConfig(ProxyConfig):
    """What is reached by its name, on a port that it shares with others."""

    type: str = "http"
    custom_domains: tuple[str, ...] = ()
    subdomain: str = ""


@frozen(kw_only=True)
class HTTPSProxyConfig(VhostProxyConfig):
    """``type = https``: TLS ends at the local service."""


@frozen(kw_only=True)
class HTTPProxyConfig(VhostProxyConfig):
    """``type = http``."""

    locations: tuple[str, ...] = ()
    http_user: str = ""
    http_password: str = secret()
    route_by_http_user: str = ""
    """Only requests of this user of HTTP's Basic scheme; empty: all."""
    host_header_rewrite: str = ""
    headers: Mapping[str, str] = secrets()
    response_headers: Mapping[str, str] = secrets()


@frozen(kw_only=True)
class ClientConfig:
    """``[common]`` of frpc.ini and its proxies."""

    path: str = ""
    server_addr: str = "0.0.0.0"  # noqa: S104 - frp's default: this machine
    server_port: int = 7000
    dial_server_timeout_seconds: float = 10.0
    dial_server_keepalive_seconds: float = 7200.0
    """Less than 0: off."""
    connect_server_local_ip: str = ""
    token: str = secret()
    authenticate_heartbeats: bool = False
    authenticate_new_work_conns: bool = False
    user: str = ""
    metas: Mapping[str, str] = secrets()
    pool_count: int = 1
    tcp_mux: bool = True
    tcp_mux_chosen: bool = False
    """As `ServerConfig.tcp_mux_chosen`."""
    tcp_mux_keepalive_interval_seconds: float = 30.0
    heartbeat_interval_seconds: float = 30.0
    """0 or less: never."""
    heartbeat_timeout_seconds: float = 90.0
    """0 or less: never."""
    login_fail_exit: bool = True
    start: tuple[str, ...] = ()
    """Names of the proxies to start; empty: all."""
    tls: TLSConfig = TLSConfig()
    log: LogConfig = LogConfig()
    proxies: tuple[ProxyConfig, ...] = ()
