# -*- test-case-name: tests.relay.test_join -*-
"""What all byte streams of this package have in common, whatever carries them."""

import socket
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from zope.interface import Interface


class StreamReader(Protocol):
    """Who reads a `Stream`. A Twisted protocol that provides ``IHalfCloseableProtocol``."""

    def dataReceived(self, data: bytes) -> None:
        """Take bytes, in order."""

    def readConnectionLost(self) -> None:
        """The peer finished its direction (end of file). Ours is still open."""

    def writeConnectionLost(self) -> None:
        """Our direction is finished and everything written was handed on."""

    def connectionLost(self, reason: Failure) -> None:
        """Both directions are gone. Called once, nothing follows."""


class Stream(Protocol):
    """A byte stream in both directions: a TCP connection, a TLS connection, a yamux stream.

    Twisted's ``ITransport`` + ``IConsumer`` + ``IPushProducer`` with half-close and abort, as
    ``twisted.internet.tcp.Connection`` has them. `protocol` is whoever reads at present and may
    be exchanged at any time, by `tunnelsvc.handover.attach`.
    """

    protocol: StreamReader

    def write(self, data: bytes) -> None:
        """Send bytes, buffering what can't go yet. Ignored once the direction is closed."""

    def loseWriteConnection(self) -> None:
        """Finish our direction after what is buffered; keep reading."""

    def loseConnection(self) -> None:
        """Finish both directions after what is buffered. Unregister a producer first."""

    def abortConnection(self) -> None:
        """Drop both directions now, so that the peer sees a reset."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume an ``IPushProducer`` as the send buffer fills and empties."""

    def unregisterProducer(self) -> None:
        """Forget the producer."""

    def pauseProducing(self) -> None:
        """Stop calling ``dataReceived`` until resumed."""

    def resumeProducing(self) -> None:
        """Call ``dataReceived`` again."""

    def stopProducing(self) -> None:
        """Finish both directions: who took what we read is gone.

        If there is a producer, not before it is unregistered: its owner may yet abort instead.
        """

    def getPeer(self) -> IAddress:
        """Address of the far end."""

    def getHost(self) -> IAddress:
        """Address of this end."""


class IViewConsumer(Interface):
    """Marks a `Stream` whose ``write`` also takes a view of a buffer that its owner uses again."""


class ILingering(Interface):
    """Marks a `Stream` whose ``loseConnection`` reads on, for nobody, until the peer has closed."""


class ISocketStream(IViewConsumer):
    """Marks a `SocketStream`."""


class SocketStream(Stream, Protocol):
    """A `Stream` that is a socket, and lets somebody else carry its bytes.

    Attributes:
        connected: whether the socket is open.
        unsent_bytes: those that wait for the kernel.
    """

    connected: bool
    unsent_bytes: int

    def write(self, data: bytes | memoryview) -> None:
        """As `Stream.write`; what has to wait is copied."""

    def getHandle(self) -> socket.socket:
        """Return the socket."""

    def fileno(self) -> int:
        """Return the descriptor; -1 once it is closed."""

    def read_by(self, mover: Callable[[], None]) -> None:
        """Call `mover` instead of reading, from now on, whenever there is something to read."""

    def end_arrived(self) -> None:
        """Take note that `mover` read the end of file."""

    def read_failed(self, why: OSError) -> None:
        """Take note that `mover` couldn't read."""

    def fill_by(self, filler: Callable[[], bool]) -> None:
        """Call `filler` when the kernel takes more, until it returns True; end nothing before."""

    def write_failed(self, why: OSError) -> None:
        """Take note that `filler` couldn't write."""
