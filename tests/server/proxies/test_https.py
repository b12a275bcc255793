# -*- test-case-name: tests.server.proxies.test_https -*-
"""Tests of `tunnelsvc.server.proxies.https`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.server.fakes import FakeClient, make_registry
from tests.streams import MemoryStream, Recorder, pair, pump, recorded
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.server.proxies.https import HTTPSProxy
from tunnelsvc.wire.messages import CloseProxy, NewProxy, NewProxyResp, StartWorkConn


class HTTPSProxyTests(SynchronousTestCase):
    """Registering names, and users that were found by them."""

    def setUp(self) -> None:
        self.build(vhost_https_port=8443)

    def build(self, **options: Any) -> None:
        self.registry = make_registry(**options)
        self.router = self.registry.context.tls_router
        self.client = FakeClient(self.registry)

    def open(self, name: str = "tls", **fields: Any) -> str:
        """Announce a proxy; returns its address or the refusal."""
        answer = self.client.say(NewProxy(proxy_name=name, proxy_type="https", **fields))
        assert isinstance(answer, NewProxyResp)
        return answer.error or answer.remote_addr

    def proxy(self) -> HTTPSProxy:
        proxy = self.registry.context.proxies["tls"]
        assert isinstance(proxy, HTTPSProxy)
        return proxy

    def test_domains(self) -> None:
        address = self.open(custom_domains=("A.example.com", "*.b.example.com"))
        self.assertEqual(address, "a.example.com:8443,*.b.example.com:8443")
        self.assertIs(self.router.find("a.example.com", ""), self.proxy())
        self.assertIs(self.router.find("c.b.example.com", ""), self.proxy())
        self.assertIsNone(self.router.find("c.example.com", ""))
        self.assertEqual(self.proxy().domains, ("a.example.com", "*.b.example.com"))

    def test_default_port_and_subdomain(self) -> None:
        self.build(vhost_https_port=443, subdomain_host="frp.example.com")
        self.assertEqual(self.open(subdomain="Lab"), "lab.frp.example.com")

    def test_beside_an_http_proxy(self) -> None:
        """Each port has names of its own; frp's users have both proxies for one site."""
        domains = ("a.example.com",)
        self.client.say(NewProxy(proxy_name="web", proxy_type="http", custom_domains=domains))
        self.assertEqual(self.open(custom_domains=domains), "a.example.com:8443")

    def test_refusals(self) -> None:
        self.assertEqual(self.open(), "subdomain and custom domains should not be both empty")
        self.open("other", custom_domains=("b.example.com",))
        conflict = self.open(custom_domains=("a.example.com", "b.example.com"))
        self.assertEqual(conflict, "router config conflict")
        self.assertIsNone(self.router.find("a.example.com", ""))
        self.build()
        self.assertEqual(
            self.open(custom_domains=("a.example.com",)),
            "type [https] not supported when vhost https port is not set",
        )

    def test_close(self) -> None:
        self.open(custom_domains=("a.example.com",))
        self.client.say(CloseProxy(proxy_name="tls"))
        self.assertIsNone(self.router.find("a.example.com", ""))

    def accept(self) -> tuple[MemoryStream, Recorder]:
        """Let a user come whose first bytes were read; returns his end."""
        outer, inner = pair("user")
        reader = recorded(outer)
        self.proxy().accept(inner, b"hello")
        return outer, reader

    def test_user(self) -> None:
        """What was read of him goes first, and all is counted."""
        self.open(custom_domains=("a.example.com",))
        works: list[tuple[Stream, StartWorkConn]] = []
        service = Recorder()

        def started(messages: MessageProtocol, start: StartWorkConn) -> None:
            work, unread = messages.detach()
            service.received += unread
            attach(work, service)
            work.resumeProducing()
            works.append((work, start))

        self.client.on_start = started
        self.client.work()
        user, reader = self.accept()
        user.write(b", and more")
        self.move(user)
        (work, start) = works[0]
        self.assertEqual((start.proxy_name, start.src_addr), ("tls", "192.0.2.7"))
        self.assertEqual(start.dst_addr, "127.0.0.1")
        self.assertEqual(bytes(service.received), b"hello, and more")
        work.write(b"answer")
        self.move(user)
        self.assertEqual(bytes(reader.received), b"answer")
        stats = self.proxy().stats
        total = stats.total()
        self.assertEqual((stats.connections, total.in_bytes, total.out_bytes), (1, 15, 6))
        user.abortConnection()
        self.move(user)
        self.assertEqual(stats.connections, 0)

    def move(self, user: MemoryStream) -> None:
        for _ in range(4):
            pump(user)
            self.client.pump()

    def test_a_user_who_comes_too_late(self) -> None:
        self.open(custom_domains=("a.example.com",))
        proxy = self.proxy()
        self.client.say(CloseProxy(proxy_name="tls"))
        outer, inner = pair("user")
        proxy.accept(inner, b"hello")
        self.assertTrue(outer.lost)

    def test_api_conf(self) -> None:
        self.open(custom_domains=("a.example.com",))
        conf = self.proxy().api_conf()
        self.assertEqual(conf["type"], "https")
        self.assertEqual((conf["customDomains"], conf["subdomain"]), (["a.example.com"], ""))
