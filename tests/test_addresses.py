# -*- test-case-name: tests.link.test_addresses -*-
"""Tests of `tunnelsvc.link.addresses`."""

from ipaddress import IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.link.addresses import host_and_port, site_of


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
