# -*- test-case-name: tests.config.test_values -*-
"""Tests of `tunnelsvc.config.values`."""

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import STEADY
from tunnelsvc.config import keys, plugins, values
from tunnelsvc.config.values import BadValueError, Parser


class ValueTestCase(SynchronousTestCase):
    def assertTaken(self, parse: Parser, expected: Mapping[str, Any]) -> None:
        """Each text becomes the value, and is of its type."""
        for text, value in expected.items():
            found = parse(text)
            self.assertEqual(found, value, text)
            self.assertIs(type(found), type(value), text)

    def assertRefused(self, parse: Parser, what: str, texts: Iterable[str]) -> None:
        """Each text is refused, with a message that says this."""
        for text in texts:
            why = self.assertRaises(BadValueError, parse, text)
            self.assertIn(what, str(why), text)


class WordTests(ValueTestCase):
    def test_text(self) -> None:
        self.assertTaken(values.text, {"": "", "a=b # c": "a=b # c"})

    def test_some_text(self) -> None:
        self.assertTaken(values.some_text, {"console": "console"})
        self.assertRefused(values.some_text, "leave the line out", [""])

    def test_name(self) -> None:
        self.assertTaken(values.name, {"": "", "网站 1": "网站 1", "a" * 255: "a" * 255})
        self.assertRefused(values.name, "longer than 255 characters", ["a" * 256])
        self.assertRefused(values.name, "tab", ["a\tb"])

    def test_boolean(self) -> None:
        """ini.v1's words are known in any case."""
        yes = dict.fromkeys(("true", "True", "TRUE", "1", "t", "T", "yes", "y", "Y", "on"), True)
        no = dict.fromkeys(("false", "False", "0", "f", "no", "n", "OFF", "off"), False)
        self.assertTaken(values.boolean, {**yes, **no})
        refused = ("", "2", "tru", "true # yes", "enabled", "是")
        self.assertRefused(values.boolean, "neither true nor false", refused)

    def test_log_level(self) -> None:
        self.assertTaken(values.log_level, {"trace": "trace", "INFO": "info", "warn": "warn"})
        options = "not one of trace, debug, info, warn, error"
        self.assertRefused(values.log_level, options, ["", "warning", "verbose", "3"])

    def test_access_log_format(self) -> None:
        self.assertTaken(values.access_log_format, {"json": "json", "Combined": "combined"})
        self.assertRefused(values.access_log_format, "not one of combined, json", ["", "common"])

    def test_user_name(self) -> None:
        self.assertTaken(values.user_name, {"": "", "böb": "böb"})
        self.assertRefused(values.user_name, 'can\'t hold a ":"', ["bob:", ":"])


class NumberTests(ValueTestCase):
    def test_integer(self) -> None:
        """Numbers are what Go reads as such, in the range."""
        parse = values.integer(-1, 10)
        self.assertTaken(parse, {"0": 0, "10": 10, "-1": -1, "+5": 5, "007": 7})
        refused = ("", "-2", "11", "1.5", "1_0", "0x1", "１", "5 ", "1e1", "--1", "9" * 5000)
        self.assertRefused(parse, "not a number (-1 to 10)", refused)

    def test_port(self) -> None:
        self.assertTaken(values.port, {"1": 1, "65535": 65535})
        what = "not a port number (1 to 65535)"
        self.assertRefused(values.port, what, ["0", "65536", "99999", "-1", "http"])

    def test_port_or_off(self) -> None:
        self.assertTaken(values.port_or_off, {"0": 0, "65535": 65535})
        what = "not a port number, or 0 (0 to 65535)"
        self.assertRefused(values.port_or_off, what, ["65536", "-1", ""])

    def test_seconds(self) -> None:
        self.assertTaken(values.seconds(1), {"1": 1.0, "31536000": 31536000.0})
        what = "not a number of seconds (1 to 31536000)"
        self.assertRefused(values.seconds(1), what, ["0", "31536001", "10s", "0.5"])

    def test_keepalive(self) -> None:
        """Any negative number means none; 0 is refused as it has had two meanings."""
        self.assertTaken(values.keepalive, {"1": 1.0, "32767": 32767.0, "-1": -1.0, "-30": -1.0})
        what = "not a number of seconds (1 to 32767), nor -1"
        self.assertRefused(values.keepalive, what, ["0", "32768", "", "2h"])

    def test_port_ranges(self) -> None:
        self.assertTaken(
            values.port_ranges,
            {
                "": (),
                "10-20,30,40-50": (range(10, 21), range(30, 31), range(40, 51)),
                " 1 - 65535 , ": (range(1, 65536),),
                "7-7": (range(7, 8),),
            },
        )
        what = "ranges such as 2000-3000,3001"
        refused = ("20-10", "0-5", "1-65536", "1-", "-1", "1-2-3", "all", "1;2", "1 2")
        self.assertRefused(values.port_ranges, what, refused)

    @STEADY
    @given(st.lists(st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted)))
    def test_any_port_ranges(self, ranges: list[list[int]]) -> None:
        """All ranges are read as they are written."""
        text = ",".join(f"{low}-{high}" for low, high in ranges)
        found = values.port_ranges(text)
        self.assertEqual([[each[0], each[-1]] for each in found], ranges)


class TunnelTests(ValueTestCase):
    """Values that only a tunnel knows."""

    def test_words(self) -> None:
        self.assertTaken(values.transport, {"tcp": "tcp", "WSS": "wss", "websocket": "websocket"})
        self.assertRefused(values.transport, "not one of tcp, websocket, wss", ["", "udp"])
        self.assertRefused(values.transport, "is not supported yet", ["kcp", "QUIC"])
        self.assertTaken(values.wire_protocol, {"v1": "v1", "V2": "v2"})
        self.assertTaken(values.role, {"Visitor": "visitor"})
        self.assertTaken(values.limit_mode, {"server": "server"})
        self.assertTaken(values.multiplexer, {"httpconnect": "httpconnect"})
        self.assertRefused(values.multiplexer, "httpconnect", ["", "sni"])

    def test_not_inspected(self) -> None:
        self.assertTaken(values.not_inspected, {"false": False, "0": False})
        self.assertRefused(values.not_inspected, "only requests to proxies of type http", ["true"])

    def test_no_visitor(self) -> None:
        self.assertTaken(values.no_visitor, {"server": "server"})
        self.assertRefused(values.no_visitor, "only proxies of type stcp", ["visitor", ""])

    def test_proxy_protocol(self) -> None:
        self.assertTaken(values.proxy_protocol, {"": "", "v1": "v1", "v2": "v2"})
        self.assertRefused(values.proxy_protocol, "neither v1 nor v2", ["1", "v3"])

    def test_bandwidth(self) -> None:
        same = ("", "1MB", "512KB", "0.5MB", "100000000KB")
        self.assertTaken(values.bandwidth, {each: each for each in same})
        refused = ("1", "MB", "1 MB", "1mb", "1GB", "0KB", "0.0MB", "-1MB", "1e3KB", ".5MB")
        self.assertRefused(values.bandwidth, "such as 512KB or 1.5MB", refused)

    def test_hook_ops(self) -> None:
        taken = {"Login": ("Login",), "newproxy, Ping,ping": ("NewProxy", "Ping")}
        self.assertTaken(values.hook_ops, taken)
        self.assertRefused(values.hook_ops, "not a list of these: Login,", ["", ",", "Exit"])
        self.assertRefused(values.hook_ops, "did you mean NewProxy?", ["Login,new_proxy", "Proxy"])


class ListTests(ValueTestCase):
    def test_items(self) -> None:
        self.assertTaken(
            values.items, {"": (), "ssh": ("ssh",), " a, b c ,,d,": ("a", "b c", "d"), ",": ()}
        )

    def test_locations(self) -> None:
        self.assertTaken(values.locations, {"": (), "/": ("/",), "/a, /b/": ("/a", "/b/")})
        self.assertRefused(values.locations, 'begins with "/"', ["a", "/a,b", "http://h/"])

    def test_health_check_type(self) -> None:
        self.assertTaken(values.health_check_type, {"": "", "tcp": "tcp", "http": "http"})
        self.assertRefused(values.health_check_type, "not one of tcp, http", ["TCP", "https", "1"])

    def test_url_path(self) -> None:
        """What can stand in a request line as it is."""
        longest = "/".ljust(values.MAX_PATH_CHARACTERS, "x")
        self.assertTaken(values.url_path, {"": "", "/": "/", "/a%20b?c=/d": "/a%20b?c=/d"})
        self.assertTaken(values.url_path, {longest: longest})
        refused = ("status", "http://x/", "/a b", "/ä", "/\t", "/\x7f", f"{longest}x", "/ HTTP/1.1")
        self.assertRefused(values.url_path, 'begins with "/"', refused)

    def test_header_name(self) -> None:
        self.assertTaken(values.header_name, {"X-From-Where": "X-From-Where", "a_b": "a_b"})
        refused = ("", "X From", "X:", "X\t", "Größe", "(x)")
        self.assertRefused(values.header_name, "not the name of an HTTP header", refused)


class EveryParserTests(SynchronousTestCase):
    """All parsers that a table names."""

    tables = (
        keys.SERVER,
        keys.CLIENT,
        *keys.PROXIES.values(),
        keys.VISITOR,
        keys.HOOK,
        *(kind.table for kind in plugins.PLUGINS.values()),
    )
    parsers = st.sampled_from([key.parse for table in tables for key in table.keys.values()])

    @STEADY
    @given(parsers, st.one_of(st.text(), st.text(st.sampled_from("[]:./*-0129,ab %+"))))
    def test_any_text(self, parse: Parser, text: str) -> None:
        """A parser returns something or raises `BadValueError`."""
        try:
            value = parse(text)
        except BadValueError as why:
            self.assertTrue(str(why))
        else:
            self.assertIsNotNone(value)

    @STEADY
    @given(parsers, st.text(st.characters(categories=["Lo"]), min_size=3))
    def test_not_repeated(self, parse: Parser, text: str) -> None:
        """No parser's message shows the text, which only an `Entry` may, masked."""
        try:
            parse(text)
        except BadValueError as why:
            self.assertNotIn(text, str(why))
