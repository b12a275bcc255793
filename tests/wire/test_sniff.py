# -*- test-case-name: tests.wire.test_sniff -*-
"""Tests of `tunnelsvc.wire.sniff`."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.messages import TYPES, Login, NewVisitorConn, NewWorkConn
from tunnelsvc.wire.sniff import (
    IN_STREAM,
    IN_TLS,
    IN_WEBSOCKET,
    MAX_SNIFF_BYTES,
    ON_BIND_PORT,
    Kind,
    sniff,
)

STEADY = settings(derandomize=True, deadline=None)
MAGIC = b"FRP\x00\x02\r\n"
UPGRADE = b"GET /~!frp HTTP/1.1\r\nHost: x\r\n"
YAMUX_SYN = bytes.fromhex("000100010000000100000000")
CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303")
OPENINGS = {
    b"\x17" + CLIENT_HELLO: Kind.TLS_WITH_HEAD_BYTE,
    CLIENT_HELLO: Kind.TLS,
    UPGRADE: Kind.WEBSOCKET,
    b"GET / HTTP/1.1\r\n": Kind.HTTP,
    b"GET /~!fro HTTP/1.1\r\n": Kind.HTTP,
    b"PATCH /x HTTP/1.1\r\n": Kind.HTTP,
    YAMUX_SYN: Kind.YAMUX,
    encode(Login()): Kind.MESSAGES,
    encode(NewWorkConn()): Kind.MESSAGES,
    encode(NewVisitorConn()): Kind.MESSAGES,
    MAGIC + bytes(8): Kind.V2_MAGIC,
    b"GETS / HTTP/1.1\r\n": Kind.UNKNOWN,
    b"get / HTTP/1.1\r\n": Kind.UNKNOWN,
    b"PRI * HTTP/2.0\r\n": Kind.UNKNOWN,
    b"SSH-2.0-OpenSSH_9.6\r\n": Kind.UNKNOWN,
    b"FRP\x00\x03\r\n": Kind.UNKNOWN,
}
PLACES = st.sampled_from([ON_BIND_PORT, IN_TLS, IN_WEBSOCKET, IN_STREAM])


def beginnings() -> st.SearchStrategy[bytes]:
    """Make streams: random ones, and known openings cut or changed somewhere."""
    opening = st.sampled_from(sorted(OPENINGS))
    cut = st.builds(lambda data, n, tail: data[:n] + tail, opening, st.integers(0, 12), st.binary())
    return st.one_of(st.binary(), opening, cut)


class BindPortTests(SynchronousTestCase):
    def test_openings(self) -> None:
        """Everything that clients and users begin with is recognised."""
        for data, kind in OPENINGS.items():
            self.assertIs(sniff(data), kind, data)

    def test_all_methods(self) -> None:
        """Every standard method is HTTP, decided with the blank after it and not before."""
        for method in (
            *(b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"),
            *(b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"),
        ):
            self.assertIsNone(sniff(method), method)
        for method in (
            b"HEAD ",
            b"POST ",
            b"PUT ",
            b"DELETE ",
            b"CONNECT ",
            b"OPTIONS ",
            b"TRACE ",
        ):
            self.assertIs(sniff(method), Kind.HTTP, method)

    def test_decided_early(self) -> None:
        """One byte is enough where one byte tells."""
        for data, kind in (
            *((b"\x17", Kind.TLS_WITH_HEAD_BYTE), (b"\x16", Kind.TLS), (b"\x00", Kind.YAMUX)),
            *((b"o", Kind.MESSAGES), (b"w", Kind.MESSAGES), (b"v", Kind.MESSAGES)),
            *((b"\xff", Kind.UNKNOWN), (b"GX", Kind.UNKNOWN), (b"GET /x", Kind.HTTP)),
        ):
            self.assertIs(sniff(data), kind, data)

    def test_decided_late(self) -> None:
        """A websocket upgrade and another GET are the same up to the byte that differs."""
        for end in range(len(b"GET /~!frp")):
            self.assertIsNone(sniff(UPGRADE[:end]))
        self.assertIs(sniff(UPGRADE[:MAX_SNIFF_BYTES]), Kind.WEBSOCKET)

    def test_only_opening_messages(self) -> None:
        """Messages that can't come first are not taken for an opening."""
        opening = {t for t in TYPES if sniff(bytes([t])) is Kind.MESSAGES}
        self.assertEqual(opening, set(b"owv"))


class PlacesTests(SynchronousTestCase):
    def test_in_tls(self) -> None:
        """Inside TLS there's no TLS and no user's request; a GET is a websocket's or nothing."""
        self.assertIs(sniff(CLIENT_HELLO, IN_TLS), Kind.UNKNOWN)
        self.assertIs(sniff(b"\x17", IN_TLS), Kind.UNKNOWN)
        self.assertIs(sniff(b"GET / HTTP/1.1\r\n", IN_TLS), Kind.UNKNOWN)
        self.assertIs(sniff(b"POST ", IN_TLS), Kind.UNKNOWN)
        self.assertIs(sniff(UPGRADE, IN_TLS), Kind.WEBSOCKET)
        self.assertIs(sniff(YAMUX_SYN, IN_TLS), Kind.YAMUX)

    def test_in_websocket(self) -> None:
        """Inside a websocket there's what a client puts on plain TCP, and no HTTP."""
        self.assertIs(sniff(CLIENT_HELLO, IN_WEBSOCKET), Kind.TLS)
        self.assertIs(sniff(b"\x17", IN_WEBSOCKET), Kind.TLS_WITH_HEAD_BYTE)
        self.assertIs(sniff(YAMUX_SYN, IN_WEBSOCKET), Kind.YAMUX)
        self.assertIs(sniff(UPGRADE, IN_WEBSOCKET), Kind.UNKNOWN)

    def test_in_stream(self) -> None:
        """A logical connection carries messages of one of the two versions."""
        allowed = {sniff(data, IN_STREAM) for data in OPENINGS}
        self.assertEqual(allowed, {Kind.MESSAGES, Kind.V2_MAGIC, Kind.UNKNOWN})
        self.assertIs(sniff(YAMUX_SYN, IN_STREAM), Kind.UNKNOWN)


class PropertyTests(SynchronousTestCase):
    @STEADY
    @given(beginnings(), PLACES)
    @example(UPGRADE, ON_BIND_PORT)
    def test_stable(self, data: bytes, place: frozenset[Kind]) -> None:
        """A decision once made is the decision, whatever bytes follow."""
        decisions = [sniff(data[:end], place) for end in range(len(data) + 1)]
        final = next((d for d in decisions if d is not None), None)
        undecided = decisions.count(None)
        self.assertEqual(decisions, [None] * undecided + [final] * (len(decisions) - undecided))

    @STEADY
    @given(beginnings(), PLACES)
    def test_total(self, data: bytes, place: frozenset[Kind]) -> None:
        """Any bytes have an answer, possible in that place, after `MAX_SNIFF_BYTES` at most."""
        decision = sniff(data, place)
        self.assertIn(decision, place | {Kind.UNKNOWN, None})
        if len(data) >= MAX_SNIFF_BYTES:
            self.assertIsNotNone(decision)
            self.assertIs(decision, sniff(data[:MAX_SNIFF_BYTES], place))

    @STEADY
    @given(beginnings())
    def test_undecided_only_if_open(self, data: bytes) -> None:
        """No answer means that at least two answers are still possible."""
        if sniff(data) is None:
            followed = {sniff(data + bytes([byte])) for byte in range(256)}
            self.assertGreater(len(followed), 1)
