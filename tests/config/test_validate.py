# -*- test-case-name: tests.config.test_validate -*-
"""Tests of `tunnelsvc.config.validate`."""

from tests.config.files import ConfigTestCase, lines_of
from tunnelsvc.config import validate
from tunnelsvc.config.proxies import HealthCheckConfig, TCPProxyConfig
from tunnelsvc.config.report import Report, Section

TOKEN = "token = x\n"


class ServerTests(ConfigTestCase):
    def assertSays(self, text: str, *lines: str) -> None:
        """A server's file of a token and this has these problems or warnings."""
        self.assertEqual(self.server_says(f"[common]\n{TOKEN}{text}"), lines)

    def test_token(self) -> None:
        """Nobody fails to notice that the server is open to all."""
        what = (
            "NO TOKEN: whoever reaches port 7001 can use this server; set a token here and in the "
            "clients' files"
        )
        self.assertEqual(
            self.server_says("[common]\nbind_port = 7001\n"), (f"1: [common]: {what}",)
        )
        self.assertEqual(
            self.server_says("[common]\nbind_port = 7001\ntoken =\n"),
            (f"3: [common] token: {what}",),
        )

    def test_certificate(self) -> None:
        """Certificate and key come together."""
        self.assertSays(
            "tls_cert_file = a.crt\n",
            "3: [common] tls_cert_file = a.crt: needs tls_key_file as well",
        )
        self.assertSays(
            "tls_key_file = a.key\ntls_cert_file =\n",
            "3: [common] tls_key_file = a.key: needs tls_cert_file as well",
        )
        self.assertSays("tls_key_file = a.key\ntls_cert_file = a.crt\n")
        self.assertSays("tls_key_file =\ntls_cert_file =\n")

    def test_vhost_port(self) -> None:
        """The bind port serves web sites, too, if both have one address."""
        same = "bind_port = 80\nvhost_http_port = 80\n"
        what = "can be the bind_port only if proxy_bind_addr is the bind_addr"
        self.assertSays(same)
        self.assertSays(f"{same}bind_addr = ::\nproxy_bind_addr = [::]\n")
        self.assertSays(
            f"{same}proxy_bind_addr = 10.0.0.1\n", f"4: [common] vhost_http_port = 80: {what}"
        )
        self.assertSays("vhost_http_port = 8080\nproxy_bind_addr = 10.0.0.1\n")

    def test_vhost_https_port(self) -> None:
        """It may share the bind port, and no other."""
        self.assertSays("vhost_https_port = 7000\n")
        self.assertSays("vhost_https_port = 7000\nvhost_http_port = 7000\n")
        self.assertSays(
            "vhost_https_port = 7000\nproxy_bind_addr = 10.0.0.1\n",
            "3: [common] vhost_https_port = 7000: can be the bind_port only if proxy_bind_addr is "
            "the bind_addr",
        )
        self.assertSays(
            "vhost_https_port = 80\nvhost_http_port = 80\n",
            "3: [common] vhost_https_port = 80: already the vhost_http_port; only the bind_port "
            "can be both",
        )

    def test_tcpmux_port(self) -> None:
        """Likewise."""
        self.assertSays("tcpmux_httpconnect_port = 7000\nvhost_http_port = 7000\n")
        self.assertSays(
            "tcpmux_httpconnect_port = 7000\nproxy_bind_addr = 10.0.0.1\n",
            "3: [common] tcpmux_httpconnect_port = 7000: can be the bind_port only if "
            "proxy_bind_addr is the bind_addr",
        )
        for other in ("vhost_http_port", "vhost_https_port"):
            self.assertSays(
                f"tcpmux_httpconnect_port = 80\n{other} = 80\n",
                f"3: [common] tcpmux_httpconnect_port = 80: already the {other}; only the "
                "bind_port can be both",
            )
        self.assertSays(
            "tcpmux_passthrough = true\n",
            "3: [common] tcpmux_passthrough: ignored without tcpmux_httpconnect_port",
        )

    def test_certificates(self) -> None:
        """What is about https doesn't go without a port and a certificate."""
        files = "cert_file = a.crt\nkey_file = a.key\n"
        self.assertSays(
            f"[certificate.a]\n{files}",
            "1: [common]: vhost_https_port must say where the certificates are for",
        )
        both = f"vhost_https_port = 443\nvhost_http_port = 80\n[certificate.a]\n{files}"
        wanted = "vhost_https_redirect = true\nvhost_https_hsts_max_age = 60\n"
        self.assertSays(wanted + both)
        what = "needs a certificate, in a section such as [certificate.example]"
        self.assertSays(
            f"{wanted}vhost_https_port = 443\nvhost_http_port = 80\n",
            f"3: [common] vhost_https_redirect = true: {what}",
            f"4: [common] vhost_https_hsts_max_age = 60: {what}",
        )
        self.assertSays(
            wanted + both.replace("_http_port = 80", "_http_port = 0"),
            "3: [common] vhost_https_redirect = true: needs vhost_http_port as well",
        )

    def test_certificates_of_one_domain(self) -> None:
        """Nobody has to guess which certificate is shown."""
        start = "vhost_https_port = 443\n"
        files = "cert_file = a.crt\nkey_file = a.key\ndomains = a.example,*.b.example\n"
        self.assertSays(
            f"{start}[certificate.x]\n{files}[certificate.y]\n{files}",
            "11: [certificate.y] domains = a.example,*.b.example: a.example is one of the domains "
            "of [certificate.x] already",
        )

    def test_trusted_proxies(self) -> None:
        what = "everybody is trusted: users can say that they are somebody else"
        for everybody in ("0.0.0.0/0", "10.0.0.1,::/0"):
            self.assertSays(
                f"trusted_proxies = {everybody}\n",
                f"3: [common] trusted_proxies: {what}",
            )
        self.assertSays("trusted_proxies = loopback\n")

    def test_dashboard_port(self) -> None:
        """The dashboard has a port of its own."""
        password = "dashboard_pwd = y\n"
        self.assertSays(
            f"{password}dashboard_port = 7000\n",
            "4: [common] dashboard_port = 7000: already the bind_port",
        )
        self.assertSays(
            f"{password}dashboard_port = 80\nvhost_http_port = 80\n",
            "4: [common] dashboard_port = 80: already the vhost_http_port",
        )
        self.assertSays(
            f"{password}dashboard_port = 443\nvhost_https_port = 443\n",
            "4: [common] dashboard_port = 443: already the vhost_https_port",
        )
        self.assertSays("dashboard_port = 0\nvhost_http_port = 0\n")
        self.assertSays(f"{password}dashboard_port = 7500\n")

    def test_access_log(self) -> None:
        """It has a file of its own, and requests to write about."""
        vhost = "vhost_http_port = 80\n"
        self.assertSays(f"{vhost}access_log = a.log\naccess_log_format = json\nlog_file = b.log\n")
        self.assertSays(f"{vhost}access_log =\naccess_log_format = combined\n")
        self.assertSays(
            f"{vhost}access_log = a.log\nlog_file = a.log\n",
            "4: [common] access_log = a.log: can't be the log_file; give it a file of its own",
        )
        self.assertSays(
            "access_log = a.log\n",
            "3: [common] access_log: stays empty: without vhost_http_port, or vhost_https_port "
            "with a certificate, there are no requests",
        )
        self.assertSays(
            f"{vhost}access_log_format = json\n",
            "4: [common] access_log_format: ignored: there is no access_log",
        )


class ClientTests(ConfigTestCase):
    def assertSays(self, text: str, *lines: str) -> None:
        """A client's file of this and one proxy has these problems or warnings."""
        self.assertEqual(self.client_says(f"[common]\n{text}[ssh]\nlocal_port = 22\n"), lines)

    def test_heartbeat(self) -> None:
        """A server isn't given up before it was asked."""
        what = (
            "heartbeat_timeout ({} seconds) must not be less than heartbeat_interval ({} seconds)"
        )
        self.assertSays(
            "heartbeat_interval = 30\nheartbeat_timeout = 29\n",
            f"3: [common] heartbeat_timeout = 29: {what.format(29, 30)}",
        )
        self.assertSays(
            "heartbeat_interval = 91\n",
            f"2: [common] heartbeat_interval = 91: {what.format(90, 91)}",
        )
        self.assertSays("heartbeat_interval = 30\nheartbeat_timeout = 30\n")
        for off in "-1", "0":
            self.assertSays(f"heartbeat_interval = 91\nheartbeat_timeout = {off}\n")
            self.assertSays(f"heartbeat_interval = {off}\nheartbeat_timeout = 1\n")

    def test_consequence(self) -> None:
        """A value that is wrong by itself isn't told twice."""
        self.assertSays(
            "heartbeat_interval = 91\nheartbeat_timeout = x\n",
            "3: [common] heartbeat_timeout = x: not a number of seconds (-1 to 31536000)",
        )

    def test_certificate(self) -> None:
        self.assertSays(
            "tls_key_file = a.key\n",
            "2: [common] tls_key_file = a.key: needs tls_cert_file as well",
        )

    def test_no_proxies(self) -> None:
        self.assertEqual(
            self.client_says("[common]\n"),
            ("no proxies: nothing can be reached through this client",),
        )


class ProxyTests(ConfigTestCase):
    def test_http_names(self) -> None:
        """A web site needs a name."""
        what = "custom_domains or subdomain must say under which name it is reached"
        https = "[common]\n[web]\ntype = https\nlocal_port = 80\n"
        start = https.replace("https", "http")
        for text in (https, start):
            self.assertEqual(self.client_says(text), (f"2: [web]: {what}",))
        self.assertEqual(
            self.client_says(f"{start}subdomain =\ncustom_domains = ,\n"),
            (f"6: [web] custom_domains = ,: {what}",),
        )
        self.assertEqual(self.client_says(f"{start}subdomain = x\n"), ())
        self.assertEqual(self.client_says(f"{start}custom_domains = *\n"), ())

    def proxy_says(self, text: str, *lines: str, kind: str = "tcp") -> None:
        """A proxy with this from line 5 on has these problems or warnings."""
        self.assertEqual(
            self.client_says(f"[common]\n[x]\ntype = {kind}\nlocal_port = 80\n{text}"), lines
        )

    def test_group(self) -> None:
        self.proxy_says("group = g\ngroup_key = k\n")
        self.proxy_says("group = g\n")
        self.proxy_says("group_key = s3cret\n", "5: [x] group_key: ignored without group")

    def test_group_of_a_type_that_has_none(self) -> None:
        """A file that frp takes is taken, and its owner told."""
        what = "ignored: only proxies of type tcp, http, https, tcpmux have groups"
        for kind in ("udp", "sudp", "stcp"):
            secret = "sk = s\n" if kind != "udp" else ""
            self.proxy_says(f"group = g\n{secret}", f"5: [x] group: {what}", kind=kind)

    def test_headers(self) -> None:
        """Those that aren't set are told, as it would be long in coming out."""
        what = "ignored: nobody but the tunnel sets"
        self.proxy_says(
            "subdomain = a\nheader_Host = b\nresponse_header_Content-Length = 1\nheader_X-A = b\n",
            f"6: [x] header_Host: {what} host; host_header_rewrite sets it",
            f"7: [x] response_header_Content-Length: {what} content-length",
            kind="http",
        )
        plugin = "plugin = http2https\nplugin_local_addr = a:1\n"
        self.assertIn(
            f"7: [x] plugin_header_TE: {what} te",
            self.client_says(f"[common]\n[x]\ntype = tcp\n\n{plugin}plugin_header_TE = b\n"),
        )

    def test_health_check(self) -> None:
        """What is checked must be there."""
        what = "needs health_check_url, the path to ask for"
        self.proxy_says("health_check_type = tcp\n")
        self.proxy_says("health_check_type = http\nhealth_check_url = /status?x=1\n")
        self.proxy_says("health_check_type = http\n", f"5: [x] health_check_type = http: {what}")
        self.proxy_says(
            "health_check_type = http\nhealth_check_url =\n", f"6: [x] health_check_url = : {what}"
        )
        self.proxy_says(
            "health_check_type = tcp\nhealth_check_url = /\n",
            "6: [x] health_check_url: ignored: health_check_type = tcp only connects",
        )

    def test_health_check_of_tls(self) -> None:
        self.proxy_says(
            "subdomain = x\nhealth_check_type = http\nhealth_check_url = /\n",
            "6: [x] health_check_type: asks without TLS, which a service with TLS doesn't answer "
            "well; tcp will do",
            kind="https",
        )

    def test_health_check_of_no_type(self) -> None:
        self.proxy_says(
            "health_check_type =\nhealth_check_interval_s = 1\n",
            "6: [x] health_check_interval_s: ignored without health_check_type",
        )

    def test_health_check_of_a_plugin(self) -> None:
        """frp leaves it out without a word."""
        report = Report("f")
        check = HealthCheckConfig(type="tcp")
        config = TCPProxyConfig(name="x", type="tcp", local_port=0, health_check=check)
        validate.proxy(config, Section("x", 3), report)
        what = "nothing to check: a plugin has no local_port"
        self.assertEqual(lines_of(report), ((f"f:3: [x]: {what}",), ()))

    def test_proxy_protocol(self) -> None:
        self.proxy_says("proxy_protocol_version = v1\n")
        self.proxy_says("remote_port = 1\nproxy_protocol_version = v2\n", kind="udp")
        self.proxy_says(
            "remote_port = 1\nproxy_protocol_version = v1\n",
            "6: [x] proxy_protocol_version: v1 tells no addresses of datagrams; v2 does",
            kind="udp",
        )

    def test_proxy_protocol_of_plugins(self) -> None:
        """Only where a user has a connection to a service."""
        start = "[common]\n[x]\ntype = tcp\nproxy_protocol_version = v2\nplugin = "
        self.assertEqual(self.client_says(f"{start}tls2raw\nplugin_local_addr = a:1\n"), ())
        self.assertEqual(
            self.client_says(f"{start}unix_domain_socket\nplugin_unix_path = /a\n"), ()
        )
        what = "ignored: no service gets users' connections from"
        self.assertEqual(
            self.client_says(f"{start}socks5\nplugin_user = a\nplugin_passwd = b\n"),
            (f"4: [x] proxy_protocol_version: {what} socks5",),
        )
