# -*- test-case-name: tests.admin.test_clientstatus -*-
"""How a client is: what ``GET /api/admin/status`` answers."""

from typing import Any, Final

from tunnelsvc import __version__
from tunnelsvc.addresses import bracketed, host_and_port
from tunnelsvc.admin import clienthints
from tunnelsvc.admin.clienthints import Hint
from tunnelsvc.admin.clientview import ClientView
from tunnelsvc.client.status import CHECK_FAILED, ProxyStatus, VisitorStatus
from tunnelsvc.config.proxies import ProxyConfig, VisitorConfig

Shape = dict[str, Any]

_SCHEMES: Final = {"http": ("http", ":80"), "https": ("https", ":443")}
"""Types whose address is a URL: its scheme, and what needn't be said of it."""
_BY_PORT: Final = ("tcp", "udp")


def status(client: ClientView) -> Shape:
    """Say how all of it is."""
    link = client.link_status()
    visitors = {each.config.name: each for each in client.visitor_statuses()}
    return {
        "version": __version__,
        "server": link.server,
        "connected": link.since is not None,
        "since": link.since,
        "run_id": link.run_id,
        "error": link.error,
        **_hint(clienthints.of_login(link.error)),
        "proxies": [_proxy(each) for each in client.proxy_statuses()],
        "visitors": [
            _visitor(config, visitors.get(config.name))
            for config in client.config.visitors
            if config.enabled
        ],
        "config": {"path": client.path, "editable": client.editable},
    }


def _hint(hint: Hint) -> Shape:
    return {"hint": hint.text, "hint_key": hint.key}


def _proxy(status: ProxyStatus) -> Shape:
    error = status.error or status.check_error or status.dial_error
    check_failed = bool(status.check_error) or status.phase == CHECK_FAILED
    return {
        "name": status.config.name,
        "type": status.config.type,
        "phase": status.phase,
        "error": error,
        **_hint(clienthints.of_proxy(error, check_failed=check_failed and not status.error)),
        "public": public_address(status),
        "local": _local(status.config),
        "inspect": status.config.inspect,
    }


def public_address(status: ProxyStatus) -> str:
    """Say where users reach a proxy, the first place of several; empty: nowhere, or by visitors."""
    if status.https_addr and not status.error:
        return f"https://{status.https_addr.partition(',')[0]}/"
    where = status.remote_addr.partition(",")[0]
    if status.error or not where:
        return ""
    if status.config.type in _BY_PORT:
        return bracketed(status.server_addr) + where
    if status.config.type not in _SCHEMES:
        return where
    scheme, usual = _SCHEMES[status.config.type]
    return f"{scheme}://{where.removesuffix(usual)}/"


def _local(config: ProxyConfig) -> str:
    if config.plugin is not None:
        return f"plugin {config.plugin.name}"
    return host_and_port(config.local_ip, config.local_port)


def _visitor(config: VisitorConfig, status: VisitorStatus | None) -> Shape:
    error = status.error if status is not None else ""
    port = config.bind_port if status is None or status.port is None else status.port
    return {
        "name": config.name,
        "type": config.type,
        "bind": host_and_port(config.bind_addr, port) if port >= 0 else "",
        "error": error,
        **_hint(clienthints.of_proxy(error)),
    }
