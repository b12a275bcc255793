# -*- test-case-name: tests.link.test_sockets -*-
"""Tests of `tunnelsvc.link.sockets`."""

import errno
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, cast

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IListeningPort, IWriteDescriptor
from twisted.internet.protocol import ServerFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.link.tcploopback import Half, LoopbackTestCase, reactor, turn, turns, until
from tests.programs import free_port
from tunnelsvc.handover import Parked, ParkingFactory, attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.poller import watcher
from tunnelsvc.link.sockets import BACKLOG, MOST_AT_ONCE, adopt, connect, listen
from tunnelsvc.link.tcp import TCPStream

PATIENCE_SECONDS = 60.0
"""Time limit of attempts that should succeed."""
AT_ONCE = 0.01
"""Time limit of attempts that can't."""


def link_local() -> str:
    """Find an address that is meaningless without its interface."""
    try:
        lines = Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    for digits, _, _, _, flags, name in map(str.split, lines):
        if digits.startswith("fe80") and not int(flags, 16) & 0x48:  # tentative, duplicate
            return f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))}%{name}"
    raise SkipTest("no interface has a link-local address")


class Slow(socket.socket):
    """A socket whose attempt goes on for a while, even on this machine."""

    questions = 0

    def connect_ex(self, address: Any) -> int:
        self.questions += 1
        return errno.EALREADY if self.questions == 2 else super().connect_ex(address)


class SocketsTestCase(LoopbackTestCase):
    """Listens, connects, and looks that nothing is left."""

    def port(self, host: str = "127.0.0.1") -> socket.socket:
        """Listen with a bare socket."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        port = socket.create_server((host, 0), family=family)
        self.addCleanup(port.close)
        port.setblocking(False)
        return port

    async def accept(self, port: socket.socket) -> socket.socket:
        while True:
            try:
                far, _ = port.accept()
            except BlockingIOError:
                await turn()
                continue
            far.setblocking(False)
            self.addCleanup(far.close)
            return far

    def unused(self) -> tuple[str, int]:
        """Give an address where nobody listens."""
        return "127.0.0.1", free_port()

    def full(self) -> tuple[str, int]:
        """Give an address that doesn't answer: more wait to be accepted than may."""
        port = socket.socket()
        self.addCleanup(port.close)
        port.bind(("127.0.0.1", 0))
        port.listen(0)
        address: tuple[str, int] = port.getsockname()
        for _ in range(3):
            waiting = socket.socket()
            self.addCleanup(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(address)
        return address

    def connect(
        self, host: str, port: int, *, timeout: float = PATIENCE_SECONDS, source: str = ""
    ) -> Deferred[TCPStream]:
        connecting = ensureDeferred(connect(reactor, host, port, timeout=timeout, source=source))
        connecting.addCallback(self.keep)
        return connecting

    def keep(self, stream: TCPStream) -> TCPStream:
        self.streams.append(stream)
        return stream

    def attempts(self) -> list[Any]:
        """Give the connection attempts that are under way."""
        return [writer for writer in reactor.getWriters() if writer.logPrefix() == "connecting"]

    async def reads(self, stream: TCPStream, expected: bytes) -> None:
        """Attach a reader, and wait for what it gets."""
        reader = Half()
        attach(stream, reader)
        stream.resumeProducing()
        await until(lambda: len(reader.received) >= len(expected))
        self.assertEqual(reader.received, expected)


class ListenTests(SocketsTestCase):
    """Ports of ours."""

    def listen(self, interface: str, number: int = 0) -> tuple[int, list[Stream]]:
        accepted: list[Stream] = []
        port: Any = listen(reactor, number, ParkingFactory(accepted.append), interface=interface)
        self.addCleanup(port.stopListening)
        self.assertTrue(verifyObject(IListeningPort, port))
        return port.getHost().port, accepted

    async def check_accepted(self, interface: str, host: str, kind: Any) -> None:
        number, accepted = self.listen(interface)
        with socket.create_connection((host, number)) as user:
            user.sendall(b"data")
            await until(lambda: accepted)
            [stream] = accepted
            assert isinstance(stream, TCPStream)
            self.streams.append(stream)
            self.assertEqual(stream.getPeer(), kind("TCP", host, user.getsockname()[1]))
            self.assertEqual(stream.getHost(), kind("TCP", host, number))
            await turns()
            self.assertNotIn(stream, watcher(reactor).getReaders())
            await self.reads(stream, b"data")

    async def test_accepted(self) -> None:
        await self.check_accepted("", "127.0.0.1", IPv4Address)
        await self.check_accepted("127.0.0.1", "127.0.0.1", IPv4Address)
        await self.check_accepted("::1", "::1", IPv6Address)

    async def test_ipv4_on_a_port_for_both(self) -> None:
        """Services, logs and the dashboard are told the address that the user has."""
        await self.check_accepted("::", "127.0.0.1", IPv4Address)
        await self.check_accepted("::", "::1", IPv6Address)

    async def test_taken(self) -> None:
        number, _ = self.listen("127.0.0.1")
        self.assertRaises(error.CannotListenError, self.listen, "127.0.0.1", number)

    async def test_not_ours(self) -> None:
        self.assertRaises(error.CannotListenError, self.listen, "192.0.2.1")

    async def test_refused_by_the_factory(self) -> None:
        class Nobody(ServerFactory):
            noisy = False

            def buildProtocol(self, addr: object) -> None:
                return None

        port: Any = listen(reactor, 0, Nobody(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        user = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(user.close)
        user.setblocking(False)
        self.assertEqual(await self.received(user), b"")

    async def test_a_factory_that_fails(self) -> None:
        """It costs that connection, and neither the port nor the next."""

        class Broken(ServerFactory):
            noisy = False

            def buildProtocol(self, addr: object) -> Any:
                raise RuntimeError("a bug")

        port: Any = listen(reactor, 0, Broken(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        for _ in range(2):
            user = socket.create_connection(("127.0.0.1", port.getHost().port))
            self.addCleanup(user.close)
            user.setblocking(False)
            self.assertEqual(await self.received(user), b"")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)


class Aborted:
    """A listening socket of which a peer is gone before it is accepted."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.gone = 1

    def accept(self) -> Any:
        if self.gone:
            self.gone -= 1
            raise ConnectionAbortedError(errno.ECONNABORTED, "Software caused connection abort")
        return self.sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


class BurstTests(SocketsTestCase):
    """Many at once, and what can go wrong with one of them."""

    def setUp(self) -> None:
        super().setUp()
        self.accepted: list[Any] = []
        self.on_stream: Callable[[], object] = lambda: None
        factory = ParkingFactory(self.accept_one)
        listening = listen(reactor, 0, factory, interface="127.0.0.1", keepalive_seconds=77)
        self.listening = cast("Any", listening)
        self.addCleanup(self.listening.stopListening)
        self.address = ("127.0.0.1", self.listening.getHost().port)

    def accept_one(self, stream: Stream) -> None:
        assert isinstance(stream, TCPStream)
        self.streams.append(stream)
        self.accepted.append(stream.getPeer().port)
        self.on_stream()

    def users(self, number: int) -> list[int]:
        """Connect, and return the port numbers."""
        users = [socket.create_connection(self.address) for _ in range(number)]
        for user in users:
            self.addCleanup(user.close)
        return [user.getsockname()[1] for user in users]

    async def test_many(self) -> None:
        """All come, in few turns, and in their order."""
        users = self.users(5 * MOST_AT_ONCE)
        counts = [0]
        while len(self.accepted) < len(users):
            await turn()
            counts.append(len(self.accepted))
        self.assertEqual(self.accepted, users)
        steps = [after - before for before, after in pairwise(counts)]
        self.assertLessEqual(max(steps), MOST_AT_ONCE)
        self.assertIn(MOST_AT_ONCE, steps)
        users += self.users(1)
        await until(lambda: self.accepted == users)

    async def test_options(self) -> None:
        self.users(1)
        await until(lambda: self.accepted)
        [stream] = self.streams
        self.assertTrue(stream.getTcpNoDelay())
        self.assertTrue(stream.getTcpKeepAlive())

    async def test_one_that_fails(self) -> None:
        """It ends neither the port nor the others."""

        errors = {2: ValueError("application"), 5: OSError(errno.EAGAIN, "application")}

        def fail() -> None:
            if len(self.accepted) in errors:
                raise errors[len(self.accepted)]

        self.on_stream = fail
        users = self.users(10)
        await until(lambda: len(self.accepted) == 10)
        users += self.users(1)
        await until(lambda: self.accepted == users)
        logged = self.flushLoggedErrors(ValueError, OSError)
        self.assertEqual([failure.value for failure in logged], list(errors.values()))

    async def test_one_that_fails_and_reads(self) -> None:
        """It is reset, and the next one that has the number of its descriptor is read."""

        def resume_and_fail() -> None:
            self.streams[-1].resumeProducing()
            raise ValueError("application")

        self.on_stream = resume_and_fail
        with socket.create_connection(self.address) as user:
            user.setblocking(False)
            self.assertTrue(await self.is_reset(user))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.on_stream = lambda: None
        with socket.create_connection(self.address) as user:
            user.sendall(b"data")
            await until(lambda: len(self.streams) == 2)
            await self.reads(self.streams[-1], b"data")

    async def test_gone_before_accepted(self) -> None:
        self.listening.socket = Aborted(self.listening.socket)
        users = self.users(2)
        await until(lambda: self.accepted == users)

    async def test_stopped_by_the_first(self) -> None:
        """The others find nobody."""
        self.users(1)
        await until(lambda: self.accepted)
        self.on_stream = self.listening.stopListening
        self.users(3)
        await until(lambda: not self.listening.connected)
        self.assertEqual(len(self.accepted), 2)


class OtherReactorTests(SynchronousTestCase):
    """Reactors that watch no descriptors."""

    def test_twisted_listens(self) -> None:
        memory = MemoryReactorClock()
        factory = ServerFactory()
        listen(memory, 7000, factory, interface="127.0.0.1")
        self.assertEqual(memory.tcpServers, [(7000, factory, BACKLOG, "127.0.0.1")])


class ConnectTests(SocketsTestCase):
    """Connections that come about."""

    async def test_at_once(self) -> None:
        for host, kind in (("127.0.0.1", IPv4Address), ("::1", IPv6Address)):
            port = self.port(host)
            number = port.getsockname()[1]
            stream = self.successResultOf(self.connect(host, number))
            self.assertIsInstance(stream.protocol, Parked)
            self.assertNotIn(stream, watcher(reactor).getReaders())
            self.assertEqual(stream.getPeer(), kind("TCP", host, number))
            far = await self.accept(port)
            self.assertEqual(stream.getHost().port, far.getpeername()[1])
            far.send(b"banner")
            await self.reads(stream, b"banner")
        self.assertEqual(self.attempts(), [])

    async def test_later(self) -> None:
        self.patch(socket, "socket", Slow)
        port = self.port()
        connecting = self.connect(*port.getsockname())
        self.assertNoResult(connecting)
        [attempt] = self.attempts()
        self.assertTrue(verifyObject(IWriteDescriptor, attempt))
        stream = await connecting
        stream.write(b"data")
        self.assertEqual((await self.accept(port)).recv(4), b"data")
        self.assertEqual(self.attempts(), [])

    async def test_not_yet(self) -> None:
        """The reactor had an event of another connection that had this descriptor's number."""
        connecting = self.connect(*self.full())
        [attempt] = self.attempts()
        attempt.doWrite()
        self.assertNoResult(connecting)
        self.assertEqual(self.attempts(), [attempt])
        connecting.cancel()
        self.failureResultOf(connecting)

    async def test_source(self) -> None:
        port = self.port()
        await self.connect(*port.getsockname(), source="127.0.0.2")
        self.assertEqual((await self.accept(port)).getpeername()[0], "127.0.0.2")

    async def test_address_with_an_interface(self) -> None:
        host = link_local()
        address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][4]
        port = socket.socket(socket.AF_INET6)
        self.addCleanup(port.close)
        port.bind(address)
        port.listen()
        for source in ("", host):
            stream = await self.connect(host, port.getsockname()[1], source=source)
            self.assertTrue(stream.connected)


class NotConnectedTests(SocketsTestCase):
    """Connections that don't."""

    async def fails(self, kind: type[Exception], connecting: Deferred[TCPStream]) -> str:
        """Wait for a failure, and look that it left nothing; return its text."""
        with self.assertRaises(kind) as caught:
            await connecting
        self.assertIsInstance(caught.exception, error.ConnectError)
        self.assertEqual(self.attempts(), [])
        return str(caught.exception)

    async def test_refused(self) -> None:
        connecting = self.connect(*self.unused())
        self.assertTrue(connecting.called)
        await self.fails(error.ConnectionRefusedError, connecting)

    async def test_refused_later(self) -> None:
        """The reactor sees that it failed, and doesn't ask us to write."""
        address = self.unused()
        self.patch(socket, "socket", Slow)
        connecting = self.connect(*address)
        self.assertNoResult(connecting)
        await self.fails(error.ConnectionRefusedError, connecting)

    async def test_timed_out(self) -> None:
        connecting = self.connect(*self.full(), timeout=AT_ONCE)
        self.assertNoResult(connecting)
        await self.fails(error.TimeoutError, connecting)

    async def test_cancelled(self) -> None:
        connecting = self.connect(*self.full())
        [attempt] = self.attempts()
        connecting.cancel()
        await self.fails(error.UserError, connecting)
        await until(lambda: attempt.fileno() < 0)

    async def test_reactor_stops(self) -> None:
        connecting = self.connect(*self.full())
        [attempt] = self.attempts()
        for _ in range(2):  # it doesn't know what the first may have ended
            attempt.connectionLost(Failure(error.ConnectionLost()))
        await self.fails(error.ConnectError, connecting)

    async def test_no_way(self) -> None:
        """The kernel doesn't even begin."""
        connecting = self.connect("255.255.255.255", 7000)
        self.assertTrue(connecting.called)
        await self.fails(error.NoRouteError, connecting)

    async def test_wrong_source(self) -> None:
        connecting = self.connect(*self.port().getsockname(), source="192.0.2.1")
        self.assertIn("assign", await self.fails(error.ConnectError, connecting))

    async def test_wrong_port(self) -> None:
        await self.fails(error.ConnectError, self.connect("127.0.0.1", 65536))

    async def test_no_such_interface(self) -> None:
        await self.fails(error.ConnectError, self.connect("fe80::1%nowhere", 7000))

    async def test_no_socket(self) -> None:
        """The system has no IPv6, or no more descriptors for us."""

        def refuse(*_: object) -> None:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

        self.patch(socket, "socket", refuse)
        self.assertIn("not supported", await self.fails(error.ConnectError, self.connect("::1", 1)))


class AdoptTests(SocketsTestCase):
    """Twisted's connections, made ours."""

    ENDPOINTS: ClassVar[Any] = {"127.0.0.1": TCP4ClientEndpoint, "::1": TCP6ClientEndpoint}

    async def twisted(self, host: str = "127.0.0.1") -> tuple[Any, socket.socket]:
        """Connect by Twisted; return the transport, and the bare socket at the other end."""
        port = self.port(host)
        connected: list[Any] = []
        endpoint = self.ENDPOINTS[host](reactor, host, port.getsockname()[1])
        await endpoint.connect(ParkingFactory(connected.append))
        return connected[0], await self.accept(port)

    async def test_data_flows(self) -> None:
        """Both ways, what came before too, and nobody sees a reset."""
        for host, kind in (("127.0.0.1", IPv4Address), ("::1", IPv6Address)):
            transport, far = await self.twisted(host)
            far.send(b"before ")
            adopting = adopt(reactor, transport)
            far.send(b"meanwhile ")
            stream = self.keep(await adopting)
            self.assertIsInstance(stream, TCPStream)
            self.assertIsInstance(stream.protocol, Parked)
            self.assertEqual(stream.getPeer(), kind("TCP", host, far.getsockname()[1]))
            far.send(b"after")
            await turns()
            await self.reads(stream, b"before meanwhile after")
            stream.write(b"answer")
            stream.loseConnection()
            self.assertEqual(await self.received(far), b"answer")
            self.assertNotIn(transport, reactor.getReaders() + reactor.getWriters())

    async def test_closed_without_a_reset(self) -> None:
        transport, far = await self.twisted()
        stream = self.keep(await adopt(reactor, transport))
        far.shutdown(socket.SHUT_WR)
        stream.loseConnection()
        self.assertFalse(await self.is_reset(far))

    async def test_cancelled(self) -> None:
        transport, far = await self.twisted()
        adopting = adopt(reactor, transport)
        adopting.cancel()
        self.failureResultOf(adopting)
        self.assertTrue(await self.is_reset(far))
