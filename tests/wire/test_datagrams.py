# -*- test-case-name: tests.wire.test_datagrams -*-
"""Tests of `tunnelsvc.wire.datagrams`."""

from ipaddress import IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.wire.datagrams import (
    MOST_DATAGRAM_BYTES,
    MOST_ZONE_BYTES,
    NOBODY,
    Datagram,
    DatagramCodec,
    EitherDatagrams,
    FrameDatagrams,
    MessageDatagrams,
    user_at,
)
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.framing2 import V2
from tunnelsvc.wire.messages import TYPES, Ping, Pong, UDPAddress, UDPPacket

STEADY = settings(derandomize=True, deadline=None)
USER = UDPAddress(ip="192.0.2.7", port=5353)
USER6 = UDPAddress(ip="fe80::1", port=53, zone="eth0")
PORTS = st.integers(0, 65535)
ZONES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=MOST_ZONE_BYTES)
USERS = st.builds(UDPAddress, ip=st.ip_addresses(v=4).map(str), port=PORTS) | st.builds(
    UDPAddress, ip=st.ip_addresses(v=6).map(str), port=PORTS, zone=ZONES
)
DATAGRAMS = st.lists(st.tuples(USERS, st.binary(max_size=300)), max_size=6)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes into pieces, as a network does."""
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


class Carrying:
    """What both ways must do."""

    def codec(self) -> DatagramCodec:
        raise NotImplementedError

    def check_carries(self, datagrams: list[Datagram], places: list[int]) -> list[Datagram]:
        sender, receiver = self.codec(), self.codec()
        wire = b"".join(sender.ping() + sender.encode(*each) for each in datagrams)
        return [each for piece in cut(wire, places) for each in receiver.feed(piece)]


class FrameTests(Carrying, SynchronousTestCase):
    """Our own way."""

    def codec(self) -> DatagramCodec:
        return FrameDatagrams()

    def test_vectors(self) -> None:
        """The bytes are those that the module describes."""
        codec = FrameDatagrams()
        self.assertEqual(codec.ping(), bytes.fromhex("02000000"))
        self.assertEqual(codec.encode(USER, b"hi"), bytes.fromhex("01060002c000020714e9") + b"hi")
        packed = IPv6Address("fe80::1").packed
        expected = bytes.fromhex("01160000") + packed + bytes.fromhex("0035") + b"eth0"
        self.assertEqual(codec.encode(USER6, b""), expected)

    @STEADY
    @given(DATAGRAMS, st.lists(st.integers(0, 5000), max_size=8))
    def test_carries(self, datagrams: list[Datagram], places: list[int]) -> None:
        """What comes out is what went in, wherever the stream is cut."""
        self.assertEqual(self.check_carries(datagrams, places), datagrams)

    def test_the_longest(self) -> None:
        content = bytes(range(256)) * 256
        for length in (65_507, MOST_DATAGRAM_BYTES):
            found = self.check_carries([(USER, content[:length])], [1, 70, 5000])
            self.assertEqual(found, [(USER, content[:length])])
        with self.assertRaises(LocalProtocolError):
            FrameDatagrams().encode(USER, content)

    @STEADY
    @given(st.lists(st.binary(max_size=80), max_size=6))
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        """They are datagrams or an error, and no more than one frame is ever held."""
        codec = FrameDatagrams()
        try:
            for piece in pieces:
                for user, content in codec.feed(piece):
                    again = FrameDatagrams().feed(codec.encode(user, content))
                    self.assertEqual(again, [(user, content)])
        except RemoteProtocolError:
            return
        self.assertLess(len(codec._unread), 4 + 255 + 65536)

    def test_bad_frames(self) -> None:
        """Unknown kinds, addresses of a wrong length, pings with something in them."""
        for bad in ("03000000", "00000000", "01050000", "01070000", "01ff0000", "0200", "02060000"):
            with self.subTest(bad=bad), self.assertRaises(RemoteProtocolError):
                FrameDatagrams().feed(bytes.fromhex(bad).ljust(4, b"\x01"))
        zone = bytes.fromhex("01130000") + bytes(18) + b"\xff"
        with self.assertRaises(RemoteProtocolError):
            FrameDatagrams().feed(zone)

    def test_no_address(self) -> None:
        users = (
            NOBODY,
            UDPAddress(ip="example.com", port=1),
            UDPAddress(ip="192.0.2.7", port=65536),
            UDPAddress(ip="192.0.2.7", port=1, zone="eth0"),
            UDPAddress(ip="fe80::1", port=1, zone="x" * (MOST_ZONE_BYTES + 1)),
            UDPAddress(ip="fe80::1", port=1, zone="\xe9"),
        )
        for user in users:
            with self.assertRaises(LocalProtocolError):
                FrameDatagrams().encode(user, b"")


class MessageTests(Carrying, SynchronousTestCase):
    """frp's way."""

    def codec(self) -> DatagramCodec:
        return MessageDatagrams()

    def test_vector(self) -> None:
        """As a real frps 0.51 writes it."""
        body = b'{"c":"aGk=","r":{"IP":"192.0.2.7","Port":5353}}'
        self.assertEqual(MessageDatagrams().encode(USER, b"hi"), encode_v1("u", body))

    @STEADY
    @given(DATAGRAMS, st.lists(st.integers(0, 5000), max_size=8))
    def test_carries(self, datagrams: list[Datagram], places: list[int]) -> None:
        self.assertEqual(self.check_carries(datagrams, places), datagrams)

    def test_real_spellings(self) -> None:
        """Null where nothing is, content left out, line ends in base64."""
        bodies = {
            b'{"c":"aGk=","l":null,"r":{"IP":"192.0.2.7","Port":5353,"Zone":""}}': (USER, b"hi"),
            b'{"r":{"IP":"192.0.2.7","Port":5353,"Zone":""}}': (USER, b""),
            b'{"c":"aG\\r\\nk=","r":null}': (NOBODY, b"hi"),
        }
        for body, expected in bodies.items():
            self.assertEqual(MessageDatagrams().feed(encode_v1("u", body)), [expected])

    def test_other_messages(self) -> None:
        wire = encode(Ping()) + encode(Pong()) + encode(UDPPacket(c="aGk=", r=USER))
        self.assertEqual(MessageDatagrams().feed(wire), [(USER, b"hi")])

    def test_bad_base64(self) -> None:
        for text in ("aGk", "aGk_", "a===", "aGk=aGk="):
            with self.subTest(text=text), self.assertRaises(RemoteProtocolError):
                MessageDatagrams().feed(encode(UDPPacket(c=text, r=USER)))

    def test_too_long(self) -> None:
        """More than was agreed on, or than a message holds."""
        self.assertTrue(MessageDatagrams(1500).encode(USER, bytes(1500)))
        with self.assertRaises(LocalProtocolError):
            MessageDatagrams(1500).encode(USER, bytes(1501))
        self.assertTrue(MessageDatagrams().encode(USER, bytes(7500)))
        with self.assertRaises(LocalProtocolError):
            MessageDatagrams().encode(USER, bytes(7700))

    def test_dialect(self) -> None:
        """How messages become bytes depends on the session."""
        codec = MessageDatagrams(dialect=V2)
        self.assertEqual(codec.ping(), V2.encode(Ping()))
        self.assertEqual(codec.feed(codec.ping() + codec.encode(USER, b"hi")), [(USER, b"hi")])
        self.assertTrue(codec.encode(USER, bytes(45_000)), "more than fits in v1")


class EitherTests(SynchronousTestCase):
    """The way that the peer begins with."""

    @STEADY
    @given(DATAGRAMS.filter(bool), st.booleans(), st.lists(st.integers(0, 5000), max_size=8))
    def test_both_ways(self, datagrams: list[Datagram], frames: bool, places: list[int]) -> None:
        peer: DatagramCodec = FrameDatagrams() if frames else MessageDatagrams()
        codec = EitherDatagrams(MessageDatagrams())
        wire = b"".join(peer.encode(*each) for each in datagrams)
        found = [each for piece in cut(wire, places) for each in codec.feed(piece)]
        self.assertEqual(found, datagrams)
        self.assertEqual(codec.ping(), peer.ping())
        self.assertEqual(codec.encode(USER, b"hi"), peer.encode(USER, b"hi"))

    def test_before_the_peer(self) -> None:
        codec = EitherDatagrams(MessageDatagrams())
        self.assertEqual((codec.ping(), codec.feed(b"")), (b"", ()))
        self.assertEqual(codec.encode(USER, b"hi"), MessageDatagrams().encode(USER, b"hi"))

    def test_no_message_begins_as_a_frame(self) -> None:
        self.assertEqual({1, 2}.intersection(TYPES), set())


class NameTests(SynchronousTestCase):
    def test_names(self) -> None:
        cases = {
            ("192.0.2.7", 53): UDPAddress(ip="192.0.2.7", port=53),
            ("::ffff:192.0.2.7", 53, 0, 0): UDPAddress(ip="192.0.2.7", port=53),
            ("2001:db8::1", 53, 0, 0): UDPAddress(ip="2001:db8::1", port=53),
            ("fe80::1", 53, 0, 3): UDPAddress(ip="fe80::1", port=53, zone="3"),
        }
        for address, user in cases.items():
            self.assertEqual(user_at(address), user)


def encode_v1(kind: str, body: bytes) -> bytes:
    return kind.encode() + len(body).to_bytes(8, "big") + body
