"""A server and a client of ours in this process, on loopback."""

from collections.abc import Callable
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.streams import Recorder
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.config.schema import ClientConfig, ServerConfig
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import dial
from tunnelsvc.server.service import TunnelServer

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 60.0
"""For whatever takes milliseconds on a machine that isn't busy."""
clock = cast("Any", reactor)


class Reader(Recorder):
    """Reads a real stream, and can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def until(self, ready: Callable[[], bool]) -> Deferred[None]:
        """Fire when `ready` is true."""
        waiter: Deferred[None] = Deferred()
        self._waiting.append((ready, waiter))
        self._look()
        return waiter.addTimeout(PATIENCE_SECONDS, clock)

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self._look()

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        self._look()

    def connectionLost(self, reason: Any) -> None:
        super().connectionLost(reason)
        self._look()

    def _look(self) -> None:
        for entry in list(self._waiting):
            ready, waiter = entry
            if ready():
                self._waiting.remove(entry)
                waiter.callback(None)


@implementer(IHalfCloseableProtocol)
class Answering(Protocol):
    """A local service that says how many bytes it got, after the end of the request."""

    count = 0

    def dataReceived(self, data: bytes) -> None:
        self.count += len(data)
        if b"now" in data:
            self.readConnectionLost()

    def writeConnectionLost(self) -> None:
        pass

    def readConnectionLost(self) -> None:
        assert self.transport is not None
        self.transport.write(b"got %d" % self.count)
        self.transport.loseConnection()


class TunnelCase(TestCase):
    """Starts and stops servers, clients and services."""

    timeout = 120

    async def listen(self, factory: Any) -> int:
        """Start a local service; returns its port."""
        port = clock.listenTCP(0, factory, interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def serve(self, **options: Any) -> TunnelServer:
        """Start a server on free ports."""
        here = {"bind_addr": LOOPBACK, "proxy_bind_addr": LOOPBACK, "bind_port": 0}
        config = ServerConfig(**{**here, **options})
        server = TunnelServer(config, reactor)
        server.privilegedStartService()
        server.startService()
        self.addCleanup(server.stopService)
        return server

    async def connect(
        self, server: TunnelServer, *proxies: ProxyConfig, **options: Any
    ) -> TunnelClient:
        """Start a client, and wait until its proxies run."""
        config = ClientConfig(
            server_addr=LOOPBACK, server_port=server.ports["bind"], proxies=proxies, **options
        )
        failed: list[str] = []
        client = TunnelClient(config, reactor, failed.append)
        client.startService()
        self.addCleanup(client.stopService)
        await self.wait(lambda: len(client.proxy_addresses) == len(proxies) or bool(failed))
        self.assertEqual(failed, [])
        return client

    async def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready`, looking again and again."""
        deadline = clock.seconds() + PATIENCE_SECONDS
        while not ready():
            if clock.seconds() > deadline:
                self.fail("it didn't happen in time")
            await deferLater(clock, 0.01)

    async def dial(self, number: int, host: str = LOOPBACK) -> tuple[Stream, Reader]:
        """Connect a user to a port."""
        stream = await dial(clock, host, number, timeout=PATIENCE_SECONDS)
        self.addCleanup(stream.abortConnection)
        reader = Reader()
        attach(stream, reader)
        stream.resumeProducing()
        return stream, reader
