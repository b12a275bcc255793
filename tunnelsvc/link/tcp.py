# -*- test-case-name: tests.link.test_tcp -*-
"""A TCP connection as a lean byte stream (hops 1, 4 and 7).

Why not Twisted's own
=====================

Twisted's transports send in the next turn of the reactor, and have the kernel watch each socket for
writing before and not after: two system calls around each ``send``, and a wait. Here bytes go out
at once, and the socket is watched only while the kernel takes no more. A connection also costs half
the processor time and memory: no timers, no texts for logs, addresses only when asked for. It is
watched by `tunnelsvc.link.poller`, and its rules are those of Twisted's transports, above all
that nothing calls back from within a call of the application.

How a stream ends
=================

As `tunnelsvc.interfaces.Stream` says. A peer that resets the connection while we write may have
said something before: it is read first, and then the loss is told, as a loss even where the kernel
reports it as an end of file. A paused stream doesn't read: it is lost at once.

The socket is closed when the end is told, never within a call of the application: a connection that
is made in the same turn could get the number of the descriptor, and with it the events that the
reactor still has for the closed one.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IPushProducer,
    IReadWriteDescriptor,
    ISystemHandle,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import last_reader
from tunnelsvc.interfaces import ISocketStream, StreamReader
from tunnelsvc.link.poller import watcher
from tunnelsvc.link.tcpfacts import TCPFacts
from tunnelsvc.timing import soon
from tunnelsvc.units import KiB

READ_BYTES = 64 * KiB
"""What one turn of the reactor reads, so that connections are served fairly."""
MOST_READ_BYTES = 256 * KiB
"""The same for one whose sender is ahead of us."""
BUFFER_BYTES = 64 * KiB
"""Unsent bytes above which a producer is paused; as Twisted's ``FileDescriptor.bufferSize``."""
JOIN_BYTES = 4 * KiB
"""Pieces up to this sum are joined before they are sent; above, gathering by the kernel is less."""
GATHERED_PIECES = 1024
"""As many the kernel gathers (``UIO_MAXIOV``); to more it says that the message is too long."""

_AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, errno.ENOBUFS)
_DONE = Failure(error.ConnectionDone())


@implementer(
    ITCPTransport,
    IConsumer,
    IPushProducer,
    IReadWriteDescriptor,
    IHalfCloseableDescriptor,
    ISystemHandle,
    ISocketStream,
)
class TCPStream(TCPFacts):
    """See `tunnelsvc.interfaces.SocketStream`.

    Attributes:
        protocol: who reads at present.
        disconnecting: whether it is about to close.
    """

    __slots__ = (
        "__weakref__",
        "_broken",
        "_filler",
        "_finishing",
        "_more",
        "_mover",
        "_producer",
        "_producer_paused",
        "_reactor",
        "_read_bytes",
        "_read_finished",
        "_reading",
        "_unsent",
        "_watcher",
        "_write_finished",
        "_writing",
        "disconnecting",
        "protocol",
    )

    def __init__(
        self, sock: socket.socket, peer: tuple[Any, ...], protocol: StreamReader, reactor: Any
    ) -> None:
        """Wrap a connected socket, paused.

        Args:
            sock: TCP over IPv4 or IPv6; the stream owns it.
            peer: its address, as ``accept`` gives it.
            protocol: who reads; not told of the connection.
            reactor: provides ``IReactorFDSet`` and ``IReactorTime``.
        """
        super().__init__(sock, peer)
        sock.setblocking(False)
        self.protocol = protocol
        self.disconnecting = False
        self._reactor = reactor
        self._watcher = watcher(reactor)
        self._reading = self._writing = False
        self._read_bytes = READ_BYTES
        self._read_finished = self._write_finished = self._finishing = False
        self._unsent: bytes | memoryview = b""
        self._more: list[bytes] = []
        self._producer: Any = None
        self._producer_paused = False
        self._broken: Failure | None = None
        self._mover: Callable[[], None] | None = None
        self._filler: Callable[[], bool] | None = None

    # What the reactor tells.

    def doRead(self) -> None:
        """Give what has arrived to the reader."""
        if not self._reading:  # paused by another reader since the reactor looked
            return
        if self._mover is not None:
            self._mover()
            return
        try:
            data = self._socket.recv(self._read_bytes)
        except OSError as why:
            if why.errno not in _AGAIN:
                self.read_failed(why)
            return
        if data:
            self._read_bytes = MOST_READ_BYTES if len(data) == self._read_bytes else READ_BYTES
            self.protocol.dataReceived(data)
        else:
            self.end_arrived()

    def end_arrived(self) -> None:
        """See `SocketStream`."""
        self._stop_reading()
        self._read_finished = True
        if self._broken is not None:
            self.connectionLost(self._broken)
        elif IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self.connectionLost(_DONE)

    def doWrite(self) -> None:
        """Send what the kernel takes by now."""
        if not self._writing:  # ended by `doRead`, which comes first
            return
        if self.unsent_bytes and not self._send_unsent():
            return
        if self._filler is not None:
            if not self._filler():
                return
            self._filler = None
        self._stop_writing()
        self._finish_if_flushed()
        if self._producer_paused and self._producer is not None:
            self._producer_paused = False
            self._producer.resumeProducing()

    def _send_unsent(self) -> bool:
        if self._more:
            self._unsent = b"".join((self._unsent, *self._more))
            self._more.clear()
        sent = self._send(self._unsent)
        self.unsent_bytes -= sent
        self._unsent = memoryview(self._unsent)[sent:] if self.unsent_bytes else b""
        return not self.unsent_bytes

    def readConnectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """Look what it is: of a stream resumed in this turn a reset is reported as an end, too."""
        self._watcher.addReader(self)

    def writeConnectionLost(self, reason: Failure) -> None:
        """Part of ``IHalfCloseableDescriptor``; no reactor calls it."""

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket and tell the producer and the reader, once."""
        if not self.connected:
            return
        self.connected = False
        self._finishing = self._write_finished = True
        self._let_go()
        self._socket.close()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        last_reader(self).connectionLost(reason)

    def logPrefix(self) -> str:
        """Name what fails in the log."""
        return type(self.protocol).__name__

    # Reading: what the application asks for.

    def pauseProducing(self) -> None:
        """Leave what arrives with the kernel."""
        self._stop_reading()

    def resumeProducing(self) -> None:
        """Read again, from the next turn on."""
        if self._reading or self._read_finished or self.disconnecting or not self.connected:
            return
        self._reading = True
        self._watcher.addReader(self)

    def stopProducing(self) -> None:
        """Close: whom we produced for is gone."""
        self.loseConnection()

    # Writing.

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes; what the kernel doesn't take is copied and waits."""
        if self._finishing or not data:
            return
        sent = 0 if self.unsent_bytes else self._send(data)
        if sent < len(data):
            self._keep(bytes(data[sent:]))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        pieces = list(data)
        total = sum(map(len, pieces))
        if total <= JOIN_BYTES or self.unsent_bytes or self._finishing:
            self.write(b"".join(pieces))
            return
        try:
            sent = self._socket.sendmsg(pieces[:GATHERED_PIECES])
        except OSError as why:
            sent = self._failed(why, total)
        if sent < total:
            self._keep(b"".join(pieces)[sent:])

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except OSError as why:
            return self._failed(why, len(data))

    def _failed(self, why: OSError, length: int) -> int:
        """Return how much of what couldn't be sent is done with: all, on a broken connection."""
        if why.errno in _AGAIN:
            return 0
        self.write_failed(why)
        return length

    def write_failed(self, why: OSError) -> None:
        """See `SocketStream`; what the peer had said before can still be read."""
        self._broken = self._broken or _loss(why)
        self._finishing = self._write_finished = True
        if not self._reading:
            soon(self._reactor, self._over)

    def read_failed(self, why: OSError) -> None:
        """See `SocketStream`."""
        self.connectionLost(self._broken or _loss(why))

    def read_by(self, mover: Callable[[], None]) -> None:
        """See `SocketStream`."""
        self._mover = mover

    def fill_by(self, filler: Callable[[], bool]) -> None:
        """See `SocketStream`."""
        self._filler = filler
        self._start_writing()

    def _keep(self, data: bytes) -> None:
        self.unsent_bytes += len(data)
        if self._unsent:
            self._more.append(data)
        else:
            self._unsent = data
        self._start_writing()
        if self.unsent_bytes > BUFFER_BYTES and self._producer and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume a push producer as what waits grows and shrinks.

        Raises:
            RuntimeError: there is one already, or it isn't a push producer.
        """
        if self._producer is not None or not streaming:
            raise RuntimeError(f"can't register {producer}: one push producer at a time")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer, self._producer_paused = producer, False

    def unregisterProducer(self) -> None:
        """Forget the producer; an end that waited for it comes."""
        self._producer = None
        self._finish_if_flushed()

    # Ending.

    def loseWriteConnection(self) -> None:
        """Finish our direction after what is buffered; keep reading."""
        self._finishing = True
        self._finish_if_flushed()

    def loseConnection(self) -> None:
        """Finish both directions after what is buffered."""
        if self.disconnecting or not self.connected:
            return
        self.disconnecting = self._finishing = True
        self._stop_reading()
        self._finish_if_flushed()

    def abortConnection(self) -> None:
        """Reset the connection."""
        if not self.connected:
            return
        self.disconnecting = self._finishing = self._write_finished = True
        self._broken = Failure(error.ConnectionAborted())
        # Linger for zero seconds: close() sends a reset.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end()

    def _finish_if_flushed(self) -> None:
        if not self._finishing or self.unsent_bytes or self._producer or self._filler:
            return
        if self.disconnecting:
            self._end()
        elif not self._write_finished:
            self._write_finished = True
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError as why:  # the peer was faster
                self._failed(why, 0)
                return
            soon(self._reactor, self._tell_finished)

    def _tell_finished(self) -> None:
        if self.connected and IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.writeConnectionLost()

    def _end(self) -> None:
        self._let_go()
        soon(self._reactor, self._over)

    def _over(self) -> None:
        self.connectionLost(self._broken or _DONE)

    def _let_go(self) -> None:
        self._stop_reading()
        self._stop_writing()
        self._unsent, self.unsent_bytes = b"", 0
        self._more.clear()
        self._mover = self._filler = None

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._watcher.removeReader(self)

    def _start_writing(self) -> None:
        if not self._writing and not self._write_finished:
            self._writing = True
            self._watcher.addWriter(self)

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._watcher.removeWriter(self)


def _loss(why: OSError) -> Failure:
    return Failure(error.ConnectionLost(os.strerror(why.errno) if why.errno else str(why)))
