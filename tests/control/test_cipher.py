# -*- test-case-name: tests.control.test_cipher -*-
"""Tests of `tunnelsvc.control.cipher`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair, pump
from tunnelsvc.control.cipher import protect, protection_error
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.wire.dialect import V1, Dialect
from tunnelsvc.wire.framing2 import V2
from tunnelsvc.wire.hello import AES_256_GCM, Negotiated
from tunnelsvc.wire.messages import Message, NewProxy, NewProxyResp

NEGOTIATED = Negotiated(AES_256_GCM, b"client", b"server")


class CipherTests(SynchronousTestCase):
    def ends(self, dialect: Dialect) -> tuple[MessageProtocol, MessageProtocol]:
        near, far = pair("control")
        return MessageProtocol(near, Clock(), dialect), MessageProtocol(far, Clock(), dialect)

    def test_both_ways(self) -> None:
        for dialect, negotiated in ((V1, None), (V2, NEGOTIATED)):
            client, server = self.ends(dialect)
            heard: list[Message] = []
            for end in (client, server):
                end.negotiated = negotiated
                end.on_message = heard.append
                self.assertEqual(protection_error(end), "")
                protect(end, "token", server=end is server)
                end.start()
            client.send(NewProxy(proxy_name="secret"))
            server.send(NewProxyResp(proxy_name="secret"))
            for end in (client, server):
                self.assertNotIn(b"secret", end.stream.out[-1])  # type: ignore[attr-defined]
            pump(client.stream)  # type: ignore[arg-type]
            self.assertEqual(
                heard, [NewProxy(proxy_name="secret"), NewProxyResp(proxy_name="secret")]
            )

    def test_v2_without_hello(self) -> None:
        client, _ = self.ends(V2)
        self.assertEqual(protection_error(client), "missing v2 crypto negotiation")
