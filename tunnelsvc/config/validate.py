# -*- test-case-name: tests.config.test_validate -*-
"""Values that are right by themselves and must also fit one another."""

from tunnelsvc.config.report import Report, Section
from tunnelsvc.config.schema import ClientConfig, HTTPProxyConfig, ProxyConfig, ServerConfig


def server(config: ServerConfig, common: Section, report: Report) -> None:
    """Check ``[common]`` of a server, and warn of what makes it unsafe."""
    certificate_has_key(common, "tls", report)
    _vhost_port(config, common, report)
    _dashboard_port(config, common, report)
    if any(network.prefixlen == 0 for network in config.trusted_proxies):
        report.warn(
            "everybody is trusted: users can say that they are somebody else",
            common.find("trusted_proxies"),
        )
    if not config.token:
        report.warn(
            f"NO TOKEN: whoever reaches port {config.bind_port} can use this server; set token "
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
    if not config.proxies:
        report.warn("no proxies: nothing can be reached through this client")


def proxy(config: ProxyConfig, section: Section, report: Report) -> None:
    """Check one proxy."""
    if isinstance(config, HTTPProxyConfig) and not (config.custom_domains or config.subdomain):
        report.problem(
            "custom_domains or subdomain must say under which name it is reached",
            section.find("custom_domains", "subdomain"),
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


def _vhost_port(config: ServerConfig, common: Section, report: Report) -> None:
    shared = config.vhost_http_port == config.bind_port
    if shared and config.bind_addr != config.proxy_bind_addr:
        report.problem(
            "can be the bind_port only if proxy_bind_addr is the bind_addr",
            common.find("vhost_http_port"),
        )


def _dashboard_port(config: ServerConfig, common: Section, report: Report) -> None:
    others = {"bind_port": config.bind_port, "vhost_http_port": config.vhost_http_port}
    for name, port in others.items():
        if port and port == config.dashboard.port:
            report.problem(f"already the {name}", common.find("dashboard_port"))
