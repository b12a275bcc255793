# -*- test-case-name: tests.config.test_changes -*-
"""Tests of `tunnelsvc.config.changes`."""

from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config.changes import LIVE, RESTART, merge
from tunnelsvc.config.fields import leaves
from tunnelsvc.config.schema import (
    CertificateConfig,
    DashboardConfig,
    LogConfig,
    ServerConfig,
    TLSConfig,
    WebhookConfig,
)

CONFIGURED = DashboardConfig(
    addr="0.0.0.0", port=7500, user="me", password="p", credentials_configured=True
)
SOMETHING: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(0, 3),
    float: st.sampled_from([1.0, 2.0]),
    str: st.sampled_from(["", "a", "b"]),
    tuple: st.sampled_from([(), ("x",)]),
    type(None): st.sampled_from([None, 5.0]),
}


@st.composite
def configs(draw: st.DrawFn) -> ServerConfig:
    """Give any server's configuration, not only one that a file may hold."""
    found: dict[str, dict[str, Any]] = {"": {}}
    for name, value in leaves(ServerConfig()):
        group, _, inner = name.rpartition(".")
        found.setdefault(group, {})[inner] = draw(SOMETHING[type(value)])
    return ServerConfig(
        **found[""],
        tls=TLSConfig(**found["tls"]),
        log=LogConfig(**found["log"]),
        dashboard=DashboardConfig(**found["dashboard"]),
    )


class TableTests(SynchronousTestCase):
    """Which fields can change."""

    def test_each_field_is_in_one_table(self) -> None:
        """A new field is in neither: whoever adds it has to think about this."""
        names = {name for name, _ in leaves(ServerConfig())}
        self.assertEqual(names, set(LIVE) | RESTART)
        self.assertEqual(set(LIVE) & RESTART, set())


class MergeTests(SynchronousTestCase):
    """What becomes of two configurations."""

    def test_nothing(self) -> None:
        change = merge(ServerConfig(token="t"), ServerConfig(token="t"))
        self.assertEqual((change.live, change.kept), ({}, ()))

    def test_live_and_kept(self) -> None:
        old = ServerConfig(path="frps.ini", token="t", bind_port=7000)
        new = ServerConfig(
            path="/etc/frps.ini",
            token="u",
            bind_port=7001,
            max_pool_count=9,
            log=LogConfig(level="debug", file="x.log"),
        )
        change = merge(old, new)
        self.assertEqual(change.kept, ("bind_port", "log_file"))
        self.assertEqual(set(change.live), {"token", "max_pool_count", "log_level"})
        self.assertEqual(
            change.config,
            evolve(old, token="u", max_pool_count=9, log=LogConfig(level="debug")),
        )

    def test_said_for_the_first_time(self) -> None:
        """Even of the same value it says that it isn't a matter of choice any more."""
        change = merge(ServerConfig(), ServerConfig(tcp_mux_chosen=True))
        self.assertEqual(set(change.live), {"tcp_mux"})

    def test_sections(self) -> None:
        new = ServerConfig(
            plugins=(WebhookConfig(name="a", addr="http://x", ops=("Login",)),),
            certificates=(CertificateConfig(name="a", cert_file="c", key_file="k"),),
        )
        change = merge(ServerConfig(), new)
        self.assertEqual(set(change.live), {"[plugin.NAME]", "[certificate.NAME]"})
        self.assertEqual(change.config, new)

    def test_a_password_is_not_taken_away(self) -> None:
        """That would open the dashboard, wherever it listens, to admin/admin."""
        old = ServerConfig(dashboard=CONFIGURED)
        change = merge(old, ServerConfig(dashboard=DashboardConfig(addr="127.0.0.1", port=7500)))
        self.assertEqual(change.config.dashboard, CONFIGURED)
        self.assertEqual(set(change.kept), {"dashboard_addr", "dashboard_user", "dashboard_pwd"})

    def test_a_password_is_set(self) -> None:
        """At once; but for where it listens."""
        old = ServerConfig(dashboard=DashboardConfig(addr="127.0.0.1", port=7500))
        change = merge(old, ServerConfig(dashboard=CONFIGURED))
        self.assertEqual(change.config.dashboard, evolve(CONFIGURED, addr="127.0.0.1"))
        self.assertEqual(set(change.live), {"dashboard_user", "dashboard_pwd"})
        self.assertEqual(change.kept, ("dashboard_addr",))

    def test_the_dashboard_stays_http_or_https(self) -> None:
        plain = ServerConfig(dashboard=CONFIGURED)
        files: dict[str, Any] = {"tls_cert_file": "c", "tls_key_file": "k"}
        secure = ServerConfig(dashboard=evolve(CONFIGURED, **files))
        for old, new in ((plain, secure), (secure, plain)):
            change = merge(old, new)
            self.assertEqual(change.config, old)
            self.assertEqual(change.kept, ("dashboard_tls_cert_file", "dashboard_tls_key_file"))
        other = ServerConfig(dashboard=evolve(CONFIGURED, **files | {"tls_cert_file": "d"}))
        self.assertEqual(merge(secure, other).config, other)

    @given(configs(), configs())
    def test_any_two(self, old: ServerConfig, new: ServerConfig) -> None:
        """Each field has the old value or the new one, by the tables; and twice is once."""
        change = merge(old, new)
        before, after = dict(leaves(old)), dict(leaves(new))
        for name, value in leaves(change.config):
            if name in RESTART:
                self.assertEqual(value, before[name], name)
            elif not name.startswith("dashboard."):
                self.assertEqual(value, after[name], name)
            else:
                self.assertIn(value, (before[name], after[name]), name)
        again = merge(change.config, new)
        self.assertEqual((again.config, again.live), (change.config, {}))
