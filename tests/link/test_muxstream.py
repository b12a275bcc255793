# -*- test-case-name: tests.link.test_muxstream -*-
"""Tests of `tunnelsvc.link.muxstream`."""

from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IConsumer, IPullProducer, IPushProducer, ITransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.link.muxing import (
    ACK,
    CREDIT,
    DATA,
    FIN,
    RST,
    MuxCase,
    Producer,
    RawCase,
    Reader,
    data_frame,
    frame,
)
from tunnelsvc.handover import Parked, attach
from tunnelsvc.link.mux import FRAME_BYTES
from tunnelsvc.link.muxstream import BUFFER_BYTES, CLOSE_SECONDS, DELIVERY_BYTES, LATE_BYTES
from tunnelsvc.units import KiB, MiB
from tunnelsvc.wire import yamux

SMALL = 256 * KiB
"""A stream's credit, as long as nobody says anything."""


class InterfaceTests(MuxCase):
    def test_interfaces(self) -> None:
        stream, _ = self.opened()
        for interface in (ITransport, IConsumer, IPushProducer):
            self.assertTrue(verifyObject(interface, stream))
        self.assertTrue(verifyObject(IPushProducer, Producer()))

    def test_addresses_are_those_of_the_wire(self) -> None:
        stream, _ = self.opened()
        self.assertEqual(stream.getPeer(), self.wires[0].remote)
        self.assertEqual(stream.getHost(), self.wires[0].host)

    def test_untaken_bytes(self) -> None:
        """Those for which there is no credit."""
        stream, theirs = self.opened()
        stream.write(bytes(yamux.MAX_WINDOW_BYTES + 1))
        self.settle()
        self.assertGreater(stream.untaken_bytes(), 0)
        Reader(theirs)
        self.settle()
        self.assertEqual(stream.untaken_bytes(), 0)

    def test_starts_parked(self) -> None:
        """Nothing is lost before somebody reads."""
        ours, theirs = self.opened()
        self.assertIsInstance(ours.protocol, Parked)
        self.assertIsInstance(theirs.protocol, Parked)
        ours.write(b"early")
        ours.loseWriteConnection()
        self.settle()
        reader = Reader(theirs)
        self.assertEqual(reader.events, [], "no callback within a call")
        self.settle()
        self.assertEqual(reader.events, ["5 bytes", "end"])

    def test_only_bytes(self) -> None:
        stream, _ = self.opened()
        self.assertRaises(TypeError, stream.write, "text")


class ReadTests(MuxCase):
    def test_both_ways(self) -> None:
        ours, our_reader, theirs, their_reader = self.read()
        ours.write(b"ping")
        ours.writeSequence([b"po", b"ng"])
        theirs.write(b"answer")
        self.settle()
        self.assertEqual(bytes(their_reader.received), b"pingpong")
        self.assertEqual(bytes(our_reader.received), b"answer")

    def test_paused_reader_gets_nothing(self) -> None:
        ours, _, theirs, reader = self.read()
        theirs.pauseProducing()
        ours.write(b"one")
        ours.write(b"two")
        ours.loseWriteConnection()
        self.settle()
        self.assertEqual(reader.events, [])
        theirs.resumeProducing()
        theirs.resumeProducing()
        self.settle()
        self.assertEqual(bytes(reader.received), b"onetwo")
        self.assertEqual(reader.events[-1], "end")

    def test_pausing_in_the_middle(self) -> None:
        """Each resume gives one piece to a reader that pauses on every piece; order is kept."""
        ours, _, theirs, _ = self.read()

        class PausingReader(Reader):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                theirs.pauseProducing()

        pausing = PausingReader()
        theirs.protocol = pausing
        payload = bytes(range(256)) * (SMALL // 256)
        ours.write(payload)
        ours.loseWriteConnection()
        for turn in range(1, 1 + SMALL // DELIVERY_BYTES):
            self.settle()
            self.assertEqual(len(pausing.received), turn * DELIVERY_BYTES)
            self.assertNotIn("end", pausing.events)
            theirs.resumeProducing()
        self.settle()
        self.assertEqual(bytes(pausing.received), payload)
        self.assertEqual(pausing.events[-1], "end")

    def test_resuming_within_data_received(self) -> None:
        """A reader that pauses and resumes at once neither recurses nor mixes up the order."""
        ours, _, theirs, _ = self.read()

        class RestlessReader(Reader):
            depth = deepest = 0

            def dataReceived(self, data: bytes) -> None:
                self.depth += 1
                self.deepest = max(self.depth, self.deepest)
                super().dataReceived(data)
                theirs.pauseProducing()
                theirs.resumeProducing()
                self.depth -= 1

        restless = RestlessReader()
        theirs.protocol = restless
        theirs.pauseProducing()
        payload = bytes(range(250)) * 4000
        for start in range(0, len(payload), 1000):
            ours.write(payload[start : start + 1000])
        self.settle()
        theirs.resumeProducing()
        self.settle()
        self.assertEqual(bytes(restless.received), payload)
        self.assertEqual(restless.deepest, 1)

    def test_paused_again_before_the_next_turn(self) -> None:
        ours, _, theirs, reader = self.read()
        theirs.pauseProducing()
        ours.write(b"held")
        self.settle()
        theirs.resumeProducing()
        theirs.pauseProducing()
        self.settle()
        self.assertEqual(reader.events, [])

    def test_new_bytes_stay_behind_held_ones(self) -> None:
        ours, _, theirs, reader = self.read()
        theirs.pauseProducing()
        ours.write(b"first,")
        self.settle()
        theirs.resumeProducing()
        self.server.dataReceived(data_frame(1, b"second"))
        self.settle()
        self.assertEqual(bytes(reader.received), b"first,second")

    def test_protocol_is_exchanged(self) -> None:
        ours, _, theirs, first = self.read()
        ours.write(b"a")
        self.settle()
        second = Reader()
        attach(theirs, second)
        ours.write(b"b")
        self.settle()
        self.assertEqual((bytes(first.received), bytes(second.received)), (b"a", b"b"))

    def test_failing_reader_costs_its_stream_only(self) -> None:
        ours, reader, theirs, _ = self.read()
        _, other_reader, other_theirs, _ = self.read()
        failing = Reader()
        failing.dataReceived = self.fail_to_read  # type: ignore[method-assign]
        theirs.protocol = failing
        ours.write(b"x")
        self.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(failing.why(), error.ConnectionAborted)
        self.assertEqual(reader.why(), error.ConnectionLost)
        other_theirs.write(b"fine")
        self.settle()
        self.assertEqual(bytes(other_reader.received), b"fine")

    def fail_to_read(self, data: bytes) -> None:
        raise ZeroDivisionError

    def test_failing_end_handlers_are_logged(self) -> None:
        ours, reader, theirs, _ = self.read()
        failing = Reader()
        failing.readConnectionLost = lambda: self.fail_to_read(b"")  # type: ignore[method-assign]
        failing.connectionLost = lambda reason: self.fail_to_read(b"")  # type: ignore[method-assign]
        theirs.protocol = failing
        ours.loseWriteConnection()
        self.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(reader.why(), error.ConnectionLost)


class CreditTests(RawCase):
    def test_paused_reader_grants_nothing(self) -> None:
        """What a slow reader holds is one window at most."""
        stream = self.stream()
        reader = Reader(stream)
        stream.pauseProducing()
        for _ in range(6):
            self.give(data_frame(1, bytes(1 * MiB)))
        self.assertEqual(self.sent(), [])
        stream.resumeProducing()
        self.settle()
        self.assertEqual(len(reader.received), 6 * MiB)
        self.assertEqual(self.sent(), [(CREDIT, 0, 1, 3 * MiB)] * 2)

    def test_more_than_the_window_ends_the_session(self) -> None:
        stream = self.stream()
        reader = Reader(stream)
        stream.pauseProducing()
        self.give(data_frame(1, bytes(6 * MiB)) + data_frame(1, b"x"))
        self.assertEqual(self.sent()[-1], (3, 0, 0, 1))
        self.peer.loseConnection()
        self.settle()
        self.assertEqual(len(reader.reasons), 1)

    def test_single_bytes_are_kept_compactly(self) -> None:
        stream = self.stream()
        stream.pauseProducing()
        self.give(data_frame(1, b"x") * 10_000)
        self.assertLess(len(stream._held._pieces), 10)


class WriteTests(RawCase):
    def test_frames_are_short(self) -> None:
        stream = self.stream(credit=6 * MiB)
        stream.write(bytes(FRAME_BYTES))
        stream.write(bytes(2 * FRAME_BYTES + 1))
        self.assertEqual(self.sent(), [(DATA, 0, 1, FRAME_BYTES)] * 3 + [(DATA, 0, 1, 1)])

    def test_small_writes_while_waiting_share_a_frame(self) -> None:
        stream = self.stream()
        stream.write(bytes(SMALL))
        self.sent()
        for _ in range(1000):
            stream.write(b"twenty bytes of data")
        self.assertEqual(self.sent(), [])
        self.give(frame(CREDIT, 0, 1, SMALL))
        self.assertEqual(self.sent(), [(DATA, 0, 1, 20_000)])

    def test_window_is_kept(self) -> None:
        stream = self.stream()
        stream.write(bytes(SMALL + 10))
        self.assertEqual(sum(length for *_, length in self.sent()), SMALL)
        self.give(frame(CREDIT, 0, 1, 4))
        self.give(frame(CREDIT, 0, 1, 100))
        self.assertEqual(self.sent(), [(DATA, 0, 1, 4), (DATA, 0, 1, 6)])

    def test_push_producer_is_paused_and_resumed(self) -> None:
        stream, producer = self.stream(), Producer()
        stream.write(bytes(SMALL))
        self.sent()
        stream.registerProducer(producer, True)
        stream.write(bytes(BUFFER_BYTES))
        self.assertEqual(producer.calls, [])
        stream.write(b"x")
        stream.write(b"x")
        self.assertEqual(producer.calls, ["pause"])
        self.give(frame(CREDIT, 0, 1, BUFFER_BYTES))
        self.assertEqual(producer.calls, ["pause"], "only an empty buffer resumes")
        self.give(frame(CREDIT, 0, 1, 2))
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_pull_producer_fills_the_window(self) -> None:
        @implementer(IPullProducer)
        class Puller:
            depth = 0

            def __init__(self) -> None:
                self.asked = 0

            def resumeProducing(self) -> None:
                assert not self.depth
                self.depth = 1
                self.asked += 1
                stream.write(bytes(1000))
                stream.write(bytes(1000))
                self.depth = 0

            def stopProducing(self) -> None: ...

        stream, puller = self.stream(), Puller()
        self.assertTrue(verifyObject(IPullProducer, puller))
        stream.registerProducer(puller, False)
        self.settle()
        self.assertEqual(puller.asked, SMALL // 2000 + 1)
        self.assertEqual(sum(length for *_, length in self.sent()), SMALL)
        self.give(frame(CREDIT, 0, 1, 2000))
        self.assertEqual(puller.asked, SMALL // 2000 + 2)
        stream.unregisterProducer()
        self.give(frame(CREDIT, 0, 1, 6000))
        self.assertEqual(puller.asked, SMALL // 2000 + 2)

    def test_only_one_producer(self) -> None:
        stream = self.stream()
        stream.registerProducer(Producer(), True)
        self.assertRaises(RuntimeError, stream.registerProducer, Producer(), True)
        stream.unregisterProducer()
        stream.registerProducer(Producer(), True)

    def test_producer_of_a_lost_stream_is_stopped(self) -> None:
        stream, before, after = self.stream(), Producer(), Producer()
        stream.registerProducer(before, True)
        self.give(frame(CREDIT, RST, 1, 0))
        stream.registerProducer(after, True)
        self.assertEqual((before.calls, after.calls), (["stop"], ["stop"]))

    def test_stopped_as_a_producer_it_closes(self) -> None:
        reader = Reader(self.stream())
        self.accepted[0].stopProducing()
        self.assertEqual(self.sent(), [(CREDIT, FIN, 1, 0)])
        self.assertEqual(reader.why(), error.ConnectionDone)


class HalfCloseTests(MuxCase):
    def test_request_and_answer(self) -> None:
        """The client finishes first; the answer still comes."""
        ours, our_reader, theirs, their_reader = self.read()
        ours.write(b"request")
        ours.loseWriteConnection()
        self.assertEqual(our_reader.events, [], "no callback within a call")
        self.settle()
        self.assertEqual(our_reader.events, ["finished"])
        self.assertEqual(their_reader.events, ["7 bytes", "end"])
        theirs.write(b"answer")
        theirs.loseWriteConnection()
        self.settle()
        self.assertEqual(our_reader.events, ["finished", "6 bytes", "lost"])
        self.assertEqual(their_reader.events, ["7 bytes", "end", "finished", "lost"])
        self.assertEqual(our_reader.why(), error.ConnectionDone)
        self.assertEqual(their_reader.why(), error.ConnectionDone)
        self.assert_forgotten()

    def test_answer_and_request(self) -> None:
        """The server finishes first."""
        ours, our_reader, theirs, their_reader = self.read()
        theirs.loseWriteConnection()
        self.settle()
        ours.write(b"late request")
        ours.loseWriteConnection()
        self.settle()
        self.assertEqual(our_reader.events, ["end", "finished", "lost"])
        self.assertEqual(their_reader.events, ["finished", "12 bytes", "lost"])
        self.assert_forgotten()

    def test_both_at_once(self) -> None:
        ours, our_reader, theirs, their_reader = self.read()
        ours.loseWriteConnection()
        theirs.loseWriteConnection()
        self.settle()
        self.assertEqual(our_reader.why(), error.ConnectionDone)
        self.assertEqual(their_reader.why(), error.ConnectionDone)
        self.assert_forgotten()

    def test_fin_waits_for_the_rest(self) -> None:
        ours, _, theirs, reader = self.read()
        theirs.pauseProducing()
        ours.write(bytes(7 * MiB))
        ours.loseWriteConnection()
        self.settle()
        theirs.resumeProducing()
        self.settle()
        self.assertEqual(len(reader.received), 7 * MiB)
        self.assertEqual(reader.events[-1], "end")

    def test_fin_waits_for_the_producer(self) -> None:
        ours, _, _, reader = self.read()
        ours.registerProducer(Producer(), True)
        ours.loseWriteConnection()
        ours.write(b"one more")
        self.settle()
        self.assertEqual(reader.events, ["8 bytes"])
        ours.unregisterProducer()
        self.settle()
        self.assertEqual(reader.events, ["8 bytes", "end"])

    def test_nothing_can_be_written_afterwards(self) -> None:
        ours, _, _, reader = self.read()
        ours.loseWriteConnection()
        ours.loseWriteConnection()
        ours.write(b"too late")
        self.settle()
        self.assertEqual(reader.events, ["end"])

    def test_protocol_without_half_close_is_closed(self) -> None:
        """As Twisted's transports do it."""

        class Plain(Protocol):
            lost: Failure | None = None

            def connectionLost(self, reason: Failure | None = None) -> None:
                self.lost = reason

        ours, our_reader, theirs, _ = self.read()
        plain = Plain()
        theirs.protocol = plain  # type: ignore[assignment]
        ours.loseWriteConnection()
        self.settle()
        assert plain.lost is not None
        self.assertEqual(plain.lost.type, error.ConnectionDone)
        self.assertEqual(our_reader.why(), error.ConnectionDone)
        self.assert_forgotten()

    def test_finishing_without_half_close(self) -> None:
        ours, _, _, reader = self.read()
        ours.protocol = Protocol()  # type: ignore[assignment]
        ours.loseWriteConnection()
        self.settle()
        self.assertEqual(reader.events, ["end"])

    def assert_forgotten(self) -> None:
        self.assertEqual((self.client._streams, self.server._streams), ({}, {}))
        self.assertEqual((self.client.core._streams, self.server.core._streams), ({}, {}))


class CloseTests(MuxCase):
    def test_flushes_and_is_over(self) -> None:
        ours, our_reader, _, their_reader = self.read()
        ours.write(b"last words")
        self.assertFalse(ours.disconnecting)
        ours.loseConnection()
        ours.loseConnection()
        self.assertTrue(ours.disconnecting)
        self.assertEqual(our_reader.events, [], "no callback within a call")
        self.settle()
        self.assertEqual(our_reader.why(), error.ConnectionDone)
        self.assertEqual(their_reader.events, ["10 bytes", "end"])

    def test_late_bytes_are_dropped(self) -> None:
        ours, our_reader, theirs, their_reader = self.read()
        ours.loseConnection()
        theirs.write(b"crossing")
        self.settle()
        theirs.write(b"late")
        theirs.loseConnection()
        self.settle()
        self.assertEqual(our_reader.events, ["lost"])
        self.assertEqual(their_reader.why(), error.ConnectionDone)
        self.assertEqual(self.client.core._streams, {})
        self.assertEqual(self.server.core._streams, {})

    def test_after_a_half_close(self) -> None:
        ours, our_reader, theirs, _ = self.read()
        ours.loseWriteConnection()
        self.settle()
        ours.loseConnection()
        theirs.write(b"dropped")
        self.settle()
        self.assertEqual(our_reader.events, ["finished", "lost"])

    def test_after_the_peers_end(self) -> None:
        ours, _, theirs, their_reader = self.read()
        ours.loseWriteConnection()
        self.settle()
        theirs.write(b"answer")
        theirs.loseConnection()
        self.settle()
        self.assertEqual(their_reader.events, ["end", "lost"])
        self.assertEqual(self.server.core._streams, {})

    def test_held_bytes_are_dropped(self) -> None:
        ours, our_reader, theirs, _ = self.read()
        ours.pauseProducing()
        theirs.write(b"unread")
        self.settle()
        ours.loseConnection()
        ours.resumeProducing()
        self.settle()
        self.assertEqual(our_reader.events, ["lost"])

    def test_waits_for_the_producer(self) -> None:
        ours, our_reader, _, their_reader = self.read()
        ours.registerProducer(Producer(), True)
        ours.loseConnection()
        ours.write(b"produced")
        self.advance(2 * CLOSE_SECONDS)
        self.assertEqual(our_reader.events, [])
        ours.unregisterProducer()
        self.settle()
        self.assertEqual(our_reader.why(), error.ConnectionDone)
        self.assertEqual(their_reader.events, ["8 bytes", "end"])

    def test_close_within_data_received(self) -> None:
        ours, _, theirs, _ = self.read()

        class Closer(Reader):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                theirs.loseConnection()

        closer = Closer()
        theirs.protocol = closer
        ours.write(b"1")
        ours.write(b"2")
        self.settle()
        self.assertEqual(closer.events, ["1 bytes", "lost"])

    def test_abort(self) -> None:
        ours, our_reader, theirs, their_reader = self.read()
        ours.abortConnection()
        ours.abortConnection()
        self.assertEqual(our_reader.events, [], "no callback within a call")
        self.settle()
        self.assertEqual(our_reader.why(), error.ConnectionAborted)
        self.assertEqual(their_reader.why(), error.ConnectionLost)
        ours.loseConnection()
        ours.loseWriteConnection()
        ours.abortConnection()
        theirs.write(b"x")
        self.settle()
        self.assertEqual(len(our_reader.reasons), 1)
        self.assertEqual(self.client.core._streams, {})

    def test_abort_of_a_stream_that_both_finished(self) -> None:
        """Its id may be somebody else's by now; the reset must not go out."""
        ours, _, theirs, reader = self.read()
        theirs.loseWriteConnection()
        theirs.pauseProducing()
        ours.write(b"unread")
        ours.loseWriteConnection()
        self.settle()
        self.assertEqual(reader.events, ["finished"])
        theirs.abortConnection()
        self.settle()
        self.assertEqual(reader.why(), error.ConnectionAborted)
        self.assertEqual(self.wires[1].out, [])


class PeerTests(RawCase):
    def test_reset_drops_what_was_held(self) -> None:
        stream = self.stream()
        reader = Reader(stream)
        stream.pauseProducing()
        self.give(data_frame(1, b"held") + frame(CREDIT, RST, 1, 0))
        self.assertEqual(reader.events, ["lost"])
        self.assertEqual(reader.why(), error.ConnectionLost)
        stream.resumeProducing()
        stream.write(b"x")
        self.settle()
        self.assertEqual((reader.events, self.sent()), (["lost"], []))

    def test_reset_after_the_end_leaves_the_rest_readable(self) -> None:
        """Go resets a stream five minutes after it closed it, and our reader may be slow."""
        stream, producer = self.stream(), Producer()
        reader = Reader(stream)
        stream.registerProducer(producer, True)
        stream.write(bytes(2 * SMALL))
        stream.pauseProducing()
        self.give(data_frame(1, b"rest", FIN) + frame(CREDIT, RST, 1, 0))
        self.assertEqual(reader.events, [])
        self.assertEqual(producer.calls, ["pause", "resume"])
        stream.resumeProducing()
        self.settle()
        self.assertEqual(reader.events, ["4 bytes", "lost"])
        self.assertEqual(reader.why(), error.ConnectionDone)

    def test_end_is_told_after_held_bytes(self) -> None:
        stream = self.stream()
        reader = Reader(stream)
        stream.pauseProducing()
        self.give(data_frame(1, b"held", FIN))
        stream.loseWriteConnection()
        self.assertEqual(reader.events, [])
        self.settle()
        self.assertEqual(reader.events, ["finished"])
        stream.resumeProducing()
        self.settle()
        self.assertEqual(reader.events, ["finished", "4 bytes", "lost"])

    def test_closing_grants_what_was_held(self) -> None:
        """A peer whose window is used up must be able to go on, to notice our close."""
        stream = self.stream()
        Reader(stream)
        stream.pauseProducing()
        self.give(data_frame(1, bytes(6 * MiB)))
        stream.loseConnection()
        self.assertEqual(self.sent(), [(CREDIT, 0, 1, 6 * MiB), (CREDIT, FIN, 1, 0)])

    def test_peer_that_goes_on_sending_is_reset(self) -> None:
        stream = self.stream()
        Reader(stream)
        stream.loseConnection()
        self.sent()
        self.give(data_frame(1, bytes(LATE_BYTES)))
        self.assertEqual(self.sent(), [])
        self.give(data_frame(1, b"x"))
        self.assertEqual(self.sent(), [(CREDIT, RST, 1, 0)])
        self.assertEqual(self.session._streams, {})

    def test_peer_may_go_on_while_it_can_not_know(self) -> None:
        """Our close is behind what the peer doesn't take; what it sends is dropped and granted."""
        stream = self.stream()
        reader = Reader(stream)
        stream.write(bytes(SMALL + 1))
        stream.loseConnection()
        self.sent()
        for _ in range(4):
            self.give(data_frame(1, bytes(3 * MiB)))
        self.assertEqual(self.sent(), [(CREDIT, 0, 1, 3 * MiB)] * 4)
        self.give(frame(CREDIT, 0, 1, 1))
        self.assertEqual(self.sent(), [(DATA, 0, 1, 1), (CREDIT, FIN, 1, 0)])
        self.assertEqual(reader.events, ["lost"])

    def test_peer_that_never_finishes_is_reset(self) -> None:
        stream = self.stream()
        Reader(stream)
        stream.loseConnection()
        self.sent()
        self.give(data_frame(1, b"late"))
        self.session._alive.stop()
        self.advance(CLOSE_SECONDS - 1)
        self.assertEqual(self.sent(), [])
        self.advance(1)
        self.assertEqual(self.sent(), [(CREDIT, RST, 1, 0)])
        self.assertEqual(self.session._streams, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_peer_that_finishes_late_is_not(self) -> None:
        stream = self.stream()
        Reader(stream)
        stream.loseConnection()
        self.sent()
        self.give(frame(CREDIT, FIN, 1, 0))
        self.session._alive.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.session._streams, {})

    def test_peer_that_never_takes_the_rest(self) -> None:
        self.session._alive.stop()
        stream = self.stream()
        reader = Reader(stream)
        stream.write(bytes(SMALL + 2))
        stream.loseConnection()
        self.give(frame(CREDIT, 0, 1, 1))
        self.sent()
        self.advance(CLOSE_SECONDS)
        self.assertEqual(reader.events, [], "it took something")
        self.advance(CLOSE_SECONDS)
        self.assertEqual(reader.why(), error.TimeoutError)
        self.assertEqual(self.sent(), [(CREDIT, RST, 1, 0)])

    def test_abort_while_closing(self) -> None:
        stream = self.stream()
        reader = Reader(stream)
        stream.write(bytes(SMALL + 1))
        stream.loseConnection()
        self.sent()
        stream.abortConnection()
        self.assertEqual(self.sent(), [(CREDIT, RST, 1, 0)])
        self.assertEqual(reader.why(), error.ConnectionAborted)


class FirstWriteTests(RawCase):
    client = True

    def test_data_follows_the_opening_at_once(self) -> None:
        """No round trip is waited for."""
        stream = self.session.open_stream()
        stream.write(b"hello")
        self.assertEqual(self.sent(), [(CREDIT, 1, 1, 0x5C0000), (DATA, 0, 1, 5)])
        self.give(frame(CREDIT, ACK, 1, 0))

    def test_held_back_opening_holds_back_the_data(self) -> None:
        """Go resets more than 256 streams that nobody accepted."""
        streams: list[Any] = [self.session.open_stream() for _ in range(257)]
        streams[-1].write(b"patient")
        streams[-1].loseWriteConnection()
        self.assertEqual(len(self.sent()), 256)
        self.give(frame(CREDIT, ACK, 1, 0))
        self.assertEqual(
            self.sent(),
            [(CREDIT, 1, 513, 0x5C0000), (DATA, 0, 513, 7), (CREDIT, FIN, 513, 0)],
        )
