# -*- test-case-name: tests.link.test_unixsocket -*-
"""Connections to a socket in the file system (AF_UNIX), as lean byte streams.

They are `TCPStream`s in all but their addresses, so that a joined pair takes the fast way. Two
things are different in the kernel: a connection is made at once or not at all, and a reset reaches
the peer as an end of file, unless it had written something that we haven't read.
"""

import errno
import os
import socket
from typing import Any

from twisted.internet import error
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import ITCPTransport, ITransport
from twisted.internet.task import deferLater
from zope.interface import implementedBy, implementer_only

from tunnelsvc.link.sockets import parked_stream
from tunnelsvc.link.tcp import TCPStream

RETRY_SECONDS = 0.05
"""Between two attempts while more wait to be accepted than may."""


@implementer_only(ITransport, implementedBy(TCPStream) - ITCPTransport)
class UnixStream(TCPStream):
    """A connection to a socket in the file system; see `tunnelsvc.interfaces.SocketStream`."""

    __slots__ = ()

    def getPeer(self) -> UNIXAddress:  # type: ignore[override]
        """The socket's path."""
        return UNIXAddress(os.fsencode(self._peer[0]))

    def getHost(self) -> UNIXAddress:  # type: ignore[override]
        """This end has no name."""
        return UNIXAddress(None)


async def connect_unix(reactor: Any, path: str, *, timeout: float) -> UnixStream:
    """Connect to a socket in the file system.

    Args:
        reactor: what waits.
        path: of the socket.
        timeout: seconds.

    Returns:
        The connected stream, parked.

    Raises:
        ConnectError: there is none, nobody listens, or nobody accepts within the time.
    """
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as why:
        raise error.getConnectError(why) from why
    try:
        sock.setblocking(False)
        await _connect(reactor, sock, path, reactor.seconds() + timeout)
    except BaseException:
        sock.close()
        raise
    return parked_stream(UnixStream, sock, (path,), reactor)


async def _connect(reactor: Any, sock: socket.socket, path: str, deadline: float) -> None:
    while True:
        try:
            code = sock.connect_ex(path)
        except (OSError, ValueError) as why:  # a path that is too long, or holds NUL
            raise error.ConnectError(string=str(why)) from why
        if not code:
            return
        if code != errno.EAGAIN:
            raise error.getConnectError(OSError(code, os.strerror(code)))
        if reactor.seconds() >= deadline:
            raise error.TimeoutError
        await deferLater(reactor, RETRY_SECONDS)
