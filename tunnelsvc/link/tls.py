# -*- test-case-name: tests.link.test_tls -*-
"""Begin TLS on a connected stream, with frp's mark in front if wanted.

What follows from it is in `tunnelsvc.link.tlstransport`, what it needs in
`tunnelsvc.link.certificates`.
"""

from typing import Protocol as TypingProtocol
from typing import cast

from twisted.internet.interfaces import IReactorTime, ITransport

from tunnelsvc.interfaces import Stream, StreamReader
from tunnelsvc.link.certificates import ConnectionFactory, TLSError
from tunnelsvc.link.tlstransport import TLSTransport

__all__ = ["TLSError", "TLSTransport", "start_tls_client", "start_tls_server"]

HEAD_BYTE = b"\x17"
"""frp's mark before a ClientHello (protocol notes 1.2)."""

HANDSHAKE_SECONDS = 10.0
"""How long a handshake may take, as frp's deadline for the first message that comes after it."""


class ConnectableReader(StreamReader, TypingProtocol):
    """A reader that wants to be told its stream, as all of Twisted's protocols do."""

    def makeConnection(self, transport: ITransport) -> None:
        """Take the stream."""


def start_tls_server(
    transport: Stream,
    connection_factory: ConnectionFactory,
    protocol: ConnectableReader,
    clock: IReactorTime,
    first_bytes: bytes = b"",
    *,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> TLSTransport:
    """Take over a connected stream, as TLS server.

    Args:
        transport: the stream; may be parked, is resumed.
        connection_factory: see `tunnelsvc.link.certificates.server_context`.
        protocol: who reads the plaintext; connected at once, may write before the handshake ends.
        clock: for the time limits.
        first_bytes: bytes of `transport` that were read before, from the ClientHello on.
        handshake_seconds: how long the handshake may take.
    """
    tls = TLSTransport(transport, connection_factory(), protocol, clock, handshake_seconds)
    protocol.makeConnection(cast("ITransport", tls))
    tls.start(first_bytes)
    return tls


def start_tls_client(
    transport: Stream,
    connection_factory: ConnectionFactory,
    protocol: ConnectableReader,
    clock: IReactorTime,
    head_byte: bool,
    *,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> TLSTransport:
    """Take over a connected stream, as TLS client.

    Args:
        transport: the stream; may be parked, is resumed.
        connection_factory: see `tunnelsvc.link.certificates.client_context`.
        protocol: who reads the plaintext; connected at once, may write before the handshake ends.
        clock: for the time limits.
        head_byte: send frp's 0x17 before the ClientHello.
        handshake_seconds: how long the handshake may take.
    """
    tls = TLSTransport(transport, connection_factory(), protocol, clock, handshake_seconds)
    if head_byte:
        transport.write(HEAD_BYTE)
    protocol.makeConnection(cast("ITransport", tls))
    tls.start()
    return tls
