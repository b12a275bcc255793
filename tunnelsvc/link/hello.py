# -*- test-case-name: tests.link.test_hello -*-
"""Wait for a ClientHello, and hand the connection over with all that was read of it."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import attach, park
from tunnelsvc.interfaces import Stream
from tunnelsvc.timing import limit
from tunnelsvc.wire.clienthello import ClientHello, ClientHelloError, ClientHelloReader

HELLO_SECONDS: Final = 30.0
"""How long a client may take for its hello (protocol notes 6.3)."""

OnHello = Callable[[Stream, ClientHello, bytes], None]
"""Takes over a parked stream, what it says, and the bytes read so far."""

OnGarbage = Callable[[Stream, bytes], None]
"""Takes over a parked stream that doesn't begin so, and the bytes read so far."""


@implementer(IHalfCloseableProtocol)
class HelloWait:
    """Reads a stream until its hello is complete.

    Silence and a client that leaves end the stream without an answer.
    """

    def __init__(
        self,
        stream: Stream,
        clock: IReactorTime,
        on_hello: OnHello,
        on_garbage: OnGarbage,
        first_bytes: bytes = b"",
    ) -> None:
        """Begin to read.

        Args:
            stream: a parked stream.
            clock: for the time limit.
            on_hello: takes it over if it begins with a hello.
            on_garbage: takes it over if not.
            first_bytes: those that were read before.
        """
        self._stream = stream
        self._on_hello = on_hello
        self._on_garbage = on_garbage
        self._reader = ClientHelloReader()
        self._decided = False
        self._deadline = limit(clock, HELLO_SECONDS, stream.abortConnection)
        self.dataReceived(first_bytes)
        if not self._decided:
            attach(stream, self)
        if not self._decided:
            stream.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """Look whether it is enough to decide."""
        try:
            hello = self._reader.feed(data)
        except ClientHelloError:
            self._decide()
            self._on_garbage(self._stream, self._reader.seen)
            return
        if hello is not None:
            self._decide()
            self._on_hello(self._stream, hello, self._reader.seen)

    def _decide(self) -> None:
        self._decided = True
        self._deadline.cancel()
        if self._stream.protocol is self:
            park(self._stream)

    def readConnectionLost(self) -> None:
        """Close: nothing was asked."""
        self._stream.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """Forget the stream."""
        self._decided = True
        self._deadline.cancel()
