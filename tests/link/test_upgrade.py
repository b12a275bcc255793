# -*- test-case-name: tests.link.test_upgrade -*-
"""Tests of `tunnelsvc.link.upgrade`."""

from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair, pump, recorded
from tunnelsvc.handover import Parked
from tunnelsvc.link.upgrade import UPGRADE_SECONDS, ask_for_websocket, take_websocket
from tunnelsvc.link.websocket import WebSocketStream
from tunnelsvc.wire.httphead import HeadError, RequestHead
from tunnelsvc.wire.wsupgrade import UpgradeFailedError, UpgradeRefusedError

PEER = IPv4Address("TCP", "192.0.2.1", 0)


class UpgradeCase(SynchronousTestCase):
    """Two ends of a stream."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.low_client, self.low_server = pair("tcp")

    def ask(self) -> "Deferred[WebSocketStream]":
        asking = ask_for_websocket(self.low_client, "vps:7000", self.clock)
        return ensureDeferred(asking)

    def take(self, seen: bytes = b"") -> "Deferred[WebSocketStream]":
        def peer_of(head: RequestHead) -> IPv4Address:
            self.host = head.host
            return PEER

        return ensureDeferred(take_websocket(self.low_server, seen, self.clock, peer_of))

    def say_as_server(self, data: bytes) -> None:
        self.low_server.paused = False
        self.low_server.write(data)
        pump(self.low_server)


class BothTests(UpgradeCase):
    """Our client and our server."""

    def test_agreed(self) -> None:
        taken, asked = self.take(), self.ask()
        pump(self.low_client)
        client, server = self.successResultOf(asked), self.successResultOf(taken)
        self.assertEqual((server.getPeer(), self.host), (PEER, b"vps:7000"))
        for stream in (client, server):
            self.assertIsInstance(stream.protocol, Parked)
        client.write(b"hello")
        reader = recorded(server)  # type: ignore[arg-type]
        server.resumeProducing()
        pump(self.low_client)
        self.assertEqual(bytes(reader.received), b"hello")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_was_seen_before(self) -> None:
        asked = self.ask()
        [sent] = self.low_client.out
        self.low_client.out.clear()
        assert isinstance(sent, bytes)
        taken = self.take(sent[:10])
        self.low_client.write(sent[10:])
        pump(self.low_client)
        self.successResultOf(asked)
        self.successResultOf(taken)


class ClientTests(UpgradeCase):
    """Servers that don't agree."""

    def failure(self, kind: type[Exception]) -> str:
        failed = self.failureResultOf(self.asked, kind)
        self.assertTrue(self.low_client.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return str(failed.value)

    def test_refused(self) -> None:
        self.asked = self.ask()
        self.say_as_server(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(self.failure(UpgradeFailedError), "the server answers 502 Bad Gateway")

    def test_no_http(self) -> None:
        self.asked = self.ask()
        self.say_as_server(b"SSH-2.0-OpenSSH\r\n\r\n")
        self.failure(HeadError)

    def test_silence(self) -> None:
        self.asked = self.ask()
        self.clock.advance(UPGRADE_SECONDS)
        self.failure(error.TimeoutError)

    def test_hung_up(self) -> None:
        self.asked = self.ask()
        self.low_server.abortConnection()
        self.failure(error.ConnectionLost)


class ServerTests(UpgradeCase):
    """Requests that are none."""

    def answered(self, data: bytes, kind: type[Exception]) -> bytes:
        reader = recorded(self.low_client)
        taken = self.take()
        self.low_client.write(data)
        pump(self.low_client)
        self.failureResultOf(taken, kind)
        self.assertTrue(reader.finished)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return bytes(reader.received)

    def test_refused(self) -> None:
        answer = self.answered(b"GET /~!frp HTTP/1.1\r\nHost: x\r\n\r\n", UpgradeRefusedError)
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer)

    def test_no_proper_request(self) -> None:
        for data, status in (
            (b"GET /~!frp HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"400"),
            (b"GET /~!frp HTTP/1.1\r\nX: " + bytes(70_000), b"400"),
            (b"GET /~!frp HTTP/2.0\r\n\r\n", b"505"),
        ):
            self.setUp()
            self.assertIn(b"HTTP/1.1 " + status, self.answered(data, HeadError))

    def test_half_a_request(self) -> None:
        taken: Any = self.take(b"GET /~!frp HTTP/1.1\r\n")
        self.clock.advance(UPGRADE_SECONDS)
        self.failureResultOf(taken, error.TimeoutError)
        self.assertTrue(self.low_server.lost)
