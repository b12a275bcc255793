# -*- test-case-name: tests.gateway.test_router -*-
"""Tests of `tunnelsvc.gateway.router`."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.gateway import router as router_module
from tunnelsvc.gateway.router import MISSED_SECONDS, Router, normalise

STEADY = settings(derandomize=True, deadline=None)


def router(*routes: tuple[str, str]) -> Router[str]:
    """Make a router whose targets say which route they are."""
    made: Router[str] = Router()
    for domain, location in routes:
        made.add(domain, location, domain + location)
    return made


class HostTests(SynchronousTestCase):
    def test_normalise(self) -> None:
        for host, name in (
            ("A.Example.COM", "a.example.com"),
            ("a.example.com:8080", "a.example.com"),
            ("a.example.com.", "a.example.com"),
            ("a.example.com.:80", "a.example.com"),
            ("[::1]:80", "::1"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("::1", "::1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("", ""),
        ):
            self.assertEqual(normalise(host), name)

    def test_exact(self) -> None:
        routes = router(("a.example.com", ""), ("B.Example.com", ""), ("[::1]", ""))
        self.assertEqual(routes.find("A.example.com:81", "/"), "a.example.com")
        self.assertEqual(routes.find("b.example.com.", "/"), "B.Example.com")
        self.assertEqual(routes.find("[::1]:80", "/"), "[::1]")
        self.assertIsNone(routes.find("c.example.com", "/"))
        self.assertIsNone(routes.find("", "/"))

    def test_wildcards(self) -> None:
        """The closest wildcard wins, over any number of labels."""
        routes = router(("*.example.com", ""), ("*.b.example.com", ""), ("a.example.com", ""))
        for host, target in (
            ("a.example.com", "a.example.com"),
            ("x.example.com", "*.example.com"),
            ("x.a.example.com", "*.example.com"),
            ("x.b.example.com", "*.b.example.com"),
            ("x.y.b.example.com", "*.b.example.com"),
            ("b.example.com", "*.example.com"),
            ("example.com", None),
            ("x.example.org", None),
        ):
            self.assertEqual(routes.find(host, "/"), target, host)

    def test_no_wildcard_below_a_top_level_domain(self) -> None:
        self.assertIsNone(router(("*.com", "")).find("example.com", "/"))

    def test_star_catches_the_rest(self) -> None:
        routes = router(("*", ""), ("*.example.com", ""))
        for host, target in (("x.example.com", "*.example.com"), ("x", "*"), ("", "*")):
            self.assertEqual(routes.find(host, "/"), target)


class LocationTests(SynchronousTestCase):
    def test_longest_prefix(self) -> None:
        routes = router(("a", ""), ("a", "/static"), ("a", "/static/x"), ("a", "/t"))
        for path, target in (
            ("/", "a"),
            ("/stat", "a"),
            ("/static", "a/static"),
            ("/static/y", "a/static"),
            ("/static/x/y", "a/static/x"),
            ("/t", "a/t"),
            ("*", "a"),
        ):
            self.assertEqual(routes.find("a", path), target, path)

    def test_another_domain_serves_what_the_closest_does_not(self) -> None:
        routes = router(("a.example.com", "/api"), ("*.example.com", ""))
        self.assertEqual(routes.find("a.example.com", "/api"), "a.example.com/api")
        self.assertEqual(routes.find("a.example.com", "/x"), "*.example.com")

    @given(st.sets(st.text("ab/", max_size=4), max_size=6), st.text("ab/", max_size=6))
    @STEADY
    def test_whatever_locations(self, locations: set[str], path: str) -> None:
        routes = router(*(("a", location) for location in sorted(locations)))
        prefixes = [path[:end] for end in range(len(path) + 1) if path[:end] in locations]
        self.assertEqual(routes.find("a", path), "a" + prefixes[-1] if prefixes else None)


class UserTests(SynchronousTestCase):
    """Routes for one user; more in `tests.gateway.test_admission`."""

    def test_same_place(self) -> None:
        routes = router(("a", ""))
        for user in ("alice", "bob"):
            routes.add("a", "", user, user=user)
        for user, target in (("alice", "alice"), ("bob", "bob"), ("", "a"), ("eve", "a")):
            self.assertEqual(routes.find("a", "/", user), target)
        self.assertRaises(ProxyRefused, routes.add, "A", "", "x", user="bob")

    def test_whether_it_matters(self) -> None:
        routes = router(("a", ""))
        self.assertFalse(routes.by_user)
        routes.add("a", "", "x", user="x")
        routes.add("b", "", "y", user="y")
        for domain, user, matters in (("a", "x", True), ("b", "z", True), ("b", "y", False)):
            routes.remove(domain, "", user=user)
            self.assertIs(routes.by_user, matters)
        self.assertEqual(routes.find("a", "/", "x"), "a")


class MissedTests(SynchronousTestCase):
    """What was served until a moment ago."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1e6)
        self.routes: Router[str] = Router(self.clock.seconds)

    def serve(self, domain: str, user: str = "") -> None:
        """Serve a domain for a moment."""
        self.routes.add(domain, "", "x", user=user)
        self.routes.remove(domain, "", user=user)

    def test_missed(self) -> None:
        self.assertFalse(self.routes.misses("a.example.com"))
        self.serve("A.example.com")
        self.serve("*.b.example.com", "me")
        for host in ("a.example.com:80", "c.d.b.example.com"):
            self.assertTrue(self.routes.misses(host))
        for host in ("b.example.com", "x.a.example.com", ""):
            self.assertFalse(self.routes.misses(host))

    def test_not_what_was_never_there(self) -> None:
        self.routes.remove("a", "")
        self.assertFalse(self.routes.misses("a"))

    def test_back_again(self) -> None:
        self.serve("a")
        self.routes.add("a", "", "x")
        self.assertFalse(self.routes.misses("a"))

    def test_not_for_ever(self) -> None:
        self.serve("a")
        self.clock.advance(MISSED_SECONDS - 1)
        self.assertTrue(self.routes.misses("a"))
        self.serve("a")
        self.clock.advance(MISSED_SECONDS)
        self.assertFalse(self.routes.misses("a"))

    def test_not_too_many(self) -> None:
        self.patch(router_module, "MOST_MISSED", 2)
        for domain in ("a", "b", "a", "c"):
            self.serve(domain)
        for domain, missed in (("a", True), ("b", False), ("c", True)):
            self.assertIs(self.routes.misses(domain), missed)

    def test_without_a_clock(self) -> None:
        routes = router(("a", ""))
        routes.remove("a", "")
        self.assertFalse(routes.misses("a"))


class ChangeTests(SynchronousTestCase):
    def test_conflict(self) -> None:
        routes = router(("a.example.com", "/x"))
        error = self.assertRaises(ProxyRefused, routes.add, "A.example.com", "/x", "other")
        self.assertEqual(str(error), "router config conflict")
        self.assertEqual(routes.find("a.example.com", "/x"), "a.example.com/x")

    def test_remove(self) -> None:
        routes = router(("a", ""), ("a", "/x"))
        routes.remove("A", "/x")
        self.assertEqual(routes.find("a", "/x"), "a")
        routes.remove("a", "")
        self.assertIsNone(routes.find("a", "/x"))
        routes.add("a", "/x", "again")
        self.assertEqual(routes.find("a", "/x"), "again")

    def test_remove_what_is_not_there(self) -> None:
        routes = router(("a", ""))
        routes.remove("a", "/x")
        routes.remove("b", "")
        self.assertEqual(routes.find("a", "/x"), "a")
