# -*- test-case-name: tests.link.test_tls -*-
"""Begin TLS on a connected stream, with frp's mark in front if wanted.

What follows from it is in `tunnelsvc.link.tlstransport`, what it needs in
`tunnelsvc.link.certificates`.
"""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast
from typing import Protocol as TypingProtocol

from twisted.internet.interfaces import IReactorTime, ITransport

from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import TLSError
from tunnelsvc.interfaces import Stream, StreamReader
from tunnelsvc.link.tlsengine import Engine, EngineFactory
from tunnelsvc.link.tlstransport import TLSTransport

if TYPE_CHECKING:
    from OpenSSL import SSL

    from tunnelsvc.link.certificates import ConnectionFactory

__all__ = ["TLSError", "TLSTransport", "client_tls", "start_tls_client", "start_tls_server"]

_PYOPENSSL = "OpenSSL.SSL"
_SSL = "_ssl"
"""Python can be built without."""

HEAD_BYTE = b"\x17"
"""frp's mark before a ClientHello (protocol notes 1.2)."""

HANDSHAKE_SECONDS = 10.0
"""How long a handshake may take, as frp's deadline for the first message that comes after it."""


def client_tls(tls: TLSConfig, server_addr: str) -> "ConnectionFactory | EngineFactory":
    """Make what begins a client's side of TLS connections to its server.

    Args:
        tls: the settings.
        server_addr: name or address of the server; see `tunnelsvc.link.certificates`.

    Raises:
        ConfigError: a file can't be used, or the name can't be verified.
    """
    # Who needs one of them needn't have the other in memory; twistd has this one anyway.
    here = _PYOPENSSL in sys.modules or find_spec(_SSL) is None
    if here or tls.trusted_ca_file or tls.cert_file or tls.key_file:
        from tunnelsvc.link.certificates import client_context  # noqa: PLC0415

        return client_context(tls, server_addr)
    from tunnelsvc.link.sslengine import unverified_client  # noqa: PLC0415

    return unverified_client(tls.server_name or server_addr)


def _engine(made: "SSL.Connection | Engine") -> Engine:
    if isinstance(made, Engine):
        return made
    from tunnelsvc.link.opensslengine import OpenSSLEngine  # noqa: PLC0415 - see above

    return OpenSSLEngine(made)


class ConnectableReader(StreamReader, TypingProtocol):
    """A reader that wants to be told its stream, as all of Twisted's protocols do."""

    def makeConnection(self, transport: ITransport) -> None:
        """Take the stream."""


def start_tls_server(
    transport: Stream,
    connection_factory: "ConnectionFactory",
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
    tls = TLSTransport(transport, _engine(connection_factory()), protocol, clock, handshake_seconds)
    protocol.makeConnection(cast("ITransport", tls))
    tls.start(first_bytes)
    return tls


def start_tls_client(
    transport: Stream,
    connection_factory: "ConnectionFactory | EngineFactory",
    protocol: ConnectableReader,
    clock: IReactorTime,
    head_byte: bool,
    *,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> TLSTransport:
    """Take over a connected stream, as TLS client.

    Args:
        transport: the stream; may be parked, is resumed.
        connection_factory: see `client_tls`, or `tunnelsvc.link.certificates`.
        protocol: who reads the plaintext; connected at once, may write before the handshake ends.
        clock: for the time limits.
        head_byte: send frp's 0x17 before the ClientHello.
        handshake_seconds: how long the handshake may take.
    """
    tls = TLSTransport(transport, _engine(connection_factory()), protocol, clock, handshake_seconds)
    if head_byte:
        transport.write(HEAD_BYTE)
    protocol.makeConnection(cast("ITransport", tls))
    tls.start()
    return tls
