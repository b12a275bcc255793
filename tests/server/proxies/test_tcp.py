# -*- test-case-name: tests.server.proxies.test_tcp -*-
"""Tests of `tunnelsvc.server.proxies.tcp`."""

from twisted.trial.unittest import SynchronousTestCase

from tests.server.fakes import FakeClient, make_registry
from tunnelsvc.wire.messages import CloseProxy, NewProxy, NewProxyResp


class TCPProxyTests(SynchronousTestCase):
    """A port of its own."""

    def test_listens_and_stops(self) -> None:
        client = FakeClient(make_registry())
        answer = client.say(NewProxy(proxy_name="a", proxy_type="tcp", remote_port=6000))
        self.assertEqual(answer, NewProxyResp(proxy_name="a", remote_addr=":6000"))
        self.assertEqual(list(client.reactor.listening), [6000])
        proxy = client.registry.context.proxies["a"]
        self.assertEqual(proxy.api_conf()["remotePort"], 6000)
        client.say(CloseProxy(proxy_name="a"))
        self.assertEqual(client.reactor.listening, {})
        self.assertTrue(proxy.closed)
