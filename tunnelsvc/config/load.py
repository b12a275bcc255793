# -*- test-case-name: tests.config.test_load -*-
"""From a file's name to values, or to everything that is wrong with the file."""

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

from attrs import evolve, frozen

from tunnelsvc.addresses import LOOPBACK, is_loopback
from tunnelsvc.config import files, keys, validate
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
    from tunnelsvc.config import sections  # noqa: PLC0415 - 0.8 MiB, and a server has no proxies

    fields = keys.CLIENT.read(file.common, report)
    included = files.load_included(fields.get("includes", ()), file, settings, report)
    others = _unique([*file.others, *included], report)
    wanted = _started(fields.get("start", ()), others, file.common, report)
    proxies, visitors = sections.proxies_and_visitors(wanted, report)
    _first_server(fields)
    config = ClientConfig(
        path=path,
        tls=TLSConfig(**keys.group(fields, "tls")),
        log=LogConfig(**keys.group(fields, "log")),
        admin=AdminConfig(**keys.group(fields, "admin")),
        proxies=proxies,
        visitors=visitors,
        tcp_mux_chosen="tcp_mux" in fields,
        **fields,
    )
    validate.client(config, file.common, report)
    return Loaded(config, report.finish())


def _unique(sections: list[Section], report: Report) -> list[Section]:
    """Refuse names that are there twice, be it in several files."""
    taken: dict[tuple[bool, str], Section] = {}
    for section in sections:
        visitor = section.is_visitor
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
    if not validate.has(("addr", "ops"), fields, section, report):
        return None
    return WebhookConfig(name=section.name.removeprefix(HOOK_SECTIONS), **fields)


def _certificate(section: Section, report: Report) -> CertificateConfig | None:
    """Make a certificate of a section; None if there is a problem that prevents it."""
    fields = keys.CERTIFICATE.read(section, report)
    if not validate.has(("cert_file", "key_file"), fields, section, report):
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
