# -*- test-case-name: tests.admin.test_ownshapes -*-
"""The objects of our own API, ``/api/admin/`` (docs/dashboard-api.md).

Times are Unix seconds, sizes bytes, rates bytes a second. Rows of a table all have the same fields.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from tunnelsvc import __version__
from tunnelsvc.addresses import bracketed
from tunnelsvc.admin.topics import Row
from tunnelsvc.admin.view import Block, DashboardView
from tunnelsvc.metrics.clients import ClientStats
from tunnelsvc.metrics.counters import ProxyStats, ServerStats
from tunnelsvc.metrics.curve import SAMPLE_SECONDS, Rate
from tunnelsvc.metrics.events import Event
from tunnelsvc.metrics.traffic import Traffic

MOST_CONNECTIONS: Final = 2_000
"""Rows; of more, those that were seen last."""
MOST_URLS: Final = 20
"""Of a proxy: enough to show."""
_SHARED: Final = ("vhost_http", "vhost_https", "tcpmux_httpconnect")
"""What may have the bind port for its own."""
_FIRST_PORT: Final = 6000
"""That of most examples."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def overview(server: DashboardView, process: Row, *, history: bool) -> Row:
    """Shape ``overview``, but for the curve."""
    config, stats = server.config, server.stats
    known = stats.proxies()
    kinds: dict[str, dict[str, int]] = {}
    for proxy in known:
        counts = kinds.setdefault(proxy.type, {"online": 0, "known": 0})
        counts["known"] += 1
        counts["online"] += proxy.online
    return {
        "version": __version__,
        "started_at": round(server.started_at, 3),
        "now": round(stats.now(), 3),
        "ports": ports(server),
        "subdomain_host": config.subdomain_host,
        "clients": {"online": stats.online_clients, "known": len(stats.clients())},
        "proxies": kinds,
        "connections": stats.connections,
        "rate": _in_out(stats.curves.rate()),
        "curve_seconds": SAMPLE_SECONDS,
        "today": _traffic(stats.traffic_today()),
        "total": _traffic(stats.total()),
        "process": process,
        "history": history,
    }


def ports(server: DashboardView) -> dict[str, int]:
    """Tell what is listened on, under each name that it has."""
    bind, config = server.config.bind_port, server.config
    shared = {name for name in _SHARED if getattr(config, f"{name}_port") == bind != 0}
    return {**server.ports, **{name: server.ports.get("bind", bind) for name in shared}}


def port_to_suggest(server: DashboardView) -> int:
    """Tell a port that a client may have for its first TCP proxy; 0 lets the server choose."""
    taken = {proxy.remote_addr for proxy in server.stats.proxies()}
    ranges = server.config.allow_ports or (range(_FIRST_PORT, _FIRST_PORT + 1000),)
    if any(_FIRST_PORT in ports for ports in ranges):
        ranges = (range(_FIRST_PORT, _FIRST_PORT + 1), *ranges)
    return next((port for each in ranges for port in each if f":{port}" not in taken), 0)


def curve(points: Iterable[Rate]) -> Row:
    """Shape a curve, the oldest point first."""
    return {"curve": [point_of(each) for each in points], "curve_seconds": SAMPLE_SECONDS}


def point_of(rate: Rate) -> list[int]:
    """Shape one point of a curve."""
    return [round(each) for each in rate]


def days(traffic: list[Traffic], now: float, most: int) -> Row:
    """Shape traffic by day of the local calendar, which is given with today first."""
    today = date(*time.localtime(now)[:3])
    shaped = [
        {"date": (today - timedelta(days=age)).isoformat(), **_traffic(each)}
        for age, each in enumerate(traffic[:most])
    ]
    return {"days": shaped[::-1]}


def clients(server: DashboardView) -> dict[str, Row]:
    """Shape all clients, by their keys."""
    stats, blocks = server.stats, server.moderation.blocks
    serves: dict[str, list[str]] = {}
    for proxy in stats.proxies():
        if proxy.online:
            serves.setdefault(proxy.run_id, []).append(proxy.name)
    return {
        each.key: _client(
            each,
            server.round_trip_seconds(each.run_id) if each.online else None,
            serves.get(each.run_id, []) if each.online else [],
            blocked=_is_blocked(each, blocks),
        )
        for each in stats.clients()
    }


def _client(
    client: ClientStats, rtt_seconds: float | None, proxies: list[str], *, blocked: bool
) -> Row:
    return {
        "key": client.key,
        "user": client.user,
        "client_id": client.client_id,
        "run_id": client.run_id,
        "address": client.address,
        "hostname": client.hostname,
        "version": client.version,
        "os": client.os,
        "arch": client.arch,
        "protocol": client.wire_protocol,
        "online": client.online,
        "since": round(client.last_connected_at, 3),
        "last_seen": _moment(client.disconnected_at),
        "rtt_ms": round(rtt_seconds * 1000, 1) if rtt_seconds is not None else None,
        "proxies": proxies,
        "blocked": blocked,
    }


def _is_blocked(client: ClientStats, blocks: Sequence[Block]) -> bool:
    return any(
        block.bars(
            user=client.user,
            client_id=client.client_id,
            hostname=client.hostname,
            address=client.address,
        )
        for block in blocks
    )


def block(block: Block) -> Row:
    """Shape one element of ``blocks``."""
    return {
        "id": block.id,
        "user": block.user,
        "client_id": block.client_id,
        "hostname": block.hostname,
        "address": block.address,
        "since": round(block.since, 3),
    }


def proxies(server: DashboardView) -> dict[str, Row]:
    """Shape all proxies, by their names."""
    stats = server.stats
    keys = {client.run_id: client.key for client in stats.clients()}
    listening = ports(server)
    return {
        each.name: {
            **_proxy(each, keys.get(each.run_id, "")),
            "urls": urls(each, server, listening) if each.type in _DEFAULT_PORTS else [],
            "rate": _in_out(stats.curves.rate_of(each.name)),
        }
        for each in stats.proxies()
    }


def _proxy(proxy: ProxyStats, client: str) -> Row:
    return {
        "name": proxy.name,
        "type": proxy.type,
        "client": client,
        "user": proxy.user,
        "online": proxy.online,
        "disabled": proxy.disabled,
        "remote_addr": proxy.remote_addr,
        "connections": proxy.connections,
        "today": _traffic(proxy.traffic_today()),
        "total": _traffic(proxy.total()),
        "started_at": round(proxy.started_at, 3),
        "closed_at": _moment(proxy.closed_at),
        "closed_reason": proxy.closed_reason,
    }


def urls(proxy: ProxyStats, server: DashboardView, listening: Mapping[str, int]) -> list[str]:
    """List where users find a web site; names with a wildcard are no such place.

    Args:
        proxy: of the site.
        server: may have a certificate for it: then it is given by https, as its client is told.
        listening: what `ports` tells.
    """
    conf = proxy.conf
    names = list(conf.get("customDomains") or ())
    if conf.get("subdomain"):
        names.append(f"{conf['subdomain']}.{server.config.subdomain_host}")
    paths = [path for path in conf.get("locations") or () if path.startswith("/")] or ["/"]
    return [
        f"{place}{path}"
        for name in names
        if "*" not in name
        for place in _place(name, "https" if server.ends_tls(name) else proxy.type, listening)
        for path in paths
    ][:MOST_URLS]


def _place(name: str, scheme: str, listening: Mapping[str, int]) -> list[str]:
    """Write where a name is found; nothing: nowhere."""
    port = listening.get(f"vhost_{scheme}", 0)
    suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return [f"{scheme}://{bracketed(name)}{suffix}"] if port else []


def connections(stats: ServerStats) -> tuple[dict[int, Row], int]:
    """Shape the connections of users, by their ids, and tell how many there are besides."""
    live = stats.live_connections()
    more = max(0, len(live) - MOST_CONNECTIONS)
    if more:
        live = sorted(live, key=lambda each: each.id)[more:]
    rows = {
        each.id: {
            "id": each.id,
            "proxy": each.proxy,
            "type": each.type,
            "user": each.user,
            "since": round(each.started_at, 3),
            "in": each.in_bytes,
            "out": each.out_bytes,
        }
        for each in live
    }
    return rows, more


def event(event: Event) -> Row:
    """Shape one element of ``events``."""
    return {
        "id": event.id,
        "at": round(event.at, 3),
        "kind": event.kind,
        "group": event.group,
        "client": event.client,
        "proxy": event.proxy,
        "address": event.address,
        "detail": event.detail,
    }


def _traffic(traffic: Traffic) -> dict[str, int]:
    return {"in": traffic.in_bytes, "out": traffic.out_bytes}


def _in_out(rate: Rate) -> dict[str, int]:
    return dict(zip(("in", "out"), point_of(rate), strict=True))


def _moment(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
