# -*- test-case-name: tests.relay.test_stages -*-
"""Hop 6 of a user connection: cipher and compression, as two lists of stages."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.handover import Parked, attach, last_reader, untaken_bytes
from tunnelsvc.interfaces import Stream, StreamReader
from tunnelsvc.wire.cfb import Decryptor, Encryptor
from tunnelsvc.wire.snappy import Compressor, Decompressor


class Stage(Protocol):
    """One codec of one direction."""

    def feed(self, data: bytes) -> bytes:
        """Return what `data` becomes; may be empty when more is needed.

        Raises:
            RemoteProtocolError: the peer's bytes are not of this codec.
        """


Stages = tuple[list[Stage], list[Stage]]
"""Those of the inbound and of the outbound direction, each in the order bytes pass them."""


def codecs(key: bytes, *, encryption: bool, compression: bool) -> Stages:
    """Make the stages of a fresh work connection: compressed first, then encrypted (notes 4.5).

    Args:
        key: of the cipher, 16 bytes.
        encryption: whether the proxy has ``use_encryption``.
        compression: whether it has ``use_compression``.
    """
    inbound: list[Stage] = []
    outbound: list[Stage] = []
    if encryption:
        inbound.append(Decryptor(key, bulk=True))
        outbound.append(Encryptor(key, bulk=True))
    if compression:
        inbound.append(Decompressor())
        outbound.insert(0, Compressor())
    return inbound, outbound


def _through(stages: Iterable[Stage], data: bytes) -> bytes:
    for stage in stages:
        data = stage.feed(data)
    return data


def dress(stream: Stream, unread: bytes, stages: Stages) -> tuple[Stream, bytes]:
    """Put codecs on a parked stream.

    Args:
        stream: the bare stream.
        unread: bytes of it that were read already.
        stages: see `codecs`.

    Returns:
        A stream that reads and writes plain bytes (`stream` itself without stages), and the
        unread bytes as they read through it.

    Raises:
        RemoteProtocolError: `unread` is not of the codecs.
    """
    inbound, outbound = stages
    if not inbound and not outbound:
        return stream, unread
    return Dressed(stream, inbound, outbound), _through(inbound, unread)


@implementer(ITransport, IConsumer, IPushProducer, IHalfCloseableProtocol)
class Dressed:
    """A stream seen through codecs: the reader of the bare one, and a stream for who reads plain.

    One object whatever the number of stages: they are data, not wrappers.
    """

    disconnecting = False

    def __init__(self, stream: Stream, inbound: Sequence[Stage], outbound: Sequence[Stage]) -> None:
        self._stream = stream
        self._inbound = tuple(inbound)
        self._outbound = tuple(outbound)
        self._failure: Failure | None = None
        parked = Parked()
        parked.transport = self
        self.protocol: StreamReader = parked
        attach(stream, self)

    # As the reader of the bare stream.

    def dataReceived(self, data: bytes) -> None:
        """Decode and pass on; bytes that can't be decoded end the stream."""
        try:
            data = _through(self._inbound, data)
        except RemoteProtocolError:
            self._failure = Failure()
            self._stream.abortConnection()
            return
        if data:
            self.protocol.dataReceived(data)

    def readConnectionLost(self) -> None:
        """Pass on."""
        self.protocol.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Pass on."""
        self.protocol.writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:
        """Pass on, with the codec's error where that was the cause."""
        last_reader(self).connectionLost(self._failure or reason)

    # As a stream.

    def write(self, data: bytes) -> None:
        """Encode and send; what comes from a third and can't be encoded ends the stream."""
        try:
            encoded = _through(self._outbound, data)
        except RemoteProtocolError:
            self._failure = Failure()
            self._stream.abortConnection()
            return
        if encoded:
            self._stream.write(encoded)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Encode and send."""
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """See `Stream`."""
        self._stream.loseWriteConnection()

    def loseConnection(self) -> None:
        """See `Stream`."""
        self._stream.loseConnection()

    def abortConnection(self) -> None:
        """See `Stream`."""
        self._stream.abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See `Stream`."""
        self._stream.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """See `Stream`."""
        self._stream.unregisterProducer()

    def pauseProducing(self) -> None:
        """See `Stream`."""
        self._stream.pauseProducing()

    def resumeProducing(self) -> None:
        """See `Stream`."""
        self._stream.resumeProducing()

    def stopProducing(self) -> None:
        """See `Stream`."""
        self._stream.stopProducing()

    def untaken_bytes(self) -> int:
        """See `tunnelsvc.handover.untaken_bytes`; counted as encoded."""
        return untaken_bytes(self._stream)

    def getPeer(self) -> IAddress:
        """See `Stream`."""
        return self._stream.getPeer()

    def getHost(self) -> IAddress:
        """See `Stream`."""
        return self._stream.getHost()
