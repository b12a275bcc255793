# -*- test-case-name: tests.gateway.test_admission -*-
"""Tests of `tunnelsvc.gateway.admission`, through the connection of a user."""

from base64 import b64encode

from tests.gateway.support import OK, FakeRoute, Service, VhostCase
from tunnelsvc.gateway.rules import Rules, make_rules


def basic(credentials: bytes, header: bytes = b"Authorization") -> bytes:
    """Make a header as RFC 7617 has it."""
    return header + b": Basic " + b64encode(credentials)


class UserCase(VhostCase):
    """Sites that depend on who asks."""

    def add(self, domain: str, user: str, location: str = "", rules: Rules | None = None) -> str:
        """Add a site for a user; return what it is called here."""
        route = FakeRoute(Service(self.clock), rules or Rules())
        self.routes.append(route)
        self.router.add(domain, location, route, user=user)
        return f"{user}@{domain}{location}"

    def asked(self, *lines: bytes, first: bytes = b"GET /x/y HTTP/1.1") -> FakeRoute | None:
        """Ask ``a.example``; return where the request went."""
        self.connect()
        before = [len(route.started) for route in self.routes]
        self.ask(b"\r\n".join([first, b"Host: a.example", *lines, b"", b""]))
        for route, count in zip(self.routes, before, strict=True):
            if len(route.started) > count:
                return route
        return None


class RouteByUserTests(UserCase):
    """The order in which routes are looked for (protocol notes 6.2)."""

    def test_user_before_everybody(self) -> None:
        self.add("a.example", "alice")
        everybody, alices = self.routes
        self.assertIs(self.asked(basic(b"alice:secret")), alices)
        self.assertIs(self.asked(basic(b"alice")), alices)
        self.assertIs(self.asked(basic(b"bob:secret")), everybody)
        self.assertIs(self.asked(), everybody)
        self.assertIs(self.asked(b"Authorization: Bearer alice"), everybody)

    def test_the_services_see_the_credentials(self) -> None:
        """They may want to check them."""
        self.add("a.example", "alice")
        line = basic(b"alice:secret")
        route = self.asked(line)
        assert route is not None
        self.assertIn(line + b"\r\n", route.service.received())

    def test_each_request_has_its_own_user(self) -> None:
        self.add("a.example", "alice")
        for user, route in ((b"alice", 1), (b"bob", 0), (b"alice", 1)):
            self.get(b"/", basic(user + b":x"))
            self.routes[route].service.ends[0].write(OK)
            self.pump()
            self.assertEqual(self.take(), OK)

    def test_closest_domain_first(self) -> None:
        """A domain for all comes before a wildcard for the user."""
        self.router.remove("a.example", "")
        self.add("*.b.example", "alice")
        self.add("a.b.example", "")
        self.add("*", "alice")
        wildcard, exact, star = self.routes[1:]
        for host, route in ((b"a.b.example", exact), (b"c.b.example", wildcard), (b"d", star)):
            first = b"GET http://%b/ HTTP/1.1" % host
            self.assertIs(self.asked(basic(b"alice:x"), first=first), route)
        self.assertIsNone(self.asked(first=b"GET http://c.b.example/ HTTP/1.1"))
        self.assertEqual(self.shown()[:12], b"HTTP/1.1 404")

    def test_what_the_user_has_not_everybody_may_have(self) -> None:
        self.add("a.example", "alice", "/admin")
        self.add("a.example", "", "/x")
        _, admin, x = self.routes
        alice = basic(b"alice:x")
        self.assertIs(self.asked(alice, first=b"GET /admin HTTP/1.1"), admin)
        self.assertIs(self.asked(alice), x)
        self.assertIs(self.asked(first=b"GET /admin HTTP/1.1"), self.routes[0])

    def test_odd_names(self) -> None:
        self.add("a.example", "jürgen")
        self.assertIs(self.asked(basic("jürgen:x".encode())), self.routes[1])
        self.assertIs(self.asked(basic("jürgen:x".encode("latin-1"))), self.routes[0])

    def test_password_of_one_user(self) -> None:
        self.add("a.example", "alice", rules=make_rules(http_user="alice", http_password="p"))
        self.assertIs(self.asked(basic(b"alice:p")), self.routes[1])
        self.assertIsNone(self.asked(basic(b"alice:q")))
        self.assert_page(401)
        self.assertIs(self.asked(basic(b"bob:q")), self.routes[0])


class ProxyTests(UserCase):
    """Requests as one sends them to a proxy."""

    def test_user(self) -> None:
        self.add("b.example", "alice")
        self.add("b.example", "bob")
        alices, bobs = self.routes[1:]
        first = b"GET http://b.example/ HTTP/1.1"
        proxy = basic(b"alice:x", b"Proxy-Authorization")
        self.assertIs(self.asked(proxy, first=first), alices)
        self.assertIs(self.asked(basic(b"bob:x"), proxy, first=first), alices)
        self.assertIs(self.asked(basic(b"bob:x"), first=first), bobs)
        self.assertNotIn(b"Proxy-", alices.service.received())

    def test_the_header_counts_for_proxies_only(self) -> None:
        self.add("a.example", "alice")
        self.assertIs(self.asked(basic(b"alice:x", b"Proxy-Authorization")), self.routes[0])

    def test_password(self) -> None:
        self.add_site("b.example", rules=make_rules(http_user="u", http_password="p"))
        first = b"GET http://b.example/ HTTP/1.1"
        right = basic(b"u:p")
        for lines in ((), (right,), (basic(b"u:q", b"Proxy-Authorization"), right)):
            self.assertIsNone(self.asked(*lines, first=first))
            self.assertIn(b'\r\nProxy-Authenticate: Basic realm="Restricted"\r\n', self.shown())
            self.assertNotIn(b"WWW-", self.shown())
            self.assert_page(407)
        self.assertIsNotNone(self.asked(basic(b"u:p", b"Proxy-Authorization"), first=first))

    def test_password_of_one_user(self) -> None:
        """Who says the user in the service's header is asked for the proxy's."""
        self.add("b.example", "alice", rules=make_rules(http_user="alice", http_password="p"))
        first = b"GET http://b.example/ HTTP/1.1"
        service = basic(b"alice:p")
        self.assertIsNone(self.asked(service, first=first))
        self.assert_page(407)
        self.assertIsNone(self.asked(b"Proxy-Authorization: Basic !", service, first=first))
        self.assert_page(404)
