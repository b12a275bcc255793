# -*- test-case-name: tests.admin.test_channel -*-
"""Tests of `tunnelsvc.admin.channel`."""

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import Conversation, Dashboard
from tunnelsvc.admin import channel
from tunnelsvc.admin.channel import IDLE_SECONDS
from tunnelsvc.admin.web import HEADERS


class BadRequestTests(SynchronousTestCase):
    """What isn't HTTP gets an answer like all others."""

    def test_headers(self) -> None:
        for sent in (
            b"nonsense\r\n",
            b"GET / HTTP/1.1\r\nHost\r\n\r\n",
            b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: \0\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 501 + b"\r\n",
            b"GET / HTTP/1.1\r\n" + b"A: %b\r\n" % (b"x" * 1000) * 17 + b"\r\n",
        ):
            conversation = Dashboard().connect()
            conversation._method = "GET"
            conversation.channel.dataReceived(sent)
            answer = conversation.answer()
            self.assertEqual((answer.status, answer.json["Code"]), (400, 400), sent[:60])
            for name, value in HEADERS.items():
                self.assertEqual(answer.headers.get_all(name.decode()), [value.decode()])
            self.assertEqual(answer.headers["Server"], "tunnelsvc")
            self.assertTrue(conversation.transport.disconnecting)


class SlowTests(SynchronousTestCase):
    """Who sends a byte now and then holds no place for ever."""

    def setUp(self) -> None:
        self.dashboard = Dashboard()
        self.conversation = self.dashboard.connect()

    def drip(self, data: bytes, seconds: float) -> None:
        for byte in data:
            self.conversation.channel.dataReceived(bytes([byte]))
            self.dashboard.clock.advance(seconds)

    def test_a_head(self) -> None:
        self.drip(b"GET / HT", IDLE_SECONDS / 8 - 1)
        self.assertFalse(self.conversation.transport.disconnecting)
        self.drip(b"TP/1.1\r\n", IDLE_SECONDS / 8 - 1)
        self.assertTrue(self.conversation.transport.disconnecting)

    def test_a_body(self) -> None:
        self.conversation.send("POST", "/login", None, b"Content-Length: 100\r\n")
        self.drip(b"x" * 9, IDLE_SECONDS / 8)
        self.assertTrue(self.conversation.transport.disconnecting)

    def test_each_request_has_the_whole_time(self) -> None:
        for _ in range(5):
            self.dashboard.clock.advance(IDLE_SECONDS - 1)
            self.conversation.channel.dataReceived(b"GET /healthz HTTP/1.1\r\n")
            self.dashboard.clock.advance(IDLE_SECONDS - 1)
            self.conversation.channel.dataReceived(b"Host: x\r\n\r\n")
            self.conversation._method = "GET"
            self.assertEqual(self.conversation.answer().status, 200)
        self.assertFalse(self.conversation.transport.disconnecting)

    def test_silence(self) -> None:
        self.dashboard.clock.advance(IDLE_SECONDS)
        self.assertTrue(self.conversation.transport.disconnecting)


class ManyTests(SynchronousTestCase):
    """How many connections there may be."""

    def setUp(self) -> None:
        self.site = Dashboard().site

    def takes(self, host: str) -> bool:
        return self.site.buildProtocol(IPv4Address("TCP", host, 1)) is not None

    def test_of_one_address(self) -> None:
        self.patch(channel, "MOST_OF_ONE", 3)
        conversations = [Conversation(self.site, "192.0.2.1") for _ in range(3)]
        self.assertFalse(self.takes("192.0.2.1"))
        self.assertTrue(self.takes("192.0.2.2"))
        for _ in range(2):  # Twisted's own tests do it twice, too
            conversations[0].channel.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.takes("192.0.2.1"))
        self.assertFalse(self.takes("192.0.2.1"))

    def test_of_one_network(self) -> None:
        self.patch(channel, "MOST_OF_ONE", 1)
        self.assertTrue(self.takes("2001:db8::1"))
        self.assertFalse(self.takes("2001:db8::2"))
        self.assertTrue(self.takes("2001:db8:0:1::2"))

    def test_of_all(self) -> None:
        self.patch(channel, "MOST_CONNECTIONS", 3)
        self.assertEqual([self.takes(f"192.0.2.{n}") for n in range(4)], [True] * 3 + [False])

    def test_nothing_stays_of_those_who_left(self) -> None:
        conversations = [Conversation(self.site, f"192.0.2.{n}") for n in range(3)]
        for each in conversations:
            each.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.site._of, dict(self.site._counts)), ({}, {}))
