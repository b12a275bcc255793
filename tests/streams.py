"""Byte streams in memory, with back-pressure, half-close and loss."""

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IPushProducer,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import StreamReader

HIGH_WATER_BYTES = 65536
"""As Twisted's TCP transports have it."""
END = object()


@implementer(ITransport, IConsumer, IPushProducer)
class MemoryStream:
    """One end of a pair. Nothing moves but in `pump`."""

    disconnecting = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.protocol: StreamReader = Parked()
        self.peer: MemoryStream
        self.out: list[bytes | object] = []
        self.paused = True
        self.producer: Any = None
        self.producer_paused = False
        self.write_closed = False
        self.closing = False
        self.stopped = False
        self.lost = False
        self.host = IPv4Address("TCP", "127.0.0.1", 7000)
        self.remote = IPv4Address("TCP", "192.0.2.7", 51000)

    def buffered(self) -> int:
        """Bytes written and not taken by the peer."""
        return sum(len(item) for item in self.out if isinstance(item, bytes))

    def write(self, data: bytes) -> None:
        if self.write_closed or self.closing or self.lost:
            return
        self.out.append(data)
        if self.producer and self.buffered() > HIGH_WATER_BYTES and not self.producer_paused:
            self.producer_paused = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        assert not self.lost, f"{self.name}: half-close of a lost stream"
        if not self.write_closed:
            self.write_closed = True
            self.out.append(END)

    def loseConnection(self) -> None:
        if self.lost:
            return
        # Twisted never finishes closing while a producer is registered and paused.
        assert self.producer is None, f"{self.name}: closed with a producer"
        self.loseWriteConnection()
        self.closing = True

    def abortConnection(self) -> None:
        if not self.lost:
            self.out.clear()
            self._gone(ConnectionAborted())
            if not self.peer.lost:
                self.peer._gone(ConnectionLost())

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        assert streaming
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None
        if self.stopped and not self.lost:
            self.loseConnection()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        """Finish, as soon as nobody produces for us: what a dying TCP transport asks for."""
        self.stopped = True
        if self.producer is None:
            self.loseConnection()

    def untaken_bytes(self) -> int:
        return self.buffered()

    def getPeer(self) -> IAddress:
        return self.remote

    def getHost(self) -> IAddress:
        return self.host

    def _gone(self, error: Exception) -> None:
        self.lost = True
        if self.producer is not None:
            self.producer.stopProducing()
        self.protocol.connectionLost(Failure(error))

    def step(self) -> bool:
        """Move one item to the peer, or finish; False: nothing to do."""
        if self.lost:
            return False
        if self.out and self.peer.lost:
            self.out.clear()
        if self.out and not self.peer.paused and not self.peer.closing:
            item = self.out.pop(0)
            if isinstance(item, bytes):
                self.peer.protocol.dataReceived(item)
            else:
                self.peer.protocol.readConnectionLost()
            if not self.buffered() and self.producer_paused:
                self.producer_paused = False
                if self.producer:
                    self.producer.resumeProducing()
            return True
        if self.closing and (not self.out or self.peer.closing):
            self._gone(ConnectionDone())
            return True
        return False


@implementer(IHalfCloseableProtocol)
class Recorder:
    """Reads a stream and keeps what it is told."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.finished = False
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        self.finished = True

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason


@implementer(IPushProducer)
class Producer:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


def pair(name: str) -> tuple[MemoryStream, MemoryStream]:
    """Make two ends of one stream."""
    a, b = MemoryStream(f"{name}-a"), MemoryStream(f"{name}-b")
    a.peer, b.peer = b, a
    return a, b


def recorded(stream: MemoryStream) -> Recorder:
    """Read `stream` with a recorder."""
    recorder = Recorder()
    stream.protocol = recorder
    stream.paused = False
    return recorder


def pump(*streams: MemoryStream) -> None:
    """Move everything that can move between these ends and their peers."""
    ends = [end for stream in streams for end in (stream, stream.peer)]
    while any([end.step() for end in ends]):  # noqa: C419 - all of them, each round
        pass
