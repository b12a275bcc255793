# -*- test-case-name: tests.config.test_convert -*-
"""Tests of `tunnelsvc.config.convert`."""

import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.config.files import DATA, NO_VARIABLES, STEADY, ConfigTestCase
from tests.config.test_names import PAIRS
from tunnelsvc.config import keys, load_client, load_server, plugins
from tunnelsvc.config.convert import convert, write
from tunnelsvc.config.keys import PROXIES
from tunnelsvc.config.values import BadValueError
from tunnelsvc.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "conf"

Role = Literal["client", "server"]

WORDS = st.sampled_from(
    ["1", "30", "7000", "x", "a.example", "10.0.0.1", "/x,/y", "1-3,5", "Login", "v1", "tcp"]
)
TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]))
VALUES = st.one_of(st.sampled_from(["true", "false", "on", "0"]), WORDS, TEXTS)


def takes(key: keys.Key, value: str) -> bool:
    """Tell whether a key takes a value that means what is written there."""
    try:
        key.parse(value)
    except BadValueError:
        return False
    return not (value.endswith("\\") or "{{" in value or "%(" in value)


class ConvertTestCase(ConfigTestCase):
    def toml(self, text: str, role: Role = "client") -> str:
        """Convert a file of which nothing is to be said."""
        converted, warnings = convert(self.write(text), role)
        self.assertEqual(warnings, ())
        return converted

    def assertConverted(self, text: str, *lines: str, role: Role = "client") -> None:
        self.assertEqual(self.toml(text, role).splitlines(), list(lines))

    def assertSays(self, text: str, *lines: str, role: Role = "client") -> None:
        path = self.write(text)
        try:
            said = convert(path, role)[1]
        except ConfigError as why:
            said = why.problems
        self.assertEqual(tuple(line.removeprefix(f"{path}:") for line in said), lines)

    def assertSame(self, path: str, role: Role, environ: Mapping[str, str] = NO_VARIABLES) -> str:
        """What is loaded of the result is what is loaded of the file."""
        text, _ = convert(path, role)
        other = self.write(text)
        load: Any = load_client if role == "client" else load_server
        before, after = (evolve(load(each, environ).config, path="") for each in (path, other))
        self.assertEqual(before, after)
        return text


class TextTests(ConvertTestCase):
    def test_common(self) -> None:
        self.assertConverted(
            "[common]\n# lost\nserver_addr = a.example\ntls_enable = yes\nstart = a, b\n"
            "user = 'u'\nmeta_a b = c\nmeta_d = e\nlog_max_days = +03\n",
            'serverAddr = "a.example"',
            "transport.tls.enable = true",
            'start = ["a", "b"]',
            'user = "u"',
            'metadatas."a b" = "c"',
            'metadatas.d = "e"',
            "log.maxDays = 3",
        )

    def test_texts(self) -> None:
        """Whatever a text holds comes out again."""
        text = 'C:\\x "y" \t#z \u7f51'
        (line,) = self.toml(f"[common]\ntoken = {text}\n").splitlines()
        self.assertEqual(tomllib.loads(line), {"auth": {"token": text}})

    def test_scopes(self) -> None:
        for first, second, words in (
            ("true", "on", '"HeartBeats", "NewWorkConns"'),
            ("false", "true", '"NewWorkConns"'),
            ("false", "false", ""),
        ):
            self.assertConverted(
                f"[common]\nauthenticate_heartbeats = {first}\n"
                f"authenticate_new_work_conns = {second}\n",
                f"auth.additionalScopes = [{words}]",
            )

    def test_server(self) -> None:
        self.assertConverted(
            "[common]\nallow_ports = 1-2, 5\n[certificate.a]\ncert_file = c\nkey_file = k\n"
            "domains = x.example\n[plugin.b]\naddr = h:1\npath = /p\nops = Login,Ping\n",
            "allowPorts = [{ start = 1, end = 2 }, { single = 5 }]",
            "",
            "[[certificates]]",
            'name = "a"',
            'certFile = "c"',
            'keyFile = "k"',
            'domains = ["x.example"]',
            "",
            "[[httpPlugins]]",
            'name = "b"',
            'addr = "h:1"',
            'path = "/p"',
            'ops = ["Login", "Ping"]',
            role="server",
        )

    def test_dashboard(self) -> None:
        """Its address is told, for the default is another one; of TLS only what is in use."""
        files = "dashboard_tls_cert_file = c\ndashboard_tls_key_file = k\n"
        for bind, addr in (("", "0.0.0.0"), ("bind_addr = 10.0.0.1\n", "10.0.0.1")):
            text = self.toml(f"[common]\n{bind}dashboard_port = 1\n{files}", "server")
            self.assertEqual(tomllib.loads(text)["webServer"], {"port": 1, "addr": addr})
        text = self.toml(
            f"[common]\ndashboard_tls_mode = true\n{files}dashboard_addr = ::\n", "server"
        )
        self.assertEqual(
            tomllib.loads(text)["webServer"],
            {"addr": "::", "tls": {"certFile": "c", "keyFile": "k"}},
        )

    def test_admin_without_tls(self) -> None:
        """An empty table of TLS turns it on in frp."""
        self.assertConverted(
            "[common]\nadmin_tls_cert_file =\nadmin_port = 1\n", "webServer.port = 1"
        )

    def test_proxies(self) -> None:
        self.assertConverted(
            "[common]\n[ssh]\nlocal_port = 22\n[web]\ntype = http\nsubdomain = x\nrole = server\n"
            "header_X-A = b\nhealth_check_header_X-C = d\nhealth_check_header_X-E = f\n"
            "plugin = http2http\nplugin_local_addr = h:1\nplugin_header_X-F = g\n",
            "",
            "[[proxies]]",
            'name = "ssh"',
            'type = "tcp"',
            "localPort = 22",
            "",
            "[[proxies]]",
            'name = "web"',
            'type = "http"',
            'subdomain = "x"',
            'requestHeaders.set.X-A = "b"',
            'plugin.type = "http2http"',
            'plugin.localAddr = "h:1"',
            'plugin.requestHeaders.set.X-F = "g"',
            "healthCheck.httpHeaders = "
            '[{ name = "X-C", value = "d" }, { name = "X-E", value = "f" }]',
        )

    def test_visitors(self) -> None:
        self.assertConverted(
            "[common]\n[v]\nrole = visitor\ntype = stcp\nserver_name = x\nbind_port = -1\n",
            "",
            "[[visitors]]",
            'name = "v"',
            'type = "stcp"',
            'serverName = "x"',
            "bindPort = -1",
        )

    def test_not_ours(self) -> None:
        """What only frp has is converted, too."""
        self.assertConverted(
            "[common]\noidc_client_id = x\noidc_additional_a = b\nprotocol = kcp\n"
            "[p]\ntype = xtcp\nsk = s\nlocal_port = 1\n",
            'auth.oidc.clientID = "x"',
            'auth.oidc.additionalEndpointParams.a = "b"',
            'transport.protocol = "kcp"',
            "",
            "[[proxies]]",
            'name = "p"',
            'type = "xtcp"',
            'secretKey = "s"',
            "localPort = 1",
        )

    def test_variables(self) -> None:
        """They stay what they are, in quotes only where a text belongs."""
        self.assertConverted(
            "[common]\ntoken = a{{.Envs.T}}\nserver_port={{ .Envs.P }}\ntcp_mux = {{ .Envs.M }}\n"
            "user = {{ .Envs.U }}\n",
            'auth.token = "a{{ .Envs.T }}"',
            "serverPort = {{ .Envs.P }}",
            "transport.tcpMux = {{ .Envs.M }}",
            'user = "{{ .Envs.U }}"',
        )

    def test_ranges(self) -> None:
        text = (
            "[common]\nstart = range:x, y\n[range:x]\ntype = udp\nlocal_port = 1-2,5\n"
            "remote_port = 6-8\nmeta_a = {{ .Envs.A }}\n[y]\nlocal_port = 1\n"
        )
        self.assertConverted(
            text,
            'start = ["x_0", "x_1", "x_2", "y"]',
            "",
            '{{- range $i, $v := parseNumberRangePair "1-2,5" "6-8" }}',
            "",
            "[[proxies]]",
            'name = "x_{{ $i }}"',
            'type = "udp"',
            "localPort = {{ $v.First }}",
            "remotePort = {{ $v.Second }}",
            'metadatas.a = "{{ $.Envs.A }}"',
            "{{- end }}",
            "",
            "[[proxies]]",
            'name = "y"',
            'type = "tcp"',
            "localPort = 1",
        )
        self.assertSame(self.write(text.replace("range:x, y", "")), "client", {"A": "b"})

    def test_range_in_variables(self) -> None:
        text = "[common]\n[range:x]\nlocal_port = {{ .Envs.L }}\nremote_port = {{.Envs.R}}\n"
        self.assertIn(
            "{{- range $i, $v := parseNumberRangePair $.Envs.L $.Envs.R }}", self.toml(text)
        )
        self.assertSame(self.write(text), "client", {"L": "1-2", "R": "3,4"})

    def test_included(self) -> None:
        """A file that another one includes has proxies only."""
        self.assertIn('name = "x"', self.toml("[x]\nlocal_port = 1\n"))


class MessageTests(ConvertTestCase):
    def test_left_out(self) -> None:
        what = "left out: it does nothing here"
        self.assertSays(
            "[common]\nbind_port = 1\ncolour = s3cret\n[x]\nlocal_port = 1\nsubdomain = x\n"
            "plugin_passwd = p\n",
            f"2: [common] bind_port: {what}",
            f"3: [common] colour: {what}",
            f"6: [x] subdomain: {what}",
        )
        self.assertSays(
            "[common]\n[x]\nlocal_port = 1\n",
            "2: [x]: left out: proxies belong in the client's file",
            role="server",
        )

    def test_includes(self) -> None:
        what = "the files that it names are still INI files, which a real frpc won't take"
        self.assertSays("[common]\nincludes = x/*.ini\n", f"2: [common] includes: {what}")
        self.assertSays("[common]\nincludes =\n")

    def test_inherited(self) -> None:
        text = "[common]\n[a]\nlocal_port = 1\n[a.b]\nremote_port = 2\n"
        self.assertSays(text, "4: [a.b]: has local_port from [a], as frp has it since 0.36")
        self.assertSame(self.write(text), "client")

    def test_wrong(self) -> None:
        self.assertSays(
            "[common]\nserver_port = x\ntcp_mux = maybe\nauthenticate_heartbeats = {{ .Envs.A }}\n"
            "nonsense\n[range:x]\nlocal_port = 1\n[range:y]\nlocal_port = x\nremote_port = 1\n"
            "[common]\n",
            '5: neither "key = value" nor [section] nor a comment (# or ;)',
            "11: [common]: the section was already in line 1",
            "2: [common] server_port = x: not a number",
            "3: [common] tcp_mux = maybe: neither true nor false",
            "4: [common] authenticate_heartbeats = {{ .Envs.A }}: must be true or false to be "
            "converted",
            "6: [range:x]: remote_port: not a single number; a list is such as 6000-6006,6010",
            "9: [range:y] local_port = x: local_port: not a list of numbers and ranges such as "
            "6000-6006,6010",
        )
        self.assertSays(
            "[common]\nstart = range:y,z\n[range:y]\nlocal_port = x\nremote_port = 1\n",
            "4: [range:y] local_port = x: not a list of numbers and ranges such as 6000-6006,6010",
        )

    def test_no_ini(self) -> None:
        hint = " (for a file that another one includes, say --role client)"
        self.assertSays("[x]\na = 1\n", f" there is no section [common]{hint}", role="server")
        self.assertSays("", " there is no section [common]")
        self.assertSays("", " there is no section [common]", role="server")


class WriteTests(ConvertTestCase):
    def test_write(self) -> None:
        path = Path(self.mktemp())
        write(str(path), "a = '网'\n")
        self.assertEqual(path.read_text("utf-8"), "a = '网'\n")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    def test_refused(self) -> None:
        """What is there stays."""
        path = Path(self.write("x"))
        for name, why in {str(path): "File exists", "no/x": "No such", "a\0": "the name"}.items():
            self.assertIn(why, str(self.assertRaises(ConfigError, write, name, "y")))
        self.assertEqual(path.read_text("utf-8"), "x")


class SameTests(ConvertTestCase):
    """What is loaded of the result is what was loaded of the file."""

    def test_examples(self) -> None:
        roles: tuple[Role, ...] = ("server", "client")
        for role in roles:
            self.assertSame(str(EXAMPLES / f"frp{role[0]}_full.ini"), role)
            self.assertSame(str(DATA / f"frp{role[0]}.ini"), role)
            self.assertSame(str(EXAMPLES / f"frp{role[0]}.ini"), role, {"TUNNEL_TOKEN": "x"})

    def section(self, data: st.DataObject, table: keys.Table, known: Mapping[str, str]) -> str:
        """Write some of the keys of a table with values that they take."""
        found = dict(known)
        names = data.draw(st.lists(st.sampled_from(sorted(table.keys)), max_size=8))
        for name in names:
            for value in data.draw(st.lists(VALUES, min_size=1, max_size=6)):
                if name not in found and takes(table.keys[name], value.strip()):
                    found[name] = value.strip()
        for start in data.draw(st.lists(st.sampled_from([*table.prefixes, ""]), max_size=3)):
            if start:
                found[f"{start}X-{data.draw(st.sampled_from('abc'))}"] = data.draw(WORDS)
        return "".join(f"{key} = {value}\n" for key, value in found.items())

    @STEADY
    @given(st.data())
    def test_any_server(self, data: st.DataObject) -> None:
        """For any configuration that can be loaded."""
        common = self.section(data, PAIRS[0][0], {"token": "x", "vhost_https_port": "443"})
        text = f"[common]\n{common}"
        for name, (table, _) in (("certificate.a", PAIRS[4]), ("plugin.b", PAIRS[5])):
            if data.draw(st.booleans()):
                given_keys = {"cert_file": "c", "key_file": "k"} if name[0] == "c" else {
                    "addr": "h:1", "path": "/", "ops": "Login,Ping"}  # fmt: skip
                text += f"[{name}]\n{self.section(data, table, given_keys)}"
        self.assertSameIfUsable(text, "server")

    @STEADY
    @given(st.data())
    def test_any_client(self, data: st.DataObject) -> None:
        known = {"includes": "", "start": ""}
        text = f"[common]\n{self.section(data, PAIRS[1][0], known)}"
        kinds = data.draw(
            st.lists(st.sampled_from([*PROXIES, "visitor", *plugins.PLUGINS]), max_size=3)
        )
        for number, kind in enumerate(kinds):
            text += f"[p{number}]\n"
            if kind == "visitor":
                visited = {"role": kind, "type": "stcp", "server_name": "x", "bind_port": "1"}
                text += self.section(data, PAIRS[3][0], visited)
            elif kind in PROXIES:
                wanted = {"type": kind, "local_port": "1", "plugin": "", "role": "server"}
                if kind in {"http", "https", "tcpmux"}:
                    wanted["subdomain"] = "x"
                text += self.section(data, PROXIES[kind], wanted)
            else:
                plugin = plugins.PLUGINS[kind]
                needed = dict.fromkeys(plugin.missing({}), "h:1")
                proxy = {"type": "tcp", "plugin": kind, **needed}
                text += self.section(data, plugin.table, proxy)
        self.assertSameIfUsable(text, "client")

    def assertSameIfUsable(self, text: str, role: Role) -> None:
        path = self.write(text)
        load: Any = load_client if role == "client" else load_server
        try:
            load(path, NO_VARIABLES)
        except ConfigError:
            return
        self.assertSame(path, role)

    @STEADY
    @given(
        st.one_of(st.binary(), st.builds(lambda text: b"[common]\n[range:x]\n" + text, st.binary()))
    )
    def test_any_bytes(self, content: bytes) -> None:
        """Whatever a file holds, it is converted or refused."""
        roles: tuple[Role, ...] = ("server", "client")
        for role in roles:
            try:
                convert(self.write(content), role)
            except ConfigError as why:
                self.assertNotEqual(why.problems, ())
