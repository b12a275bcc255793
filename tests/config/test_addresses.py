# -*- test-case-name: tests.config.test_addresses -*-
"""Tests of `tunnelsvc.config.addresses`."""

from ipaddress import IPv4Network, IPv6Network

from tests.config.test_values import ValueTestCase
from tunnelsvc.config import addresses


class HostTests(ValueTestCase):
    def test_host(self) -> None:
        """Names and addresses are taken; brackets go."""
        same = ("example.com", "x.x.x.x", "my_host-1", "localhost", "0.0.0.0", "::", "例子.cn")
        self.assertTaken(addresses.host, {host: host for host in same})
        self.assertTaken(addresses.host, {"[::1]": "::1", "fe80::1%eth0": "fe80::1%eth0"})

    def test_no_host(self) -> None:
        """What people write by mistake is refused."""
        refused = (
            "",
            "example.com:7000",
            "http://example.com",
            "1.2.3.4:7000",
            "[::1]:7000",
            "[]",
            "a b",
            "a..b",
            ".a",
            "127.0.0.300",
            "127.1",
            "a" * 254,
            ":::",
            "example.com # ours",
        )
        self.assertRefused(addresses.host, "not a host name or IP address", refused)

    def test_optional_address(self) -> None:
        self.assertTaken(addresses.optional_address, {"": "", "10.0.0.1": "10.0.0.1", "::1": "::1"})
        self.assertRefused(addresses.optional_address, "not an IP address", ["eth0", "10.0.0"])

    def test_domain(self) -> None:
        self.assertTaken(
            addresses.domain, {"": "", "Tunnel.Example.COM.": "tunnel.example.com", "a_b": "a_b"}
        )
        refused = ("a.com:80", "http://a.com", "*.a.com", ".a.com", "a..b", "例子.cn", "a" * 254)
        self.assertRefused(addresses.domain, "not a domain name", refused)

    def test_domains(self) -> None:
        self.assertTaken(
            addresses.domains,
            {
                "": (),
                "site1.example.com": ("site1.example.com",),
                " A.com,b.COM. ,, 1.2.3.4,": ("a.com", "b.com", "1.2.3.4"),
                "*": ("*",),
                "*.Example.com": ("*.example.com",),
                "*.a.b.c": ("*.a.b.c",),
            },
        )
        wild = ("*.com", "*.com.", "*.", "a.*.com", "**", "*a.com", "*.*.com", "*.*")
        self.assertRefused(addresses.domains, "a wildcard is * alone", wild)
        refused = ("a.com b.com", "a.com,http://b.com", "*.a.com:80", "*.a..b", ".")
        self.assertRefused(addresses.domains, "not a domain name", refused)

    def test_certificate_domains(self) -> None:
        same = {"a.example,*.b.example": ("a.example", "*.b.example"), "": ()}
        self.assertTaken(addresses.certificate_domains, same)
        self.assertRefused(addresses.certificate_domains, "each must be a name", ("*", "a.com,*"))

    def test_subdomain(self) -> None:
        self.assertTaken(addresses.subdomain, {"": "", "Web-1": "web-1"})
        refused = ("a.b", "*", "a" * 64, "a b", "网")
        self.assertRefused(addresses.subdomain, "not a single name", refused)

    def test_host_and_port(self) -> None:
        taken = {
            "127.0.0.1:8080": ("127.0.0.1", 8080),
            "app_1.internal:80": ("app_1.internal", 80),
            "[::1]:443": ("::1", 443),
        }
        self.assertTaken(addresses.host_and_port(), taken)
        self.assertTaken(addresses.host_and_port(80), taken)
        what = "not a host name or IP address with a port"
        never = (
            "",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "http://a:1",
            "a:1/x",
            "a b:1",
            "[::1]:x",
            "::g",
        )
        self.assertRefused(addresses.host_and_port(), what, never)
        self.assertRefused(addresses.host_and_port(80), what, never)
        without = {"localhost": ("localhost", 80), "::1": ("::1", 80), "[::1]": ("::1", 80)}
        self.assertTaken(addresses.host_and_port(80), without)
        self.assertRefused(addresses.host_and_port(), what, without)

    def test_host_header(self) -> None:
        same = ("", "localhost", "Example.com:8080", "[::1]:80", "[::1]", "127.0.0.1")
        self.assertTaken(addresses.host_header, {host: host for host in same})
        refused = ("http://a", "a b", "a/b", "a:b", "::1", "a\tb", "例")
        self.assertRefused(
            addresses.host_header, "not a host name, with or without a port", refused
        )

    def test_networks(self) -> None:
        self.assertTaken(
            addresses.networks,
            {
                "": (),
                "10.0.0.1": (IPv4Network("10.0.0.1/32"),),
                "10.0.0.0/8, 2001:db8::/32,[::1]": (
                    IPv4Network("10.0.0.0/8"),
                    IPv6Network("2001:db8::/32"),
                    IPv6Network("::1/128"),
                ),
                "Loopback": (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
            },
        )
        refused = ("proxy.example.com", "10.0.0.0/33", "10.1.0.0/8", "10.0.0.1:80", "10.0.0.1 ::1")
        self.assertRefused(addresses.networks, "not a list of IP addresses and networks", refused)


class PeerTests(ValueTestCase):
    """Who else takes part, and where."""

    def test_servers(self) -> None:
        taken = {
            "a.example.com": (("a.example.com", 0),),
            "::1": (("::1", 0),),
            "[::1]:7001, b:7000,": (("::1", 7001), ("b", 7000)),
            "10.0.0.1,[::2]": (("10.0.0.1", 0), ("::2", 0)),
        }
        self.assertTaken(addresses.servers, taken)
        refused = ("", ",", "a b", "a:0", "a:b", "http://a", "a:7000:1", "1.2.3")
        self.assertRefused(addresses.servers, "not a host name or IP address", refused)

    def test_dns_server(self) -> None:
        same = ("", "8.8.8.8", "8.8.8.8:5353", "::1", "[::1]:53")
        self.assertTaken(addresses.dns_server, {each: each for each in same})
        self.assertRefused(addresses.dns_server, "not a host name or IP address", ["a b", "a:0"])
        self.assertRefused(addresses.dns_server, "not an IP address", ["ns.example.com", "ns:53"])

    def test_hook_addr(self) -> None:
        taken = {
            "127.0.0.1:9000": "http://127.0.0.1:9000",
            "https://h": "https://h",
            "http://[::1]:80": "http://[::1]:80",
        }
        self.assertTaken(addresses.hook_addr, taken)
        self.assertRefused(addresses.hook_addr, "neither http:// nor https://", ["ftp://h"])
        self.assertRefused(addresses.hook_addr, "not a host with a port", ["", "h:0", "http://h/x"])
