# -*- test-case-name: tests.server.test_ports -*-
"""Tests of `tunnelsvc.server.ports`."""

from random import Random

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.server.ports import MOST_RESERVED, RESERVED_SECONDS, PortManager, PublicPort


class BusyReactor(MemoryReactorClock):
    """A reactor some of whose ports belong to others; port 0 becomes 50000 and up."""

    def __init__(self, busy: set[int]) -> None:
        super().__init__()
        self.busy = busy
        self.next = 50000

    def listenTCP(
        self, port: int, factory: ServerFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        if port in self.busy:
            raise CannotListenError(interface, port, OSError("in use"))
        if port == 0:
            port, self.next = self.next, self.next + 1
        listening: IListeningPort = super().listenTCP(
            port, factory, backlog=backlog, interface=interface
        )
        return listening


class PortTests(SynchronousTestCase):
    """Which port a proxy gets."""

    def manager(self, *allowed: range, busy: frozenset[int] = frozenset()) -> PortManager:
        self.reactor = BusyReactor(set(busy))
        return PortManager(self.reactor, self.reactor, "127.0.0.1", allowed, Random(1))

    def refusal(self, manager: PortManager, name: str, wanted: int) -> str:
        with self.assertRaises(ProxyRefused) as caught:
            manager.listen(name, wanted, ServerFactory())
        return str(caught.exception)

    def close(self, port: PublicPort) -> None:
        self.successResultOf(ensureDeferred(port.close()))

    def test_wish(self) -> None:
        factory = ServerFactory()
        port = self.manager().listen("ssh", 6000, factory)
        self.assertEqual(port.number, 6000)
        [(number, listening, backlog, interface)] = self.reactor.tcpServers
        self.assertEqual((number, interface), (6000, "127.0.0.1"))
        self.assertIs(listening, factory)
        self.assertGreaterEqual(backlog, 128)

    def test_refusals(self) -> None:
        manager = self.manager(range(6000, 6010), busy=frozenset({6001}))
        manager.listen("a", 6000, ServerFactory())
        self.assertEqual(self.refusal(manager, "b", 6000), "port already used")
        self.assertEqual(self.refusal(manager, "b", 6001), "port unavailable")
        self.assertEqual(self.refusal(manager, "b", 6010), "port not allowed")
        self.assertEqual(self.refusal(manager, "b", 5999), "port not allowed")

    def test_numbers_that_are_no_ports(self) -> None:
        for number in (-1, 65536, 2**62, -(2**63)):
            self.assertEqual(self.refusal(self.manager(), "a", number), "port not allowed")

    def test_a_closed_port_can_be_used_again(self) -> None:
        manager = self.manager()
        self.close(manager.listen("a", 6000, ServerFactory()))
        self.assertEqual(manager.listen("b", 6000, ServerFactory()).number, 6000)

    def test_any(self) -> None:
        self.assertEqual(self.manager().listen("a", 0, ServerFactory()).number, 50000)

    def test_any_of_the_allowed(self) -> None:
        manager = self.manager(range(6000, 6003), range(7000, 7001), busy=frozenset({6001}))
        got = {manager.listen(name, 0, ServerFactory()).number for name in "abc"}
        self.assertEqual(got, {6000, 6002, 7000})
        self.assertEqual(self.refusal(manager, "d", 0), "no available port")

    def test_the_same_name_finds_its_port_again(self) -> None:
        manager = self.manager()
        first = manager.listen("a", 0, ServerFactory())
        self.close(first)
        manager.listen("b", 0, ServerFactory())
        self.assertEqual(manager.listen("a", 0, ServerFactory()).number, first.number)

    def test_a_day_later_it_may_not(self) -> None:
        manager = self.manager()
        first = manager.listen("a", 0, ServerFactory())
        self.close(first)
        self.reactor.advance(RESERVED_SECONDS)
        self.assertNotEqual(manager.listen("a", 0, ServerFactory()).number, first.number)

    def test_a_taken_one_is_not_given_again(self) -> None:
        manager = self.manager()
        first = manager.listen("a", 0, ServerFactory())
        self.close(first)
        manager.listen("b", first.number, ServerFactory())
        self.assertNotEqual(manager.listen("a", 0, ServerFactory()).number, first.number)

    def test_memory_is_bounded(self) -> None:
        manager = self.manager()
        for number in range(MOST_RESERVED + 10):
            manager.released(f"name{number}", 1 + number % 60000)
        self.close(manager.listen("last", 0, ServerFactory()))
        self.assertEqual(manager.listen("last", 0, ServerFactory()).number, 50000)
