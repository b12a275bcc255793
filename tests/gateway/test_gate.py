# -*- test-case-name: tests.gateway.test_gate -*-
"""Tests of `tunnelsvc.gateway.gate`, and of how the vhost path minds a gate."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.support import OK, VhostCase, telling_pair
from tests.streams import recorded
from tunnelsvc.gateway.forwarded import Origin, Trust
from tunnelsvc.gateway.gate import Turned, only_for, to_https
from tunnelsvc.gateway.protocol import VhostProtocol
from tunnelsvc.wire.httphead import RequestHead, parse_request_head

ORIGIN = Origin(b"192.0.2.7")
STEADY = settings(derandomize=True, deadline=None)


def head(target: bytes = b"/", host: bytes = b"a.example", method: bytes = b"GET") -> RequestHead:
    return parse_request_head(b"%b %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (method, target, host))


class RedirectTests(SynchronousTestCase):
    """Where users of http are sent."""

    def setUp(self) -> None:
        self.gate = to_https(lambda host: host in {"a.example", "::1"}, 8443)

    def assert_sent(self, request: RequestHead, location: bytes, status: int = 301) -> None:
        self.assertEqual(self.gate(request, ORIGIN), Turned(status, location))

    def test_hosts(self) -> None:
        """Case, port and dot of the Host header don't matter, and aren't repeated."""
        for host in (b"a.example", b"A.Example.:8080"):
            self.assert_sent(head(b"/x?y=/z", host), b"https://a.example:8443/x?y=/z")
        self.assert_sent(head(b"/", b"[::1]:80"), b"https://[::1]:8443/")
        self.assertIsNone(self.gate(head(host=b"b.example"), ORIGIN))

    def test_default_port(self) -> None:
        gate = to_https(lambda _: True, 443)
        self.assertEqual(gate(head(), ORIGIN), Turned(301, b"https://a.example/"))

    def test_methods(self) -> None:
        """What has a body is asked again with its method, by programs that know the status."""
        self.assert_sent(head(method=b"HEAD"), b"https://a.example:8443/")
        for method in (b"POST", b"PUT", b"OPTIONS"):
            self.assert_sent(head(method=method), b"https://a.example:8443/", 308)

    def test_targets(self) -> None:
        self.assert_sent(head(b"http://a.example"), b"https://a.example:8443/")
        self.assert_sent(head(b"//b.example/"), b"https://a.example:8443//b.example/")
        self.assert_sent(head(b"/\xe4?\xff"), b"https://a.example:8443/%E4?%FF")
        self.assertIsNone(self.gate(head(b"*", method=b"OPTIONS"), ORIGIN))
        self.assertIsNone(self.gate(head(b"a.example:443", method=b"CONNECT"), ORIGIN))

    def test_challenges(self) -> None:
        """A certificate can be had before there is one."""
        start = b"/.well-known/acme-challenge/"
        self.assertIsNone(self.gate(head(start + b"token-1_x"), ORIGIN))
        for path in (start, start + b"../admin", start + b"%2e%2e/admin", start + b"x?y"):
            self.assert_sent(head(path), b"https://a.example:8443" + path)

    def test_proxies_before_us(self) -> None:
        """Only of one that is trusted it is believed that the user came by https."""
        lines = b"X-Forwarded-Proto: %b\r\n"
        trusted = Origin(b"192.0.2.7", trust=Trust(()))
        for said, origin, sent in (
            (lines % b"HTTPS", trusted, False),
            (lines % b"https, http", trusted, False),
            (lines % b"http", trusted, True),
            (b"", trusted, True),
            (lines % b"https", ORIGIN, True),
        ):
            request = parse_request_head(b"GET / HTTP/1.1\r\nHost: a.example\r\n%b\r\n" % said)
            self.assertEqual(self.gate(request, origin) is not None, sent, said)

    @STEADY
    @given(st.binary(max_size=50).map(lambda path: b"/" + path))
    def test_any_path(self, path: bytes) -> None:
        """Whatever passes for a path makes one line of ASCII."""
        request = evolve(head(), path=path.translate(None, bytes(range(0x21)) + b"\x7f"))
        turned = self.gate(request, ORIGIN)
        assert turned is not None
        self.assertTrue(turned.location.isascii())


class OnlyForTests(SynchronousTestCase):
    def test_hosts(self) -> None:
        gate = only_for({"a.example", "::1"}.__contains__)
        for host in (b"a.example", b"A.EXAMPLE:8443", b"a.example.", b"[::1]", b""):
            self.assertIsNone(gate(head(host=host), ORIGIN))
        for host in (b"b.example", b"a.example.b.example", b"127.0.0.1"):
            self.assertEqual(gate(head(host=host), ORIGIN), Turned(421))


class GateTests(VhostCase):
    """On a user's connection."""

    def pass_gate(self, scheme: bytes = b"https", *, hsts: bytes = b"") -> None:
        """Connect a user to a site with both gates, by TLS as far as it can tell, or without."""
        allowed = only_for(lambda host: host != "other.example")
        moved = to_https(lambda host: host == "moved.example", 443)
        site = evolve(
            self.factory.site,
            gate=lambda head, origin: allowed(head, origin) or moved(head, origin),
            hsts=hsts,
        )
        self.user, self.near = telling_pair("user")
        self.at_user = recorded(self.user)
        VhostProtocol(site, scheme).take_over(self.near, b"")

    def test_misdirected(self) -> None:
        """It costs neither the connection nor the requests behind."""
        self.pass_gate()
        other = b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"
        self.ask(other + b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assert_page(421)
        self.answer()
        self.assertTrue(self.take().endswith(b"\r\n\r\nok"))

    def test_moved(self) -> None:
        self.pass_gate(b"http")
        self.ask(b"GET /x HTTP/1.1\r\nHost: moved.example\r\n\r\n")
        shown = self.shown()
        self.assertIn(b"\r\nLocation: https://moved.example/x\r\n", shown)
        self.assert_page(301)

    def test_body_of_a_moved_request(self) -> None:
        """It isn't read: the connection ends."""
        self.pass_gate(b"http")
        self.ask(b"POST / HTTP/1.1\r\nHost: moved.example\r\nContent-Length: 5\r\n\r\n")
        self.assert_refused(308)

    def test_scheme(self) -> None:
        self.pass_gate()
        self.get()
        self.assertIn(b"\r\nX-Forwarded-Proto: https\r\n", self.service.received())

    def test_hsts(self) -> None:
        """Told with each response, unless the service has an opinion of its own."""
        self.pass_gate(hsts=b"max-age=60")
        self.get()
        self.answer()
        self.assertEqual(self.take().count(b"\r\nStrict-Transport-Security: max-age=60\r\n"), 1)
        self.get()
        own = b"strict-transport-security: max-age=1\r\n"
        self.answer(OK.replace(b"\r\n\r\n", b"\r\n" + own + b"\r\n"))
        shown = self.take()
        self.assertIn(own, shown)
        self.assertNotIn(b"max-age=60", shown)

    def test_no_hsts(self) -> None:
        self.get()
        self.answer()
        self.assertNotIn(b"Strict", self.take())
