# -*- test-case-name: tests.config.test_names -*-
"""What each key of an INI file is called in TOML, YAML and JSON, and what its value is there.

A new key is one line here, too, besides the one in `tunnelsvc.config.keys`. The names are frp's
(its documentation, and the tags in its ``pkg/config/v1``) wherever frp has such a key.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Final

from attrs import field, frozen


class Kind(Enum):
    """What a value is in a document."""

    TEXT = auto()
    NUMBER = auto()
    FLAG = auto()
    LIST = auto()
    """Of texts; with commas between in an INI file."""
    TEXT_OR_LIST = auto()
    """Either, the same in an INI file."""
    TEXTS = auto()
    """A table of texts; in an INI file each is a key of its own, and this is how they begin."""
    PORTS = auto()
    """A list of ``{start, end}`` and ``{single}``; 1-3,5 in an INI file."""
    SCOPE = auto()
    """A flag that is on if its word is in the list of this name."""
    HEADERS = auto()
    """A list of ``{name, value}``; as `TEXTS` in an INI file."""


@frozen
class Name:
    """Where a key's value is in a document.

    Attributes:
        path: with dots, below the top, the proxy or whatever the key belongs to.
        kind: what is there.
        word: of a `Kind.SCOPE`.
    """

    path: str
    kind: Kind = Kind.TEXT
    word: str = ""


@frozen
class Names:
    """The names of one kind of table.

    Attributes:
        by_key: name by the key of an INI file; of a `Kind.TEXTS`, by how such keys begin.
        subtrees: tables that frp has and we don't, by path, to what keys begin with that stand for
            what is in them.
        ours: paths of which frp knows nothing.
    """

    by_key: Mapping[str, Name]
    subtrees: Mapping[str, str] = field(factory=dict)
    ours: frozenset[str] = frozenset()


def _texts(names: Mapping[str, str]) -> dict[str, Name]:
    return {key: Name(path) for key, path in names.items()}


def _numbers(names: Mapping[str, str]) -> dict[str, Name]:
    return {key: Name(path, Kind.NUMBER) for key, path in names.items()}


def _flags(names: Mapping[str, str]) -> dict[str, Name]:
    return {key: Name(path, Kind.FLAG) for key, path in names.items()}


def _lists(names: Mapping[str, str]) -> dict[str, Name]:
    return {key: Name(path, Kind.LIST) for key, path in names.items()}


_BOTH: Final = {
    **_texts(
        {
            "token": "auth.token",
            "authentication_method": "auth.method",
            "tls_cert_file": "transport.tls.certFile",
            "tls_key_file": "transport.tls.keyFile",
            "tls_trusted_ca_file": "transport.tls.trustedCaFile",
            "tls_server_name": "transport.tls.serverName",
            "log_file": "log.to",
            "log_level": "log.level",
            "assets_dir": "webServer.assetsDir",
        }
    ),
    **_numbers(
        {
            "tcp_mux_keepalive_interval": "transport.tcpMuxKeepaliveInterval",
            "heartbeat_timeout": "transport.heartbeatTimeout",
            "udp_packet_size": "udpPacketSize",
            "log_max_days": "log.maxDays",
            "quic_keepalive_period": "transport.quic.keepalivePeriod",
            "quic_max_idle_timeout": "transport.quic.maxIdleTimeout",
            "quic_max_incoming_streams": "transport.quic.maxIncomingStreams",
        }
    ),
    **_flags(
        {
            "tcp_mux": "transport.tcpMux",
            "disable_log_color": "log.disablePrintColor",
            "pprof_enable": "webServer.pprofEnable",
        }
    ),
    "authenticate_heartbeats": Name("auth.additionalScopes", Kind.SCOPE, "HeartBeats"),
    "authenticate_new_work_conns": Name("auth.additionalScopes", Kind.SCOPE, "NewWorkConns"),
}

SERVER: Final = Names(
    {
        **_BOTH,
        **_texts(
            {
                "bind_addr": "bindAddr",
                "proxy_bind_addr": "proxyBindAddr",
                "subdomain_host": "subDomainHost",
                "custom_404_page": "custom404Page",
                "access_log": "accessLog.to",
                "access_log_format": "accessLog.format",
                "dashboard_addr": "webServer.addr",
                "dashboard_user": "webServer.user",
                "dashboard_pwd": "webServer.password",
                "dashboard_tls_cert_file": "webServer.tls.certFile",
                "dashboard_tls_key_file": "webServer.tls.keyFile",
            }
        ),
        **_numbers(
            {
                "bind_port": "bindPort",
                "kcp_bind_port": "kcpBindPort",
                "quic_bind_port": "quicBindPort",
                "vhost_http_port": "vhostHTTPPort",
                "vhost_http_timeout": "vhostHTTPTimeout",
                "vhost_https_port": "vhostHTTPSPort",
                "vhost_https_hsts_max_age": "vhostHTTPSHSTSMaxAge",
                "tcpmux_httpconnect_port": "tcpmuxHTTPConnectPort",
                "max_ports_per_client": "maxPortsPerClient",
                "max_pool_count": "transport.maxPoolCount",
                "user_conn_timeout": "userConnTimeout",
                "tcp_keepalive": "transport.tcpKeepalive",
                "dashboard_port": "webServer.port",
                "nat_hole_analysis_data_reserve_hours": "natholeAnalysisDataReserveHours",
            }
        ),
        **_flags(
            {
                "vhost_https_redirect": "vhostHTTPSRedirect",
                "tcpmux_passthrough": "tcpmuxPassthrough",
                "detailed_errors_to_client": "detailedErrorsToClient",
                "tls_only": "transport.tls.force",
                "enable_prometheus": "enablePrometheus",
            }
        ),
        **_lists({"trusted_proxies": "trustedProxies"}),
        "allow_ports": Name("allowPorts", Kind.PORTS),
    },
    subtrees={"auth.oidc": "oidc_", "sshTunnelGateway": "ssh_tunnel_gateway_"},
    ours=frozenset(
        {
            "accessLog.to",
            "accessLog.format",
            "trustedProxies",
            "vhostHTTPSRedirect",
            "vhostHTTPSHSTSMaxAge",
        }
    ),
)

CLIENT: Final = Names(
    {
        **_BOTH,
        **_texts(
            {
                "protocol": "transport.protocol",
                "wire_protocol": "transport.wireProtocol",
                "http_proxy": "transport.proxyURL",
                "dns_server": "dnsServer",
                "connect_server_local_ip": "transport.connectServerLocalIP",
                "user": "user",
                "client_id": "clientID",
                "nat_hole_stun_server": "natHoleStunServer",
                "admin_addr": "webServer.addr",
                "admin_user": "webServer.user",
                "admin_pwd": "webServer.password",
                "admin_tls_cert_file": "webServer.tls.certFile",
                "admin_tls_key_file": "webServer.tls.keyFile",
            }
        ),
        **_numbers(
            {
                "server_port": "serverPort",
                "dial_server_timeout": "transport.dialServerTimeout",
                "dial_server_keepalive": "transport.dialServerKeepalive",
                "pool_count": "transport.poolCount",
                "heartbeat_interval": "transport.heartbeatInterval",
                "admin_port": "webServer.port",
            }
        ),
        **_flags(
            {
                "login_fail_exit": "loginFailExit",
                "watch_config": "watchConfig",
                "tls_enable": "transport.tls.enable",
                "disable_custom_tls_first_byte": "transport.tls.disableCustomTLSFirstByte",
            }
        ),
        **_lists({"start": "start", "includes": "includes"}),
        "server_addr": Name("serverAddr", Kind.TEXT_OR_LIST),
        "meta_": Name("metadatas", Kind.TEXTS),
    },
    subtrees={
        "auth.oidc": "oidc_",
        "virtualNet": "virtual_net_",
        "featureGates": "feature_gates_",
        "store": "store_",
    },
    ours=frozenset({"watchConfig"}),
)

PROXY: Final = Names(
    {
        **_texts(
            {
                "type": "type",
                "local_ip": "localIP",
                "bandwidth_limit": "transport.bandwidthLimit",
                "bandwidth_limit_mode": "transport.bandwidthLimitMode",
                "proxy_protocol_version": "transport.proxyProtocolVersion",
                "group": "loadBalancer.group",
                "group_key": "loadBalancer.groupKey",
                "health_check_type": "healthCheck.type",
                "health_check_url": "healthCheck.path",
                "subdomain": "subdomain",
                "http_user": "httpUser",
                "http_pwd": "httpPassword",
                "route_by_http_user": "routeByHTTPUser",
                "host_header_rewrite": "hostHeaderRewrite",
                "multiplexer": "multiplexer",
                "sk": "secretKey",
                "plugin": "plugin.type",
                "plugin_local_addr": "plugin.localAddr",
                "plugin_crt_path": "plugin.crtPath",
                "plugin_key_path": "plugin.keyPath",
                "plugin_host_header_rewrite": "plugin.hostHeaderRewrite",
                "plugin_unix_path": "plugin.unixPath",
                "plugin_http_user": "plugin.httpUser",
                "plugin_http_passwd": "plugin.httpPassword",
                "plugin_user": "plugin.username",
                "plugin_passwd": "plugin.password",
                "plugin_local_path": "plugin.localPath",
                "plugin_strip_prefix": "plugin.stripPrefix",
            }
        ),
        **_numbers(
            {
                "local_port": "localPort",
                "remote_port": "remotePort",
                "health_check_timeout_s": "healthCheck.timeoutSeconds",
                "health_check_max_failed": "healthCheck.maxFailed",
                "health_check_interval_s": "healthCheck.intervalSeconds",
            }
        ),
        **_flags(
            {
                "enabled": "enabled",
                "use_encryption": "transport.useEncryption",
                "use_compression": "transport.useCompression",
                "plugin_enable_http2": "plugin.enableHTTP2",
            }
        ),
        **_lists(
            {
                "custom_domains": "customDomains",
                "locations": "locations",
                "allow_users": "allowUsers",
            }
        ),
        "meta_": Name("metadatas", Kind.TEXTS),
        "annotation_": Name("annotations", Kind.TEXTS),
        "header_": Name("requestHeaders.set", Kind.TEXTS),
        "response_header_": Name("responseHeaders.set", Kind.TEXTS),
        "plugin_header_": Name("plugin.requestHeaders.set", Kind.TEXTS),
        "health_check_header_": Name("healthCheck.httpHeaders", Kind.HEADERS),
    },
    subtrees={"natTraversal": "nat_traversal_"},
)

VISITOR: Final = Names(
    {
        **_texts(
            {
                "type": "type",
                "server_name": "serverName",
                "server_user": "serverUser",
                "sk": "secretKey",
                "bind_addr": "bindAddr",
                "protocol": "protocol",
                "fallback_to": "fallbackTo",
            }
        ),
        **_numbers(
            {
                "bind_port": "bindPort",
                "max_retries_an_hour": "maxRetriesAnHour",
                "min_retry_interval": "minRetryInterval",
                "fallback_timeout_ms": "fallbackTimeoutMs",
            }
        ),
        **_flags(
            {
                "enabled": "enabled",
                "use_encryption": "transport.useEncryption",
                "use_compression": "transport.useCompression",
                "keep_tunnel_open": "keepTunnelOpen",
            }
        ),
    },
    subtrees={"natTraversal": "nat_traversal_", "plugin": "plugin_"},
)

CERTIFICATE: Final = Names(
    {
        **_texts({"cert_file": "certFile", "key_file": "keyFile"}),
        **_lists({"domains": "domains"}),
    }
)

HOOK: Final = Names(
    {
        **_texts({"addr": "addr", "path": "path"}),
        **_flags({"tls_verify": "tlsVerify"}),
        **_lists({"ops": "ops"}),
    }
)


@frozen
class Array:
    """What a file has any number of, as ``[[name]]``.

    Attributes:
        name: of the array.
        section: how the names of such sections begin in an INI file.
        names: of what is in one.
        implied: keys that an INI file has in such a section besides.
    """

    name: str
    section: str
    names: Names
    implied: Mapping[str, str] = field(factory=dict)


SERVER_ARRAYS: Final = (
    Array("certificates", "certificate.", CERTIFICATE),
    Array("httpPlugins", "plugin.", HOOK),
)
CLIENT_ARRAYS: Final = (
    Array("proxies", "", PROXY),
    Array("visitors", "", VISITOR, {"role": "visitor"}),
)

IMPLIED: Final = {
    "dashboard_tls_mode": "`webServer.tls` is there",
    "role": "`[[proxies]]` or `[[visitors]]`",
    "tlsVerify": "`tlsVerify`",
}
"""Keys of INI files that have no name of their own, and what says the same."""

_NO_KEYS: Final = frozenset({"http_proxy"})
"""A plugin's name, too; messages that have it mean the plugin."""


def _words() -> Iterator[tuple[str, str]]:
    for names in SERVER, CLIENT, PROXY, VISITOR, CERTIFICATE, HOOK:
        for key, name in names.by_key.items():
            if "_" in key and not key.endswith("_") and key not in _NO_KEYS:
                yield key, name.path
    yield "in a section such as [certificate.example]", "in [[certificates]]"
    yield "in the section of a proxy", "in [[proxies]]"
    yield "visitors (role = visitor)", "[[visitors]]"
    yield "in [common]", "at the top, outside of all tables"
    yield "a comment needs a line of its own", "a comment begins after the quotes"
    yield "plugin = NAME", "plugin.type"
    yield "what follows header_ is", "this is"


WORDS: Final = dict(_words())
"""Keys and phrases of messages about INI files, and what a document has for them."""
