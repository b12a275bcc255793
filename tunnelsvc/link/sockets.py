# -*- test-case-name: tests.link.test_sockets -*-
"""Where `TCPStream`s come from: a listening port, and a connection attempt to an address.

A reactor that watches no file descriptors (in memory, on other platforms) gives Twisted's own.
"""

import errno
import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet import error, tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IWriteDescriptor
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.addresses import LOOPBACK
from tunnelsvc.handover import Parked
from tunnelsvc.link.sockopts import KEEPALIVE_SECONDS, tune_socket
from tunnelsvc.link.tcp import TCPStream
from tunnelsvc.timing import soon

S = TypeVar("S", bound=TCPStream)

BACKLOG = 1024
"""Connections that may wait to be accepted; the kernel cuts it to ``somaxconn``."""
MOST_AT_ONCE = 16
"""Connections accepted in one turn: the other program can begin with them meanwhile."""
_log = Logger()
_CONNECTED = (0, errno.EISCONN)
_UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY)


def free_port() -> int:
    """Find a TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


class _Port(tcp.Port):
    """Accepts connections as `TCPStream`."""

    _burst = 1
    """How many to look for at once: as many as came the last time, and more if all came."""

    def createInternetSocket(self) -> socket.socket:  # noqa: N802 - Twisted's name
        """Let IPv4 in as well where all addresses are meant, whatever the machine's default is."""
        made: socket.socket = super().createInternetSocket()
        if self.interface == "::":
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        return made

    def doRead(self) -> None:
        """Accept those who wait; what goes wrong is left to Twisted's way of doing it."""
        accepted = 0
        try:
            while accepted < self._burst and not self.disconnecting:
                # Not `accept`, which takes as long again to name the constants of each socket.
                descriptor, peer = self.socket._accept()  # type: ignore[union-attr]
                accepted += 1
                sock = socket.socket(self.addressFamily, self.socketType, fileno=descriptor)
                self._accepted(sock, peer)
        except BlockingIOError:
            pass
        except OSError:
            super().doRead()
        self._burst = min(2 * accepted, MOST_AT_ONCE) if accepted == self._burst else accepted or 1

    def transport(  # type: ignore[override]
        self,
        sock: socket.socket,
        protocol: Any,
        peer: tuple[Any, ...],
        _port: object,
        _number: int,
        reactor: Any,
    ) -> TCPStream:
        return TCPStream(sock, peer, protocol, reactor)

    def _accepted(self, sock: socket.socket, peer: tuple[Any, ...]) -> None:
        """Begin a connection; an error there must not end the port."""
        factory: Any = self.factory
        stream: TCPStream | None = None
        try:
            protocol = factory.buildProtocol(None)
            if protocol is not None:
                stream = TCPStream(sock, peer, protocol, self.reactor)
                protocol.makeConnection(stream)
        except Exception:  # noqa: BLE001
            _log.failure("accepting a connection failed")
            if stream is not None:
                stream.abortConnection()
        if stream is None:
            sock.close()


def listen(
    reactor: Any,
    number: int,
    factory: ServerFactory,
    *,
    interface: str,
    keepalive_seconds: float = KEEPALIVE_SECONDS,
) -> IListeningPort:
    """Listen on a TCP port.

    Args:
        reactor: what accepts.
        number: of the port; 0: any.
        factory: builds a protocol for each connection, told by ``makeConnection``. Unlike
            Twisted's, the connection doesn't read before it is resumed.
        interface: the address to listen on, IPv4 or IPv6; empty: all of IPv4, ``::``: all
            of both.
        keepalive_seconds: of the connections; see `tunnelsvc.link.sockopts.tune`.

    Raises:
        CannotListenError: it is taken, or not ours.
    """
    if not isinstance(reactor, PosixReactorBase):
        port: IListeningPort = reactor.listenTCP(
            number, factory, backlog=BACKLOG, interface=interface
        )
        return port
    lean = _Port(number, factory, BACKLOG, interface, reactor)
    lean.startListening()
    tune_socket(lean.socket, keepalive_seconds)  # accepted ones inherit the options
    return lean


async def connect(
    reactor: Any, host: str, port: int, *, timeout: float, source: str = ""
) -> TCPStream:
    """Connect to an address, no name.

    Args:
        reactor: what waits.
        host: IPv4 or IPv6 address.
        port: TCP port.
        timeout: seconds.
        source: local address to come from; empty: the system's choice.

    Returns:
        The connected stream, parked; at once where the kernel connects at once, as on this machine.

    Raises:
        ConnectError: there is nobody, no way, no answer in time, or no such source.
    """
    try:
        address = _resolved(host, port)
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as why:  # no more descriptors, no IPv6, no such interface
        raise _refusal(why) from why
    try:
        sock.setblocking(False)
        if source:
            sock.bind(_resolved(source, 0))
        code = sock.connect_ex(address)
        if code in _UNDER_WAY:  # it always says so first; on this machine it is done by now
            code = sock.connect_ex(address)
        if code in _UNDER_WAY:
            await _Attempt(reactor, sock, address, timeout).result
        elif code not in _CONNECTED:
            raise _failure(code)
    except BaseException as why:
        # Not at once, for the reason that `TCPStream` has.
        soon(reactor, sock.close)
        if isinstance(why, OSError | OverflowError):
            raise _refusal(why) from why
        raise
    return parked_stream(TCPStream, sock, address, reactor)


def _resolved(host: str, port: int) -> tuple[Any, ...]:
    """Replace an interface that an IPv6 address names by its number: ``fe80::1%eth0``."""
    if "%" not in host:
        return host, port
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )
    return found[0][4]


@implementer(IWriteDescriptor)
class _Attempt:
    """A connection that the kernel is making.

    Attributes:
        result: fires when it is made; fails with ``ConnectError``. Can be cancelled.
    """

    def __init__(
        self, reactor: Any, sock: socket.socket, address: tuple[Any, ...], timeout: float
    ) -> None:
        self.result: Deferred[None] = Deferred(lambda _: self._give_up(error.UserError()))
        self._reactor = reactor
        self._socket = sock
        self._address = address
        reactor.addWriter(self)
        self._deadline: IDelayedCall = reactor.callLater(
            timeout, self._give_up, error.TimeoutError()
        )

    def doWrite(self) -> None:
        """Ask what came of it."""
        code = self._socket.connect_ex(self._address)
        if code in _CONNECTED:
            self._stop_waiting()
            self.result.callback(None)
        elif code not in _UNDER_WAY:
            self._give_up(_refusal(_failure(code)))

    def connectionLost(self, reason: Failure) -> None:
        """Fail: the kernel reports an error; the reactor has looked before `doWrite` could."""
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._give_up(_refusal(_failure(code) if code else reason.value))

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return "connecting"

    def _give_up(self, why: BaseException) -> None:
        self._stop_waiting()
        if not self.result.called:
            self.result.errback(Failure(why))

    def _stop_waiting(self) -> None:
        self._reactor.removeWriter(self)
        if self._deadline.active():
            self._deadline.cancel()


def parked_stream(kind: type[S], sock: socket.socket, peer: tuple[Any, ...], reactor: Any) -> S:
    """Make a parked stream of a kind; for the rest see `TCPStream`."""
    parked = Parked()
    stream = kind(sock, peer, parked, reactor)
    parked.makeConnection(stream)
    return stream


def _failure(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def _refusal(why: BaseException | None) -> error.ConnectError:
    refusal: error.ConnectError = error.getConnectError(why)
    return refusal


class _Adopting(Parked):
    """Told when Twisted has let go of a connection."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002
        self._then()


def adopt(reactor: Any, transport: Any) -> Deferred[TCPStream]:
    """Make a connection of Twisted's ours.

    Args:
        reactor: that of the transport.
        transport: a connected, paused TCP transport that nobody has read from or written to.

    Returns:
        Fires with the stream, parked. Can be cancelled, which resets the connection.
    """
    sock: socket.socket = transport.getHandle().dup()
    peer = transport.getPeer()
    result: Deferred[TCPStream] = Deferred()

    def released() -> None:
        if result.called:  # cancelled
            sock.close()
            return
        # An abort only drops Twisted's descriptor, as long as there is ours, and it leaves the
        # socket such that our close would be an abort as well.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8))
        result.callback(parked_stream(TCPStream, sock, (peer.host, peer.port), reactor))

    transport.protocol = _Adopting(released)
    transport.abortConnection()
    return result
