# -*- test-case-name: tests.link.test_tlspressure -*-
"""Tests of TLS on streams in memory: slow readers and slow networks."""

from twisted.internet.error import ConnectionAborted, ConnectionLost

from tests.link.tlspair import BULK, PairTestCase
from tests.streams import Producer
from tunnelsvc.handover import Parked, attach


class BackPressureTests(PairTestCase):
    """Slow readers and slow networks."""

    def test_pause_reaches_the_stream_below(self) -> None:
        self.server.pauseProducing()
        self.assertTrue(self.low_server.paused)
        self.client.write(BULK)
        self.pump()
        self.assertEqual(self.server_reader.received, b"")
        self.server.resumeProducing()
        self.assertFalse(self.low_server.paused)
        self.pump()
        self.assertEqual(self.server_reader.received, BULK)

    def test_pause_from_within_a_delivery(self) -> None:
        """The rest stays encrypted until somebody wants it, and then comes in order."""
        self.server_reader.on_data = self.server.pauseProducing
        self.client.write(BULK)
        self.coalesce()
        self.client.write(b"more")
        self.pump()
        deliveries = 1
        while len(self.server_reader.received) < len(BULK) + 4:
            self.assertEqual(len(self.server_reader.calls), deliveries)
            self.assertTrue(self.low_server.paused)
            self.server.resumeProducing()
            self.server.resumeProducing()
            self.assertEqual(len(self.server_reader.calls), deliveries)
            self.pump()
            deliveries += 1
        self.assertEqual(self.server_reader.received, BULK + b"more")

    def test_pause_and_resume_from_within_a_delivery(self) -> None:
        def hesitate() -> None:
            self.server.pauseProducing()
            self.server.resumeProducing()

        self.server_reader.on_data = hesitate
        self.client.write(BULK)
        self.coalesce()
        self.pump()
        self.assertEqual(self.server_reader.received, BULK)
        self.assertFalse(self.low_server.paused)

    def test_paused_again_before_the_next_turn(self) -> None:
        self.server_reader.on_data = self.server.pauseProducing
        self.client.write(BULK)
        self.coalesce()
        self.pump()
        self.server.resumeProducing()
        self.server.pauseProducing()
        self.pump()
        self.assertEqual(len(self.server_reader.calls), 1)
        self.assertTrue(self.low_server.paused)

    def test_lost_before_the_next_turn(self) -> None:
        self.server_reader.on_data = self.server.pauseProducing
        self.client.write(BULK)
        self.coalesce()
        self.pump()
        self.server.resumeProducing()
        self.client.abortConnection()
        self.server.resumeProducing()
        self.pump()
        self.assertEqual(len(self.server_reader.calls), 1)
        self.assert_over()

    def test_paused_during_the_handshake(self) -> None:
        """The handshake goes on; what follows waits."""
        self.make(handshake=False)
        self.server.pauseProducing()
        self.client.write(b"early")
        self.start()
        self.assertIsNone(self.successResultOf(self.server.when_established()))
        self.assertTrue(self.low_server.paused)
        self.assertEqual(self.server_reader.received, b"")
        self.server.resumeProducing()
        self.pump()
        self.assertEqual(self.server_reader.received, b"early")

    def test_parked(self) -> None:
        """A new reader gets what came for the parked one."""
        self.make(handshake=False)
        parked = Parked()
        self.server.protocol = parked
        parked.makeConnection(self.server)
        self.client.write(b"early")
        self.client.loseWriteConnection()
        self.start()
        attach(self.server, self.server_reader)
        self.server.resumeProducing()
        self.pump()
        self.assertEqual(self.server_reader.received, b"early")
        self.assertTrue(self.server_reader.finished)

    def test_error_of_the_reader(self) -> None:
        """Outside of the stream below's call too, it ends the stream and is reported."""

        def fail() -> None:
            if len(self.server_reader.calls) == 2:
                raise ValueError("reader")
            self.server.pauseProducing()

        self.server_reader.on_data = fail
        self.client.write(BULK)
        self.coalesce()
        self.pump()
        self.server.resumeProducing()
        self.assertRaises(ValueError, self.clock.advance, 0)
        self.assertIsInstance(self.reason(self.server_reader), ConnectionAborted)
        self.assert_over()

    def test_producer(self) -> None:
        producer = Producer()
        self.server.registerProducer(producer, True)
        self.low_client.paused = True
        self.server.write(BULK)
        self.pump()
        self.assertEqual(producer.told, ["pause"])
        self.assertGreater(self.server.untaken_bytes(), len(BULK))
        self.low_client.paused = False
        self.pump()
        self.assertEqual(self.server.untaken_bytes(), 0)
        self.assertEqual(producer.told, ["pause", "resume"])
        self.server.unregisterProducer()
        self.assertIsNone(self.low_server.producer)

    def test_producer_before_the_handshake(self) -> None:
        """What is kept is bounded, and the producer goes on afterwards."""
        self.make(handshake=False)
        producer = Producer()
        self.client.registerProducer(producer, True)
        while not producer.told:
            self.client.write(bytes(1000))
        self.start()
        self.assertEqual(producer.told[:2], ["pause", "resume"])
        self.assertLess(len(self.server_reader.received), 70_000)
        self.assertIs(self.low_client.producer, producer)

    def test_producer_of_a_lost_stream(self) -> None:
        producer = Producer()
        self.client.abortConnection()
        self.client.registerProducer(producer, True)
        self.assertEqual(producer.told, ["stop"])

    def test_producer_of_a_closing_stream(self) -> None:
        """It would keep the stream below from closing."""
        self.client.loseConnection()
        self.client.registerProducer(Producer(), True)
        self.assertIsNone(self.low_client.producer)

    def test_stop_producing(self) -> None:
        self.server.stopProducing()
        self.pump()
        self.assertTrue(self.client_reader.finished)

    def test_stop_producing_waits_for_the_producer(self) -> None:
        self.server.registerProducer(Producer(), True)
        self.server.stopProducing()
        self.pump()
        self.assertFalse(self.client_reader.finished)
        self.server.unregisterProducer()
        self.pump()
        self.assertTrue(self.client_reader.finished)

    def test_abort_after_stop_producing(self) -> None:
        """What a joined pair does when one of its streams is reset; no end may go before it."""
        self.server.registerProducer(Producer(), True)
        self.server.stopProducing()
        self.server.abortConnection()
        self.server.unregisterProducer()
        self.pump()
        self.assertFalse(self.low_server.write_closed)
        self.assertIsInstance(self.reason(self.client_reader), ConnectionLost)
        self.assert_over()
