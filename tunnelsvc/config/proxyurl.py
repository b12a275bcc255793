# -*- test-case-name: tests.config.test_proxyurl -*-
"""``http_proxy``: the URL of a proxy through which a client reaches its server.

Without the key the environment variable of that name holds, as with frpc: in lower case only, since
the other spelling can be set by whoever sends a header ``Proxy`` to a CGI program. Unlike frpc we
heed ``no_proxy`` then, and nobody reaches this machine through another one.
"""

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from attrs import frozen

from tunnelsvc.addresses import host_and_port, is_loopback, unbracketed
from tunnelsvc.config.addresses import host as parse_host
from tunnelsvc.config.masked import secret
from tunnelsvc.config.values import BadValueError

VARIABLE: Final = "http_proxy"
DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080}
"""By scheme; all that there are."""

_EXAMPLE: Final = "http://user:password@host:port"


@frozen(kw_only=True)
class ProxyURL:
    """A proxy, taken apart.

    Attributes:
        scheme: ``http`` (it is asked by CONNECT), ``https`` (likewise, inside TLS) or ``socks5``.
        host: name or address, without brackets.
        port: TCP port.
        user: may be empty, as may `password`.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = secret()

    def __str__(self) -> str:
        """Give it for the log, without what is secret."""
        return f"{self.scheme}://{host_and_port(self.host, self.port)}"


def parse(value: str) -> ProxyURL:
    """Take the URL of a proxy; without a scheme it is ``http``.

    Raises:
        BadValueError: it isn't one. The text isn't repeated.
    """
    text = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadValueError(f"not the URL of a proxy, such as {_EXAMPLE}") from None
    if parts.scheme == "ntlm":
        raise BadValueError("NTLM is not supported; is there a proxy for the Basic scheme?")
    if parts.scheme not in DEFAULT_PORTS:
        raise BadValueError(f"the URL of a proxy begins with one of {', '.join(DEFAULT_PORTS)}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise BadValueError(f"the URL of a proxy ends behind the port: {_EXAMPLE}")
    if port == 0:
        raise BadValueError("port 0 is none")
    return ProxyURL(
        scheme=parts.scheme,
        host=parse_host(parts.hostname or ""),
        port=port or DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def checked(value: str) -> str:
    """Take the URL of a proxy; nothing: that of the environment, if there is one."""
    if value:
        parse(value)
    return value


def proxy_for(configured: str, environ: Mapping[str, str], host: str, port: int) -> ProxyURL | None:
    """Find the proxy for a server; None: it is reached without.

    Args:
        configured: value of the key; empty: what the environment says.
        environ: the environment.
        host: name or address of the server.
        port: its TCP port.

    Raises:
        BadValueError: what is there is none.
    """
    if configured:
        return parse(configured)
    value = environ.get(VARIABLE, "").strip()
    if not value or _is_here(host):
        return None
    exceptions = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if any(_is_meant(item.strip().lower(), host.lower(), port) for item in exceptions.split(",")):
        return None
    try:
        return parse(value)
    except BadValueError as why:
        raise BadValueError(f"environment variable {VARIABLE}: {why}") from None


def _is_here(host: str) -> bool:
    """Tell whether a server is on this machine."""
    with suppress(ValueError):
        if ip_address(host).is_unspecified:
            return True
    return is_loopback(host)


def _is_meant(item: str, host: str, port: int) -> bool:
    """Tell whether an item of ``no_proxy`` means a server: a name, the end of one, a network."""
    if item == "*":
        return True
    name, colon, number = item.rpartition(":")
    if colon and number.isdigit() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        item = name
    item = unbracketed(item).removeprefix("*").removeprefix(".")
    if not item:
        return False
    with suppress(ValueError):
        return ip_address(host) in ip_network(item, strict=False)
    return host == item or host.endswith(f".{item}")
