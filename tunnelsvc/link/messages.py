# -*- test-case-name: tests.link.test_messages -*-
"""frp messages over a stream, until somebody takes the stream over (hop 5)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from twisted.internet import error
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.handover import attach, park
from tunnelsvc.interfaces import Stream
from tunnelsvc.timing import Limit, limit
from tunnelsvc.wire.cfb import Decryptor, Encryptor
from tunnelsvc.wire.dialect import V1, Dialect
from tunnelsvc.wire.messages import Message

if TYPE_CHECKING:
    # Whoever speaks v1 only hasn't loaded it.
    from tunnelsvc.wire.hello import Negotiated

FIRST_MESSAGE_SECONDS = 10.0
"""How long a peer may take for its first message (protocol notes 1.3)."""

CLOSE_SECONDS = 10.0
"""How long a peer may take to read our last words."""


class Cipher(Protocol):
    """One direction of a cipher."""

    def feed(self, data: bytes) -> bytes:
        """Give what becomes of `data`, as far as it is complete.

        Raises:
            RemoteProtocolError: it isn't what the peer made.
        """


def ignore_message(message: Message) -> None:
    """Drop a message that nobody expects; known but unexpected ones are harmless."""


def _ignore_loss(reason: Failure) -> None:
    """Nobody waits for this stream."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class MessageProtocol:
    """Reads and writes messages on a stream.

    Attributes:
        stream: what carries the messages.
        dialect: how they are written.
        negotiated: what the hellos of a control connection came to, in v2; see `control.cipher`.
        on_message: called with each message; exchange it at will, also from within itself.
        on_lost: called once, with why, unless the stream was handed over before.
    """

    def __init__(self, stream: Stream, clock: IReactorTime, dialect: Dialect = V1) -> None:
        self.stream = stream
        self.dialect = dialect
        self.on_message: Callable[[Message], None] = ignore_message
        self.on_lost: Callable[[Failure], None] = _ignore_loss
        self._clock = clock
        self.negotiated: Negotiated | None = None
        self._reader = dialect.make_reader()
        self._decryptor: Cipher | None = None
        self._encryptor: Cipher | None = None
        self._sealed = b""
        self._deadline: Limit | None = None
        self._failure: Failure | None = None
        self._detached = False
        self._lost = False

    def start(self, first_bytes: bytes = b"") -> None:
        """Begin to read; `first_bytes` were read by whoever recognised the connection."""
        if first_bytes:
            self.dataReceived(first_bytes)
        if not self._detached:
            self.stream.registerProducer(self, True)
            attach(self.stream, self)
            self.stream.resumeProducing()

    def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            LocalProtocolError: it is longer than the protocol allows.
        """
        data = self.dialect.encode(message)
        self.stream.write(self._encryptor.feed(data) if self._encryptor else data)

    def send_preface(self) -> None:
        """Say what we speak, as who opens a stream has to; in v1 the first message says it."""
        if self.dialect.preface:
            self.stream.write(self.dialect.preface)

    def encrypt(self, key: bytes) -> None:
        """Put everything that follows, both ways, under the cipher of v1 (notes 4.2)."""
        self.protect(Encryptor(key), Decryptor(key))

    def protect(self, encryptor: Cipher, decryptor: Cipher) -> None:
        """Put everything that follows, both ways, under a cipher."""
        # Decrypted when the message that called for it is done with: it may be no good.
        self._sealed = self._reader.take_unread()
        self._encryptor, self._decryptor = encryptor, decryptor

    def expect(self, seconds: float) -> Deferred[Message]:
        """Wait for one message.

        Returns:
            Fires with the next message. Fails with ``TimeoutError`` after `seconds`, or with why
            the stream was lost; the stream is gone then.
        """
        if self._lost:
            return fail(self._failure or Failure(error.ConnectionLost()))

        def given_up(_: object) -> None:
            self._forget_owner()
            self.abort()

        waiting: Deferred[Message] = Deferred(given_up)

        def arrived(message: Message) -> None:
            self._forget_deadline()
            self._forget_owner()
            waiting.callback(message)

        self.on_message, self.on_lost = arrived, waiting.errback
        self.limit(seconds)
        return waiting

    def limit(self, seconds: float) -> None:
        """Lose a stream that isn't handed over, closed or given another limit in time."""
        self._forget_deadline()
        self._deadline = limit(self._clock, seconds, partial(self._too_late, seconds))

    def detach(self) -> tuple[Stream, bytes]:
        """Stop reading messages and give the stream away, parked, with its unread bytes."""
        self._detached = True
        self._forget_deadline()
        self._forget_owner()
        self.stream.unregisterProducer()
        park(self.stream)
        return self.stream, self._reader.take_unread()

    def close(self) -> None:
        """Close after everything sent is out; a peer that doesn't take it is cut off."""
        self._forget_deadline()
        if not self._lost:
            self.stream.unregisterProducer()
            self.stream.loseConnection()
            self._deadline = limit(self._clock, CLOSE_SECONDS, self.abort)

    def abort(self) -> None:
        """Close now."""
        self._forget_deadline()
        self.stream.abortConnection()

    def pauseProducing(self) -> None:
        """Hear nothing more from a peer that doesn't read our answers."""
        self.stream.pauseProducing()

    def resumeProducing(self) -> None:
        """Listen again."""
        self.stream.resumeProducing()

    def stopProducing(self) -> None:
        """Nothing to do; `connectionLost` follows."""

    def dataReceived(self, data: bytes) -> None:
        """Read messages; a violation of the protocol ends the stream."""
        if self._failure is not None:
            return
        try:
            self._feed(data)
            while not self._detached and (message := self._reader.next_message()) is not None:
                self.on_message(message)
                if self._sealed:
                    self._feed(b"")
        except RemoteProtocolError:
            self._fail(Failure())

    def readConnectionLost(self) -> None:
        """Close: a conversation has no half."""
        self._fail(Failure(error.ConnectionDone()))

    def writeConnectionLost(self) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: Failure) -> None:
        """Tell the owner why the stream is gone."""
        self._lost = True
        self._forget_deadline()
        on_lost = self.on_lost
        self._forget_owner()
        on_lost(self._failure or reason)

    def _feed(self, data: bytes) -> None:
        if self._decryptor is not None:
            sealed, self._sealed = self._sealed + data, b""
            data = self._decryptor.feed(sealed)
        self._reader.feed(data)

    def _fail(self, failure: Failure) -> None:
        self._failure = self._failure or failure
        self.abort()

    def _too_late(self, seconds: float) -> None:
        self._fail(Failure(error.TimeoutError(f"no message within {seconds:g} s")))

    def _forget_owner(self) -> None:
        """Call nobody any more: who is called mostly knows us, and both would stay for that."""
        self.on_message, self.on_lost = ignore_message, _ignore_loss

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
