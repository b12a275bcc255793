# -*- test-case-name: tests.link.test_mux -*-
"""A yamux session on any transport: opens and accepts streams (hop 4).

Whose turn it is
================

What is written in a turn of the reactor goes out at its end, in one piece. Of what was read only
some is told in a turn: if fifty streams begin at once, the first needn't wait for the last.

The session is the transport's push producer. While the transport is full nothing is written, not
even control frames, and every stream buffers for itself and pauses its own producer. When the
transport is empty again, those that have something to send and credit for it take turns, a frame
each. Control frames go before the next data frame.

The session stops reading only to catch up with itself: windows hold back who sends to a slow
reader. What a peer can make us queue without reading it is bounded by `UNSENT_CONTROL_BYTES`.
"""

from collections import deque
from collections.abc import Callable
from typing import cast

from twisted.internet import error
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.handover import host_of
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.cork import Cork, Pipe
from tunnelsvc.link.muxalive import KEEPALIVE_SECONDS, KeepAlive
from tunnelsvc.link.muxstream import MuxStream
from tunnelsvc.timing import Limit, limit, soon
from tunnelsvc.units import KiB, MiB
from tunnelsvc.wire import yamux
from tunnelsvc.wire.yamux import Kind

CLOSE_SECONDS = 10.0
"""How long a closing session may take to write the rest."""
FRAME_BYTES = 64 * KiB
"""The longest data frame we send: a stream's turn, and how long a ping may have to wait."""
OPENS_A_TURN = 8
"""Streams of the peer that begin in one turn: dialling a service for each takes time."""
MOST_EVENTS = 4096
"""Frames that may wait for a turn; their payload is bounded by the windows of their streams."""
UNSENT_CONTROL_BYTES = 1 * MiB
"""Control frames for a peer that doesn't read. All streams it may have, opened and reset at once,
need 0.6 MiB."""


def _ignore_loss(reason: Failure) -> None:
    """Nobody waits for this session."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class MuxSession(Protocol):
    """One end of a yamux session.

    Attributes:
        on_lost: called once, with why, after all streams were told.
    """

    log = Logger()

    def __init__(
        self,
        *,
        client: bool,
        clock: IReactorTime,
        on_stream: Callable[[MuxStream], None] | None = None,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        first_bytes: bytes = b"",
        first_window: int = yamux.INITIAL_WINDOW_BYTES,
    ) -> None:
        """Begin; nothing happens before a connection is made.

        Args:
            client: which role; the side that made the connection is the client.
            clock: for pings and deadlines.
            on_stream: takes each stream that the peer opens, parked. Without, they are reset.
            keepalive_seconds: between two pings; 0 or less: none.
            first_bytes: what was read before the session took over the transport.
            first_window: bytes that the peer may be ahead of a fresh stream's reader.
        """
        self.clock = clock
        self.core = yamux.Session(client=client, first_window=first_window)
        self.on_lost: Callable[[Failure], None] = _ignore_loss
        self._on_stream = on_stream
        self._first_bytes = first_bytes
        self._transport: Stream
        self._cork: Cork
        self._streams: dict[int, MuxStream] = {}
        self._events: deque[yamux.Event] = deque()
        """What the peer has sent, and nobody was told yet."""
        self._waits = False  # there are so many that we don't read
        self._ready: deque[MuxStream] = deque()
        self._blocked = True
        self._pumping = False
        self._closing = False
        self._over = False
        self._failure: Failure | None = None
        self._alive = KeepAlive(
            self.core, clock, keepalive_seconds, flush=self.flush, give_up=self._give_up
        )
        self._closing_time: Limit | None = None

    # What the application asks for.

    def open_stream(self) -> MuxStream:
        """Open a stream; it can be written to at once.

        Returns:
            The stream, parked.

        Raises:
            ConnectionLost: the session is over or about to end, or out of ids.
        """
        if self._over or self._closing:
            raise error.ConnectionLost("the session is closed")
        try:
            stream = self._add(self.core.open())
        except LocalProtocolError as refused:
            raise error.ConnectionLost(str(refused)) from refused
        self.flush()
        return stream

    def close(self) -> None:
        """Close the transport after what the streams have buffered; all streams are lost."""
        if self._over or self._closing:
            return
        self._closing = True
        self._limit_closing()
        self._close_if_flushed()

    def abort(self) -> None:
        """Close the transport now."""
        self._over = self._blocked = True
        self._stop_timers()
        self._cork.drop()
        self._transport.abortConnection()

    # What the transport tells.

    def connectionMade(self) -> None:
        """Start."""
        self._transport = cast("Stream", self.transport)
        self._cork = Cork(cast("Pipe", self.transport), self.clock, self._control_frames)
        self._blocked = False
        self._transport.registerProducer(self, True)
        self._alive.start()
        first_bytes, self._first_bytes = self._first_bytes, b""
        self.dataReceived(first_bytes)

    def dataReceived(self, data: bytes) -> None:
        """Read frames."""
        if self._over:
            return
        self._alive.progress = True
        try:
            events = self.core.receive(data)
        except RemoteProtocolError as violation:
            self._tell()
            self._fail(violation)
            return
        is_behind = bool(self._events)  # the next turn tells some of them
        self._events.extend(events)
        if not is_behind:
            self._tell_some()
        elif not self._waits and len(self._events) > MOST_EVENTS:
            self._waits = True
            self._transport.pauseProducing()

    def _tell_some(self) -> None:
        """Tell a turn's worth of what the peer has sent, the rest in the next turn."""
        if self._over:
            return
        self._tell(OPENS_A_TURN)
        if self._events:
            soon(self.clock, self._tell_some)
        elif self._waits:
            self._waits = False
            self._transport.resumeProducing()

    def _tell(self, opens: int = -1) -> None:
        """Tell what the peer has sent, until so many streams are opened; less than 0: all."""
        events = self._events
        while events and opens:
            if self._over:
                events.clear()
                return
            kind, number, payload = events.popleft()
            if kind is Kind.DATA:
                stream = self._streams.get(number)
                if stream is not None:
                    stream.data_arrived(payload)
            else:
                opens -= kind is Kind.OPENED
                self._event(kind, number)
        self._pump()
        if self._blocked and self.core.unsent_bytes > UNSENT_CONTROL_BYTES:
            self._give_up(error.ConnectionLost("the peer asks much and reads nothing"))

    def readConnectionLost(self) -> None:
        """Close: without the peer's frames no stream can go on."""
        self._tell()
        self._lose_transport()

    def writeConnectionLost(self) -> None:
        """Nothing to do; we never finish one direction alone."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell all streams.

        For them no end of the session is a clean one, so none is told ``ConnectionDone``.
        """
        self._blocked = True
        self._tell()
        self._over = True
        self._stop_timers()
        self._cork.drop()
        cut = reason = self._failure or reason
        if reason.check(error.ConnectionDone):
            cut = Failure(error.ConnectionLost("the session was closed"))
        for stream in list(self._streams.values()):
            stream.cut(cut)
        on_lost, self.on_lost = self.on_lost, _ignore_loss
        on_lost(reason)

    def pauseProducing(self) -> None:
        """Write nothing until resumed."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """Write what has come together."""
        if self._over:
            return
        self._alive.progress = True
        self._blocked = False
        self._pump()

    def stopProducing(self) -> None:
        """Nothing to do; `connectionLost` follows."""

    # What the peer tells.

    def _event(self, kind: Kind, number: int) -> None:
        if kind is Kind.OPENED:
            self._opened(number)
        elif kind is Kind.PONG:
            self._alive.ponged(number)
        elif kind is Kind.GOING_AWAY:
            self._going_away(number)
        elif (stream := self._streams.get(number)) is None:
            return
        elif kind is Kind.WRITABLE:
            self._enqueue(stream)
        elif kind is Kind.FINISHED:
            stream.end_arrived()
        elif kind is Kind.RESET:
            stream.cut(Failure(error.ConnectionLost("the peer reset the stream")))

    def _opened(self, number: int) -> None:
        if self._on_stream is None:
            self.core.reset(number)
            return
        stream = self._add(number)
        try:
            self._on_stream(stream)
        except Exception:  # noqa: BLE001  (a bug there must not end the other streams)
            self.log.failure("accepting a stream of {peer} failed", peer=host_of(self._transport))
            stream.abortConnection()

    def _add(self, number: int) -> MuxStream:
        stream = self._streams[number] = MuxStream(self, number)
        return stream

    def _going_away(self, code: int) -> None:
        if code != yamux.Code.NORMAL:
            self._fail(error.ConnectionLost(f"the peer ended the session with code {code}"))

    # Sending, for the streams; see `tunnelsvc.link.muxstream.Carrier`.

    def write_through(self, number: int, data: bytes) -> bool:
        """Send at once, if neither credit nor the transport forbid it; return whether."""
        length = len(data)
        if (
            self._blocked
            or self._pumping
            or length > FRAME_BYTES
            or length > self.core.send_window(number)
        ):
            return False
        self._cork.write(self.core.data_header(number, length), data)
        return True

    def send_soon(self, stream: MuxStream) -> None:
        """Let the stream take its turns as long as it has credit."""
        self._enqueue(stream)
        self._pump()

    def flush(self) -> None:
        """Send queued control frames."""
        if self.core.unsent_bytes and not self._blocked:
            self._cork.write_rest()

    def _control_frames(self) -> bytes:
        return b"" if self._blocked else self.core.data_to_send()

    def release(self, number: int) -> None:
        """Forget a stream."""
        self._streams.pop(number, None)

    def getPeer(self) -> IAddress:
        """Address of the far end."""
        return self._transport.getPeer()

    def getHost(self) -> IAddress:
        """Address of this end."""
        return self._transport.getHost()

    def _enqueue(self, stream: MuxStream) -> None:
        if stream.unsent and not stream.queued and self.core.send_window(stream.number):
            stream.queued = True
            self._ready.append(stream)

    def _pump(self) -> None:
        """Send until the transport is full or nobody has anything to send."""
        if self._pumping or self._blocked:
            return
        self._pumping = True
        try:
            while self._ready and not self._blocked:
                self._send_frame(self._ready.popleft())
        finally:
            self._pumping = False
        self.flush()
        if self._closing:
            self._close_if_flushed()

    def _send_frame(self, stream: MuxStream) -> None:
        stream.queued = False
        pieces = stream.unsent.take(min(FRAME_BYTES, self.core.send_window(stream.number)))
        if not pieces:
            return
        self._cork.write(self.core.data_header(stream.number, sum(map(len, pieces))), *pieces)
        self._enqueue(stream)
        stream.some_sent()

    # Ending.

    def _fail(self, why: Exception) -> None:
        """Close, after what is queued; the peer may read why."""
        self._blame(why)
        self._lose_transport()

    def _give_up(self, why: Exception) -> None:
        """Close now; the peer doesn't read."""
        self._blame(why)
        self.abort()

    def _blame(self, why: Exception) -> None:
        self._failure = Failure(why)
        self.log.debug(
            "mux session with {peer} ends: {why}", peer=host_of(self._transport), why=why
        )

    def _limit_closing(self) -> None:
        self._stop_timers()
        self._closing_time = limit(self.clock, CLOSE_SECONDS, self.abort)

    def _stop_timers(self) -> None:
        self._alive.stop()
        if self._closing_time is not None:
            self._closing_time.cancel()

    def _close_if_flushed(self) -> None:
        if not self._blocked and not any(stream.unsent for stream in self._streams.values()):
            self._lose_transport()

    def _lose_transport(self) -> None:
        """Close after what is written, but not for a peer that doesn't read."""
        if self._over:
            return
        self._over = self._blocked = True
        self._limit_closing()
        self._cork.write(self.core.data_to_send())
        self._cork.flush()
        self._transport.unregisterProducer()
        self._transport.loseConnection()
