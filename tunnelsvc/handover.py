# -*- test-case-name: tests.test_handover -*-
"""Exchanging the reader of a byte stream without losing an event.

Every stream starts, and waits between two readers, with a `Parked` protocol. `attach` is the only
way by which a new reader takes over.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Final, cast
from weakref import WeakSet

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IReactorTime, ITransport
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.task import LoopingCall, deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.interfaces import Stream, StreamReader

SWEEP_SECONDS = 30.0
"""Between two looks for dead connections; a look costs a microsecond each."""
TCP_CLOSE = 7
"""State of a connection that was reset (``linux/tcp_states.h``)."""
TURNS = 5
"""As many as streams can lie within each other, and some."""


@implementer(IHalfCloseableProtocol)
class Parked(Protocol):
    """Reads for nobody: keeps what happens to a paused stream until `attach` replays it.

    A paused stream still may be lost (its session dies, its peer resets it), and TLS may still
    hold decrypted bytes. What can arrive is bounded by what the stream had read when paused.
    """

    def __init__(self, on_connected: Callable[[Stream], None] | None = None) -> None:
        self._on_connected = on_connected
        self._held: list[bytes] = []
        self._finished = False
        self._lost: Failure | None = None

    def connectionMade(self) -> None:
        """Pause the fresh stream and tell whoever waits for it.

        An endpoint puts a protocol of its own before ours; from here on nobody is in between.
        """
        stream: Stream = self.transport  # type: ignore[assignment]
        stream.protocol = self
        stream.pauseProducing()
        if self._on_connected is not None:
            self._on_connected(stream)

    def dataReceived(self, data: bytes) -> None:
        """Keep bytes that were on their way."""
        self._held.append(data)

    def readConnectionLost(self) -> None:
        """Remember the peer's end of file."""
        self._finished = True

    def writeConnectionLost(self) -> None:
        """Nobody waits for it."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Remember the loss, and stay where `attach` looks: a lost TCP connection forgets us."""
        self._lost = reason
        if self.transport is not None:
            cast("Stream", self.transport).protocol = self

    def replay(self, stream: Stream) -> None:
        """Tell all that happened since `stream` was parked, in order, to who reads it.

        That is asked for each event: a reader may hand the stream on when it hears of one.
        """
        for data in self._held:
            stream.protocol.dataReceived(data)
        if self._lost is not None:
            stream.protocol.connectionLost(self._lost)
        elif self._finished:
            stream.protocol.readConnectionLost()


@implementer(IHalfCloseableProtocol)
class Nobody:
    """Reads, and does nothing with it."""

    def dataReceived(self, data: bytes) -> None:
        """See `StreamReader`."""

    def readConnectionLost(self) -> None:
        """Likewise."""

    def writeConnectionLost(self) -> None:
        """Likewise."""

    def connectionLost(self, reason: Failure) -> None:
        """Likewise."""


_NOBODY: Final[StreamReader] = Nobody()


def last_reader(stream: Stream) -> StreamReader:
    """Take the reader of a stream that is lost, to tell it so.

    A lost stream that keeps its reader, which knows its stream, is garbage that Python has to look
    for; else all of a connection is gone with the last who uses it.
    """
    reader, stream.protocol = stream.protocol, _NOBODY
    return reader


def park(stream: Stream) -> None:
    """Pause `stream` and keep its events until the next `attach`."""
    stream.pauseProducing()
    parked = Parked()
    parked.transport = cast("ITransport", stream)
    stream.protocol = parked


def attach(stream: Stream, reader: StreamReader) -> None:
    """Make `reader` the reader of `stream`, and tell it what it missed.

    The stream stays paused if it was: the reader resumes it when it is ready.
    """
    before = stream.protocol
    stream.protocol = reader
    if isinstance(before, Parked):
        before.replay(stream)


class Connections:
    """The TCP connections of one program, whoever reads them: to cut all when it stops."""

    def __init__(self) -> None:
        self._streams: WeakSet[Stream] = WeakSet()
        self._sweeping: LoopingCall | None = None

    def add(self, stream: Stream) -> None:
        """Take note of a connection; it is forgotten by itself when it is gone."""
        self._streams.add(stream)

    async def abort_all(self, clock: IReactorTime) -> None:
        """Cut all, once the last words that were written are out, and wait until all know."""
        if self._sweeping is not None and self._sweeping.running:
            self._sweeping.stop()
        await _turns(clock)
        for stream in list(self._streams):
            stream.abortConnection()
        await _turns(clock)

    def sweep(self) -> None:
        """Cut connections that the kernel has given up and nobody has noticed.

        A paused connection isn't watched by the reactor: if its peer resets it, and whoever should
        resume it waits for that peer, both would stay for ever.
        """
        for stream in list(self._streams):
            if _is_dead(stream):
                stream.abortConnection()

    def sweep_regularly(self, clock: IReactorTime) -> LoopingCall:
        """Call `sweep` from time to time until `abort_all`, or until the result is stopped."""
        self._sweeping = sweeping = LoopingCall(self.sweep)
        sweeping.clock = clock
        sweeping.start(SWEEP_SECONDS, now=False)
        return sweeping


def _is_dead(stream: Stream) -> bool:
    handle = getattr(stream, "getHandle", lambda: None)()
    if handle is None or not hasattr(socket, "TCP_INFO"):
        return False
    with contextlib.suppress(OSError):
        state: int = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state == TCP_CLOSE
    return False


async def _turns(clock: IReactorTime) -> None:
    """Let the reactor turn: a write goes out in the next turn, a cut is told in the next.

    Both then pass from stream to stream: TCP, TLS, yamux, and what it is joined to.
    """
    for _ in range(TURNS):
        await deferLater(clock, 0)


class ParkingFactory(ServerFactory):
    """Accepts connections paused, and gives each to `on_stream`."""

    noisy = False

    def __init__(
        self, on_stream: Callable[[Stream], None], connections: Connections | None = None
    ) -> None:
        """Begin.

        Args:
            on_stream: takes each connection.
            connections: takes note of each.
        """
        self._on_stream = on_stream
        self._connections = connections

    def buildProtocol(self, addr: IAddress | None) -> Parked:  # noqa: ARG002
        """Build the protocol that only waits."""
        return Parked(self._connected)

    def _connected(self, stream: Stream) -> None:
        if self._connections is not None:
            self._connections.add(stream)
        self._on_stream(stream)


def untaken_bytes(stream: Stream) -> int:
    """Count what was written and hasn't arrived yet at the peer's machine.

    Layers between may have made more or less of it: it shrinks while the peer takes something. 0
    for a stream that doesn't know, as Twisted's own don't.
    """
    count: Callable[[], int] = getattr(stream, "untaken_bytes", lambda: 0)
    return count()


def host_of(stream: Stream) -> str:
    """Return the far end's address for the log; ``?`` where there is none."""
    return str(getattr(stream.getPeer(), "host", "?"))
