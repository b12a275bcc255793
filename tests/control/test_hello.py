# -*- test-case-name: tests.control.test_hello -*-
"""Tests of `tunnelsvc.control.hello`."""

import json

from twisted.internet import error
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.streams import pair, pump
from tunnelsvc.config.schema import ClientConfig, TLSConfig
from tunnelsvc.control.hello import answer_hello, hear_answer, say_hello
from tunnelsvc.errors import LoginRefused
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.wire.framing2 import V2, FrameType, Hello
from tunnelsvc.wire.messages import Login, Message, NewWorkConn


class HelloTests(SynchronousTestCase):
    """Both ends of a control connection before the login."""

    def setUp(self) -> None:
        self.clock = Clock()
        near, self.far = pair("control")
        self.client = MessageProtocol(near, self.clock, V2)
        self.server = MessageProtocol(self.far, self.clock, V2)
        self.client.start()
        self.server.start()

    def answer(self) -> "Deferred[Message | None]":
        """Answer what the client says first."""
        first = self.server.expect(10)
        return first.addCallback(lambda message: ensureDeferred(answer_hello(message, self.server)))

    def hear(self, hello: Hello) -> "Deferred[None]":
        heard = ensureDeferred(hear_answer(self.client, hello, 10))
        pump(self.far)
        return heard

    def test_agreement(self) -> None:
        answered = self.answer()
        hello = say_hello(self.client, ClientConfig(server_addr="vps"))
        self.client.send(Login(user="me"))
        self.successResultOf(self.hear(hello))
        self.assertEqual(self.successResultOf(answered), Login(user="me"))
        self.assertIsNotNone(self.client.negotiated)
        self.assertEqual(self.client.negotiated, self.server.negotiated)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_the_server_is_told(self) -> None:
        for config, expected in (
            (ClientConfig(server_addr="vps"), {"transport": "tcp", "tls": True, "tcpMux": True}),
            (
                ClientConfig(server_addr="vps", tcp_mux=False, tls=TLSConfig(enable=False)),
                {"transport": "tcp"},
            ),
            (
                ClientConfig(server_addr="vps", protocol="wss", tls=TLSConfig(enable=False)),
                {"transport": "wss", "tls": True, "tcpMux": True},
            ),
        ):
            hello = say_hello(self.client, config)
            self.assertEqual(json.loads(hello.payload)["bootstrap"], expected)

    def test_no_hello(self) -> None:
        """Other connections have none."""
        answered = self.answer()
        self.client.send(NewWorkConn(run_id="r"))
        pump(self.far)
        self.assertEqual(self.successResultOf(answered), NewWorkConn(run_id="r"))
        self.assertIsNone(self.server.negotiated)

    def test_refusal(self) -> None:
        lines = LogLines(self)
        answered = self.answer()
        hello = Hello(FrameType.CLIENT_HELLO, b"{}")
        self.client.send(hello)
        heard = self.hear(hello)
        self.assertIsNone(self.successResultOf(answered))
        self.assertEqual(
            self.failureResultOf(heard, LoginRefused).getErrorMessage(),
            "unsupported message codec",
        )
        self.assertTrue(self.far.lost)
        self.assertIn("unsupported message codec", lines[-1])

    def test_silence(self) -> None:
        answered = self.answer()
        hello = say_hello(self.client, ClientConfig(server_addr="vps"))
        self.successResultOf(self.hear(hello))
        self.clock.advance(10)
        self.failureResultOf(answered, error.TimeoutError)
