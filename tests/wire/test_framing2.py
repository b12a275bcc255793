# -*- test-case-name: tests.wire.test_framing2 -*-
"""Tests of `tunnelsvc.wire.framing2`."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.test_framing import MESSAGES, STEADY
from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.wire.framing2 import (
    MAX_PAYLOAD_BYTES,
    V2,
    FrameReader,
    FrameType,
    Hello,
    encode,
)
from tunnelsvc.wire.messages import (
    Login,
    LoginResp,
    Message,
    NatHoleClientDetectOK,
    NatHoleReport,
    Ping,
    Pong,
    StartWorkConn,
    UDPPacket,
)

EMPTY_PING = bytes.fromhex("0010000000000004000b7b7d")
SENT = MESSAGES.filter(lambda message: not isinstance(message, NatHoleClientDetectOK))
HELLOS = st.builds(
    Hello,
    st.sampled_from([FrameType.CLIENT_HELLO, FrameType.SERVER_HELLO]),
    st.binary(max_size=60),
)


def frame(frame_type: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHI", frame_type, flags, len(payload)) + payload


class EncodeTests(SynchronousTestCase):
    def test_vector(self) -> None:
        self.assertEqual(encode(Ping()), EMPTY_PING)

    def test_numbers(self) -> None:
        """The first, one from the middle and the last of the table have the numbers of frp."""
        for message, number in (
            (Login(), 1),
            (LoginResp(), 2),
            (StartWorkConn(), 8),
            (UDPPacket(), 13),
            (NatHoleReport(), 18),
        ):
            self.assertEqual(encode(message), frame(16, struct.pack(">H", number) + b"{}"))

    def test_hello(self) -> None:
        """A hello goes out as it is."""
        self.assertEqual(encode(Hello(FrameType.CLIENT_HELLO, b"{ }")), frame(1, b"{ }"))
        self.assertEqual(encode(Hello(FrameType.SERVER_HELLO, b"")), frame(2, b""))

    def test_message_of_older_peers(self) -> None:
        with self.assertRaises(LocalProtocolError) as caught:
            encode(NatHoleClientDetectOK())
        self.assertIn("NatHoleClientDetectOK is no message of", str(caught.exception))

    def test_largest(self) -> None:
        """The limit counts the number too: exactly so many bytes pass."""
        spare = MAX_PAYLOAD_BYTES - len(encode(Pong(error="x"))) + 8 + 1
        self.assertEqual(len(encode(Pong(error="x" * spare))), 8 + MAX_PAYLOAD_BYTES)
        with self.assertRaises(LocalProtocolError) as caught:
            encode(Pong(error="x" * (spare + 1)))
        self.assertIn("Pong has 65537 bytes in a frame", str(caught.exception))
        self.assertRaises(
            LocalProtocolError,
            encode,
            Hello(FrameType.CLIENT_HELLO, bytes(MAX_PAYLOAD_BYTES + 1)),
        )

    def test_dialect(self) -> None:
        self.assertEqual((V2.name, V2.preface), ("v2", b"FRP\0\x02\r\n"))
        reader = V2.make_reader()
        reader.feed(V2.encode(Ping(timestamp=1)))
        self.assertEqual(reader.next_message(), Ping(timestamp=1))


class FrameReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader = FrameReader()

    def refused(self, data: bytes, text: str) -> None:
        self.reader = FrameReader()
        self.reader.feed(data)
        for _ in range(2):
            with self.assertRaises(RemoteProtocolError) as caught:
                self.reader.next_message()
            self.assertIn(text, str(caught.exception))

    def test_byte_by_byte(self) -> None:
        for byte in EMPTY_PING[:-1]:
            self.reader.feed(bytes([byte]))
            self.assertIsNone(self.reader.next_message())
        self.reader.feed(EMPTY_PING[-1:])
        self.assertEqual(self.reader.next_message(), Ping())
        self.assertIsNone(self.reader.next_message())

    def test_unread(self) -> None:
        """Bytes behind the last message are for whoever reads on."""
        self.reader.feed(encode(StartWorkConn(proxy_name="web")) + b"GET / ")
        self.assertEqual(self.reader.next_message(), StartWorkConn(proxy_name="web"))
        self.reader.feed(b"HTTP/1.1")
        self.assertEqual(self.reader.take_unread(), b"GET / HTTP/1.1")
        self.assertEqual(self.reader.take_unread(), b"")

    def test_head_is_judged_before_the_payload(self) -> None:
        for head, text in (
            (struct.pack(">HHI", 3, 0, 2), "3 is no type of a frame"),
            (struct.pack(">HHI", 0, 0, 2), "0 is no type of a frame"),
            (struct.pack(">HHI", 16, 1, 2), "frame with flags 0x0001"),
            (struct.pack(">HHI", 16, 0, MAX_PAYLOAD_BYTES + 1), "frame of 65537 bytes"),
            (struct.pack(">HHI", 16, 0, 2**32 - 1), "frame of 4294967295 bytes"),
        ):
            self.refused(head, text)

    def test_message_is_judged(self) -> None:
        for payload, text in (
            (b"", "frame without the number"),
            (b"\0", "frame without the number"),
            (b"\0\x00{}", "0 is no number of a message"),
            (b"\0\x13{}", "19 is no number of a message"),
            (b"\0\x0b", "Ping: not JSON"),
            (b"\0\x0b[]", "Ping: object expected"),
        ):
            self.refused(frame(16, payload), text)

    def test_hello_comes_first_or_not_at_all(self) -> None:
        self.reader.feed(frame(1, b"{}") + EMPTY_PING)
        self.assertEqual(self.reader.next_message(), Hello(FrameType.CLIENT_HELLO, b"{}"))
        self.assertEqual(self.reader.next_message(), Ping())
        for first in (EMPTY_PING, frame(1, b"{}"), frame(2, b"{}")):
            self.reader = FrameReader()
            self.reader.feed(first + frame(1, b"{}"))
            self.assertIsNotNone(self.reader.next_message())
            with self.assertRaises(RemoteProtocolError) as caught:
                self.reader.next_message()
            self.assertIn("frame of type 1, 16 expected", str(caught.exception))

    def test_largest(self) -> None:
        self.reader.feed(frame(16, b"\0\x0b" + b"{}".ljust(MAX_PAYLOAD_BYTES - 2)))
        self.assertEqual(self.reader.next_message(), Ping())

    def test_nested_deeply(self) -> None:
        """As many brackets as fit into a frame are an error of the peer's, nothing worse."""
        self.refused(frame(16, b"\0\x0c" + b'{"x":' + b"[" * 65000), "Pong: n")

    @STEADY
    @given(
        st.none() | HELLOS,
        st.lists(SENT, max_size=5),
        st.integers(1, 200),
        st.binary(max_size=7),
    )
    def test_any_split(
        self, hello: Hello | None, sent: list[Message], step: int, tail: bytes
    ) -> None:
        """Every message comes back equal, however the bytes are split; what follows is kept."""
        sent = ([] if hello is None else [hello]) + sent
        data = b"".join(map(encode, sent))
        reader, received = FrameReader(), list[Message]()
        for start in range(0, len(data), step):
            reader.feed(data[start : start + step])
            received += iter(reader.next_message, None)
        reader.feed(tail)
        self.assertEqual(received, sent)
        self.assertEqual(reader.take_unread(), tail)

    @STEADY
    @given(
        st.sampled_from([1, 2, 16]), st.sampled_from([0, 0, 0, 1]), st.integers(0, 20), st.binary()
    )
    def test_any_bytes(self, frame_type: int, flags: int, number: int, rest: bytes) -> None:
        """Any bytes give messages, a wait, or an error of the peer's."""
        reader = FrameReader()
        reader.feed(frame(frame_type, struct.pack(">H", number) + rest[:40], flags) + rest[40:])
        try:
            while reader.next_message() is not None:
                pass
        except RemoteProtocolError:
            return
        self.assertLess(len(reader.take_unread()), 8 + MAX_PAYLOAD_BYTES)
