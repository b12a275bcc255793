# -*- test-case-name: tests.test_handover -*-
"""Tests of `tunnelsvc.handover`."""

import gc
from collections.abc import Callable
from weakref import ref

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.streams import MemoryStream, Producer, Recorder, pair, pump
from tunnelsvc.handover import (
    SWEEP_SECONDS,
    TCP_CLOSE,
    Connections,
    Parked,
    ParkingFactory,
    attach,
    last_reader,
    park,
)
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.websocket import WebSocketStream
from tunnelsvc.relay.accounted import Accounted
from tunnelsvc.relay.bandwidth import BandwidthLimit
from tunnelsvc.relay.stages import codecs, dress


class _Handle:
    """A socket that knows its state, or fails."""

    def __init__(self, state: int | None) -> None:
        self.state = state

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        if self.state is None:
            raise OSError
        return bytes([self.state])


class HandoverTests(SynchronousTestCase):
    """No event is lost between two readers."""

    def test_interface(self) -> None:
        self.assertTrue(verifyObject(IHalfCloseableProtocol, Parked()))

    def test_a_fresh_connection_is_paused_and_given_away(self) -> None:
        streams: list[Stream] = []
        protocol = ParkingFactory(streams.append).buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.assertEqual(streams, [transport])
        self.assertEqual(transport.producerState, "paused")
        self.assertIs(streams[0].protocol, protocol)

    def test_the_last_reader(self) -> None:
        """It is told the loss, and nobody anything more; who attaches later hears no old news."""
        a, _ = pair("stream")
        reader = Recorder()
        attach(a, reader)
        self.assertIs(last_reader(a), reader)
        nobody = a.protocol
        self.assertTrue(verifyObject(IHalfCloseableProtocol, nobody))
        nobody.dataReceived(b"late")
        nobody.readConnectionLost()
        nobody.writeConnectionLost()
        nobody.connectionLost(Failure(ConnectionLost()))
        attach(a, reader)
        self.assertEqual((bytes(reader.received), reader.finished, reader.lost), (b"", False, None))

    def test_events_are_replayed_in_order(self) -> None:
        a, b = pair("stream")
        park(b)
        self.assertTrue(b.paused)
        a.write(b"one")
        a.write(b"two")
        a.loseWriteConnection()
        b.paused = False
        pump(a)
        reader = Recorder()
        attach(b, reader)
        self.assertEqual(bytes(reader.received), b"onetwo")
        self.assertTrue(reader.finished)
        self.assertIsNone(reader.lost)

    def test_a_loss_is_replayed(self) -> None:
        a, b = pair("stream")
        a.abortConnection()
        reader = Recorder()
        attach(b, reader)
        assert reader.lost is not None
        self.assertTrue(reader.lost.check(ConnectionLost))

    def test_a_lost_tcp_connection_forgets_its_protocol(self) -> None:
        """Twisted deletes the attribute before it tells the loss."""
        _, b = pair("stream")
        park(b)
        parked = b.protocol
        del b.protocol
        parked.connectionLost(Failure(ConnectionLost()))
        reader = Recorder()
        attach(b, reader)
        self.assertIsNotNone(reader.lost)

    def test_a_reader_that_hands_on(self) -> None:
        """What comes after is for the next one."""
        _, b = pair("stream")
        park(b)
        b.protocol.dataReceived(b"one")
        b.protocol.dataReceived(b"two")
        first, second = Recorder(), Recorder()
        first.dataReceived = lambda _: attach(b, second)  # type: ignore[method-assign,assignment]
        attach(b, first)
        self.assertEqual(bytes(second.received), b"two")

    def test_only_parked_events_are_replayed(self) -> None:
        _, b = pair("stream")
        first, second = Recorder(), Recorder()
        attach(b, first)
        b.protocol.dataReceived(b"for the first")
        attach(b, second)
        self.assertEqual((bytes(first.received), bytes(second.received)), (b"for the first", b""))

    def test_dead_connections_are_swept(self) -> None:
        """Reset by the peer while paused: the reactor doesn't look, nobody would ever know."""
        connections = Connections()
        for state, cut in ((TCP_CLOSE, True), (1, False), (None, False)):
            _, b = pair("stream")
            b.getHandle = lambda state=state: _Handle(state)  # type: ignore[attr-defined]
            connections.add(b)
            connections.sweep()
            self.assertEqual(b.lost, cut, state)

    def test_sweeping_goes_on_until_stopped(self) -> None:
        clock = Clock()
        connections = Connections()
        _, b = pair("stream")
        connections.add(b)
        sweeping = connections.sweep_regularly(clock)
        clock.advance(SWEEP_SECONDS)
        b.getHandle = lambda: _Handle(TCP_CLOSE)  # type: ignore[attr-defined]
        self.assertFalse(b.lost)
        clock.advance(SWEEP_SECONDS)
        self.assertTrue(b.lost)
        sweeping.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_write_side_is_not_news(self) -> None:
        parked = Parked()
        parked.writeConnectionLost()
        parked.connectionLost(Failure(ConnectionLost()))
        _, b = pair("stream")
        b.protocol = parked
        reader = Recorder()
        attach(b, reader)
        self.assertFalse(reader.finished)
        self.assertIsNotNone(reader.lost)


class LayerTests(SynchronousTestCase):
    """Streams that lie over others."""

    def test_nothing_is_left(self) -> None:
        """They are gone with them, without a look for garbage, though their readers know them."""
        self.addCleanup(gc.enable)
        gc.disable()
        clock = Clock()
        limit = BandwidthLimit(1000, clock)
        layers: dict[str, Callable[[MemoryStream], Stream]] = {
            "codecs": lambda low: dress(
                low, b"", codecs(bytes(16), encryption=True, compression=True)
            )[0],
            "limit": lambda low: limit.put_on(low, b"")[0],
            "account": lambda low: Accounted(low, b"", clock=clock),
            "websocket": lambda low: started(WebSocketStream(low, clock, client=True)),
        }
        for name, put_on in layers.items():
            far, low = pair("low")
            stream = put_on(low)
            reader = Knowing()
            attach(stream, reader)
            reader.stream = stream
            stream.resumeProducing()
            stream.registerProducer(Producer(), True)
            stream.write(b"a word")
            pump(far)
            far.abortConnection()
            pump(far)
            self.assertIsNotNone(reader.lost)
            last_reader(low)  # one of TCP forgets both
            low.producer = None
            gone = ref(stream)
            del stream, reader
            self.assertIsNone(gone(), name)


class Knowing(Recorder):
    """A reader that knows its stream."""

    stream: Stream


def started(stream: WebSocketStream) -> Stream:
    stream.start()
    return stream
