# -*- test-case-name: tests.admin.test_shapes -*-
"""Tests of `tunnelsvc.admin.shapes`: every field, under both of its names."""

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import STARTED, Dashboard
from tests.metrics.moving import move
from tunnelsvc import __version__
from tunnelsvc.admin import shapes
from tunnelsvc.config.schema import ServerConfig, TLSConfig
from tunnelsvc.relay import Meter

# Recorded from frps 0.33.0 and frps 0.70.1.
SERVER_INFO_033 = """version bind_port bind_udp_port vhost_http_port vhost_https_port kcp_bind_port
    subdomain_host max_pool_count max_ports_per_client heart_beat_timeout total_traffic_in
    total_traffic_out cur_conns client_counts proxy_type_count"""
SERVER_INFO_070 = """version bindPort vhostHTTPPort vhostHTTPSPort tcpmuxHTTPConnectPort kcpBindPort
    quicBindPort subdomainHost maxPoolCount maxPortsPerClient heartbeatTimeout allowPortsStr
    tlsForce totalTrafficIn totalTrafficOut curConns clientCounts proxyTypeCount"""
PROXY_033 = """name conf today_traffic_in today_traffic_out cur_conns last_start_time
    last_close_time status"""
PROXY_070 = """name conf user clientID todayTrafficIn todayTrafficOut curConns lastStartTime
    lastCloseTime status"""
CLIENT_070 = """key user clientID runID version wireProtocol hostname clientIP firstConnectedAt
    lastConnectedAt online"""


class ShapeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()
        self.server = self.dashboard.server

    def info(self, **config: Any) -> dict[str, Any]:
        self.server.config = ServerConfig(**config)
        return shapes.server_info(self.server)

    def has(self, shape: dict[str, Any], *names: str) -> None:
        for name in " ".join(names).split():
            self.assertIn(name, shape)

    def test_server_info_has_all_fields(self) -> None:
        self.has(self.info(), SERVER_INFO_033, SERVER_INFO_070)

    def test_server_info(self) -> None:
        self.server.login("r1")
        move(self.server.proxy("ssh"), 1, 2)
        self.server.ports = {"bind": 17000, "vhost_http": 18080, "vhost_https": 18443}
        info = self.info(
            bind_port=0,
            vhost_http_port=8080,
            vhost_https_port=8443,
            subdomain_host="example.com",
            max_pool_count=9,
            max_ports_per_client=3,
            heartbeat_timeout_seconds=45.0,
            allow_ports=(range(2000, 3001), range(3005, 3006)),
            tls=TLSConfig(only=True),
        )
        for name, value in {
            "version": __version__,
            "bindPort": 17000,
            "vhost_http_port": 18080,
            "vhost_https_port": 18443,
            "subdomainHost": "example.com",
            "max_pool_count": 9,
            "maxPortsPerClient": 3,
            "heartbeatTimeout": 45,
            "heart_beat_timeout": 45,
            "allowPortsStr": "2000-3000,3005",
            "tlsForce": True,
            "totalTrafficIn": 1,
            "total_traffic_out": 2,
            "curConns": 0,
            "clientCounts": 1,
            "proxy_type_count": {"tcp": 1},
        }.items():
            self.assertEqual(info[name], value, name)

    def test_ports_before_anything_listens_are_those_of_the_file(self) -> None:
        info = self.info(bind_port=7001, vhost_http_port=8080, vhost_https_port=7001)
        self.assertEqual((info["bindPort"], info["vhostHTTPPort"]), (7001, 8080))
        self.assertEqual(info["vhostHTTPSPort"], 7001)

    def test_an_unset_heartbeat_timeout(self) -> None:
        self.assertEqual(self.info()["heartbeatTimeout"], -1)
        self.assertEqual(self.info(tcp_mux=False)["heartbeatTimeout"], 90)

    def test_a_tcp_proxy(self) -> None:
        self.server.login("r1", user="alice", client_id="laptop")
        proxy = self.server.proxy(
            "alice.ssh",
            remotePort=6000,
            transport={"useEncryption": True, "useCompression": False},
            metadatas={"k": "v"},
        )
        proxy.track(Meter())
        move(proxy, 5, 6)
        shape = shapes.proxy(proxy)
        self.has(shape, PROXY_033, PROXY_070)
        for name, value in {
            "name": "alice.ssh",
            "user": "alice",
            "clientID": "laptop",
            "todayTrafficIn": 5,
            "today_traffic_out": 6,
            "curConns": 1,
            "cur_conns": 1,
            "lastStartTime": "07-14 13:05:09",
            "last_start_time": "07-14 13:05:09",
            "lastCloseTime": "",
            "status": "online",
        }.items():
            self.assertEqual(shape[name], value, name)
        conf = shape["conf"]
        self.assertEqual(conf["transport"], {"useEncryption": True, "useCompression": False})
        self.assertEqual((conf["use_encryption"], conf["use_compression"]), (True, False))
        self.assertEqual((conf["remotePort"], conf["remote_port"]), (6000, 6000))
        self.assertEqual((conf["name"], conf["proxy_name"]), ("alice.ssh", "alice.ssh"))
        self.assertEqual((conf["type"], conf["proxy_type"]), ("tcp", "tcp"))
        self.assertEqual((conf["metadatas"], conf["metas"]), ({"k": "v"}, {"k": "v"}))
        self.assertEqual((conf["loadBalancer"], conf["group"]), ({"group": ""}, ""))

    def test_a_group_and_a_limit(self) -> None:
        limit = {"bandwidthLimit": "1MB", "bandwidthLimitMode": "server"}
        proxy = self.server.proxy("web", loadBalancer={"group": "g"}, transport=limit)
        conf = shapes.proxy(proxy)["conf"]
        self.assertEqual((conf["loadBalancer"], conf["group"]), ({"group": "g"}, "g"))
        self.assertEqual((conf["transport"], conf["bandwidth_limit"]), (limit, "1MB"))

    def test_an_http_proxy(self) -> None:
        proxy = self.server.proxy(
            "web",
            "http",
            customDomains=["a.example.com"],
            subdomain="b",
            locations=["/"],
            hostHeaderRewrite="h",
        )
        conf = shapes.proxy(proxy)["conf"]
        self.assertEqual(conf["customDomains"], conf["custom_domains"])
        self.assertEqual((conf["subdomain"], conf["sub_domain"]), ("b", "b"))
        self.assertEqual(conf["locations"], ["/"])
        self.assertEqual((conf["hostHeaderRewrite"], conf["host_header_rewrite"]), ("h", "h"))
        self.assertNotIn("use_encryption", conf)

    def test_an_offline_proxy(self) -> None:
        proxy = self.server.proxy("ssh", remotePort=6000)
        self.dashboard.clock.advance(61)
        self.server.stats.proxy_offline("ssh")
        shape = shapes.proxy(proxy)
        self.assertEqual((shape["status"], shape["conf"]), ("offline", None))
        self.assertEqual(shape["lastStartTime"], "07-14 13:05:09")
        self.assertEqual(shape["last_close_time"], "07-14 13:06:10")

    def test_traffic(self) -> None:
        proxy = self.server.proxy("ssh")
        move(proxy, 5, 6)
        shape = shapes.traffic(proxy)
        self.assertEqual(shape["trafficIn"], [5] + [0] * 6)
        self.assertEqual(shape["traffic_in"], [5] + [0] * 6)
        self.assertEqual(shape["trafficOut"], [6] + [0] * 6)
        self.assertEqual(shape["traffic_out"], [6] + [0] * 6)
        self.assertEqual(shape["name"], "ssh")

    def test_a_client(self) -> None:
        self.server.login("r1", user="alice", client_id="laptop")
        client = self.server.stats.client("alice.laptop")
        assert client is not None
        shape = shapes.client(client)
        self.has(shape, CLIENT_070)
        self.assertNotIn("disconnectedAt", shape)
        for name, value in {
            "key": "alice.laptop",
            "clientID": "laptop",
            "runID": "r1",
            "clientIP": "192.0.2.7",
            "hostname": "box",
            "os": "linux",
            "arch": "amd64",
            "firstConnectedAt": int(STARTED),
            "online": True,
        }.items():
            self.assertEqual(shape[name], value, name)

    def test_a_client_that_left(self) -> None:
        self.server.login("r1")
        self.dashboard.clock.advance(7)
        self.server.stats.client_offline("r1")
        client = self.server.stats.client("r1")
        assert client is not None
        shape = shapes.client(client)
        self.assertEqual((shape["online"], shape["clientID"]), (False, "r1"))
        self.assertEqual(shape["disconnectedAt"], int(STARTED) + 7)

    def test_secrets_of_the_configuration_stay_in_it(self) -> None:
        self.server.config = evolve(self.server.config, token="hidden-token")
        answer = self.dashboard.ask("/api/serverinfo").body
        self.assertNotIn(b"hidden-token", answer)
        self.assertNotIn(b"secret", answer)
