# -*- test-case-name: tests.config.test_plugins -*-
"""``plugin = NAME`` and its ``plugin_*``: what serves a proxy's users instead of a local port.

A new plugin is a class here, with a field for each parameter, and a line in `PLUGINS`. Only files
that name a plugin need this module.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from attrs import NOTHING, fields, frozen

from tunnelsvc.config import addresses, keys, notyet, values
from tunnelsvc.config.masked import secret, secrets
from tunnelsvc.config.proxies import PluginConfig
from tunnelsvc.config.report import Report, Section, nearest
from tunnelsvc.wire.socks5 import MAX_CREDENTIAL_BYTES

OF_ANYTHING: Final = ("tcp", "tcpmux", "stcp")
"""Types of proxies whose users may say anything."""

ANY_STREAM: Final = (*OF_ANYTHING, "http", "https")
"""Types of proxies whose users are byte streams, whatever is in them."""

OF_TLS: Final = (*OF_ANYTHING, "https")
"""Types of proxies through which TLS comes as users sent it."""

OF_HTTP: Final = (*OF_ANYTHING, "http")
"""Types of proxies through which HTTP may come without TLS."""

HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443


@frozen(kw_only=True)
class UnixDomainSocketConfig(PluginConfig):
    """``plugin = unix_domain_socket``: the local service listens on a socket in the file system."""

    name: ClassVar[str] = "unix_domain_socket"
    types: ClassVar[tuple[str, ...]] = ANY_STREAM
    passes_on: ClassVar[bool] = True
    unix_path: str


@frozen(kw_only=True)
class GatewayConfig(PluginConfig):
    """What the plugins have that are a web server before a local one."""

    tls_out: ClassVar[bool] = False
    """Whether the local service is asked in TLS."""
    local_addr: tuple[str, int]
    """Host and port of the local service."""
    host_header_rewrite: str = ""
    headers: Mapping[str, str] = secrets()


@frozen(kw_only=True)
class HTTPToHTTPConfig(GatewayConfig):
    """``plugin = http2http``."""

    name: ClassVar[str] = "http2http"
    types: ClassVar[tuple[str, ...]] = OF_HTTP


@frozen(kw_only=True)
class HTTPToHTTPSConfig(GatewayConfig):
    """``plugin = http2https``."""

    name: ClassVar[str] = "http2https"
    types: ClassVar[tuple[str, ...]] = OF_HTTP
    tls_out: ClassVar[bool] = True


@frozen(kw_only=True)
class SecuredGatewayConfig(GatewayConfig):
    """What those have besides in which users' TLS ends."""

    types: ClassVar[tuple[str, ...]] = OF_TLS
    crt_path: str = ""
    """The certificate; empty, as `key_path` then is, too: one that nobody signed is made."""
    key_path: str = ""


@frozen(kw_only=True)
class HTTPSToHTTPConfig(SecuredGatewayConfig):
    """``plugin = https2http``."""

    name: ClassVar[str] = "https2http"


@frozen(kw_only=True)
class HTTPSToHTTPSConfig(SecuredGatewayConfig):
    """``plugin = https2https``."""

    name: ClassVar[str] = "https2https"
    tls_out: ClassVar[bool] = True


@frozen(kw_only=True)
class TLSToRawConfig(PluginConfig):
    """``plugin = tls2raw``: users' TLS ends here, whatever is in it."""

    name: ClassVar[str] = "tls2raw"
    types: ClassVar[tuple[str, ...]] = OF_TLS
    passes_on: ClassVar[bool] = True
    local_addr: tuple[str, int]
    crt_path: str = ""
    key_path: str = ""


@frozen(kw_only=True)
class Socks5Config(PluginConfig):
    """``plugin = socks5``: users reach whatever this machine reaches, by SOCKS 5."""

    name: ClassVar[str] = "socks5"
    types: ClassVar[tuple[str, ...]] = OF_ANYTHING
    user: str = ""
    """With an empty password too: everybody may."""
    password: str = secret()


@frozen(kw_only=True)
class HTTPProxyPluginConfig(PluginConfig):
    """``plugin = http_proxy``: users reach whatever this machine reaches, by an HTTP proxy."""

    name: ClassVar[str] = "http_proxy"
    types: ClassVar[tuple[str, ...]] = OF_ANYTHING
    http_user: str = ""
    """With an empty password too: everybody may."""
    http_password: str = secret()


@frozen(kw_only=True)
class StaticFileConfig(PluginConfig):
    """``plugin = static_file``: users read the files below a directory."""

    name: ClassVar[str] = "static_file"
    types: ClassVar[tuple[str, ...]] = OF_HTTP
    local_path: str
    strip_prefix: str = ""
    """Path of URLs below which the files are; without slashes around it."""
    http_user: str = ""
    """With an empty password too: everybody may."""
    http_password: str = secret()


@frozen
class _Kind:
    """How one plugin is read.

    Attributes:
        config: what it becomes.
        table: its parameters, with ``plugin_``.
        together: of these, all are given or none.
        credentials: without these, whoever reaches the port is in the client's network.
    """

    config: type[PluginConfig]
    table: keys.Table
    together: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()

    def missing(self, given: Mapping[str, Any]) -> list[str]:
        """Give the parameters that have no default and aren't among the given fields."""
        needed = {each.name for each in fields(self.config) if each.default is NOTHING}
        return [name for name, key in self.table.keys.items() if key.field in needed - given.keys()]


def _socks_credential(value: str) -> str:
    if len(value.encode()) > MAX_CREDENTIAL_BYTES:
        most = f"{MAX_CREDENTIAL_BYTES} bytes"
        raise values.BadValueError(f"longer than the {most} that SOCKS 5 allows")
    return value


def _prefix(value: str) -> str:
    """Take a path of URLs; a slash at either end, or none, are the same."""
    stripped = value.strip("/")
    if stripped and {"", ".", ".."}.intersection(stripped.split("/")):
        raise values.BadValueError("not a path such as a/b, without empty parts, . and ..")
    return stripped


_HTTP_USER: Final = {
    "plugin_http_user": keys.Key("http_user", values.user_name),
    "plugin_http_passwd": keys.Key("http_password"),
}
_STATIC_FILE: Final = keys.Table(
    {
        "plugin_local_path": keys.Key("local_path", values.some_text),
        "plugin_strip_prefix": keys.Key("strip_prefix", _prefix),
        **_HTTP_USER,
    }
)
_SOCKS5: Final = keys.Table(
    {
        "plugin_user": keys.Key("user", _socks_credential),
        "plugin_passwd": keys.Key("password", _socks_credential),
    }
)
_CERTIFICATE: Final = {
    "plugin_crt_path": keys.Key("crt_path"),
    "plugin_key_path": keys.Key("key_path"),
}
_UNIX: Final = keys.Table({"plugin_unix_path": keys.Key("unix_path", values.some_text)})
_RAW: Final = keys.Table(
    {"plugin_local_addr": keys.Key("local_addr", addresses.host_and_port()), **_CERTIFICATE}
)


def _gateway(config: type[GatewayConfig]) -> _Kind:
    default_port = HTTPS_PORT if config.tls_out else HTTP_PORT
    certificate = _CERTIFICATE if issubclass(config, SecuredGatewayConfig) else {}
    parameters = {
        "plugin_local_addr": keys.Key("local_addr", addresses.host_and_port(default_port)),
        "plugin_host_header_rewrite": keys.Key("host_header_rewrite", addresses.host_header),
        **certificate,
    }
    headers = {"plugin_header_": keys.Prefix("headers", values.header_name)}
    return _Kind(config, keys.Table(parameters, headers), together=tuple(certificate))


_KINDS: Final = (
    _gateway(HTTPToHTTPConfig),
    _gateway(HTTPToHTTPSConfig),
    _gateway(HTTPSToHTTPConfig),
    _gateway(HTTPSToHTTPSConfig),
    _Kind(HTTPProxyPluginConfig, keys.Table(_HTTP_USER), credentials=tuple(_HTTP_USER)),
    _Kind(Socks5Config, _SOCKS5, credentials=tuple(_SOCKS5.keys)),
    _Kind(StaticFileConfig, _STATIC_FILE),
    _Kind(TLSToRawConfig, _RAW, together=tuple(_CERTIFICATE)),
    _Kind(UnixDomainSocketConfig, _UNIX),
)
PLUGINS: Final[Mapping[str, _Kind]] = {kind.config.name: kind for kind in _KINDS}
"""By name."""


def read(section: Section, proxy_type: str, report: Report) -> PluginConfig | None:
    """Read the plugin of a proxy.

    Args:
        section: the proxy's, with a ``plugin``.
        proxy_type: which must be one that the plugin can serve.
        report: gets what is wrong.

    Returns:
        None if there is a problem.
    """
    entry = section.entries["plugin"]
    kind = PLUGINS.get(entry.value)
    if kind is None:
        report.problem(_unknown(entry.value), entry)
        return None
    if proxy_type not in kind.config.types:
        usable = " or ".join(kind.config.types)
        report.problem(f"can't serve a proxy of type {proxy_type}; only {usable}", entry)
    parameters = _parameters(section, kind, report)
    given = kind.table.read(parameters, report)
    missing = [key for key in kind.missing(given) if key not in section.entries]
    if missing:
        report.problem(f"needs {' and '.join(missing)} as well", entry)
    _check_together(section, kind, report)
    _check_credentials(section, kind, report)
    return None if kind.missing(given) else kind.config(**given)


def _check_together(section: Section, kind: _Kind, report: Report) -> None:
    given = _given(section, kind.together)
    absent = [key for key in kind.together if key not in given]
    if given and absent:
        report.problem(f"needs {' and '.join(absent)} as well", section.entries[given[0]])


def _given(section: Section, names: tuple[str, ...]) -> list[str]:
    """Say which of these keys have a value."""
    return [key for key in names if key in section.entries and section.entries[key].value]


def _check_credentials(section: Section, kind: _Kind, report: Report) -> None:
    if kind.credentials and not _given(section, kind.credentials):
        what = (
            f"without {' and '.join(kind.credentials)} whoever reaches the port is in your network"
        )
        report.warn(what, section.entries["plugin"])


def _unknown(name: str) -> str:
    known = f"one of {', '.join(PLUGINS)}"
    if name in notyet.PLUGINS:
        return f"is not supported yet ({known})"
    meant = nearest(name, PLUGINS)
    return f"not a plugin; did you mean {meant}?" if meant else f"not a plugin ({known})"


def _parameters(section: Section, kind: _Kind, report: Report) -> Section:
    """Give those that the plugin has; of any other, nobody would notice that it does nothing."""
    own: dict[str, Any] = {}
    for key, entry in section.entries.items():
        if key in kind.table.keys or key.startswith(tuple(kind.table.prefixes)):
            own[key] = entry
        elif key.startswith(keys.PLUGIN_PARAMETERS):
            meant = nearest(key, kind.table.keys)
            hint = f"; did you mean {meant}?" if meant else f" ({', '.join(kind.table.keys)})"
            report.problem(f"not a parameter of {kind.config.name}{hint}", entry)
    return Section(section.name, section.line, own)
