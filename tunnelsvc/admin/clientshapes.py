# -*- test-case-name: tests.admin.test_clientshapes -*-
"""The objects of frp's JSON API of the client (reference 1.10)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from tunnelsvc.addresses import bracketed, host_and_port
from tunnelsvc.client.reloading import Reloaded
from tunnelsvc.client.status import ProxyStatus
from tunnelsvc.config.diff import Changes, N
from tunnelsvc.config.proxies import PluginConfig, ProxyConfig, VisitorConfig

SHOWN_BEFORE_PORT: Final = ("tcp", "udp")
"""Types whose address is a port of the server's."""
HIDDEN: Final = "***"
"""Instead of a secret; the file has it."""

_NAMES: Final[Mapping[str, str]] = {
    "local_ip": "localIP",
    "local_port": "localPort",
    "remote_port": "remotePort",
    "enabled": "enabled",
    "annotations": "annotations",
    "metas": "metadatas",
    "use_encryption": "transport.useEncryption",
    "use_compression": "transport.useCompression",
    "bandwidth_limit": "transport.bandwidthLimit",
    "bandwidth_limit_mode": "transport.bandwidthLimitMode",
    "proxy_protocol_version": "transport.proxyProtocolVersion",
    "group": "loadBalancer.group",
    "group_key": "loadBalancer.groupKey",
    "custom_domains": "customDomains",
    "subdomain": "subdomain",
    "locations": "locations",
    "http_user": "httpUser",
    "http_password": "httpPassword",
    "route_by_http_user": "routeByHTTPUser",
    "host_header_rewrite": "hostHeaderRewrite",
    "headers": "requestHeaders.set",
    "response_headers": "responseHeaders.set",
    "inspect": "inspect",
    "multiplexer": "multiplexer",
    "secret_key": "secretKey",
    "allow_users": "allowUsers",
    "server_name": "serverName",
    "server_user": "serverUser",
    "bind_addr": "bindAddr",
    "bind_port": "bindPort",
}
"""Fields of proxies and visitors to the places that frp's TOML has for them since 0.52."""
_CHECK_NAMES: Final = {
    "type": "healthCheck.type",
    "timeout_seconds": "healthCheck.timeoutSeconds",
    "max_failed": "healthCheck.maxFailed",
    "interval_seconds": "healthCheck.intervalSeconds",
    "url": "healthCheck.path",
}


def statuses(proxies: Iterable[ProxyStatus]) -> dict[str, list[dict[str, str]]]:
    """Shape ``/api/status``: types that there are, to their proxies by name.

    frpc up to 0.50 had all types in it, and reads this as well.
    """
    shape: dict[str, list[dict[str, str]]] = {}
    for each in sorted(proxies, key=lambda status: status.config.name):
        shape.setdefault(each.config.type, []).append(status(each))
    return shape


def status(status: ProxyStatus) -> dict[str, str]:
    """Shape one proxy of ``/api/status``."""
    config = status.config
    return {
        "name": config.name,
        "type": config.type,
        "status": status.phase,
        "err": status.error,
        "local_addr": _local_addr(config),
        "plugin": config.plugin.name if config.plugin is not None else "",
        "remote_addr": _remote_addr(status),
    }


def _local_addr(config: ProxyConfig) -> str:
    if not config.local_port:
        return ""
    return host_and_port(config.local_ip, config.local_port)


def _remote_addr(status: ProxyStatus) -> str:
    """Give the address, as frp since 0.37: none next to an error, whatever the type."""
    if status.error or not status.remote_addr:
        return ""
    if status.config.type not in SHOWN_BEFORE_PORT:
        return status.remote_addr
    return bracketed(status.server_addr) + status.remote_addr


def changes(changes: Changes[N]) -> dict[str, list[str]]:
    """Shape names of what a reload has changed."""
    return {
        "removed": list(changes.removed),
        "added": [each.name for each in changes.added],
        "unchanged": list(changes.unchanged),
    }


def reloaded(done: Reloaded) -> dict[str, Any]:
    """Shape what a reload has come to: ours, frp says nothing of it."""
    return {
        "proxies": changes(done.diff.proxies),
        "visitors": changes(done.diff.visitors),
        "remarks": done.diff.remarks(),
        "warnings": list(done.warnings),
    }


def definition(config: ProxyConfig | VisitorConfig) -> dict[str, Any]:
    """Shape ``/api/proxy/{name}/config`` and ``/api/visitor/{name}/config`` (since 0.68).

    What is as it would be anyway is left out, and secrets are hidden.
    """
    own: dict[str, Any] = {"name": config.name, "type": config.type}
    for name, value in _changed(config).items():
        if name in _NAMES:
            _put(own, _NAMES[name], value)
    check = getattr(config, "health_check", None)
    if check is not None:
        for name, place in _CHECK_NAMES.items():
            _put(own, place, _plain(getattr(check, name)))
    plugin = getattr(config, "plugin", None)
    if plugin is not None:
        own["plugin"] = _plugin(plugin)
    return {"name": config.name, "type": config.type, config.type: own}


def _plugin(plugin: PluginConfig) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": plugin.name}
    for name, value in _changed(plugin).items():
        if name == "headers":
            _put(shape, "requestHeaders.set", value)
        elif name == "local_addr":
            shape["localAddr"] = f"{value[0]}:{value[1]}"
        else:
            first, *others = name.split("_")
            shape[first + "".join(each.capitalize() for each in others)] = value
    return shape


def _changed(config: Any) -> dict[str, Any]:
    """Give the fields that aren't as they are by default, secrets hidden."""
    changed = {}
    for field in attrs.fields(type(config)):
        value = getattr(config, field.name)
        if value != field.default:
            changed[field.name] = _hide(value) if field.repr is not True else _plain(value)
    return changed


def _hide(value: Any) -> Any:
    return dict.fromkeys(value, HIDDEN) if isinstance(value, Mapping) else HIDDEN


def _plain(value: Any) -> Any:
    """Make a value one of JSON's, whole numbers without a point."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return dict(value) if isinstance(value, Mapping) else value


def _put(shape: dict[str, Any], place: str, value: Any) -> None:
    *outer, last = place.split(".")
    for name in outer:
        shape = shape.setdefault(name, {})
    shape[last] = value
