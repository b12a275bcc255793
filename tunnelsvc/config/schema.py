# -*- test-case-name: tests.config.test_schema -*-
"""The values that a configuration file is turned into. Frozen; secrets are masked in ``repr``."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from attrs import frozen

from tunnelsvc.addresses import LOOPBACK
from tunnelsvc.config.masked import secret, secrets

if TYPE_CHECKING:
    from tunnelsvc.config.proxies import ProxyConfig, VisitorConfig

Ports = tuple[range, ...]
"""Port numbers allowed, as ranges; empty: all."""


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
class WebhookConfig:
    """``[plugin.NAME]`` of frps.ini: a web service that is asked before things happen."""

    name: str
    addr: str
    """``http://HOST:PORT`` or ``https://HOST:PORT``."""
    path: str = ""
    ops: tuple[str, ...] = ()
    """What it is asked about; see `tunnelsvc.config.values.HOOK_OPS`."""
    tls_verify: bool = False
    """Whether the certificate of an https one must be good."""


@frozen(kw_only=True)
class AdminConfig:
    """The client's own HTTP site."""

    addr: str = LOOPBACK
    port: int = 0
    """0: off."""
    user: str = ""
    password: str = secret()
    tls_cert_file: str = ""
    tls_key_file: str = ""

    @property
    def has_password(self) -> bool:
        """Whether a password is asked for: as in frp, if either key is set."""
        return bool(self.user or self.password)


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
    tcpmux_httpconnect_port: int = 0
    """0: no tcpmux proxies."""
    tcpmux_passthrough: bool = False
    """Let the local service answer CONNECT, too."""
    udp_packet_size: int = 1500
    """Largest datagram (bytes) for clients that are a real frpc; it must be theirs, too."""
    plugins: tuple[WebhookConfig, ...] = ()
    """Asked in this order."""
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
    dashboard: DashboardConfig = DashboardConfig(addr=LOOPBACK)
    data_dir: str = ""
    """Directory for what the dashboard shows to survive a restart; empty: see
    `tunnelsvc.admin.history.place`."""

    @property
    def takes_http(self) -> bool:
        """Whether users of http proxies can come in by a port."""
        return bool(self.vhost_http_port or (self.vhost_https_port and self.certificates))


@frozen(kw_only=True)
class ClientConfig:
    """``[common]`` of frpc.ini and its proxies."""

    path: str = ""
    server_addr: str = "0.0.0.0"  # noqa: S104 - frp's default: this machine
    server_port: int = 7000
    servers: tuple[tuple[str, int], ...] = ()
    """Host and port of each server, in the order in which they are tried; the first is
    `server_addr` and `server_port`. Empty: only that one."""
    protocol: str = "tcp"
    """``tcp``, ``websocket`` or ``wss``."""
    wire_protocol: str = "v1"
    """``v1``, or ``v2`` for servers from 0.69 on (protocol notes 1.9)."""
    proxy_url: str = secret()
    """URL of the proxy through which the server is reached; it may hold a password."""
    dns_server: str = ""
    """Host, or host:port, that is asked for addresses; empty: as the system does it."""
    dial_server_timeout_seconds: float = 10.0
    dial_server_keepalive_seconds: float = 7200.0
    """Less than 0: off."""
    connect_server_local_ip: str = ""
    token: str = secret()
    authenticate_heartbeats: bool = False
    authenticate_new_work_conns: bool = False
    user: str = ""
    client_id: str = ""
    """Names this client for good; empty: each start is a client of its own."""
    metas: Mapping[str, str] = secrets()
    udp_packet_size: int = 1500
    """As `ServerConfig.udp_packet_size`, for a server that is a real frps."""
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
    admin: AdminConfig = AdminConfig()
    includes: tuple[str, ...] = ()
    """Patterns of the names of files with more proxies and visitors."""
    watch_config: bool = False
    """Load the files again whenever they change."""
    proxies: tuple["ProxyConfig", ...] = ()
    visitors: tuple["VisitorConfig", ...] = ()
