# -*- test-case-name: tests.quick.test_plan -*-
"""Tests of `tunnelsvc.quick.plan`."""

from typing import Any

from hypothesis import given
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase

from tests.quick.support import make_plan
from tunnelsvc.config.proxies import HTTPProxyConfig, TCPProxyConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.quick.names import readable_name
from tunnelsvc.quick.plan import MOST_NAMES, Setting

WORDS = readable_name(b"me", "http 127.0.0.1 8888", 0)
NO_NAMES = "subdomain is not supported because this feature is not enabled in server"


class ConfigTests(SynchronousTestCase):
    """What becomes the client's configuration."""

    def proxy(self, **changes: Any) -> Any:
        (proxy,) = make_plan(**changes).config().proxies
        return proxy

    def test_common(self) -> None:
        token = Setting("abc", "TUNNELSVC_TOKEN")
        server = Setting("example.com:7001", "--server")
        config = make_plan(common={"server_addr": server, "token": token}).config()
        self.assertEqual((config.server_addr, config.server_port), ("example.com", 7001))
        self.assertEqual(config.token, "abc")
        self.assertTrue(config.tls.enable)
        self.assertNotIn("abc", repr(token))

    def test_readable_name(self) -> None:
        proxy = self.proxy()
        self.assertIsInstance(proxy, HTTPProxyConfig)
        self.assertEqual((proxy.subdomain, proxy.custom_domains), (WORDS, ()))
        self.assertEqual((proxy.local_ip, proxy.local_port), ("127.0.0.1", 8888))
        self.assertEqual(proxy.name, f"http-{WORDS}")

    def test_chosen_names(self) -> None:
        """With a dot it is a whole name."""
        self.assertEqual(self.proxy(host="demo").subdomain, "demo")
        whole = self.proxy(host="demo.example.com")
        self.assertEqual((whole.subdomain, whole.custom_domains), ("", ("demo.example.com",)))

    def test_port(self) -> None:
        own = {"remote_port": Setting("6000", "--remote-port")}
        proxy = self.proxy(kind="tcp", own=own, is_web=False)
        self.assertIsInstance(proxy, TCPProxyConfig)
        self.assertEqual(proxy.remote_port, 6000)

    def test_errors_name_what_said_it(self) -> None:
        own = {"remote_port": Setting("many", "--remote-port")}
        for changes, words in (
            ({"kind": "tcp", "own": own}, ("--remote-port", "many")),
            ({"host": "a..b"}, ("--host", "a..b")),
            (
                {"common": {"server_addr": Setting("x:y", "TUNNELSVC_SERVER")}},
                ("TUNNELSVC_SERVER",),
            ),
        ):
            error = str(self.assertRaises(ConfigError, make_plan(**changes).config))
            for word in words:
                self.assertIn(word, error)


class InsteadTests(SynchronousTestCase):
    """What is asked for when the server says no."""

    def test_next_name(self) -> None:
        """frp's words for a route, and old and new ones for a proxy."""
        for refusal in (
            "router config conflict",
            "proxy [http-x] already exists",
            "proxy name [http-x] is already in use",
        ):
            plan = make_plan().instead(refusal)
            assert plan is not None
            self.assertEqual(plan.config().proxies[0].name.count("-"), 3)
            self.assertNotEqual(plan.name, make_plan().name)

    def test_names_end(self) -> None:
        plan, count = make_plan(), 1
        while (instead := plan.instead("router config conflict")) is not None:
            plan, count = instead, count + 1
        self.assertEqual(count, MOST_NAMES)

    def test_port_for_who_can_have_no_name(self) -> None:
        for refusal in (NO_NAMES, "type [http] not supported when vhost http port is not set"):
            plan = make_plan().instead(refusal)
            assert plan is not None
            self.assertEqual((plan.kind, plan.is_web, plan.number), ("tcp", True, 0))
            self.assertIsNone(plan.instead(refusal))

    def test_never_without_the_password(self) -> None:
        """A port has none."""
        own = {"http_user": Setting("u", "--auth"), "http_pwd": Setting("p", "--auth")}
        self.assertIsNone(make_plan(own=own).instead(NO_NAMES))

    def test_chosen_name(self) -> None:
        """Who chose it shall know that it isn't to be had."""
        for refusal in ("router config conflict", NO_NAMES):
            self.assertIsNone(make_plan(host="demo").instead(refusal))

    def test_whole_name_below(self) -> None:
        """The server wants it by its first label; frp's words."""
        refusal = "custom domain [a.x.org] should not belong to subdomain host [x.org]"
        plan = make_plan(host="a.x.org").instead(refusal)
        assert plan is not None
        self.assertEqual((plan.host, plan.name), ("a", "http-a"))
        self.assertIsNone(make_plan(host="b.a.x.org").instead(refusal))
        self.assertIsNone(plan.instead(refusal))

    @given(text())
    def test_all_else(self, refusal: str) -> None:
        self.assertIsNone(
            make_plan(kind="tcp", is_web=False).instead(f"port not allowed {refusal}")
        )


class URLTests(SynchronousTestCase):
    """Where users go."""

    def test_names(self) -> None:
        plan = make_plan()
        self.assertEqual(plan.url("a.example.com:8080"), "http://a.example.com:8080")
        self.assertEqual(plan.url("a.example.com"), "http://a.example.com")
        self.assertEqual(plan.url("a.example.com,b.example.com"), "http://a.example.com")
        self.assertEqual(plan.url("a.example.com:80", "a.example.com"), "https://a.example.com")

    def test_ports(self) -> None:
        self.assertEqual(make_plan(kind="tcp").url(":6000"), "http://example.com:6000")
        plan = make_plan(kind="tcp", is_web=False)
        self.assertEqual(plan.url(":6000"), "tcp://example.com:6000")
        server = {"server_addr": Setting("[::1]:7000", "--server")}
        self.assertEqual(make_plan(kind="tcp", common=server).url(":6000"), "http://[::1]:6000")
