# -*- test-case-name: tests.server.proxies.test_secret -*-
"""Tests of `tunnelsvc.server.proxies.secret`; its users are in `tests.server.test_visitors`."""

from twisted.trial.unittest import SynchronousTestCase

from tests.server.fakes import FakeClient, make_registry
from tunnelsvc.server.proxies.secret import SecretProxy
from tunnelsvc.wire.messages import CloseProxy, NewProxy, NewProxyResp


class SecretProxyTests(SynchronousTestCase):
    """A name, and no port."""

    def setUp(self) -> None:
        self.client = FakeClient(make_registry(max_ports_per_client=1))

    def say(self, name: str, kind: str, **changes: object) -> NewProxyResp:
        request = NewProxy(proxy_name=name, proxy_type=kind, **changes)  # type: ignore[arg-type]
        answer = self.client.say(request)
        assert isinstance(answer, NewProxyResp)
        return answer

    def test_has_no_address(self) -> None:
        for kind in ("stcp", "sudp"):
            self.assertEqual(self.say(kind, kind, sk="x"), NewProxyResp(proxy_name=kind))
            self.assertIsInstance(self.client.registry.context.proxies[kind], SecretProxy)
        self.assertEqual(self.client.reactor.listening, {})

    def test_counts_for_no_port(self) -> None:
        self.say("a", "stcp")
        self.say("b", "stcp")
        self.assertEqual(self.say("c", "tcp", remote_port=6000).error, "")

    def test_name_twice(self) -> None:
        self.say("a", "stcp")
        self.assertEqual(self.say("a", "sudp").error, "custom listener for [a] is repeated")
        self.assertEqual(self.say("a", "tcp", remote_port=6000).error, "proxy [a] already exists")
        self.client.say(CloseProxy(proxy_name="a"))
        self.assertEqual(self.say("a", "tcp", remote_port=6000).error, "")
        self.assertEqual(self.say("a", "stcp").error, "proxy [a] already exists")

    def test_shows_no_secret(self) -> None:
        self.say("a", "stcp", sk="sesame")
        proxy = self.client.registry.context.proxies["a"]
        self.assertNotIn("sesame", repr((proxy.api_conf(), proxy.request)))
