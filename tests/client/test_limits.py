# -*- test-case-name: tests.client.test_limits -*-
"""Tests of `tunnelsvc.client.limits`."""

from typing import Any

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.client.test_service import SSH, ClientCase
from tests.streams import MemoryStream, recorded
from tunnelsvc.client.limits import limit_of
from tunnelsvc.client.proxies import StreamProxy, make_proxy
from tunnelsvc.handover import Connections
from tunnelsvc.units import KiB
from tunnelsvc.wire.messages import StartWorkConn

LIMITED = evolve(SSH, bandwidth_limit="10KB")


class LimitTests(SynchronousTestCase):
    """Whose limit it is."""

    def test_ours(self) -> None:
        limit = limit_of(LIMITED, Clock())
        assert limit is not None
        self.assertTrue(limit.take(10 * KiB))
        self.assertFalse(limit.take(1))

    def test_not_ours(self) -> None:
        for proxy in (SSH, evolve(LIMITED, bandwidth_limit_mode="server"),
                      evolve(SSH, bandwidth_limit="0.0001KB")):  # fmt: skip
            self.assertIsNone(limit_of(proxy, Clock()))

    def test_one_for_each_proxy(self) -> None:
        reactor: Any = Clock()
        made = [make_proxy(proxy, reactor, b"", Connections()) for proxy in (LIMITED, LIMITED, SSH)]
        limits = [proxy.limit for proxy in made if isinstance(proxy, StreamProxy)]
        self.assertIsNot(limits[0], limits[1])
        self.assertEqual([limit is None for limit in limits], [False, False, True])


class UserTests(ClientCase):
    """A user of a proxy with a limit."""

    def user(self) -> MemoryStream:
        """Let a user come; returns the server's end of the work connection."""
        work = self.work()
        work.send(StartWorkConn(proxy_name="ssh", src_addr="192.0.2.1", src_port=5))
        user, _ = work.detach()
        assert isinstance(user, MemoryStream)
        self.pump()
        return user

    def test_both_ways(self) -> None:
        """Users share it; the service is paused as the server is."""
        self.start(LIMITED)
        user = self.user()
        user.write(bytes(8 * KiB))
        self.pump()
        service = recorded(self.services[0])
        self.pump()
        self.assertEqual(len(service.received), 8 * KiB)
        other = self.user()
        at_other = recorded(other)
        self.services[1].write(bytes(8 * KiB))
        self.pump()
        self.assertEqual(len(at_other.received), 0)
        self.assertTrue(self.services[1].peer.paused)
        self.clock.pump([0.1] * 10)
        self.pump()
        self.assertEqual(len(at_other.received), 8 * KiB)

    def test_dressed(self) -> None:
        """What counts is what goes through the tunnel: zeros hardly do."""
        self.start(evolve(LIMITED, use_compression=True))
        user = self.user()
        at_user = recorded(user)
        self.services[0].write(bytes(100 * KiB))
        self.pump()
        self.assertTrue(0 < len(at_user.received) < 10 * KiB)
