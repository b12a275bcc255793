# -*- test-case-name: tests.admin.test_clientstatus -*-
"""Tests of `tunnelsvc.admin.clientstatus`."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientsupport import SSH, FakeClient
from tunnelsvc import __version__
from tunnelsvc.admin.clientstatus import public_address, status
from tunnelsvc.client.status import (
    CHECK_FAILED,
    RUNNING,
    START_ERROR,
    LinkStatus,
    ProxyStatus,
    VisitorStatus,
)
from tunnelsvc.config.plugins import StaticFileConfig
from tunnelsvc.config.proxies import (
    HTTPProxyConfig,
    HTTPSProxyConfig,
    STCPProxyConfig,
    TCPMuxProxyConfig,
    UDPProxyConfig,
    VisitorConfig,
)

WEB = HTTPProxyConfig(name="web", local_port=80, subdomain="web", inspect=True)
VISITOR = VisitorConfig(name="v", type="stcp", server_name="s", bind_port=9000)


class StatusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = FakeClient("/etc/frpc.ini")

    def test_running(self) -> None:
        self.client.statuses.append(ProxyStatus(WEB, RUNNING, "", "web.example:8080", "vps"))
        self.client.config = evolve(self.client.config, visitors=(VISITOR,))
        self.client.visitors = [VisitorStatus(VISITOR, 9000)]
        self.assertEqual(
            status(self.client),
            {
                "version": __version__,
                "server": "vps:7000",
                "connected": True,
                "since": 1000.0,
                "run_id": "r1",
                "error": "",
                "hint": "",
                "hint_key": "",
                "proxies": [
                    {
                        "name": "ssh",
                        "type": "tcp",
                        "phase": "running",
                        "error": "",
                        "hint": "",
                        "hint_key": "",
                        "public": "vps:6000",
                        "local": "127.0.0.1:22",
                        "inspect": False,
                    },
                    {
                        "name": "web",
                        "type": "http",
                        "phase": "running",
                        "error": "",
                        "hint": "",
                        "hint_key": "",
                        "public": "http://web.example:8080/",
                        "local": "127.0.0.1:80",
                        "inspect": True,
                    },
                ],
                "visitors": [
                    {
                        "name": "v",
                        "type": "stcp",
                        "bind": "127.0.0.1:9000",
                        "error": "",
                        "hint": "",
                        "hint_key": "",
                    }
                ],
                "config": {"path": "/etc/frpc.ini", "editable": True},
            },
        )

    def test_not_connected(self) -> None:
        self.client.link = LinkStatus("vps:7000", error="Connection refused")
        shape = status(self.client)
        self.assertEqual((shape["connected"], shape["since"]), (False, None))
        self.assertEqual(shape["hint_key"], "server_refuses")
        self.assertTrue(shape["hint"])

    def test_troubles(self) -> None:
        for found, error, key in (
            (
                ProxyStatus(SSH, START_ERROR, "port not allowed"),
                "port not allowed",
                "port_not_allowed",
            ),
            (ProxyStatus(SSH, CHECK_FAILED), "", "health_check"),
            (
                ProxyStatus(SSH, check_error="no answer within 3 s"),
                "no answer within 3 s",
                "health_check",
            ),
            (
                ProxyStatus(SSH, START_ERROR, "port not allowed", check_error="no answer"),
                "port not allowed",
                "port_not_allowed",
            ),
            (
                ProxyStatus(SSH, RUNNING, remote_addr=":1", dial_error="connect to local service"),
                "connect to local service",
                "local_down",
            ),
        ):
            self.client.statuses = [found]
            (proxy,) = status(self.client)["proxies"]
            self.assertEqual((proxy["error"], proxy["hint_key"]), (error, key))

    def test_visitors(self) -> None:
        """Those that are enabled, whether they listen or not."""
        self.client.config = evolve(
            self.client.config,
            visitors=(
                VISITOR,
                evolve(VISITOR, name="off", enabled=False),
                evolve(VISITOR, name="none", bind_port=-1),
                evolve(VISITOR, name="any", bind_port=0),
            ),
        )
        self.client.visitors = [
            VisitorStatus(VISITOR, None, "can't listen on port 9000: in use"),
            VisitorStatus(evolve(VISITOR, name="any"), 40000),
        ]
        first, none, any_ = status(self.client)["visitors"]
        self.assertEqual((first["bind"], first["hint_key"]), ("127.0.0.1:9000", "port_taken"))
        self.assertEqual((none["name"], none["bind"]), ("none", ""))
        self.assertEqual(any_["bind"], "127.0.0.1:40000")

    def test_public_addresses(self) -> None:
        mux = TCPMuxProxyConfig(name="m", type="tcpmux", local_port=1, subdomain="m")
        https = HTTPSProxyConfig(name="s", type="https", local_port=1, subdomain="s")
        udp = UDPProxyConfig(name="u", local_port=1)
        secret = STCPProxyConfig(name="p", local_port=1)
        for config, remote, expected in (
            (WEB, "a.example", "http://a.example/"),
            (WEB, "a.example:80", "http://a.example/"),
            (WEB, "a.example:8080,b.example:8080", "http://a.example:8080/"),
            (https, "a.example:443", "https://a.example/"),
            (https, "a.example:8443", "https://a.example:8443/"),
            (mux, "a.example:1337", "a.example:1337"),
            (udp, ":53", "[2001:db8::1]:53"),
            (secret, "", ""),
        ):
            found = ProxyStatus(config, RUNNING, "", remote, "2001:db8::1")
            self.assertEqual(public_address(found), expected)
        self.assertEqual(public_address(ProxyStatus(WEB, START_ERROR, "no", "a.example")), "")
        secure = ProxyStatus(WEB, RUNNING, "", "a.example:80", "vps", https_addr="a.example,b")
        self.assertEqual(public_address(secure), "https://a.example/")

    def test_plugins(self) -> None:
        plugin = StaticFileConfig(local_path="/srv")
        self.client.statuses = [ProxyStatus(evolve(WEB, local_port=0, plugin=plugin))]
        self.assertEqual(status(self.client)["proxies"][0]["local"], "plugin static_file")
