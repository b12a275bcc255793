# -*- test-case-name: tests.gateway.test_forwarded -*-
"""Tests of `tunnelsvc.gateway.forwarded`."""

from ipaddress import ip_address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.forwarded import MOST_HOPS, Origin, Trust, origin_of
from tunnelsvc.gateway.rewrite import request_for_backend
from tunnelsvc.gateway.rules import Rules, make_rules
from tunnelsvc.wire.httphead import RequestHead, parse_request_head, values_of

STEADY = settings(derandomize=True, deadline=None)
TRUST = Trust(map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32")))
NGINX = origin_of("127.0.0.1", b"http", TRUST)
STRANGER = origin_of("192.0.2.7", b"http", TRUST)


def request(*lines: bytes) -> RequestHead:
    """Make a request of these lines, for host a."""
    return parse_request_head(b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *lines, b"", b""]))


def passed_on(origin: Origin, *lines: bytes, rules: Rules | None = None) -> list[bytes]:
    """Give the lines behind Host that the service gets."""
    made = request_for_backend(request(*lines), rules or Rules(), origin)
    return made.split(b"\r\n")[2:-2]


class TrustTests(SynchronousTestCase):
    def test_covers(self) -> None:
        for address in ("127.0.0.1", "10.255.0.1", "::ffff:10.0.0.1", "2001:db8::1"):
            self.assertTrue(TRUST.covers(address))
        for address in ("11.0.0.1", "::1", "2001:db9::1", "", "x", "10.0.0.1:80", "10.0.0.1/8"):
            self.assertFalse(TRUST.covers(address))

    def test_looked_up_once(self) -> None:
        trust = Trust([ip_network("10.0.0.0/8")])
        for _ in range(3):
            trust.covers("10.0.0.1")
        self.assertEqual(trust.covers.cache_info().misses, 1)


class OriginTests(SynchronousTestCase):
    def test_peers(self) -> None:
        self.assertEqual(origin_of("192.0.2.7", b"https", None), Origin(b"192.0.2.7", b"https"))
        self.assertEqual(STRANGER, Origin(b"192.0.2.7", extends=False))
        self.assertEqual(NGINX, Origin(b"127.0.0.1", trust=TRUST))
        self.assertEqual(origin_of("::ffff:192.0.2.7", b"http", None).address, b"192.0.2.7")
        self.assertEqual(origin_of("", b"http", TRUST), Origin(b"", extends=False))

    def assert_user(self, address: bytes, *lines: bytes) -> None:
        self.assertEqual(NGINX.user_of(request(*lines)), address, lines)

    def test_strangers_are_who_they_are(self) -> None:
        claim = request(b"X-Forwarded-For: 10.0.0.1", b"X-Real-IP: 10.0.0.1", b"Forwarded: for=x")
        for origin in (STRANGER, origin_of("192.0.2.7", b"http", None)):
            self.assertEqual(origin.user_of(claim), b"192.0.2.7")

    def test_the_closest_that_is_not_trusted(self) -> None:
        for way, user in (
            (b"198.51.100.1", b"198.51.100.1"),
            (b"6.6.6.6, 198.51.100.1", b"198.51.100.1"),
            (b"6.6.6.6, 198.51.100.1, 10.0.0.3, 10.0.0.4", b"198.51.100.1"),
            (b"10.0.0.3, 10.0.0.4", b"10.0.0.3"),
            (b"198.51.100.1:4711", b"198.51.100.1"),
            (b"[2001:DB9::0:1]:4711", b"2001:db9::1"),
            (b"2001:db9::1", b"2001:db9::1"),
            (b"6.6.6.6, unknown", b"127.0.0.1"),
            (b"6.6.6.6, unknown, 10.0.0.3", b"10.0.0.3"),
            (b"6.6.6.6, \xff\xfe", b"127.0.0.1"),
            (b"", b"127.0.0.1"),
            (b"6.6.6.6, fe80::1%<script>", b"127.0.0.1"),
        ):
            self.assert_user(user, b"X-Forwarded-For: " + way)

    def test_over_several_lines(self) -> None:
        lines = (b"X-Forwarded-For: 6.6.6.6", b"A: b", b"x-forwarded-for: 198.51.100.1, 10.0.0.3")
        self.assert_user(b"198.51.100.1", *lines)

    def test_other_headers(self) -> None:
        """They count where the usual one is missing."""
        self.assert_user(b"198.51.100.1", b"X-Real-IP: 198.51.100.1")
        self.assert_user(b"198.51.100.1", b"X-Real-IP: 6.6.6.6", b"X-Forwarded-For: 198.51.100.1")
        for forwarded, user in (
            (b"for=198.51.100.1;proto=https", b"198.51.100.1"),
            (b"for=6.6.6.6, For=198.51.100.1, proto=http; for = 10.0.0.3", b"198.51.100.1"),
            (b'for="[2001:db9::1]:4711"', b"2001:db9::1"),
            (b'for=198.51.100.1;host="a, for=6.6.6.6; for=6.6.6.6"', b"198.51.100.1"),
            (b"for=6.6.6.6, proto=https", b"127.0.0.1"),
            (b"for=6.6.6.6, for=_hidden, for=10.0.0.3", b"10.0.0.3"),
            (b'for=6.6.6.6, for="', b"127.0.0.1"),
            (b'for=6.6.6.6, for="\\1"', b"127.0.0.1"),
        ):
            self.assert_user(user, b"Forwarded: " + forwarded)
        self.assert_user(b"127.0.0.1")

    def test_a_way_without_end(self) -> None:
        hops = [b"198.51.100.1", *[b"10.0.0.%d" % number for number in range(MOST_HOPS + 1)]]
        self.assert_user(b"10.0.0.1", b"X-Forwarded-For: " + b",".join(hops))

    @given(st.sampled_from([b"X-Forwarded-For", b"Forwarded", b"X-Real-IP"]), st.text(max_size=60))
    @STEADY
    def test_garbage(self, name: bytes, text: str) -> None:
        """Nothing raises, and the user is always an address."""
        value = text.encode().translate(None, bytes(range(32)) + b"\x7f")
        for told in (value, b"6.6.6.6," + value, b'for=6.6.6.6;x="' + value):
            ip_address(NGINX.user_of(request(name + b": " + told)).decode())

    @given(st.lists(st.sampled_from(["6.6.6.6", "10.0.0.1", "10.0.0.2", "x"]), max_size=6))
    @STEADY
    def test_nobody_chooses_his_address(self, claims: list[str]) -> None:
        """Whatever a user claims before a proxy of ours adds his address."""
        way = ", ".join([*claims, "198.51.100.1", "10.0.0.9"])
        self.assert_user(b"198.51.100.1", b"X-Forwarded-For: " + way.encode())


class HeaderTests(SynchronousTestCase):
    """What services are told."""

    CLAIMS = (
        b"X-Forwarded-For: 6.6.6.6, 198.51.100.1",
        b"X-Forwarded-Host: shop.example",
        b"X-Forwarded-Proto: https",
        b"X-Real-IP: 6.6.6.6",
        b"Forwarded: for=198.51.100.1;proto=https",
    )

    def test_by_a_trusted_proxy(self) -> None:
        self.assertEqual(
            passed_on(NGINX, *self.CLAIMS),
            [
                b'Forwarded: for=198.51.100.1;proto=https, for=127.0.0.1;host="a";proto=http',
                b"X-Forwarded-For: 6.6.6.6, 198.51.100.1, 127.0.0.1",
                b"X-Forwarded-Host: shop.example",
                b"X-Forwarded-Proto: https",
                b"X-Real-IP: 198.51.100.1",
            ],
        )

    def test_a_trusted_proxy_that_says_nothing(self) -> None:
        self.assertEqual(
            passed_on(NGINX),
            [
                b"X-Forwarded-For: 127.0.0.1",
                b"X-Forwarded-Host: a",
                b"X-Forwarded-Proto: http",
                b"X-Real-IP: 127.0.0.1",
            ],
        )

    def test_by_a_stranger(self) -> None:
        self.assertEqual(
            passed_on(STRANGER, *self.CLAIMS),
            [
                b"X-Forwarded-For: 192.0.2.7",
                b"X-Forwarded-Host: a",
                b"X-Forwarded-Proto: http",
                b"X-Real-IP: 192.0.2.7",
            ],
        )

    def test_by_anybody_as_in_frp(self) -> None:
        lines = passed_on(origin_of("192.0.2.7", b"http", None), *self.CLAIMS)
        self.assertEqual(lines[0], b"X-Forwarded-For: 6.6.6.6, 198.51.100.1, 192.0.2.7")
        self.assertEqual(lines[1:], passed_on(STRANGER)[1:])

    def test_over_ipv6(self) -> None:
        lines = passed_on(origin_of("2001:db8::5", b"https", TRUST), b"Forwarded: for=6.6.6.6")
        self.assertEqual(
            lines[0], b'Forwarded: for=6.6.6.6, for="[2001:db8::5]";host="a";proto=https'
        )

    def test_rules_win(self) -> None:
        rules = make_rules(headers={"x-real-ip": "mine", "Forwarded": "for=mine"})
        lines = passed_on(NGINX, *self.CLAIMS, rules=rules)
        headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
        self.assertEqual(values_of(headers, b"x-real-ip"), [b"mine"])
        self.assertEqual(values_of(headers, b"forwarded"), [b"for=mine"])
