"""Servers and clients of TLS on 127.0.0.1."""

import ssl
from pathlib import Path
from typing import Any, cast

from attrs import evolve
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.link.authority import Authority, write_certificates, write_key
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.handover import ParkingFactory
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.certificates import (
    ConnectionFactory,
    Identity,
    client_context,
    server_context,
)
from tunnelsvc.link.tls import TLSTransport, start_tls_client, start_tls_server

reactor = cast("Any", installed_reactor)

PATIENCE_SECONDS = 60
"""For blocking sockets; only a broken test waits so long."""
BULK = bytes(range(256)) * 16384
"""4 MiB: more than the buffers of a loopback connection at rest."""
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
AUTHORITY = Authority()
SERVER = server_context(TLSConfig())
CLIENT = client_context(TLSConfig(), "server.example")


@implementer(IHalfCloseableProtocol)
class Reader(Protocol):
    """Collects what it reads, and tells when."""

    tls: TLSTransport

    def __init__(self) -> None:
        self.received = bytearray()
        self.reason: Exception | None = None
        self.ended: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self.expected: list[tuple[int, Deferred[None]]] = []

    def expect(self, length: int) -> Deferred[None]:
        """Wait until so many bytes were read."""
        deferred: Deferred[None] = Deferred()
        self.expected.append((length, deferred))
        return deferred

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        while self.expected and len(self.received) >= self.expected[0][0]:
            self.expected.pop(0)[1].callback(None)

    def readConnectionLost(self) -> None:
        self.ended.callback(None)

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        assert isinstance(reason.value, Exception)
        self.reason = reason.value
        self.gone.callback(None)


class LoopbackTestCase(TestCase):
    """Makes servers and clients of ours on 127.0.0.1, and waits for their end."""

    def setUp(self) -> None:
        self.readers: list[Reader] = []
        self.directory = self.mktemp()
        Path(self.directory).mkdir()

    async def gone(self) -> None:
        """Wait until all readers have lost their connections."""
        for reader in self.readers:
            await reader.gone

    def listen(self, factory: ConnectionFactory = SERVER) -> tuple[int, "Deferred[Reader]"]:
        """Serve TLS; return the port, and who reads the first connection."""
        accepted: Deferred[Reader] = Deferred()

        def accept(stream: Stream) -> None:
            reader = Reader()
            self.readers.append(reader)
            reader.tls = start_tls_server(stream, factory, reader, reactor)
            if not accepted.called:
                accepted.callback(reader)

        port = reactor.listenTCP(0, ParkingFactory(accept), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port, accepted

    async def connect(self, port: int, factory: ConnectionFactory = CLIENT) -> Reader:
        """Connect with TLS of ours."""
        streams: list[Stream] = []
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        await endpoint.connect(ParkingFactory(streams.append))
        reader = Reader()
        self.readers.append(reader)
        reader.tls = start_tls_client(streams[0], factory, reader, reactor, head_byte=False)
        return reader

    async def both(
        self, server: ConnectionFactory = SERVER, client: ConnectionFactory = CLIENT
    ) -> tuple[Reader, Reader]:
        """Connect a server and a client of ours."""
        port, accepted = self.listen(server)
        connecting = await self.connect(port, client)
        return await accepted, connecting

    def tls(self, identity: Identity | None = None, *, trusted: bool = False) -> TLSConfig:
        """Write files and name them."""
        config = TLSConfig()
        base = f"{self.directory}/{id(identity)}"
        if identity is not None:
            config = evolve(
                config,
                cert_file=write_certificates(f"{base}.crt", identity.certificate),
                key_file=write_key(f"{base}.key", identity),
            )
        if trusted:
            path = write_certificates(f"{self.directory}/ca.crt", AUTHORITY.certificate)
            config = evolve(config, trusted_ca_file=path)
        return config
