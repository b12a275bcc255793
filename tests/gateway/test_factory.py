# -*- test-case-name: tests.gateway.test_factory -*-
"""Tests of `tunnelsvc.gateway.factory`, and of all of the vhost path on real sockets."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.gateway.support import FakeRoute, Service
from tunnelsvc.gateway import BackendPool, Router, Rules, Target, VhostFactory, protocol, taking
from tunnelsvc.gateway.protocol import VhostProtocol
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.sockets import listen
from tunnelsvc.relay import join

reactor: Any = global_reactor
LOOPBACK = "127.0.0.1"
BODY_BYTES = 8_000_000
"""More than all buffers of the kernel and of ours on the way take."""
KERNEL_BYTES = 1_500_000
"""What the kernel takes for a user who reads nothing."""
SHORT_SECONDS = 0.05
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@implementer(IHalfCloseableProtocol)
class Talker(Protocol):
    """One end of a connection; keeps count of what comes."""

    transport: Any

    def __init__(self) -> None:
        self.received = bytearray()
        self.count_bytes = 0
        self.finished: Deferred[None] = Deferred()
        self.lost: Deferred[None] = Deferred()
        self._waiting: tuple[Callable[[], bool], Deferred[None]] | None = None

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Wait until something is true that bytes make true."""
        done: Deferred[None] = Deferred()
        self._waiting = (condition, done)
        self._look()
        return done

    def until_bytes(self, ending: bytes) -> Deferred[None]:
        """Wait until what came ends like this."""
        return self.until(lambda: self.received.endswith(ending))

    def _look(self) -> None:
        if self._waiting is not None and self._waiting[0]():
            done, self._waiting = self._waiting[1], None
            done.callback(None)

    def dataReceived(self, data: bytes) -> None:
        self.count_bytes += len(data)
        self.received += data
        del self.received[:-10_000]
        self._look()

    def readConnectionLost(self) -> None:
        self.finished.callback(None)

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost.callback(None)

    def pour(self, size_bytes: int) -> None:
        """Write so much, as fast as it is taken."""
        self.transport.registerProducer(_Pouring(self.transport, size_bytes), False)


class _Pouring:
    """Writes a number of bytes, a piece whenever the last was sent."""

    def __init__(self, transport: Any, size_bytes: int) -> None:
        self._transport = transport
        self._left_bytes = size_bytes

    def resumeProducing(self) -> None:
        piece = min(self._left_bytes, 50_000)
        self._left_bytes -= piece
        self._transport.write(b"z" * piece)
        if not self._left_bytes:
            self._transport.unregisterProducer()

    def stopProducing(self) -> None:
        pass


class SocketTests(TestCase):
    """A user and a service on real connections."""

    timeout = 60

    def setUp(self) -> None:
        self.services: list[Talker] = []
        self.arrived: Deferred[Talker] = Deferred()
        self.service_port = self.listen(self._service())
        self.router: Router[Target] = Router()
        self.route = FakeRoute(Service(reactor), Rules())
        self.route.backend = BackendPool(self._open, reactor)
        self.addCleanup(self.route.backend.close)
        self.router.add("a.example", "", self.route)
        self.page = self.mktemp()
        self.factory = VhostFactory(
            self.router, reactor, response_timeout=30.0, custom_404_page=self.page, join=join
        )
        self.protocols: list[Any] = []
        self._build, self.factory.buildProtocol = self.factory.buildProtocol, self._seen  # type: ignore[method-assign]
        port: Any = listen(reactor, 0, self.factory, interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        self.port: int = port.getHost().port

    def _seen(self, addr: IAddress | None) -> VhostProtocol:
        self.protocols.append(self._build(addr))
        return cast("VhostProtocol", self.protocols[-1])

    def listen(self, factory: Factory) -> int:
        """Listen on a free port."""
        port = reactor.listenTCP(0, factory, interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        return cast("int", port.getHost().port)

    def _service(self) -> Factory:
        case = self

        class Accepting(Factory):
            noisy = False

            def buildProtocol(self, addr: IAddress | None) -> Talker:
                talker = Talker()
                case.services.append(talker)
                arrived, case.arrived = case.arrived, Deferred()
                reactor.callLater(0, arrived.callback, talker)
                return talker

        return Accepting()

    async def _open(self, user: IAddress) -> Stream:
        opened: Deferred[Stream] = Deferred()
        endpoint = HostnameEndpoint(reactor, LOOPBACK, self.service_port)
        await connectProtocol(endpoint, Parked(opened.callback))
        return await opened

    async def user(self) -> Talker:
        """Connect a user, who goes at the end of the test."""
        endpoint = HostnameEndpoint(reactor, LOOPBACK, self.port)
        talker: Talker = await connectProtocol(endpoint, Talker())
        self.addCleanup(self._leave, talker)
        return talker

    async def _leave(self, talker: Talker) -> None:
        self.route.backend.close()
        for end in (talker, *self.services):
            end.transport.abortConnection()
            await end.lost
        while any(protocol.transport.connected for protocol in self.protocols):
            await _turns(1)

    async def test_keep_alive(self) -> None:
        user = await self.user()
        for number in (1, 2, 3):
            arrived = self.arrived
            user.transport.write(GET)
            service = await arrived if number == 1 else self.services[0]
            await service.until(lambda: service.received.count(b"GET") == number)  # noqa: B023
            service.transport.write(OK)
            await user.until(lambda: user.received == OK * number)  # noqa: B023
        self.assertEqual(len(self.services), 1)

    async def test_options(self) -> None:
        """Small writes go at once, and a user who vanished is noticed."""
        user = await self.user()
        user.transport.write(GET)
        await self.arrived
        handle = self.protocols[0].transport.getHandle()
        self.assertTrue(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertTrue(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    async def test_custom_page(self) -> None:
        Path(self.page).write_bytes(b"<p>nothing here</p>")
        user = await self.user()
        user.transport.write(b"GET / HTTP/1.0\r\n\r\n")
        await user.finished
        self.assertTrue(user.received.endswith(b"\r\n\r\n<p>nothing here</p>"))

    async def test_download_to_a_slow_user(self) -> None:
        """The service is held while the user sleeps; then all arrives."""
        user = await self.user()
        user.transport.write(GET)
        service = await self.arrived
        await service.until_bytes(b"\r\n\r\n")
        user.transport.pauseProducing()
        service.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES)
        service.pour(BODY_BYTES)
        await _turns(50)
        [meter] = self.route.started
        self.assertLess(meter.down_bytes, BODY_BYTES)
        user.transport.resumeProducing()
        await user.until(lambda: user.count_bytes > BODY_BYTES)
        self.assertEqual(self.route.finished, [meter])
        self.assertEqual(meter.down_bytes, user.count_bytes)

    async def last_response(self) -> Talker:
        """Let a user who doesn't read get a response that nearly all waits with our kernel."""
        self.patch(protocol, "LINGER_SECONDS", SHORT_SECONDS)
        user = await self.user()
        user.transport.write(b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        service = await self.arrived
        await service.until_bytes(b"\r\n\r\n")
        user.transport.pauseProducing()
        service.transport.write(b"HTTP/1.0 200 OK\r\n\r\n")
        service.pour(KERNEL_BYTES)
        service.transport.loseConnection()
        return user

    async def test_last_response_to_a_slow_user(self) -> None:
        """He isn't cut while he takes it, and as long may say what he likes."""
        user = await self.last_response()
        while user.count_bytes < KERNEL_BYTES and not user.lost.called:
            user.transport.pauseProducing()
            user.transport.write(b"are you still there?")
            await deferLater(reactor, 2 * SHORT_SECONDS)
            user.transport.resumeProducing()
            await _turns(2)
        await user.finished
        self.assertGreater(user.count_bytes, KERNEL_BYTES)

    async def test_last_response_to_nobody(self) -> None:
        """A user who takes nothing costs nothing for long."""
        self.patch(taking, "LOOK_SECONDS", SHORT_SECONDS)
        user = await self.last_response()
        while self.protocols[0].transport.connected:
            await _turns(1)
        user.transport.resumeProducing()
        await user.lost
        self.assertLess(user.count_bytes, KERNEL_BYTES)
        self.assertFalse(user.finished.called)

    async def test_upload_to_a_slow_service(self) -> None:
        user = await self.user()
        user.transport.write(
            b"PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES
        )
        service = await self.arrived
        service.transport.pauseProducing()
        user.pour(BODY_BYTES)
        await _turns(50)
        [meter] = self.route.started
        self.assertLess(meter.up_bytes, BODY_BYTES)
        service.transport.resumeProducing()
        await service.until(lambda: service.count_bytes == meter.up_bytes > BODY_BYTES)
        service.transport.write(OK)
        await user.until_bytes(OK)
        user.transport.write(GET)
        await service.until_bytes(b"\r\n\r\n")

    async def test_user_leaves_within_the_response(self) -> None:
        user = await self.user()
        user.transport.write(GET)
        service = await self.arrived
        await service.until_bytes(b"\r\n\r\n")
        service.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await user.until_bytes(b"\r\n\r\n")
        user.transport.abortConnection()
        await service.lost
        self.assertEqual(len(self.route.finished), 1)

    async def test_a_refusal_survives_the_rest_of_the_request(self) -> None:
        """A close with unread bytes would be a reset, and the page would be lost."""
        user = await self.user()
        user.transport.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES
        )
        user.pour(BODY_BYTES)
        await user.finished
        self.assertTrue(user.received.startswith(b"HTTP/1.1 404 Not Found\r\n"))
        self.assertIn(b"The page you requested was not found.", user.received)

    async def test_answer_before_the_request_was_read(self) -> None:
        """The service doesn't read a byte of the body and answers all of it."""
        user = await self.user()
        user.transport.write(
            b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES
        )
        service = await self.arrived
        service.transport.pauseProducing()
        user.pour(BODY_BYTES)
        service.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES)
        service.pour(BODY_BYTES)
        await user.finished
        self.assertGreater(user.count_bytes, BODY_BYTES)
        service.transport.resumeProducing()

    async def test_half_closed_user_is_answered(self) -> None:
        user = await self.user()
        user.transport.write(GET)
        user.transport.loseWriteConnection()
        service = await self.arrived
        await service.until_bytes(b"\r\n\r\n")
        service.transport.write(OK)
        await user.finished
        self.assertEqual(bytes(user.received), OK)

    async def test_upgrade(self) -> None:
        user = await self.user()
        user.transport.write(
            b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        service = await self.arrived
        await service.until_bytes(b"\r\n\r\n")
        service.transport.write(
            b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello user"
        )
        await user.until_bytes(b"\r\n\r\nhello user")
        user.transport.write(b"hello service")
        await service.until_bytes(b"hello service")
        user.transport.loseConnection()
        await service.finished
        service.transport.loseConnection()
        await service.lost
        await user.lost
        await _turns(5)
        self.assertEqual(len(self.route.finished), 1)


async def _turns(count: int) -> None:
    """Let the reactor go round, so that everything that can move has moved."""
    for _ in range(count):
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.002, turn.callback, None)
        await turn
