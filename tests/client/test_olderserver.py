# -*- test-case-name: tests.client.test_olderserver -*-
"""Tests for `tunnelsvc.client.olderserver`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.client.olderserver import ignored_by
from tunnelsvc.config.proxies import (
    HTTPProxyConfig,
    HTTPSProxyConfig,
    ProxyConfig,
    STCPProxyConfig,
    SUDPProxyConfig,
    TCPProxyConfig,
    UDPProxyConfig,
)

BY_USER = HTTPProxyConfig(name="a", custom_domains=("a.example",), route_by_http_user="alice")
ANY_NAME = HTTPProxyConfig(name="a", custom_domains=("*",))
HEADERS = HTTPProxyConfig(name="a", subdomain="a", response_headers={"X-A": "b"})
LIMITED = TCPProxyConfig(name="a", bandwidth_limit="1MB", bandwidth_limit_mode="server")
BY_VISITORS = STCPProxyConfig(name="a", secret_key="s", allow_users=("bob",))
SECURE_GROUP = HTTPSProxyConfig(name="a", type="https", subdomain="a", group="g")


class IgnoredTests(SynchronousTestCase):
    """What which frps ignores."""

    def check(self, proxy: ProxyConfig, since: str, before: str, key: str) -> None:
        self.assertEqual(list(ignored_by(since, proxy)), [])
        [text] = ignored_by(before, proxy)
        self.assertIn(key, text)
        self.assertIn(since.removesuffix(".0"), text)

    def test_since(self) -> None:
        udp = UDPProxyConfig(name="a", use_encryption=True)
        self.check(udp, "0.34.0", "0.33.0", "use_encryption")
        sudp = SUDPProxyConfig(name="a", use_compression=True)
        self.check(sudp, "0.34.0", "0.33.0", "use_compression")
        self.check(BY_USER, "0.43.0", "0.42.0", "route_by_http_user")
        self.check(ANY_NAME, "0.43.0", "0.33.0", "custom_domains = *")
        self.check(LIMITED, "0.47.0", "0.46.0", "bandwidth_limit_mode")
        self.check(BY_VISITORS, "0.50.0", "0.49.0", "allow_users")
        self.check(HEADERS, "0.58.0", "0.57.0", "response_header_")
        self.check(SECURE_GROUP, "0.66.0", "0.65.0", "group")

    def test_ordinary_proxies(self) -> None:
        for proxy in (
            TCPProxyConfig(name="a", group="g", use_encryption=True, bandwidth_limit="1MB"),
            UDPProxyConfig(name="a"),
            STCPProxyConfig(name="a", secret_key="s"),
            HTTPProxyConfig(name="a", custom_domains=("*.a.example",), group="g"),
            HTTPSProxyConfig(name="a", type="https", custom_domains=("a.example",)),
        ):
            self.assertEqual(list(ignored_by("0.30.0", proxy)), [])

    def test_all_at_once(self) -> None:
        proxy = HTTPProxyConfig(
            name="a", custom_domains=("*",), route_by_http_user="a", response_headers={"A": "b"}
        )
        self.assertEqual(len(list(ignored_by("0.33.0", proxy))), 3)

    def test_unreadable(self) -> None:
        for version in ("", "0", "x.y.z", "٠.x", "1.0.0", "0.100.0"):
            self.assertEqual(list(ignored_by(version, SECURE_GROUP)), [])

    @given(st.text())
    def test_any_version(self, version: str) -> None:
        self.assertLessEqual(len(list(ignored_by(version, BY_USER))), 1)
