# -*- test-case-name: tests.link.test_switch -*-
"""Tests of `tunnelsvc.link.switch`."""

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.streams import pair, pump
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.switch import FIRST_BYTES_SECONDS, Switch
from tunnelsvc.wire.sniff import Kind


class SwitchTests(SynchronousTestCase):
    """Recognising a connection by its first bytes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.peer, self.stream = pair("fresh")
        self.routed: list[tuple[Kind, Stream, bytes]] = []
        routes = {
            kind: (lambda stream, seen, kind=kind: self.routed.append((kind, stream, seen)))
            for kind in (Kind.HTTP, Kind.MESSAGES, Kind.YAMUX)
        }
        self.switch = Switch(self.stream, self.clock, routes)

    def give(self, data: bytes) -> None:
        self.peer.write(data)
        pump(self.peer)

    def test_interface(self) -> None:
        self.assertTrue(verifyObject(IHalfCloseableProtocol, self.switch))

    def test_hands_over_parked_with_all_bytes(self) -> None:
        self.give(b"GET / HT")
        self.assertEqual(self.routed, [(Kind.HTTP, self.stream, b"GET / HT")])
        self.assertTrue(self.stream.paused)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits_for_enough(self) -> None:
        for byte in b"GET":
            self.give(bytes([byte]))
            self.assertEqual(self.routed, [])
        self.give(b" /")
        self.assertEqual(self.routed, [], "may still become frp's websocket")
        self.give(b"x")
        self.assertEqual(self.routed, [(Kind.HTTP, self.stream, b"GET /x")])

    def test_kinds_without_a_route_are_cut(self) -> None:
        self.give(b"\x16\x03\x01")
        self.assertTrue(self.stream.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_garbage_is_cut(self) -> None:
        self.give(b"\xff\xfe\xfd")
        self.assertTrue(self.stream.lost)

    def test_silence_is_cut(self) -> None:
        self.give(b"G")
        self.clock.advance(FIRST_BYTES_SECONDS)
        self.assertTrue(self.stream.lost)

    def test_a_peer_that_leaves(self) -> None:
        self.peer.loseConnection()
        pump(self.peer)
        self.assertTrue(self.stream.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.switch.writeConnectionLost()
