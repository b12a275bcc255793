# -*- test-case-name: tests.test_addresses -*-
"""IP addresses as people read them, what they are, and whose."""

from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Final

LOOPBACK: Final = "127.0.0.1"
LOCALHOST: Final = "localhost"

IPV6_SITE_BITS: Final = 64
"""Of an address: what is assigned to one user, who has all addresses below (RFC 6177)."""


def bracketed(host: str) -> str:
    """Write a host as URLs have it: an IPv6 address in brackets (RFC 3986 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def unbracketed(host: str) -> str:
    """Take the brackets off an IPv6 address, as files may have it."""
    return host.removeprefix("[").removesuffix("]")


def host_and_port(host: str, port: object) -> str:
    """Write an address with its port, as Go does: an IPv6 address in brackets."""
    return f"{bracketed(host)}:{port}"


def at(address: object, host: str = "", port: object = 0) -> str:
    """Write one of Twisted's addresses with its port.

    Args:
        address: the address.
        host: what stands for the host of one that has none, as those of UNIX sockets.
        port: likewise.
    """
    return host_and_port(getattr(address, "host", host), getattr(address, "port", port))


def is_address(host: str) -> bool:
    """Tell an IP address from a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a name or an address, be it in brackets."""
    with suppress(ValueError):
        return ip_address(unbracketed(host)).is_loopback
    return host.lower().removesuffix(".") == LOCALHOST


def site_of(address: str) -> str:
    """Name what one user can't easily leave: an IPv4 address, the network of an IPv6 address.

    What is no address is a name by itself.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(int(ip) >> (ip.max_prefixlen - IPV6_SITE_BITS))
    return str(ip)
