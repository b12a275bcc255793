# -*- test-case-name: tests.client.plugins.test_reach -*-
"""Tests of `tunnelsvc.client.plugins.reach`."""

from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import pair
from tunnelsvc.client.plugins import Place, reach
from tunnelsvc.config.plugins import Socks5Config
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream


class ReachTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dialled: Deferred[Stream] = Deferred()
        self.patch(reach, "dial", self.dial)
        self.connections = Connections()
        proxy = TCPProxyConfig(name="x", type="tcp", plugin=Socks5Config())
        reactor: Any = self.clock
        place = Place(proxy, reactor, self.connections)
        self.reached = Deferred.fromCoroutine(reach.reach(place, "example.com", 80))

    async def dial(self, reactor: object, host: str, port: int, *, timeout: float) -> Stream:
        self.assertEqual((reactor, host, port), (self.clock, "example.com", 80))
        return await self.dialled

    def test_reached(self) -> None:
        """The connection ends with the program."""
        stream, _ = pair("target")
        self.dialled.callback(stream)
        self.assertIs(self.successResultOf(self.reached), stream)
        stopped = Deferred.fromCoroutine(self.connections.abort_all(self.clock))
        self.clock.pump([0] * 20)
        self.successResultOf(stopped)
        self.assertTrue(stream.lost)

    def test_refused(self) -> None:
        self.dialled.errback(error.ConnectionRefusedError())
        self.failureResultOf(self.reached, error.ConnectionRefusedError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_late(self) -> None:
        """A name that nobody looks up in time, for instance; what cancelling says doesn't count."""
        self.dialled.addErrback(lambda _: self.fail("cancelled"))
        self.clock.advance(reach.REACH_SECONDS)
        self.failureResultOf(self.reached, error.TimeoutError)
