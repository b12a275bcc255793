# -*- test-case-name: tests.config.test_load -*-
"""Tests of `tunnelsvc.config.load`: whole files."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.config.files import DATA, NO_VARIABLES, STEADY, ConfigTestCase
from tunnelsvc.config import keys, load_client, load_server, plugins
from tunnelsvc.config.proxies import (
    HealthCheckConfig,
    HTTPProxyConfig,
    SecretProxyConfig,
    TCPProxyConfig,
    VisitorConfig,
)
from tunnelsvc.config.schema import (
    CertificateConfig,
    ClientConfig,
    DashboardConfig,
    LogConfig,
    ServerConfig,
    TLSConfig,
    WebhookConfig,
)
from tunnelsvc.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "conf"


class SeedTests(ConfigTestCase):
    """The tutorial's files, to the letter."""

    def test_server(self) -> None:
        path = str(DATA / "frps.ini")
        loaded = load_server(path, NO_VARIABLES)
        self.assertEqual(
            loaded.config,
            ServerConfig(
                path=path,
                bind_port=7000,
                vhost_http_port=8080,
                dashboard=DashboardConfig(
                    addr="0.0.0.0",
                    port=7500,
                    user="admin",
                    password="admin",
                    credentials_configured=True,
                ),
            ),
        )
        (warning,) = loaded.warnings
        self.assertIn("NO TOKEN", warning)

    def test_client(self) -> None:
        path = str(DATA / "frpc.ini")
        loaded = load_client(path, NO_VARIABLES)
        self.assertEqual(
            loaded.config,
            ClientConfig(
                path=path,
                server_addr="x.x.x.x",
                server_port=7000,
                proxies=(
                    TCPProxyConfig(name="ssh", type="tcp", local_port=22, remote_port=6000),
                    HTTPProxyConfig(
                        name="web1",
                        type="http",
                        local_port=80,
                        custom_domains=("site1.example.com",),
                    ),
                    HTTPProxyConfig(
                        name="web2",
                        type="http",
                        local_port=81,
                        custom_domains=("site2.example.com",),
                    ),
                ),
            ),
        )
        self.assertEqual(loaded.warnings, ())


NOT_HERE = ("plugin", "health_check_header_", "inspect")
"""Keys that proxies lack which have neither a plugin nor requests to look at or to check by."""


class ExampleTests(ConfigTestCase):
    """Our own files in conf/."""

    environ = {"TUNNEL_TOKEN": "s3cret"}  # noqa: RUF012 - nobody changes it

    def test_tutorial(self) -> None:
        server = load_server(str(EXAMPLES / "frps.ini"), self.environ)
        client = load_client(str(EXAMPLES / "frpc.ini"), self.environ)
        self.assertEqual((server.config.token, client.config.token), ("s3cret", "s3cret"))
        self.assertEqual(client.config.server_port, server.config.bind_port)
        self.assertEqual(client.warnings, ())
        (warning,) = server.warnings
        self.assertIn("loopback only", warning)

    def test_tutorial_token(self) -> None:
        """Nobody runs the examples without having chosen a token."""
        for load, name in ((load_server, "frps.ini"), (load_client, "frpc.ini")):
            why = self.assertRaises(ConfigError, load, str(EXAMPLES / name), NO_VARIABLES)
            self.assertIn("token: the environment variable TUNNEL_TOKEN is not set", str(why))

    def test_full_server(self) -> None:
        """The full file has every key."""
        path = EXAMPLES / "frps_full.ini"
        self.assertEqual(load_server(str(path), NO_VARIABLES).warnings, ())
        self.assertHasAll(path, "common", keys.SERVER)
        self.assertHasAll(path, "certificate.example", keys.CERTIFICATE)
        self.assertHasAll(path, "plugin.users", keys.HOOK)

    def test_full_client(self) -> None:
        path = EXAMPLES / "frpc_full.ini"
        loaded = load_client(str(path), NO_VARIABLES)
        self.assertEqual(loaded.warnings, ())
        with_ports = [proxy for proxy in loaded.config.proxies if proxy.plugin is None]
        self.assertEqual(
            [proxy.type for proxy in with_ports],
            ["tcp", "http", "https", "tcpmux", "udp", "stcp", "sudp"],
        )
        self.assertHasAll(path, "common", keys.CLIENT)
        self.assertHasAll(path, "ssh", keys.PROXIES["tcp"], but=NOT_HERE)
        self.assertHasAll(path, "web", keys.PROXIES["http"], but=("plugin",))
        self.assertHasAll(path, "private", keys.PROXIES["https"], but=NOT_HERE)
        self.assertHasAll(path, "mux", keys.PROXIES["tcpmux"], but=NOT_HERE)
        self.assertHasAll(path, "dns", keys.PROXIES["udp"], but=NOT_HERE)
        self.assertHasAll(path, "secret", keys.PROXIES["stcp"], but=NOT_HERE)
        self.assertHasAll(path, "secret-dns", keys.PROXIES["sudp"], but=NOT_HERE)
        self.assertHasAll(path, "visitor", keys.VISITOR)
        for name, kind in plugins.PLUGINS.items():
            self.assertHasAll(path, name, kind.table)

    def test_plugins(self) -> None:
        """What the documentation shows can be loaded."""
        text = (EXAMPLES.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
        shown = re.findall(r"```ini\n(.*?)```", text, re.DOTALL)
        self.assertGreater(len(shown), 3)
        for section in shown:
            self.assertEqual(self.client_says(f"[common]\ntoken = x\n{section}"), (), section)

    def test_documentation(self) -> None:
        """What docs/https.md tells people to write."""
        text = (EXAMPLES.parent / "docs" / "https.md").read_text(encoding="utf-8")
        blocks = re.findall(r"```ini\n; (\S+)[^\n]*\n(.*?)```", text, re.DOTALL)
        self.assertEqual(len(blocks), 4)
        for name, block in blocks:
            common = "" if "[common]" in block else "[common]\n"
            load = load_server if name == "frps.ini" else load_client
            loaded = load(self.write(common + block), NO_VARIABLES)
            self.assertEqual([line for line in loaded.warnings if "NO TOKEN" not in line], [])

    def assertHasAll(
        self, path: Path, section: str, table: keys.Table, but: tuple[str, ...] = ()
    ) -> None:
        _, _, after = path.read_text().partition(f"[{section}]\n")
        lines = after.partition("\n[")[0].splitlines()
        present = {line.partition("=")[0].strip() for line in lines}
        self.assertEqual(set(table.keys) - present - set(but), set())
        for prefix in table.prefixes.keys() - set(but):
            self.assertTrue(any(key.startswith(prefix) for key in present), prefix)


class FileTests(ConfigTestCase):
    def test_missing(self) -> None:
        for load in load_server, load_client:
            why = self.assertRaises(ConfigError, load, "not/there.ini", NO_VARIABLES)
            self.assertEqual(
                why.problems, ("not/there.ini: can't be read: No such file or directory",)
            )

    def test_no_common(self) -> None:
        """Other sections don't help, and what else is wrong is told, too."""
        what = "there is no section [common]"
        for text in "[Common]\n", "[ssh]\nlocal_port = 22\n":
            self.assertEqual(self.client_says(text), (what,))
            self.assertEqual(self.server_says(text), (what,))
        problems = self.client_says("server_addr = x\n[ssh\n")
        self.assertEqual(len(problems), 3)
        self.assertEqual(problems[-1], what)

    def test_ini_by_content(self) -> None:
        """As in frp, [common] makes it an INI file whatever its name."""
        path = f"{self.mktemp()}.toml"
        Path(path).write_text("[common]\nuser = x\n")
        self.assertEqual(load_client(path, NO_VARIABLES).config.user, "x")

    def test_all_at_once(self) -> None:
        """Everything that is wrong is told in one go, each with its place."""
        text = (
            "[common]\nserver_addr = a b\nserver_port = 0\ntls_enable = maybe\nnonsense\n"
            "[ssh]\nlocal_port = 99999\n[ssh]\n"
            "[web]\ntype = http\nlocal_port = 80\nlocal_port = 81\n"
            "[dns]\ntype = upd\n"
        )
        no_host = (
            "not a host name or IP address (without http://), nor several with commas between, "
            "such as a.example.com:7000,b.example.com"
        )
        self.assertEqual(
            self.client_says(text),
            (
                '5: neither "key = value" nor [section] nor a comment (# or ;)',
                "8: [ssh]: the section was already in line 6",
                "12: [web] local_port: the key was already in line 11",
                f"2: [common] server_addr = a b: {no_host}",
                "3: [common] server_port = 0: not a port number (1 to 65535)",
                "4: [common] tls_enable = maybe: neither true nor false",
                "7: [ssh] local_port = 99999: not a port number (1 to 65535)",
                "9: [web]: custom_domains or subdomain must say under which name it is reached",
                f"14: [dns] type = upd: not a type of proxy (one of {', '.join(keys.PROXIES)})",
            ),
        )

    def test_variables(self) -> None:
        config = self.server("token = {{ .Envs.T }}\nbind_port = {{.Envs.P}}", {"T": "x", "P": "1"})
        self.assertEqual((config.token, config.bind_port), ("x", 1))


class ServerTests(ConfigTestCase):
    def test_defaults(self) -> None:
        """An empty [common] is the schema's defaults."""
        path = self.write("[common]\n")
        self.assertEqual(load_server(path, NO_VARIABLES).config, ServerConfig(path=path))

    def test_all_groups(self) -> None:
        config = self.server(
            "tls_cert_file = a\ntls_key_file = b\nlog_file = /x.log\nlog_level = DEBUG\n"
            "log_max_days = 7\ndisable_log_color = true\nheartbeat_timeout = 90\n"
            "allow_ports = 1-2,5\ntcp_keepalive = -1\nenable_prometheus = yes\n"
        )
        self.assertEqual(config.tls, TLSConfig(cert_file="a", key_file="b"))
        log = LogConfig(file="/x.log", level="debug", max_days=7, disable_color=True)
        self.assertEqual(config.log, log)
        self.assertEqual(config.heartbeat_timeout_seconds, 90.0)
        self.assertEqual(config.allow_ports, (range(1, 3), range(5, 6)))
        self.assertEqual(config.tcp_keepalive_seconds, -1)
        self.assertTrue(config.dashboard.enable_prometheus)

    def test_log_days(self) -> None:
        """Files may be kept for ever."""
        self.assertEqual(self.server("log_max_days = 0\n").log.max_days, 0)
        self.assertRaises(ConfigError, self.server, "log_max_days = -1\n")

    def test_addresses(self) -> None:
        """Proxies and dashboard listen where clients are served, unless told otherwise."""
        for bind in "::", "[::]":
            config = self.server(f"bind_addr = {bind}\ndashboard_pwd = x\n")
            addresses = (config.bind_addr, config.proxy_bind_addr, config.dashboard.addr)
            self.assertEqual(addresses, ("::", "::", "::"))
        config = self.server(
            "bind_addr = 10.0.0.1\nproxy_bind_addr = 10.0.0.2\ndashboard_addr = 10.0.0.3\n"
            "dashboard_pwd = x\n"
        )
        addresses = (config.bind_addr, config.proxy_bind_addr, config.dashboard.addr)
        self.assertEqual(addresses, ("10.0.0.1", "10.0.0.2", "10.0.0.3"))

    def test_authority_implies_tls(self) -> None:
        self.assertTrue(self.server("tls_trusted_ca_file = ca.crt\ntls_only = false\n").tls.only)
        self.assertFalse(self.server("tls_trusted_ca_file =\n").tls.only)

    def test_proxies(self) -> None:
        """A client's sections are of no use here."""
        self.assertEqual(
            self.server_says("[common]\ntoken = x\n[ssh]\nlocal_port = 22\n"),
            ("3: [ssh]: ignored: proxies belong in the client's file",),
        )

    def test_client_keys(self) -> None:
        """The other file's keys are recognised, also the ones that look alike."""
        self.assertEqual(
            self.server_says("[common]\ntoken = x\npool_count = 5\nmax_poolcount = 5\n"),
            (
                "3: [common] pool_count: ignored: it belongs in the client's file",
                "4: [common] max_poolcount: unknown key, ignored; did you mean max_pool_count?",
            ),
        )


class DashboardTests(ConfigTestCase):
    def dashboard(self, text: str) -> DashboardConfig:
        """Load these keys and a port."""
        return self.server(f"dashboard_port = 7500\n{text}").dashboard

    def assertSays(self, text: str, *lines: str) -> None:
        self.assertEqual(self.server_says(f"[common]\ntoken=x\n{text}"), lines)

    def test_open(self) -> None:
        """With a password it listens where it is told, for admin unless told otherwise."""
        for text, user in {"": "admin", "dashboard_user = bob\n": "bob"}.items():
            config = self.dashboard(f"dashboard_pwd = x\n{text}")
            self.assertEqual(config.addr, "0.0.0.0")
            self.assertEqual((config.user, config.password), (user, "x"))
            self.assertTrue(config.credentials_configured)

    def test_closed(self) -> None:
        """Without one, only this machine reaches it, whatever the file says."""
        for text in "", "dashboard_addr = 0.0.0.0\n", "dashboard_pwd =\ndashboard_user =\n":
            config = self.dashboard(text)
            self.assertEqual(config.addr, "127.0.0.1")
            self.assertFalse(config.credentials_configured)

    def test_loopback_kept(self) -> None:
        """An address that only this machine reaches stays."""
        for addr in "127.0.0.2", "::1", "localhost":
            self.assertEqual(self.dashboard(f"dashboard_addr = {addr}\n").addr, addr)
        self.assertEqual(self.dashboard("dashboard_addr = example.com\n").addr, "127.0.0.1")

    def test_warning(self) -> None:
        what = (
            "without dashboard_user and dashboard_pwd it listens on loopback only, for admin with "
            "the password admin"
        )
        self.assertSays("dashboard_port = 7500\n", f"3: [common] dashboard_port: {what}")
        self.assertSays("dashboard_port = 0\n")
        self.assertSays("dashboard_user = bob\n")

    def test_user_alone(self) -> None:
        """A user without password would be let in by anybody who knows frp."""
        self.assertSays(
            "dashboard_port = 7500\ndashboard_user = bob\n",
            "4: [common] dashboard_user = bob: needs dashboard_pwd as well",
        )

    def test_tls(self) -> None:
        files = "dashboard_tls_cert_file = a\ndashboard_tls_key_file = b\n"
        config = self.dashboard(f"dashboard_tls_mode = true\n{files}")
        self.assertEqual((config.tls_cert_file, config.tls_key_file), ("a", "b"))

    def test_tls_off(self) -> None:
        """Without the mode, frp serves plain HTTP; here that is told."""
        files = "dashboard_tls_cert_file = a\ndashboard_tls_key_file = b\n"
        config = self.dashboard(files)
        self.assertEqual((config.tls_cert_file, config.tls_key_file), ("", ""))
        what = "ignored without dashboard_tls_mode = true: the dashboard is plain HTTP"
        self.assertSays(files, f"3: [common] dashboard_tls_cert_file: {what}")

    def test_tls_incomplete(self) -> None:
        what = "needs dashboard_tls_cert_file and dashboard_tls_key_file"
        self.assertSays(
            "dashboard_tls_mode = true\n", f"3: [common] dashboard_tls_mode = true: {what}"
        )
        self.assertSays(
            "dashboard_tls_cert_file = a\n",
            "3: [common] dashboard_tls_cert_file = a: needs dashboard_tls_key_file as well",
        )


class GroupTests(ConfigTestCase):
    def test_group(self) -> None:
        for kind in "type = tcp", "type = http\nsubdomain = x":
            proxy = self.proxy(f"{kind}\nlocal_port = 1\ngroup = g\ngroup_key = s3cret")
            self.assertEqual((proxy.group, proxy.group_key), ("g", "s3cret"))
            self.assertNotIn("s3cret", repr(proxy))

    def test_health_check(self) -> None:
        start = "local_port = 1\nhealth_check_type = "
        self.assertIsNone(self.proxy(start).health_check)
        self.assertEqual(self.proxy(f"{start}tcp").health_check, HealthCheckConfig(type="tcp"))
        lines = "\n".join(
            f"health_check_{key}"
            for key in ("timeout_s = 1", "max_failed = 2", "interval_s = 4", "url = /x")
        )
        self.assertEqual(
            self.proxy(f"{start}http\n{lines}").health_check,
            HealthCheckConfig(
                type="http", timeout_seconds=1.0, max_failed=2, interval_seconds=4.0, url="/x"
            ),
        )


class ClientTests(ConfigTestCase):
    def test_defaults(self) -> None:
        path = self.write("[common]\n")
        self.assertEqual(load_client(path, NO_VARIABLES).config, ClientConfig(path=path))

    def test_all_groups(self) -> None:
        config = self.client(
            "tls_enable = false\ntls_server_name = x\ndisable_custom_tls_first_byte = true\n"
            "log_level = warn\nmeta_a = 1\nmeta_b = 2\nuser = alice\n"
        )
        tls = TLSConfig(enable=False, server_name="x", disable_custom_first_byte=True)
        self.assertEqual(config.tls, tls)
        self.assertEqual(config.log, LogConfig(level="warn"))
        self.assertEqual(config.metas, {"a": "1", "b": "2"})
        self.assertEqual(config.user, "alice")

    def test_server_keys(self) -> None:
        self.assertEqual(
            self.client_says("[common]\nbind_port = 1\nlocal_port = 2\n[x]\nlocal_port = 1\n"),
            (
                "2: [common] bind_port: ignored: it belongs in the server's file",
                "3: [common] local_port: ignored: it belongs in the section of a proxy",
            ),
        )


class StartTests(ConfigTestCase):
    sections = "[a]\nlocal_port = 1\n[b]\nlocal_port = 2\n[broken]\ntype = xtcp\n"

    def test_chosen(self) -> None:
        """Only these proxies are started, in the file's order; the others may be anything."""
        config = self.client(f"start = b, a\n{self.sections}")
        self.assertEqual([proxy.name for proxy in config.proxies], ["a", "b"])
        self.assertEqual(config.start, ("b", "a"))

    def test_all(self) -> None:
        """An empty list is no list."""
        problems = self.client_says(f"[common]\nstart =\n{self.sections}")
        self.assertEqual(len(problems), 1)
        self.assertIn("[broken] type = xtcp", problems[0])

    def test_unknown(self) -> None:
        sections = "[website]\nlocal_port = 1\n"
        self.assertEqual(
            self.client_says(f"[common]\nstart = webstie\n{sections}"),
            ("2: [common] start = webstie: there is no proxy [webstie]; did you mean website?",),
        )
        self.assertEqual(
            self.client_says(f"[common]\nstart = website,zzz\n{sections}"),
            ("2: [common] start = website,zzz: there is no proxy [zzz]",),
        )


class ServersTests(ConfigTestCase):
    """``server_addr`` with more than one server."""

    def test_one(self) -> None:
        config = self.client("server_addr = a:7001\nserver_port = 7002\n")
        self.assertEqual((config.server_addr, config.server_port), ("a", 7001))
        self.assertEqual(config.servers, ())

    def test_many(self) -> None:
        config = self.client("server_addr = a, b:7001\nserver_port = 7002\n")
        self.assertEqual((config.server_addr, config.server_port), ("a", 7002))
        self.assertEqual(config.servers, (("a", 7002), ("b", 7001)))


class VisitorTests(ConfigTestCase):
    """``role = visitor``."""

    START = "[common]\n[x]\nrole = visitor\n"

    def test_values(self) -> None:
        config = self.client("[x]\nrole=visitor\ntype=stcp\nserver_name=y\nbind_port=-1\nsk=z\n")
        visitor = VisitorConfig(
            name="x", type="stcp", server_name="y", bind_port=-1, secret_key="z"
        )
        self.assertEqual((config.visitors, config.proxies), ((visitor,), ()))

    def test_wrong(self) -> None:
        self.assertEqual(
            self.client_says(f"{self.START}type = http\n"),
            ("4: [x] type = http: not a type of visitor (one of stcp, sudp)",),
        )
        self.assertEqual(
            self.client_says(f"{self.START}type = stcp\nlocal_port = 1\nbind_port = 1\n"),
            ("2: [x]: server_name is missing",),
        )
        self.assertEqual(
            self.client_says("[common]\n[x]\nrole = visitor\nserver_name = y\nbind_port = 1\n"),
            ("2: [x]: the type of visitor is missing (one of stcp, sudp)",),
        )

    def test_role(self) -> None:
        start = "[common]\n[x]\ntype = stcp\nsk = z\nlocal_port = 1\nrole = "
        self.assertEqual(
            self.client_says(f"{start}vistor\n"),
            ("6: [x] role = vistor: role should be 'server' or 'visitor'",),
        )
        self.assertEqual(self.client_says(f"{start}server\n"), ())
        self.assertEqual(
            self.client_says(f"{start}Visitor\nserver_name=y\nbind_port=1\n"),
            ("5: [x] local_port: ignored: it belongs to the proxy that is visited",),
        )

    def test_port(self) -> None:
        start = f"{self.START}type = stcp\nserver_name = y\nbind_port ="
        self.assertEqual(self.client_says(f"{start}\n")[0][:16], "6: [x] bind_port")
        self.assertIn("is missing", self.client_says(f"{start}0\n")[0])
        self.assertIn("a port number, or -1", self.client_says(f"{start}-2\n")[0])
        self.assertEqual(self.client_says(f"{start}65535\n"), ())

    def test_users(self) -> None:
        proxy = self.proxy("type = stcp\nsk = z\nlocal_port = 1\nallow_users = a, b,,*\n")
        assert isinstance(proxy, SecretProxyConfig)
        self.assertEqual(proxy.allow_users, ("a", "b", "*"))
        config = self.client("[x]\nrole=visitor\ntype=stcp\nserver_name=y\nserver_user=bob\n"
                             "bind_port=1\nbind_addr=[::]\n")  # fmt: skip
        self.assertEqual(
            [(each.server_user, each.bind_addr) for each in config.visitors], [("bob", "::")]
        )

    def test_no_secret(self) -> None:
        """Then nothing keeps anybody out; frp takes it without a word."""
        (warning,) = self.client_says("[common]\n[x]\ntype = stcp\nlocal_port = 1\n")
        self.assertIn("NO SECRET: whoever reaches the server can visit it", warning)

    def test_start(self) -> None:
        """``start`` chooses visitors, too."""
        text = "[x]\nrole=visitor\ntype=stcp\nserver_name=y\nbind_port=1\n[z]\nlocal_port=1\n"
        config = self.client(f"start = x\n{text}")
        self.assertEqual((len(config.visitors), config.proxies), (1, ()))
        config = self.client(f"start = z\n{text}")
        self.assertEqual((len(config.proxies), config.visitors), (1, ()))

    def test_inspect(self) -> None:
        """Of what has requests; of everything else it is an error, not a mere warning."""
        text = "[x]\ntype = {}\nlocal_port = 1\nsubdomain = x\nsk = y\ninspect = {}\n"
        (proxy,) = self.client(text.format("http", "true")).proxies
        self.assertTrue(proxy.inspect)
        (proxy,) = self.client("[x]\ntype = tcp\nlocal_port = 1\ninspect = false\n").proxies
        self.assertFalse(proxy.inspect)
        for kind in keys.PROXIES.keys() - {"http"}:
            (problem,) = self.client_says("[common]\n" + text.format(kind, "true"))
            self.assertTrue(
                problem.endswith("only requests to proxies of type http can be inspected"), problem
            )

    def test_other_types(self) -> None:
        self.assertEqual(
            self.client_says("[common]\n[x]\nlocal_port = 1\nrole = vistor\n"),
            ("4: [x] role = vistor: only proxies of type stcp and sudp have visitors",),
        )


class HookTests(ConfigTestCase):
    """``[plugin.NAME]`` of a server's file."""

    def test_values(self) -> None:
        text = "token = x\n[plugin.users]\naddr = 127.0.0.1:9000\npath = /h\nops = Login\n"
        self.assertEqual(
            self.server(text).plugins,
            (WebhookConfig(name="users", addr="http://127.0.0.1:9000", path="/h", ops=("Login",)),),
        )

    def test_the_older_name_of_a_key(self) -> None:
        """Both spellings insist on a good certificate; there may be no path."""
        start = "token = x\n[plugin.users]\naddr = https://h\nops = Login\n"
        for key in ("tls_verify", "tlsVerify"):
            [plugin] = self.server(f"{start}{key} = true\n").plugins
            self.assertEqual((plugin.tls_verify, plugin.path), (True, ""))

    def test_missing(self) -> None:
        self.assertEqual(
            self.server_says("[common]\ntoken = x\n[plugin.users]\naddr = h\npath = /\n"),
            ("3: [plugin.users]: ops is missing",),
        )


class CertificateTests(ConfigTestCase):
    """``[certificate.NAME]`` of a server's file."""

    START = "[common]\ntoken = x\nvhost_https_port = 443\n[certificate.site]\n"

    def test_values(self) -> None:
        text = "cert_file = a b.crt\nkey_file = /x/a.key\ndomains = A.example, *.b.example\n"
        config = load_server(self.write(self.START + text), NO_VARIABLES).config
        self.assertEqual(
            config.certificates,
            (
                CertificateConfig(
                    name="site",
                    cert_file="a b.crt",
                    key_file="/x/a.key",
                    domains=("a.example", "*.b.example"),
                ),
            ),
        )

    def test_missing_files(self) -> None:
        self.assertEqual(
            self.server_says(f"{self.START}cert_file = x\n"),
            ("4: [certificate.site]: key_file is missing",),
        )
        self.assertEqual(
            self.server_says(f"{self.START}key_file =\n"),
            (
                "4: [certificate.site]: cert_file is missing",
                "5: [certificate.site] key_file = : key_file is missing",
            ),
        )

    def test_keys_of_elsewhere(self) -> None:
        files = "cert_file = x\nkey_file = x\n"
        self.assertEqual(
            self.server_says(f"{self.START}{files}vhost_http_port = 80\ndomain = x\n"),
            (
                "7: [certificate.site] vhost_http_port: ignored: it belongs in [common]",
                "8: [certificate.site] domain: unknown key, ignored; did you mean domains?",
            ),
        )


class ProxyTests(ConfigTestCase):
    def test_tcp(self) -> None:
        """tcp is what a proxy is if nothing is said."""
        for kind in "", "type =\n", "type = tcp\n":
            self.assertEqual(
                self.proxy(f"{kind}local_port = 1\nlocal_ip = [::1]\nuse_encryption = true\n"),
                TCPProxyConfig(
                    name="x", type="tcp", local_ip="::1", local_port=1, use_encryption=True
                ),
            )

    def test_http(self) -> None:
        proxy = self.proxy(
            "type = http\nlocal_port = 80\ncustom_domains = A.com, *.b.com\nsubdomain = web\n"
            "locations = /, /x\nhttp_user = u\nhttp_pwd = p\nhost_header_rewrite = c.com\n"
            "route_by_http_user = r\nresponse_header_X-To = all\n"
            "header_X-From = frp\nmeta_y = 1\nuse_compression = true\n"
        )
        self.assertEqual(
            proxy,
            HTTPProxyConfig(
                name="x",
                type="http",
                local_port=80,
                use_compression=True,
                metas={"y": "1"},
                custom_domains=("a.com", "*.b.com"),
                subdomain="web",
                locations=("/", "/x"),
                http_user="u",
                http_password="p",
                host_header_rewrite="c.com",
                route_by_http_user="r",
                headers={"X-From": "frp"},
                response_headers={"X-To": "all"},
            ),
        )

    def test_local_port(self) -> None:
        self.assertEqual(
            self.client_says("[common]\n[ssh]\nremote_port = 6000\n"),
            ("2: [ssh]: local_port is missing: where the local service listens",),
        )

    def test_of_other_type(self) -> None:
        """Keys of the other type do nothing here."""
        start = "[common]\n[x]\nlocal_port = 1\n"
        self.assertEqual(
            self.client_says(f"{start}subdomain = x\n"),
            ("4: [x] subdomain: ignored: it belongs to proxies of type http, https or tcpmux",),
        )
        what = "ignored: it belongs to proxies of type http: TLS hides requests from the server"
        self.assertEqual(
            self.client_says(f"{start}type = https\nsubdomain = x\nlocations = /\n"),
            (f"6: [x] locations: {what}",),
        )
        self.assertEqual(
            self.client_says(f"{start}type = https\nsubdomain = x\nresponse_header_X-A = y\n"),
            (f"6: [x] response_header_X-A: {what}",),
        )
        self.assertEqual(
            self.client_says(f"{start}header_X-A = y\n"),
            ("4: [x] header_X-A: ignored: it belongs to proxies of type http",),
        )
        self.assertEqual(
            self.client_says(f"{start}type = http\nsubdomain = x\nremote_port = 1\n"),
            ("6: [x] remote_port: ignored: it belongs to proxies of type tcp or udp",),
        )

    def test_header(self) -> None:
        """A header's value may be a password."""
        text = "[common]\n[x]\ntype = http\nsubdomain = x\nlocal_port = 1\nheader_X Y = s3cret\n"
        what = "what follows header_ is not the name of an HTTP header"
        self.assertEqual(self.client_says(text), (f"6: [x] header_X Y = ***: {what}",))

    def test_name(self) -> None:
        self.assertEqual(
            self.client_says("[common]\n[a\tb]\nlocal_port = 1\n"),
            ("2: [a\tb]: a name can't hold a tab",),
        )


class PropertyTests(ConfigTestCase):
    secrets = st.text(st.characters(categories=["L", "N"]), min_size=20, max_size=30)

    @STEADY
    @given(st.one_of(st.binary(), st.builds(lambda text: b"[common]\n" + text, st.binary())))
    def test_any_bytes(self, content: bytes) -> None:
        """Whatever a file holds, it is loaded or refused."""
        self.server_says(content)
        self.client_says(content)

    @STEADY
    @given(st.data())
    def test_any_values(self, data: st.DataObject) -> None:
        """Nor does any value of any key raise anything else."""
        known = sorted({*keys.SERVER.keys, *keys.CLIENT.keys, *keys.PROXIES["http"].keys})
        value = st.one_of(st.text(), st.sampled_from(["0", "1", "true", "::", "http", "a.b", ""]))
        entries = st.lists(st.tuples(st.sampled_from(known), value), max_size=8)
        text = "".join(
            f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in data.draw(entries))
            for name in ("common", "x")
        )
        content = text.encode(errors="replace")
        self.server_says(content)
        self.client_says(content)

    @STEADY
    @given(secrets)
    def test_secrets(self, secret: str) -> None:
        """A secret is in no repr and no message, whether its file is usable or not."""
        common = f"[common]\ntoken = {secret}\n"
        proxy = (
            f"[x]\ntype = http\nsubdomain = x\nlocal_port = 1\nhttp_pwd = {secret}\n"
            f"header_A = {secret}\nmeta_b = {secret}\n"
        )
        path = self.write(f"{common}dashboard_pwd = {secret}\ndashboard_port = 1\ntokne = {secret}")
        self.assertNotIn(secret, repr(load_server(path, NO_VARIABLES)))
        path = self.write(f"{common}meta_a = {secret}\n{proxy}htp_pwd = {secret}\n")
        self.assertNotIn(secret, repr(load_client(path, NO_VARIABLES)))
        wrong = (
            f"{secret}\nsk = {secret}\nplugin_passwd = {secret}\nhttp_pwd = {secret}2\n"
            f"local_ip = a b\ngroup_key = {secret}\n"
            f"header_? = {secret}\nlocal_port = 0\n{{{{ end }}}} = {secret}\n"
        )
        problems = self.client_says(f"{common}{proxy}{wrong}{common}")
        self.assertGreater(len(problems), 6)
        self.assertNotIn(secret, "".join(problems))
