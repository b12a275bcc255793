"""Tests of `tunnelsvc.config.plugins`."""

from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from tests.config.files import STEADY, ConfigTestCase
from tunnelsvc.config import keys
from tunnelsvc.config.plugins import PLUGINS, UnixDomainSocketConfig
from tunnelsvc.config.schema import PluginConfig

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
        what = "not a parameter of unix_domain_socket; did you mean plugin_unix_path?"
        for key in "plugin_unix_pth", "plugin_local_addr":
            self.assertSays(f"{UNIX}{key} = a\n", f"5: [x] {key} = a: {what}")
        problem = f"5: [x] plugin_http_passwd = ***: {what}"
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
        """No plugin is for types that aren't there."""
        for name, kind in PLUGINS.items():
            self.assertTrue(kind.config.types, name)
