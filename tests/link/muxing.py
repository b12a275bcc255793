"""What the tests of yamux sessions share: two of them on a wire in memory, or one and its bytes."""

import struct

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.streams import MemoryStream, pair, pump, recorded
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.mux import MuxSession
from tunnelsvc.link.muxstream import MuxStream
from tunnelsvc.wire import yamux

DATA, CREDIT, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
BIG_DELTA = 0x005C0000


def frame(kind: int, flags: int, number: int, length: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BBHII", 0, kind, flags, number, length) + payload


def data_frame(number: int, payload: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, number, len(payload), payload)


def headers(data: bytes) -> list[tuple[int, int, int, int]]:
    """Kind, flags, stream and length of each frame."""
    found, position = [], 0
    while position < len(data):
        _, kind, flags, number, length = struct.unpack_from(">BBHII", data, position)
        found.append((kind, flags, number, length))
        position += 12 + (length if kind == DATA else 0)
    return found


@implementer(IHalfCloseableProtocol)
class Reader:
    """Keeps what it is told, and in which order."""

    def __init__(self, stream: Stream | None = None) -> None:
        self.received = bytearray()
        self.events: list[str] = []
        self.reasons: list[Failure] = []
        self.knows = stream
        if stream is not None:
            attach(stream, self)
            stream.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.events.append(f"{len(data)} bytes")

    def readConnectionLost(self) -> None:
        self.events.append("end")

    def writeConnectionLost(self) -> None:
        self.events.append("finished")

    def connectionLost(self, reason: Failure) -> None:
        self.events.append("lost")
        self.reasons.append(reason)

    def why(self) -> type[BaseException] | None:
        """Return why it was lost; it must have been, once."""
        assert len(self.reasons) == 1, self.events
        return self.reasons[0].type


@implementer(IPushProducer)
class Producer:
    """Keeps what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class MuxCase(SynchronousTestCase):
    """A client and a server session on `wire` and its peer; `accepted` are the server's streams."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wires = self.make_wires()
        self.accepted: list[MuxStream] = []
        self.losses: list[Failure] = []
        window = yamux.MAX_WINDOW_BYTES
        self.client = MuxSession(client=True, clock=self.clock, first_window=window)
        self.server = MuxSession(
            client=False,
            clock=self.clock,
            on_stream=self.accepted.append,
            first_window=window,
        )
        self.client.on_lost = self.losses.append
        for session, wire in zip((self.client, self.server), self.wires, strict=True):
            session.makeConnection(wire)
            attach(wire, session)
            wire.resumeProducing()

    def make_wires(self) -> tuple[MemoryStream, MemoryStream]:
        return pair("wire")

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        pump(self.wires[0])
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)
            pump(self.wires[0])

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()

    def opened(self) -> tuple[MuxStream, MuxStream]:
        """Open a stream; return the client's end and the server's, parked."""
        stream = self.client.open_stream()
        self.settle()
        return stream, self.accepted[-1]

    def read(self) -> tuple[MuxStream, Reader, MuxStream, Reader]:
        """Open a stream and read both ends."""
        ours, theirs = self.opened()
        return ours, Reader(ours), theirs, Reader(theirs)


class RawCase(SynchronousTestCase):
    """One session, whose peer is the test itself."""

    client = False
    keepalive_seconds = 30.0

    def setUp(self) -> None:
        self.clock = Clock()
        self.peer, self.wire = pair("wire")
        self.seen = recorded(self.peer)
        self.accepted: list[MuxStream] = []
        self.losses: list[Failure] = []
        self.session = MuxSession(
            client=self.client,
            clock=self.clock,
            on_stream=self.on_stream,
            keepalive_seconds=self.keepalive_seconds,
            first_window=yamux.MAX_WINDOW_BYTES,
        )
        self.session.on_lost = self.losses.append
        self.session.makeConnection(self.wire)
        attach(self.wire, self.session)
        self.wire.resumeProducing()

    def on_stream(self, stream: MuxStream) -> None:
        self.accepted.append(stream)

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        pump(self.peer)
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)
            pump(self.peer)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()

    def give(self, data: bytes) -> None:
        """Let the session read."""
        self.peer.write(data)
        self.settle()

    def sent(self) -> list[tuple[int, int, int, int]]:
        """Take the headers of what the session has sent."""
        self.settle()
        data = bytes(self.seen.received)
        self.seen.received.clear()
        return headers(data)

    def stream(self, credit: int = 0) -> MuxStream:
        """Let the peer open stream 1, and forget the acceptance."""
        self.give(frame(CREDIT, SYN, 1, credit))
        self.sent()
        return self.accepted[-1]
