# -*- test-case-name: tests.server.test_limits -*-
"""Tests of `tunnelsvc.server.limits`."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.server.fakes import FakeClient, make_registry
from tests.streams import Recorder
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.relay import codecs, dress
from tunnelsvc.server.limits import limit_of
from tunnelsvc.units import KiB
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import NewProxy, NewProxyResp, StartWorkConn

USER = IPv4Address("TCP", "192.0.2.9", 5)


class LimitTests(SynchronousTestCase):
    """Whose limit it is, and what is none."""

    def limit(self, text: str, mode: str) -> Any:
        return limit_of(NewProxy(bandwidth_limit=text, bandwidth_limit_mode=mode), Clock())

    def test_ours(self) -> None:
        limit = self.limit("10KB", "server")
        self.assertTrue(limit.take(10 * KiB))
        self.assertFalse(limit.take(1))

    def test_not_ours(self) -> None:
        for mode in ("", "client"):
            self.assertIsNone(self.limit("1MB", mode))
        for text in ("", "0MB", "-1MB"):
            self.assertIsNone(self.limit(text, "server"))

    def test_refused(self) -> None:
        """The client's limits are checked as well: nobody else would say so."""
        cases = {
            ("1GB", "server"): "unit not support",
            ("1GB", ""): "unit not support",
            ("xMB", "client"): "bandwidth limit is not a number",
            ("1MB", "both"): "bandwidth limit mode should be client or server",
        }
        for (text, mode), why in cases.items():
            self.assertEqual(str(self.assertRaises(ProxyRefused, self.limit, text, mode)), why)


class ProxyTests(SynchronousTestCase):
    """A proxy whose limit is the server's."""

    def setUp(self) -> None:
        self.registry = make_registry()
        self.client = FakeClient(self.registry)

    def open(self, **fields: Any) -> NewProxyResp:
        """Announce a proxy."""
        answer = self.client.say(
            NewProxy(
                **{
                    "proxy_name": "p",
                    "remote_port": 6000,
                    "bandwidth_limit": "10KB",
                    "bandwidth_limit_mode": "server",
                    **fields,
                }
            )
        )
        assert isinstance(answer, NewProxyResp)
        return answer

    def work(self) -> tuple[Stream, Stream]:
        """Open a work connection; returns the server's end and the client's."""
        ends: list[Stream] = []

        def started(messages: MessageProtocol, start: StartWorkConn) -> None:
            ends.append(messages.detach()[0])

        self.client.on_start = started
        self.client.work()
        proxy = self.registry.context.proxies["p"]
        stream, unread = self.successResultOf(ensureDeferred(proxy.open_work(USER, None)))
        self.assertEqual(unread, b"")
        self.client.pump()
        return stream, ends[0]

    def test_users_share_it(self) -> None:
        self.assertEqual(self.open().error, "")
        first, at_client = self.work()
        heard = Recorder()
        attach(at_client, heard)
        at_client.resumeProducing()
        first.write(bytes(10 * KiB))
        self.client.pump()
        self.assertEqual(len(heard.received), 10 * KiB)
        second, at_client = self.work()
        heard = Recorder()
        attach(at_client, heard)
        at_client.resumeProducing()
        second.write(b"hello")
        self.client.pump()
        self.assertEqual(bytes(heard.received), b"")
        self.client.reactor.advance(0.1)
        self.client.pump()
        self.assertEqual(bytes(heard.received), b"hello")

    def test_dressed(self) -> None:
        """What counts is what users get and send, however small it is in the tunnel."""
        self.open(use_compression=True)
        stream, at_client = self.work()
        key = derive_key("12345678")
        plain, _ = dress(at_client, b"", codecs(key, encryption=False, compression=True))
        heard = Recorder()
        attach(plain, heard)
        plain.resumeProducing()
        stream.write(bytes(100 * KiB))
        self.client.pump()
        self.assertEqual(len(heard.received), 0)
        for _ in range(12):
            self.client.reactor.advance(0.1)
            self.client.pump()
        self.assertTrue(20 * KiB <= len(heard.received) < 24 * KiB, len(heard.received))

    def test_none(self) -> None:
        """Nothing is put on the way of others."""
        self.open(bandwidth_limit="", bandwidth_limit_mode="")
        self.assertIsNone(self.registry.context.proxies["p"].limit)

    def test_refused(self) -> None:
        self.assertEqual(self.open(bandwidth_limit="1GB").error, "unit not support")

    def test_api_conf(self) -> None:
        """As frp's dashboard API has it."""
        self.open()
        transport = self.registry.context.proxies["p"].api_conf()["transport"]
        self.assertEqual(
            (transport["bandwidthLimit"], transport["bandwidthLimitMode"]), ("10KB", "server")
        )

    def test_api_conf_of_none(self) -> None:
        self.open(bandwidth_limit="", bandwidth_limit_mode="")
        transport = self.registry.context.proxies["p"].api_conf()["transport"]
        self.assertEqual(
            (transport["bandwidthLimit"], transport["bandwidthLimitMode"]), ("", "client")
        )
