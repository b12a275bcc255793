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
    "tcpmux_httpconnect_port": "1337",
    "tcpmux_passthrough": "true",
    "udp_packet_size": "9000",
    "nat_hole_analysis_data_reserve_hours": "1",
    "assets_dir": "./static",
    "pprof_enable": "true",
}
CLIENT = {
    "protocol": "wss",
    "http_proxy": "http://127.0.0.1:8080",
    "authentication_method": "oidc",
    "oidc_client_id": "abc",
    "quic_keepalive_period": "20",
    "quic_max_idle_timeout": "60",
    "quic_max_incoming_streams": "10",
    "quic_port": "1",
    "dns_server": "8.8.8.8",
    "nat_hole_stun_server": "stun.example.com:3478",
    "udp_packet_size": "9000",
    "includes": "./confd/*.ini",
    "admin_addr": "0.0.0.0",
    "admin_port": "7400",
    "assets_dir": "./static",
    "pprof_enable": "true",
}
PROXY = {
    "role": "visitor",
    "sk": "abc",
    "server_name": "x",
    "allow_users": "*",
    "multiplexer": "httpconnect",
    "bandwidth_limit": "1MB",
    "bandwidth_limit_mode": "server",
    "proxy_protocol_version": "v2",
}
OFF = {
    "server": "authentication_method=token\noidc_issuer=\nkcp_bind_port=0\nquic_bind_port=0\n"
    "quic_max_incoming_streams=100000\ntcpmux_passthrough=FALSE\n"
    "udp_packet_size=1500\nassets_dir=\npprof_enable=false\n",
    "client": "protocol=tcp\nauthentication_method=token\nhttp_proxy=\nadmin_addr=127.0.0.1\n"
    "admin_port=0\nadmin_user=\nincludes=\nquic_max_idle_timeout=30\nquic_keepalive_period=10\n",
    "proxy": "role=server\nsk=\ngroup=\nplugin=\nhealth_check_type=\nbandwidth_limit=\n"
    "bandwidth_limit_mode=client\nproxy_protocol_version=\n",
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

    def test_proxies(self) -> None:
        lines = "\n".join(f"{key} = {value}" for key, value in PROXY.items())
        for kind in "type = tcp", "type = http\nsubdomain = x":
            problems = self.client_says(f"[common]\n[x]\n{kind}\nlocal_port = 1\n{lines}")
            self.assertAllRefused(PROXY, problems)

    def test_all_are_tried(self) -> None:
        """The tables of this test hold something for each line of the tables it is about."""
        pairs = ((SERVER, notyet.SERVER), (CLIENT, notyet.CLIENT), (PROXY, notyet.PROXY))
        for asked, table in pairs:
            for pattern in table:
                start = pattern.removesuffix("*")
                self.assertTrue(any(key.startswith(start) for key in asked), pattern)

    def test_secrets(self) -> None:
        """A refused key's secret isn't shown either."""
        text = (
            "[common]\nhttp_proxy = http://u:s3cret@h\noidc_client_secret = s3cret\n"
            "[x]\nlocal_port = 1\nsk = s3cret\n"
        )
        problems = self.client_says(text)
        self.assertEqual(len(problems), 3)
        self.assertNotIn("s3cret", "".join(problems))

    def test_types(self) -> None:
        """Of a type that isn't there yet, nothing more is said."""
        for kind in notyet.PROXY_TYPES:
            problems = self.client_says(f"[common]\n[x]\ntype = {kind}\nsk = s\nwhat = ever\n")
            what = "is not supported yet (one of tcp, http, https)"
            self.assertEqual(problems, (f"3: [x] type = {kind}: {what}",))

    def test_ranges(self) -> None:
        self.assertEqual(
            self.client_says("[common]\n[range:x]\nlocal_port = 1-2\n"),
            ("2: [range:x]: ranges of proxies are not supported yet",),
        )

    def test_server_plugins(self) -> None:
        self.assertEqual(
            self.server_says("[common]\ntoken = x\n[plugin.user]\naddr = 127.0.0.1:9000\n"),
            ("3: [plugin.user]: server plugins are not supported yet",),
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
        proxy = f"[x]\nlocal_port = 1\n{OFF['proxy']}"
        self.assertEqual(self.client_says(f"[common]\n{OFF['client']}{proxy}"), ())


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
