# -*- test-case-name: tests.config.test_tables -*-
"""Tests of `tunnelsvc.config.tables`: what documents may have, and how it is told."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.config.files import NO_VARIABLES, STEADY, ConfigTestCase
from tunnelsvc.config import load_client, load_server
from tunnelsvc.config.proxies import HealthCheckConfig, HTTPProxyConfig, VisitorConfig
from tunnelsvc.config.schema import CertificateConfig, ClientConfig, ServerConfig, WebhookConfig
from tunnelsvc.errors import ConfigError

VALUES = st.recursive(
    st.one_of(
        st.none(), st.text(max_size=5), st.integers(), st.booleans(), st.floats(allow_nan=False)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


class DocumentTestCase(ConfigTestCase):
    def loaded_server(self, text: str) -> ServerConfig:
        return load_server(self.write(text), NO_VARIABLES).config

    def loaded_client(self, text: str) -> ClientConfig:
        return load_client(self.write(text), NO_VARIABLES).config

    def assertServerSays(self, text: str, *lines: str) -> None:
        self.assertEqual(self.server_says(f'auth.token = "x"\n{text}'), lines)

    def assertClientSays(self, text: str, *lines: str) -> None:
        self.assertEqual(self.client_says(text), lines)

    def assertProxySays(self, text: str, *lines: str) -> None:
        start = '[[proxies]]\nname = "x"\nlocalPort = 1\n'
        self.assertEqual(self.client_says(f"{start}{text}"), lines)


class ValueTests(DocumentTestCase):
    def test_server(self) -> None:
        config = self.loaded_server(
            'bindAddr = "::"\nvhostHTTPPort = 80\nauth.additionalScopes = ["NewWorkConns"]\n'
            'allowPorts = [{start = 1, end = 2}, {single = 5}]\ntrustedProxies = ["10.0.0.0/8"]\n'
            "transport.tls.force = true\nwebServer.port = 7500\n"
        )
        self.assertEqual(config.bind_addr, "::")
        self.assertEqual((config.vhost_http_port, config.dashboard.port), (80, 7500))
        self.assertEqual(config.allow_ports, (range(1, 3), range(5, 6)))
        self.assertEqual(
            (config.authenticate_heartbeats, config.authenticate_new_work_conns), (False, True)
        )
        self.assertTrue(config.tls.only)
        self.assertEqual([str(each) for each in config.trusted_proxies], ["10.0.0.0/8"])

    def test_server_arrays(self) -> None:
        config = self.loaded_server(
            'vhostHTTPSPort = 443\n[[certificates]]\nname = "a"\ncertFile = "c"\nkeyFile = "k"\n'
            'domains = ["a.example"]\n[[httpPlugins]]\nname = "b"\naddr = "h:1"\npath = "/p"\n'
            'ops = ["Login", "Ping"]\ntlsVerify = true\n'
        )
        self.assertEqual(
            config.certificates,
            (CertificateConfig(name="a", cert_file="c", key_file="k", domains=("a.example",)),),
        )
        self.assertEqual(
            config.plugins,
            (
                WebhookConfig(
                    name="b", addr="http://h:1", path="/p", ops=("Login", "Ping"), tls_verify=True
                ),
            ),
        )

    def test_proxy(self) -> None:
        (proxy,) = self.loaded_client(
            '[[proxies]]\nname = "web"\ntype = "http"\nlocalPort = 80\nsubdomain = "x"\n'
            'locations = ["/a", " /b"]\nhttpPassword = " p\\"#w "\nmetadatas.a = "1"\n'
            'requestHeaders.set.X-A = "b"\nresponseHeaders.set.X-C = "d"\n'
            'healthCheck.type = "http"\nhealthCheck.path = "/"\n'
            'healthCheck.httpHeaders = [{name = "X-E", value = "f"}]\n'
            '[proxies.annotations]\n"a/b" = "c"\n'
        ).proxies
        self.assertEqual(
            proxy,
            HTTPProxyConfig(
                name="web",
                local_port=80,
                subdomain="x",
                locations=("/a", "/b"),
                http_password=' p"#w ',
                metas={"a": "1"},
                headers={"X-A": "b"},
                response_headers={"X-C": "d"},
                annotations={"a/b": "c"},
                health_check=HealthCheckConfig(type="http", url="/", headers={"X-E": "f"}),
            ),
        )

    def test_visitor(self) -> None:
        """One may be called like a proxy."""
        config = self.loaded_client(
            '[[proxies]]\nname = "x"\ntype = "stcp"\nlocalPort = 1\nallowUsers = ["*"]\n'
            '[[visitors]]\nname = "x"\ntype = "stcp"\nserverName = "y"\nsecretKey = "k"\n'
            "bindPort = -1\ntransport.useEncryption = true\n"
        )
        self.assertEqual(
            config.visitors,
            (
                VisitorConfig(
                    name="x", type="stcp", server_name="y", secret_key="k", bind_port=-1,
                    use_encryption=True,
                ),
            ),
        )  # fmt: skip
        self.assertEqual([proxy.name for proxy in config.proxies], ["x"])

    def test_not_enabled(self) -> None:
        start = '[[proxies]]\nname = "{0}"\nlocalPort = 1\nenabled = {1}\n'
        config = self.loaded_client(start.format("a", "true") + start.format("b", "false"))
        self.assertEqual([proxy.name for proxy in config.proxies], ["a"])

    def test_names_are_literal(self) -> None:
        """What is special in names of sections isn't in names of proxies."""
        names = ["common", "range:x", "plugin.x", "a.b", "a"]
        text = "".join(f'[[proxies]]\nname = "{name}"\nlocalPort = 1\n' for name in names)
        config = self.loaded_client(text)
        self.assertEqual([proxy.name for proxy in config.proxies], names)

    def test_letters(self) -> None:
        """As Go's JSON, names take letters of either size, but no two for one."""
        config = self.loaded_client('SERVERADDR = "a"\n[[Proxies]]\nNAME = "x"\nlocalport = 1\n')
        self.assertEqual((config.server_addr, len(config.proxies)), ("a", 1))
        self.assertClientSays(
            'user = "a"\nUser = "b"\n[[proxies]]\nname = "x"\nlocalPort = 1\n',
            "user: the key is there twice",
        )

    def test_null(self) -> None:
        """null is nothing."""
        config = self.loaded_client('{"serverAddr": null, "auth": null, "proxies": null}')
        self.assertEqual(config.server_addr, "0.0.0.0")

    def test_zeros(self) -> None:
        """Where frp takes "" and 0 for nothing, they are nothing unless they are values here."""
        config = self.loaded_client('serverAddr = ""\nserverPort = 0\ntransport.poolCount = 0\n')
        self.assertEqual((config.server_addr, config.server_port), ("0.0.0.0", 7000))
        self.assertEqual(config.pool_count, 0)
        self.assertClientSays(
            "serverPort = -1\n", "serverPort = -1: not a port number (1 to 65535)"
        )

    def test_version(self) -> None:
        self.assertServerSays('version = "v1"\n')

    def test_servers(self) -> None:
        for text in '["a:1", "b"]', '"a:1, b"':
            config = self.loaded_client(f"serverAddr = {text}\n")
            self.assertEqual(config.servers, (("a", 1), ("b", 7000)))

    def test_dashboard(self) -> None:
        """Unlike in INI files it is for this machine unless told otherwise, and TLS has no mode."""
        start = 'bindAddr = "10.0.0.1"\nwebServer.port = 1\nwebServer.password = "x"\n'
        self.assertEqual(self.loaded_server(start).dashboard.addr, "127.0.0.1")
        files = 'webServer.tls.certFile = "c"\nwebServer.tls.keyFile = "k"\n'
        dashboard = self.loaded_server(f'{start}webServer.addr = "::"\n{files}').dashboard
        self.assertEqual(dashboard.addr, "::")
        self.assertEqual((dashboard.tls_cert_file, dashboard.tls_key_file), ("c", "k"))
        self.assertServerSays('webServer.tls.certFile = ""\n')


class TypeTests(DocumentTestCase):
    """A value of the wrong type, and what would be right."""

    def test_texts(self) -> None:
        what = "must be a text: in quotes"
        self.assertServerSays("bindAddr = 1\n", f"bindAddr = 1: {what}")
        self.assertServerSays("log.to = true\n", f"log.to = true: {what}")
        self.assertServerSays("log.to = 2020-01-01\n", f"log.to = …: {what}")
        self.assertServerSays("log.to = {a = 1}\n", f"log.to = {{…}}: {what}")
        self.assertServerSays("log.to = [1]\n", f"log.to = […]: {what}")
        self.assertServerSays("webServer.password = 1\n", f"webServer.password = ***: {what}")

    def test_lines(self) -> None:
        self.assertServerSays(
            'log.to = "a\\nb"\n', "log.to = …: holds the character U+000A, which is no text"
        )

    def test_numbers(self) -> None:
        what = "must be a whole number, without quotes"
        self.assertServerSays('bindPort = "7000"\n', f'bindPort = "7000": {what}')
        self.assertServerSays("bindPort = 7000.0\n", f"bindPort = …: {what}")
        self.assertServerSays("bindPort = true\n", f"bindPort = true: {what}")
        self.assertServerSays(
            f"bindPort = 0x{'f' * 5000}\n", "bindPort = …: a number with far too many digits"
        )

    def test_flags(self) -> None:
        what = "must be true or false, without quotes"
        self.assertServerSays('transport.tcpMux = "true"\n', f'transport.tcpMux = "true": {what}')
        self.assertServerSays("transport.tcpMux = 1\n", f"transport.tcpMux = 1: {what}")

    def test_lists(self) -> None:
        self.assertClientSays('start = "a,b"\n', 'start = "a,b": must be a list, in brackets')
        self.assertClientSays("start = [1]\n", "start = […]: must be a text: in quotes")
        self.assertClientSays('start = ["a,b"]\n', "start = […]: no item may hold a comma")

    def test_scopes(self) -> None:
        self.assertServerSays(
            'auth.additionalScopes = ["heartbeats"]\n',
            "auth.additionalScopes = […]: not a list of these: HeartBeats, NewWorkConns",
        )

    def test_ports(self) -> None:
        what = "must be a list of { start = 2000, end = 3000 } and { single = 3001 }"
        for value in ("[{start = 1}]", "[{}]", "[{single = 1, end = 2}]"):
            self.assertServerSays(f"allowPorts = {value}\n", f"allowPorts = […]: {what}")
        self.assertServerSays("allowPorts = [1]\n", "allowPorts = […]: must be a table")
        self.assertServerSays(
            'allowPorts = "1-2"\n', 'allowPorts = "1-2": must be a list, in brackets'
        )
        self.assertServerSays(
            "allowPorts = [{start = 3, end = 2}]\n",
            "allowPorts = 3-2: not a list of ports (1 to 65535) and ranges such as 2000-3000,3001",
        )

    def test_tables(self) -> None:
        what = "must be a table, such as transport.… = …"
        self.assertServerSays("transport = 1\n", f"transport: {what}")
        self.assertProxySays("transport = 1\n", f"[proxies.x] transport: {what}")
        self.assertProxySays("metadatas = 1\n", "[proxies.x] metadatas = ***: must be a table")
        self.assertProxySays(
            "metadatas.a = 1\n", "[proxies.x] metadatas = ***: must be a text: in quotes"
        )

    def test_check_headers(self) -> None:
        for value in ('[{name = "a"}]', "[{}]"):
            self.assertProxySays(
                f"healthCheck.httpHeaders = {value}\n",
                '[proxies.x] healthCheck.httpHeaders = ***: must be a list of { name = "…", '
                'value = "…" }',
            )

    def test_arrays(self) -> None:
        for text in ("proxies = 1", "proxies = [1]", '[proxies.x]\ntype = "tcp"'):
            self.assertClientSays(text, "proxies: must be a list of tables, as [[proxies]]")
        what = "name is missing, or no text of one line"
        for name in ("", "name = 1", 'name = ""', 'name = "a\\nb"'):
            self.assertClientSays(f"[[proxies]]\n{name}\n", f"proxies, number 1: {what}")

    def test_duplicates(self) -> None:
        proxy = '[[proxies]]\nname = "x"\nlocalPort = 1\n'
        self.assertClientSays(f"{proxy}{proxy}", "proxies: the name [x] is duplicated")

    def test_keys(self) -> None:
        self.assertServerSays('"a\\nb" = 1\n', "the top: a key that is no text of one line")


class UnknownTests(DocumentTestCase):
    def test_unknown(self) -> None:
        """An error, which doesn't show the value and has the nearest name."""
        for text, what in {
            "bindport2 = 7000": "bindport2: unknown key; did you mean bindPort?",
            'auth.tokne = "s3cret"': "auth.tokne: unknown key; did you mean auth.token?",
            "log.x.y = 1": "log.x: unknown key",
            "colour = 1": "colour: unknown key",
            'tokn = "s3cret"': "tokn: unknown key; did you mean auth.token?",
            "vhostHttpPort.x = 1": "vhostHTTPPort = {…}: must be a whole number, without quotes",
            "transport.tls.forced = true":
                "transport.tls.forced: unknown key; did you mean transport.tls.force?",
        }.items():  # fmt: skip
            self.assertServerSays(f"{text}\n", what)

    def test_ini_names(self) -> None:
        """Whoever has an INI file in mind is told what to write."""
        self.assertProxySays(
            "local_ip = 1\n", "[proxies.x] local_ip: unknown key; here it is localIP"
        )

    def test_of_other_types(self) -> None:
        what = "it belongs to proxies of type http, https or tcpmux"
        self.assertProxySays('subdomain = "x"\n', f"[proxies.x] subdomain: {what}")

    def test_of_the_other_program(self) -> None:
        self.assertServerSays("serverPort = 1\n", "serverPort: unknown key")

    def test_not_strict(self) -> None:
        """Then it is a warning."""
        what = "it belongs to proxies of type http, https or tcpmux"
        path = self.write(
            'auth.token = "x"\ncolour = 1\n[[proxies]]\nname = "x"\nlocalPort = 1\nsubdomain = "x"'
        )
        self.assertRaises(ConfigError, load_client, path, NO_VARIABLES)
        self.assertEqual(
            load_client(path, NO_VARIABLES, strict=False).warnings,
            (
                f"{path}: colour: unknown key, ignored",
                f"{path}: [proxies.x] subdomain: ignored: {what}",
            ),
        )


class MessageTests(DocumentTestCase):
    """Messages from further behind are in the words of the file, too."""

    def test_keys(self) -> None:
        self.assertServerSays(
            'webServer.port = 1\nwebServer.user = "x"\n',
            "webServer.user = x: needs webServer.password as well",
        )
        self.assertServerSays(
            'transport.tls.certFile = "x"\n',
            "transport.tls.certFile = x: needs transport.tls.keyFile as well",
        )
        self.assertServerSays(
            "vhostHTTPSRedirect = true\nvhostHTTPPort = 80\n",
            "vhostHTTPSRedirect = true: needs a certificate, in [[certificates]]",
        )

    def test_proxies(self) -> None:
        self.assertProxySays(
            'type = "http"\n',
            "[proxies.x]: customDomains or subdomain must say under which name it is reached",
        )
        self.assertProxySays(
            'plugin.type = "https2http"\nplugin.crtPath = "x"\nplugin.password = "y"\n',
            "[proxies.x] plugin.password = ***: not a parameter of https2http (plugin.localAddr, "
            "plugin.hostHeaderRewrite, plugin.crtPath, plugin.keyPath)",
            "[proxies.x] plugin.type = https2http: needs plugin.localAddr as well",
            "[proxies.x] plugin.crtPath = x: needs plugin.keyPath as well",
        )

    def test_plugins(self) -> None:
        """The plugin http_proxy is called so in all formats."""
        (problem,) = self.client_says('[[proxies]]\nname = "x"\nplugin.type = "nothing"\n')
        self.assertIn(", http_proxy, ", problem)

    def test_http2(self) -> None:
        for value in "true", "false":
            self.assertClientSays(
                '[[proxies]]\nname = "x"\nplugin.type = "https2http"\n'
                f'plugin.localAddr = "a"\nplugin.enableHTTP2 = {value}\n'
            )


class RefusedTests(DocumentTestCase):
    """What frp has and we don't."""

    what = "is not supported yet; leave the line out"

    def test_server(self) -> None:
        for text, shown in {
            "kcpBindPort = 1": "kcpBindPort = 1",
            "quicBindPort = 1": "quicBindPort = 1",
            'auth.method = "oidc"': "auth.method = oidc",
            'auth.oidc.issuer = "x"': "auth.oidc.issuer = x",
            "sshTunnelGateway.bindPort = 1": "sshTunnelGateway.bindPort = 1",
            "transport.quic.maxIdleTimeout = 1": "transport.quic.maxIdleTimeout = 1",
            "webServer.pprofEnable = true": "webServer.pprofEnable = true",
        }.items():
            self.assertServerSays(f"{text}\n", f"{shown}: {self.what}")

    def test_client(self) -> None:
        for text, shown in {
            "featureGates.VirtualNet = true": "featureGates.VirtualNet = true",
            'virtualNet.address = "1"': 'virtualNet.address = "1"',
            'store.path = "x"': 'store.path = "x"',
            'auth.oidc.clientSecret = "x"': "auth.oidc.clientSecret = ***",
            'auth.oidc.additionalEndpointParams.a = "x"':
                "auth.oidc.additionalEndpointParams.a = x",
            'auth.oidc.tokenSource.type = "file"': "auth.oidc.tokenSource.type = ***",
            'natHoleStunServer = "x:1"': "natHoleStunServer = x:1",
        }.items():  # fmt: skip
            self.assertClientSays(f"{text}\n", f"{shown}: {self.what}")

    def test_proxies(self) -> None:
        self.assertProxySays(
            "natTraversal.disableAssistedAddrs = true\n",
            f"[proxies.x] natTraversal.disableAssistedAddrs = true: {self.what}",
        )
        visitor = '[[visitors]]\nname = "v"\ntype = "stcp"\nserverName = "x"\nbindPort = 1\n'
        self.assertClientSays(
            f'{visitor}plugin.type = "virtual_net"\n',
            f'[visitors.v] plugin.type = "virtual_net": {self.what}',
        )

    def test_off(self) -> None:
        """What asks for nothing is nobody's business."""
        self.assertServerSays(
            'kcpBindPort = 0\nauth.method = "token"\nauth.oidc.skipExpiryCheck = false\n'
            'sshTunnelGateway = {bindPort = 0, privateKeyFile = ""}\nwebServer.assetsDir = ""\n'
        )
        text = "featureGates.VirtualNet = false\nstore = {}\nauth.oidc.scope = ''\n"
        self.assertProxySays("natTraversal.disableAssistedAddrs = false\n")
        proxy = '[[proxies]]\nname = "x"\nlocalPort = 1\n'
        self.assertClientSays(f"{text}{proxy}")


class TokenSourceTests(DocumentTestCase):
    def test_file(self) -> None:
        path = Path(self.write(" s3cret \n")).absolute()
        source = f'auth.tokenSource = {{type = "file", file.path = "{path}"}}\n'
        self.assertEqual(self.loaded_server(source).token, "s3cret")
        self.assertEqual(self.loaded_client(source).token, "s3cret")
        self.assertServerSays(source, "auth.tokenSource: the key is there twice")

    def test_wrong(self) -> None:
        what = (
            'unsafe feature "TokenSourceExec" is not enabled: no other program is run for the token'
        )
        self.assertClientSays('auth.tokenSource.type = "exec"\n', f"auth.tokenSource: {what}")
        self.assertClientSays("auth.tokenSource = 1\n", "auth.tokenSource: must be a table")


class PropertyTests(DocumentTestCase):
    @STEADY
    @given(st.data())
    def test_any_values(self, data: st.DataObject) -> None:
        """Whatever any key has, it is loaded or refused."""
        text = (Path(__file__).parents[2] / "conf" / "frpc_full.toml").read_text("utf-8")
        paths = sorted(
            {line.split(" = ")[0] for line in text.split("\n") if " = " in line and "#" not in line}
        )
        tree: dict[str, Any] = {}
        for path in data.draw(st.lists(st.sampled_from(paths), max_size=6)):
            *tables, key = path.split(".")
            inner = tree
            for table in tables:
                found = inner.setdefault(table, {})
                inner = found if isinstance(found, dict) else {}
            inner[key] = data.draw(VALUES)
        kind = data.draw(st.sampled_from(["tcp", "http", "udp", "stcp"]))
        proxy = {"name": "x", "type": kind, "localPort": 1, **tree}
        for document in (tree, {"proxies": [proxy]}, {"visitors": [proxy]}):
            self.client_says(json.dumps(document))
            self.server_says(json.dumps(document))

    @STEADY
    @given(st.text(st.characters(categories=["L", "N"]), min_size=20, max_size=30))
    def test_secrets(self, secret: str) -> None:
        """No secret is in a message, wherever it stands."""
        wrong = json.dumps(
            {
                "auth": {"token": [secret], "tokne": secret, "tokenSource": {"type": secret}},
                "webServer": {"password": {"a": secret}},
                "transport": {"proxyURL": secret},
                "metadatas": {"a": [secret]},
                "proxies": [
                    {
                        "name": "x",
                        "type": "http",
                        "httpPassword": f"{secret}\n",
                        "requestHeaders": {"set": {"?": secret}},
                        "plugin": {"type": "socks5", "password": secret, "passwrd": secret},
                    }
                ],
            }
        )
        problems = self.client_says(wrong)
        self.assertGreater(len(problems), 6)
        self.assertNotIn(secret, "".join(problems))
