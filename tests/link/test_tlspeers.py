# -*- test-case-name: tests.link.test_tlspeers -*-
"""Tests of TLS on real connections with Twisted's TLS and Python's ``ssl`` as peers."""

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.link.tlsloopback import (
    AUTHORITY,
    BULK,
    PATIENCE_SECONDS,
    VERSIONS,
    LoopbackTestCase,
    Reader,
    reactor,
)
from tunnelsvc.link.certificates import (
    client_context,
)


class TwistedPeer(Protocol):
    """Twisted's own TLS: echoes, and notes why it ended."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.made: Deferred[None] = Deferred()
        self.gone: Deferred[Exception] = Deferred()

    def connectionMade(self) -> None:
        self.made.callback(None)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        assert self.transport is not None
        self.transport.write(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        assert isinstance(reason.value, Exception)
        self.gone.callback(reason.value)


class TwistedTests(LoopbackTestCase):
    """Twisted's TLS as client."""

    async def echoed(self) -> tuple[Reader, TwistedPeer]:
        port, accepted = self.listen()
        peer = TwistedPeer()
        factory = ClientFactory.forProtocol(lambda: peer)
        factory.noisy = False
        reactor.connectSSL("127.0.0.1", port, factory, CertificateOptions())
        await peer.made
        reader = await accepted
        arrived = reader.expect(len(BULK))
        reader.tls.write(BULK)
        await arrived
        self.assertEqual(reader.received, BULK)
        return reader, peer

    async def test_we_close(self) -> None:
        reader, peer = await self.echoed()
        reader.tls.loseConnection()
        self.assertIsInstance(await peer.gone, ConnectionDone)
        await self.gone()
        self.assertIsInstance(reader.reason, ConnectionDone)

    async def test_the_peer_closes(self) -> None:
        reader, peer = await self.echoed()
        assert peer.transport is not None
        peer.transport.loseConnection()
        await reader.ended
        reader.tls.loseConnection()
        self.assertIsInstance(await peer.gone, ConnectionDone)
        await self.gone()
        self.assertIsInstance(reader.reason, ConnectionDone)


class Blocking:
    """Python's ``ssl`` on a blocking socket, with half-close, for use in a thread."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, server: bool) -> None:
        sock.settimeout(PATIENCE_SECONDS)
        self.sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server,
            server_hostname=None if server else "server.example",
        )
        self._until(self._tls.do_handshake)

    def _until(self, call: Callable[[], Any]) -> Any:
        """Repeat a call until it needs no more input."""
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                if not data:
                    raise EOFError("TCP ended without TLS") from None
                self._incoming.write(data)
            finally:
                self.flush()

    def flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self.sock.sendall(data)

    def read_all(self) -> bytes:
        """Read until close_notify."""
        received = bytearray()
        while True:
            try:
                data = self._until(lambda: self._tls.read(65536))
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                return bytes(received)
            received += data

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), 65536):
            self._tls.write(data[start : start + 65536])
            self.flush()

    def end(self) -> None:
        """Send close_notify, and don't wait for the peer's."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self.flush()


class PythonSSLTests(LoopbackTestCase):
    """Python's ``ssl`` as peer, in both roles, TLS 1.2 and 1.3."""

    def client_context(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        return context

    def server_context(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        config = self.tls(AUTHORITY.issue("server.example"), trusted=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(config.cert_file, config.key_file)
        context.load_verify_locations(config.trusted_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = context.maximum_version = version
        return context

    def dial(self, port: int, version: ssl.TLSVersion) -> Blocking:
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        return Blocking(sock, self.client_context(version), server=False)

    async def test_peer_ends_first(self) -> None:
        """It gets the whole answer after its close_notify."""
        for version in VERSIONS:
            port, accepted = self.listen()

            def ask(port: int = port, version: ssl.TLSVersion = version) -> bytes:
                peer = self.dial(port, version)
                with peer.sock:
                    peer.write(BULK)
                    peer.end()
                    return peer.read_all()

            answer = deferToThread(ask)
            reader = await accepted
            await reader.ended
            self.assertEqual(reader.received, BULK)
            reader.tls.write(BULK)
            reader.tls.loseConnection()
            self.assertEqual(await answer, BULK)
            await self.gone()
            self.assertIsInstance(reader.reason, ConnectionDone)

    async def test_we_end_first(self) -> None:
        """We get the whole answer after our close_notify."""
        for version in VERSIONS:
            port, accepted = self.listen()

            def answer(port: int = port, version: ssl.TLSVersion = version) -> bytes:
                peer = self.dial(port, version)
                with peer.sock:
                    question = peer.read_all()
                    peer.write(BULK)
                    peer.end()
                    return question

            asked = deferToThread(answer)
            reader = await accepted
            reader.tls.write(BULK)
            reader.tls.loseWriteConnection()
            self.assertEqual(await asked, BULK)
            await reader.ended
            self.assertEqual(reader.received, BULK)
            reader.tls.loseConnection()
            await self.gone()

    async def test_peer_that_closes_without_ending(self) -> None:
        for version in VERSIONS:
            port, accepted = self.listen()

            def leave(port: int = port, version: ssl.TLSVersion = version) -> None:
                peer = self.dial(port, version)
                peer.write(b"half of the tr")
                peer.sock.shutdown(socket.SHUT_WR)
                with peer.sock:
                    while peer.sock.recv(65536):
                        pass

            left = deferToThread(leave)
            reader = await accepted
            await self.gone()
            self.assertEqual(reader.received, b"half of the tr")
            self.assertIsInstance(reader.reason, ConnectionLost)
            left.addErrback(lambda failure: failure.trap(ConnectionResetError))
            await left

    async def test_as_server_with_client_certificates(self) -> None:
        """Both verify each other; bulk each way; we close."""
        client = self.tls(AUTHORITY.issue("client.example"), trusted=True)
        for version in VERSIONS:
            context = self.server_context(version)
            listening = socket.create_server(("127.0.0.1", 0))
            listening.settimeout(PATIENCE_SECONDS)

            def serve(
                listening: socket.socket = listening, context: ssl.SSLContext = context
            ) -> bytes:
                with listening:
                    peer = Blocking(listening.accept()[0], context, server=True)
                with peer.sock:
                    peer.write(BULK)
                    received = peer.read_all()
                    peer.end()
                    return received

            served = deferToThread(serve)
            port = listening.getsockname()[1]
            reader = await self.connect(port, client_context(client, "server.example"))
            arrived = reader.expect(len(BULK))
            reader.tls.write(BULK)
            await arrived
            reader.tls.loseConnection()
            self.assertEqual(await served, BULK)
            self.assertEqual(reader.received, BULK)
            await self.gone()
            self.assertIsInstance(reader.reason, ConnectionDone)
