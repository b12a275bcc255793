# -*- test-case-name: tests.link.test_muxstream -*-
"""One stream of a yamux session, as a Twisted transport.

As with Twisted's own transports, nothing calls back from within a call of the application: what a
call brings about is told in the next turn of the reactor.

Reading. What arrives is given to the protocol at once. While the reader is paused it is kept; the
peer gets no new credit meanwhile, so that is one window at most.

Writing. What the peer's window or a full transport does not take is kept, and a registered push
producer paused above `BUFFER_BYTES`. The session takes from here when it can send, in turn with
other streams.

Ending. ``loseConnection`` sends FIN after what is buffered, and for the application the stream is
over then. Until the peer finishes as well the session knows the stream; what still arrives is
discarded. Our FIN needs time to reach a peer that is sending, so only one that doesn't stop, or
doesn't finish, is reset: a reset may make it lose what it has not read of ours.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet import error
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import last_reader, park
from tunnelsvc.interfaces import StreamReader
from tunnelsvc.link.bytequeue import ByteQueue
from tunnelsvc.timing import Limit, limit, soon
from tunnelsvc.units import MINUTE, KiB
from tunnelsvc.wire import yamux

BUFFER_BYTES = 64 * KiB
"""Unsent bytes above which a producer is paused; as Twisted's ``FileDescriptor.bufferSize``."""
CLOSE_SECONDS = 5 * MINUTE
"""How long a closing stream may stand still, as Go's ``StreamCloseTimeout``."""
LATE_BYTES = yamux.MAX_WINDOW_BYTES // 2
"""What a peer may send after our close before it is reset; what is on its way is less."""
DELIVERY_BYTES = 64 * KiB
"""The largest piece of kept bytes that is given to a protocol, as a TCP connection reads."""

_DONE = Failure(error.ConnectionDone())


class Carrier(Protocol):
    """What a stream needs of its session."""

    clock: IReactorTime
    core: yamux.Session
    transport: ITransport | None

    def write_through(self, number: int, data: bytes) -> bool:
        """Send at once, if neither credit nor the transport forbid it; return whether."""

    def send_soon(self, stream: "MuxStream") -> None:
        """Send from the stream's buffer as soon as possible."""

    def flush(self) -> None:
        """Send queued control frames."""

    def release(self, number: int) -> None:
        """Forget the stream: both sides have."""

    def getPeer(self) -> IAddress:
        """Address of the far end."""

    def getHost(self) -> IAddress:
        """Address of this end."""


@implementer(ITransport, IConsumer, IPushProducer)
class MuxStream:
    """See `tunnelsvc.interfaces.Stream`.

    Attributes:
        protocol: who reads at present.
        number: the stream's id on the wire.
        below: what carries the session.
        unsent: bytes that wait to be sent; only the session takes them out.
        queued: whether the session has it among those that can send.
    """

    log = Logger()

    def __init__(self, carrier: Carrier, number: int) -> None:
        self.protocol: StreamReader
        self._paused: bool
        self.number = number
        self.below = carrier.transport
        self.unsent = ByteQueue()
        self.queued = False
        self._carrier = carrier
        self._core = carrier.core
        self._clock = carrier.clock
        # Reading.
        self._held = ByteQueue()
        self._delivering = False
        self._peer_finished = False
        self._told_end = False
        self._late_bytes = 0
        # Writing.
        self._producer: Any = None
        self._streaming = False
        self._producer_paused = False
        self._pulling = False
        self._finishing = False
        self._finished = False
        # Ending.
        self._closing = False
        self._gone = False
        self._released = False
        self._moved = False
        self._deadline: Limit | None = None
        park(self)

    # Reading: what the session tells.

    def data_arrived(self, data: bytes) -> None:
        """Give bytes to the reader, or keep them."""
        if self._closing or self._gone:
            self._discard(len(data))
        elif self._paused or self._held:
            self._held.append(data)
        else:
            self._deliver(data)

    def end_arrived(self) -> None:
        """The peer finished its direction."""
        self._peer_finished = True
        if self._finished:
            self._release()
        if not self._paused and not self._held:
            self._tell_end()

    def cut(self, reason: Failure) -> None:
        """The peer reset the stream, or the session is lost.

        What was kept for a paused reader is still worth reading if the peer had finished: Go
        resets a stream minutes after it finished it, and the reader may be slow.
        """
        self._release()
        self._finished = True
        self.unsent.clear()
        if self._peer_finished and self._held and not self._closing:
            self._resume_producer()
        else:
            self._connection_lost(reason)

    def _deliver(self, data: bytes) -> None:
        self._core.consumed(self.number, len(data))
        try:
            self.protocol.dataReceived(data)
        except Exception:  # noqa: BLE001  (a protocol's error must not end the other streams)
            self._protocol_failed()

    def _deliver_held(self) -> None:
        self._delivering = False
        while self._held and not self._paused:
            self._deliver(self._held.take_piece(DELIVERY_BYTES))
        if self._peer_finished and not self._paused:
            self._tell_end()
        self._carrier.flush()

    def _tell_end(self) -> None:
        if self._told_end or self._closing or self._gone:
            return
        self._told_end = True
        if self._finished:
            self._connection_lost(_DONE)
        elif IHalfCloseableProtocol.providedBy(self.protocol):
            self._tell(self.protocol.readConnectionLost)
        else:
            self.loseConnection()

    def _discard(self, length: int) -> None:
        """Drop what comes after our close; grant more only while the peer can't know of it."""
        if not self._finished:
            self._core.consumed(self.number, length)
            return
        self._late_bytes += length
        if self._late_bytes > LATE_BYTES:
            self._reset()

    # Reading: what the application asks for.

    def pauseProducing(self) -> None:
        """Keep what arrives."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Give what was kept, in the next turn, and then what arrives."""
        self._paused = False
        if not self._delivering and (self._held or self._peer_finished):
            self._delivering = True
            soon(self._clock, self._deliver_held)

    def stopProducing(self) -> None:
        """Close: whom we produced for is gone."""
        self.loseConnection()

    # Writing.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if self._finished or self._gone or not data:
            return
        if not self.unsent and self._carrier.write_through(self.number, data):
            if not self._streaming:
                self._pull_more()
            return
        self.unsent.append(data)
        self._carrier.send_soon(self)
        if len(self.unsent) > BUFFER_BYTES:
            self._pause_producer()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def some_sent(self) -> None:
        """The session took from `unsent`."""
        self._moved = True
        if not self.unsent:
            self._resume_producer()
            self._finish_if_flushed()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See ``IConsumer``."""
        if self._producer is not None:
            raise RuntimeError(f"cannot register {producer}: {self._producer} is registered")
        if self._gone:
            producer.stopProducing()
            return
        self._producer, self._streaming, self._producer_paused = producer, streaming, False
        if not streaming:
            self._pull_more()

    def unregisterProducer(self) -> None:
        """Forget the producer; a closing that waited for it goes on."""
        self._producer = None
        self._finish_if_flushed()

    def _pause_producer(self) -> None:
        if self._producer is not None and self._streaming and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()

    def _resume_producer(self) -> None:
        if self._producer_paused and self._producer is not None:
            self._producer_paused = False
            self._producer.resumeProducing()
        elif not self._streaming:
            self._pull_more()

    def _pull_more(self) -> None:
        """Ask a pull producer for more, but not from within its own write."""
        if self._producer is not None and not self._pulling:
            self._pulling = True
            soon(self._clock, self._pull_now)

    def _pull_now(self) -> None:
        self._pulling = False
        if self._producer is not None and not self._streaming and not self.unsent:
            self._producer.resumeProducing()

    # Ending.

    def loseWriteConnection(self) -> None:
        """Finish our direction after what is buffered; keep reading."""
        self._finishing = True
        self._finish_if_flushed()

    def loseConnection(self) -> None:
        """Finish our direction after what is buffered, and read no more."""
        if self._closing or self._gone:
            return
        self._closing = self._finishing = True
        self._core.consumed(self.number, self._held.clear())
        if self._finished:
            soon(self._clock, self._tell_finished)
        self._finish_if_flushed()
        if self._deadline is None:
            self._watch_closing()
        self._carrier.flush()

    def abortConnection(self) -> None:
        """Reset the stream."""
        if not self._gone:
            self._drop()
            self._reset()
            soon(self._clock, self._connection_lost, Failure(error.ConnectionAborted()))

    @property
    def disconnecting(self) -> bool:
        """Whether it is about to close; Twisted's protocols ask their transport so."""
        return self._closing

    def _finish_if_flushed(self) -> None:
        if self._finished or not self._finishing or self.unsent or self._producer is not None:
            return
        self._finished = True
        self._core.finish(self.number)
        self._carrier.flush()
        if self._peer_finished:
            self._release()
        elif self._closing:
            self._watch_closing()
        soon(self._clock, self._tell_finished)

    def _tell_finished(self) -> None:
        if self._gone:
            return
        if not self._closing and IHalfCloseableProtocol.providedBy(self.protocol):
            self._tell(self.protocol.writeConnectionLost)
        if self._closing or self._told_end:
            self._connection_lost(_DONE)

    def _watch_closing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if not self._released:
            self._moved = False
            self._deadline = limit(self._clock, CLOSE_SECONDS, self._look_at_closing)

    def _look_at_closing(self) -> None:
        self._deadline = None
        if not self._finished and (self._moved or not self.unsent):
            self._watch_closing()
            return
        self._reset()
        self._connection_lost(Failure(error.TimeoutError("the peer did not take the rest")))

    def _reset(self) -> None:
        if not self._released:
            self._core.reset(self.number)
            self._release()
            self._carrier.flush()

    def _release(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if not self._released:
            self._released = True
            self._carrier.release(self.number)

    def _drop(self) -> None:
        """Stop both directions; what is buffered is lost."""
        self._closing = self._finished = True
        self.unsent.clear()
        self._held.clear()

    def _connection_lost(self, reason: Failure) -> None:
        if self._gone:
            return
        self._gone = True
        self._drop()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self._tell(last_reader(self).connectionLost, reason)

    def _tell(self, event: Callable[..., None], *args: Failure) -> None:
        try:
            event(*args)
        except Exception:  # noqa: BLE001  (see `_deliver`)
            self._protocol_failed()

    def _protocol_failed(self) -> None:
        self.log.failure(
            "stream {number} of {peer} failed", number=self.number, peer=self.getPeer()
        )
        self.abortConnection()

    # Facts.

    def untaken_bytes(self) -> int:
        """See `tunnelsvc.handover.untaken_bytes`; what the session has sent isn't known."""
        return len(self.unsent)

    def getPeer(self) -> IAddress:
        """Address of the far end of the session's transport."""
        return self._carrier.getPeer()

    def getHost(self) -> IAddress:
        """Address of this end of the session's transport."""
        return self._carrier.getHost()
