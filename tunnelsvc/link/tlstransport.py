# -*- test-case-name: tests.link.test_tlstransport -*-
"""TLS on a byte stream, as a byte stream.

Why not Twisted's own
=====================

``twisted.protocols.tls`` takes a peer's close_notify as the end of both directions, and cuts and
gathers writes. Here a direction ends alone, and what comes or is written at once goes on at once.

How a stream ends
=================

- ``loseWriteConnection`` sends close_notify. TCP stays open both ways: the peer may go on writing.
- The peer's close_notify is its end of file. An end of TCP without it is a truncation, which
  anybody on the way could have made: the reader gets ``ConnectionLost``.
- ``loseConnection`` sends close_notify and TCP's FIN, and then reads, for nobody, until the peer
  has closed too. A reset, which closing at once may end in, drops what the peer hasn't read yet.

Back-pressure
=============

Encrypting is synchronous, so nothing is buffered here: a producer is registered with the stream
below. Only before the end of the handshake is it held, and so are writes. A reader that pauses
pauses the stream below; what came before stays encrypted in OpenSSL's buffer, at most one read.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.errors import TLSError
from tunnelsvc.handover import attach, last_reader, untaken_bytes
from tunnelsvc.interfaces import ILingering, IViewConsumer, Stream, StreamReader
from tunnelsvc.link.tlsengine import Engine
from tunnelsvc.link.tlswriter import Writer
from tunnelsvc.timing import limit
from tunnelsvc.units import MINUTE

FLUSH_SECONDS = 10 * MINUTE
"""How long a closing stream waits for a peer that doesn't take the rest. As long as a joined pair
may be idle: a slow reader behind full buffers isn't cut off, owners in a hurry abort earlier."""

LINGER_SECONDS = 15.0
"""How long a stream that is closed and flushed waits for the peer to close as well."""

_TRUNCATED = "TCP ended without the end of TLS, something may be missing"


@implementer(
    ITransport, IConsumer, IPushProducer, IHalfCloseableProtocol, IViewConsumer, ILingering
)
class TLSTransport:
    """The plaintext of a TLS connection, a `tunnelsvc.interfaces.Stream`.

    To the stream below it is the reader.

    Attributes:
        protocol: who reads the plaintext. Told of the end of the peer's direction if it provides
            ``IHalfCloseableProtocol``; for any other the end is the end of both, as with TCP.
        below: the stream that carries it.
    """

    def __init__(
        self,
        below: Stream,
        engine: Engine,
        protocol: StreamReader,
        clock: IReactorTime,
        handshake_seconds: float,
    ) -> None:
        self.protocol = protocol
        self.below = below
        self._engine = engine
        self._writer = Writer(below, self._engine, self._fail)
        self._clock = clock
        self._deadline = limit(clock, handshake_seconds, partial(self._too_late, handshake_seconds))
        self._delivery: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        self._failure: Failure | None = None
        self._established = self._delivering = False
        self._paused = self._below_paused = self._read_finished = self._below_finished = False
        self._closing = self._flushed = False
        self._aborted = self._lost = self._stopped = False

    def start(self, first_bytes: bytes = b"") -> None:
        """Begin the handshake and become the reader of the stream below."""
        if not self._aborted:
            self._shake_hands()
        if first_bytes:
            self.dataReceived(first_bytes)
        attach(self.below, self)
        if not self._below_paused and not self._lost:
            self.below.resumeProducing()

    def when_established(self) -> Deferred[None]:
        """Wait for the end of the handshake.

        Returns:
            Fires after the handshake, the peer verified. Fails with what ``connectionLost`` is
            told, a `TLSError` unless this side gave up, if there won't be one.
        """
        if self._established:
            return succeed(None)
        if self._lost:
            return fail(self._failure)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    # The side of the plaintext.

    def write(self, data: bytes | memoryview) -> None:
        """Encrypt and send bytes; after the handshake, if it isn't over."""
        self._writer.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send the joined bytes; see `write`."""
        self._writer.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """Finish our direction after what is written, with close_notify; keep reading."""
        if self._writer.finished:
            return
        self._writer.finished = True
        if self._established:
            self._finish_writing()

    def loseConnection(self) -> None:
        """Finish both directions after what is written. What still arrives is dropped."""
        if self._ending() or self._lost:
            return
        self._closing = True
        self._writer.unregister()
        if self._established:
            self._close()
            return
        self._writer.finished = True
        if not self._writer.holds:
            self.below.loseConnection()

    def abortConnection(self) -> None:
        """Drop both directions now; the peer sees a reset."""
        if self._lost:
            return
        self._aborted = True
        self._writer.stop()
        self.below.abortConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Pause and resume `producer` as the send buffer below fills and empties."""
        if self._lost:
            cast("IPushProducer", producer).stopProducing()
        elif not self._ending():
            self._writer.register(producer, streaming)

    def unregisterProducer(self) -> None:
        """Forget the producer; an end that waited for it comes."""
        self._writer.unregister()
        if self._stopped:
            self.loseConnection()

    def pauseProducing(self) -> None:
        """Stop delivering; the handshake goes on."""
        self._paused = True
        self._adjust_below()

    def resumeProducing(self) -> None:
        """Deliver again. As with TCP, nothing is delivered before this returns."""
        self._paused = False
        if self._engine.hungry or not self._established:
            self._adjust_below()
        elif not self._delivering and not self._lost and self._delivery is None:
            self._delivery = self._clock.callLater(0, self._deliver_held)

    def stopProducing(self) -> None:
        """See `Stream`."""
        self._stopped = True
        if not self._writer.has_producer:
            self.loseConnection()

    def untaken_bytes(self) -> int:
        """See `tunnelsvc.handover.untaken_bytes`; counted where it is encrypted."""
        return untaken_bytes(self.below)

    def getPeer(self) -> IAddress:
        """Address of the far end of the stream below."""
        return self.below.getPeer()

    def getHost(self) -> IAddress:
        """Address of this end of the stream below."""
        return self.below.getHost()

    # The side of the stream below.

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the TLS connection."""
        if self._aborted or self._failure is not None:
            return
        self._engine.feed(data)
        if not self._established:
            self._shake_hands()
        if self._established:
            self._deliver()

    def readConnectionLost(self) -> None:
        """The peer closed its side of TCP: fine after close_notify, a truncation without."""
        self._below_finished = True
        if self._closing and self._established:
            self.below.loseConnection()
        else:
            self._check_truncation()

    def writeConnectionLost(self) -> None:
        """Everything up to our FIN is out; now the peer should close."""
        if self._closing:
            self._flushed = True
            self._restart_clock(LINGER_SECONDS, self.below.loseConnection)

    def connectionLost(self, reason: Failure) -> None:
        """Tell the reader that, and why, everything is over."""
        self._lost = True
        self._failure = self._explain(reason)
        self._deadline.cancel()
        if self._delivery is not None:
            self._delivery.cancel()
        self._writer.lost()
        self._answer_waiting(self._failure)
        last_reader(self).connectionLost(self._failure)

    # The handshake.

    def _shake_hands(self) -> None:
        try:
            established = self._engine.handshake()
        except TLSError as error:
            self._fail(error)
            return
        self._writer.flush(self._engine.take())
        if established:
            self._deadline.cancel()
            self._established = True
            self._catch_up()

    def _catch_up(self) -> None:
        """Do what had to wait for the handshake."""
        finish = self._writer.finished
        self._writer.open()
        if self._closing:
            self._close()
        elif finish:
            self._finish_writing()
        self._adjust_below()
        self._writer.release()
        self._answer_waiting(None)

    def _answer_waiting(self, answer: Failure | None) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(answer)

    def _too_late(self, seconds: float) -> None:
        self._fail(TLSError(f"no TLS handshake within {seconds:g} s"), abort=True)

    # Delivery.

    def _deliver(self) -> None:
        """Give the reader what it is ready to take; once closed, look for the peer's end only."""
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._wants_data() and not self._engine.hungry:
                self._deliver_chunk()
        finally:
            self._delivering = False
        self._adjust_below()
        self._check_truncation()

    def _wants_data(self) -> bool:
        over = self._read_finished or self._aborted or self._failure is not None
        return not over and (self._closing or not self._paused)

    def _deliver_chunk(self) -> None:
        try:
            data = self._engine.read()
        except TLSError as error:
            self._fail(error)
            return
        if data and not self._closing:
            self.protocol.dataReceived(data)
        elif not data and self._engine.finished:
            self._peer_finished()

    def _peer_finished(self) -> None:
        self._read_finished = True
        if self._closing:
            self.below.loseConnection()
        elif IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self.loseConnection()

    def _deliver_held(self) -> None:
        self._delivery = None
        try:
            self._deliver()
        except Exception:
            # The reactor only logs it; an error of the reader must end this stream, as with TCP.
            self.abortConnection()
            raise

    def _adjust_below(self) -> None:
        """Pause the stream below exactly while nobody needs its bytes."""
        pause = self._established and self._paused and not self._closing
        if pause == self._below_paused or self._lost:
            return
        self._below_paused = pause
        (self.below.pauseProducing if pause else self.below.resumeProducing)()

    def _check_truncation(self) -> None:
        """Find out whether TCP ended before TLS; bytes that are held may still hold the end."""
        if not self._below_finished or self._read_finished:
            return
        if not self._established:
            error = TLSError("the peer closed the connection during the TLS handshake")
            self._fail(error, abort=True)
        elif self._engine.hungry and not self._closing:
            self._fail(ConnectionLost(_TRUNCATED), abort=True)

    # The end.

    def _ending(self) -> bool:
        return self._closing or self._aborted or self._failure is not None

    def _finish_writing(self) -> None:
        self._writer.finish()
        if not self._ending() and IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.writeConnectionLost()

    def _close(self) -> None:
        """Close TCP in the order that loses nothing (see the module's docstring)."""
        self._writer.finish()
        if self._failure is not None:
            return
        self._restart_clock(FLUSH_SECONDS, self.below.abortConnection)
        if self._read_finished or self._below_finished:
            self.below.loseConnection()
            return
        self.below.loseWriteConnection()
        self._deliver()

    def _fail(self, error: Exception, *, abort: bool = False) -> None:
        """End everything because of `error`; OpenSSL may have an alert to send."""
        if self._failure is not None or self._aborted:
            return
        self._failure = Failure(error)
        self._writer.stop()
        if abort:
            self.below.abortConnection()
            return
        self._writer.flush(self._engine.take())
        self._restart_clock(LINGER_SECONDS, self.below.abortConnection)
        self.below.loseConnection()

    def _explain(self, reason: Failure) -> Failure:
        """Choose what the reader is told when the stream below is lost for `reason`."""
        if self._failure is not None:
            return self._failure
        if self._flushed:
            return Failure(ConnectionDone())
        if self._ending():
            return reason
        if not self._established:
            why = reason.getErrorMessage()
            return Failure(TLSError(f"connection lost during the TLS handshake: {why}"))
        if reason.check(ConnectionDone) and not self._read_finished:
            return Failure(ConnectionLost(_TRUNCATED))
        return reason

    def _restart_clock(self, seconds: float, then: Callable[[], None]) -> None:
        self._deadline.cancel()
        self._deadline = limit(self._clock, seconds, then)
