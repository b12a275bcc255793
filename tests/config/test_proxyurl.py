# -*- test-case-name: tests.config.test_proxyurl -*-
"""Tests of `tunnelsvc.config.proxyurl`."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config.proxyurl import ProxyURL, checked, parse, proxy_for
from tunnelsvc.config.values import BadValueError

PROXY = ProxyURL(scheme="http", host="proxy", port=3128)


class ParseTests(SynchronousTestCase):
    """URLs of proxies."""

    def test_forms(self) -> None:
        for text, expected in (
            ("http://proxy:3128", PROXY),
            ("HTTP://proxy:3128/", PROXY),
            ("proxy:3128", PROXY),
            ("http://proxy", ProxyURL(scheme="http", host="proxy", port=80)),
            ("https://proxy", ProxyURL(scheme="https", host="proxy", port=443)),
            ("socks5://[2001:db8::1]", ProxyURL(scheme="socks5", host="2001:db8::1", port=1080)),
            (
                "socks5://a%40b:p%3aw@10.0.0.1:9050",
                ProxyURL(scheme="socks5", host="10.0.0.1", port=9050, user="a@b", password="p:w"),
            ),
        ):
            self.assertEqual(parse(text), expected)
            self.assertEqual(checked(text), text)
        self.assertEqual(checked(""), "")

    def test_refused(self) -> None:
        for text, what in (
            ("ntlm://ann:pw@proxy:3128", "NTLM is not supported"),
            ("socks4://proxy", "begins with one of http, https, socks5"),
            ("http://", "not a host name"),
            ("http://proxy:99999", "not the URL of a proxy"),
            ("http://proxy:0", "port 0"),
            ("http://[::1", "not the URL of a proxy"),
            ("http://proxy/path", "ends behind the port"),
            ("http://a b", "not a host name"),
        ):
            with self.assertRaises(BadValueError, msg=text) as caught:
                checked(text)
            self.assertIn(what, str(caught.exception))
            self.assertNotIn("ann", str(caught.exception))

    def test_secrets_are_masked(self) -> None:
        proxy = parse("http://ann:s3cret@proxy:3128")
        self.assertNotIn("s3cret", repr(proxy))
        self.assertEqual(str(proxy), "http://proxy:3128")
        self.assertEqual(str(parse("http://[::1]:3128")), "http://[::1]:3128")

    @settings(derandomize=True, deadline=None)
    @given(st.text(max_size=40), st.sampled_from(["", "http://", "socks5://", "http://a:b@"]))
    def test_any_text(self, text: str, start: str) -> None:
        with contextlib.suppress(BadValueError):
            proxy = parse(start + text)
            self.assertTrue(proxy.host)
            self.assertIn(proxy.port, range(1, 65536))


class EnvironmentTests(SynchronousTestCase):
    """Which proxy there is for a server."""

    def found(self, host: str = "vps.example.com", **environ: str) -> ProxyURL | None:
        return proxy_for("", environ, host, 7000)

    def test_none(self) -> None:
        self.assertIsNone(self.found())
        self.assertIsNone(self.found(http_proxy=""))
        self.assertIsNone(self.found(HTTP_PROXY="http://proxy:3128"), "CGI programs get it so")

    def test_environment(self) -> None:
        self.assertEqual(self.found(http_proxy="http://proxy:3128"), PROXY)

    def test_the_file_wins(self) -> None:
        environ = {"http_proxy": "http://other", "no_proxy": "*"}
        self.assertEqual(proxy_for("http://proxy:3128", environ, "localhost", 7000), PROXY)

    def test_this_machine(self) -> None:
        for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0"):
            self.assertIsNone(self.found(host, http_proxy="http://proxy:3128"))

    def test_exceptions(self) -> None:
        for exceptions, host, excepted in (
            ("*", "vps.example.com", True),
            ("other, vps.example.com", "VPS.example.com", True),
            (".example.com", "vps.example.com", True),
            ("example.com", "vps.example.com", True),
            ("*.example.com", "vps.example.com", True),
            ("ample.com", "vps.example.com", False),
            ("vps.example.com:7000", "vps.example.com", True),
            ("vps.example.com:80", "vps.example.com", False),
            ("192.0.2.0/24", "192.0.2.7", True),
            ("192.0.2.8", "192.0.2.7", False),
            ("2001:db8::/32", "2001:db8::1", True),
            ("[2001:db8::1]:7000", "2001:db8::1", True),
            ("10.0.0.0/8", "vps.example.com", False),
            ("", "vps.example.com", False),
            (".", "vps.example.com", False),
        ):
            for name in ("no_proxy", "NO_PROXY"):
                environ = {"http_proxy": "http://proxy:3128", name: exceptions}
                found = self.found(host, **environ)
                self.assertEqual(found, None if excepted else PROXY, (exceptions, host))

    def test_broken(self) -> None:
        with self.assertRaises(BadValueError) as caught:
            self.found(http_proxy="ntlm://ann:pw@proxy")
        self.assertIn("environment variable http_proxy: NTLM", str(caught.exception))
