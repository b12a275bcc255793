# -*- test-case-name: tests.config.test_load -*-
"""From a file's name to values, or to everything that is wrong with the file."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, Generic, TypeVar

from attrs import evolve, frozen

from tunnelsvc.addresses import LOOPBACK, is_loopback
from tunnelsvc.config import files, keys, notyet, validate, values
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
from tunnelsvc.config.report import Entry, Report, Section, nearest
from tunnelsvc.config.schema import (
    AdminConfig,
    CertificateConfig,
    ClientConfig,
    DashboardConfig,
    LogConfig,
    ServerConfig,
    TLSConfig,
    WebhookConfig,
)

T = TypeVar("T")

NO_FLAGS: Final[Mapping[str, Entry]] = {}

CERTIFICATE_SECTIONS: Final = "certificate."
"""How the names of sections begin that have a certificate of the server's web sites."""

HOOK_SECTIONS: Final = "plugin."
"""How the names of sections begin that have a server plugin."""

_PROXY_CLASSES: Final[Mapping[str, type[ProxyConfig]]] = {
    "tcp": TCPProxyConfig,
    "http": HTTPProxyConfig,
    "https": HTTPSProxyConfig,
    "tcpmux": TCPMuxProxyConfig,
    "udp": UDPProxyConfig,
    "stcp": STCPProxyConfig,
    "sudp": SUDPProxyConfig,
}


@frozen
class Loaded(Generic[T]):
    """A usable configuration.

    Attributes:
        config: the values.
        warnings: what the file's owner should know, a line each.
    """

    config: T
    warnings: tuple[str, ...]


def load_server(
    path: str,
    environ: Mapping[str, str],
    *,
    strict: bool = True,
    flags: Mapping[str, Entry] = NO_FLAGS,
) -> Loaded[ServerConfig]:
    """Load a server's file: frps.ini, or frps.toml, which may be YAML or JSON, too.

    Args:
        path: the file. Names of files in it are kept as they are.
        environ: what ``{{ .Envs.NAME }}`` stands for.
        strict: whether a key that nobody knows is an error; in INI files it never is.
        flags: entries of ``[common]`` that go before those of the file.

    Raises:
        ConfigError: with everything that is wrong.
    """
    report = Report(path)
    file = files.load(path, files.Settings(environ, "server", strict), report)
    common = file.common.with_entries({**file.common.entries, **flags})
    return make_server(path, evolve(file, common=common), report)


def make_server(path: str, file: files.File, report: Report) -> Loaded[ServerConfig]:
    """Make a configuration of what is in a file.

    Raises:
        ConfigError: with everything that is wrong.
    """
    config = _server(path, file, report)
    validate.server(config, file.common, report)
    return Loaded(config, report.finish())


def load_client(
    path: str, environ: Mapping[str, str], *, strict: bool = True
) -> Loaded[ClientConfig]:
    """Load a client's file: frpc.ini, or frpc.toml, which may be YAML or JSON, too.

    Args:
        path: the file. Names of files in it are kept as they are.
        environ: what ``{{ .Envs.NAME }}`` stands for.
        strict: as for `load_server`.

    Returns:
        The configuration, in which only the proxies are that are to be started.

    Raises:
        ConfigError: with everything that is wrong.
    """
    report = Report(path)
    settings = files.Settings(environ, "client", strict)
    return make_client(path, files.load(path, settings, report), settings, report)


def make_client(
    path: str, file: files.File, settings: files.Settings, report: Report
) -> Loaded[ClientConfig]:
    """Make a configuration of what is in a file, and in those that it includes.

    Raises:
        ConfigError: with everything that is wrong.
    """
    fields = keys.CLIENT.read(file.common, report)
    included = files.load_included(fields.get("includes", ()), file, settings, report)
    others = _unique([*file.others, *included], report)
    wanted = _started(fields.get("start", ()), others, file.common, report)
    found = list(_proxies_and_visitors(wanted, report))
    _first_server(fields)
    config = ClientConfig(
        path=path,
        tls=TLSConfig(**keys.group(fields, "tls")),
        log=LogConfig(**keys.group(fields, "log")),
        admin=AdminConfig(**keys.group(fields, "admin")),
        proxies=tuple(each for each in found if isinstance(each, ProxyConfig) and each.enabled),
        visitors=tuple(each for each in found if isinstance(each, VisitorConfig) and each.enabled),
        tcp_mux_chosen="tcp_mux" in fields,
        **fields,
    )
    validate.client(config, file.common, report)
    return Loaded(config, report.finish())


def _unique(sections: list[Section], report: Report) -> list[Section]:
    """Refuse names that are there twice, be it in several files."""
    taken: dict[tuple[bool, str], Section] = {}
    for section in sections:
        visitor = _is_visitor(section)
        first = taken.setdefault((visitor, section.name), section)
        if first is not section:
            where = first.source.path if first.source else report.path
            what = "visitor" if visitor else "proxy"
            report.problem(
                f"{what} name [{section.name}] is duplicated: it is in {where} already", section
            )
    return list(taken.values())


def _first_server(fields: keys.Fields) -> None:
    """Complete the ports of servers, and say which is the first."""
    servers = fields.pop("servers", ())
    default = fields.get("server_port", ClientConfig().server_port)
    servers = tuple((host, port or default) for host, port in servers)
    if servers:
        fields["server_addr"], fields["server_port"] = servers[0]
    if len(servers) > 1:
        fields["servers"] = servers


def _others(sections: list[Section], report: Report) -> Iterator[CertificateConfig | WebhookConfig]:
    """Take the server's other sections: those of certificates and server plugins."""
    taken: dict[str, str] = {}
    for section in sections:
        if section.name.startswith(HOOK_SECTIONS):
            if (hook := _hook(section, report)) is not None:
                yield hook
        elif not section.name.startswith(CERTIFICATE_SECTIONS):
            report.warn("ignored: proxies belong in the client's file", section)
        elif (certificate := _certificate(section, report)) is not None:
            validate.certificate(certificate, taken, section, report)
            yield certificate


def _hook(section: Section, report: Report) -> WebhookConfig | None:
    """Make a server plugin of a section; None if there is a problem that prevents it."""
    fields = keys.HOOK.read(section, report)
    if not _has(("addr", "ops"), fields, section, report):
        return None
    return WebhookConfig(name=section.name.removeprefix(HOOK_SECTIONS), **fields)


def _has(names: tuple[str, ...], fields: keys.Fields, section: Section, report: Report) -> bool:
    """Check that a section has what it can't do without."""
    missing = [key for key in names if not fields.get(key)]
    for key in missing:
        report.problem(f"{key} is missing", section.find(key))
    return not missing


def _certificate(section: Section, report: Report) -> CertificateConfig | None:
    """Make a certificate of a section; None if there is a problem that prevents it."""
    fields = keys.CERTIFICATE.read(section, report)
    if not _has(("cert_file", "key_file"), fields, section, report):
        return None
    return CertificateConfig(name=section.name.removeprefix(CERTIFICATE_SECTIONS), **fields)


def _server(path: str, file: files.File, report: Report) -> ServerConfig:
    common = file.common
    found = list(_others(file.others, report))
    fields = keys.SERVER.read(common, report)
    tls = keys.group(fields, "tls")
    if tls.get("trusted_ca_file"):
        tls["only"] = True
    bind_addr = fields.setdefault("bind_addr", ServerConfig().bind_addr)
    fields.setdefault("proxy_bind_addr", bind_addr)
    dashboard = keys.group(fields, "dashboard")
    return ServerConfig(
        path=path,
        tls=TLSConfig(**tls),
        log=LogConfig(**keys.group(fields, "log")),
        dashboard=_dashboard(dashboard, bind_addr if file.is_ini else LOOPBACK, common, report),
        certificates=tuple(each for each in found if isinstance(each, CertificateConfig)),
        plugins=tuple(each for each in found if isinstance(each, WebhookConfig)),
        tcp_mux_chosen="tcp_mux" in fields,
        **fields,
    )


def _dashboard(
    fields: keys.Fields, default: str, common: Section, report: Report
) -> DashboardConfig:
    """Complete the dashboard's fields.

    Args:
        fields: its own.
        default: where it listens if the file doesn't say.
        common: where they are from.
        report: gets what is wrong.
    """
    _dashboard_tls(fields, common, report)
    addr = fields.pop("addr", default)
    configured = bool(fields.get("password"))
    if fields.get("port") and not configured:
        if fields.get("user"):
            report.problem("needs dashboard_pwd as well", common.find("dashboard_user"))
        report.warn(
            "without dashboard_user and dashboard_pwd it listens on loopback only, for "
            "admin with the password admin",
            common.find("dashboard_port"),
        )
    if not configured and not is_loopback(addr):
        addr = LOOPBACK
    return DashboardConfig(addr=addr, credentials_configured=configured, **fields)


def _dashboard_tls(fields: keys.Fields, common: Section, report: Report) -> None:
    complete = validate.certificate_has_key(common, "dashboard_tls", report)
    if fields.pop("tls_mode", False):
        if not complete:
            what = "needs dashboard_tls_cert_file and dashboard_tls_key_file"
            report.problem(what, common.find("dashboard_tls_mode"))
        return
    if complete:
        what = "ignored without dashboard_tls_mode = true: the dashboard is plain HTTP"
        report.warn(what, common.find("dashboard_tls_cert_file"))
    fields.pop("tls_cert_file", None)
    fields.pop("tls_key_file", None)


def _started(
    names: tuple[str, ...], sections: list[Section], common: Section, report: Report
) -> list[Section]:
    """Choose the sections that ``start`` names; all, if it names none."""
    known = [name for section in sections for name in (section.name, section.origin) if name]
    for name in names:
        if name not in known:
            meant = nearest(name, known)
            hint = f"; did you mean {meant}?" if meant else ""
            report.problem(f"there is no proxy [{name}]{hint}", common.find("start"))
    return [
        section
        for section in sections
        if not names or section.name in names or section.origin in names
    ]


def _proxies_and_visitors(
    sections: list[Section], report: Report
) -> Iterator[ProxyConfig | VisitorConfig]:
    for section in sections:
        try:
            values.name(section.name)
        except values.BadValueError as why:
            report.problem(str(why), section)
        config = _visitor(section, report) if _is_visitor(section) else _proxy(section, report)
        if isinstance(config, ProxyConfig):
            validate.proxy(config, section, report)
        if config is not None:
            yield config


def _is_visitor(section: Section) -> bool:
    role = section.entries.get("role")
    return role is not None and role.value.lower() == "visitor"


def _visitor(section: Section, report: Report) -> VisitorConfig | None:
    """Make a visitor of a section; None if there is a problem that prevents it."""
    kind = _kind(section, keys.VISITOR_TYPES, "type of visitor", report)
    if kind is None:
        return None
    fields = keys.VISITOR.read(section, report)
    fields.pop("role", None)
    if not _has(("server_name", "bind_port"), fields, section, report):
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
