# -*- test-case-name: tests.gateway.test_virtual -*-
"""A user without a connection: one request from this process, the response as events.

Requests also come by ways that aren't connections of their own: streams of HTTP/2, requests that
``twisted.web`` has read. They take the same path as all others, with its routes, rules, pages and
time limits: `VirtualUser` writes the request as HTTP/1.1 to `gateway.protocol.VhostProtocol`, and
reads what that answers. Nothing is trusted for coming from this process: the head is checked here
(`gateway.requesttext`) and parsed there.

How a virtual user ends
=======================

There is one request. When its response is complete, both directions end, and what is left of the
request is dropped. After a 101 the two directions carry
another protocol and end one by one. Losing it without an end is a reset, to either side.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.gateway.answer import Answer, AnswerEvents
from tunnelsvc.gateway.arrivals import Arrivals, Framing, as_it_came
from tunnelsvc.gateway.requesttext import RequestText
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream, StreamReader
from tunnelsvc.timing import soon
from tunnelsvc.wire.httphead import Header, HeadError

Serve = Callable[[Stream, bytes], None]
"""Takes a parked stream and the bytes that were read of it: `VhostFactory.take_over`."""


class UserEvents(AnswerEvents, Protocol):
    """Who has a virtual user; may call it from within each event."""

    def reset(self) -> None:
        """There will be no end: the response is lost, or what is missing of it."""

    def closed(self) -> None:
        """After a switch to another protocol: both directions have ended well."""

    def hold(self, *, on: bool) -> None:
        """Send no more of the request, or go on; what is sent in spite of it is kept."""


@implementer(IPushProducer)
class VirtualUser:
    """One request and its response. To who takes the response it is a push producer.

    Pausing it stops the service. A few pieces may still come: what was read already.
    """

    def __init__(
        self, events: UserEvents, clock: IReactorTime, peer: IAddress, host: IAddress
    ) -> None:
        """Begin.

        Args:
            events: told of the response.
            clock: whose next turn is used for afterthoughts.
            peer: the user's address.
            host: where he came in.
        """
        self.stream = VirtualStream(events, clock, peer, host)
        self._text: RequestText | None = None
        self._finished = False
        self._left_bytes: int | None = None

    def ask(self, text: RequestText, serve: Serve) -> None:
        """Send the head of the request. Events may come before this returns.

        Args:
            text: the request.
            serve: who answers.
        """
        self._text = text
        self._finished = text.empty
        self._left_bytes = text.length if isinstance(text.length, int) else None
        self.stream.begin(text.method, lambda: serve(self.stream, text.head()))

    def send(self, data: bytes) -> None:
        """Send a piece of the request's body, or of the protocol that 101 began.

        Of a body that is longer than it was said to be, the rest is dropped.
        """
        if self.stream.switched:
            self.stream.arrived(data)
            return
        if self._left_bytes is not None:
            data = data[: self._left_bytes]
            self._left_bytes -= len(data)
        if data and self._text is not None and not self._finished:
            self.stream.arrived(data, self._text.piece)

    def finish(self, trailers: Sequence[Header] = ()) -> None:
        """End the request's body, or our direction of the protocol that 101 began.

        A body that is shorter than it was said to be is a reset.

        Raises:
            HeadError: a trailer can't be sent; nothing was.
        """
        if self.stream.switched or self._left_bytes:
            self.stream.finished()
        elif self._text is not None and not self._finished:
            end = self._text.end(trailers)
            self._finished = True
            if end:
                self.stream.arrived(end)

    def abort(self) -> None:
        """Leave: nobody wants the response. No event follows."""
        self.stream.left()

    def pauseProducing(self) -> None:
        """Let the response wait."""
        self.stream.take_answer(on=False)

    def resumeProducing(self) -> None:
        """Let the response come."""
        self.stream.take_answer(on=True)

    def stopProducing(self) -> None:
        """As `abort`."""
        self.abort()


@implementer(ITransport, IConsumer, IPushProducer)
class VirtualStream:
    """See `tunnelsvc.interfaces.Stream`; the far end is a `VirtualUser`.

    As with any stream, its reader isn't called from within a call of its own.

    Attributes:
        disconnecting: whether it is about to close.
    """

    def __init__(
        self, events: UserEvents, clock: IReactorTime, peer: IAddress, host: IAddress
    ) -> None:
        self.protocol: StreamReader = Parked()
        self.disconnecting = False
        self._events = events
        self._clock = clock
        self._peer = peer
        self._host = host
        self._answer: Answer | None = None
        self._arrived = Arrivals()
        self._paused = self._held = False
        self._told_hold = self._waits = False
        self._producer: Any = None
        self._write_closed = self._stopped = False
        self._lost: Failure | None = None
        self._cut = self._gone = self._abandoned = False
        self._within = 0
        self._scheduled = False

    # The user's side.

    @property
    def switched(self) -> bool:
        """Whether 101 has begun another protocol."""
        return self._answer is not None and self._answer.switched

    def begin(self, method: bytes, serve: Callable[[], None]) -> None:
        """Let `serve` take the stream; the answer will be one to `method`."""
        self._answer = Answer(method, self._events)
        self._within += 1
        try:
            serve()
        finally:
            self._within -= 1
        self._go_on()

    def arrived(self, data: bytes, frame: Framing = as_it_came) -> None:
        """Take bytes of the user, and how they are framed."""
        if not self._cut:
            self._arrived.add(data, frame)
            self._go_on()

    def finished(self) -> None:
        """Take the user's end of file."""
        if not self._cut:
            self._arrived.end()
            self._go_on()

    def left(self) -> None:
        """Take note that the user is gone."""
        self._abandoned = True
        self._lose(ConnectionLost())

    def take_answer(self, *, on: bool) -> None:
        """Let who writes wait, or go on."""
        self._waits = not on
        if not on:
            self._hold_producer()
        elif self._within:
            self._later()
        else:
            self._go_on()

    def _hold_producer(self) -> None:
        if self._producer is not None and not self._held:
            self._held = True
            self._producer.pauseProducing()

    # The reader's side: `Stream`.

    def write(self, data: bytes) -> None:
        """Take a part of the response."""
        if self._write_closed or self._lost is not None or self._answer is None:
            return
        self._within += 1
        try:
            self._answer.feed(data)
        except HeadError:
            self._lose(ConnectionAborted())
        finally:
            self._within -= 1
        if self._answer.over:
            self._no_more()

    def _no_more(self) -> None:
        """End the user's direction: whatever he has to say, it's of no use any more."""
        if not self._cut:
            self._cut = True
            self._arrived.clear()
            self._arrived.end()
            self._later()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Take parts of the response."""
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """Take the end of the response."""
        if self._write_closed or self._lost is not None:
            return
        self._write_closed = True
        self._within += 1
        whole = self._answer is not None and self._answer.finish()
        self._within -= 1
        if not whole:
            self._lose(ConnectionAborted())
        elif not self.switched:
            self._no_more()

    def loseConnection(self) -> None:
        """Take the end of the response, and read no more."""
        self.loseWriteConnection()
        self.disconnecting = True
        self._lose(ConnectionDone())

    def abortConnection(self) -> None:
        """Drop it; the user is told."""
        self._lose(ConnectionAborted())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take who writes; he waits while the user does."""
        assert streaming
        self._producer = producer
        self._held = False
        if self._waits:
            self._hold_producer()

    def unregisterProducer(self) -> None:
        """Forget who writes."""
        self._producer = None
        self._held = False
        if self._stopped:
            self.loseConnection()

    def pauseProducing(self) -> None:
        """Give nothing to the reader."""
        self._paused = True
        if not self._told_hold and self._answer is not None and self._lost is None:
            self._told_hold = True
            self._within += 1
            self._events.hold(on=True)
            self._within -= 1

    def resumeProducing(self) -> None:
        """Give to the reader what arrives, from the next turn on."""
        if self._paused:
            self._paused = False
            self._later()

    def stopProducing(self) -> None:
        """Close as soon as nobody writes: who takes what we read is gone, but may yet say how."""
        self._stopped = True
        if self._producer is None:
            self.loseConnection()

    def getPeer(self) -> IAddress:
        """Give the user's address."""
        return self._peer

    def getHost(self) -> IAddress:
        """Tell where the user came in."""
        return self._host

    # What is told, and when.

    def _lose(self, why: Exception) -> None:
        if self._lost is None:
            self._lost = Failure(why)
            self._arrived.clear()
            self._later()

    def _later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            soon(self._clock, self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        try:
            self._go_on()
        except Exception:
            # It's only logged; an error of the reader must end this stream, as with TCP.
            self._lose(ConnectionAborted())
            raise

    def _go_on(self) -> None:
        """Tell the reader and the user all that there is to tell."""
        if self._within:
            self._later()
            return
        self._within += 1
        try:
            if self._held and not self._waits and self._lost is None:
                self._held = False
                self._producer.resumeProducing()
            while self._arrived and not self._paused and self._lost is None:
                data = self._arrived.take()
                if data is not None:
                    self.protocol.dataReceived(data)
                else:
                    self.protocol.readConnectionLost()
            # Not before all that waited is taken, or more would be waiting each time.
            if self._told_hold and not self._paused and self._lost is None:
                self._told_hold = False
                self._events.hold(on=False)
            if self._lost is not None:
                self._tell_loss(self._lost)
        finally:
            self._within -= 1

    def _tell_loss(self, why: Failure) -> None:
        """Tell it once: to who writes, who reads, and the user if he misses something."""
        if self._gone:
            return
        self._gone = True
        if self._producer is not None:
            self._producer.stopProducing()
        self.protocol.connectionLost(why)
        if self._abandoned or self._answer is None:
            return
        if not self._answer.over or (self.switched and not why.check(ConnectionDone)):
            self._events.reset()
        elif self.switched:
            self._events.closed()
