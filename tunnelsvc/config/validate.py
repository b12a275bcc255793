# -*- test-case-name: tests.config.test_validate -*-
"""Values that are right by themselves and must also fit one another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Final

from tunnelsvc.config.report import Entry, Report, Section
from tunnelsvc.config.schema import CertificateConfig, ClientConfig, ServerConfig
from tunnelsvc.wire.httpheader import NOT_TO_BE_SET

if TYPE_CHECKING:
    from tunnelsvc.config.proxies import ProxyConfig

_SET_HEADERS: Final = ("header_", "response_header_", "plugin_header_")
"""How keys begin that set headers."""
_GROUP_TYPES: Final = ("tcp", "http", "https", "tcpmux")
_NOT_TO_BE_SET: Final = frozenset(name.decode() for name in NOT_TO_BE_SET)


def server(config: ServerConfig, common: Section, report: Report) -> None:
    """Check ``[common]`` of a server, and warn of what makes it unsafe."""
    certificate_has_key(common, "tls", report)
    _vhost_ports(config, common, report)
    _needs_certificates(config, common, report)
    _dashboard_port(config, common, report)
    if any(network.prefixlen == 0 for network in config.trusted_proxies):
        report.warn(
            "everybody is trusted: users can say that they are somebody else",
            common.find("trusted_proxies"),
        )
    _access_log(config, common, report)
    if config.data_dir and not config.dashboard.port:
        report.warn(
            "ignored: only a dashboard, with dashboard_port, keeps data", common.find("data_dir")
        )
    if not config.token:
        report.warn(
            f"NO TOKEN: whoever reaches port {config.bind_port} can use this server; set a token "
            "here and in the clients' files",
            common.find("token"),
        )


def client(config: ClientConfig, common: Section, report: Report) -> None:
    """Check ``[common]`` of a client."""
    certificate_has_key(common, "tls", report)
    interval, timeout = config.heartbeat_interval_seconds, config.heartbeat_timeout_seconds
    if 0 < timeout < interval:
        report.problem(
            f"heartbeat_timeout ({timeout:.0f} seconds) must not be less than "
            f"heartbeat_interval ({interval:.0f} seconds)",
            common.find("heartbeat_timeout", "heartbeat_interval"),
        )
    certificate_has_key(common, "admin_tls", report)
    if not (config.proxies or config.visitors or config.includes):
        report.warn("no proxies: nothing can be reached through this client")


def proxy(config: ProxyConfig, section: Section, report: Report) -> None:
    """Check one proxy."""
    from tunnelsvc.config.proxies import (  # noqa: PLC0415 - a server has none
        SecretProxyConfig,
        VhostProxyConfig,
    )

    if isinstance(config, VhostProxyConfig) and not (config.custom_domains or config.subdomain):
        report.problem(
            "custom_domains or subdomain must say under which name it is reached",
            section.find("custom_domains", "subdomain"),
        )
    if config.group_key and not config.group:
        report.warn("ignored without group", section.find("group_key"))
    if config.group and config.type not in _GROUP_TYPES:
        # frp takes it of every type, and files have it in what several proxies share.
        what = f"ignored: only proxies of type {', '.join(_GROUP_TYPES)} have groups"
        report.warn(what, section.find("group"))
    if isinstance(config, SecretProxyConfig) and not config.secret_key:
        report.warn(
            "NO SECRET: whoever reaches the server can visit it; set sk here and in the visitors' "
            "files",
            section.find("sk"),
        )
    if config.bandwidth_limit_mode != "client" and not config.bandwidth_limit:
        report.warn("ignored without bandwidth_limit", section.find("bandwidth_limit_mode"))
    if config.proxy_protocol_version:
        _proxy_protocol(config, section.find("proxy_protocol_version"), report)
    _headers(section, report)
    _health_check(config, section, report)


def _proxy_protocol(config: ProxyConfig, entry: Entry | Section, report: Report) -> None:
    """Warn of services that can't be told who their users are."""
    plugin = config.plugin
    if plugin is not None and not plugin.passes_on:
        report.warn(f"ignored: no service gets users' connections from {plugin.name}", entry)
    elif config.proxy_protocol_version == "v1" and config.type in {"udp", "sudp"}:
        report.warn("v1 tells no addresses of datagrams; v2 does", entry)


def _headers(section: Section, report: Report) -> None:
    """Warn of headers that aren't set, whatever the file says."""
    for key, entry in section.entries.items():
        for start in _SET_HEADERS:
            name = key.removeprefix(start).lower()
            if key.startswith(start) and name in _NOT_TO_BE_SET:
                hint = "; host_header_rewrite sets it" if name == "host" else ""
                report.warn(f"ignored: nobody but the tunnel sets {name}{hint}", entry)


def _health_check(config: ProxyConfig, section: Section, report: Report) -> None:
    check = config.health_check
    if check is None:
        for key, entry in section.entries.items():
            if key.startswith("health_check_") and key != "health_check_type":
                report.warn("ignored without health_check_type", entry)
    elif not config.local_port:
        # frp starts such a proxy and checks nothing.
        report.problem(
            "nothing to check: a plugin has no local_port", section.find("health_check_type")
        )
    elif check.type == "http" and not check.url:
        report.problem(
            "needs health_check_url, the path to ask for",
            section.find("health_check_url", "health_check_type"),
        )
    elif check.type == "http" and config.type == "https":
        report.warn(
            "asks without TLS, which a service with TLS doesn't answer well; tcp will do",
            section.find("health_check_type"),
        )
    elif check.type == "tcp" and (check.url or check.headers):
        report.warn(
            "ignored: health_check_type = tcp only connects",
            section.find("health_check_url" if check.url else "health_check_type"),
        )


def has(
    names: tuple[str, ...], fields: Mapping[str, object], section: Section, report: Report
) -> bool:
    """Check that a section has what it can't do without."""
    missing = [key for key in names if not fields.get(key)]
    for key in missing:
        report.problem(f"{key} is missing", section.find(key))
    return not missing


def certificate(
    config: CertificateConfig, taken: dict[str, str], section: Section, report: Report
) -> None:
    """Check one certificate for web sites.

    Args:
        config: the certificate.
        taken: domains to the names of the certificates that they were given to; is added to.
        section: of the file.
        report: gets what is wrong.
    """
    for domain in config.domains:
        other = taken.setdefault(domain, config.name)
        if other != config.name:
            report.problem(
                f"{domain} is one of the domains of [certificate.{other}] already",
                section.find("domains"),
            )


def certificate_has_key(common: Section, prefix: str, report: Report) -> bool:
    """Check that the two files of a certificate come together; tell whether they are there."""
    files = [common.entries.get(f"{prefix}_{name}_file") for name in ("cert", "key")]
    cert, key = (entry if entry and entry.value else None for entry in files)
    if cert and not key:
        report.problem(f"needs {prefix}_key_file as well", cert)
    if key and not cert:
        report.problem(f"needs {prefix}_cert_file as well", key)
    return bool(cert and key)


def _vhost_ports(config: ServerConfig, common: Section, report: Report) -> None:
    ports = {
        "vhost_http_port": config.vhost_http_port,
        "vhost_https_port": config.vhost_https_port,
        "tcpmux_httpconnect_port": config.tcpmux_httpconnect_port,
    }
    for key, port in ports.items():
        if port == config.bind_port and config.bind_addr != config.proxy_bind_addr:
            report.problem(
                "can be the bind_port only if proxy_bind_addr is the bind_addr", common.find(key)
            )
    for (first, port), (second, other) in combinations(ports.items(), 2):
        if port and port == other != config.bind_port:
            what = f"already the {first}; only the bind_port can be both"
            report.problem(what, common.find(second))
    if config.tcpmux_passthrough and not config.tcpmux_httpconnect_port:
        report.warn("ignored without tcpmux_httpconnect_port", common.find("tcpmux_passthrough"))


def _needs_certificates(config: ServerConfig, common: Section, report: Report) -> None:
    """Check that what is said about https doesn't go without it."""
    if config.certificates and not config.vhost_https_port:
        what = "vhost_https_port must say where the certificates are for"
        report.problem(what, common.find("vhost_https_port"))
    wanted = {
        "vhost_https_redirect": config.vhost_https_redirect,
        "vhost_https_hsts_max_age": config.vhost_https_hsts_max_age_seconds,
    }
    for key, value in wanted.items():
        if value and not config.certificates:
            what = "needs a certificate, in a section such as [certificate.example]"
            report.problem(what, common.find(key))
    if config.vhost_https_redirect and not config.vhost_http_port:
        report.problem("needs vhost_http_port as well", common.find("vhost_https_redirect"))


def _dashboard_port(config: ServerConfig, common: Section, report: Report) -> None:
    others = {
        "bind_port": config.bind_port,
        "tcpmux_httpconnect_port": config.tcpmux_httpconnect_port,
        "vhost_http_port": config.vhost_http_port,
        "vhost_https_port": config.vhost_https_port,
    }
    for name, port in others.items():
        if port and port == config.dashboard.port:
            report.problem(f"already the {name}", common.find("dashboard_port"))


def _access_log(config: ServerConfig, common: Section, report: Report) -> None:
    if not config.access_log:
        if config.access_log_format != "combined":
            report.warn("ignored: there is no access_log", common.find("access_log_format"))
    elif config.access_log == config.log.file:
        report.problem(
            "can't be the log_file; give it a file of its own", common.find("access_log")
        )
    elif not config.takes_http:
        report.warn(
            "stays empty: without vhost_http_port, or vhost_https_port with a certificate, there "
            "are no requests",
            common.find("access_log"),
        )
