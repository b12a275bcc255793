# -*- test-case-name: tests.test_addresses -*-
"""Tests of `tunnelsvc.addresses`."""

from ipaddress import IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address as TwistedIPv4
from twisted.internet.address import IPv6Address as TwistedIPv6
from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.addresses import (
    at,
    bracketed,
    host_and_port,
    is_address,
    is_loopback,
    site_of,
    unbracketed,
)


class AddressTests(SynchronousTestCase):
    """Names and addresses of both kinds."""

    def test_host_and_port(self) -> None:
        self.assertEqual(host_and_port("192.0.2.1", 22), "192.0.2.1:22")
        self.assertEqual(host_and_port("a.example", "22"), "a.example:22")
        self.assertEqual(host_and_port("2001:db8::1", 22), "[2001:db8::1]:22")

    def test_sites(self) -> None:
        self.assertEqual(site_of("192.0.2.1"), "192.0.2.1")
        self.assertEqual(site_of("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(site_of("?"), "?")
        self.assertEqual(site_of("fe80::1%eth0"), site_of("fe80::2"))

    @given(st.ip_addresses(v=6), st.ip_addresses(v=6))
    def test_networks(self, one: IPv6Address, other: IPv6Address) -> None:
        """Two addresses are of one site if their first 64 bits are the same."""
        if one.ipv4_mapped is None and other.ipv4_mapped is None:
            same = one.packed[:8] == other.packed[:8]
            self.assertEqual(site_of(str(one)) == site_of(str(other)), same)
        neighbour = IPv6Address(one.packed[:8] + bytes(7) + b"\x01")
        if one.ipv4_mapped is None:
            self.assertEqual(site_of(str(one)), site_of(str(neighbour)))

    def test_brackets(self) -> None:
        """On and off; what has none stays as it is."""
        for host, shown in (("::1", "[::1]"), ("192.0.2.1",) * 2, ("a.example",) * 2):
            self.assertEqual(bracketed(host), shown)
            self.assertEqual(unbracketed(shown), host)
            self.assertEqual(unbracketed(host), host)

    def test_of_twisted(self) -> None:
        self.assertEqual(at(TwistedIPv4("TCP", "192.0.2.1", 5)), "192.0.2.1:5")
        self.assertEqual(at(TwistedIPv6("TCP", "2001:db8::1", 5)), "[2001:db8::1]:5")
        self.assertEqual(at(UNIXAddress(b"/x")), ":0")
        self.assertEqual(at(UNIXAddress(b"/x"), "?", "?"), "?:?")

    def test_kinds(self) -> None:
        for host in ("192.0.2.1", "::1", "fe80::1%eth0"):
            self.assertTrue(is_address(host))
        for host in ("", "a.example", "[::1]", "1.2.3"):
            self.assertFalse(is_address(host))

    def test_loopback(self) -> None:
        for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LocalHost."):
            self.assertTrue(is_loopback(host), host)
        for host in ("", "0.0.0.0", "::", "192.0.2.1", "localhost.example", "a.example"):
            self.assertFalse(is_loopback(host), host)
