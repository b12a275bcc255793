# -*- test-case-name: tests.config.test_plugins -*-
"""Tests of `tunnelsvc.config.plugins`."""

from typing import Any

from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from tests.config.files import STEADY, ConfigTestCase
from tunnelsvc.config import keys
from tunnelsvc.config.plugins import (
    PLUGINS,
    GatewayConfig,
    HTTPProxyPluginConfig,
    HTTPSToHTTPConfig,
    HTTPSToHTTPSConfig,
    HTTPToHTTPConfig,
    HTTPToHTTPSConfig,
    Socks5Config,
    StaticFileConfig,
    UnixDomainSocketConfig,
)
from tunnelsvc.config.proxies import PluginConfig

UNIX = "plugin = unix_domain_socket\nplugin_unix_path = /run/app.sock\n"


class PluginTestCase(ConfigTestCase):
    """Loads proxies with plugins."""

    def plugin(self, text: str) -> PluginConfig:
        """Load what follows the heading of a proxy with a plugin."""
        proxy = self.proxy(text)
        self.assertEqual(proxy.local_port, 0)
        assert proxy.plugin is not None
        return proxy.plugin

    def assertSays(self, text: str, *lines: str) -> None:
        """A proxy of this text, its heading in line 2, has these problems or warnings."""
        self.assertEqual(self.client_says(f"[common]\n[x]\n{text}"), lines)


class ReadTests(PluginTestCase):
    """What any plugin has."""

    def test_no_local_port(self) -> None:
        self.assertEqual(self.plugin(UNIX), UnixDomainSocketConfig(unix_path="/run/app.sock"))

    def test_none(self) -> None:
        """An empty name is none, as if the line were not there."""
        for text in "plugin =\nlocal_port = 1\n", "local_port = 1\n":
            self.assertIsNone(self.proxy(text).plugin)
        missing = "local_port is missing: where the local service listens"
        self.assertSays("plugin =\n", f"2: [x]: {missing}")

    def test_local_port(self) -> None:
        """Whoever gives both should know which one it is."""
        text = f"{UNIX}local_ip = 10.0.0.1\nlocal_port = 22\n"
        ignored = "ignored: the plugin serves the users"
        self.assertSays(text, f"5: [x] local_ip: {ignored}", f"6: [x] local_port: {ignored}")
        self.assertEqual(self.plugin(text), UnixDomainSocketConfig(unix_path="/run/app.sock"))

    def test_unknown(self) -> None:
        for name in "unix_domain_sockt", "unix_socket", "Unix_Domain_Socket":
            what = "not a plugin; did you mean unix_domain_socket?"
            self.assertSays(f"plugin = {name}\n", f"3: [x] plugin = {name}: {what}")
        what = f"not a plugin (one of {', '.join(PLUGINS)})"
        self.assertSays("plugin = xyz\n", f"3: [x] plugin = xyz: {what}")

    def test_misspelt_key(self) -> None:
        (warning,) = self.client_says("[common]\n[x]\nplugn = unix\nlocal_port = 1\n")
        self.assertEqual(warning, "3: [x] plugn: unknown key, ignored; did you mean plugin?")

    def test_missing_parameter(self) -> None:
        what = "needs plugin_unix_path as well"
        text = "plugin = unix_domain_socket\n"
        self.assertSays(text, f"3: [x] plugin = unix_domain_socket: {what}")

    def test_empty_parameter(self) -> None:
        what = "empty; leave the line out for the default"
        text = "plugin = unix_domain_socket\nplugin_unix_path =\n"
        self.assertSays(text, f"4: [x] plugin_unix_path = : {what}")

    def test_parameter_of_another(self) -> None:
        """A parameter that does nothing is one that somebody relies on."""
        what = "not a parameter of unix_domain_socket"
        meant = "; did you mean plugin_unix_path?"
        self.assertSays(
            f"{UNIX}plugin_unix_pth = a\n", f"5: [x] plugin_unix_pth = a: {what}{meant}"
        )
        problem = f"5: [x] plugin_http_passwd = ***: {what} (plugin_unix_path)"
        self.assertSays(f"{UNIX}plugin_http_passwd = s3cret\n", problem)

    def test_parameter_of_none(self) -> None:
        warning = "3: [x] plugin_unix_path: ignored without plugin = NAME"
        self.assertSays("plugin_unix_path = /run/app.sock\nlocal_port = 1\n", warning)

    def test_in_common(self) -> None:
        (warning,) = self.client_says(f"[common]\nplugin = socks5\n[x]\n{UNIX}")
        self.assertEqual(
            warning, "2: [common] plugin: ignored: it belongs in the section of a proxy"
        )

    def test_other_keys_stay(self) -> None:
        """Those of the proxy's type are read as ever."""
        proxy = self.proxy(f"{UNIX}use_encryption = true\nremote_port = 6000\n")
        self.assertTrue(proxy.use_encryption)
        what = "unknown key, ignored; did you mean remote_port?"
        self.assertSays(f"{UNIX}remote_prt = 1\n", f"5: [x] remote_prt: {what}")

    @STEADY
    @given(st.data())
    def test_any_values(self, data: st.DataObject) -> None:
        """Whatever the parameters are, the file is loaded or refused."""
        known = sorted({key for kind in PLUGINS.values() for key in kind.table.keys})
        value = st.one_of(st.text(), st.sampled_from(["", "1", "a:1", "/a", "[::1]:80", "true"]))
        entries = data.draw(st.lists(st.tuples(st.sampled_from(known), value), max_size=6))
        name = data.draw(st.sampled_from(sorted(PLUGINS)))
        text = "".join(f"{key} = {value}\n" for key, value in entries)
        content = f"[common]\n[x]\ntype = tcp\nplugin = {name}\n{text}"
        self.client_says(content.encode(errors="replace"))


class GatewayTests(PluginTestCase):
    """https2http and its kin."""

    def test_all_of_it(self) -> None:
        text = (
            "plugin_local_addr = 127.0.0.1:8080\nplugin_host_header_rewrite = localhost\n"
            "plugin_header_X-From-Where = frp\nplugin_header_Authorization = s3cret\n"
        )
        certificate = "plugin_crt_path = a.crt\nplugin_key_path = a.key\n"
        values: dict[str, Any] = {
            "local_addr": ("127.0.0.1", 8080),
            "host_header_rewrite": "localhost",
            "headers": {"X-From-Where": "frp", "Authorization": "s3cret"},
        }
        for kind in HTTPToHTTPConfig, HTTPToHTTPSConfig:
            config = self.plugin(f"plugin = {kind.name}\n{text}")
            self.assertEqual(config, kind(**values))
            self.assertNotIn("s3cret", repr(config))
        for secured in HTTPSToHTTPConfig, HTTPSToHTTPSConfig:
            config = self.plugin(f"plugin = {secured.name}\n{text}{certificate}")
            self.assertEqual(config, secured(**values, crt_path="a.crt", key_path="a.key"))

    def test_default_ports(self) -> None:
        """As a URL's: frp lets the port out as well."""
        for name, port in (("https2http", 80), ("https2https", 443), ("http2https", 443)):
            config = self.plugin(f"plugin = {name}\nplugin_local_addr = ::1\n")
            assert isinstance(config, GatewayConfig)
            self.assertEqual(config.local_addr, ("::1", port))

    def test_missing(self) -> None:
        for name in "http2http", "http2https", "https2http", "https2https", "tls2raw":
            what = "needs plugin_local_addr as well"
            self.assertSays(f"plugin = {name}\n", f"3: [x] plugin = {name}: {what}")

    def test_half_a_certificate(self) -> None:
        start = "plugin = https2http\nplugin_local_addr = a:1\n"
        what = "needs plugin_key_path as well"
        self.assertSays(
            f"{start}plugin_crt_path = a.crt\n", f"5: [x] plugin_crt_path = a.crt: {what}"
        )
        what = "needs plugin_crt_path as well"
        self.assertSays(
            f"{start}plugin_key_path = a.key\nplugin_crt_path =\n",
            f"5: [x] plugin_key_path = a.key: {what}",
        )
        self.assertSays(f"{start}plugin_crt_path =\nplugin_key_path =\n")

    def test_certificate_of_nobody(self) -> None:
        """Where no TLS ends a certificate would do nothing."""
        (problem,) = self.client_says(
            "[common]\n[x]\nplugin = http2https\nplugin_local_addr = a:1\nplugin_crt_path = a\n"
        )
        self.assertIn("plugin_crt_path = a: not a parameter of http2https", problem)

    def test_types(self) -> None:
        """TLS has to come as users sent it, or not at all."""
        address = "plugin_local_addr = a:1\n"
        http = "type = http\nsubdomain = x\n"
        for name in "https2http", "https2https", "tls2raw":
            what = "can't serve a proxy of type http; only tcp or tcpmux or stcp or https"
            self.assertSays(f"{http}plugin = {name}\n{address}", f"5: [x] plugin = {name}: {what}")
        for name in "http2http", "http2https":
            self.assertSays(f"{http}plugin = {name}\n{address}")
        for name, kind in PLUGINS.items():
            if "local_addr" in {each.name for each in fields(kind.config)}:
                self.assertEqual("https" in kind.config.types, not name.startswith("http2"))

    def test_header_name(self) -> None:
        (problem,) = self.client_says(
            "[common]\n[x]\nplugin = http2http\nplugin_local_addr = a:1\nplugin_header_X Y = s\n"
        )
        self.assertIn("plugin_header_X Y = ***: what follows header_ is not", problem)


class Socks5Tests(PluginTestCase):
    def test_all(self) -> None:
        text = "plugin = socks5\nplugin_user = a:b\nplugin_passwd = s3cret\n"
        plugin = self.plugin(text)
        self.assertEqual(plugin, Socks5Config(user="a:b", password="s3cret"))
        self.assertNotIn("s3cret", repr(plugin))
        self.assertEqual(self.plugin("plugin = socks5\n"), Socks5Config())

    def test_open_to_all(self) -> None:
        """As in frp; but nobody should do so unawares."""
        for name, user in ("socks5", "plugin_user"), ("http_proxy", "plugin_http_user"):
            text = f"plugin = {name}\n{user} =\n"
            (warning,) = self.client_says(f"[common]\ntoken = x\n[x]\n{text}")
            self.assertIn(f"without {user} and ", warning)
            self.assertIn("whoever reaches the port is in your network", warning)
            self.assertSays(f"{text.strip()} alice\n")

    def test_longer_than_the_wire_allows(self) -> None:
        what = "longer than the 255 bytes that SOCKS 5 allows"
        for key in "plugin_user", "plugin_passwd":
            (problem,) = self.client_says(f"[common]\n[x]\nplugin = socks5\n{key} = {'ä' * 128}\n")
            self.assertIn(what, problem)
            self.plugin(f"plugin = socks5\n{key} = {'ä' * 127}\n")

    def test_types(self) -> None:
        """Nobody speaks it through a port for web sites."""
        what = "can't serve a proxy of type http; only tcp or tcpmux or stcp"
        text = "type = http\nsubdomain = x\nplugin = socks5\n"
        self.assertSays(text, f"5: [x] plugin = socks5: {what}")


class HTTPProxyTests(PluginTestCase):
    def test_all(self) -> None:
        text = "plugin = http_proxy\nplugin_http_user = alice\nplugin_http_passwd = s3cret\n"
        plugin = self.plugin(text)
        self.assertEqual(plugin, HTTPProxyPluginConfig(http_user="alice", http_password="s3cret"))
        self.assertNotIn("s3cret", repr(plugin))

    def test_user(self) -> None:
        text = "plugin = http_proxy\nplugin_http_user = a:b\n"
        self.assertSays(text, '4: [x] plugin_http_user = a:b: can\'t hold a ":"')


class StaticFileTests(PluginTestCase):
    def test_all(self) -> None:
        text = (
            "plugin = static_file\nplugin_local_path = /srv/a\nplugin_strip_prefix = /x/y/\n"
            "plugin_http_user = alice\nplugin_http_passwd = s3cret\n"
        )
        plugin = self.plugin(text)
        self.assertEqual(
            plugin,
            StaticFileConfig(
                local_path="/srv/a", strip_prefix="x/y", http_user="alice", http_password="s3cret"
            ),
        )
        self.assertNotIn("s3cret", repr(plugin))

    def test_prefixes(self) -> None:
        text = "plugin = static_file\nplugin_local_path = /srv\nplugin_strip_prefix = "
        for prefix in "", "/", "//":
            self.assertEqual(self.plugin(f"{text}{prefix}\n"), StaticFileConfig(local_path="/srv"))
        for prefix in "a//b", "..", "a/../b", "./a":
            (problem,) = self.client_says(f"[common]\n[x]\n{text}{prefix}\n")
            self.assertIn("not a path such as a/b", problem)

    def test_user(self) -> None:
        text = "plugin = static_file\nplugin_local_path = /srv\nplugin_http_user = a:b\n"
        self.assertSays(text, '5: [x] plugin_http_user = a:b: can\'t hold a ":"')


class TableTests(PluginTestCase):
    """The table of plugins itself."""

    def test_keys_and_fields(self) -> None:
        """Each parameter of a file has a field, and each field a parameter."""
        for name, kind in PLUGINS.items():
            read = {key.field for key in kind.table.keys.values()}
            read |= {prefix.field for prefix in kind.table.prefixes.values()}
            self.assertEqual(read, {each.name for each in fields(kind.config)}, name)
            for key in [*kind.table.keys, *kind.table.prefixes]:
                self.assertTrue(key.startswith(keys.PLUGIN_PARAMETERS), key)

    def test_types(self) -> None:
        """No plugin is for types that aren't there, and what a port can have, visitors can, too."""
        for name, kind in PLUGINS.items():
            self.assertLessEqual(set(kind.config.types), set(keys.PROXIES), name)
            self.assertLessEqual({"tcp", "stcp"}, set(kind.config.types), name)
