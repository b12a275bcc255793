# -*- test-case-name: tests.link.test_tls -*-
"""Tests of the beginning of TLS, and of TLS on real connections."""

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.link.authority import Authority
from tests.link.tlsloopback import (
    AUTHORITY,
    BULK,
    CLIENT,
    SERVER,
    LoopbackTestCase,
    Reader,
    reactor,
)
from tests.streams import pair, pump
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.link.certificates import (
    TLSError,
    client_context,
    server_context,
)
from tunnelsvc.link.tls import TLSTransport, start_tls_client, start_tls_server


class StartTests(SynchronousTestCase):
    """How TLS begins on a stream."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.low_server, self.low_client = pair("tcp")
        self.reader = Reader()

    def test_head_byte(self) -> None:
        """0x17 goes before the ClientHello, and before anything that the reader does."""
        self.reader.makeConnection = lambda transport: transport.write(b"x")  # type: ignore[method-assign]
        start_tls_client(self.low_client, CLIENT, self.reader, self.clock, head_byte=True)
        sent = b"".join(cast("list[bytes]", self.low_client.out))
        self.assertEqual(sent[:2], b"\x17\x16")

    def test_no_head_byte(self) -> None:
        start_tls_client(self.low_client, CLIENT, self.reader, self.clock, head_byte=False)
        sent = b"".join(cast("list[bytes]", self.low_client.out))
        self.assertEqual(sent[:1], b"\x16")

    def test_first_bytes(self) -> None:
        """The server goes on where somebody else read the beginning."""
        client = start_tls_client(self.low_client, CLIENT, self.reader, self.clock, head_byte=True)
        client.write(b"hello")
        seen = b"".join(cast("list[bytes]", self.low_client.out))
        self.low_client.out.clear()
        reader = Reader()
        server = start_tls_server(self.low_server, SERVER, reader, self.clock, seen[1:])
        pump(self.low_server)
        self.assertEqual(reader.received, b"hello")
        self.assertIs(reader.transport, server)
        self.assertFalse(self.low_server.paused)

    def test_handshake_seconds(self) -> None:
        start_tls_client(
            self.low_client, CLIENT, self.reader, self.clock, False, handshake_seconds=3
        )
        self.clock.advance(3)
        self.assertEqual(str(self.reader.reason), "no TLS handshake within 3 s")
        reader = Reader()
        low, _ = pair("other")
        start_tls_server(low, SERVER, reader, self.clock, handshake_seconds=4)
        self.clock.advance(4)
        self.assertEqual(str(reader.reason), "no TLS handshake within 4 s")


class OursTests(LoopbackTestCase):
    """Our server and our client."""

    async def test_bulk_and_half_close(self) -> None:
        """Client first, then server first."""
        for turn in range(2):
            ends = await self.both()
            first, second = ends if turn else ends[::-1]
            first.tls.write(BULK)
            first.tls.loseWriteConnection()
            await second.ended
            self.assertEqual(second.received, BULK)
            second.tls.write(BULK)
            second.tls.loseConnection()
            await first.ended
            self.assertEqual(first.received, BULK)
            first.tls.loseConnection()
            await self.gone()
            for reader in ends:
                self.assertIsInstance(reader.reason, ConnectionDone)

    async def test_last_words(self) -> None:
        """Closing with something unread doesn't reset the peer, which would lose our words."""
        server, client = await self.both()
        client.tls.write(BULK)
        server.tls.write(BULK)
        server.tls.loseConnection()
        await client.ended
        self.assertEqual(client.received, BULK)
        client.tls.loseConnection()
        await self.gone()
        self.assertIsInstance(server.reason, ConnectionDone)

    async def test_abort(self) -> None:
        server, client = await self.both()
        await server.tls.when_established()
        await client.tls.when_established()
        client.tls.abortConnection()
        await self.gone()
        self.assertIsInstance(server.reason, ConnectionLost)

    async def test_exchange_of_the_reader(self) -> None:
        server, client = await self.both()
        arrived = server.expect(3)
        client.tls.write(b"one")
        await arrived
        second = Reader()
        server.tls.protocol = second
        arrived = second.expect(3)
        client.tls.write(b"two")
        await arrived
        self.assertEqual((server.received, second.received), (b"one", b"two"))
        self.readers = [second, client]
        client.tls.abortConnection()
        await self.gone()

    async def test_slow_reader(self) -> None:
        """Its writer stops, and goes on when it reads: what is under way is bounded."""
        server, client = await self.both()
        await server.tls.when_established()
        server.tls.pauseProducing()
        await client.tls.when_established()
        source = Source(client.tls, limit=128 * len(BULK))
        client.tls.registerProducer(source, True)
        source.resumeProducing()
        await source.paused_for_a_while()
        self.assertLess(source.written, source.limit)
        self.assertEqual(len(server.received), 0)
        source.limit = source.written + len(BULK)
        server.tls.resumeProducing()
        await server.ended
        self.assertEqual(len(server.received), source.limit)
        server.tls.loseConnection()
        client.tls.loseConnection()
        await self.gone()


class Source:
    """Writes as much as it is allowed to, and then ends."""

    def __init__(self, tls: TLSTransport, limit: int) -> None:
        self.limit = limit
        self.written = 0
        self._tls = tls
        self._paused = False

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused and self.written < self.limit:
            data = BULK[: min(65536, self.limit - self.written)]
            self.written += len(data)
            self._tls.write(data)
        if not self._paused:
            self._tls.unregisterProducer()
            self._tls.loseWriteConnection()

    def stopProducing(self) -> None:
        self._paused = True

    async def paused_for_a_while(self) -> None:
        """Wait until nothing was written during many turns of the reactor."""
        before, quiet = -1, 0
        while quiet < 100:
            quiet = quiet + 1 if self.written == before and self._paused else 0
            before = self.written
            turn: Deferred[None] = Deferred()
            reactor.callLater(0.001, turn.callback, None)
            await turn


class TrustTests(LoopbackTestCase):
    """Who trusts whom, between a server and a client of ours."""

    async def refused(self, server: TLSConfig, client: TLSConfig, name: str) -> tuple[str, str]:
        """Return what both sides say."""
        one, other = await self.both(server_context(server), client_context(client, name))
        await self.gone()
        self.assertIsInstance(other.reason, TLSError)
        return str(one.reason), str(other.reason)

    async def test_all_good(self) -> None:
        """Both sides verify each other."""
        server = server_context(self.tls(AUTHORITY.issue("server.example"), trusted=True))
        client = self.tls(AUTHORITY.issue("client.example"), trusted=True)
        accepted, connected = await self.both(server, client_context(client, "server.example"))
        await accepted.tls.when_established()
        await connected.tls.when_established()
        arrived = accepted.expect(2)
        connected.tls.write(b"ok")
        await arrived
        connected.tls.loseConnection()
        await accepted.ended
        accepted.tls.loseConnection()
        await self.gone()

    async def test_wrong_name(self) -> None:
        server = self.tls(AUTHORITY.issue("other.example"))
        theirs, ours = await self.refused(server, self.tls(trusted=True), "server.example")
        self.assertIn("host name mismatch", ours)
        self.assertIn("alert", theirs)

    async def test_unknown_authority(self) -> None:
        server = self.tls(Authority("stranger").issue("server.example"))
        theirs, ours = await self.refused(server, self.tls(trusted=True), "server.example")
        self.assertIn("certificate verify failed", ours)
        self.assertIn("unknown ca", theirs)

    async def test_missing_client_certificate(self) -> None:
        """In TLS 1.3 the client hears of it after its side of the handshake."""
        server = self.tls(AUTHORITY.issue("server.example"), trusted=True)
        theirs, ours = await self.refused(server, TLSConfig(), "server.example")
        self.assertIn("did not return a certificate", theirs)
        self.assertIn("certificate required", ours)

    async def test_wrong_client_certificate(self) -> None:
        server = self.tls(AUTHORITY.issue("server.example"), trusted=True)
        client = self.tls(Authority("stranger").issue("client.example"))
        theirs, ours = await self.refused(server, client, "server.example")
        self.assertIn("certificate verify failed", theirs)
        self.assertIn("unknown ca", ours)
