# -*- test-case-name: tests.link.test_websocket -*-
"""What a websocket carries, as a byte stream. Frames are in `tunnelsvc.wire.websocket`.

How a stream ends
=================

- ``loseWriteConnection`` sends a close frame and nothing else: the peer may go on writing, which
  RFC 6455 section 5.5.1 allows it, and no proxy in between notices. frp closes at once.
- The peer's close frame is its end of file. One that says that something went wrong, and an end of
  the connection without one, may have cut something off: the reader gets ``ConnectionLost``.
- ``loseConnection`` ends the stream below as well, and reads, for nobody, until the peer has closed
  too. A reset, which closing at once may end in, drops what the peer hasn't read yet.

Back-pressure
=============

A write is a frame at once, so nothing is buffered here: a producer is registered with the stream
below, and a reader that pauses pauses that.
"""

from collections.abc import Callable, Iterable
from typing import cast

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import Parked, attach, last_reader, untaken_bytes
from tunnelsvc.interfaces import ILingering, IViewConsumer, Stream, StreamReader
from tunnelsvc.timing import Limit, limit, soon
from tunnelsvc.units import MINUTE, KiB
from tunnelsvc.wire.websocket import (
    NO_STATUS,
    NORMAL,
    PROTOCOL_ERROR,
    Decoder,
    Encoder,
    WebSocketError,
)

FLUSH_SECONDS = 10 * MINUTE
"""How long a closing stream waits for a peer that doesn't take the rest, as with TLS."""
LINGER_SECONDS = 15.0
"""How long a stream that is closed and flushed waits for the peer to close as well."""
MOST_UNTAKEN_BYTES = 64 * KiB
"""A peer that takes so little gets no answers to pings on top: it could fill our memory."""

_CUT_OFF = "the connection ended without the end of the websocket, something may be missing"


@implementer(
    ITransport, IConsumer, IPushProducer, IHalfCloseableProtocol, IViewConsumer, ILingering
)
class WebSocketStream:
    """The bytes in a websocket, a `tunnelsvc.interfaces.Stream`; it begins parked.

    To the stream below it is the reader.

    Attributes:
        protocol: who reads at present.
        below: the stream that carries it.
    """

    protocol: StreamReader

    def __init__(
        self, below: Stream, clock: IReactorTime, *, client: bool, peer: IAddress | None = None
    ) -> None:
        """Begin; nothing is read yet.

        Args:
            below: a parked stream on which both sides have agreed to speak so.
            clock: for the time limits.
            client: whether we asked for it.
            peer: the far end, if it isn't that of `below`.
        """
        self.below = below
        self._clock = clock
        self._peer = peer
        self._encoder = Encoder(masked=client)
        self._decoder = Decoder(masked=not client)
        # Reading.
        self._held: list[bytes] = []
        self._end: tuple[int, str] | None = None
        """Status and reason of the peer's close."""
        self._paused = self._below_paused = self._delivering = False
        self._told_end = self._below_finished = False
        # Writing.
        self._has_producer = self._finished = False
        # Ending.
        self._closing = self._flushed = self._stopped = self._lost = False
        self._failure: Failure | None = None
        self._deadline: Limit | None = None
        Parked().makeConnection(cast("ITransport", self))

    def start(self, first_bytes: bytes = b"") -> None:
        """Become the reader of the stream below.

        Args:
            first_bytes: what was read of it before.
        """
        if first_bytes:
            self.dataReceived(first_bytes)
        attach(self.below, self)
        if not self._below_paused and not self._lost:
            self.below.resumeProducing()

    # The side of the bytes.

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes."""
        if data and not self._finished and not self._lost:
            self.below.write(self._encoder.data(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces in one frame."""
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """Finish our direction after what is written; keep reading."""
        if self._finished or self._lost:
            return
        self._say_end()
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.writeConnectionLost()

    def loseConnection(self) -> None:
        """Finish both directions after what is written. What still arrives is dropped."""
        if self._closing or self._lost or self._failure is not None:
            return
        self._closing = True
        self._held.clear()
        self._unregister()
        self._say_end()
        self._close()

    def abortConnection(self) -> None:
        """Drop both directions now; the peer sees a reset."""
        if not self._lost:
            self._finished = self._closing = True
            self._held.clear()
            self.below.abortConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Pause and resume `producer` as the send buffer below fills and empties."""
        if self._lost:
            cast("IPushProducer", producer).stopProducing()
        elif not self._closing and self._failure is None:
            self._has_producer = True
            self.below.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Forget the producer; an end that waited for it comes."""
        self._unregister()
        if self._stopped:
            self.loseConnection()

    def pauseProducing(self) -> None:
        """Stop delivering."""
        self._paused = True
        self._adjust_below()

    def resumeProducing(self) -> None:
        """Deliver again, what was kept in the next turn."""
        self._paused = False
        self._adjust_below()
        if (self._held or self._end is not None) and not self._delivering:
            self._delivering = True
            soon(self._clock, self._deliver_held)

    def stopProducing(self) -> None:
        """See `Stream`."""
        self._stopped = True
        if not self._has_producer:
            self.loseConnection()

    def untaken_bytes(self) -> int:
        """See `tunnelsvc.handover.untaken_bytes`; counted with their frames."""
        return untaken_bytes(self.below)

    def getPeer(self) -> IAddress:
        """Address of the far end."""
        return self.below.getPeer() if self._peer is None else self._peer

    def getHost(self) -> IAddress:
        """Address of this end of the stream below."""
        return self.below.getHost()

    # The side of the stream below.

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of frames."""
        if self._failure is not None or self._end is not None:
            return
        try:
            arrival = self._decoder.feed(data)
        except WebSocketError as why:
            self._refuse(why)
            return
        if arrival.ping is not None:
            self._answer(arrival.ping)
        if arrival.closed is not None:
            self._end = arrival.closed, arrival.reason
        if arrival.payload and not self._closing:
            if self._paused or self._held:
                self._held.append(arrival.payload)
            else:
                self.protocol.dataReceived(arrival.payload)
        self._tell_end()

    def readConnectionLost(self) -> None:
        """The stream below ended: fine after a close frame, something is missing without."""
        self._below_finished = True
        if self._closing:
            self.below.loseConnection()
        else:
            self._tell_end()

    def writeConnectionLost(self) -> None:
        """All that we said is out; now the peer should close."""
        if self._closing:
            self._flushed = True
            self._restart_clock(LINGER_SECONDS, self.below.loseConnection)

    def connectionLost(self, reason: Failure) -> None:
        """Tell the reader that, and why, everything is over."""
        self._lost = True
        self._stop_clock()
        last_reader(self).connectionLost(self._explain(reason))

    # Delivery.

    def _deliver_held(self) -> None:
        self._delivering = False
        try:
            while self._held and not self._paused:
                self.protocol.dataReceived(self._held.pop(0))
        except Exception:
            # Who calls us only logs it; an error of the reader must end this stream, as with TCP.
            self.abortConnection()
            raise
        self._tell_end()

    def _tell_end(self) -> None:
        """Tell the reader that the peer has finished, once it has all that came before."""
        if self._lost or self._failure is not None or self._told_end:
            return
        if self._closing:
            if self._end is not None:
                self._told_end = True
                self.below.loseConnection()
        elif self._paused or self._held:
            return
        elif self._end is not None:
            self._told_end = True
            self._peer_finished(*self._end)
        elif self._below_finished:
            self._fail(ConnectionLost(_CUT_OFF))

    def _peer_finished(self, status: int, reason: str) -> None:
        if status not in {NORMAL, NO_STATUS}:
            self._fail(ConnectionLost(f"the peer closed the websocket: {status} {reason}".rstrip()))
        elif IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self.loseConnection()

    def _adjust_below(self) -> None:
        """Pause the stream below exactly while nobody wants its bytes."""
        pause = self._paused and not self._closing
        if pause != self._below_paused and not self._lost:
            self._below_paused = pause
            (self.below.pauseProducing if pause else self.below.resumeProducing)()

    def _answer(self, ping: bytes) -> None:
        if not self._finished and untaken_bytes(self.below) <= MOST_UNTAKEN_BYTES:
            self.below.write(self._encoder.pong(ping))

    # The end.

    def _say_end(self, status: int = NORMAL) -> None:
        if not self._finished:
            self._finished = True
            self.below.write(self._encoder.close(status))

    def _unregister(self) -> None:
        if self._has_producer:
            self._has_producer = False
            self.below.unregisterProducer()

    def _close(self) -> None:
        """Close the stream below in the order that loses nothing."""
        self._restart_clock(FLUSH_SECONDS, self.below.abortConnection)
        if self._end is not None or self._below_finished or ILingering.providedBy(self.below):
            self.below.loseConnection()
            return
        self.below.loseWriteConnection()
        self._adjust_below()

    def _fail(self, why: Exception) -> None:
        """Drop everything because of `why`."""
        self._failure = Failure(why)
        self._finished = True
        self.below.abortConnection()

    def _refuse(self, why: WebSocketError) -> None:
        """Tell the peer that it can't be understood, and go."""
        self._failure = Failure(why)
        self._unregister()
        self._say_end(PROTOCOL_ERROR)
        self._restart_clock(LINGER_SECONDS, self.below.abortConnection)
        self.below.loseConnection()

    def _explain(self, reason: Failure) -> Failure:
        """Choose what the reader is told when the stream below is lost for `reason`."""
        if self._failure is not None:
            return self._failure
        if self._flushed:
            return Failure(ConnectionDone())
        if not self._closing and self._end is None and reason.check(ConnectionDone):
            return Failure(ConnectionLost(_CUT_OFF))
        return reason

    def _restart_clock(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_clock()
        self._deadline = limit(self._clock, seconds, then)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
