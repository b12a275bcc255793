# -*- test-case-name: tests.config.test_schema -*-
"""Tests of `tunnelsvc.config.schema`."""

from attrs import evolve, fields
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import STEADY
from tunnelsvc.config.proxies import HealthCheckConfig, HTTPProxyConfig, ProxyConfig, TCPProxyConfig
from tunnelsvc.config.schema import (
    ClientConfig,
    DashboardConfig,
    LogConfig,
    ServerConfig,
    TLSConfig,
)

# Long enough not to be in a repr by chance.
SECRETS = st.text(st.characters(categories=["L", "N"]), min_size=20, max_size=30)


class SecretsTests(SynchronousTestCase):
    @STEADY
    @given(SECRETS)
    def test_masked(self, value: str) -> None:
        """No secret, and nothing that may be one, is in a repr."""
        proxy = HTTPProxyConfig(
            name="web",
            type="http",
            local_port=80,
            http_password=value,
            headers={"Authorization": value},
            metas={"password": value},
        )
        dashboard = DashboardConfig(addr="::", password=value)
        server = ServerConfig(token=value, dashboard=dashboard)
        client = ClientConfig(token=value, metas={"token": value}, proxies=(proxy,))
        self.assertNotIn(value, f"{server}{client}")

    def test_shown(self) -> None:
        """A repr does show whether there is a secret, and the names of metadata."""
        self.assertIn("token='***'", repr(ServerConfig(token="x")))
        self.assertIn("token=''", repr(ServerConfig()))
        self.assertIn("metas={'place': '***'}", repr(ClientConfig(metas={"place": "office"})))


class DefaultsTests(SynchronousTestCase):
    """The defaults that users of frp rely on, or that we chose to differ in."""

    def test_server(self) -> None:
        config = ServerConfig()
        self.assertEqual((config.bind_addr, config.bind_port), ("0.0.0.0", 7000))
        self.assertEqual(config.dashboard.addr, "127.0.0.1")
        self.assertEqual((config.dashboard.port, config.vhost_http_port), (0, 0))
        self.assertFalse(config.tls.only)
        self.assertIsNone(config.heartbeat_timeout_seconds)

    def test_client(self) -> None:
        config = ClientConfig()
        self.assertTrue(config.tls.enable)
        self.assertTrue(config.tcp_mux)
        self.assertTrue(config.login_fail_exit)
        self.assertEqual(config.pool_count, 1)

    def test_proxy(self) -> None:
        proxy = TCPProxyConfig(name="ssh", type="tcp", local_port=22)
        self.assertEqual((proxy.local_ip, proxy.remote_port), ("127.0.0.1", 0))


class FrozenTests(SynchronousTestCase):
    def test_frozen(self) -> None:
        """No value changes once it is there; a changed copy is another value."""
        config = ClientConfig()
        self.assertRaises(FrozenInstanceError, setattr, config, "user", "x")
        self.assertNotEqual(evolve(config, user="x"), config)

    def test_equal(self) -> None:
        """Equal files make equal values, so that reloading can compare them."""
        self.assertEqual(ClientConfig(metas={"a": "1"}), ClientConfig(metas={"a": "1"}))
        self.assertNotEqual(ClientConfig(metas={"a": "1"}), ClientConfig(metas={"a": "2"}))

    def test_units(self) -> None:
        """Whatever is a time says so in its name."""
        for kind in (
            ServerConfig,
            ClientConfig,
            ProxyConfig,
            HealthCheckConfig,
            TLSConfig,
            LogConfig,
        ):
            for each in fields(kind):
                if isinstance(each.default, float):
                    self.assertTrue(each.name.endswith("_seconds"), each.name)
