# -*- test-case-name: tests.config.test_notyet -*-
"""Tests of `tunnelsvc.config.notyet`."""

from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import ConfigTestCase
from tunnelsvc.config import keys, notyet

MESSAGE = "is not supported yet; leave the line out"

# What a file may ask for, by key.
SERVER = {
    "authentication_method": "oidc",
    "oidc_issuer": "https://example.com",
    "oidc_skip_expiry_check": "true",
    "bind_udp_port": "7001",
    "kcp_bind_port": "7000",
    "quic_bind_port": "7000",
    "quic_keepalive_period": "20",
    "quic_max_idle_timeout": "60",
    "quic_max_incoming_streams": "10",
    "nat_hole_analysis_data_reserve_hours": "1",
    "assets_dir": "./static",
    "pprof_enable": "true",
}
CLIENT = {
    "authentication_method": "oidc",
    "oidc_client_id": "abc",
    "quic_keepalive_period": "20",
    "quic_max_idle_timeout": "60",
    "quic_max_incoming_streams": "10",
    "quic_port": "1",
    "nat_hole_stun_server": "stun.example.com:3478",
    "assets_dir": "./static",
    "pprof_enable": "true",
}
VISITOR = {
    "protocol": "kcp",
    "keep_tunnel_open": "true",
    "max_retries_an_hour": "9",
    "min_retry_interval": "9",
    "fallback_to": "x",
    "fallback_timeout_ms": "9",
}
OFF = {
    "server": "authentication_method=token\noidc_issuer=\nkcp_bind_port=0\nquic_bind_port=0\n"
    "quic_max_incoming_streams=100000\nassets_dir=\npprof_enable=false\n",
    "client": "authentication_method=token\nquic_max_idle_timeout=30\nquic_keepalive_period=10\n",
    "visitor": "protocol=quic\nkeep_tunnel_open=false\nfallback_to=\n",
}


class RefusedTests(ConfigTestCase):
    def assertAllRefused(self, asked: dict[str, str], problems: tuple[str, ...]) -> None:
        self.assertEqual(len(problems), len(asked))
        for key, problem in zip(asked, problems, strict=True):
            self.assertIn(f"] {key} = ", problem)
            self.assertTrue(problem.endswith(f": {MESSAGE}"), problem)

    def test_server(self) -> None:
        lines = "\n".join(f"{key} = {value}" for key, value in SERVER.items())
        self.assertAllRefused(SERVER, self.server_says(f"[common]\n{lines}"))

    def test_client(self) -> None:
        lines = "\n".join(f"{key} = {value}" for key, value in CLIENT.items())
        self.assertAllRefused(CLIENT, self.client_says(f"[common]\n{lines}"))

    def test_visitors(self) -> None:
        lines = "\n".join(f"{key} = {value}" for key, value in VISITOR.items())
        start = "[common]\n[x]\ntype = stcp\nrole = visitor\nserver_name = y\nbind_port = 1\n"
        self.assertAllRefused(VISITOR, self.client_says(f"{start}{lines}"))

    def test_all_are_tried(self) -> None:
        """The tables of this test hold something for each line of the tables it is about."""
        pairs = ((SERVER, notyet.SERVER), (CLIENT, notyet.CLIENT), (VISITOR, notyet.VISITOR))
        for asked, table in pairs:
            for pattern in table:
                start = pattern.removesuffix("*")
                self.assertTrue(any(key.startswith(start) for key in asked), pattern)

    def test_secrets(self) -> None:
        """A refused key's secret isn't shown either."""
        text = (
            "[common]\nhttp_proxy = ftp://u:s3cret@h\noidc_client_secret = s3cret\n"
            "[x]\nlocal_port = 1\nsk = s3cret\n"
        )
        problems = self.client_says(text)
        self.assertEqual(len(problems), 2)
        self.assertNotIn("s3cret", "".join(problems))

    def test_types(self) -> None:
        """Of a type that isn't there yet, nothing more is said."""
        for kind in notyet.PROXY_TYPES:
            problems = self.client_says(f"[common]\n[x]\ntype = {kind}\nsk = s\nwhat = ever\n")
            what = "is not supported yet (one of tcp, udp, http, https, tcpmux, stcp, sudp)"
            self.assertEqual(problems, (f"3: [x] type = {kind}: {what}",))

    def test_ranges(self) -> None:
        self.assertEqual(
            self.client_says("[common]\n[range:x]\nlocal_port = 1-2\n"),
            ("2: [range:x]: ranges of proxies are not supported yet",),
        )

    def test_plugins(self) -> None:
        """Of a plugin that isn't there yet, nothing more is said."""
        for name in notyet.PLUGINS:
            text = f"[common]\n[x]\nplugin = {name}\nplugin_passwd = s3cret\n"
            (problem,) = self.client_says(text)
            what = f"3: [x] plugin = {name}: is not supported yet (one of "
            self.assertTrue(problem.startswith(what), problem)


class OffTests(ConfigTestCase):
    def test_silent(self) -> None:
        """What asks for nothing is nobody's business."""
        self.assertEqual(self.server_says(f"[common]\ntoken = x\n{OFF['server']}"), ())
        start = "[x]\ntype = stcp\nrole = visitor\nserver_name = y\nbind_port = 1\n"
        text = f"[common]\n{OFF['client']}{start}{OFF['visitor']}"
        self.assertEqual(self.client_says(text), ())


class TableTests(SynchronousTestCase):
    def test_off_values(self) -> None:
        """A key's own line goes before a pattern's; other keys aren't there."""
        table = {"quic_*": frozenset({"0"}), "quic_period": frozenset({"10"})}
        self.assertEqual(notyet.off_values(table, "quic_period"), {"10"})
        self.assertEqual(notyet.off_values(table, "quic_port"), {"0"})
        self.assertIsNone(notyet.off_values(table, "kcp_port"))
        self.assertIsNone(notyet.off_values(table, "quic"))

    def test_not_in_both(self) -> None:
        """No key is supported and refused."""
        for table in (keys.SERVER, keys.CLIENT, *keys.PROXIES.values()):
            for key in table.keys:
                self.assertIsNone(notyet.off_values(table.not_yet, key), key)
