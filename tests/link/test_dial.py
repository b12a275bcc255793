# -*- test-case-name: tests.link.test_dial -*-
"""Tests of `tunnelsvc.link.dial`."""

import socket
from typing import Any

from twisted.internet import error, reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, ensureDeferred, fail
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from tests.streams import Recorder
from tunnelsvc.handover import Parked, ParkingFactory, attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link import dial as dialling
from tunnelsvc.link.dial import dial, endpoint


class EndpointTests(SynchronousTestCase):
    """Which endpoint for which kind of address."""

    def test_kinds(self) -> None:
        for host, kind in (
            ("127.0.0.1", TCP4ClientEndpoint),
            ("::1", TCP6ClientEndpoint),
            ("[::1]", TCP6ClientEndpoint),
            ("vps.example.com", HostnameEndpoint),
        ):
            found = endpoint(MemoryReactorClock(), host, 7000, 10.0)  # type: ignore[arg-type]
            self.assertIsInstance(found, kind)

    def test_time_limit_and_source(self) -> None:
        memory = MemoryReactorClock()
        result = ensureDeferred(
            dial(memory, "192.0.2.1", 7000, timeout=7.0, source="192.0.2.9")  # type: ignore[arg-type]
        )
        [(host, port, _, timeout, source)] = memory.tcpClients
        self.assertEqual((host, port, timeout, source), ("192.0.2.1", 7000, 7.0, ("192.0.2.9", 0)))
        result.cancel()
        self.failureResultOf(result)


class NameTests(SynchronousTestCase):
    """Names that nobody knows."""

    def test_unknown(self) -> None:
        class Nobody:
            def connect(self, factory: object) -> Deferred[None]:
                return fail(error.DNSLookupError("no results"))

        self.patch(dialling, "endpoint", lambda *_: Nobody())
        failure = self.failureResultOf(
            ensureDeferred(dial(MemoryReactorClock(), "nowhere.invalid", 1, timeout=1)),  # type: ignore[arg-type]
            error.ConnectError,
        )
        self.assertIn("nowhere.invalid", failure.getErrorMessage())


@implementer(IHostnameResolver)
class Names:
    """Resolves one name of a private network."""

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        resolutionReceiver.resolutionBegan(None)
        if hostName == "web_app":
            resolutionReceiver.addressResolved(IPv4Address("TCP", "192.0.2.4", 0))
        resolutionReceiver.resolutionComplete()


class PrivateNameTests(SynchronousTestCase):
    """Names that are none by the book."""

    def setUp(self) -> None:
        self.memory: Any = MemoryReactorClock()
        self.memory.installNameResolver(Names())

    def test_underscore(self) -> None:
        result = ensureDeferred(dial(self.memory, "web_app", 80, timeout=1))
        self.assertEqual(self.memory.tcpClients[0][:2], ("192.0.2.4", 80))
        result.cancel()
        self.failureResultOf(result)

    def test_impossible(self) -> None:
        for name in ("no_such_name", "x" * 70 + ".example", "a..b"):
            failure = self.failureResultOf(
                ensureDeferred(dial(self.memory, name, 80, timeout=1)), error.ConnectError
            )
            self.assertIn(name, failure.getErrorMessage())


class DialTests(TestCase):
    """Real connections."""

    async def test_connected_and_parked(self) -> None:
        accepted: Deferred[Stream] = Deferred()
        port: Any = reactor.listenTCP(0, ParkingFactory(accepted.callback), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        for host in ("127.0.0.1", "localhost"):
            stream = await dial(reactor, host, port.getHost().port, timeout=30)  # type: ignore[arg-type]
            self.assertIsInstance(stream.protocol, Parked)
            server = await accepted
            accepted = Deferred()
            port.factory = ParkingFactory(accepted.callback)
            server.write(b"banner")
            got: Deferred[bytes] = Deferred()
            reader = Recorder()
            reader.dataReceived = got.callback  # type: ignore[method-assign,assignment]
            attach(stream, reader)
            stream.resumeProducing()
            self.assertEqual(await got, b"banner")
            stream.abortConnection()
            server.abortConnection()

    async def test_refused(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            number = unused.getsockname()[1]
            with self.assertRaises(error.ConnectionRefusedError):
                await dial(reactor, "127.0.0.1", number, timeout=30)  # type: ignore[arg-type]
