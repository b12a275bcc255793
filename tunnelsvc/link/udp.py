# -*- test-case-name: tests.link.test_udp -*-
"""UDP sockets, for users of a port and to a local service.

Twisted's own cut the zone off an address, read empty datagrams without end while there are any, and
log two lines for each socket. We have a socket for each user.
"""

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.link.poller import watcher
from tunnelsvc.units import KiB, MiB
from tunnelsvc.wire.datagrams import SocketAddress

MOST_AT_ONCE = 128
"""Datagrams read in one turn; others get their turn, too."""
KERNEL_BUFFER_BYTES = 4 * MiB
"""What the kernel shall keep for us while we are busy. It grants less to most, and counts nearly a
kilobyte for the smallest datagram: its own default is full with 280 of those."""

Receive = Callable[[bytes, SocketAddress], None]
"""Takes a datagram and where it comes from."""

_log = Logger()
_BUFFER = memoryview(bytearray(64 * KiB))
_NOTHING_NOW = (errno.EAGAIN, errno.EINTR)


class UDPSocket:
    """A socket that the reactor reads, until it is closed."""

    def __init__(
        self,
        reactor: Any,
        handle: socket.socket,
        receive: Receive,
        on_error: Callable[[OSError], None] = lambda _: None,
    ) -> None:
        """Begin to read.

        Args:
            reactor: what watches.
            handle: bound or connected; is closed with this.
            receive: takes what comes in.
            on_error: told what the network says of earlier datagrams: that nobody is there.
        """
        self._handle = handle
        self._receive = receive
        self._on_error = on_error
        self._watcher = watcher(reactor)
        self._open = True
        self._watcher.addReader(self)

    def send(self, data: bytes) -> bool:
        """Send to where the socket is connected; False: the system didn't take it."""
        if not self._open:
            return False
        try:
            self._handle.send(data)
        except ConnectionRefusedError as why:
            # That was an answer to an earlier datagram; this one hasn't been sent yet.
            self._on_error(why)
            return self._send_again(data)
        except OSError:
            return False
        return True

    def _send_again(self, data: bytes) -> bool:
        with suppress(OSError):
            return self._open and self._handle.send(data) >= 0
        return False

    def send_to(self, data: bytes, address: SocketAddress) -> bool:
        """Send to somebody; False: the system didn't take it."""
        with suppress(OSError):
            return self._open and self._handle.sendto(data, address) >= 0
        return False

    def close(self) -> None:
        """Read no more, and free the port."""
        if self._open:
            self._watcher.removeReader(self)
            self._open = False
            self._handle.close()

    def stopListening(self) -> None:
        """As Twisted's ports call it."""
        self.close()

    def getHost(self) -> IPv4Address | IPv6Address:
        """Return the address of this end."""
        host, port = self._handle.getsockname()[:2]
        kind = IPv6Address if self._handle.family == socket.AF_INET6 else IPv4Address
        return kind("UDP", host, port)

    # As what watches sees it.

    def fileno(self) -> int:
        """See `tunnelsvc.link.poller.Watched`."""
        return self._handle.fileno()

    def logPrefix(self) -> str:
        """Name what fails in the log."""
        return "udp"

    def doRead(self) -> None:
        """Take what has come."""
        for _ in range(MOST_AT_ONCE):
            if not self._open:
                return
            try:
                length, peer = self._handle.recvfrom_into(_BUFFER)
            except OSError as why:
                if why.errno in _NOTHING_NOW:
                    return
                self._on_error(why)
                continue
            try:
                self._receive(bytes(_BUFFER[:length]), peer)
            except Exception:  # noqa: BLE001 - it costs this datagram, and no other
                _log.failure("taking a datagram failed")

    def doWrite(self) -> None:
        """Never asked for."""

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """The reactor ends."""
        self.close()


def listen_udp(reactor: Any, number: int, receive: Receive, *, interface: str) -> UDPSocket:
    """Take a UDP port.

    Args:
        reactor: what watches.
        number: of the port; 0: any.
        receive: takes what comes in.
        interface: the address to listen on, IPv4 or IPv6 (``::`` is both); empty: all of IPv4.

    Raises:
        CannotListenError: it is taken, or not ours.
    """
    try:
        handle = _socket(interface)
        try:
            if interface == "::":  # whatever the machine's default is
                handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            handle.bind((interface, number))
        except BaseException:
            handle.close()
            raise
    except OSError as why:
        raise CannotListenError(interface, number, why) from why
    return UDPSocket(reactor, handle, receive)


def connect_udp(
    reactor: Any, host: str, port: int, receive: Receive, on_error: Callable[[OSError], None]
) -> UDPSocket:
    """Make a socket that talks with one address only.

    Args:
        reactor: what watches.
        host: IPv4 or IPv6 address.
        port: UDP port.
        receive: takes what comes in.
        on_error: see `UDPSocket`.

    Raises:
        OSError: there is no way there, or there are too many sockets.
    """
    handle = _socket(host)
    try:
        handle.connect((host, port))
    except BaseException:
        handle.close()
        raise
    return UDPSocket(reactor, handle, receive, on_error)


def _socket(host: str) -> socket.socket:
    """Make a socket of the family of an address, with room in the kernel."""
    handle = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    handle.setblocking(False)
    for plain, forced in (
        (socket.SO_RCVBUF, _RCVBUFFORCE),
        (socket.SO_SNDBUF, _SNDBUFFORCE),
    ):
        try:
            handle.setsockopt(socket.SOL_SOCKET, forced, KERNEL_BUFFER_BYTES)
        except OSError:  # only root may exceed the system's limit
            with suppress(OSError):
                handle.setsockopt(socket.SOL_SOCKET, plain, KERNEL_BUFFER_BYTES)
    return handle


# Linux's numbers (asm-generic/socket.h); the `socket` module has no names for them.
_SNDBUFFORCE = 32
_RCVBUFFORCE = 33
