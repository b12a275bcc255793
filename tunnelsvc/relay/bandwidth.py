# -*- test-case-name: tests.relay.test_bandwidth -*-
"""``bandwidth_limit``: how fast the bytes of one proxy may move (protocol notes 5.6).

All connections of a proxy share one token bucket, both directions of each included, as in frp. What
finds no tokens is held where it is, and whoever sends it is paused: of each direction of each
connection there is held what had been read when the pause came, which is at most one read of a
socket or one window of a multiplexed stream, 256 KiB. Those who wait take turns by slices, so that
many bytes of one connection don't keep few of another waiting.

A stream without a limit knows nothing of this. One with a limit is a `LimitedStream`; it is no
socket, so that `tunnelsvc.relay.join` has no fast way for it.
"""

from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import last_reader, untaken_bytes
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay.lanes import Lane, Lanes
from tunnelsvc.relay.stages import Dressed
from tunnelsvc.timing import soon


class BandwidthLimit(Lanes):
    """The limit of one proxy."""

    def put_on(self, stream: Stream, unread: bytes) -> tuple[Stream, bytes]:
        """Put a parked stream under the limit.

        Args:
            stream: a work connection of the proxy.
            unread: bytes of it that were read already; they count, and aren't held.

        Returns:
            The stream to use instead, and those bytes.
        """
        self.charge(len(unread))
        return LimitedStream(stream, self), unread


class LimitedStream(Dressed):
    """A stream seen through a limit; see `BandwidthLimit.put_on`."""

    def __init__(self, stream: Stream, limit: BandwidthLimit) -> None:
        self._clock = limit.clock
        self._in = Lane(limit, self._deliver, stream.pauseProducing, self._read_all, self._abort)
        self._in.blocked = True  # parked
        self._out = Lane(limit, stream.write, self._hold_producer, self._sent_all, self._abort)
        self._producer: Any = None
        self._producer_held = False
        self._stop_producer = False
        self._stopped = self._finishing = self._closing = False
        self._ended = False
        self._loss: Failure | None = None
        super().__init__(stream, (), ())

    # As the reader of the bare stream. What is held comes before any end of it.

    def dataReceived(self, data: bytes) -> None:
        """Pass on, now or later."""
        if not self._closing:
            self._in.feed(data)

    def readConnectionLost(self) -> None:
        """Pass on behind what is held."""
        self._ended = True
        if not self._in.held:
            self._pass_end()

    def connectionLost(self, reason: Failure) -> None:
        """Pass on behind what is held; don't wait for a reader who is paused, as nobody does."""
        self._out.clear()
        self._loss = reason
        if self._in.held and self._in.blocked:
            self._deliver(self._in.clear())
        if not self._in.held:
            self._pass_end()

    def _deliver(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def _read_all(self) -> None:
        if self._ended or self._loss is not None:
            self._pass_end()
        elif not self._in.blocked and not self._closing:
            self._stream.resumeProducing()

    def _pass_end(self) -> None:
        """Tell the reader what there is to tell; an end of file isn't for one who is paused."""
        if self._in.held:
            return
        if self._ended and (self._loss is not None or not self._in.blocked):
            self._ended = False
            if not self._closing:
                self.protocol.readConnectionLost()
        reason, self._loss = self._loss, None
        if reason is not None:
            if self._stop_producer and self._producer is not None:
                self._producer.stopProducing()
            last_reader(self).connectionLost(reason)
            self._in.end()
            self._out.end()

    # As a stream: reading.

    def pauseProducing(self) -> None:
        """See `Stream`."""
        self._in.block()
        self._stream.pauseProducing()

    def resumeProducing(self) -> None:
        """See `Stream`."""
        self._in.unblock()
        if self._in.held:
            return
        if self._ended:
            soon(self._clock, self._pass_end)
        else:
            self._stream.resumeProducing()

    def stopProducing(self) -> None:
        """See `Stream`."""
        self._stopped = True
        if self._producer is None:
            self.loseConnection()

    # As a stream: writing.

    def write(self, data: bytes) -> None:
        """Send, now or later."""
        if data and not self._finishing:
            self._out.feed(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See `Stream`."""
        self._producer, self._producer_held = producer, False
        self._stream.registerProducer(_Valve(self), streaming)

    def unregisterProducer(self) -> None:
        """See `Stream`. What is held has no more to wait for than its turn."""
        self._producer = None
        self._stream.unregisterProducer()
        if self._out.blocked:
            self._out.unblock()
        if self._stopped:
            self.loseConnection()

    def _hold_producer(self) -> None:
        self._producer_held = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def _sent_all(self) -> None:
        if self._closing:
            self._stream.loseConnection()
        elif self._finishing:
            self._stream.loseWriteConnection()
        elif self._producer_held and not self._out.blocked:
            self._producer_held = False
            if self._producer is not None:
                self._producer.resumeProducing()

    def full(self, *, on: bool) -> None:
        """Take note whether the bare stream doesn't take more now."""
        if on:
            self._out.block()
            self._hold_producer()
        else:
            self._out.unblock()
            if not self._out.held:
                self._sent_all()

    def producer_lost(self) -> None:
        """Tell who writes that nobody takes it, when it is known why."""
        if self._in.held:
            self._stop_producer = True
        elif self._producer is not None:
            self._producer.stopProducing()

    def untaken_bytes(self) -> int:
        """See `tunnelsvc.handover.untaken_bytes`."""
        return len(self._out.held) + untaken_bytes(self._stream)

    # As a stream: ends.

    def loseWriteConnection(self) -> None:
        """See `Stream`."""
        self._finishing = True
        if not self._out.held:
            self._stream.loseWriteConnection()

    def loseConnection(self) -> None:
        """See `Stream`."""
        self._finishing = self._closing = True
        self._in.clear()
        if self._loss is not None:
            soon(self._clock, self._pass_end)
        elif self._out.held:
            self._stream.pauseProducing()
        else:
            self._stream.loseConnection()

    def abortConnection(self) -> None:
        """See `Stream`."""
        self._abort()

    def _abort(self) -> None:
        self._finishing = self._closing = True
        self._in.clear()
        self._out.clear()
        if self._loss is None:
            self._stream.abortConnection()
        else:  # it was gone before; who aborts is told what aborting leads to
            self._loss = Failure(ConnectionAborted())
            soon(self._clock, self._pass_end)


@implementer(IPushProducer)
class _Valve:
    """What the bare stream of a `LimitedStream` pauses."""

    __slots__ = ("_stream",)

    def __init__(self, stream: LimitedStream) -> None:
        self._stream = stream

    def pauseProducing(self) -> None:
        self._stream.full(on=True)

    def resumeProducing(self) -> None:
        self._stream.full(on=False)

    def stopProducing(self) -> None:
        self._stream.producer_lost()
