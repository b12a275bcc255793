# -*- test-case-name: tests.link.test_hello -*-
"""Wait for a ClientHello, and hand the connection over with all that was read of it."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from tunnelsvc.interfaces import Stream
from tunnelsvc.link.beginning import Beginning
from tunnelsvc.wire.clienthello import ClientHello, ClientHelloError, ClientHelloReader

HELLO_SECONDS: Final = 30.0
"""How long a client may take for its hello (protocol notes 6.3)."""

OnHello = Callable[[Stream, ClientHello, bytes], None]
"""Takes over a parked stream, what it says, and the bytes read so far."""

OnGarbage = Callable[[Stream, bytes], None]
"""Takes over a parked stream that doesn't begin so, and the bytes read so far."""


class HelloWait(Beginning):
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
        self._on_hello = on_hello
        self._on_garbage = on_garbage
        self._reader = ClientHelloReader()
        super().__init__(stream, clock, HELLO_SECONDS, first_bytes)

    def dataReceived(self, data: bytes) -> None:
        """Look whether it is enough to decide."""
        try:
            hello = self._reader.feed(data)
        except ClientHelloError:
            self.decide()
            self._on_garbage(self.stream, self._reader.seen)
            return
        if hello is not None:
            self.decide()
            self._on_hello(self.stream, hello, self._reader.seen)
