# -*- test-case-name: tests.config.test_load -*-
"""Sections of a client's file: proxies and visitors."""

from collections.abc import Collection, Mapping
from typing import Final

from tunnelsvc.config import keys, notyet, validate, values
from tunnelsvc.config.proxies import (
    HealthCheckConfig,
    HTTPProxyConfig,
    HTTPSProxyConfig,
    ProxyConfig,
    STCPProxyConfig,
    SUDPProxyConfig,
    TCPMuxProxyConfig,
    TCPProxyConfig,
    UDPProxyConfig,
    VisitorConfig,
)
from tunnelsvc.config.report import Report, Section

_PROXY_CLASSES: Final[Mapping[str, type[ProxyConfig]]] = {
    "tcp": TCPProxyConfig,
    "http": HTTPProxyConfig,
    "https": HTTPSProxyConfig,
    "tcpmux": TCPMuxProxyConfig,
    "udp": UDPProxyConfig,
    "stcp": STCPProxyConfig,
    "sudp": SUDPProxyConfig,
}


def proxies_and_visitors(
    sections: list[Section], report: Report
) -> tuple[tuple[ProxyConfig, ...], tuple[VisitorConfig, ...]]:
    """Make values of sections; those that are to be started.

    Args:
        sections: of the file, and of those that it includes.
        report: gets what is wrong.
    """
    proxies: list[ProxyConfig] = []
    visitors: list[VisitorConfig] = []
    for section in sections:
        try:
            values.name(section.name)
        except values.BadValueError as why:
            report.problem(str(why), section)
        if section.is_visitor:
            visitor = _visitor(section, report)
            if visitor is not None and visitor.enabled:
                visitors.append(visitor)
            continue
        proxy = _proxy(section, report)
        if proxy is not None:
            validate.proxy(proxy, section, report)
            if proxy.enabled:
                proxies.append(proxy)
    return tuple(proxies), tuple(visitors)


def _visitor(section: Section, report: Report) -> VisitorConfig | None:
    """Make a visitor of a section; None if there is a problem that prevents it."""
    kind = _kind(section, keys.VISITOR_TYPES, "type of visitor", report)
    if kind is None:
        return None
    fields = keys.VISITOR.read(section, report)
    fields.pop("role", None)
    if not validate.has(("server_name", "bind_port"), fields, section, report):
        return None
    return VisitorConfig(name=section.name, **{**fields, "type": kind})


def _proxy(section: Section, report: Report) -> ProxyConfig | None:
    """Make a proxy of a section; None if there is a problem that prevents it."""
    kind = _kind(section, keys.PROXIES, "type of proxy", report)
    if kind is None:
        return None
    fields = keys.PROXIES[kind].read(_without_plugin_parameters(section), report)
    fields.pop("role", None)
    if not _served(section, kind, fields, report):
        return None
    check = keys.group(fields, "health_check")
    if check.get("type"):
        fields["health_check"] = HealthCheckConfig(**check)
    return _PROXY_CLASSES[kind](name=section.name, **{**fields, "type": kind})


def _kind(section: Section, known: Collection[str], what: str, report: Report) -> str | None:
    """Return the type that a section has; None after the report of a problem."""
    entry = section.entries.get("type")
    said = entry.value if entry else ""
    kind = said or "tcp"
    if kind in known:
        return kind
    why = "is not supported yet" if kind in notyet.PROXY_TYPES else f"not a {what}"
    if not said:
        why = f"the {what} is missing"
    report.problem(f"{why} (one of {', '.join(known)})", section.find("type"))
    return None


def _without_plugin_parameters(section: Section) -> Section:
    own = {
        key: entry
        for key, entry in section.entries.items()
        if not key.startswith(keys.PLUGIN_PARAMETERS)
    }
    return section.with_entries(own)


def _served(section: Section, kind: str, fields: keys.Fields, report: Report) -> bool:
    """Complete the fields by who serves the users; False if there is nobody."""
    if fields.pop("plugin", ""):
        from tunnelsvc.config import plugins  # noqa: PLC0415 - who has no plugin needs none of it

        for key in ("local_ip", "local_port"):
            if fields.pop(key, None) is not None:
                report.warn("ignored: the plugin serves the users", section.find(key))
        fields["plugin"] = plugins.read(section, kind, report)
        return fields["plugin"] is not None
    for key, entry in section.entries.items():
        if key.startswith(keys.PLUGIN_PARAMETERS):
            report.warn("ignored without plugin = NAME", entry)
    if "local_port" not in section.entries:
        what = "local_port is missing: where the local service listens"
        report.problem(what, section)
    return "local_port" in fields
