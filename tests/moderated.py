"""A server in this process whose administrator acts, with users on real sockets."""

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectError
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.tunnels import LOOPBACK, Reader, TunnelCase, clock
from tunnelsvc.interfaces import Stream
from tunnelsvc.server.service import TunnelServer


class Echo(Protocol):
    """Sends back what comes."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class EchoDatagrams(DatagramProtocol):
    """Likewise."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        assert self.transport is not None
        self.transport.write(datagram, addr)


class Asking(DatagramProtocol):
    """A user of a UDP port, who keeps the answers."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answers: list[bytes] = []

    def ask(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data, (LOOPBACK, self.number))

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.answers.append(datagram)


class Waiting(Resource):
    """A web site: ``/`` answers, ``/wait`` never does, ``/part`` begins to."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def render_GET(self, request: Request) -> Any:
        self.asked.append(request.path)
        if request.path == b"/part":
            request.write(b"part")
        return b"hello" if request.path == b"/" else NOT_DONE_YET


class ModeratedCase(TunnelCase):
    """See above."""

    server: TunnelServer

    async def echo(self) -> int:
        return await self.listen(Factory.forProtocol(Echo))

    async def site(self) -> tuple[int, Waiting]:
        resource = Waiting()
        return await self.listen(Site(resource)), resource

    def udp_echo(self) -> int:
        port = clock.listenUDP(0, EchoDatagrams(), interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def udp_user(self, number: int) -> Asking:
        user = Asking(number)
        port = clock.listenUDP(0, user, interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        return user

    async def user(self, number: int) -> tuple[Stream, Reader]:
        """Connect a user who is served: what he says comes back."""
        user, reader = await self.dial(number)
        user.write(b"hello")
        await reader.until(
            lambda: bool(reader.received) or reader.finished or reader.lost is not None
        )
        self.assertEqual(bytes(reader.received), b"hello")
        return user, reader

    async def gone(self, reader: Reader) -> None:
        await reader.until(lambda: reader.finished or reader.lost is not None)

    async def listens(self, number: int) -> bool:
        """Tell whether somebody does."""
        try:
            user, _ = await self.dial(number)
        except ConnectError:
            return False
        user.abortConnection()
        return True

    async def until_listening(self, number: int) -> None:
        """Wait for somebody who does."""
        while not await self.listens(number):
            await deferLater(clock, 0.01)

    async def ask(self, path: bytes, host: bytes = b"a.example") -> tuple[Stream, Reader]:
        """Send a request to the vhost port."""
        user, reader = await self.dial(self.server.ports["vhost_http"])
        user.write(b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path, host))
        return user, reader

    async def answer(self, path: bytes = b"/") -> bytes:
        """Make a request; give the answer's first line."""
        user, reader = await self.ask(path)
        await reader.until(lambda: b"\r\n\r\n" in reader.received or reader.lost is not None)
        user.abortConnection()
        return bytes(reader.received).partition(b"\r\n")[0]

    async def answered(self, user: Asking) -> None:
        """Ask until there is an answer, as who uses UDP does."""

        def asks() -> bool:
            user.ask(b"?")
            return bool(user.answers)

        await self.wait(asks)

    def key(self) -> str:
        """Key of the only client that is here."""
        [client] = [client for client in self.server.stats.clients() if client.online]
        return client.key

    def run_id(self) -> str:
        [client] = [client for client in self.server.stats.clients() if client.online]
        return client.run_id

    def kinds(self) -> list[str]:
        return [event.kind for event in self.server.stats.events.recent()]

    async def event(self, kind: str, detail: str = "") -> None:
        """Wait for an event, whose detail has these words."""

        def there() -> bool:
            recent = self.server.stats.events.recent()
            return any(event.kind == kind and detail in event.detail for event in recent)

        await self.wait(there)

    async def online(self, name: str) -> None:
        """Wait until users reach a proxy."""

        def there() -> bool:
            stats = self.server.stats.proxy(name)
            return stats is not None and stats.online

        await self.wait(there)

    async def count(self, counted: Callable[[], int], number: int) -> None:
        """Wait until there are so many."""
        await self.wait(lambda: counted() == number)

    def users(self) -> int:
        return len(self.server.stats.live_connections())
