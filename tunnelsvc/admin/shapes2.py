# -*- test-case-name: tests.admin.test_serverapi2 -*-
"""The objects of frp's JSON API since 0.69 (reference 1.9)."""

import time
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from tunnelsvc.admin import shapes
from tunnelsvc.admin.view import DashboardView
from tunnelsvc.metrics.clients import ClientStats
from tunnelsvc.metrics.counters import ProxyStats

_CONFIG: Final = (
    "bindPort",
    "vhostHTTPPort",
    "vhostHTTPSPort",
    "tcpmuxHTTPConnectPort",
    "kcpBindPort",
    "quicBindPort",
    "subdomainHost",
    "maxPoolCount",
    "maxPortsPerClient",
    "heartbeatTimeout",
    "allowPortsStr",
    "tlsForce",
)
_STATUS: Final = ("totalTrafficIn", "totalTrafficOut", "curConns", "clientCounts", "proxyTypeCount")
_NOT_IN_SPEC: Final = ("name", "type")
"""Of a proxy's ``conf``: said elsewhere."""


def system_info(server: DashboardView) -> dict[str, Any]:
    """Shape ``/api/v2/system/info``."""
    info = shapes.server_info(server)
    return {
        "version": info["version"],
        "config": {name: info[name] for name in _CONFIG},
        "status": {name: info[name] for name in _STATUS},
    }


def client(client: ClientStats) -> dict[str, Any]:
    """Shape one element of ``/api/v2/clients``."""
    return shapes.client(client)


def proxy(proxy: ProxyStats) -> dict[str, Any]:
    """Shape one element of ``/api/v2/proxies``."""
    today = proxy.last_days()[0]
    status = {
        "phase": "online" if proxy.online else "offline",
        "todayTrafficIn": today.in_bytes,
        "todayTrafficOut": today.out_bytes,
        "curConns": proxy.connections,
        "lastStartAt": int(proxy.started_at),
    }
    if proxy.closed_at is not None:
        status["lastCloseAt"] = int(proxy.closed_at)
    return {
        "name": proxy.name,
        "user": proxy.user,
        "clientID": proxy.client_id,
        "spec": {"type": proxy.type, proxy.type: _spec(proxy.conf) if proxy.online else {}},
        "status": status,
    }


def _spec(conf: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is empty, as frp does, but what every proxy has."""
    always = {"transport": {}, "loadBalancer": {"group": ""}}
    said = {name: value for name, value in conf.items() if value and name not in _NOT_IN_SPEC}
    return always | said


def traffic(proxy: ProxyStats, now: float) -> dict[str, Any]:
    """Shape ``/api/v2/proxies/{name}/traffic``: days of the local calendar, today last."""
    today = date(*time.localtime(now)[:3])
    history = [
        {
            "date": (today - timedelta(days=age)).isoformat(),
            "trafficIn": day.in_bytes,
            "trafficOut": day.out_bytes,
        }
        for age, day in enumerate(proxy.last_days()[: shapes.FRP_DAYS])
    ]
    return {"name": proxy.name, "unit": "bytes", "granularity": "day", "history": history[::-1]}
