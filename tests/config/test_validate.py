"""Tests of `tunnelsvc.config.validate`."""

from tests.config.files import ConfigTestCase

TOKEN = "token = x\n"


class ServerTests(ConfigTestCase):
    def assertSays(self, text: str, *lines: str) -> None:
        """A server's file of a token and this has these problems or warnings."""
        self.assertEqual(self.server_says(f"[common]\n{TOKEN}{text}"), lines)

    def test_token(self) -> None:
        """Nobody fails to notice that the server is open to all."""
        what = (
            "NO TOKEN: whoever reaches port 7001 can use this server; set token here and in the "
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
        self.assertSays("dashboard_port = 0\nvhost_http_port = 0\n")
        self.assertSays(f"{password}dashboard_port = 7500\n")


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
        start = "[common]\n[web]\ntype = http\nlocal_port = 80\n"
        self.assertEqual(self.client_says(start), (f"2: [web]: {what}",))
        self.assertEqual(
            self.client_says(f"{start}subdomain =\ncustom_domains = ,\n"),
            (f"6: [web] custom_domains = ,: {what}",),
        )
        self.assertEqual(self.client_says(f"{start}subdomain = x\n"), ())
        self.assertEqual(self.client_says(f"{start}custom_domains = *\n"), ())
