# -*- test-case-name: tests.config.test_names -*-
"""What each key of an INI file is called in TOML, YAML and JSON, and what its value is there.

A new key is one line here, too, besides the one in `tunnelsvc.config.keys`. The names are frp's
(its documentation, and the tags in its ``pkg/config/v1``) wherever frp has such a key.
"""

from collections.abc import Iterator
from typing import Final

from tunnelsvc.config.naming import Array, Kind, Name, Names, flags, lists, numbers, texts

_BOTH: Final = {
    **texts(
        {
            "token": "auth.token",
            "authentication_method": "auth.method",
            "tls_cert_file": "transport.tls.certFile",
            "tls_key_file": "transport.tls.keyFile",
            "tls_trusted_ca_file": "transport.tls.trustedCaFile",
            "log_file": "log.to",
            "log_level": "log.level",
            "assets_dir": "webServer.assetsDir",
        }
    ),
    **numbers(
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
    **flags(
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
        **texts(
            {
                "bind_addr": "bindAddr",
                "proxy_bind_addr": "proxyBindAddr",
                "subdomain_host": "subDomainHost",
                "oidc_issuer": "auth.oidc.issuer",
                "oidc_audience": "auth.oidc.audience",
                "custom_404_page": "custom404Page",
                "access_log": "accessLog.to",
                "access_log_format": "accessLog.format",
                "data_dir": "dataDir",
                "dashboard_addr": "webServer.addr",
                "dashboard_user": "webServer.user",
                "dashboard_pwd": "webServer.password",
                "dashboard_tls_cert_file": "webServer.tls.certFile",
                "dashboard_tls_key_file": "webServer.tls.keyFile",
            }
        ),
        **numbers(
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
        **flags(
            {
                "vhost_https_redirect": "vhostHTTPSRedirect",
                "tcpmux_passthrough": "tcpmuxPassthrough",
                "detailed_errors_to_client": "detailedErrorsToClient",
                "oidc_skip_expiry_check": "auth.oidc.skipExpiryCheck",
                "oidc_skip_issuer_check": "auth.oidc.skipIssuerCheck",
                "tls_only": "transport.tls.force",
                "enable_prometheus": "enablePrometheus",
            }
        ),
        **lists({"trusted_proxies": "trustedProxies"}),
        "allow_ports": Name("allowPorts", Kind.PORTS),
    },
    subtrees={"sshTunnelGateway": "ssh_tunnel_gateway_"},
    ours=frozenset(
        {
            "accessLog.to",
            "accessLog.format",
            "dataDir",
            "trustedProxies",
            "vhostHTTPSRedirect",
            "vhostHTTPSHSTSMaxAge",
        }
    ),
)

CLIENT: Final = Names(
    {
        **_BOTH,
        **texts(
            {
                "protocol": "transport.protocol",
                "wire_protocol": "transport.wireProtocol",
                "http_proxy": "transport.proxyURL",
                "dns_server": "dnsServer",
                "tls_server_name": "transport.tls.serverName",
                "connect_server_local_ip": "transport.connectServerLocalIP",
                "user": "user",
                "client_id": "clientID",
                "nat_hole_stun_server": "natHoleStunServer",
                "oidc_client_id": "auth.oidc.clientID",
                "oidc_client_secret": "auth.oidc.clientSecret",
                "oidc_audience": "auth.oidc.audience",
                "oidc_scope": "auth.oidc.scope",
                "oidc_token_endpoint_url": "auth.oidc.tokenEndpointURL",
                "admin_addr": "webServer.addr",
                "admin_user": "webServer.user",
                "admin_pwd": "webServer.password",
                "admin_tls_cert_file": "webServer.tls.certFile",
                "admin_tls_key_file": "webServer.tls.keyFile",
            }
        ),
        **numbers(
            {
                "server_port": "serverPort",
                "dial_server_timeout": "transport.dialServerTimeout",
                "dial_server_keepalive": "transport.dialServerKeepalive",
                "pool_count": "transport.poolCount",
                "heartbeat_interval": "transport.heartbeatInterval",
                "admin_port": "webServer.port",
            }
        ),
        **flags(
            {
                "login_fail_exit": "loginFailExit",
                "watch_config": "watchConfig",
                "tls_enable": "transport.tls.enable",
                "disable_custom_tls_first_byte": "transport.tls.disableCustomTLSFirstByte",
            }
        ),
        **lists({"start": "start", "includes": "includes"}),
        "server_addr": Name("serverAddr", Kind.TEXT_OR_LIST),
        "meta_": Name("metadatas", Kind.TEXTS),
        "oidc_additional_": Name("auth.oidc.additionalEndpointParams", Kind.TEXTS),
    },
    subtrees={
        "auth.oidc.tokenSource": "oidc_token_source_",
        "auth.oidc.trustedCaFile": "oidc_trusted_ca_file",
        "auth.oidc.insecureSkipVerify": "oidc_insecure_skip_verify",
        "auth.oidc.proxyURL": "oidc_proxy_url",
        "virtualNet": "virtual_net_",
        "featureGates": "feature_gates_",
        "store": "store_",
    },
    ours=frozenset({"watchConfig"}),
)

PROXY: Final = Names(
    {
        **texts(
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
        **numbers(
            {
                "local_port": "localPort",
                "remote_port": "remotePort",
                "health_check_timeout_s": "healthCheck.timeoutSeconds",
                "health_check_max_failed": "healthCheck.maxFailed",
                "health_check_interval_s": "healthCheck.intervalSeconds",
            }
        ),
        **flags(
            {
                "enabled": "enabled",
                "use_encryption": "transport.useEncryption",
                "use_compression": "transport.useCompression",
                "inspect": "inspect",
                "plugin_enable_http2": "plugin.enableHTTP2",
            }
        ),
        **lists(
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
    ours=frozenset({"inspect"}),
)

VISITOR: Final = Names(
    {
        **texts(
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
        **numbers(
            {
                "bind_port": "bindPort",
                "max_retries_an_hour": "maxRetriesAnHour",
                "min_retry_interval": "minRetryInterval",
                "fallback_timeout_ms": "fallbackTimeoutMs",
            }
        ),
        **flags(
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
        **texts({"cert_file": "certFile", "key_file": "keyFile"}),
        **lists({"domains": "domains"}),
    }
)

HOOK: Final = Names(
    {
        **texts({"addr": "addr", "path": "path"}),
        **flags({"tlsVerify": "tlsVerify"}),
        **lists({"ops": "ops"}),
    }
)


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
