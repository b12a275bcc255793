# -*- test-case-name: tests.client.test_local -*-
"""Tests of `tunnelsvc.client.local`."""

from typing import Any

from twisted.internet import error
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair
from tunnelsvc.client import local
from tunnelsvc.client.local import LOCAL_SECONDS, dial_local
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.interfaces import Stream

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
