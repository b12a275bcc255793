# -*- test-case-name: tests.link.test_mux -*-
"""Tests of `tunnelsvc.link.mux`."""

import gc
import hashlib
import random
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet import reactor as global_reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.link.muxing import (
    ACK,
    CREDIT,
    DATA,
    FIN,
    GO_AWAY,
    PING,
    RST,
    SYN,
    MuxCase,
    Producer,
    RawCase,
    Reader,
    data_frame,
    frame,
    headers,
)
from tests.streams import HIGH_WATER_BYTES, MemoryStream, pair, recorded
from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.link import mux
from tunnelsvc.link.mux import (
    CLOSE_SECONDS,
    FRAME_BYTES,
    MOST_EVENTS,
    OPENS_A_TURN,
    UNSENT_CONTROL_BYTES,
    MuxSession,
)
from tunnelsvc.link.muxalive import ACCEPT_SECONDS, PONG_SECONDS
from tunnelsvc.link.muxstream import BUFFER_BYTES, MuxStream
from tunnelsvc.units import MiB


class CuttingStream(MemoryStream):
    """Hands over what was written in pieces of its own choice."""

    def __init__(self, name: str, sizes: Iterator[int]) -> None:
        super().__init__(name)
        self.sizes = sizes

    def write(self, data: bytes) -> None:
        while data:
            size = next(self.sizes)
            super().write(data[:size])
            data = data[size:]


class CuttingCase(MuxCase):
    seed = 0

    def make_wires(self) -> tuple[MemoryStream, MemoryStream]:
        chance = random.Random(self.seed)
        sizes = iter(lambda: chance.choice((1, 7, 13, 500, 70_000)), None)
        a, b = CuttingStream("a", sizes), CuttingStream("b", sizes)
        a.peer, b.peer = b, a
        return a, b

    @settings(max_examples=25, deadline=None)
    @given(
        seed=st.integers(0, 2**32),
        plan=st.lists(
            st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 400_000)), max_size=12
        ),
    )
    def test_everything_arrives(self, seed: int, plan: list[tuple[int, bool, int]]) -> None:
        """Streams used in both directions at once, then closed from either side."""
        self.seed = seed
        self.setUp()
        chance = random.Random(seed)
        streams = [self.read() for _ in range(4)]
        sent = [(bytearray(), bytearray()) for _ in streams]
        for pick, ours_writes, size in plan:
            ours, _, theirs, _ = streams[pick]
            payload = chance.randbytes(size)
            (ours if ours_writes else theirs).write(payload)
            sent[pick][ours_writes].extend(payload)
        for ours, _, theirs, _ in streams:
            first, second = (ours, theirs) if chance.random() < 0.5 else (theirs, ours)
            first.loseWriteConnection()
            self.settle()
            second.loseConnection()
        self.settle()
        for (_, our_reader, _, their_reader), (to_us, to_them) in zip(streams, sent, strict=True):
            self.assertEqual(bytes(our_reader.received), bytes(to_us))
            self.assertEqual(bytes(their_reader.received), bytes(to_them))
            self.assertEqual(our_reader.why(), error.ConnectionDone)
            self.assertEqual(their_reader.why(), error.ConnectionDone)
        self.assertEqual((self.client._streams, self.server.core._streams), ({}, {}))


class SessionTests(MuxCase):
    def test_interfaces(self) -> None:
        for interface in (IProtocol, IHalfCloseableProtocol, IPushProducer):
            self.assertTrue(verifyObject(interface, self.client))

    def test_server_opens(self) -> None:
        """frp never does; without anybody to take it the stream is reset."""
        stream = self.server.open_stream()
        reader = Reader(stream)
        self.settle()
        self.assertEqual(reader.why(), error.ConnectionLost)

    def test_slow_reader_stops_its_writer_only(self) -> None:
        ours, _, theirs, slow = self.read()
        producer = Producer()
        theirs.pauseProducing()
        ours.registerProducer(producer, True)
        written = 0
        while producer.calls.count("pause") == producer.calls.count("resume"):
            ours.write(bytes(FRAME_BYTES))
            written += FRAME_BYTES
            self.settle()
        self.assertLessEqual(written, 6 * MiB + BUFFER_BYTES + FRAME_BYTES)
        self.assertEqual(len(theirs._held), 6 * MiB)
        other, _, _, fast = self.read()
        for _ in range(100):
            other.write(bytes(FRAME_BYTES))
            self.settle()
        self.assertEqual(len(fast.received), 100 * FRAME_BYTES)
        theirs.resumeProducing()
        self.settle()
        self.assertEqual(len(slow.received), written)
        self.assertEqual(producer.calls[-1], "resume")

    def test_full_transport_pauses_everybody_and_then_they_take_turns(self) -> None:
        streams = [self.read() for _ in range(3)]
        self.wires[1].paused = True
        producers = [Producer() for _ in streams]
        for (ours, *_), producer in zip(streams, producers, strict=True):
            ours.registerProducer(producer, True)
            ours.write(bytes(4 * FRAME_BYTES))
        self.assertLess(self.wires[0].buffered(), HIGH_WATER_BYTES + FRAME_BYTES + 100)
        self.assertEqual([producer.calls for producer in producers], [["pause"]] * 3)
        order: list[int] = []

        class Noter(Reader):
            number = 0

            def dataReceived(self, data: bytes) -> None:
                order.append(self.number)

        for _, _, theirs, _ in streams:
            noter = theirs.protocol = Noter()
            noter.number = theirs.number
        self.wires[1].paused = False
        self.settle()
        self.assertEqual(order[2:8], [3, 5, 1, 3, 5, 1])
        self.assertEqual([producer.calls for producer in producers], [["pause", "resume"]] * 3)

    def test_lost_transport_ends_all_streams(self) -> None:
        streams = [self.read() for _ in range(3)]
        paused = streams[0][2]
        paused.pauseProducing()
        streams[0][0].write(b"held")
        self.settle()
        self.wires[0].abortConnection()
        for _, our_reader, _, their_reader in streams:
            self.assertEqual(our_reader.why(), error.ConnectionAborted)
            self.assertEqual(their_reader.why(), error.ConnectionLost)
        self.assertEqual([loss.type for loss in self.losses], [error.ConnectionAborted])
        self.assertRaises(error.ConnectionLost, self.client.open_stream)
        streams[1][0].write(b"ignored")
        streams[1][0].loseConnection()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_end_of_a_session_is_a_clean_end_of_a_stream(self) -> None:
        """Who was cut off must not take it for the end of the data."""
        _, our_reader, _, their_reader = self.read()
        self.server.close()
        self.settle()
        self.assertEqual(our_reader.why(), error.ConnectionLost)
        self.assertEqual(their_reader.why(), error.ConnectionLost)
        self.assertEqual([loss.type for loss in self.losses], [error.ConnectionDone])

    def test_what_the_peer_had_finished_stays_readable(self) -> None:
        ours, _, theirs, reader = self.read()
        theirs.pauseProducing()
        ours.write(b"complete")
        ours.loseWriteConnection()
        self.settle()
        self.wires[0].abortConnection()
        self.assertEqual(reader.events, [])
        theirs.resumeProducing()
        self.settle()
        self.assertEqual(reader.events, ["8 bytes", "lost"])

    def test_close_writes_the_rest(self) -> None:
        ours, _, _, reader = self.read()
        ours.write(bytes(10 * FRAME_BYTES))
        self.client.close()
        self.client.close()
        self.assertRaises(error.ConnectionLost, self.client.open_stream)
        self.settle()
        self.assertEqual(len(reader.received), 10 * FRAME_BYTES)
        self.assertEqual(reader.why(), error.ConnectionLost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_does_not_wait_for_ever(self) -> None:
        ours, our_reader, theirs, _ = self.read()
        theirs.pauseProducing()
        ours.write(bytes(7 * MiB))
        self.settle()
        self.client.close()
        self.advance(CLOSE_SECONDS - 1)
        self.assertEqual(our_reader.events, [])
        self.advance(1)
        self.assertEqual(our_reader.why(), error.ConnectionAborted)

    def test_nothing_is_left_of_a_stream(self) -> None:
        """It is gone at once, without a look for garbage, though its reader knows it."""
        self.addCleanup(gc.enable)
        gc.disable()
        for end in MuxStream.loseConnection, MuxStream.abortConnection:
            ours, our_reader, theirs, their_reader = self.read()
            our_reader.knows, their_reader.knows = ours, theirs
            gone = ref(ours), ref(theirs)
            end(ours)
            end(theirs)
            self.accepted.clear()
            del ours, theirs, our_reader, their_reader
            self.settle()
            self.assertEqual([stream() for stream in gone], [None, None])

    def test_closing_twice_and_aborting(self) -> None:
        self.client.abort()
        self.client.close()
        self.settle()
        self.assertEqual(len(self.losses), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stream_that_aborts_the_session(self) -> None:
        """Nothing that came in the same read is told afterwards."""
        ours, _, theirs, _ = self.read()
        other, _, _, other_reader = self.read()

        class Ender(Reader):
            def dataReceived(_, data: bytes) -> None:  # noqa: N805
                self.server.abort()

        theirs.protocol = Ender()
        self.server.dataReceived(data_frame(ours.number, b"x") + data_frame(other.number, b"y"))
        self.assertEqual(other_reader.events, ["lost"])


class ManyStreamsTests(RawCase):
    """More streams than are begun with in one turn, all in one read."""

    def setUp(self) -> None:
        super().setUp()
        self.readers: list[Reader] = []
        self.numbers = list(range(1, 6 * OPENS_A_TURN, 2))
        self.opening = b"".join(
            frame(CREDIT, SYN, number, 0) + data_frame(number, b"%d" % number)
            for number in self.numbers
        )

    def on_stream(self, stream: MuxStream) -> None:
        """Begin, and say so at once."""
        self.readers.append(Reader(stream))
        stream.write(b"!")

    def told(self) -> list[int]:
        """What the streams have got; the number of its stream each, if all is well."""
        return [int(reader.received) for reader in self.readers if reader.received]

    def test_some_each_turn(self) -> None:
        """Answers of the first go out before the last begin."""
        turns: list[Callable[[], None]] = []
        self.patch(mux, "soon", lambda _, call: turns.append(call))
        turns.append(lambda: self.session.dataReceived(self.opening))
        for begun in OPENS_A_TURN, 2 * OPENS_A_TURN, 3 * OPENS_A_TURN:
            turns.pop()()
            self.assertEqual(len(self.readers), begun)
            self.clock.advance(0)
            answered = [number for kind, *_, number, _ in self.written() if kind == DATA]
            self.assertEqual(answered, self.numbers[:begun])
        while turns:
            turns.pop()()
        self.assertEqual(self.told(), self.numbers)

    def written(self) -> list[tuple[int, int, int, int]]:
        """Headers of what was given to the transport."""
        return headers(b"".join(item for item in self.wire.out if isinstance(item, bytes)))

    def test_in_order(self) -> None:
        """What comes later waits for what came before."""
        self.session.dataReceived(self.opening)
        self.session.dataReceived(data_frame(1, b"00"))
        self.assertEqual(self.told()[0], 1)
        self.settle()
        self.assertEqual(self.told(), [100, *self.numbers[1:]])

    def test_all_before_the_end(self) -> None:
        """However the session ends, what came before is told."""
        ends: tuple[Callable[[MuxSession], None], ...] = (
            lambda session: session.connectionLost(Failure(error.ConnectionLost())),
            MuxSession.readConnectionLost,
            lambda session: session.dataReceived(b"\xff" * 12),
        )
        for end in ends:
            self.setUp()
            self.session.dataReceived(self.opening)
            end(self.session)
            self.assertEqual(self.told(), self.numbers)
            self.peer.loseConnection()
            self.settle()
            self.assertNotIn(None, {reader.why() for reader in self.readers})
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_after_an_abort(self) -> None:
        self.session.dataReceived(self.opening)
        begun = len(self.readers)
        self.session.abort()
        self.settle()
        self.assertEqual(len(self.readers), begun)

    def test_one_who_sends_more_than_we_begin(self) -> None:
        """It isn't read while too much waits, and again afterwards."""
        frames = self.opening + frame(CREDIT, 0, 1, 1) * MOST_EVENTS
        self.session.dataReceived(frames)
        self.assertFalse(self.wire.paused)
        self.session.dataReceived(data_frame(1, b"0"))
        self.assertTrue(self.wire.paused)
        self.settle()
        self.assertFalse(self.wire.paused)
        self.assertEqual(self.told(), [10, *self.numbers[1:]])


class RawSessionTests(RawCase):
    def test_golden_opening(self) -> None:
        """The trace of frpc 0.33 (notes 9), and our answer."""
        self.give(bytes.fromhex("000100010000000100000000") + data_frame(1, b"o"))
        self.assertEqual(bytes(self.seen.received).hex(), "0001000200000001005c0000")
        reader = Reader(self.accepted[0])
        self.settle()
        self.assertEqual(bytes(reader.received), b"o")

    def test_failing_acceptor_costs_the_stream_only(self) -> None:
        self.session._on_stream = self.fail_to_accept
        self.give(frame(CREDIT, SYN, 1, 0) + frame(PING, SYN, 0, 5))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(
            self.sent(), [(PING, ACK, 0, 5), (CREDIT, ACK, 1, 0x5C0000), (CREDIT, RST, 1, 0)]
        )
        self.assertEqual(self.session._streams, {})

    def fail_to_accept(self, stream: MuxStream) -> None:
        raise ZeroDivisionError

    def test_frames_of_unknown_streams(self) -> None:
        self.give(
            data_frame(9, b"x")
            + frame(CREDIT, 0, 9, 1)
            + frame(CREDIT, FIN, 9, 0)
            + frame(CREDIT, RST, 9, 0)
        )
        self.assertEqual((self.sent(), self.losses), ([], []))

    def test_reset_and_reopened_in_one_read(self) -> None:
        """An acceptor that aborts the first hits the second, which is the peer's own doing."""
        self.session._on_stream = lambda stream: stream.abortConnection()
        self.give(frame(CREDIT, SYN, 1, 0) + frame(CREDIT, RST, 1, 0) + frame(CREDIT, SYN, 1, 0))
        self.assertEqual(self.losses, [])
        self.give(data_frame(1, b"x") + frame(PING, SYN, 0, 3))
        self.assertEqual(self.sent()[-1], (PING, ACK, 0, 3))

    def test_aborted_within_a_read(self) -> None:
        """What of the stream is behind in the same read is dropped."""
        stream = self.stream()

        class Aborter(Reader):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                stream.abortConnection()

        aborter = Aborter(stream)
        self.give(data_frame(1, b"first") + data_frame(1, b"second") + frame(CREDIT, FIN, 1, 0))
        self.assertEqual(aborter.events, ["5 bytes", "lost"])
        self.assertEqual(self.sent(), [(CREDIT, RST, 1, 0)])

    def test_violation_is_told_and_ends_the_session(self) -> None:
        reader = Reader(self.stream())
        self.give(frame(CREDIT, SYN, 1, 0))
        self.assertEqual(self.sent(), [(GO_AWAY, 0, 0, 1)])
        self.assertTrue(self.wire.closing)
        self.session.dataReceived(frame(PING, SYN, 0, 1))
        self.assertEqual((self.sent(), self.session.core.unsent_bytes), ([], 0))
        self.peer.loseConnection()
        self.settle()
        self.assertEqual([loss.type for loss in self.losses], [RemoteProtocolError])
        self.assertEqual(reader.why(), RemoteProtocolError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_violator_that_does_not_read_is_cut(self) -> None:
        self.peer.paused = True
        self.give(b"\xff" * 12)
        self.advance(CLOSE_SECONDS - 1)
        self.assertFalse(self.wire.lost)
        self.advance(1)
        self.assertTrue(self.wire.lost)

    def test_peer_goes_away(self) -> None:
        reader = Reader(self.stream())
        self.give(frame(GO_AWAY, 0, 0, 0) + data_frame(1, b"still here"))
        self.assertEqual(bytes(reader.received), b"still here")
        self.assertRaises(error.ConnectionLost, self.session.open_stream)

    def test_peer_goes_away_in_anger(self) -> None:
        self.give(frame(GO_AWAY, 0, 0, 2))
        self.assertTrue(self.wire.closing)
        self.peer.loseConnection()
        self.settle()
        self.assertIn("code 2", self.losses[0].getErrorMessage())

    def test_peer_half_closes_the_transport(self) -> None:
        reader = Reader(self.stream())
        self.peer.loseWriteConnection()
        self.settle()
        self.assertTrue(self.wire.closing)
        self.session.writeConnectionLost()
        self.wire.abortConnection()
        self.assertEqual(len(reader.reasons), 1)
        self.session.readConnectionLost()
        self.session.resumeProducing()

    def test_control_frames_wait_for_a_full_transport_and_go_first(self) -> None:
        stream = self.stream(credit=6 * MiB)
        self.peer.paused = True
        stream.write(bytes(4 * FRAME_BYTES))
        queued = self.wire.buffered()
        self.give(frame(PING, SYN, 0, 9))
        self.assertEqual(self.wire.buffered(), queued)
        self.peer.paused = False
        kinds = [kind for kind, *_ in self.sent()]
        self.assertEqual(kinds, [DATA, PING, DATA, DATA, DATA])

    def test_ping_flood_of_a_reader_is_answered(self) -> None:
        flood = b"".join(frame(PING, SYN, 0, number) for number in range(5000))
        for _ in range(20):
            self.give(flood)
        self.assertEqual(len(self.sent()), 100_000)

    def test_ping_flood_of_a_peer_that_does_not_read(self) -> None:
        self.peer.paused = True
        flood = b"".join(frame(PING, SYN, 0, number) for number in range(5000))
        worst = 0
        while not self.wire.lost:
            self.give(flood)
            worst = max(worst, self.wire.buffered() + self.session.core.unsent_bytes)
        self.assertGreater(worst, UNSENT_CONTROL_BYTES / 2)
        self.assertLess(worst, UNSENT_CONTROL_BYTES + 2 * len(flood))
        self.assertEqual([loss.type for loss in self.losses], [error.ConnectionLost])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_is_not_closing(self) -> None:
        self.session.stopProducing()
        self.assertFalse(self.wire.closing)


class StartTests(RawCase):
    def setUp(self) -> None:
        super().setUp()
        self.peer, self.wire = pair("fresh")
        self.seen = recorded(self.peer)

    def test_first_bytes(self) -> None:
        """What the recogniser has read is the beginning."""
        session = MuxSession(
            client=False,
            clock=self.clock,
            on_stream=self.on_stream,
            first_bytes=frame(CREDIT, SYN, 1, 0)[:5],
        )
        session.makeConnection(self.wire)
        session.dataReceived(frame(CREDIT, SYN, 1, 0)[5:] + data_frame(1, b"x"))
        self.assertEqual([stream.number for stream in self.accepted], [1])
        self.assertEqual(self.sent(), [(CREDIT, ACK, 1, 0)])

    def test_streams_may_be_opened_before_the_connection(self) -> None:
        session = MuxSession(client=True, clock=self.clock)
        session.open_stream().write(b"early")
        session.makeConnection(self.wire)
        self.assertEqual(self.sent(), [(CREDIT, SYN, 1, 0), (DATA, 0, 1, 5)])

    def test_no_keepalive(self) -> None:
        clock_before = len(self.clock.getDelayedCalls())
        session = MuxSession(client=True, clock=self.clock, keepalive_seconds=0)
        session.makeConnection(self.wire)
        self.assertEqual(len(self.clock.getDelayedCalls()), clock_before)


class KeepaliveTests(RawCase):
    client = True
    keepalive_seconds = 20.0

    def test_ping_in_every_interval(self) -> None:
        self.advance(19)
        self.assertEqual(self.sent(), [])
        self.advance(1)
        self.assertEqual(self.sent(), [(PING, SYN, 0, 1)])
        self.advance(5)
        self.give(frame(PING, ACK, 0, 1))
        self.advance(19)
        self.assertEqual(self.sent(), [])
        self.advance(1)
        self.assertEqual(self.sent(), [(PING, SYN, 0, 2)])
        self.assertEqual(self.losses, [])

    def test_silent_peer_is_given_up(self) -> None:
        reader = Reader(self.session.open_stream())
        self.advance(20)
        self.advance(PONG_SECONDS - 1)
        self.assertEqual(self.losses, [])
        self.advance(1)
        self.assertTrue(self.wire.lost)
        self.assertEqual([loss.type for loss in self.losses], [error.TimeoutError])
        self.assertEqual(reader.why(), error.TimeoutError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_wrong_answer_is_none(self) -> None:
        self.advance(20)
        self.give(frame(PING, ACK, 0, 77))
        self.advance(PONG_SECONDS)
        self.assertEqual(self.losses, [])
        self.advance(PONG_SECONDS)
        self.assertEqual(len(self.losses), 1)

    def test_busy_slow_line_is_alive(self) -> None:
        """Bytes that come or go show that the peer lives, though the answer is behind them."""
        self.advance(20)
        for _ in range(5):
            self.advance(PONG_SECONDS - 1)
            self.session.pauseProducing()
            self.session.resumeProducing()
            self.advance(1)
        self.assertEqual(self.losses, [])
        self.give(frame(PING, ACK, 0, 1))
        self.advance(20)
        self.assertEqual(self.sent()[-1], (PING, SYN, 0, 2))

    def test_peer_that_accepts_no_streams(self) -> None:
        reader = Reader(self.session.open_stream())
        pings = 0
        while not self.losses:
            self.advance(20)
            pings += 1
            self.give(frame(PING, ACK, 0, pings))
        self.assertEqual(pings, 1 + -(-ACCEPT_SECONDS // 20))
        self.assertEqual(reader.why(), error.TimeoutError)

    def test_accepted_streams_may_live(self) -> None:
        for pings in range(1, 20):
            self.session.open_stream()
            self.advance(20)
            self.give(frame(PING, ACK, 0, pings) + frame(CREDIT, ACK, 2 * pings - 1, 0))
        self.assertEqual(self.losses, [])

    def test_pong_after_close(self) -> None:
        stream = self.session.open_stream()
        stream.write(bytes(1 * MiB))
        self.advance(20)
        self.session.close()
        self.give(frame(PING, ACK, 0, 1))
        self.advance(CLOSE_SECONDS)
        self.assertTrue(self.wire.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Echo(Reader):
    """Sends everything back, with back-pressure, and finishes when the peer has."""

    def __init__(self, stream: MuxStream) -> None:
        self.stream = stream
        stream.registerProducer(stream, True)
        super().__init__(stream)

    def dataReceived(self, data: bytes) -> None:
        self.stream.write(data)

    def readConnectionLost(self) -> None:
        self.stream.unregisterProducer()
        self.stream.loseWriteConnection()


class Hasher(Reader):
    """Hashes what comes; fires `done` when the stream is lost."""

    def __init__(self, stream: MuxStream) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self.done: Deferred[type[BaseException] | None] = Deferred()
        super().__init__(stream)

    def dataReceived(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)

    def connectionLost(self, reason: Failure) -> None:
        self.done.callback(reason.type)


class LoopbackTests(TestCase):
    """On real sockets, with Twisted's own TCP transports."""

    timeout = 60
    size = 12 * MiB

    async def setUp(self) -> None:  # type: ignore[override]
        clock: Any = global_reactor
        self.accepted: list[Echo] = []
        self.lost: list[Deferred[None]] = []
        factory = Factory.forProtocol(lambda: self.session(client=False))
        port = await TCP4ServerEndpoint(clock, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        address = port.getHost()
        assert isinstance(address, IPv4Address)
        endpoint = TCP4ClientEndpoint(clock, address.host, address.port)
        client = await endpoint.connect(Factory.forProtocol(lambda: self.session(client=True)))
        assert isinstance(client, MuxSession)
        self.client = client

    def session(self, *, client: bool) -> MuxSession:
        clock: Any = global_reactor
        session = MuxSession(
            client=client, clock=clock, on_stream=lambda stream: self.accepted.append(Echo(stream))
        )
        lost: Deferred[None] = Deferred()
        session.on_lost = lambda _: lost.callback(None)
        self.lost.append(lost)
        return session

    async def tearDown(self) -> None:  # type: ignore[override]
        self.client.close()
        for lost in self.lost:
            await lost

    async def test_echo_with_half_close(self) -> None:
        """More than all windows and buffers, on several streams at once."""
        readers = []
        for number in range(3):
            stream = self.client.open_stream()
            payload = random.Random(number).randbytes(self.size)
            readers.append((Hasher(stream), hashlib.sha256(payload)))
            stream.write(payload)
            stream.loseWriteConnection()
        for reader, expected in readers:
            self.assertEqual(await reader.done, error.ConnectionDone)
            self.assertEqual(reader.size, self.size)
            self.assertEqual(reader.digest.digest(), expected.digest())


class HeaderTests(RawCase):
    def test_helper_reads_what_the_helper_wrote(self) -> None:
        """The tests' own frame reader can fail."""
        self.assertEqual(
            headers(data_frame(1, b"abc", FIN) + frame(PING, SYN, 0, 5)),
            [(DATA, FIN, 1, 3), (PING, SYN, 0, 5)],
        )
