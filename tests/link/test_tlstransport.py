# -*- test-case-name: tests.link.test_tlstransport -*-
"""Tests of TLS on streams in memory: plaintext and handshake."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ITransport,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.link.test_tlsengine import CLIENT, client, server
from tests.link.tlspair import BULK, HANDSHAKE_SECONDS, STEADY, PairTestCase, Reader
from tests.streams import MemoryStream, Producer, pair, recorded
from tunnelsvc.link.certificates import TLSError
from tunnelsvc.link.tlsengine import CHUNK_BYTES
from tunnelsvc.link.tlstransport import LINGER_SECONDS, TLSTransport


class StreamTests(PairTestCase):
    """Plaintext in, plaintext out."""

    def test_interfaces(self) -> None:
        for interface in (ITransport, IConsumer, IPushProducer, IHalfCloseableProtocol):
            verifyObject(interface, self.server)
        verifyObject(IHalfCloseableProtocol, self.server_reader)

    def test_addresses(self) -> None:
        self.assertEqual(self.server.getPeer(), self.low_server.getPeer())
        self.assertEqual(self.server.getHost(), self.low_server.getHost())

    def test_nothing_waits_after_the_handshake(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_both_ways(self) -> None:
        self.client.write(b"question")
        self.server.writeSequence([b"ans", b"wer"])
        self.pump()
        self.assertEqual(self.server_reader.received, b"question")
        self.assertEqual(self.client_reader.received, b"answer")

    def test_written_before_the_handshake(self) -> None:
        self.make(handshake=False)
        self.client.write(b"early question")
        self.server.write(b"early answer")
        self.start()
        self.assertEqual(self.server_reader.received, b"early question")
        self.assertEqual(self.client_reader.received, b"early answer")

    def test_large_deliveries(self) -> None:
        """Four records that come together are one delivery."""
        self.client.write(BULK)
        self.coalesce()
        self.pump()
        self.assertEqual(self.server_reader.received, BULK)
        self.assertEqual(set(self.server_reader.calls), {CHUNK_BYTES})

    @STEADY
    @given(
        st.lists(st.tuples(st.booleans(), st.binary(max_size=400)), max_size=12),
        st.lists(st.integers(1, 700), min_size=1, max_size=8),
    )
    def test_any_cuts(self, writes: list[tuple[bool, bytes]], cuts: list[int]) -> None:
        """However the wire cuts it, from the handshake on, the plaintext is the same."""
        self.make(handshake=False)
        sizes = iter(cuts * 10_000)
        for low in (self.low_server, self.low_client):
            low.write = self.shredder(low, sizes)  # type: ignore[method-assign, assignment]
        for from_client, data in writes:
            (self.client if from_client else self.server).write(data)
        self.client.loseWriteConnection()
        self.start()
        self.assertEqual(self.server_reader.received, b"".join(d for c, d in writes if c))
        self.assertEqual(self.client_reader.received, b"".join(d for c, d in writes if not c))
        self.assertTrue(self.server_reader.finished)
        self.assertFalse(self.client_reader.finished)

    @staticmethod
    def shredder(low: MemoryStream, sizes: Any) -> Callable[[bytes], None]:
        def write(data: bytes) -> None:
            while data:
                size = next(sizes)
                low.out.append(data[:size])
                data = data[size:]

        return write

    def test_exchange_of_the_reader(self) -> None:
        """Also from within a delivery; the next chunk goes to the new one."""
        second = Reader()

        def exchange() -> None:
            self.server.protocol = second

        self.server_reader.on_data = exchange
        self.client.write(b"1" * CHUNK_BYTES + b"2")
        self.coalesce()
        self.pump()
        self.assertEqual(self.server_reader.received, b"1" * CHUNK_BYTES)
        self.assertEqual(second.received, b"2")
        self.client.loseWriteConnection()
        self.pump()
        self.assertTrue(second.finished)

    def test_answer_from_within_a_delivery(self) -> None:
        self.server_reader.on_data = lambda: self.server.write(b"echo")
        self.client.write(b"x")
        self.pump()
        self.assertEqual(self.client_reader.received, b"echo")

    def test_producer_of_who_waited(self) -> None:
        """Whoever takes over when the handshake is over may produce at once."""
        self.make(handshake=False)
        producer = Producer()

        def take_over(_: None) -> None:
            self.server.registerProducer(producer, True)

        self.server.when_established().addCallback(take_over)
        self.start()
        self.assertIs(self.low_server.producer, producer)
        self.server.unregisterProducer()
        self.assertIsNone(self.low_server.producer)

    def test_first_bytes(self) -> None:
        """What a switch had read comes first, then what arrived meanwhile."""
        self.make(handshake=False)
        self.client.start()
        hello = self.low_client.out.pop()
        assert isinstance(hello, bytes)
        parked = self.low_server.protocol
        parked.dataReceived(hello[20:])
        self.server.start(hello[:20])
        self.pump()
        self.client.write(b"x")
        self.pump()
        self.assertEqual(self.server_reader.received, b"x")


class EstablishedTests(PairTestCase):
    """Waiting for the handshake."""

    def setUp(self) -> None:
        self.make(handshake=False)

    def test_both_sides(self) -> None:
        waiting = [self.server.when_established(), self.client.when_established()]
        self.assertNoResult(waiting[0])
        self.start()
        for deferred in (*waiting, self.server.when_established()):
            self.assertIsNone(self.successResultOf(deferred))

    def test_writes_go_in_order(self) -> None:
        """Who waits for the handshake writes after who didn't."""
        self.client.when_established().addCallback(lambda _: self.client.write(b"second"))
        self.client.write(b"first ")
        self.start()
        self.assertEqual(self.server_reader.received, b"first second")

    def test_takes_a_producer(self) -> None:
        """Who waits for the handshake may produce; whoever did before is unregistered."""
        producer = Producer()

        def produce(_: object) -> None:
            self.client.registerProducer(producer, True)

        self.client.when_established().addCallback(produce)
        self.start()
        self.assertIs(self.low_client.producer, producer)

    def test_peer_resets(self) -> None:
        waiting = self.server.when_established()
        self.server.start()
        self.client.start()
        self.low_client.abortConnection()
        failure = self.failureResultOf(waiting, TLSError)
        self.assertIn("connection lost during the TLS handshake", failure.getErrorMessage())
        self.assertIsInstance(self.reason(self.client_reader), TLSError)
        self.assert_over()

    def test_lost_before_the_start(self) -> None:
        self.low_client.abortConnection()
        self.server.start()
        self.client.start()
        self.assert_over()

    def test_abort(self) -> None:
        waiting = self.client.when_established()
        self.client.start()
        self.client.write(b"never sent")
        self.client.abortConnection()
        self.failureResultOf(waiting, ConnectionAborted)
        self.server.start()
        self.assert_over()

    def test_close_with_something_to_say(self) -> None:
        self.client.write(b"last words")
        self.client.loseConnection()
        self.start()
        self.assertEqual(self.server_reader.received, b"last words")
        self.assertTrue(self.server_reader.finished)
        self.server.loseConnection()
        self.pump()
        self.assertIsInstance(self.reason(self.client_reader), ConnectionDone)
        self.assert_over()

    def test_half_close(self) -> None:
        self.client.write(b"question")
        self.client.loseWriteConnection()
        self.client.write(b"ignored")
        self.assertEqual(self.client_reader.write_finished, 0)
        self.start()
        self.assertEqual(self.client_reader.write_finished, 1)
        self.assertTrue(self.server_reader.finished)
        self.server.write(b"answer")
        self.pump()
        self.assertEqual(self.client_reader.received, b"answer")


class OneSideTests(PairTestCase):
    """One side of a handshake, and a peer that isn't up to it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.low, low_peer = pair("tcp")
        self.low_server = self.low
        self.peer = low_peer
        self.heard = recorded(low_peer)
        self.reader = Reader()

    def client_side(self) -> TLSTransport:
        return self.transport(self.low, client(), self.reader)

    def server_side(self) -> TLSTransport:
        return self.transport(self.low, server(), self.reader)

    def assert_failed(self, text: str) -> None:
        error = self.reason(self.reader)
        self.assertIsInstance(error, TLSError)
        self.assertIn(text, str(error))
        self.assertTrue(self.low.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence(self) -> None:
        client = self.client_side()
        waiting = client.when_established()
        client.start()
        self.pump()
        self.clock.advance(HANDSHAKE_SECONDS - 0.1)
        self.assertIsNone(self.reader.lost)
        self.clock.advance(0.1)
        failure = self.failureResultOf(waiting, TLSError)
        self.assertIs(self.reader.lost, failure)
        self.failureResultOf(client.when_established(), TLSError)
        self.assert_failed("no TLS handshake within 10 s")

    def test_half_a_hello_and_silence(self) -> None:
        hello = CLIENT()
        self.assertRaises(SSL.WantReadError, hello.do_handshake)
        self.peer.write(hello.bio_read(100))
        self.server_side().start()
        self.pump()
        self.assertIsNone(self.reader.lost)
        self.clock.advance(HANDSHAKE_SECONDS)
        self.assert_failed("no TLS handshake within 10 s")

    def test_garbage(self) -> None:
        self.peer.write(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n")
        server = self.server_side()
        waiting = server.when_established()
        server.write(b"never sent")
        server.start()
        self.pump()
        failure = self.failureResultOf(waiting, TLSError)
        self.assertEqual(failure.getErrorMessage(), "TLS handshake failed: http request")
        self.assert_failed("http request")
        self.assertTrue(self.heard.finished)

    def test_alert(self) -> None:
        """A peer that does speak TLS is told what is wrong."""
        self.server_side().start(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
        self.pump()
        self.assert_failed("TLS handshake failed")
        alert, version, fatal = (
            self.heard.received[0],
            self.heard.received[1],
            self.heard.received[5],
        )
        self.assertEqual((alert, version, fatal), (21, 3, 2))

    def test_bytes_after_garbage(self) -> None:
        server = self.server_side()
        server.start(b"no hello at all")
        server.dataReceived(b"and more")
        server.write(b"ignored")
        server.loseWriteConnection()
        server.loseConnection()
        self.pump()
        self.assert_failed("TLS handshake failed")

    def test_failed_but_not_taken(self) -> None:
        """A peer that doesn't read our alert can't keep us."""
        self.peer.paused = True
        self.server_side().start(b"no hello at all")
        self.pump()
        self.assertIsNone(self.reader.lost)
        self.clock.advance(LINGER_SECONDS)
        self.assert_failed("TLS handshake failed")

    def test_peer_leaves(self) -> None:
        self.server_side().start()
        self.peer.loseWriteConnection()
        self.pump()
        self.assert_failed("the peer closed the connection during the TLS handshake")

    def test_stream_below_closes(self) -> None:
        self.server_side().connectionLost(Failure(ConnectionDone()))
        self.assertIn("connection lost during", str(self.reason(self.reader)))

    def test_close_with_nothing_to_say(self) -> None:
        """There is no point in a handshake."""
        client = self.client_side()
        client.start()
        client.loseConnection()
        self.pump()
        self.assertIsInstance(self.reason(self.reader), ConnectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_peer_leaves(self) -> None:
        """Words that were never sent aren't a clean end."""
        client = self.client_side()
        client.write(b"last words")
        client.loseConnection()
        client.start()
        self.peer.loseWriteConnection()
        self.pump()
        self.assert_failed("during the TLS handshake")

    def test_abort_before_the_start(self) -> None:
        """A reader may give up in ``makeConnection``."""
        client = self.client_side()
        client.abortConnection()
        client.start(b"ignored")
        self.assertIsInstance(self.reason(self.reader), ConnectionAborted)
        self.assertEqual(self.heard.received, b"")
        client.abortConnection()

    def test_too_late_for_a_stream_that_was_aborted(self) -> None:
        """TCP takes a turn to say that it is gone."""
        self.low.abortConnection = lambda: None  # type: ignore[method-assign]
        client = self.client_side()
        client.start()
        client.abortConnection()
        self.clock.advance(HANDSHAKE_SECONDS)
        client.connectionLost(Failure(ConnectionAborted()))
        self.assertIsInstance(self.reason(self.reader), ConnectionAborted)
