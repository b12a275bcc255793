# -*- test-case-name: tests.relay.test_accounted -*-
"""Hop 9 where no pair is joined: a stream that keeps its own account.

Whoever talks to the user of a work connection itself, an HTTP server for instance, may hand the
stream on, or put TLS on it; what came of it is seen below all that.
"""

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from tunnelsvc.interfaces import Stream
from tunnelsvc.relay.join import Closed, Meter, Reason
from tunnelsvc.relay.stages import Dressed
from tunnelsvc.timing import Limit, limit

CLOSE_SECONDS = 10.0
"""How long a stream that its far end has closed may take to close."""


class Accounted(Dressed):
    """A stream to the other program, of which this side is near; see `tunnelsvc.relay.join`.

    Attributes:
        closed: fires when the stream is gone, and never fails.
    """

    def __init__(
        self,
        stream: Stream,
        unread: bytes,
        *,
        clock: IReactorTime,
        far_half_closes: bool = True,
    ) -> None:
        """Become the reader of a stream.

        Args:
            stream: the bare one; may be parked.
            unread: bytes of it that were read before, which count; they aren't passed on here.
            clock: tells how long it lasts.
            far_half_closes: whether the far end can go on reading after its end of file. Else that
                is the end of both directions, whoever reads or writes.
        """
        self.closed: Deferred[Closed] = Deferred()
        self._meter = Meter()
        self._meter.count_down(len(unread))
        self._clock = clock
        self._started = clock.seconds()
        self._far_half_closes = far_half_closes
        self._reason: Reason | None = None
        self._closing: Limit | None = None
        super().__init__(stream, (), ())

    # As the reader of the bare stream.

    def dataReceived(self, data: bytes) -> None:
        """Count and pass on."""
        self._meter.down_bytes += len(data)
        self.protocol.dataReceived(data)

    def readConnectionLost(self) -> None:
        """Pass on, or end: nobody is there any more."""
        self.far_finished()
        if self._far_half_closes:
            self.protocol.readConnectionLost()
        else:
            self._end()

    def _end(self) -> None:
        """Close, and tell the reader at once: what it wrote may never be taken."""
        self._closing = limit(self._clock, CLOSE_SECONDS, self._stream.abortConnection)
        self._stream.unregisterProducer()
        self._stream.loseConnection()
        super().connectionLost(Failure(ConnectionDone()))

    def connectionLost(self, reason: Failure) -> None:
        """Pass on, and close the account."""
        done = reason.check(ConnectionDone)
        self._because(Reason.FAR_CLOSED if done else Reason.FAR_LOST)
        assert self._reason is not None
        if self._closing is not None:
            self._closing.cancel()
        else:
            super().connectionLost(reason)
        detail = "" if done else " ".join(map(str, getattr(reason.value, "args", ())))
        self.closed.callback(
            Closed(
                reason=self._reason,
                up_bytes=self._meter.up_bytes,
                down_bytes=self._meter.down_bytes,
                seconds=self._clock.seconds() - self._started,
                detail=detail if self._reason is Reason.FAR_LOST else "",
            )
        )

    def far_finished(self) -> None:
        """Take note of the far end's end of file, where it was heard first: within TLS."""
        self._because(Reason.FAR_CLOSED)

    def _because(self, reason: Reason) -> None:
        self._reason = self._reason or reason

    # As a stream.

    def write(self, data: bytes) -> None:
        """Count and send."""
        self._meter.up_bytes += len(data)
        self._stream.write(data)

    def loseWriteConnection(self) -> None:
        """See `Stream`."""
        self._because(Reason.NEAR_CLOSED)
        super().loseWriteConnection()

    def loseConnection(self) -> None:
        """See `Stream`."""
        self._because(Reason.NEAR_CLOSED)
        super().loseConnection()

    def abortConnection(self) -> None:
        """See `Stream`."""
        self._because(Reason.NEAR_LOST)
        super().abortConnection()
