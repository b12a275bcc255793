# -*- test-case-name: tests.link.test_tlswriter -*-
"""Our direction of a TLS connection: what is written, who writes it, and its end."""

from collections.abc import Callable
from typing import cast

from twisted.internet.interfaces import IPushProducer

from tunnelsvc.errors import LocalProtocolError, TLSError
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.tlsengine import CHUNK_BYTES, Engine
from tunnelsvc.units import KiB

HELD_BYTES = 64 * KiB
"""Writes kept until the handshake is over, before their producer is paused; as Twisted's TCP."""


def _nobody_hears(error: TLSError) -> None:
    """Take an error of a connection that is gone."""


class Writer:
    """Encrypts writes for the stream below; holds them, and their producer, until `open`.

    Encrypting is synchronous, so once open nothing is buffered here: the producer is that of the
    stream below.

    Attributes:
        finished: writes are ignored from now on.
    """

    def __init__(self, below: Stream, engine: Engine, on_error: Callable[[TLSError], None]) -> None:
        self.finished = False
        self._below = below
        self._engine = engine
        self._on_error = on_error
        self._opened = self._closed = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._producer: IPushProducer | None = None
        self._streaming = True
        self._producer_paused = False

    @property
    def holds(self) -> bool:
        """Whether something waits for `open`."""
        return bool(self._held)

    @property
    def has_producer(self) -> bool:
        """Whether somebody is registered who writes."""
        return self._producer is not None

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes, or hold them."""
        if self.finished or not data:
            return
        if self._opened:
            self._encrypt(data)
            return
        self._held.append(bytes(data))
        self._held_bytes += len(data)
        if self._held_bytes > HELD_BYTES and self._producer and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()

    def open(self) -> None:
        """The handshake is over: send what was held."""
        self._opened = True
        held = b"".join(self._held)
        self._held.clear()
        if held:
            self._encrypt(held)

    def release(self) -> None:
        """Let a producer go on that was registered before `open`."""
        producer, paused = self._producer, self._producer_paused
        if producer is None:
            return
        self._producer_paused = False
        self._below.registerProducer(producer, self._streaming)
        if paused:
            producer.resumeProducing()

    def finish(self) -> None:
        """Send close_notify, once. Only after `open`."""
        self.finished = True
        if self._closed:
            return
        self._closed = True
        try:
            self.flush(self._engine.close())
        except TLSError as error:
            self._on_error(error)

    def stop(self) -> None:
        """Drop what is held, its producer, and what is still to come."""
        self.finished = True
        self._held.clear()
        self.unregister()

    def lost(self) -> None:
        """The stream below is gone. It has told its producer; one that is held hears it here.

        Whom an error is for knows us: he is forgotten, so that nobody has to look for us both.
        """
        self._on_error = _nobody_hears
        producer, self._producer = self._producer, None
        self.stop()
        if producer is not None and not self._opened:
            producer.stopProducing()

    def register(self, producer: object, streaming: bool) -> None:
        """Take a producer.

        Raises:
            LocalProtocolError: there is one already.
        """
        if self._producer is not None:
            raise LocalProtocolError(f"{self._producer} is still registered")
        self._producer, self._streaming = cast("IPushProducer", producer), streaming
        if self._opened:
            self._below.registerProducer(producer, streaming)

    def unregister(self) -> None:
        """Forget the producer."""
        if self._producer is not None and self._opened:
            self._below.unregisterProducer()
        self._producer = None
        self._producer_paused = False

    def flush(self, data: bytes) -> None:
        """Hand records on."""
        if data:
            self._below.write(data)

    def _encrypt(self, data: bytes | memoryview) -> None:
        try:
            if len(data) <= CHUNK_BYTES:
                self.flush(self._engine.encrypt(data))
                return
            view = memoryview(data)
            for start in range(0, len(data), CHUNK_BYTES):
                self.flush(self._engine.encrypt(view[start : start + CHUNK_BYTES]))
        except TLSError as error:
            self._on_error(error)
