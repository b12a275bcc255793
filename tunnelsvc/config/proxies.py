# -*- test-case-name: tests.config.test_schema -*-
"""Proxies and visitors as values. Frozen; secrets are masked in ``repr``."""

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from tunnelsvc.addresses import LOOPBACK
from tunnelsvc.config.masked import NO_TEXTS, secret, secrets


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
    headers: Mapping[str, str] = secrets()
    """Headers of a check of type http."""


@frozen(kw_only=True)
class PluginConfig:
    """What every plugin has; see `tunnelsvc.config.plugins`."""

    name: ClassVar[str]
    """As ``plugin`` has it."""
    types: ClassVar[tuple[str, ...]]
    """Types of proxies whose users it can serve."""
    passes_on: ClassVar[bool] = False
    """Whether each user has a connection to the local service, which can be told whose it is."""


@frozen(kw_only=True)
class ProxyConfig:
    """What every proxy has. `name` is as in the file, without the user."""

    name: str
    type: str
    local_ip: str = LOOPBACK
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
    bandwidth_limit: str = ""
    """Bytes a second that its users share, as ``1MB`` or ``512KB`` (of 1024); empty: no limit."""
    bandwidth_limit_mode: str = "client"
    """Who keeps to it: ``client`` or ``server``."""
    proxy_protocol_version: str = ""
    """How the local service is told who the user is: ``v1``, ``v2``, or not at all."""
    metas: Mapping[str, str] = secrets()
    annotations: Mapping[str, str] = NO_TEXTS
    """Texts for the dashboard's API."""
    enabled: bool = True
    """Whether it is started."""
    inspect: bool = False
    """Whether the client keeps its latest requests, to be looked at; of type http only."""


@frozen(kw_only=True)
class TCPProxyConfig(ProxyConfig):
    """``type = tcp``."""

    type: str = "tcp"
    remote_port: int = 0
    """0: the server chooses."""


@frozen(kw_only=True)
class UDPProxyConfig(ProxyConfig):
    """``type = udp``."""

    type: str = "udp"
    remote_port: int = 0
    """0: the server chooses."""


@frozen(kw_only=True)
class SecretProxyConfig(ProxyConfig):
    """What only visitors reach: other clients that know its secret (protocol notes 6.6)."""

    type: str = "stcp"
    secret_key: str = secret()
    allow_users: tuple[str, ...] = ()
    """Whose visitors may come; ``*``: anybody's; empty: those of our own user."""


@frozen(kw_only=True)
class STCPProxyConfig(SecretProxyConfig):
    """``type = stcp``."""


@frozen(kw_only=True)
class SUDPProxyConfig(SecretProxyConfig):
    """``type = sudp``."""

    type: str = "sudp"


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
class TCPMuxProxyConfig(VhostProxyConfig):
    """``type = tcpmux``: reached by CONNECT and its name (protocol notes 6.4)."""

    type: str = "tcpmux"
    multiplexer: str = "httpconnect"
    http_user: str = ""
    http_password: str = secret()
    route_by_http_user: str = ""
    """As `HTTPProxyConfig.route_by_http_user`."""


@frozen(kw_only=True)
class VisitorConfig:
    """The other end of a `SecretProxyConfig`: users here reach what is there."""

    name: str
    type: str
    """``stcp`` or ``sudp``."""
    server_name: str
    """Name of the proxy, without the user."""
    server_user: str = ""
    """Whose proxy it is; empty: our own user's."""
    secret_key: str = secret()
    use_encryption: bool = False
    use_compression: bool = False
    bind_addr: str = LOOPBACK
    bind_port: int
    """Where users come in; less than 0: nowhere."""
    enabled: bool = True
