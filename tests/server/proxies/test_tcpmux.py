# -*- test-case-name: tests.server.proxies.test_tcpmux -*-
"""Tests of `tunnelsvc.server.proxies.tcpmux`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.server.fakes import FakeClient, make_registry
from tests.streams import MemoryStream, Recorder, pair, pump, recorded
from tunnelsvc.handover import attach
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.server.context import ConnectTarget
from tunnelsvc.server.proxies.tcpmux import CONNECTED, TCPMuxProxy
from tunnelsvc.wire.messages import CloseProxy, NewProxy, NewProxyResp, StartWorkConn

A = ("a.example.com",)


class TCPMuxProxyTests(SynchronousTestCase):
    """Registering names, and users that were found by them."""

    def setUp(self) -> None:
        self.build(tcpmux_httpconnect_port=1337)

    def build(self, **options: Any) -> None:
        self.registry = make_registry(**options)
        self.router = self.registry.context.connect_router
        self.client = FakeClient(self.registry)

    def open(self, name: str = "mux", **fields: Any) -> str:
        """Announce a proxy; returns its address or the refusal."""
        fields = {"multiplexer": "httpconnect", **fields}
        answer = self.client.say(NewProxy(proxy_name=name, proxy_type="tcpmux", **fields))
        assert isinstance(answer, NewProxyResp)
        return answer.error or answer.remote_addr

    def proxy(self, name: str = "mux") -> TCPMuxProxy:
        proxy = self.registry.context.proxies[name]
        assert isinstance(proxy, TCPMuxProxy)
        return proxy

    def target(self, host: str, user: str = "") -> ConnectTarget:
        target = self.router.find(host, "", user)
        assert target is not None
        return target

    def test_domains(self) -> None:
        self.assertEqual(
            self.open(custom_domains=("A.example.com", "*.b.example.com")),
            "a.example.com:1337,*.b.example.com:1337",
        )
        self.assertIs(self.router.find("a.example.com", ""), self.proxy())
        self.assertIs(self.router.find("c.b.example.com", ""), self.proxy())

    def test_subdomain(self) -> None:
        self.build(tcpmux_httpconnect_port=80, subdomain_host="frp.example.com")
        self.assertEqual(self.open(subdomain="Lab"), "lab.frp.example.com")

    def test_users(self) -> None:
        """One host, a proxy for each user."""
        self.open("alice", custom_domains=A, route_by_http_user="alice")
        self.assertIsNone(self.router.find(*A, ""))
        self.open("rest", custom_domains=A, http_user="bob", http_pwd="s3cret")
        self.assertIs(self.target(*A, "alice"), self.proxy("alice"))
        self.assertEqual(self.target(*A, "bob").credentials, b"bob:s3cret")
        self.assertEqual(self.proxy("alice").credentials, b"")

    def test_refusals(self) -> None:
        self.assertEqual(self.open(), "subdomain and custom domains should not be both empty")
        self.assertEqual(
            self.open(multiplexer="other", custom_domains=A), "unknown multiplexer [other]"
        )
        self.open("other", custom_domains=("b.example.com",))
        self.assertEqual(self.open(custom_domains=(*A, "b.example.com")), "router config conflict")
        self.assertIsNone(self.router.find(*A, ""))
        self.build()
        self.assertEqual(
            self.open(custom_domains=A),
            "tcpmux with multiplexer httpconnect not supported because this feature is not "
            "enabled in server",
        )

    def test_close(self) -> None:
        self.open(custom_domains=A, route_by_http_user="alice")
        self.client.say(CloseProxy(proxy_name="mux"))
        self.assertIsNone(self.router.find(*A, "", "alice"))

    def test_groups(self) -> None:
        """All members have the same credentials, and the group asks for them."""
        member = {"custom_domains": A, "group": "g", "group_key": "k"}
        self.assertEqual(self.open("a", http_pwd="x", **member), "a.example.com:1337")
        self.assertEqual(self.open("b", http_pwd="y", **member), "group params invalid")
        self.assertEqual(
            self.open("b", http_pwd="x", **{**member, "group_key": "z"}), "group auth failed"
        )
        self.assertEqual(self.open("b", http_pwd="x", **member), "a.example.com:1337")
        self.assertEqual(self.target(*A).credentials, b":x")
        taken: list[str] = []
        for name in "ab":
            proxy = self.proxy(name)
            self.patch(proxy, "accept", lambda *_, name=name: taken.append(name))
        for _ in range(4):
            self.target(*A).accept(pair("user")[1], b"")
        self.assertEqual(taken, ["a", "b", "a", "b"])
        for name in "ab":
            self.client.say(CloseProxy(proxy_name=name))
        self.assertIsNone(self.router.find(*A, ""))

    def accept(self) -> tuple[MemoryStream, Recorder]:
        """Let a user come behind whose request something was read; returns his end."""
        outer, inner = pair("user")
        reader = recorded(outer)
        self.proxy().accept(inner, b"hello")
        return outer, reader

    def serve(self) -> tuple[Recorder, Recorder]:
        """Let a user meet the service; return what both got."""
        service = Recorder()

        def started(messages: MessageProtocol, start: StartWorkConn) -> None:
            self.assertEqual((start.proxy_name, start.src_addr), ("mux", "192.0.2.7"))
            work, _ = messages.detach()
            attach(work, service)
            work.resumeProducing()
            work.write(b"welcome")

        self.client.on_start = started
        user, reader = self.accept()
        self.assertEqual(bytes(reader.received), b"")
        self.client.work()
        for _ in range(4):
            pump(user)
            self.client.pump()
        return reader, service

    def test_user(self) -> None:
        """He is told that he is connected when he is."""
        self.open(custom_domains=A)
        reader, service = self.serve()
        self.assertEqual(bytes(service.received), b"hello")
        self.assertEqual(bytes(reader.received), CONNECTED + b"welcome")

    def test_passthrough(self) -> None:
        """The service says so."""
        self.build(tcpmux_httpconnect_port=1337, tcpmux_passthrough=True)
        self.open(custom_domains=A)
        reader, service = self.serve()
        self.assertEqual(bytes(reader.received), b"welcome")
        self.assertEqual(bytes(service.received), b"hello")

    def test_no_work_connection(self) -> None:
        self.open(custom_domains=A)
        user, reader = self.accept()
        self.client.reactor.advance(30)
        pump(user)
        self.assertTrue(reader.received.startswith(b"HTTP/1.1 503 "), reader.received)
        self.assertTrue(reader.finished)

    def test_api_conf(self) -> None:
        self.open(custom_domains=A, route_by_http_user="alice")
        conf = self.proxy().api_conf()
        self.assertEqual(conf["type"], "tcpmux")
        self.assertEqual((conf["customDomains"], conf["routeByHTTPUser"]), ([*A], "alice"))
        self.assertEqual(conf["multiplexer"], "httpconnect")
