# -*- test-case-name: tests.link.test_roundtrip -*-
"""Tests of `tunnelsvc.link.roundtrip`; through TLS, websockets and yamux: `tests.server`."""

import socket
from types import SimpleNamespace

from tests.link.tcploopback import LoopbackTestCase, until
from tests.streams import pair
from tunnelsvc.link.roundtrip import MOST_LAYERS, round_trip_seconds
from tunnelsvc.units import MINUTE


class RoundTripTests(LoopbackTestCase):
    async def test_tcp(self) -> None:
        stream, _, far = self.one_end()
        stream.write(b"x")
        await until(lambda: stream.untaken_bytes() == 0)
        for layers in (stream, SimpleNamespace(below=SimpleNamespace(below=stream))):
            seconds = round_trip_seconds(layers)
            assert seconds is not None
            self.assertTrue(0 < seconds < MINUTE)
        stream.abortConnection()
        await until(lambda: stream.fileno() == -1)
        self.assertIsNone(round_trip_seconds(stream))
        far.close()

    def test_where_there_is_none(self) -> None:
        stream, _ = pair("memory")
        self.assertIsNone(round_trip_seconds(stream))
        one, other = socket.socketpair()
        self.assertIsNone(round_trip_seconds(SimpleNamespace(getHandle=lambda: one)))
        one.close()
        other.close()
        self.assertIsNone(round_trip_seconds(SimpleNamespace(getHandle=lambda: one)))

    def test_a_knot(self) -> None:
        """Whoever makes one, the look at it ends."""
        knot = SimpleNamespace()
        knot.below = knot
        self.assertIsNone(round_trip_seconds(knot))
        self.assertGreater(MOST_LAYERS, 4)
