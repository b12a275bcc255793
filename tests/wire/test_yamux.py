# -*- test-case-name: tests.wire.test_yamux -*-
"""Tests of `tunnelsvc.wire.yamux`; frames are made by hand after protocol notes 1.8 and 9."""

import random
import struct
import tracemalloc
from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.units import KiB, MiB
from tunnelsvc.wire import yamux
from tunnelsvc.wire.yamux import Code, Event, Kind, Session

DATA, CREDIT, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
BIG_DELTA = 0x005C0000
SMALL = 256 * KiB


def frame(kind: int, flags: int, number: int, length: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BBHII", 0, kind, flags, number, length) + payload


def data_frame(number: int, payload: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, number, len(payload), payload)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut `data` into pieces of `sizes`, over and over."""
    pieces, position, turn = [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[position : position + size])
        position += size
        turn += 1
    return pieces


def summary(events: list[Event]) -> list[tuple[Kind, int]]:
    return [(kind, number) for kind, number, _ in events]


def payloads(events: list[Event]) -> dict[int, bytes]:
    joined: dict[int, bytes] = defaultdict(bytes)
    for kind, number, payload in events:
        if kind is Kind.DATA:
            joined[number] += payload
    return joined


def server(max_window: int = 6 * MiB) -> Session:
    return Session(client=False, max_window=max_window)


def client(max_window: int = 6 * MiB) -> Session:
    return Session(client=True, max_window=max_window)


def with_stream(max_window: int = 6 * MiB) -> Session:
    """A server whose client has opened stream 1, with the acceptance sent."""
    session = server(max_window)
    session.receive(frame(CREDIT, SYN, 1, 0))
    session.data_to_send()
    return session


class OpenTests(SynchronousTestCase):
    def test_trace_of_old_frp(self) -> None:
        """Notes 9: what frpc 0.33 opens with, and how we answer."""
        session = server()
        events = session.receive(
            bytes.fromhex("00010001 00000001 00000000")
            + bytes.fromhex("00000000 00000001 00000001 6f")
        )
        self.assertEqual(events, [(Kind.OPENED, 1, b""), (Kind.DATA, 1, b"o")])
        self.assertEqual(session.data_to_send().hex(), "000100020000000100" + "5c0000")
        self.assertEqual(session.send_window(1), SMALL)

    def test_trace_of_ours(self) -> None:
        """We open as frp since 0.50 does."""
        session = client()
        self.assertEqual((session.open(), session.open()), (1, 3))
        self.assertEqual(
            session.data_to_send().hex(), "0001000100000001005c0000" + "0001000100000003005c0000"
        )

    def test_small_window_is_announced_as_old_frp(self) -> None:
        session = client(SMALL)
        session.open()
        self.assertEqual(session.data_to_send().hex(), "000100010000000100000000")

    def test_credit_in_the_opening_counts(self) -> None:
        session = server()
        events = session.receive(frame(CREDIT, SYN, 1, BIG_DELTA))
        self.assertEqual(session.send_window(1), 6 * MiB)
        self.assertIn((Kind.OPENED, 1, b""), events)

    def test_credit_in_the_acceptance_counts(self) -> None:
        session = client()
        session.open()
        self.assertEqual(session.send_window(1), SMALL)
        session.receive(frame(CREDIT, ACK, 1, BIG_DELTA))
        self.assertEqual(session.send_window(1), 6 * MiB)

    def test_data_frame_may_open_and_accept(self) -> None:
        session = server()
        events = session.receive(data_frame(7, b"hello", SYN))
        self.assertEqual(events, [(Kind.OPENED, 7, b""), (Kind.DATA, 7, b"hello")])
        other = client()
        other.open()
        self.assertEqual(other.oldest_unaccepted, 1)
        self.assertEqual(other.receive(data_frame(1, b"x", ACK)), [(Kind.DATA, 1, b"x")])
        self.assertIsNone(other.oldest_unaccepted)

    def test_parity_of_the_peer_is_free(self) -> None:
        session = server()
        self.assertEqual(summary(session.receive(frame(CREDIT, SYN, 2, 0))), [(Kind.OPENED, 2)])
        self.assertEqual(session.open(), 4)

    def test_zero_length_frames(self) -> None:
        session = with_stream()
        self.assertEqual(session.receive(data_frame(1, b"")), [])
        self.assertEqual(session.receive(frame(CREDIT, 0, 1, 0)), [])
        self.assertEqual(session.receive(data_frame(1, b"", FIN)), [(Kind.FINISHED, 1, b"")])

    def test_server_ids_are_even(self) -> None:
        session = server()
        self.assertEqual((session.open(), session.open()), (2, 4))

    def test_ids_run_out(self) -> None:
        session = client()
        session._next_id = yamux.MAX_STREAM_ID
        self.assertEqual(session.open(), 0xFFFFFFFF)
        self.assertRaises(LocalProtocolError, session.open)

    def test_too_many_streams_are_reset(self) -> None:
        self.patch(yamux, "MAX_INCOMING_STREAMS", 2)
        session = server()
        session.receive(frame(CREDIT, SYN, 1, 0) + frame(CREDIT, SYN, 3, 0))
        session.data_to_send()
        events = session.receive(data_frame(5, b"dropped", SYN))
        self.assertEqual(events, [])
        self.assertEqual(session.data_to_send(), frame(CREDIT, RST, 5, 0))
        session.reset(1)
        self.assertEqual(summary(session.receive(frame(CREDIT, SYN, 7, 0))), [(Kind.OPENED, 7)])

    def test_window_has_a_minimum(self) -> None:
        self.assertRaises(LocalProtocolError, client, SMALL - 1)


class BacklogTests(SynchronousTestCase):
    """Go resets what goes beyond its backlog of streams that nobody accepted."""

    def setUp(self) -> None:
        self.session = client()
        self.numbers = [self.session.open() for _ in range(yamux.ACCEPT_BACKLOG + 2)]
        self.first, self.held_back = self.numbers[0], self.numbers[-2:]
        self.sent = self.session.data_to_send()

    def test_opening_waits(self) -> None:
        self.assertEqual(len(self.sent), yamux.ACCEPT_BACKLOG * yamux.HEADER_BYTES)
        self.assertEqual([self.session.send_window(number) for number in self.held_back], [0, 0])
        self.assertEqual(self.session.oldest_unaccepted, self.first)

    def test_acceptance_lets_the_next_go(self) -> None:
        events = self.session.receive(frame(CREDIT, ACK, self.first, 0))
        self.assertEqual(events, [(Kind.WRITABLE, self.held_back[0], b"")])
        self.assertEqual(self.session.send_window(self.held_back[0]), SMALL)
        self.assertEqual(
            self.session.data_to_send(), frame(CREDIT, SYN, self.held_back[0], BIG_DELTA)
        )

    def test_refusal_lets_the_next_go(self) -> None:
        events = self.session.receive(frame(CREDIT, RST, self.first, 0))
        self.assertEqual(
            summary(events), [(Kind.RESET, self.first), (Kind.WRITABLE, self.held_back[0])]
        )

    def test_finished_while_held_back(self) -> None:
        self.session.finish(self.held_back[0])
        self.assertEqual(self.session.data_to_send(), b"")
        self.session.receive(frame(CREDIT, ACK, self.first, 0))
        self.assertEqual(
            self.session.data_to_send(),
            frame(CREDIT, SYN, self.held_back[0], BIG_DELTA)
            + frame(CREDIT, FIN, self.held_back[0], 0),
        )

    def test_reset_while_held_back_is_never_heard_of(self) -> None:
        self.session.reset(self.held_back[0])
        self.assertEqual(self.session.data_to_send(), b"")
        self.session.receive(frame(CREDIT, ACK, self.first, 0))
        self.assertEqual(
            self.session.data_to_send(), frame(CREDIT, SYN, self.held_back[1], BIG_DELTA)
        )


class CreditTests(SynchronousTestCase):
    def test_no_more_is_sent_than_granted(self) -> None:
        session = with_stream()
        self.assertEqual(session.data_header(1, SMALL), frame(DATA, 0, 1, SMALL))
        self.assertEqual(session.send_window(1), 0)
        self.assertRaises(LocalProtocolError, session.data_header, 1, 1)
        self.assertEqual(session.receive(frame(CREDIT, 0, 1, 5)), [(Kind.WRITABLE, 1, b"")])
        self.assertEqual(session.data_header(1, 5), frame(DATA, 0, 1, 5))

    def test_half_a_window_is_granted_anew(self) -> None:
        session = with_stream(SMALL)
        session.receive(data_frame(1, bytes(SMALL)))
        session.consumed(1, SMALL // 2 - 1)
        self.assertEqual(session.data_to_send(), b"")
        session.consumed(1, 1)
        self.assertEqual(session.data_to_send(), frame(CREDIT, 0, 1, SMALL // 2))
        session.receive(data_frame(1, bytes(SMALL // 2)))
        self.assertRaises(RemoteProtocolError, session.receive, data_frame(1, b"x"))

    def test_whole_window_at_once(self) -> None:
        """A peer that trusts our delta may send 6 MiB in one frame."""
        session = with_stream()
        self.assertEqual(
            payloads(session.receive(data_frame(1, bytes(6 * MiB))))[1], bytes(6 * MiB)
        )

    def test_more_than_the_window(self) -> None:
        session = with_stream()
        error = self.assertRaises(
            RemoteProtocolError, session.receive, frame(DATA, 0, 1, 6 * MiB + 1)
        )
        self.assertIn("stream 1", str(error))
        self.assertEqual(session.data_to_send(), frame(GO_AWAY, 0, 0, Code.PROTOCOL_ERROR))

    def test_more_than_the_window_in_several_frames(self) -> None:
        session = with_stream(SMALL)
        session.receive(data_frame(1, bytes(SMALL)))
        self.assertRaises(RemoteProtocolError, session.receive, data_frame(1, b"x"))

    def test_nothing_is_granted_after_the_end(self) -> None:
        session = with_stream(SMALL)
        session.receive(data_frame(1, bytes(SMALL), FIN))
        session.consumed(1, SMALL)
        self.assertEqual(session.data_to_send(), b"")

    def test_consuming_what_never_came(self) -> None:
        self.assertRaises(LocalProtocolError, with_stream().consumed, 1, 1)

    def test_unknown_streams_have_no_credit(self) -> None:
        session = server()
        session.consumed(1, 10)
        self.assertEqual(session.send_window(1), 0)
        self.assertRaises(LocalProtocolError, session.data_header, 1, 0)
        self.assertEqual(session.receive(frame(CREDIT, 0, 1, 10)), [])


class EndTests(SynchronousTestCase):
    def test_fin_is_sent_once(self) -> None:
        session = with_stream()
        session.finish(1)
        session.finish(1)
        self.assertEqual(session.data_to_send(), frame(CREDIT, FIN, 1, 0))
        self.assertRaises(LocalProtocolError, session.data_header, 1, 1)

    def test_fin_is_sent_once_after_the_peers(self) -> None:
        session = with_stream()
        self.assertEqual(session.receive(frame(CREDIT, FIN, 1, 0)), [(Kind.FINISHED, 1, b"")])
        session.data_header(1, 5)
        session.finish(1)
        session.finish(1)
        session.reset(1)
        self.assertEqual(session.data_to_send(), frame(CREDIT, FIN, 1, 0))

    def test_half_closed_stream_still_receives(self) -> None:
        session = with_stream(SMALL)
        session.finish(1)
        session.data_to_send()
        for _ in range(4):
            events = session.receive(data_frame(1, bytes(SMALL)))
            session.consumed(1, len(payloads(events)[1]))
            self.assertEqual(session.data_to_send(), frame(CREDIT, 0, 1, SMALL))
        self.assertEqual(session.receive(frame(CREDIT, FIN, 1, 0)), [(Kind.FINISHED, 1, b"")])

    def test_finished_on_both_sides_is_forgotten(self) -> None:
        session = with_stream()
        session.finish(1)
        session.receive(frame(CREDIT, FIN, 1, 0))
        self.assertEqual(session.receive(frame(CREDIT, FIN, 1, 0) + data_frame(1, b"x")), [])
        self.assertEqual(summary(session.receive(frame(CREDIT, SYN, 1, 0))), [(Kind.OPENED, 1)])

    def test_fin_comes_after_the_payload_of_its_frame(self) -> None:
        session = with_stream()
        data = data_frame(1, b"last", FIN)
        self.assertEqual(session.receive(data[:-1]), [(Kind.DATA, 1, b"las")])
        self.assertEqual(
            session.receive(data[-1:]), [(Kind.DATA, 1, b"t"), (Kind.FINISHED, 1, b"")]
        )

    def test_data_after_fin_is_discarded(self) -> None:
        """Go's Close may overtake a Write; the session must not suffer."""
        session = with_stream()
        session.receive(frame(CREDIT, FIN, 1, 0))
        self.assertEqual(session.receive(data_frame(1, b"late") + frame(CREDIT, FIN, 1, 0)), [])

    def test_reset_by_the_peer(self) -> None:
        session = with_stream()
        self.assertEqual(session.receive(frame(CREDIT, RST, 1, 0)), [(Kind.RESET, 1, b"")])
        self.assertEqual(session.receive(data_frame(1, b"late")), [])
        session.finish(1)
        session.reset(1)
        self.assertEqual(session.data_to_send(), b"")

    def test_reset_with_data_drops_the_data(self) -> None:
        session = with_stream()
        self.assertEqual(session.receive(data_frame(1, b"x", RST)), [(Kind.RESET, 1, b"")])

    def test_reset_by_us_in_the_middle_of_a_frame(self) -> None:
        session = with_stream()
        data = data_frame(1, b"0123456789")
        session.receive(data[:15])
        session.reset(1)
        self.assertEqual(session.data_to_send(), frame(CREDIT, RST, 1, 0))
        self.assertEqual(session.receive(data[15:] + frame(PING, ACK, 0, 9)), [(Kind.PONG, 9, b"")])

    def test_unknown_streams_are_drained(self) -> None:
        session = with_stream()
        data = data_frame(99, bytes(100_000)) + data_frame(1, b"mine")
        events = [event for piece in cut(data, [7777]) for event in session.receive(piece)]
        self.assertEqual(payloads(events), {1: b"mine"})


class SessionFrameTests(SynchronousTestCase):
    def test_ping_is_answered_first(self) -> None:
        session = server()
        session.receive(frame(CREDIT, SYN, 1, 0) + frame(PING, SYN, 0, 0xDEADBEEF))
        self.assertEqual(session.unsent_bytes, 24)
        self.assertEqual(
            session.data_to_send(),
            frame(PING, ACK, 0, 0xDEADBEEF) + frame(CREDIT, ACK, 1, BIG_DELTA),
        )
        self.assertEqual(session.unsent_bytes, 0)

    def test_our_ping(self) -> None:
        session = client()
        session.ping(7)
        self.assertEqual(session.data_to_send(), frame(PING, SYN, 0, 7))
        self.assertEqual(session.receive(frame(PING, ACK, 0, 7)), [(Kind.PONG, 7, b"")])

    def test_ping_without_a_flag_means_nothing(self) -> None:
        session = client()
        self.assertEqual(session.receive(frame(PING, 0, 0, 7)), [])
        self.assertEqual(session.data_to_send(), b"")

    def test_peer_goes_away(self) -> None:
        session = client()
        session.open()
        for code in (0, 1, 2, 77):
            self.assertEqual(
                session.receive(frame(GO_AWAY, 0, 0, code)), [(Kind.GOING_AWAY, code, b"")]
            )
        self.assertRaises(LocalProtocolError, session.open)
        self.assertEqual(session.receive(data_frame(1, b"still")), [(Kind.DATA, 1, b"still")])

    def test_we_go_away(self) -> None:
        session = server()
        session.go_away()
        self.assertEqual(session.data_to_send(), frame(GO_AWAY, 0, 0, 0))
        self.assertEqual(session.receive(frame(CREDIT, SYN, 1, 0)), [])
        self.assertEqual(session.data_to_send(), frame(CREDIT, RST, 1, 0))

    def violation(self, data: bytes, session: Session | None = None) -> str:
        session = session or with_stream()
        error = self.assertRaises(RemoteProtocolError, session.receive, data)
        self.assertEqual(session.data_to_send()[-12:], frame(GO_AWAY, 0, 0, Code.PROTOCOL_ERROR))
        again = self.assertRaises(RemoteProtocolError, session.receive, b"")
        self.assertIs(again, error)
        return str(error)

    def test_violations(self) -> None:
        self.assertIn("version 1", self.violation(b"\x01" + bytes(11)))
        self.assertIn("type 4", self.violation(frame(4, 0, 1, 0)))
        self.assertIn("opened twice", self.violation(frame(CREDIT, SYN, 1, 0)))
        self.assertIn("stream 0", self.violation(frame(CREDIT, SYN, 0, 0)))
        opened_by_us = client()
        opened_by_us.open()
        self.assertIn("opened twice", self.violation(frame(CREDIT, SYN, 1, 0), opened_by_us))


class MemoryTests(SynchronousTestCase):
    def test_giant_frame_is_not_gathered(self) -> None:
        session = with_stream()
        session.receive(frame(DATA, 0, 1, 6 * MiB))
        piece = bytes(64 * KiB)
        received = 0
        tracemalloc.start()
        try:
            for _ in range(96):
                received += len(payloads(session.receive(piece))[1])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertEqual(received, 6 * MiB)
        self.assertLess(peak, 1 * MiB)


class PropertyTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(st.binary(max_size=400), st.lists(st.integers(1, 50), min_size=1, max_size=5))
    def test_garbage_is_read_or_refused(self, data: bytes, sizes: list[int]) -> None:
        """No input makes it fail in another way, or keep more than a header."""
        session = with_stream()
        try:
            for piece in cut(data, sizes):
                session.receive(piece)
        except RemoteProtocolError:
            pass
        self.assertLess(len(session._partial_header), yamux.HEADER_BYTES)

    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([DATA, CREDIT, PING]),
                st.integers(0, 15),
                st.integers(0, 4),
                st.integers(0, 40),
            ),
            max_size=30,
        ),
        st.lists(st.integers(1, 60), min_size=1, max_size=6),
    )
    def test_cutting_changes_nothing(
        self, frames: list[tuple[int, int, int, int]], sizes: list[int]
    ) -> None:
        """Whole or in pieces, frames have the same effect."""
        data = b"".join(
            frame(kind, flags, number, length, bytes(range(length)) if kind == DATA else b"")
            for kind, flags, number, length in frames
        )
        self.assertEqual(self.effect([data]), self.effect(cut(data, sizes)))

    def effect(self, pieces: list[bytes]) -> tuple[Any, ...]:
        session = with_stream()
        events: list[Event] = []
        error = ""
        try:
            for piece in pieces:
                events += session.receive(piece)
        except RemoteProtocolError as violation:
            error = str(violation)
            events = []
        others = [event for event in events if event[0] is not Kind.DATA]
        return payloads(events), others, error, session.data_to_send()


class Conversation(RuleBasedStateMachine):
    """Two sessions do what they like, over a wire that cuts as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = (client(SMALL), server(SMALL))
        self.wires = (bytearray(), bytearray())
        self.random = random.Random(1)
        self.sent: tuple[dict[int, bytearray], ...] = (
            defaultdict(bytearray),
            defaultdict(bytearray),
        )
        self.got: tuple[dict[int, bytearray], ...] = (
            defaultdict(bytearray),
            defaultdict(bytearray),
        )
        self.held: tuple[dict[int, int], ...] = (defaultdict(int), defaultdict(int))
        self.finished: tuple[set[int], ...] = (set(), set())
        self.told_finished: tuple[set[int], ...] = (set(), set())
        self.numbers: list[int] = []

    def flush(self, side: int) -> None:
        self.wires[side].extend(self.ends[side].data_to_send())

    @rule(side=st.integers(0, 1))
    def open(self, side: int) -> None:
        self.numbers.append(self.ends[side].open())
        self.flush(side)

    @precondition(lambda self: self.numbers)
    @rule(side=st.integers(0, 1), pick=st.integers(0), size=st.integers(1, SMALL))
    def write(self, side: int, pick: int, size: int) -> None:
        number = self.numbers[pick % len(self.numbers)]
        size = min(size, self.ends[side].send_window(number))
        if size and number not in self.finished[side]:
            payload = self.random.randbytes(size)
            self.wires[side].extend(self.ends[side].data_header(number, size) + payload)
            self.sent[side][number] += payload

    @precondition(lambda self: self.numbers)
    @rule(side=st.integers(0, 1), pick=st.integers(0))
    def finish(self, side: int, pick: int) -> None:
        number = self.numbers[pick % len(self.numbers)]
        if number in self.told_opened(side):
            self.ends[side].finish(number)
            self.finished[side].add(number)
            self.flush(side)

    def told_opened(self, side: int) -> set[int]:
        mine = {number for number in self.numbers if number % 2 != side}
        return mine | set(self.got[side])

    @rule(side=st.integers(0, 1), size=st.integers(1, 2 * SMALL))
    def carry(self, side: int, size: int) -> None:
        """Move bytes that `side` sent to the other."""
        other = 1 - side
        data = bytes(self.wires[side][:size])
        del self.wires[side][:size]
        for kind, number, payload in self.ends[other].receive(data):
            if kind is Kind.DATA:
                assert number not in self.told_finished[other]
                self.got[other][number] += payload
                self.held[other][number] += len(payload)
            elif kind is Kind.OPENED:
                assert not self.got[other][number]
            elif kind is Kind.FINISHED:
                assert number not in self.told_finished[other]
                assert self.got[other][number] == self.sent[side][number]
                self.told_finished[other].add(number)
        self.flush(other)

    @precondition(lambda self: self.numbers)
    @rule(side=st.integers(0, 1), pick=st.integers(0))
    def consume(self, side: int, pick: int) -> None:
        number = self.numbers[pick % len(self.numbers)]
        self.ends[side].consumed(number, self.held[side].pop(number, 0))
        self.flush(side)

    @invariant()
    def nothing_invented(self) -> None:
        for side in (0, 1):
            for number, got in self.got[side].items():
                assert self.sent[1 - side][number].startswith(got)

    @invariant()
    def held_is_bounded(self) -> None:
        assert all(size <= SMALL for held in self.held for size in held.values())

    def teardown(self) -> None:
        """Everything that was sent arrives."""
        for _ in range(4):
            for side in (0, 1):
                self.carry(side, len(self.wires[side]))
        for side in (0, 1):
            for number, sent in self.sent[side].items():
                assert self.got[1 - side][number] == sent


class ConversationTests(SynchronousTestCase):
    def test_two_sessions_agree(self) -> None:
        run_state_machine_as_test(
            Conversation, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
        )


class GrowthTests(SynchronousTestCase):
    """Windows follow the speed of their reader."""

    def session(self) -> Session:
        session = Session(client=False, max_window=2 * MiB, first_window=256 * KiB)
        session.receive(frame(CREDIT, SYN, 1, 0))
        session.data_to_send()
        return session

    def grant(self, session: Session) -> int:
        """Return the credit that is on its way."""
        sent = session.data_to_send()
        return sum(int.from_bytes(sent[at + 8 : at + 12], "big") for at in range(0, len(sent), 12))

    def test_a_fast_reader_gets_more_and_more(self) -> None:
        session = self.session()
        grants = []
        for _ in range(200):
            session.receive(frame(DATA, 0, 1, 64 * KiB) + bytes(64 * KiB))
            session.consumed(1, 64 * KiB)
            grants.append(self.grant(session))
        given = [grant for grant in grants if grant]
        self.assertEqual(given[0], 128 * KiB + 256 * KiB)
        self.assertEqual(given[-1], 1 * MiB, "half of the largest window at a time")
        self.assertLessEqual(256 * KiB + sum(grants) - 200 * 64 * KiB, 2 * MiB)

    def test_a_slow_reader_gets_no_more(self) -> None:
        session = self.session()
        session.receive(frame(DATA, 0, 1, 256 * KiB) + bytes(256 * KiB))
        session.consumed(1, 128 * KiB)
        self.assertEqual(self.grant(session), 128 * KiB)

    def test_windows_that_cannot_be(self) -> None:
        for first, most in ((1, MiB), (2 * MiB, MiB)):
            with self.assertRaises(LocalProtocolError):
                Session(client=True, max_window=most, first_window=first)
