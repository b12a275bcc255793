"""A user, the vhost path and services, in memory."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import END, MemoryStream, Recorder, pump, recorded
from tunnelsvc.errors import WorkConnectionUnavailable
from tunnelsvc.gateway import BackendPool, Router, Rules, Target, VhostFactory
from tunnelsvc.gateway.protocol import VhostProtocol
from tunnelsvc.gateway.route import LoneRoute, Underway
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Meter, join

RESPONSE_TIMEOUT_SECONDS = 30.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class TellingStream(MemoryStream):
    """Tells its reader when its direction is finished, as Twisted's transports do."""

    def step(self) -> bool:
        finishing = END in self.out
        moved = super().step()
        if finishing and END not in self.out and not self.lost:
            self.protocol.writeConnectionLost()
        return moved


def telling_pair(name: str) -> tuple[TellingStream, TellingStream]:
    """Make two ends of one stream."""
    outer, inner = TellingStream(f"{name}-outer"), TellingStream(f"{name}-inner")
    outer.peer, inner.peer = inner, outer
    return outer, inner


class Service:
    """A local service, as seen at the far end of its connections.

    Attributes:
        ends: the far ends of all connections so far.
        seen: what reads each of them.
        users: for whom each was opened.
        delayed: while a list, connections are opened later, by whoever calls its members.
        available: False: the client gives no work connection.
    """

    def __init__(
        self, clock: Clock, *, half_closes: bool = True, pool: type[BackendPool] = BackendPool
    ) -> None:
        self.ends: list[TellingStream] = []
        self.seen: list[Recorder] = []
        self.users: list[IAddress] = []
        self.delayed: list[Callable[[], None]] | None = None
        self.available = True
        self.pool = pool(self._open, clock, half_closes=half_closes)

    def _open(self, user: IAddress) -> Deferred[Stream]:
        if not self.available:
            raise WorkConnectionUnavailable("nobody there")
        self.users.append(user)
        outer, inner = telling_pair(f"service{len(self.ends)}")
        if self.delayed is None:
            self._opened(outer)
            return succeed(inner)
        later: Deferred[Stream] = Deferred()

        def open_now() -> None:
            self._opened(outer)
            later.callback(inner)

        self.delayed.append(open_now)
        return later

    def _opened(self, outer: TellingStream) -> None:
        self.ends.append(outer)
        self.seen.append(recorded(outer))

    def received(self, connection: int = -1) -> bytes:
        """Give all that came on one connection."""
        return bytes(self.seen[connection].received)

    def body(self, connection: int = -1) -> bytes:
        """Give what came behind the first head of one connection."""
        return self.received(connection).partition(b"\r\n\r\n")[2]


class FakeRoute(LoneRoute):
    """Where requests go, and what was told about them."""

    name = "web"

    def __init__(self, service: Service, rules: Rules) -> None:
        self.service = service
        self.rules = rules
        self.backend = service.pool
        self.started: list[Meter] = []
        self.underway: list[Underway] = []
        self.finished: list[Meter] = []

    def exchange_started(self, meter: Meter, request: Underway) -> None:
        self.started.append(meter)
        self.underway.append(request)

    def exchange_finished(self, meter: Meter) -> None:
        assert meter in self.started
        assert meter not in self.finished
        self.finished.append(meter)


class VhostCase(SynchronousTestCase):
    """One user's connection, and a site ``a.example`` with a service."""

    user: TellingStream
    near: TellingStream
    at_user: Recorder

    def setUp(self) -> None:
        self.clock = Clock()
        self.router: Router[Target] = Router(self.clock.seconds)
        self.routes: list[FakeRoute] = []
        self.route = self.add_site("a.example")
        self.service = self.route.service
        self.factory = VhostFactory(
            self.router,
            self.clock,
            response_timeout=RESPONSE_TIMEOUT_SECONDS,
            custom_404_page="",
            join=join,
        )
        self.connect()

    def add_site(
        self,
        domain: str,
        location: str = "",
        rules: Rules | None = None,
        *,
        half_closes: bool = True,
    ) -> FakeRoute:
        """Add a site with a service of its own."""
        route = FakeRoute(Service(self.clock, half_closes=half_closes), rules or Rules())
        self.routes.append(route)
        self.router.add(domain, location, route)
        return route

    def connect(self) -> None:
        """Connect a user, instead of the one before: `user` is his end, `near` ours."""
        if hasattr(self, "user"):
            self.user.abortConnection()
        self.user, self.near = telling_pair("user")
        self.at_user = recorded(self.user)
        protocol: VhostProtocol = self.factory.buildProtocol(None)
        self.near.protocol = protocol
        self.near.paused = False
        protocol.makeConnection(self.near)

    def pump(self) -> None:
        """Move all that can move, through connections too that are opened meanwhile."""
        count = -1
        while count != len(ends := self._service_ends()):
            count = len(ends)
            pump(self.user, *ends)

    def _service_ends(self) -> list[TellingStream]:
        return [end for route in self.routes for end in route.service.ends]

    def ask(self, data: bytes) -> None:
        """Let the user write."""
        self.user.write(data)
        self.pump()

    def get(self, path: bytes = b"/", *lines: bytes, version: bytes = b"HTTP/1.1") -> None:
        """Let the user send a GET for ``a.example``."""
        first = b"GET %b %b" % (path, version)
        self.ask(b"\r\n".join([first, b"Host: a.example", *lines, b"", b""]))

    def answer(self, data: bytes = OK, connection: int = -1) -> None:
        """Let the service write."""
        self.service.ends[connection].write(data)
        self.pump()

    def shown(self) -> bytes:
        """Give what the user received so far."""
        return bytes(self.at_user.received)

    def take(self) -> bytes:
        """Give what the user received since the last time."""
        data = self.shown()
        self.at_user.received.clear()
        return data

    def assert_refused(self, status: int) -> None:
        """The user got one error response, and our end of file."""
        self.assertEqual(self.shown()[:12], b"HTTP/1.1 %d" % status)
        self.assertEqual(self.shown().count(b"HTTP/1.1 "), 1)
        self.assertIn(b"Connection: close\r\n", self.shown())
        self.assertTrue(self.at_user.finished)

    def assert_page(self, status: int) -> None:
        """The user got an error response on a connection that goes on."""
        data = self.take()
        self.assertEqual(data[:12], b"HTTP/1.1 %d" % status)
        self.assertNotIn(b"Connection:", data)
        self.assertFalse(self.at_user.finished)

    def assert_over(self) -> None:
        """The user's connection is gone, and nothing is left of it."""
        self.assertTrue(self.near.lost)
        self.assertEqual(len(self.route.started), len(self.route.finished))

    def assert_no_timers(self) -> None:
        """Nothing is waited for any more."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
