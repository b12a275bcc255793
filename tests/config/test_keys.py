# -*- test-case-name: tests.config.test_keys -*-
"""Tests of `tunnelsvc.config.keys`."""

from typing import Any

from attrs import fields_dict
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import lines_of
from tunnelsvc.config.keys import (
    CERTIFICATE,
    CLIENT,
    HOOK,
    PROXIES,
    SERVER,
    VISITOR,
    Key,
    Prefix,
    Table,
    group,
)
from tunnelsvc.config.proxies import (
    HealthCheckConfig,
    HTTPProxyConfig,
    HTTPSProxyConfig,
    STCPProxyConfig,
    SUDPProxyConfig,
    TCPMuxProxyConfig,
    TCPProxyConfig,
    UDPProxyConfig,
    VisitorConfig,
)
from tunnelsvc.config.report import Entry, Report, Section
from tunnelsvc.config.schema import (
    AdminConfig,
    CertificateConfig,
    ClientConfig,
    DashboardConfig,
    LogConfig,
    ServerConfig,
    TLSConfig,
    WebhookConfig,
)
from tunnelsvc.config.values import port

NESTED = {
    "tls": TLSConfig,
    "log": LogConfig,
    "dashboard": DashboardConfig,
    "health_check": HealthCheckConfig,
    "admin": AdminConfig,
}

SOME = Table(
    {"bind_port": Key("bind_port", port), "log_file": Key("log.file"), "token": Key("token")},
    {"meta_": Prefix("metas")},
    {"kcp_*": frozenset({"0"})},
    {"start": "in the client's file"},
)


def read(table: Table, **entries: str) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """Read a section of these entries: fields, problems, warnings."""
    report = Report("f")
    lines = enumerate(entries.items(), start=1)
    section = Section("s", 0, {key: Entry("s", key, value, n) for n, (key, value) in lines})
    fields = table.read(section, report)
    return (fields, *lines_of(report))


class ReadTests(SynchronousTestCase):
    def test_fields(self) -> None:
        """Keys set their fields; what the file doesn't have isn't there."""
        fields, _, warnings = read(SOME, bind_port="7000", log_file="x")
        self.assertEqual(fields, {"bind_port": 7000, "log.file": "x"})
        self.assertEqual(warnings, ())

    def test_prefix(self) -> None:
        """Keys that begin alike become a mapping, in the file's order."""
        fields, _, _ = read(SOME, meta_b="1", meta_a="")
        self.assertEqual(fields, {"metas": {"b": "1", "a": ""}})
        self.assertEqual(list(fields["metas"]), ["b", "a"])

    def test_prefix_alone(self) -> None:
        fields, problems, _ = read(SOME, meta_="s3cret")
        self.assertEqual(fields, {})
        self.assertEqual(
            problems, ("f:1: [s] meta_ = ***: empty; leave the line out for the default",)
        )

    def test_wrong(self) -> None:
        """All wrong values are told, and left out."""
        fields, problems, _ = read(SOME, bind_port="0", kcp_bind_port="7000", token="x")
        self.assertEqual(fields, {"token": "x"})
        self.assertEqual(
            problems,
            (
                "f:1: [s] bind_port = 0: not a port number (1 to 65535)",
                "f:2: [s] kcp_bind_port = 7000: is not supported yet; leave the line out",
            ),
        )

    def test_inline_comment(self) -> None:
        """The usual mistake is named."""
        for value in "7000 # ours", "7000 ;ours", "7000\t; ours":
            _, (problem,), _ = read(SOME, bind_port=value)
            self.assertTrue(problem.endswith("; a comment needs a line of its own"), problem)

    def test_unknown(self) -> None:
        """An unknown key is ignored with a warning, which doesn't show its value."""
        fields, _, warnings = read(SOME, tokne="s3cret", start="x", colour="1", strat="x")
        self.assertEqual(fields, {})
        self.assertEqual(
            warnings,
            (
                "f:1: [s] tokne: unknown key, ignored; did you mean token?",
                "f:2: [s] start: ignored: it belongs in the client's file",
                "f:3: [s] colour: unknown key, ignored",
                "f:4: [s] strat: unknown key, ignored; did you mean start?",
            ),
        )

    def test_off(self) -> None:
        self.assertEqual(read(SOME, kcp_bind_port="0"), ({}, (), ()))


class GroupTests(SynchronousTestCase):
    def test_group(self) -> None:
        """The fields of a class go out of the others, and lose its name."""
        fields = {"tls.only": True, "tls_x": 1, "not.tls.x": 2, "tls.cert_file": "x"}
        self.assertEqual(group(fields, "tls"), {"only": True, "cert_file": "x"})
        self.assertEqual(fields, {"tls_x": 1, "not.tls.x": 2})
        self.assertEqual(group(fields, "log"), {})


class TablesTests(SynchronousTestCase):
    """That the tables fit the schema."""

    def assertFits(self, table: Table, target: type, but: set[str]) -> None:
        """Every key sets a field, each its own, and every field but these has a key."""
        names = [key.field for key in table.keys.values()]
        names += [prefix.field for prefix in table.prefixes.values()]
        self.assertEqual(len(names), len(set(names)))
        known = set()
        for name in fields_dict(target):
            inner = NESTED.get(name)
            known |= {f"{name}.{each}" for each in fields_dict(inner)} if inner else {name}
        self.assertEqual(set(names) - known, {"dashboard.tls_mode", "role"} & set(names))
        self.assertEqual(known - set(names), but)

    def test_server(self) -> None:
        clients = {"tls.enable", "tls.server_name", "tls.disable_custom_first_byte"}
        self.assertFits(
            SERVER,
            ServerConfig,
            {
                "path",
                "tcp_mux_chosen",
                "certificates",
                "plugins",
                "dashboard.credentials_configured",
                *clients,
            },
        )

    def test_client(self) -> None:
        self.assertFits(
            CLIENT,
            ClientConfig,
            {"path", "proxies", "visitors", "tcp_mux_chosen", "tls.only", "server_addr"},
        )

    def test_proxies(self) -> None:
        classes = {
            "tcp": TCPProxyConfig,
            "udp": UDPProxyConfig,
            "http": HTTPProxyConfig,
            "https": HTTPSProxyConfig,
            "tcpmux": TCPMuxProxyConfig,
            "stcp": STCPProxyConfig,
            "sudp": SUDPProxyConfig,
        }
        self.assertEqual(PROXIES.keys(), classes.keys())
        for kind, target in classes.items():
            self.assertFits(PROXIES[kind], target, {"name"})

    def test_visitors(self) -> None:
        self.assertFits(VISITOR, VisitorConfig, {"name"})

    def test_hooks(self) -> None:
        self.assertFits(HOOK, WebhookConfig, {"name"})

    def test_certificate(self) -> None:
        self.assertFits(CERTIFICATE, CertificateConfig, {"name"})
