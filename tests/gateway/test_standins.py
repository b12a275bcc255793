# -*- test-case-name: tests.gateway.test_standins -*-
"""Requests of a host with several routes that stand in for one another: a group."""

from collections.abc import Sequence

from tests.gateway.support import OK, FakeRoute, Service, VhostCase
from tests.gateway.test_exchange import POST, SWITCHING, UPGRADE
from tunnelsvc.gateway import Route, Rules

HOST = b"group.example"


class FakeGroup:
    """Lets its routes take turns.

    Attributes:
        asked: how many requests it was asked about.
    """

    def __init__(self, *routes: FakeRoute) -> None:
        self.routes = routes
        self.asked = 0

    def for_request(self) -> Route:
        self.asked += 1
        return self.routes[(self.asked - 1) % len(self.routes)]

    def instead_of(self, tried: Sequence[Route]) -> Route | None:
        return next((route for route in self.routes if route not in tried), None)


class StandInTests(VhostCase):
    """Who serves a request, and who does if that one can't."""

    def setUp(self) -> None:
        super().setUp()
        self.group = FakeGroup(*(FakeRoute(Service(self.clock), Rules()) for _ in range(3)))
        self.routes.extend(self.group.routes)
        self.router.add(HOST.decode(), "", self.group)

    def request(self, method: bytes = b"GET", *lines: bytes) -> None:
        """Let the user make a request of the group."""
        self.ask(b"\r\n".join([method + b" / HTTP/1.1", b"Host: " + HOST, *lines, b"", b""]))

    def answer_of(self, member: int, data: bytes = OK) -> bytes:
        """Let the latest connection of a member answer; returns what the user gets."""
        self.group.routes[member].service.ends[-1].write(data)
        self.pump()
        return self.take()

    def connections(self) -> list[int]:
        """Tell how many connections each member has had."""
        return [len(route.service.ends) for route in self.group.routes]

    def assert_settled(self) -> None:
        """Each member's requests are over, once each."""
        for route in self.group.routes:
            self.assertEqual(len(route.started), len(route.finished))

    def test_turns(self) -> None:
        """Each request of one connection is a turn, and each member keeps its connections."""
        for _ in range(2):
            for member in range(3):
                self.request()
                self.assertEqual(self.answer_of(member), OK)
        self.assertEqual(self.connections(), [1, 1, 1])
        self.assertEqual(self.group.asked, 6)
        self.assertEqual([len(route.finished) for route in self.group.routes], [2, 2, 2])

    def test_a_client_that_is_gone(self) -> None:
        """It did nothing of the request, so another member gets it, of whatever kind it is."""
        self.group.routes[0].service.available = False
        self.ask(POST.replace(b"a.example", HOST) % 4 + b"body")
        self.assertEqual(self.connections(), [0, 1, 0])
        self.assertEqual(self.group.routes[1].service.body(), b"body")
        self.assertEqual(self.answer_of(1), OK)
        self.assert_settled()
        first, second = (route.finished[0] for route in self.group.routes[:2])
        self.assertEqual((first.up_bytes, first.down_bytes), (0, 0))
        self.assertEqual(second.down_bytes, len(OK))

    def test_all_are_gone(self) -> None:
        for route in self.group.routes:
            route.service.available = False
        self.request()
        self.assert_page(503)
        self.assert_settled()
        self.assertEqual([len(route.started) for route in self.group.routes], [1, 1, 1])

    def test_a_service_that_is_down(self) -> None:
        """What may be repeated goes to the next, and so on."""
        for method in (b"GET", b"HEAD", b"DELETE"):
            self.group.asked = 0
            self.request(method)
            for member in (0, 1):
                self.group.routes[member].service.ends[-1].abortConnection()
                self.pump()
            self.assertIn(b"HTTP/1.1 204", self.answer_of(2, b"HTTP/1.1 204 No Content\r\n\r\n"))
        self.assertEqual(self.connections(), [3, 3, 1])
        self.assert_settled()

    def test_a_service_that_ends(self) -> None:
        self.request()
        self.group.routes[0].service.ends[0].loseConnection()
        self.pump()
        self.assertEqual(self.answer_of(1), OK)
        self.assertTrue(self.group.routes[0].service.ends[0].lost)

    def test_all_services_are_down(self) -> None:
        self.request()
        for member in range(3):
            self.group.routes[member].service.ends[-1].abortConnection()
            self.pump()
        self.assert_page(502)
        self.assert_settled()

    def test_what_may_not_be_repeated(self) -> None:
        """The service may have acted on it."""
        for method, length in ((b"POST", b"0"), (b"PUT", b"1")):
            self.group.asked = 0
            before = self.connections()
            self.connect()
            self.request(method, b"Content-Length: " + length)
            self.group.routes[0].service.ends[-1].abortConnection()
            self.pump()
            self.assertEqual(self.take()[:12], b"HTTP/1.1 502")
            self.assertEqual(self.connections(), [before[0] + 1, 0, 0])

    def test_a_response_that_has_begun(self) -> None:
        for begun in (b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200"):
            self.group.asked = 0
            self.connect()
            self.request()
            self.answer_of(0, begun)
            self.group.routes[0].service.ends[-1].abortConnection()
            self.pump()
            self.assertEqual(self.connections()[1:], [0, 0])

    def test_a_kept_connection_first(self) -> None:
        """One that died tells nothing of the service: it is asked anew before another is."""
        self.request()
        self.answer_of(0)
        self.group.asked = 0
        self.request()
        self.group.routes[0].service.ends[0].abortConnection()
        self.pump()
        self.assertEqual(self.connections(), [2, 0, 0])
        self.group.routes[0].service.ends[1].abortConnection()
        self.pump()
        self.assertEqual(self.answer_of(1), OK)
        self.assert_settled()

    def test_a_user_who_left(self) -> None:
        """Nobody else is bothered for him."""
        delayed = self.group.routes[0].service
        delayed.delayed = []
        self.request()
        self.user.abortConnection()
        delayed.delayed[0]()
        self.pump()
        self.assertEqual(self.connections(), [1, 0, 0])
        self.assert_settled()

    def test_admitted_anew(self) -> None:
        """While a request waited, the host may have become somebody else's."""
        self.group.routes[0].service.available = False
        self.group.routes[1].rules = Rules(credentials=b"me:secret")
        self.request()
        self.assert_page(503)
        self.assertEqual(self.connections(), [0, 0, 0])

    def test_the_host_is_gone(self) -> None:
        self.request()
        self.router.remove(HOST.decode(), "")
        self.group.routes[0].service.ends[0].abortConnection()
        self.pump()
        self.assert_page(502)

    def test_upgrade(self) -> None:
        """A WebSocket finds a living member too."""
        self.request(b"GET", *UPGRADE)
        self.group.routes[0].service.ends[0].abortConnection()
        self.pump()
        self.assertIn(b"HTTP/1.1 101 ", self.answer_of(1, SWITCHING))
        self.ask(b"frame")
        self.assertTrue(self.group.routes[1].service.received().endswith(b"frame"))
