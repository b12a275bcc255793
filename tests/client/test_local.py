# -*- test-case-name: tests.client.test_local -*-
"""Tests of `tunnelsvc.client.local`."""

from typing import Any

from attrs import evolve
from twisted.internet import error
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair, pump, recorded
from tunnelsvc.client import local
from tunnelsvc.client.local import LOCAL_SECONDS, dial_local, introduce
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.interfaces import Stream
from tunnelsvc.wire.messages import StartWorkConn

PROXY = TCPProxyConfig(name="ssh", type="tcp", local_ip="192.0.2.3", local_port=22)


class LocalTests(SynchronousTestCase):
    """Dialling the service behind a proxy."""

    def test_connected(self) -> None:
        near, _ = pair("local")
        seen: list[Any] = []

        async def dial(*args: Any, **options: Any) -> Stream:
            seen.append((args[1:], options))
            return near

        self.patch(local, "dial", dial)
        reactor: Any = None
        self.assertIs(self.successResultOf(ensureDeferred(dial_local(reactor, PROXY))), near)
        self.assertEqual(seen, [(("192.0.2.3", 22), {"timeout": LOCAL_SECONDS})])

    def test_every_way_to_fail_names_the_address(self) -> None:
        for failure in (
            error.ConnectionRefusedError("111"),
            error.TimeoutError(),
            error.UnknownHostError("no such host"),
            error.NoRouteError("101"),
        ):

            async def dial(*_: Any, failure: Exception = failure, **__: Any) -> Stream:
                raise failure

            self.patch(local, "dial", dial)
            reactor: Any = None
            caught = self.failureResultOf(
                ensureDeferred(dial_local(reactor, PROXY)), LocalServiceUnavailable
            )
            self.assertIn(
                "connect to local service [192.0.2.3:22] error: ", caught.getErrorMessage()
            )


class IntroductionTests(SynchronousTestCase):
    """What a service hears before its user."""

    def told(self, version: str, **user: Any) -> bytes:
        """Introduce a user; return what the service got."""
        near, far = pair("local")
        service = recorded(far)
        proxy = evolve(PROXY, proxy_protocol_version=version)
        introduce(near, proxy, StartWorkConn(proxy_name="ssh", **user))
        pump(near)
        return bytes(service.received)

    def test_versions(self) -> None:
        user = {"src_addr": "192.0.2.7", "src_port": 5, "dst_addr": "203.0.113.1", "dst_port": 6}
        self.assertEqual(self.told("v1", **user), b"PROXY TCP4 192.0.2.7 203.0.113.1 5 6\r\n")
        self.assertEqual(self.told("v2", **user)[12:].hex(), "2111000cc0000207cb00710100050006")
        self.assertEqual(self.told("", **user), b"")

    def test_no_entrance(self) -> None:
        """As users of http proxies have it."""
        self.assertEqual(
            self.told("v1", src_addr="192.0.2.7", src_port=5),
            b"PROXY TCP4 192.0.2.7 127.0.0.1 5 0\r\n",
        )

    def test_no_user(self) -> None:
        self.assertEqual(self.told("v1", src_port=5), b"")
        self.assertEqual(self.told("v2", src_addr="192.0.2.7"), b"")
