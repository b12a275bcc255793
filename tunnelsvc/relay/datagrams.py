# -*- test-case-name: tests.relay.test_datagrams -*-
"""Datagrams on a byte stream: what waits to be sent, and the stream with its codec.

The stream may be slower than those who send. What it doesn't take waits, up to a limit; what comes
then is dropped, as any router does.
"""

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay.drops import Drop, Drops
from tunnelsvc.timing import soon
from tunnelsvc.units import KiB, MiB
from tunnelsvc.wire.datagrams import Datagram, DatagramCodec
from tunnelsvc.wire.messages import UDPAddress

MOST_WAITING = 1024
"""Datagrams that wait for the stream, as with frp (protocol notes 6.5)."""
MOST_WAITING_BYTES = 8 * MiB
"""Likewise: 1024 of the longest would take 64 MiB."""
WRITE_BYTES = 64 * KiB
"""What is written at once, some more or less."""
PING_SECONDS = 30.0
"""How often the end at the service says that it is there."""
SILENCE_SECONDS = 60.0
"""How long the end at the users waits for a sign of life."""


class Outbox:
    """Datagrams that wait for a stream, also while there is none."""

    def __init__(self, drops: Drops) -> None:
        """Begin empty; what doesn't fit in is told to `drops`."""
        self.drops = drops
        self._waiting: deque[Datagram] = deque()
        self._bytes = 0

    def put(self, user: UDPAddress, content: bytes) -> bool:
        """Take a datagram, unless there are too many; return whether."""
        if len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_WAITING_BYTES:
            self.drops.add(Drop.FULL)
            return False
        self._waiting.append((user, content))
        self._bytes += len(content)
        return True

    def take(self) -> Datagram | None:
        """Give away the first; None: there is none."""
        if not self._waiting:
            return None
        first = self._waiting.popleft()
        self._bytes -= len(first[1])
        return first

    def clear(self, why: Drop) -> None:
        """Drop all that waits."""
        if self._waiting:
            self.drops.add(why, len(self._waiting))
        self._waiting.clear()
        self._bytes = 0


@implementer(IHalfCloseableProtocol, IPushProducer)
class DatagramChannel:
    """Sends what is in an outbox on a stream, and reads datagrams off it, until the stream ends.

    Attributes:
        ended: fires once, with why.
    """

    def __init__(
        self,
        stream: Stream,
        codec: DatagramCodec,
        clock: IReactorTime,
        outbox: Outbox,
        on_datagrams: Callable[[Sequence[Datagram]], None],
        *,
        ping_seconds: float = 0.0,
        silence_seconds: float = 0.0,
    ) -> None:
        """Begin; `start` must follow.

        Args:
            stream: parked.
            codec: how datagrams are carried on it.
            clock: for the time limits.
            outbox: what is to be sent; call `wake` when there is something new.
            on_datagrams: takes what was read, some at a time.
            ping_seconds: how often to say that we are here; 0: never.
            silence_seconds: how long the peer may say nothing; 0: for ever.
        """
        self.ended: Deferred[str] = Deferred()
        self._stream = stream
        self._codec = codec
        self._clock = clock
        self._outbox = outbox
        self._on_datagrams = on_datagrams
        self._ping_seconds = ping_seconds
        self._silence_seconds = silence_seconds
        self._timers: list[IDelayedCall] = []
        self._open = True
        self._paused = False
        self._due = False
        self._why = ""

    def start(self, unread: bytes = b"") -> None:
        """Read and write; `unread` was read of the stream before."""
        self._stream.registerProducer(self, True)
        if self._silence_seconds:
            self._silence = self._clock.callLater(self._silence_seconds, self._too_silent)
            self._timers.append(self._silence)
        if self._ping_seconds:
            self._ping = self._clock.callLater(self._ping_seconds, self._send_ping)
            self._timers.append(self._ping)
        if unread:
            self.dataReceived(unread)
        if self._open:
            attach(self._stream, self)
        if self._open:
            self._stream.resumeProducing()
            self.wake()

    def wake(self) -> None:
        """Send what is in the outbox at the end of this turn, all that has come until then."""
        if not self._due and not self._paused and self._open:
            self._due = True
            soon(self._clock, self._flush)

    def close(self, why: str = "closed") -> None:
        """End it; nobody waits for datagrams."""
        self._end(why)

    def _flush(self) -> None:
        self._due = False
        while self._open and not self._paused and (pieces := self._encoded()):
            self._stream.write(b"".join(pieces))

    def _encoded(self) -> list[bytes]:
        """Encode as much of the outbox as goes in one write."""
        pieces: list[bytes] = []
        size = 0
        while size < WRITE_BYTES and (datagram := self._outbox.take()) is not None:
            try:
                piece = self._codec.encode(*datagram)
            except LocalProtocolError:
                self._outbox.drops.add(Drop.TOO_LONG)
                continue
            pieces.append(piece)
            size += len(piece)
        return pieces

    def _send_ping(self) -> None:
        self._timers.remove(self._ping)
        self._ping = self._clock.callLater(self._ping_seconds, self._send_ping)
        self._timers.append(self._ping)
        ping = self._codec.ping()
        if ping and not self._paused:  # a peer that is slow to read hears of us anyway
            self._stream.write(ping)

    def _too_silent(self) -> None:
        self._timers.remove(self._silence)
        self._end(f"nothing heard for {self._silence_seconds:g} s")

    # As the producer of the stream.

    def pauseProducing(self) -> None:
        """Let datagrams wait."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Send again."""
        self._paused = False
        self.wake()

    def stopProducing(self) -> None:
        """Nothing to do; `connectionLost` follows."""

    # As the reader of the stream.

    def dataReceived(self, data: bytes) -> None:
        """Decode and pass on; what can't be decoded ends it."""
        if not self._open:
            return
        if self._silence_seconds:
            self._silence.reset(self._silence_seconds)
        try:
            datagrams = self._codec.feed(data)
        except RemoteProtocolError as why:
            self._end(str(why))
            return
        if datagrams:
            self._on_datagrams(datagrams)

    def readConnectionLost(self) -> None:
        """End: half a channel is of no use."""
        self._end("closed by the other end")

    def writeConnectionLost(self) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: Failure) -> None:
        """Tell who waits for the end."""
        self._open = False
        self._stop_timers()
        if not self.ended.called:
            self.ended.callback(self._why or reason.getErrorMessage())

    def _end(self, why: str) -> None:
        if self._open:
            self._open = False
            self._why = why
            self._stop_timers()
            self._stream.abortConnection()
            self._stream.unregisterProducer()
            if not self.ended.called:
                self.ended.callback(why)

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
