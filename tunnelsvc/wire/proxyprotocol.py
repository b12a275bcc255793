# -*- test-case-name: tests.wire.test_proxyprotocol -*-
"""The PROXY protocol: what tells a service behind us who its user is (protocol notes 6.10).

HAProxy's specification, versions 1 and 2: one line of text, or one binary block, before the first
byte of a connection; version 2 also before the content of a datagram. We only write it.

Both ends of a connection have one address family here. Where a user came in by IPv6 and the other
end is only known by IPv4, or the other way round, both are written as IPv6 (RFC 4291 section
2.5.5.2); frp drops such a user. Of addresses that are none it is said that they are unknown: who
reads that goes by the connection that it has.
"""

from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

VERSIONS: Final = ("v1", "v2")
MOST_HEADER_BYTES: Final = 107
"""Of version 1, its longest possible line; version 2 has 52 at most."""

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_UNKNOWN: Final = b"PROXY UNKNOWN\r\n"
_PORTS: Final = range(1 << 16)

Address = tuple[str, int]
"""An IP address and a port."""


class Transport(IntEnum):
    """What an address is used for; the lower half of a byte of version 2."""

    STREAM = 1
    DATAGRAM = 2


def header(
    version: str,
    source: Address,
    destination: Address,
    transport: Transport = Transport.STREAM,
) -> bytes:
    """Make what goes before the bytes of a user.

    Args:
        version: one of `VERSIONS`.
        source: the user's address.
        destination: where the user came in.
        transport: how; version 1 knows only streams, and says of others that they are unknown.
    """
    ports = (source[1], destination[1])
    known = all(port in _PORTS for port in ports)  # a datagram's says what its sender likes
    ends = _alike(source[0], destination[0]) if known else None
    if version == "v1":
        return _text(ends, ports) if transport is Transport.STREAM else _UNKNOWN
    return _block(ends, ports, transport)


_IP = IPv4Address | IPv6Address
_Ends = tuple[_IP, _IP]


def _text(ends: _Ends | None, ports: tuple[int, int]) -> bytes:
    if ends is None:
        return _UNKNOWN
    source, destination = ends
    return b"PROXY TCP%d %s %s %d %d\r\n" % (
        source.version,
        str(source).encode("ascii"),
        str(destination).encode("ascii"),
        *ports,
    )


def _block(ends: _Ends | None, ports: tuple[int, int], transport: Transport) -> bytes:
    if ends is None:
        return _SIGNATURE + bytes((_LOCAL, 0, 0, 0))
    source, destination = ends
    family = 1 if isinstance(source, IPv4Address) else 2
    content = source.packed + destination.packed
    content += b"".join(port.to_bytes(2, "big") for port in ports)
    fixed = bytes((_PROXY, family << 4 | transport))
    return _SIGNATURE + fixed + len(content).to_bytes(2, "big") + content


def _alike(source: str, destination: str) -> _Ends | None:
    """Read two addresses as of one family; None: one of them is no address."""
    try:
        ends = _ip(source), _ip(destination)
    except ValueError:
        return None
    if ends[0].version == ends[1].version:
        return ends
    return _as_ipv6(ends[0]), _as_ipv6(ends[1])


def _ip(text: str) -> _IP:
    """Read an address; one of IPv4 that came in by IPv6 is one of IPv4."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _as_ipv6(address: _IP) -> IPv6Address:
    if isinstance(address, IPv6Address):
        return address
    return IPv6Address(b"\x00" * 10 + b"\xff\xff" + address.packed)
