# -*- test-case-name: tests.quick.test_options -*-
"""Tests of `tunnelsvc.quick.options`."""

from typing import TypeVar

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.quick.options import (
    HTTPOptions,
    JupyterOptions,
    QuickOptions,
    TCPOptions,
)
from tunnelsvc.quick.plan import Setting

Q = TypeVar("Q", bound=QuickOptions)

SERVER = {"TUNNELSVC_SERVER": "example.com"}


def parse(kind: type[Q], *args: str, **environ: str) -> Q:
    """Parse a command line in an environment."""
    options = kind()
    options.environ = environ
    options.parseOptions(list(args))
    return options


class ServiceTests(SynchronousTestCase):
    """Which service it is."""

    def target(self, text: str) -> tuple[str, int]:
        return parse(TCPOptions, text, **SERVER).target

    def test_addresses(self) -> None:
        self.assertEqual(self.target("22"), ("127.0.0.1", 22))
        self.assertEqual(self.target("192.168.1.5:8080"), ("192.168.1.5", 8080))
        self.assertEqual(self.target("[::1]:80"), ("::1", 80))
        self.assertEqual(self.target(":80"), ("127.0.0.1", 80))

    def test_no_addresses(self) -> None:
        for text in ("", "0", "65536", "http", "a:", "-1", "²", "9" * 5000, "1.5"):
            self.assertRaises(UsageError, self.target, text)

    def test_one(self) -> None:
        for args in ((), ("22", "80")):
            error = self.assertRaises(UsageError, parse, TCPOptions, *args, **SERVER)
            self.assertIn("which service? Say tcp PORT", str(error))


class SettingTests(SynchronousTestCase):
    """Where server and token come from."""

    def test_options(self) -> None:
        """Before the environment, and before or behind the service."""
        for args in (
            ("--server", "a.example:1", "--token", "t", "80"),
            ("80", "--server=a.example:1", "-t", "t"),
            ("-s", "a.example:1", "80", "--token=t"),
        ):
            plan = parse(HTTPOptions, *args, TUNNELSVC_TOKEN="other", **SERVER).plan()
            self.assertEqual(
                plan.common,
                {
                    "server_addr": Setting("a.example:1", "--server"),
                    "token": Setting("t", "--token"),
                },
            )

    def test_environment(self) -> None:
        plan = parse(HTTPOptions, "80", TUNNELSVC_TOKEN="secret", **SERVER).plan()
        self.assertEqual(plan.common["server_addr"].value, "example.com")
        self.assertEqual(plan.common["token"], Setting("secret", "TUNNELSVC_TOKEN"))

    def test_empty_token(self) -> None:
        """Said to be none, it is none, whatever the environment has."""
        plan = parse(HTTPOptions, "80", "--token=", TUNNELSVC_TOKEN="x", **SERVER).plan()
        self.assertNotIn("token", plan.common)

    def test_short_and_empty(self) -> None:
        plan = parse(HTTPOptions, "-t", "", "-q", "80", TUNNELSVC_TOKEN="x", **SERVER).plan()
        self.assertNotIn("token", plan.common)

    def test_certificate(self) -> None:
        plan = parse(HTTPOptions, "80", "--ca", "ca.pem", **SERVER).plan()
        self.assertEqual(plan.common["tls_trusted_ca_file"].value, "ca.pem")

    def test_no_server(self) -> None:
        error = self.assertRaises(UsageError, parse, HTTPOptions, "80")
        self.assertIn("TUNNELSVC_SERVER", str(error))

    def test_unknown_option(self) -> None:
        self.assertRaises(UsageError, parse, HTTPOptions, "80", "--no-such", **SERVER)
        self.assertRaises(UsageError, parse, HTTPOptions, "80", "--host", **SERVER)


class PlanTests(SynchronousTestCase):
    """What is wanted, by command."""

    def test_http(self) -> None:
        plan = parse(HTTPOptions, "80", "--host", "demo", "-q", **SERVER).plan()
        self.assertEqual((plan.kind, plan.is_web, plan.host), ("http", True, "demo"))

    def test_password(self) -> None:
        plan = parse(HTTPOptions, "80", "--auth", "u:p:q", **SERVER).plan()
        self.assertEqual(
            {key: each.value for key, each in plan.own.items()},
            {"http_user": "u", "http_pwd": "p:q"},
        )
        for auth in ("u", ":p", "u:", ""):
            options = parse(HTTPOptions, "80", f"--auth={auth}", **SERVER)
            self.assertRaises(UsageError, options.plan)

    def test_tcp(self) -> None:
        plan = parse(TCPOptions, "22", "-r", "6000", **SERVER).plan()
        self.assertEqual((plan.kind, plan.is_web), ("tcp", False))
        self.assertEqual(plan.own["remote_port"].value, "6000")

    def test_services_have_names_of_their_own(self) -> None:
        names = {
            parse(HTTPOptions, "80", **SERVER).plan().name,
            parse(HTTPOptions, "81", **SERVER).plan().name,
            parse(TCPOptions, "80", **SERVER).plan().name,
        }
        self.assertEqual(len(names), 3)


class JupyterTests(SynchronousTestCase):
    """Options of ours among those of Jupyter."""

    def test_sorted(self) -> None:
        options = parse(
            JupyterOptions, "lab", "--server", "h", "--notebook-dir=/x", "--quiet", "-y",
            "--host=a", "--", "--token=theirs",
        )  # fmt: skip
        self.assertEqual(options.args, ["lab", "--notebook-dir=/x", "-y", "--token=theirs"])
        self.assertEqual((options["server"], options["quiet"], options["host"]), ("h", True, "a"))

    def test_missing_value(self) -> None:
        self.assertRaises(UsageError, parse, JupyterOptions, "--server")

    def test_name_without_the_port(self) -> None:
        """Jupyter gets another port each time, and keeps its name."""
        names = set()
        for port in (1000, 2000):
            options = parse(JupyterOptions, **SERVER)
            options.at(port)
            plan = options.plan()
            self.assertEqual((plan.target, plan.is_web), (f"127.0.0.1:{port}", True))
            names.add(plan.name)
        self.assertEqual(len(names), 1)
