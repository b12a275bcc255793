# -*- test-case-name: tests.link.test_tlswriter -*-
"""Tests of our direction of a TLS connection."""

from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.link.test_tlsengine import connected, read_all
from tests.streams import MemoryStream, Producer, pair
from tunnelsvc.errors import LocalProtocolError
from tunnelsvc.link.certificates import TLSError
from tunnelsvc.link.tlsengine import CHUNK_BYTES, Engine
from tunnelsvc.link.tlswriter import HELD_BYTES, Writer


class WriterTests(SynchronousTestCase):
    """A writer on one end of a stream in memory."""

    below: MemoryStream
    reader: Engine

    def setUp(self) -> None:
        self.below, _ = pair("below")
        self.engine, self.reader = connected()
        self.errors: list[TLSError] = []
        self.writer = Writer(self.below, self.engine, self.errors.append)
        self.producer = Producer()

    def sent(self) -> bytes:
        """Return what a peer reads."""
        for item in self.below.out:
            assert isinstance(item, bytes)
            self.reader.feed(item)
        self.below.out.clear()
        return read_all(self.reader)

    def test_producer_is_one(self) -> None:
        verifyObject(IPushProducer, self.producer)

    def test_held_until_open(self) -> None:
        self.writer.write(b"one ")
        self.writer.write(b"")
        self.writer.write(b"two ")
        self.assertEqual(self.below.out, [])
        self.assertTrue(self.writer.holds)
        self.writer.open()
        self.assertFalse(self.writer.holds)
        self.writer.write(b"three")
        self.assertEqual(len(self.below.out), 2)
        self.assertEqual(self.sent(), b"one two three")

    def test_open_with_nothing_held(self) -> None:
        self.writer.open()
        self.writer.write(b"")
        self.assertEqual(self.below.out, [])

    def test_long_writes_go_in_chunks(self) -> None:
        """OpenSSL's buffer doesn't grow with the write."""
        data = bytes(range(256)) * (3 * CHUNK_BYTES // 256) + b"rest"
        self.writer.open()
        self.writer.write(data)
        self.assertEqual(len(self.below.out), 4)
        self.assertEqual(self.sent(), data)

    def test_producer_pauses_while_held(self) -> None:
        self.writer.register(self.producer, True)
        self.writer.write(bytes(HELD_BYTES))
        self.assertEqual(self.producer.told, [])
        self.writer.write(b"x")
        self.writer.write(b"x")
        self.assertEqual(self.producer.told, ["pause"])
        self.assertIsNone(self.below.producer)
        self.writer.open()
        self.writer.release()
        self.assertEqual(self.producer.told, ["pause", "resume"])
        self.assertIs(self.below.producer, self.producer)
        self.assertEqual(self.sent(), bytes(HELD_BYTES) + b"xx")

    def test_producer_that_needs_no_pause(self) -> None:
        self.writer.register(self.producer, True)
        self.writer.open()
        self.writer.release()
        self.assertEqual(self.producer.told, [])
        self.assertIs(self.below.producer, self.producer)

    def test_no_producer_to_release(self) -> None:
        self.writer.open()
        self.writer.release()
        self.assertIsNone(self.below.producer)

    def test_producer_once_open(self) -> None:
        """It is the producer of the stream below."""
        self.writer.open()
        self.writer.register(self.producer, True)
        self.assertIs(self.below.producer, self.producer)
        self.writer.write(bytes(HELD_BYTES + 1))
        self.assertEqual(self.producer.told, ["pause"])
        self.writer.unregister()
        self.assertIsNone(self.below.producer)

    def test_producer_that_left_in_time(self) -> None:
        self.writer.register(self.producer, True)
        self.writer.unregister()
        self.writer.write(bytes(HELD_BYTES + 1))
        self.writer.open()
        self.writer.release()
        self.assertEqual(self.producer.told, [])
        self.assertIsNone(self.below.producer)

    def test_one_producer_at_a_time(self) -> None:
        self.writer.register(self.producer, True)
        self.assertRaises(LocalProtocolError, self.writer.register, Producer(), True)

    def test_finish(self) -> None:
        self.writer.open()
        self.writer.write(b"last")
        self.writer.finish()
        self.writer.finish()
        self.writer.write(b"ignored")
        self.assertEqual(len(self.below.out), 2)
        self.assertEqual(self.sent(), b"last")
        self.reader.read()
        self.assertTrue(self.reader.finished)
        self.assertEqual(self.errors, [])

    def test_stop(self) -> None:
        self.writer.register(self.producer, True)
        self.writer.write(b"dropped")
        self.writer.stop()
        self.writer.write(b"ignored")
        self.writer.open()
        self.writer.release()
        self.assertEqual(self.below.out, [])
        self.assertIsNone(self.below.producer)

    def test_lost(self) -> None:
        """Who was registered here only hears of the loss here."""
        self.writer.register(self.producer, True)
        self.writer.lost()
        self.assertEqual(self.producer.told, ["stop"])
        self.assertTrue(self.writer.finished)

    def test_lost_once_open(self) -> None:
        self.writer.open()
        self.writer.register(self.producer, True)
        self.writer.lost()
        self.assertEqual(self.producer.told, [])

    def test_errors(self) -> None:
        """A connection that OpenSSL gave up can't send."""
        self.writer.open()
        self.engine.feed(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.assertRaises(TLSError, self.engine.read)
        self.writer.write(b"x")
        self.writer.write(bytes(CHUNK_BYTES + 1))
        self.writer.finish()
        self.assertEqual(len(self.errors), 3)
        self.assertEqual(self.below.out, [])
