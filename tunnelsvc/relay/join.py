# -*- test-case-name: tests.relay.test_join -*-
"""Hop 8 of a user connection: two streams become one.

How a joined pair ends
======================

*near* is the stream on our side of the tunnel (the user on the server, the local service on the
client), *far* the one to the other program.

- A direction that ends (end of file) is finished on the other stream after everything read was
  written there; the opposite direction goes on. When both have ended, both streams close.
- Some ends can't half-close: real frp closes both sides of its pair as soon as one ends, so its
  end of file says that nobody reads any more. Then the other stream closes as well. Far it may
  be the other program, near a visitor's.
- A stream that is lost without having ended (reset, dead link) takes the other with it, by reset:
  who was cut off must not take it for the end.
- A half-closed pair in which nothing moves, and a closed stream whose peer does not take the
  rest, are cut after `IDLE_SECONDS`.

Twisted never completes ``loseConnection`` on a transport whose producer is paused and gone, and
never completes a half-close either; hence the order "unregister, then finish". A cut goes the
other way round: a transport tells its producer to stop before it tells its loss, which to a stream
that has a producer itself means "finish as soon as that is unregistered".
"""

from enum import Enum

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay.sockets import Mover, move_sockets
from tunnelsvc.timing import Limit, limit
from tunnelsvc.units import MINUTE

IDLE_SECONDS = 10 * MINUTE
"""How long a half-closed pair may be silent, as nginx's ``proxy_timeout`` of a stream."""


class Reason(Enum):
    """Why a pair ended: the first event that decided it."""

    NEAR_CLOSED = "closed by {near}"
    FAR_CLOSED = "closed by {far}"
    NEAR_LOST = "cut off by {near}"
    FAR_LOST = "cut off by {far}"
    IDLE = "half-closed and idle, cut off"


@frozen
class Closed:
    """What became of a joined pair."""

    reason: Reason
    up_bytes: int
    """From near to far."""
    down_bytes: int
    """From far to near."""
    seconds: float
    detail: str = ""
    """What is known of the loss of a stream, beyond that it was lost."""
    cut: bool = False
    """Whether a stream was reset because of the other one or for idleness: something is missing."""

    def because(self, *, near: str, far: str) -> str:
        """Say why, with the names that the two sides have for the reader of the log."""
        text = self.reason.value.format(near=near, far=far)
        return f"{text} ({self.detail})" if self.detail else text


class Meter:
    """Bytes moved so far, readable while they move."""

    __slots__ = ("down_bytes", "up_bytes")

    def __init__(self) -> None:
        self.up_bytes = 0
        self.down_bytes = 0

    def count_up(self, length: int) -> None:
        """Take note of bytes from near to far."""
        self.up_bytes += length

    def count_down(self, length: int) -> None:
        """Take note of bytes from far to near."""
        self.down_bytes += length


def join(
    near: Stream,
    far: Stream,
    near_unread: bytes = b"",
    far_unread: bytes = b"",
    *,
    clock: IReactorTime,
    far_half_closes: bool = True,
    near_half_closes: bool = True,
    meter: Meter | None = None,
) -> Deferred[Closed]:
    """Join two streams until both are gone.

    Args:
        near: the stream on our side of the tunnel; may be paused.
        far: the stream to the other program; may be paused.
        near_unread: bytes of `near` that were read before; they go first.
        far_unread: likewise of `far`.
        clock: for the time limits.
        far_half_closes: whether the far end can go on reading after its end of file.
        near_half_closes: likewise the near end.
        meter: counts the bytes, if somebody wants to watch them move.

    Returns:
        Fires once, when both streams are gone, and never fails.
    """
    half_closes = near_half_closes, far_half_closes
    pair = _Pair(near, far, clock, half_closes, meter or Meter())
    pair.start(near_unread, far_unread)
    return pair.closed


@implementer(IHalfCloseableProtocol)
class _Up:
    """Reads near, writes far."""

    __slots__ = ("_meter", "_pair", "_write")

    def __init__(self, pair: "_Pair", meter: Meter, far: Stream) -> None:
        self._pair = pair
        self._meter = meter
        self._write = far.write

    def dataReceived(self, data: bytes) -> None:
        self._meter.up_bytes += len(data)
        self._write(data)

    def readConnectionLost(self) -> None:
        self._pair.near_finished()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self._pair.near_lost(reason)


@implementer(IHalfCloseableProtocol)
class _Down:
    """Reads far, writes near."""

    __slots__ = ("_meter", "_pair", "_write")

    def __init__(self, pair: "_Pair", meter: Meter, near: Stream) -> None:
        self._pair = pair
        self._meter = meter
        self._write = near.write

    def dataReceived(self, data: bytes) -> None:
        self._meter.down_bytes += len(data)
        self._write(data)

    def readConnectionLost(self) -> None:
        self._pair.far_finished()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self._pair.far_lost(reason)


class _Pair:
    """The end of a joined pair; the bytes never pass here."""

    def __init__(
        self,
        near: Stream,
        far: Stream,
        clock: IReactorTime,
        half_closes: tuple[bool, bool],
        meter: Meter,
    ) -> None:
        self.closed: Deferred[Closed] = Deferred()
        self._near = near
        self._far = far
        self._clock = clock
        self._near_half_closes, self._far_half_closes = half_closes
        self._meter = meter
        self._started = clock.seconds()
        self._reason: Reason | None = None
        self._detail = ""
        self._was_cut = False
        self._near_finished = self._far_finished = False
        self._near_gone = self._far_gone = False
        self._idle: Limit | None = None
        self._movers: tuple[Mover | None, ...] = ()
        self._moved = 0

    def start(self, near_unread: bytes, far_unread: bytes) -> None:
        near, far, meter = self._near, self._far, self._meter
        up, down = _Up(self, meter, far), _Down(self, meter, near)
        far.registerProducer(near, True)
        near.registerProducer(far, True)
        # Before the first write, so that a pause that it causes holds. Nothing comes before the
        # next turn.
        near.resumeProducing()
        far.resumeProducing()
        if near_unread:
            up.dataReceived(near_unread)
        if far_unread:
            down.dataReceived(far_unread)
        attach(near, up)
        attach(far, down)
        self._movers = (
            move_sockets(near, far, meter.count_up, near=True),
            move_sockets(far, near, meter.count_down),
        )

    def near_finished(self) -> None:
        self._because(Reason.NEAR_CLOSED)
        self._near_finished = True
        self._far.unregisterProducer()
        if self._far_finished or self._far_gone or not self._near_half_closes:
            self._close_both()
        else:
            self._far.loseWriteConnection()
            self._watch()

    def far_finished(self) -> None:
        self._because(Reason.FAR_CLOSED)
        self._far_finished = True
        self._near.unregisterProducer()
        if self._near_finished or self._near_gone or not self._far_half_closes:
            self._close_both()
        else:
            self._near.loseWriteConnection()
            self._watch()

    def _close_both(self) -> None:
        for stream in self._living():
            stream.unregisterProducer()
        for stream in self._living():
            stream.loseConnection()
        self._watch()

    def _living(self) -> list[Stream]:
        pair = ((self._near, self._near_gone), (self._far, self._far_gone))
        return [stream for stream, gone in pair if not gone]

    def near_lost(self, reason: Failure) -> None:
        self._near_gone = True
        self._lost(self._far, Reason.NEAR_LOST, reason, other_gone=self._far_gone)

    def far_lost(self, reason: Failure) -> None:
        self._far_gone = True
        self._lost(self._near, Reason.FAR_LOST, reason, other_gone=self._near_gone)

    def _lost(self, other: Stream, cause: Reason, reason: Failure, *, other_gone: bool) -> None:
        """One stream is gone; take the other along in the manner in which it went."""
        if other_gone:
            self._end()
            return
        if isinstance(reason.value, ConnectionDone):
            other.unregisterProducer()
            other.loseConnection()
            self._watch()
        else:
            self._because(cause)
            self._detail = self._detail or " ".join(map(str, getattr(reason.value, "args", ())))
            self._cut(other)

    def _cut(self, stream: Stream) -> None:
        """Reset a stream; in this order, or one that waits to finish would finish first."""
        self._was_cut = True
        stream.abortConnection()
        stream.unregisterProducer()

    def _because(self, reason: Reason) -> None:
        self._reason = self._reason or reason

    def _watch(self) -> None:
        """Start the clock of a pair that is on its way out."""
        if self._idle is None and not (self._near_gone and self._far_gone):
            self._moved = self._meter.up_bytes + self._meter.down_bytes
            self._idle = limit(self._clock, IDLE_SECONDS, self._look)

    def _look(self) -> None:
        self._idle = None
        if self._meter.up_bytes + self._meter.down_bytes != self._moved:
            self._watch()
            return
        self._reason = Reason.IDLE
        for stream in self._living():
            self._cut(stream)

    def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        for mover in self._movers:
            if mover is not None:
                mover.close()
        meter = self._meter
        self.closed.callback(
            Closed(
                reason=self._reason or Reason.FAR_CLOSED,
                up_bytes=meter.up_bytes,
                down_bytes=meter.down_bytes,
                seconds=self._clock.seconds() - self._started,
                detail=self._detail,
                cut=self._was_cut,
            )
        )
