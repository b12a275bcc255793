# -*- test-case-name: tests.gateway.test_forwarded -*-
"""For whom a request is: the user, or a proxy before us that says who the user is.

Anybody can write ``X-Forwarded-For``. What a request says of its way is believed only of peers that
the configuration names (``trusted_proxies``), and each address of the way only if those behind it
are all named, too. So ``X-Real-IP`` is the closest address that isn't one of our own proxies, and
nobody chooses it for himself.

Without that key X-Forwarded-For is continued all the same, as frp does it: who reads its first
member reads what the user wrote. With it, what strangers say is dropped.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import product
from typing import Final

from attrs import frozen

from tunnelsvc.link.tcpfacts import unmapped
from tunnelsvc.wire.httphead import Head, Header, RequestHead

MOST_REMEMBERED: Final = 1_024
"""Addresses of which it is known whether they are trusted."""

MOST_HOPS: Final = 32
"""How many proxies before us are looked at, from the closest on."""

_SEPARATORS: Final = tuple(product((b"-", b"_"), repeat=2))
FORWARDED: Final = frozenset(
    {
        b"forwarded",
        # WSGI and CGI can't tell the one character from the other: HTTP_X_REAL_IP.
        *(
            b"x%bforwarded%b" % pair + end
            for pair in _SEPARATORS
            for end in (b"for", b"host", b"proto")
        ),
        *(b"x%breal%bip" % pair for pair in _SEPARATORS),
    }
)
"""Names of headers that say for whom a request is, in lower case."""

Network = IPv4Network | IPv6Network


class Trust:
    """Whose word about others is believed."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)
        self.covers = lru_cache(MOST_REMEMBERED)(self._covers)
        """Tell whether an address is one of those; text that is none isn't."""

    def _covers(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def user(self, peer: str, hops: list[str]) -> str:
        """Find the user behind a trusted peer.

        Args:
            peer: its address.
            hops: what was said about those behind it, the closest last.

        Returns:
            The closest address that isn't trusted; behind it there are only claims. The one behind
            which nothing readable follows, if there is no such.
        """
        for hop in reversed(hops[-MOST_HOPS:]):
            address = _address(hop)
            if not address:
                break
            peer = address
            if not self.covers(address):
                break
        return peer


@frozen
class Origin:
    """Where the requests of a connection come from.

    Attributes:
        address: the peer's IP address; empty if there is none.
        scheme: ``http`` or ``https``, as the peer sees it.
        protocol: ``HTTP/2.0`` if it is that; empty: what the head of a request says.
        trust: whose word is believed, if the peer's is.
        extends: whether X-Forwarded-For is continued rather than begun.
        passed_on: whether what a request says of its way goes on as it came, and nothing else.
    """

    address: bytes
    scheme: bytes = b"http"
    trust: Trust | None = None
    extends: bool = True
    passed_on: bool = False
    protocol: bytes = b""

    def user_of(self, head: RequestHead) -> bytes:
        """Give the address of the user who made a request, as well as it is known."""
        if self.trust is None:
            return self.address
        return self.trust.user(self.address.decode(), _hops(head)).encode()

    def scheme_of(self, head: RequestHead) -> bytes:
        """Give the scheme by which a user asked, as well as it is known."""
        said = head.members(b"x-forwarded-proto") if self.trust is not None else ()
        return said[0] if said else self.scheme


def origin_of(peer: str, scheme: bytes, trust: Trust | None) -> Origin:
    """Look who is there; once for a connection.

    Args:
        peer: IP address; empty if there is none.
        scheme: as for `Origin`.
        trust: whose word is believed; None: everybody is a stranger, and treated as in frp.
    """
    address = unmapped(peer)  # Twisted's own transports have it as the kernel does
    if trust is None:
        return Origin(address.encode(), scheme)
    trusted = trust.covers(address)
    return Origin(address.encode(), scheme, trust if trusted else None, extends=trusted)


def by_proxy(head: RequestHead, origin: Origin) -> list[Header]:
    """Continue what a trusted proxy says of a request."""
    forwarded = head.values(b"forwarded")
    if forwarded:
        forwarded.append(_element(head, origin))
    way = head.values(b"x-forwarded-for")
    return [
        (b"Forwarded", b", ".join(forwarded)),
        (b"X-Forwarded-For", b", ".join([*way, origin.address])),
        (b"X-Forwarded-Host", _said(head, b"x-forwarded-host") or head.host),
        (b"X-Forwarded-Proto", _said(head, b"x-forwarded-proto") or origin.scheme),
        (b"X-Real-IP", origin.user_of(head)),
    ]


def _said(head: Head, name: bytes) -> bytes:
    return b", ".join(head.values(name))


def _element(head: RequestHead, origin: Origin) -> bytes:
    """Describe the proxy's connection to us (RFC 7239 section 4)."""
    node = b'"[%b]"' % origin.address if b":" in origin.address else origin.address
    return b'for=%b;host="%b";proto=%b' % (node, head.host, origin.scheme)


def _hops(head: RequestHead) -> list[str]:
    """Give the addresses of a way, the closest last, by the first header that has them."""
    hops = head.members(b"x-forwarded-for")
    if not hops:
        hops = _nodes(b",".join(head.values(b"forwarded"))) or head.values(b"x-real-ip")
    return [hop.decode("ascii", "replace") for hop in hops]


def _nodes(forwarded: bytes) -> list[bytes]:
    """Give the nodes of Forwarded (RFC 7239 section 6), empty where an element has none."""
    if not forwarded:
        return []
    pieces = forwarded.lower().split(b'"')
    if b"\\" in forwarded or len(pieces) % 2 == 0:
        return [b""]  # no address needs an escape, and who knows what such a list means
    # What is quoted separates nothing.
    pieces[1::2] = [piece.translate(None, b",;=") for piece in pieces[1::2]]
    return [_node(element) for element in b"".join(pieces).split(b",")]


def _node(element: bytes) -> bytes:
    pairs = (pair.partition(b"=") for pair in element.split(b";"))
    return next((node.strip() for name, _, node in pairs if name.strip() == b"for"), b"")


def _address(hop: str) -> str:
    """Give the address of a hop, in the form that is compared; empty if it is none."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    if "%" in hop:  # a zone, which may be any text and means something on one machine only
        return ""
    try:
        return str(ip_address(hop))
    except ValueError:
        return ""
