# -*- test-case-name: tests.link.test_addresses -*-
"""IP addresses as people read them, and whose they are."""

from ipaddress import IPv6Address, ip_address
from typing import Final

IPV6_SITE_BITS: Final = 64
"""Of an address: what is assigned to one user, who has all addresses below (RFC 6177)."""


def host_and_port(host: str, port: object) -> str:
    """Write an address with its port; an IPv6 address in brackets (RFC 3986 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
