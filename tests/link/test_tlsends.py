# -*- test-case-name: tests.link.test_tlsends -*-
"""Tests of TLS on streams in memory: every way to end."""

import gc
from weakref import ref

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from tests.link.tlspair import BULK, PairTestCase, Reader, Whole
from tests.streams import Producer
from tunnelsvc.handover import last_reader
from tunnelsvc.link.certificates import TLSError
from tunnelsvc.link.tlsengine import CHUNK_BYTES
from tunnelsvc.link.tlstransport import FLUSH_SECONDS, LINGER_SECONDS, TLSTransport


class HalfCloseTests(PairTestCase):
    """A direction that ends alone."""

    def half_close(self, first: TLSTransport, reader: Reader, second: TLSTransport) -> None:
        first.write(BULK)
        first.loseWriteConnection()
        first.loseWriteConnection()
        first.write(b"ignored")
        self.pump()
        for _ in range(3):
            second.write(BULK)
            self.pump()
        second.loseWriteConnection()
        self.pump()
        self.assertEqual(reader.received, BULK * 3)
        self.assertTrue(reader.finished)
        self.assertEqual(reader.write_finished, 1)
        self.assertIsNone(reader.lost)

    def test_client_first(self) -> None:
        self.half_close(self.client, self.client_reader, self.server)
        self.assertEqual(self.server_reader.received, BULK)

    def test_server_first(self) -> None:
        self.half_close(self.server, self.server_reader, self.client)
        self.assertEqual(self.client_reader.received, BULK)

    def test_both_then_closed(self) -> None:
        self.client.loseWriteConnection()
        self.server.loseWriteConnection()
        self.pump()
        self.client.loseConnection()
        self.server.loseConnection()
        self.pump()
        for reader in (self.client_reader, self.server_reader):
            self.assertIsInstance(self.reason(reader), ConnectionDone)
        self.assert_over()

    def test_nothing_is_left(self) -> None:
        """Both are gone at once, without a look for garbage."""
        self.addCleanup(gc.enable)
        gc.disable()
        self.client.write(BULK)
        self.client.loseConnection()
        self.pump()
        self.server.loseConnection()
        self.pump()
        self.assert_over()
        gone = ref(self.client), ref(self.server)
        for low in (self.low_client, self.low_server):
            last_reader(low)  # as of a stream of TCP
        del self.client, self.server, low
        self.assertEqual([transport() for transport in gone], [None, None])

    def test_end_while_paused(self) -> None:
        """The end waits behind the data before it."""
        self.server_reader.on_data = self.server.pauseProducing
        self.client.write(bytes(CHUNK_BYTES) + b"rest")
        self.client.loseWriteConnection()
        self.low_client.loseWriteConnection()
        self.coalesce()
        self.low_server.pauseProducing = lambda: None  # type: ignore[method-assign]
        self.pump()
        self.assertFalse(self.server_reader.finished)
        self.assertIsNone(self.server_reader.lost)
        for _ in range(2):
            self.server.resumeProducing()
            self.pump()
        self.assertEqual(self.server_reader.received, bytes(CHUNK_BYTES) + b"rest")
        self.assertTrue(self.server_reader.finished)
        self.assertIsNone(self.server_reader.lost)

    def test_tcp_ends_after_tls(self) -> None:
        """A peer that has closed both may still be reading."""
        self.client.loseWriteConnection()
        self.low_client.loseWriteConnection()
        self.pump()
        self.assertTrue(self.server_reader.finished)
        self.server.write(b"answer")
        self.pump()
        self.assertEqual(self.client_reader.received, b"answer")

    def test_reader_without_half(self) -> None:
        """As with TCP, the end of one direction is the end of both."""
        whole = Whole()
        self.server.protocol = whole  # type: ignore[assignment]
        self.client.loseWriteConnection()
        self.pump()
        self.assertTrue(self.client_reader.finished)
        self.client.loseConnection()
        self.pump()
        self.assertEqual([type(failure.value) for failure in whole.lost], [ConnectionDone])

    def test_half_close_of_a_reader_without_half(self) -> None:
        self.server.protocol = Whole()  # type: ignore[assignment]
        self.server.loseWriteConnection()
        self.pump()
        self.assertTrue(self.client_reader.finished)


class TruncationTests(PairTestCase):
    """TCP that ends before TLS."""

    def test_at_a_record(self) -> None:
        self.client.write(b"half of the tr")
        self.low_client.loseWriteConnection()
        self.pump()
        self.assertEqual(self.server_reader.received, b"half of the tr")
        self.assertFalse(self.server_reader.finished)
        error = self.reason(self.server_reader)
        self.assertIsInstance(error, ConnectionLost)
        self.assertIn("TCP ended without the end of TLS", str(error))

    def test_within_a_record(self) -> None:
        self.client.write(b"half of the tr")
        record = self.low_client.out.pop()
        assert isinstance(record, bytes)
        self.low_client.write(record[:-1])
        self.low_client.loseWriteConnection()
        self.pump()
        self.assertEqual(self.server_reader.received, b"")
        self.assertIsInstance(self.reason(self.server_reader), ConnectionLost)

    def test_after_our_end(self) -> None:
        self.server.loseWriteConnection()
        self.pump()
        self.low_client.loseWriteConnection()
        self.pump()
        self.assertIsInstance(self.reason(self.server_reader), ConnectionLost)

    def test_stream_below_without_half(self) -> None:
        """One that can only end as a whole says it in another way."""
        self.server.connectionLost(Failure(ConnectionDone()))
        self.assertIsInstance(self.reason(self.server_reader), ConnectionLost)

    def test_clean_end_of_a_stream_below_without_half(self) -> None:
        self.client.loseWriteConnection()
        self.pump()
        self.server.connectionLost(Failure(ConnectionDone()))
        self.assertIsInstance(self.reason(self.server_reader), ConnectionDone)

    def test_reset(self) -> None:
        self.client.abortConnection()
        self.assertIsInstance(self.reason(self.client_reader), ConnectionAborted)
        self.assertIsInstance(self.reason(self.server_reader), ConnectionLost)
        self.assert_over()

    def test_held_data_without_an_end(self) -> None:
        """What came is delivered before the loss is told."""
        self.server_reader.on_data = self.server.pauseProducing
        self.client.write(bytes(CHUNK_BYTES) + b"rest")
        self.low_client.loseWriteConnection()
        self.coalesce()
        self.low_server.pauseProducing = lambda: None  # type: ignore[method-assign]
        self.pump()
        self.assertIsNone(self.server_reader.lost)
        self.server.resumeProducing()
        self.pump()
        self.assertEqual(self.server_reader.received, bytes(CHUNK_BYTES) + b"rest")
        self.assertIsInstance(self.reason(self.server_reader), ConnectionLost)

    def test_forged_record(self) -> None:
        self.client.write(b"authentic")
        self.low_client.write(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.server.registerProducer(Producer(), True)
        self.pump()
        self.assertEqual(self.server_reader.received, b"authentic")
        self.assertIn("bad record mac", str(self.reason(self.server_reader)))
        self.assertIsNotNone(self.client_reader.lost)


class CloseTests(PairTestCase):
    """``loseConnection`` and those who don't cooperate."""

    def test_clean(self) -> None:
        """The peer gets all, and the end; then it closes, and so do we."""
        self.client.write(BULK)
        self.client.loseConnection()
        self.client.loseConnection()
        self.client.write(b"ignored")
        self.pump()
        self.assertEqual(self.server_reader.received, BULK)
        self.assertTrue(self.server_reader.finished)
        self.assertIsNone(self.client_reader.lost)
        self.server.loseConnection()
        self.pump()
        self.assertFalse(self.client_reader.finished)
        for reader in (self.client_reader, self.server_reader):
            self.assertIsInstance(self.reason(reader), ConnectionDone)
        self.assert_over()

    def test_both_at_once(self) -> None:
        self.client.loseConnection()
        self.server.loseConnection()
        self.pump()
        for reader in (self.client_reader, self.server_reader):
            self.assertIsInstance(self.reason(reader), ConnectionDone)
        self.assert_over()

    def test_what_still_arrives_is_dropped(self) -> None:
        """It is read, or else the peer would be reset before it has read our last words."""
        self.server.pauseProducing()
        self.client.write(BULK)
        self.server.write(b"last words")
        self.server.loseConnection()
        self.server.pauseProducing()
        self.pump()
        self.assertEqual(self.server_reader.received, b"")
        self.assertEqual(self.client_reader.received, b"last words")
        self.client.loseConnection()
        self.pump()
        self.assert_over()

    def test_closed_while_paused(self) -> None:
        """The peer's end is looked for, although nobody reads."""
        self.server.pauseProducing()
        self.client.write(BULK)
        self.server.loseConnection()
        self.client.loseWriteConnection()
        self.pump()
        self.assertIsInstance(self.reason(self.server_reader), ConnectionDone)

    def test_from_within_a_delivery(self) -> None:
        self.server_reader.on_data = self.server.loseConnection
        self.client.write(BULK)
        self.coalesce()
        self.client.loseConnection()
        self.pump()
        self.assertEqual(self.server_reader.calls, [CHUNK_BYTES])
        self.assertFalse(self.server_reader.finished)
        self.assert_over()

    def test_from_within_the_end(self) -> None:
        self.server_reader.on_end = self.server.loseConnection
        self.client.loseConnection()
        self.pump()
        self.assert_over()

    def test_abort_from_within_a_delivery(self) -> None:
        self.server_reader.on_data = self.server.abortConnection
        self.client.write(BULK)
        self.coalesce()
        self.pump()
        self.assertEqual(self.server_reader.calls, [CHUNK_BYTES])
        self.assert_over()

    def test_garbage_while_closing(self) -> None:
        self.server.loseConnection()
        self.low_client.write(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.pump()
        self.assertIsInstance(self.reason(self.server_reader), TLSError)

    def test_close_before_an_error_is_noticed(self) -> None:
        """OpenSSL has given up by then, so there is no clean end."""
        self.server_reader.on_data = self.server.loseConnection
        self.client.write(b"authentic")
        self.low_client.write(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.coalesce()
        self.pump()
        self.assertEqual(self.server_reader.received, b"authentic")
        self.assertIsInstance(self.reason(self.server_reader), TLSError)

    def test_tcp_ends_without_tls(self) -> None:
        """Nobody reads here any more, so nothing can be missing."""
        self.server.loseConnection()
        self.low_client.loseWriteConnection()
        self.pump()
        self.assertIsInstance(self.reason(self.server_reader), ConnectionDone)

    def test_producer_is_forgotten(self) -> None:
        """A registered producer would keep the stream below open."""
        self.server.registerProducer(Producer(), True)
        self.server.loseConnection()
        self.assertIsNone(self.low_server.producer)

    def test_peer_that_does_not_take_the_rest(self) -> None:
        self.low_client.paused = True
        self.server.write(BULK)
        self.server.loseConnection()
        self.pump()
        self.clock.advance(FLUSH_SECONDS - 1)
        self.assertIsNone(self.server_reader.lost)
        self.clock.advance(1)
        self.assertIsInstance(self.reason(self.server_reader), ConnectionAborted)
        self.assert_over()

    def test_peer_that_does_not_close(self) -> None:
        """It has got everything; closing is orderly then."""
        self.server.write(BULK)
        self.server.loseConnection()
        self.pump()
        self.server.writeConnectionLost()  # as TCP tells it, once its buffer is empty
        self.clock.advance(LINGER_SECONDS - 1)
        self.assertIsNone(self.server_reader.lost)
        self.clock.advance(1)
        self.pump()
        self.assertIsInstance(self.reason(self.server_reader), ConnectionDone)

    def test_peer_that_resets_at_the_end(self) -> None:
        """As systems do that closed with something unread. All we had to say was out."""
        self.server.loseConnection()
        self.server.writeConnectionLost()
        self.client.abortConnection()
        self.assertIsInstance(self.reason(self.server_reader), ConnectionDone)
        self.assert_over()

    def test_end_of_writing_below_without_a_close(self) -> None:
        """Somebody else's half-close is none of our business."""
        self.server.writeConnectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])
