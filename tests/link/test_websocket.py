# -*- test-case-name: tests.link.test_websocket -*-
"""Tests of `tunnelsvc.link.websocket`."""

from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.link.tlspair import Reader, Whole
from tests.streams import HIGH_WATER_BYTES, MemoryStream, Producer, pair, pump
from tunnelsvc.handover import Parked, attach, untaken_bytes
from tunnelsvc.link.websocket import (
    FLUSH_SECONDS,
    LINGER_SECONDS,
    MOST_UNTAKEN_BYTES,
    WebSocketStream,
)
from tunnelsvc.wire.websocket import Decoder, Encoder, WebSocketError

STEADY = settings(derandomize=True, deadline=None, max_examples=40)
BULK = bytes(range(256)) * 1024
PING = bytes.fromhex("890178")


class WebSocketCase(SynchronousTestCase):
    """A client and a server on two ends of a stream in memory."""

    def setUp(self) -> None:
        self.make()

    def make(self) -> None:
        self.clock = Clock()
        self.low_server, self.low_client = pair("tcp")
        self.server = WebSocketStream(self.low_server, self.clock, client=False)
        self.client = WebSocketStream(self.low_client, self.clock, client=True)
        self.server_reader, self.client_reader = Reader(), Reader()
        for stream, reader in (
            (self.server, self.server_reader),
            (self.client, self.client_reader),
        ):
            stream.start()
            attach(stream, reader)
            stream.resumeProducing()

    def pump(self) -> None:
        """Move everything, with what waits for the next turn of the reactor."""
        pump(self.low_server)
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)
            pump(self.low_server)

    def raw_client(self, data: bytes) -> None:
        """Bring the server bytes that no client of ours would send."""
        self.low_client.write(data)
        self.pump()

    def why(self, reader: Reader) -> Exception:
        assert reader.lost is not None
        return cast("Exception", reader.lost.value)

    def assert_over(self) -> None:
        for low, reader in (
            (self.low_server, self.server_reader),
            (self.low_client, self.client_reader),
        ):
            self.assertTrue(low.lost)
            self.assertIsNone(low.producer)
            self.assertIsNotNone(reader.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class BytesTests(WebSocketCase):
    """What is written arrives."""

    def test_both_ways(self) -> None:
        self.client.write(b"question")
        self.server.writeSequence([b"an", b"swer"])
        self.server.write(memoryview(b"!"))
        self.client.write(b"")
        self.pump()
        self.assertEqual(bytes(self.server_reader.received), b"question")
        self.assertEqual(bytes(self.client_reader.received), b"answer!")

    def test_only_the_client_masks(self) -> None:
        self.client.write(b"x" * 40)
        self.server.write(b"x" * 40)
        self.assertNotIn(b"xxxx", cast("bytes", self.low_client.out[0]))
        self.assertEqual(self.low_server.out[0], b"\x82\x28" + b"x" * 40)

    def test_pings_are_answered(self) -> None:
        self.low_server.write(PING)
        self.low_server.write(PING)
        self.client.write(b"a")
        self.pump()
        self.assertEqual(bytes(self.server_reader.received), b"a")
        answers = b"".join(cast("list[bytes]", self.low_client.out))
        self.assertEqual(answers, b"", "all taken")

    def test_pong(self) -> None:
        self.low_server.write(PING)
        pump_one_way(self.low_server)
        [pong] = cast("list[bytes]", self.low_client.out)
        self.assertEqual(pong[:2], b"\x8a\x81")

    def test_pings_of_a_peer_that_takes_nothing(self) -> None:
        self.low_server.paused = True
        self.client.write(bytes(MOST_UNTAKEN_BYTES + 1))
        before = untaken_bytes(self.low_client)
        for _ in range(1000):
            self.low_server.write(PING)
        pump_one_way(self.low_server)
        self.assertEqual(untaken_bytes(self.client), before)

    def test_addresses(self) -> None:
        self.assertEqual(self.server.getPeer(), self.low_server.getPeer())
        self.assertEqual(self.server.getHost(), self.low_server.getHost())
        peer = IPv4Address("TCP", "192.0.2.1", 0)
        named = WebSocketStream(pair("x")[0], self.clock, client=False, peer=peer)
        self.assertEqual(named.getPeer(), peer)

    def test_bytes_that_came_with_the_upgrade(self) -> None:
        ours, theirs = pair("tcp")
        stream = WebSocketStream(ours, self.clock, client=True)
        theirs.write(Encoder(masked=False).data(b"second"))
        stream.start(Encoder(masked=False).data(b"first "))
        self.assertIsInstance(stream.protocol, Parked)
        reader = Reader()
        attach(stream, reader)
        stream.resumeProducing()
        pump(ours)
        self.clock.advance(0)
        pump(ours)
        self.assertEqual(bytes(reader.received), b"first second")

    @STEADY
    @given(st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=30))
    def test_any_writes(self, writes: list[tuple[bool, bytes]]) -> None:
        self.make()
        for by_client, data in writes:
            (self.client if by_client else self.server).write(data)
        self.pump()
        for by_client, reader in ((True, self.server_reader), (False, self.client_reader)):
            sent = b"".join(data for who, data in writes if who is by_client)
            self.assertEqual(bytes(reader.received), sent)


class BackPressureTests(WebSocketCase):
    """Nobody buffers more than he must."""

    def test_a_producer_is_paused(self) -> None:
        producer = Producer()
        self.client.registerProducer(producer, True)
        self.low_server.paused = True
        self.client.write(bytes(HIGH_WATER_BYTES + 1))
        self.assertEqual(producer.told, ["pause"])
        self.low_server.paused = False
        self.pump()
        self.assertEqual(producer.told, ["pause", "resume"])
        self.client.unregisterProducer()
        self.assertIsNone(self.low_client.producer)

    def test_a_paused_reader_pauses_the_stream_below(self) -> None:
        self.server.pauseProducing()
        self.client.write(b"x")
        self.pump()
        self.assertTrue(self.low_server.paused)
        self.assertEqual(bytes(self.server_reader.received), b"")
        self.server.resumeProducing()
        self.pump()
        self.assertEqual(bytes(self.server_reader.received), b"x")

    def test_what_comes_all_the_same_is_kept(self) -> None:
        """A stream below that was parked gives what it kept, whatever the reader says."""
        self.server.pauseProducing()
        frames = Encoder(masked=True)
        self.server.dataReceived(frames.data(b"a"))
        self.server.dataReceived(frames.data(b"b") + frames.close())
        self.server.readConnectionLost()
        self.assertEqual(bytes(self.server_reader.received), b"")
        self.assertFalse(self.server_reader.finished)
        self.server.resumeProducing()
        self.server.dataReceived(b"")
        self.pump()
        self.assertEqual(bytes(self.server_reader.received), b"ab")
        self.assertTrue(self.server_reader.finished)

    def test_pausing_while_it_is_delivered(self) -> None:
        self.server.pauseProducing()
        frames = Encoder(masked=True)
        for byte in (b"a", b"b"):
            self.server.dataReceived(frames.data(byte))
        self.server_reader.on_data = self.server.pauseProducing
        self.server.resumeProducing()
        self.pump()
        self.assertEqual(bytes(self.server_reader.received), b"a")
        self.server.resumeProducing()
        self.pump()
        self.assertEqual(bytes(self.server_reader.received), b"ab")

    def test_an_error_of_the_reader_ends_only_this_stream(self) -> None:
        def broken() -> None:
            raise ZeroDivisionError

        self.server.pauseProducing()
        self.server.dataReceived(Encoder(masked=True).data(b"a"))
        self.server_reader.on_data = broken
        self.server.resumeProducing()
        self.pump()
        self.assertTrue(self.low_server.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class EndTests(WebSocketCase):
    """How it is over."""

    def test_one_direction_after_the_other(self) -> None:
        self.client.write(b"question")
        self.client.loseWriteConnection()
        self.pump()
        self.assertEqual((self.server_reader.finished, self.server_reader.lost), (True, None))
        self.assertEqual(self.client_reader.write_finished, 1)
        self.client.write(b"nothing more")
        self.server.write(BULK)
        self.server.loseWriteConnection()
        self.pump()
        self.assertEqual(bytes(self.client_reader.received), BULK)
        self.assertTrue(self.client_reader.finished)
        self.assertFalse(self.low_client.write_closed, "a proxy in between would end both")
        self.client.loseConnection()
        self.server.loseConnection()
        self.pump()
        self.assert_over()
        self.assertIsInstance(self.why(self.client_reader), error.ConnectionDone)

    def test_both_at_once(self) -> None:
        self.client.write(BULK)
        self.client.loseConnection()
        self.client.loseConnection()
        self.pump()
        self.assertEqual(bytes(self.server_reader.received), BULK)
        self.assertTrue(self.server_reader.finished)
        self.server.loseConnection()
        self.pump()
        self.low_client.protocol.writeConnectionLost()
        self.clock.advance(FLUSH_SECONDS)
        self.assert_over()

    def test_a_peer_that_goes_on_sending(self) -> None:
        self.client.loseConnection()
        self.pump()
        self.server.write(BULK)
        self.pump()
        self.assertEqual(bytes(self.client_reader.received), b"")
        self.assertFalse(self.low_client.lost)
        self.server.loseWriteConnection()
        self.pump()
        self.assertTrue(self.low_client.closing or self.low_client.lost)

    def test_a_peer_that_never_closes(self) -> None:
        self.client.loseConnection()
        self.low_client.protocol.writeConnectionLost()
        self.clock.advance(LINGER_SECONDS)
        pump(self.low_client)
        self.assertTrue(self.low_client.closing)
        self.assertIsInstance(self.why(self.client_reader), error.ConnectionDone)

    def test_a_peer_that_takes_nothing(self) -> None:
        self.low_server.paused = True
        self.client.write(BULK)
        self.client.loseConnection()
        self.clock.advance(FLUSH_SECONDS)
        self.assertTrue(self.low_client.lost)

    def test_a_peer_that_ends_the_connection_after_we_closed(self) -> None:
        self.client.loseConnection()
        self.low_server.loseWriteConnection()
        self.pump()
        self.assertTrue(self.low_client.closing or self.low_client.lost)

    def test_cut_off(self) -> None:
        """An end of TCP without a close frame may have been made by anybody on the way."""
        self.low_client.write(Encoder(masked=True).data(b"half"))
        self.low_client.loseWriteConnection()
        self.pump()
        self.assertEqual(bytes(self.server_reader.received), b"half")
        self.assertFalse(self.server_reader.finished)
        self.assertIn("without the end of the websocket", str(self.why(self.server_reader)))

    def test_lost_without_an_end(self) -> None:
        self.server.connectionLost(Failure(error.ConnectionDone()))
        self.assertIsInstance(self.why(self.server_reader), error.ConnectionLost)

    def test_reset(self) -> None:
        self.client.abortConnection()
        self.client.abortConnection()
        self.pump()
        self.assert_over()
        self.assertIsInstance(self.why(self.server_reader), error.ConnectionLost)
        self.client.write(b"x")
        self.client.loseConnection()
        self.client.loseWriteConnection()

    def test_a_peer_with_a_complaint(self) -> None:
        self.low_server.write(bytes.fromhex("880703f3") + b"proxy")
        self.pump()
        self.assertIn("1011 proxy", str(self.why(self.client_reader)))
        self.assert_over_at_client()

    def assert_over_at_client(self) -> None:
        self.assertTrue(self.low_client.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_close_of_frp(self) -> None:
        """Its library sends a close frame and closes at once, whatever comes."""
        self.low_client.write(Encoder(masked=True).data(b"bye") + Encoder(masked=True).close())
        self.low_client.loseConnection()
        self.pump()
        self.assertEqual(bytes(self.server_reader.received), b"bye")
        self.assertTrue(self.server_reader.finished)

    def test_nonsense(self) -> None:
        producer = Producer()
        self.server.registerProducer(producer, True)
        self.raw_client(b"GET / HTTP/1.1\r\n\r\n")
        self.assertIsInstance(self.why(self.server_reader), WebSocketError)
        self.assertTrue(self.low_server.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nonsense_is_answered(self) -> None:
        seen: list[bytes] = []
        self.low_client.protocol = cast("Any", _Seen(seen))
        self.raw_client(b"\x82\x01a")
        self.assertEqual(Decoder(masked=False).feed(b"".join(seen)).closed, 1002)

    def test_a_producer_that_goes(self) -> None:
        producer = Producer()
        self.client.registerProducer(producer, True)
        self.client.stopProducing()
        self.assertFalse(self.low_client.write_closed)
        self.client.unregisterProducer()
        self.assertTrue(self.low_client.write_closed)
        self.server.stopProducing()
        self.assertTrue(self.low_server.write_closed)

    def test_a_producer_that_comes_too_late(self) -> None:
        self.client.abortConnection()
        producer = Producer()
        self.client.registerProducer(producer, True)
        self.assertEqual(producer.told, ["stop"])
        self.server.loseConnection()
        self.server.registerProducer(producer, True)
        self.assertIsNone(self.low_server.producer)

    def test_a_reader_that_knows_no_half(self) -> None:
        reader = Whole()
        self.server.protocol = cast("Any", reader)
        self.client.loseWriteConnection()
        self.pump()
        self.client.loseConnection()
        self.pump()
        self.assertEqual(len(reader.lost), 1)


class _Seen:
    def __init__(self, seen: list[bytes]) -> None:
        self.dataReceived = seen.append
        self.readConnectionLost = self.writeConnectionLost = lambda: None

    def connectionLost(self, reason: Failure) -> None:
        pass


def pump_one_way(stream: MemoryStream) -> None:
    """Move what one end has written."""
    while stream.step():
        pass
