# -*- test-case-name: tests.link.test_tcp -*-
"""What a TCP connection knows of itself, and what of it can be chosen."""

import fcntl
import socket
import sys
import termios
from contextlib import suppress
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address


class TCPFacts:
    """The part of `tunnelsvc.link.tcp.TCPStream` by which no bytes pass.

    Attributes:
        connected: as Twisted's transports have it.
        unsent_bytes: those that wait for the kernel.
    """

    __slots__ = ("_peer", "_socket", "connected", "unsent_bytes")

    def __init__(self, sock: socket.socket, peer: tuple[Any, ...]) -> None:
        self.connected = True
        self.unsent_bytes = 0
        self._socket = sock
        self._peer = peer

    def fileno(self) -> int:
        """Return the descriptor; -1 once it is closed."""
        return self._socket.fileno()

    def getHandle(self) -> socket.socket:
        """Return the socket, to ask it things."""
        return self._socket

    def untaken_bytes(self) -> int:
        """See `tunnelsvc.handover.untaken_bytes`; the kernel's part is ``SIOCOUTQ`` of tcp(7)."""
        if not self.connected:
            return 0
        with suppress(OSError):  # not every kernel tells
            answer = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))
            return self.unsent_bytes + int.from_bytes(answer, sys.byteorder)
        return self.unsent_bytes

    def getPeer(self) -> IPv4Address | IPv6Address:
        """Address of the far end."""
        return _address(self._peer)

    def getHost(self) -> IPv4Address | IPv6Address:
        """Address of this end; of a closed connection it is unspecified."""
        if not self.connected:
            nowhere = "::" if self._socket.family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104
            return _address((nowhere, 0))
        return _address(self._socket.getsockname())

    def getTcpNoDelay(self) -> bool:
        """Whether small writes go out at once."""
        return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Choose whether small writes go out at once."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """Whether the kernel probes an idle peer."""
        return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Choose whether the kernel probes an idle peer."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)


def unmapped(host: str) -> str:
    """Give an IPv4 address as such; a port for both protocols has it as ``::ffff:192.0.2.1``."""
    return host.removeprefix("::ffff:") if "." in host else host


def _address(address: tuple[Any, ...]) -> IPv4Address | IPv6Address:
    host, port, *_ = address
    host = unmapped(host)
    # Asking the socket for its family makes an enumeration's member each time.
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, port)
