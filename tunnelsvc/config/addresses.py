# -*- test-case-name: tests.config.test_addresses -*-
"""Of what the text after a ``=`` may be, all that names machines; otherwise as `values`."""

import re
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from tunnelsvc.addresses import is_address, unbracketed
from tunnelsvc.config.values import BadValueError, items, port

# Characters of a host name: RFC 1035 2.3.4 allows 255 bytes on the wire, which is 253 of these.
MAX_HOST_CHARACTERS: Final = 253

_NOT_SERVERS: Final = (
    "not a host name or IP address (without http://), nor several with commas between, such as "
    "a.example.com:7000,b.example.com"
)

# Underscores aren't legal in host names, but in use; x.x.x.x is a name as well as any.
_HOST: Final = re.compile(r"[\w-]+(\.[\w-]+)*\.?")

_ONLY_NUMBERS: Final = re.compile(r"[0-9.]+")

_DOMAIN: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")

_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}")

_HOST_AND_PORT: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def hook_addr(value: str) -> str:
    """Take where a server plugin is; without a scheme, it is http's."""
    scheme, mark, rest = value.rpartition("://")
    if mark and scheme not in {"http", "https"}:
        raise BadValueError("neither http:// nor https:// before the host")
    try:
        host_and_port(80)(rest)
    except BadValueError:
        raise BadValueError("not a host with a port, such as 127.0.0.1:9000") from None
    return value if mark else f"http://{value}"


def host(value: str) -> str:
    """Take the name or address of a machine; an IPv6 address with or without brackets."""
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    numeric = ":" in bare or _ONLY_NUMBERS.fullmatch(bare)
    if not (is_address(bare) if numeric else _is_host_name(bare)):
        raise BadValueError("not a host name or IP address (without port, without http://)")
    return bare


def servers(value: str) -> tuple[tuple[str, int], ...]:
    """Take one server or several with commas between, each with its port or 0 for none said."""
    found = tuple(_server(item) for item in items(value))
    if not found:
        raise BadValueError(_NOT_SERVERS)
    return found


def _server(item: str) -> tuple[str, int]:
    for parse in (lambda text: (host(text), 0), host_and_port()):
        with suppress(BadValueError):
            return parse(item)
    raise BadValueError(_NOT_SERVERS)


def dns_server(value: str) -> str:
    """Take the address of a name server with or without a port; nothing: the system's."""
    if value and not is_address(host_and_port(53)(value)[0]):
        raise BadValueError("not an IP address, with or without a port")
    return value


def optional_address(value: str) -> str:
    """Take an IP address of this machine; nothing: any."""
    if value and not is_address(value):
        raise BadValueError("not an IP address")
    return value


def networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Take a list of IP addresses and networks; ``loopback`` is this machine."""
    return tuple(network for item in items(value) for network in _networks(item))


def _networks(item: str) -> tuple[IPv4Network | IPv6Network, ...]:
    if item.lower() == "loopback":
        return ip_network("127.0.0.0/8"), ip_network("::1/128")
    try:
        return (ip_network(unbracketed(item)),)
    except ValueError:
        raise BadValueError(
            "not a list of IP addresses and networks such as 10.0.0.0/8,2001:db8::/32,loopback"
        ) from None


def _is_host_name(value: str) -> bool:
    return len(value) <= MAX_HOST_CHARACTERS and _HOST.fullmatch(value) is not None


def domain(value: str) -> str:
    """Take a domain name, to be put after others; nothing: none."""
    lowered = value.lower().removesuffix(".")
    if len(lowered) > MAX_HOST_CHARACTERS or (lowered and not _DOMAIN.fullmatch(lowered)):
        raise BadValueError("not a domain name (without port, an international one as xn--…)")
    return lowered


def domains(value: str) -> tuple[str, ...]:
    """Take a list of domain names, of which ``*`` and ``*.example.com`` are the wildcards."""
    return tuple(_pattern(item) for item in items(value))


def certificate_domains(value: str) -> tuple[str, ...]:
    """Take the names that a certificate is for; ``*`` alone is none that it can have."""
    found = domains(value)
    if "*" in found:
        raise BadValueError("each must be a name, or *. before a name such as example.com")
    return found


def _pattern(item: str) -> str:
    # A browser never asks for *.com, and frp never finds it: wildcards need two more labels.
    base = item.removeprefix("*.")
    if item == "*":
        return item
    if "*" in base or (base != item and "." not in base.removesuffix(".")):
        raise BadValueError("a wildcard is * alone, or *. before a name such as example.com")
    lowered = domain(base)
    if not lowered:
        raise BadValueError("not a domain name")
    return item[: len(item) - len(base)] + lowered


def subdomain(value: str) -> str:
    """Take one label, to be put before the server's subdomain_host; nothing: none."""
    lowered = value.lower()
    if lowered and not _LABEL.fullmatch(lowered):
        raise BadValueError('not a single name (letters, digits, "-"; no "." or "*")')
    return lowered


def host_header(value: str) -> str:
    """Take what goes into a Host header; nothing: unchanged."""
    if value and not _HOST_AND_PORT.fullmatch(value):
        raise BadValueError("not a host name, with or without a port")
    return value


def host_and_port(default: int = 0) -> Callable[[str], tuple[str, int]]:
    """Make a parser of a host with a port; an IPv6 address in brackets.

    Args:
        default: the port if there is none in the text; 0: there must be one.
    """

    def parse(value: str) -> tuple[str, int]:
        name, colon, number = value.rpartition(":")
        has_port = bool(colon) and not value.endswith("]") and not is_address(value)
        try:
            if default and not has_port:
                return host(value), default
            return host(name), port(number)
        except BadValueError:
            what = "not a host name or IP address with a port, such as 127.0.0.1:8080"
            raise BadValueError(what) from None

    return parse
