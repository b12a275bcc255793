# -*- test-case-name: tests.wire.test_reframe -*-
"""Tests of `tunnelsvc.wire.reframe`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.test_framing import ADDRESSES, STEADY
from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.wire.dialect import V1
from tunnelsvc.wire.framing2 import V2
from tunnelsvc.wire.messages import Ping, Pong, UDPAddress, UDPPacket
from tunnelsvc.wire.reframe import Reframer

USER = UDPAddress(ip="1.2.3.4", port=5)
BOTH_WAYS = ((V1, V2), (V2, V1))
PACKETS = st.builds(UDPPacket, c=st.just("aGk=") | st.just(""), r=st.none() | ADDRESSES)


class ReframerTests(SynchronousTestCase):
    def test_datagrams(self) -> None:
        packet = UDPPacket(c="aGk=", r=USER)
        for source, target in BOTH_WAYS:
            reframer = Reframer(source, target, pings=True)
            self.assertEqual(reframer.feed(source.encode(packet)), target.encode(packet))

    def test_pings(self) -> None:
        for source, target in BOTH_WAYS:
            ping = source.encode(Ping(timestamp=1))
            self.assertEqual(Reframer(source, target, pings=False).feed(ping), b"")
            self.assertEqual(Reframer(source, target, pings=True).feed(ping), target.encode(Ping()))

    def test_too_long_for_the_other(self) -> None:
        """Is lost; the next isn't."""
        reframer = Reframer(V2, V1, pings=True)
        data = V2.encode(UDPPacket(c="A" * 20_000, r=USER)) + V2.encode(UDPPacket(c="aGk="))
        self.assertEqual(reframer.feed(data), V1.encode(UDPPacket(c="aGk=")))

    def test_anything_else(self) -> None:
        for source, target in BOTH_WAYS:
            for data in (source.encode(Pong()), b"\xff" * 20):
                reframer = Reframer(source, target, pings=True)
                self.assertRaises(RemoteProtocolError, reframer.feed, data)

    @STEADY
    @given(st.sampled_from(BOTH_WAYS), st.lists(PACKETS, max_size=6), st.integers(1, 80))
    def test_any_split(
        self, ways: tuple[object, object], packets: list[UDPPacket], step: int
    ) -> None:
        """There and back again gives the same bytes, however they are split."""
        source, target = (V1, V2) if ways == BOTH_WAYS[0] else (V2, V1)
        there, back = (
            Reframer(source, target, pings=False),
            Reframer(target, source, pings=False),
        )
        data = b"".join(map(source.encode, packets))
        pieces = [data[i : i + step] for i in range(0, len(data), step)]
        self.assertEqual(b"".join(back.feed(there.feed(piece)) for piece in pieces), data)
