# -*- test-case-name: tests.metrics.test_prometheus -*-
"""Tests of `tunnelsvc.metrics.prometheus`."""

import re

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.moving import move
from tests.metrics.test_traffic import Time
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.metrics.prometheus import Exporter, own_families, server_families
from tunnelsvc.relay import Meter

# The names, types, labels and order of frps 0.70.1.
EXPECTED = """\
# HELP frp_server_client_counts The current client counts of frps
# TYPE frp_server_client_counts gauge
frp_server_client_counts 1
# HELP frp_server_connection_counts The current connection counts
# TYPE frp_server_connection_counts gauge
frp_server_connection_counts{name="alice.ssh",type="tcp"} 1
frp_server_connection_counts{name="web",type="http"} 0
# HELP frp_server_proxy_counts The current proxy counts
# TYPE frp_server_proxy_counts gauge
frp_server_proxy_counts{type="http"} 0
frp_server_proxy_counts{type="tcp"} 1
# HELP frp_server_proxy_counts_detailed The current number of proxies grouped by type and name
# TYPE frp_server_proxy_counts_detailed gauge
frp_server_proxy_counts_detailed{name="alice.ssh",type="tcp"} 1
frp_server_proxy_counts_detailed{name="web",type="http"} 0
# HELP frp_server_traffic_in The total in traffic
# TYPE frp_server_traffic_in counter
frp_server_traffic_in{name="alice.ssh",type="tcp"} 5
frp_server_traffic_in{name="web",type="http"} 0
# HELP frp_server_traffic_out The total out traffic
# TYPE frp_server_traffic_out counter
frp_server_traffic_out{name="alice.ssh",type="tcp"} 12345678901234
frp_server_traffic_out{name="web",type="http"} 0
"""


class ServerFamiliesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stats = ServerStats(Time())

    def test_text(self) -> None:
        self.stats.client_online(
            "r1", user="", client_id="", version="", address="", os="", arch="", hostname=""
        )
        self.stats.proxy_online("web", type="http", conf={}, run_id="r1")
        self.stats.proxy_offline("web")
        proxy = self.stats.proxy_online("alice.ssh", type="tcp", conf={}, run_id="r1")
        meter = Meter()
        proxy.track(meter)
        meter.up_bytes, meter.down_bytes = 5, 12345678901234
        self.assertEqual("".join(server_families(self.stats)), EXPECTED)

    def test_who_is_who(self) -> None:
        """What frp's labels leave out, of those that are online."""
        for run_id, user, client_id in (("r1", "alice", "laptop"), ("r2", "bob", "")):
            self.stats.client_online(
                run_id,
                user=user,
                client_id=client_id,
                version="0.70.1",
                address="192.0.2.7",
                os="linux",
                arch="amd64",
                hostname="box",
            )
            self.stats.proxy_online(f"{user}.ssh", type="tcp", conf={}, run_id=run_id)
        self.stats.client_offline("r2")
        self.stats.proxy_offline("bob.ssh")
        clients, proxies = own_families(self.stats)
        who = 'user="alice",client_id="laptop"'
        facts = 'version="0.70.1",address="192.0.2.7",hostname="box"'
        self.assertEqual(
            clients.splitlines()[2:], [f"tunnelsvc_server_client_info{{{who},{facts}}} 1"]
        )
        proxy = 'name="alice.ssh",type="tcp"'
        self.assertEqual(
            proxies.splitlines()[2:], [f"tunnelsvc_server_proxy_info{{{proxy},{who}}} 1"]
        )

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_any_name_comes_back_as_it_was(self, name: str) -> None:
        stats = ServerStats(Time())
        move(stats.proxy_online(name, type="tcp", conf={}, run_id="r1"), 7, 0)
        text = "".join(server_families(stats))
        lines = [line for line in text.split("\n") if line.startswith("frp_server_traffic_in{")]
        self.assertEqual(len(lines), 1)
        match = re.fullmatch(
            r'frp_server_traffic_in\{name="((?:[^"\\]|\\.)*)",type="tcp"\} 7', lines[0]
        )
        assert match is not None
        unescaped = re.sub(
            r"\\(.)", lambda each: {"n": "\n"}.get(each[1], each[1]), match[1], flags=re.DOTALL
        )
        self.assertEqual(unescaped, name)


class ExporterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stats = ServerStats(Time())
        self.exporter = Exporter(self.stats)

    def families(self) -> set[str]:
        text = self.exporter.text().decode()
        return {family.name for family in text_string_to_metric_families(text)}

    def test_the_library_reads_it(self) -> None:
        self.stats.proxy_online('a"b\\c', type="tcp", conf={}, run_id="r1")
        self.assertLessEqual(
            {"frp_server_client_counts", "python_info", "tunnelsvc_reactor_lag_seconds"},
            self.families(),
        )

    def test_two_exporters_live_side_by_side(self) -> None:
        Exporter(self.stats).observe_lag(1.0)
        self.assertIn(b"tunnelsvc_reactor_lag_seconds_count 0.0", self.exporter.text())

    def test_lag(self) -> None:
        self.exporter.observe_lag(0.003)
        text = self.exporter.text()
        self.assertIn(b'tunnelsvc_reactor_lag_seconds_bucket{le="0.002"} 0.0', text)
        self.assertIn(b'tunnelsvc_reactor_lag_seconds_bucket{le="0.005"} 1.0', text)

    def test_half_a_character_spoils_nothing(self) -> None:
        self.stats.proxy_online("\ud800", type="tcp", conf={}, run_id="r1")
        self.assertIn(b'{name="?",type="tcp"}', self.exporter.text())
