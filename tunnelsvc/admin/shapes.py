# -*- test-case-name: tests.admin.test_shapes -*-
"""The objects of frp's JSON API (reference 1.9).

frp renamed all fields in 0.52, from ``cur_conns`` to ``curConns``. An object here has both names,
so that scripts and tests written for either work.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from tunnelsvc import __version__
from tunnelsvc.admin.view import DashboardView
from tunnelsvc.config.schema import Ports, ServerConfig
from tunnelsvc.metrics.clients import ClientStats
from tunnelsvc.metrics.counters import ProxyStats

OLD_NAMES: Final = {
    "bindPort": "bind_port",
    "vhostHTTPPort": "vhost_http_port",
    "vhostHTTPSPort": "vhost_https_port",
    "kcpBindPort": "kcp_bind_port",
    "subdomainHost": "subdomain_host",
    "maxPoolCount": "max_pool_count",
    "maxPortsPerClient": "max_ports_per_client",
    "heartbeatTimeout": "heart_beat_timeout",
    "totalTrafficIn": "total_traffic_in",
    "totalTrafficOut": "total_traffic_out",
    "curConns": "cur_conns",
    "clientCounts": "client_counts",
    "proxyTypeCount": "proxy_type_count",
    "todayTrafficIn": "today_traffic_in",
    "todayTrafficOut": "today_traffic_out",
    "lastStartTime": "last_start_time",
    "lastCloseTime": "last_close_time",
    "trafficIn": "traffic_in",
    "trafficOut": "traffic_out",
}
"""Field names since 0.52 to those before."""
OLD_CONF_NAMES: Final = {
    "name": "proxy_name",
    "type": "proxy_type",
    "remotePort": "remote_port",
    "customDomains": "custom_domains",
    "subdomain": "sub_domain",
    "hostHeaderRewrite": "host_header_rewrite",
    "routeByHTTPUser": "route_by_http_user",
    "metadatas": "metas",
}
"""The same for a proxy's ``conf``."""
OLD_TRANSPORT_NAMES: Final = {
    "useEncryption": "use_encryption",
    "useCompression": "use_compression",
    "bandwidthLimit": "bandwidth_limit",
}
"""The same for what was moved into ``conf.transport``."""
FRP_DAYS: Final = 7
"""Days that frp's traffic APIs answer, of those that we remember (reference 1.9)."""
TIME_FORMAT: Final = "%m-%d %H:%M:%S"
"""Local time without a year."""
NO_MUX_HEARTBEAT_TIMEOUT_SECONDS: Final = 90
"""What frp says for an unset timeout without tcp_mux; with it, -1: never."""


def server_info(server: DashboardView) -> dict[str, Any]:
    """Shape ``/api/serverinfo``."""
    config, stats, ports = server.config, server.stats, server.ports
    today = stats.last_days()[0]
    return _both(
        {
            "version": __version__,
            "bindPort": ports.get("bind", config.bind_port),
            "vhostHTTPPort": ports.get("vhost_http", config.vhost_http_port),
            "vhostHTTPSPort": ports.get("vhost_https", config.vhost_https_port),
            "tcpmuxHTTPConnectPort": ports.get(
                "tcpmux_httpconnect", config.tcpmux_httpconnect_port
            ),
            "kcpBindPort": 0,
            "quicBindPort": 0,
            "bind_udp_port": 0,
            "subdomainHost": config.subdomain_host,
            "maxPoolCount": config.max_pool_count,
            "maxPortsPerClient": config.max_ports_per_client,
            "heartbeatTimeout": _heartbeat_timeout(config),
            "allowPortsStr": _ports_text(config.allow_ports),
            "tlsForce": config.tls.only,
            "totalTrafficIn": today.in_bytes,
            "totalTrafficOut": today.out_bytes,
            "curConns": stats.connections,
            "clientCounts": stats.online_clients,
            "proxyTypeCount": stats.proxies_by_type(),
            "startedAt": int(server.started_at),
            "now": int(stats.now()),
        }
    )


def proxy(proxy: ProxyStats) -> dict[str, Any]:
    """Shape one element of ``/api/proxy/{type}``."""
    today = proxy.last_days()[0]
    return _both(
        {
            "name": proxy.name,
            "type": proxy.type,
            "conf": _conf(proxy.conf) if proxy.online else None,
            "user": proxy.user,
            "clientID": proxy.client_id,
            "todayTrafficIn": today.in_bytes,
            "todayTrafficOut": today.out_bytes,
            "curConns": proxy.connections,
            "lastStartTime": _moment(proxy.started_at),
            "lastCloseTime": _moment(proxy.closed_at),
            "status": "online" if proxy.online else "offline",
        }
    )


def traffic(proxy: ProxyStats) -> dict[str, Any]:
    """Shape ``/api/traffic/{name}``."""
    days = proxy.last_days()[:FRP_DAYS]
    return _both(
        {
            "name": proxy.name,
            "trafficIn": [day.in_bytes for day in days],
            "trafficOut": [day.out_bytes for day in days],
        }
    )


def client(client: ClientStats) -> dict[str, Any]:
    """Shape one element of ``/api/clients``; frp has it only since 0.67, so only new names."""
    fields = {
        "key": client.key,
        "user": client.user,
        "clientID": client.shown_id,
        "runID": client.run_id,
        "version": client.version,
        "wireProtocol": client.wire_protocol,
        "hostname": client.hostname,
        "os": client.os,
        "arch": client.arch,
        "clientIP": client.address,
        "firstConnectedAt": int(client.first_connected_at),
        "lastConnectedAt": int(client.last_connected_at),
        "online": client.online,
    }
    if client.disconnected_at is not None:
        fields["disconnectedAt"] = int(client.disconnected_at)
    return fields


def _both(fields: Mapping[str, Any], old_names: Mapping[str, str] = OLD_NAMES) -> dict[str, Any]:
    """Give each field its old name besides the new one."""
    return dict(fields) | {
        old_names[name]: value for name, value in fields.items() if name in old_names
    }


def _conf(conf: Mapping[str, Any]) -> dict[str, Any]:
    transport = conf.get("transport", {})
    moved = {old: transport[new] for new, old in OLD_TRANSPORT_NAMES.items() if new in transport}
    group = conf.get("loadBalancer", {"group": ""})
    return _both(conf, OLD_CONF_NAMES) | moved | {"loadBalancer": group, "group": group["group"]}


def _heartbeat_timeout(config: ServerConfig) -> int:
    if config.heartbeat_timeout_seconds is not None:
        return int(config.heartbeat_timeout_seconds)
    return -1 if config.tcp_mux else NO_MUX_HEARTBEAT_TIMEOUT_SECONDS


def _ports_text(ports: Ports) -> str:
    """Write ports as the configuration file has them: ``2000-3000,3001``."""
    return ",".join(
        str(each.start) if len(each) == 1 else f"{each.start}-{each.stop - 1}" for each in ports
    )


def _moment(seconds: float | None) -> str:
    """Write a time of Unix seconds as frp does; empty for none."""
    return "" if seconds is None else time.strftime(TIME_FORMAT, time.localtime(seconds))
