# -*- test-case-name: tests.wire.test_datagrams -*-
"""Datagrams on a work connection, in the two ways that there are.

frp's way (`MessageDatagrams`, protocol notes 6.5) is a JSON message for each, with the content in
base64. A message has at most 10 240 bytes, so a datagram of more than about 7 500 fits in none.

Ours (`FrameDatagrams`) is for our own two ends. With udp the server says so by
``tunnelsvc_datagram_frames`` in StartWorkConn. With sudp it says by the same name in
NewVisitorConnResp that the owner understands frames; then the visitor uses them, and the owner
tells by the first byte (`EitherDatagrams`). Frames follow each other without anything between, all
integers big-endian::

    u8 kind | u8 A | u16 D | A bytes: the user's address | D bytes: the datagram

    kind 1  a datagram; the address is 4 bytes (IPv4) or 16 (IPv6), u16 port, and for IPv6 the
            zone of a link-local address in ASCII, at most `MOST_ZONE_BYTES`
    kind 2  a ping: A and D are 0

So every datagram that UDP can carry fits. Both ways say the user's address with every datagram:
going to the service it is where the datagram comes from, coming back where it shall go.
"""

import binascii
import struct
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, Protocol

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.wire.dialect import V1, Dialect
from tunnelsvc.wire.messages import Ping, UDPAddress, UDPPacket
from tunnelsvc.wire.version import is_older

MOST_DATAGRAM_BYTES: Final = 65_535
"""UDP's own length field counts its head of 8 bytes as well, so none has as much."""
MOST_ZONE_BYTES: Final = 64
"""Of the name of a network interface; Linux has at most 15."""
CODECS_SINCE: Final = (0, 34)
"""The first frp that has cipher and compression where datagrams go; earlier ones send them as they
are, whatever the proxy says (protocol notes 6.5)."""
REMEMBERED: Final = 4096
"""Addresses whose bytes and values are kept: a datagram is seldom its user's only one."""

Datagram = tuple[UDPAddress, bytes]
"""The user and the content."""
SocketAddress = tuple[Any, ...]
"""As sockets have it: host, port, and for IPv6 flow and scope."""


class DatagramCodec(Protocol):
    """One way to carry datagrams on a byte stream; holds the unread bytes of one direction."""

    def encode(self, user: UDPAddress, content: bytes) -> bytes:
        """Make the bytes of one datagram.

        Raises:
            LocalProtocolError: it can't be carried this way.
        """

    def ping(self) -> bytes:
        """Make the bytes that only tell that we are here."""

    def feed(self, data: bytes) -> Sequence[Datagram]:
        """Take bytes, in order, and return the datagrams that are complete now.

        Raises:
            RemoteProtocolError: the peer's bytes are no datagrams.
        """


_HEAD: Final = struct.Struct(">BBH")
_PORT: Final = struct.Struct(">H")
_DATAGRAM: Final = 1
_PING: Final = 2
_IPV4_BYTES: Final = 4 + 2
_IPV6_BYTES: Final = 16 + 2
_LENGTHS: Final = {
    (_PING, 0),
    (_DATAGRAM, _IPV4_BYTES),
    *((_DATAGRAM, _IPV6_BYTES + zone) for zone in range(MOST_ZONE_BYTES + 1)),
}
"""Kinds, and lengths of the address that each may have."""


class FrameDatagrams:
    """Our own way. At most one frame is held back, whatever the peer sends."""

    def __init__(self) -> None:
        self._unread = bytearray()

    def encode(self, user: UDPAddress, content: bytes) -> bytes:
        """See `DatagramCodec`."""
        if len(content) > MOST_DATAGRAM_BYTES:
            raise LocalProtocolError(f"{len(content)} bytes are no datagram")
        address = _pack_address(user)
        return _HEAD.pack(_DATAGRAM, len(address), len(content)) + address + content

    def ping(self) -> bytes:
        """See `DatagramCodec`."""
        return _HEAD.pack(_PING, 0, 0)

    def feed(self, data: bytes) -> Sequence[Datagram]:
        """See `DatagramCodec`; a head is judged before the rest is there."""
        unread = self._unread
        unread += data
        found: list[Datagram] = []
        start = 0
        while len(unread) - start >= _HEAD.size:
            kind, address_bytes, content_bytes = _HEAD.unpack_from(unread, start)
            if (kind, address_bytes) not in _LENGTHS or (kind == _PING and content_bytes):
                raise RemoteProtocolError(f"no frame of a datagram begins with {kind}")
            address = start + _HEAD.size
            content = address + address_bytes
            end = content + content_bytes
            if end > len(unread):
                break
            if kind == _DATAGRAM:
                user = _unpack_address(bytes(unread[address:content]))
                found.append((user, bytes(unread[content:end])))
            start = end
        del unread[:start]
        return found


def takes_codecs(version: str, *, ours: bool) -> bool:
    """Whether a peer has cipher and compression where datagrams go.

    Args:
        version: frp's, as the peer says it.
        ours: whether it is one of our own programs.
    """
    return ours or not is_older(version, CODECS_SINCE)


@lru_cache(REMEMBERED)
def _pack_address(user: UDPAddress) -> bytes:
    try:
        address = ip_address(user.ip)
        zone = user.zone.encode("ascii")
        port = _PORT.pack(user.port)
    except (ValueError, struct.error):
        raise LocalProtocolError(f"no address of a user: {user}") from None
    if len(zone) > MOST_ZONE_BYTES or (zone and address.version == 4):  # noqa: PLR2004
        raise LocalProtocolError(f"no zone of a user: {user}")
    return address.packed + port + zone


@lru_cache(REMEMBERED)
def _unpack_address(packed: bytes) -> UDPAddress:
    if len(packed) == _IPV4_BYTES:
        return UDPAddress(ip=str(IPv4Address(packed[:4])), port=_PORT.unpack(packed[4:])[0])
    zone = packed[_IPV6_BYTES:]
    if not zone.isascii():
        raise RemoteProtocolError("the zone of an address is ASCII")
    return UDPAddress(
        ip=str(IPv6Address(packed[:16])),
        port=_PORT.unpack(packed[16:_IPV6_BYTES])[0],
        zone=zone.decode("ascii"),
    )


class MessageDatagrams:
    """frp's way.

    Messages that are no datagrams are ignored, as the real programs do; Ping is one of them.
    """

    def __init__(
        self,
        most_bytes: int = MOST_DATAGRAM_BYTES,
        dialect: Dialect = V1,
    ) -> None:
        """Begin.

        Args:
            most_bytes: the longest datagram that is sent; ``udp_packet_size``.
            dialect: how messages are written.
        """
        self._most_bytes = most_bytes
        self._reader = dialect.make_reader()
        self._encode = dialect.encode

    def encode(self, user: UDPAddress, content: bytes) -> bytes:
        """See `DatagramCodec`; what fits in no message can't be carried."""
        if len(content) > self._most_bytes:
            raise LocalProtocolError(f"a datagram of more than {self._most_bytes} bytes")
        text = binascii.b2a_base64(content, newline=False).decode("ascii")
        return self._encode(UDPPacket(c=text, r=user))

    def ping(self) -> bytes:
        """See `DatagramCodec`."""
        return self._encode(Ping())

    def feed(self, data: bytes) -> Sequence[Datagram]:
        """See `DatagramCodec`."""
        self._reader.feed(data)
        found: list[Datagram] = []
        while (message := self._reader.next_message()) is not None:
            if isinstance(message, UDPPacket):
                found.append((message.r or NOBODY, _content(message.c)))
        return found


class EitherDatagrams:
    """Whichever way the peer has: it speaks first, and no message begins as a frame does."""

    def __init__(self, messages: DatagramCodec) -> None:
        """Begin; `messages` is frp's way."""
        self._messages = messages
        self._chosen: DatagramCodec | None = None

    def encode(self, user: UDPAddress, content: bytes) -> bytes:
        """See `DatagramCodec`."""
        return (self._chosen or self._messages).encode(user, content)

    def ping(self) -> bytes:
        """See `DatagramCodec`; nothing before the peer has spoken."""
        return self._chosen.ping() if self._chosen is not None else b""

    def feed(self, data: bytes) -> Sequence[Datagram]:
        """See `DatagramCodec`."""
        if self._chosen is None and data:
            frames = data[0] in (_DATAGRAM, _PING)
            self._chosen = FrameDatagrams() if frames else self._messages
        return self._chosen.feed(data) if self._chosen is not None else ()


NOBODY: Final = UDPAddress()
"""Who a datagram is from, or for, that doesn't say it."""
_MAPPED: Final = "::ffff:"


@lru_cache(REMEMBERED)
def user_at(address: SocketAddress) -> UDPAddress:
    """Name a user as the protocol does: IPv4 as such, also on a socket for both families."""
    host: str = address[0]
    zone = str(address[3]) if len(address) > 3 and address[3] else ""  # noqa: PLR2004
    if host.startswith(_MAPPED) and "." in host:
        host = host.removeprefix(_MAPPED)
    return UDPAddress(ip=host, port=address[1], zone=zone)


def _content(text: str) -> bytes:
    """Decode base64 as Go does: standard alphabet, padded; line ends don't matter."""
    try:
        return binascii.a2b_base64(text.replace("\r", "").replace("\n", ""), strict_mode=True)
    except ValueError as why:
        raise RemoteProtocolError(f"UDPPacket: no base64: {why}") from None
