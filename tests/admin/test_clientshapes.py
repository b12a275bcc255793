# -*- test-case-name: tests.admin.test_clientshapes -*-
"""Tests of `tunnelsvc.admin.clientshapes`."""

from typing import Any

import attrs
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin.clientshapes import definition, status, statuses
from tunnelsvc.client.status import RUNNING, START_ERROR, WAIT_START, ProxyStatus
from tunnelsvc.config.plugins import HTTPSToHTTPConfig, Socks5Config
from tunnelsvc.config.proxies import (
    HealthCheckConfig,
    HTTPProxyConfig,
    HTTPSProxyConfig,
    ProxyConfig,
    STCPProxyConfig,
    SUDPProxyConfig,
    TCPMuxProxyConfig,
    TCPProxyConfig,
    UDPProxyConfig,
    VisitorConfig,
)

SSH = TCPProxyConfig(name="ssh", local_port=22, remote_port=6000)
WEB = HTTPProxyConfig(name="web", local_ip="::1", local_port=80, subdomain="w")


class StatusTests(SynchronousTestCase):
    """``/api/status``."""

    def test_tcp(self) -> None:
        self.assertEqual(
            status(ProxyStatus(SSH, RUNNING, "", ":6000", "vps")),
            {
                "name": "ssh",
                "type": "tcp",
                "status": "running",
                "err": "",
                "local_addr": "127.0.0.1:22",
                "plugin": "",
                "remote_addr": "vps:6000",
            },
        )

    def test_by_name(self) -> None:
        shape = status(ProxyStatus(WEB, RUNNING, "", "w.example:8080", "vps"))
        self.assertEqual(
            (shape["local_addr"], shape["remote_addr"]), ("[::1]:80", "w.example:8080")
        )

    def test_error(self) -> None:
        shape = status(ProxyStatus(SSH, START_ERROR, "port already used", "", "vps"))
        self.assertEqual((shape["err"], shape["remote_addr"]), ("port already used", ""))

    def test_no_address_yet(self) -> None:
        self.assertEqual(status(ProxyStatus(SSH, WAIT_START, "", "", "vps"))["remote_addr"], "")

    def test_an_ipv6_server(self) -> None:
        shape = status(ProxyStatus(SSH, RUNNING, "", ":6000", "2001:db8::1"))
        self.assertEqual(shape["remote_addr"], "[2001:db8::1]:6000")

    def test_plugin(self) -> None:
        proxy = TCPProxyConfig(name="s", plugin=Socks5Config(user="u", password="hunter2"))
        shape = status(ProxyStatus(proxy, RUNNING))
        self.assertEqual((shape["plugin"], shape["local_addr"]), ("socks5", ""))

    def test_types_that_there_are(self) -> None:
        """Sorted by name, as frp has it."""
        proxies = [ProxyStatus(each) for each in (SSH, WEB, evolve(SSH, name="a"))]
        shape = statuses(proxies)
        names = {kind: [each["name"] for each in many] for kind, many in shape.items()}
        self.assertEqual(names, {"tcp": ["a", "ssh"], "http": ["web"]})
        self.assertEqual(statuses([]), {})


class DefinitionTests(SynchronousTestCase):
    """``/api/proxy/{name}/config``."""

    def own(self, config: ProxyConfig | VisitorConfig) -> Any:
        shape = definition(config)
        self.assertEqual((shape["name"], shape["type"]), (config.name, config.type))
        return shape[config.type]

    def test_tcp(self) -> None:
        self.assertEqual(
            definition(evolve(SSH, use_encryption=True, group="g", group_key="hunter2")),
            {
                "name": "ssh",
                "type": "tcp",
                "tcp": {
                    "name": "ssh",
                    "type": "tcp",
                    "localPort": 22,
                    "remotePort": 6000,
                    "transport": {"useEncryption": True},
                    "loadBalancer": {"group": "g", "groupKey": "***"},
                },
            },
        )

    def test_http(self) -> None:
        own = self.own(
            evolve(
                WEB,
                locations=("/a", "/b"),
                http_user="me",
                http_password="hunter2",
                headers={"X-Key": "hunter2"},
                health_check=HealthCheckConfig(type="http", url="/up", interval_seconds=2.5),
            )
        )
        self.assertEqual(own["locations"], ["/a", "/b"])
        self.assertEqual((own["httpUser"], own["httpPassword"]), ("me", "***"))
        self.assertEqual(own["requestHeaders"], {"set": {"X-Key": "***"}})
        self.assertEqual(
            own["healthCheck"],
            {
                "type": "http",
                "timeoutSeconds": 3,
                "maxFailed": 1,
                "intervalSeconds": 2.5,
                "path": "/up",
            },
        )
        self.assertNotIn("hunter2", str(own))

    def test_plugins(self) -> None:
        gateway = HTTPSToHTTPConfig(
            local_addr=("127.0.0.1", 80), crt_path="c.pem", headers={"X": "hunter2"}
        )
        own = self.own(HTTPSProxyConfig(name="p", subdomain="p", plugin=gateway))
        self.assertEqual(
            own["plugin"],
            {
                "type": "https2http",
                "localAddr": "127.0.0.1:80",
                "crtPath": "c.pem",
                "requestHeaders": {"set": {"X": "***"}},
            },
        )

    def test_visitor(self) -> None:
        visitor = VisitorConfig(
            name="v", type="stcp", server_name="s", bind_port=9000, secret_key="hunter2"
        )
        self.assertEqual(
            self.own(visitor),
            {
                "name": "v",
                "type": "stcp",
                "serverName": "s",
                "bindPort": 9000,
                "secretKey": "***",
            },
        )

    def test_every_field_has_a_place(self) -> None:
        """So a new one isn't forgotten."""
        for kind in (
            TCPProxyConfig, UDPProxyConfig, HTTPProxyConfig, HTTPSProxyConfig, TCPMuxProxyConfig,
            STCPProxyConfig, SUDPProxyConfig, VisitorConfig,
        ):  # fmt: skip
            for field in attrs.fields(kind):
                if field.name in {"name", "type", "plugin", "health_check"}:
                    continue
                needed: dict[str, Any] = {"name": "x", "type": "tcp"}
                if kind is VisitorConfig:
                    needed |= {"server_name": "s", "bind_port": 1}
                value = {"a": "b"} if "Mapping" in str(field.type) else 7
                before = self.own(kind(**needed))
                own = self.own(kind(**{**needed, field.name: value}))
                self.assertNotEqual(own, before, f"{kind.__name__}.{field.name}")
