# -*- test-case-name: tests.e2e.test_https -*-
"""HTTPS with real programs: curl, Chromium and openssl in front, nginx behind."""

# As a module: trial takes a "suppress" of a test module for its own.
import contextlib
import random
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.e2e import nginx
from tests.e2e.browser import browse, find_logged_in
from tests.e2e.commands import curl
from tests.e2e.openfiles import steady_files, wait_for_files
from tests.e2e.secure import Files, Trust, server_context
from tests.e2e.services import (
    connected,
    digest_of,
    pattern,
    request,
    switch_to_websocket,
    websocket_echo,
)
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase, http_proxy
from tests.hellos import openssl_hello
from tests.programs import (
    PATIENCE,
    Program,
    Sections,
    eventually,
    free_port,
    require_program,
    stay_within_the_day,
)
from tunnelsvc.units import MiB

# Connections that end before their hello does, each at another byte.
ABORTED_HELLOS: Final = 3000

MOVED_BYTES: Final = 20 * MiB


class HTTPSTestCase(TunnelTestCase):
    """A tunnel with `https_port`, and an authority that its users trust."""

    def setUp(self) -> None:
        super().setUp()
        self.https_port = free_port()
        self.trust = Trust(self.directory)

    def start_with(self, certificates: dict[str, Files], options: Options = NO_OPTIONS) -> Program:
        """Start the server with these certificates, by the names of their sections."""
        sections: Sections = {
            **self.server_sections({"vhost_https_port": self.https_port, **options}),
            **{f"certificate.{name}": files.options for name, files in certificates.items()},
        }
        return self.run_server(sections)

    def start_sites(self, *hosts: str) -> Program:
        """Start a client with a web site, which says its name, for each host."""
        proxies = {
            host: http_proxy(self.local_site(host), {"custom_domains": host}) for host in hosts
        }
        return self.start_client(proxies)

    def curl(self, url: str, *options: str) -> bytes:
        """Run curl, which trusts nobody else; return what it printed."""
        host = url.partition("//")[2].partition("/")[0]
        here = ("--resolve", f"{host}:127.0.0.1")
        return curl(*here, "--cacert", self.trust.file, *options, url)

    def browse(self, url: str) -> str:
        """Show a page in a browser that trusts the authority."""
        return browse(
            self.directory / "profile",
            url,
            f"--ignore-certificate-errors-spki-list={self.trust.fingerprint}",
            "--virtual-time-budget=20000",
        )


class PassedThroughTests(HTTPSTestCase):
    """Proxies of type ``https``: TLS ends at the local service."""

    def start_nginx(self, *hosts: str) -> int:
        """Start nginx with a certificate of its own, HTTP/2 and a large file; return its port."""
        (self.directory / "www").mkdir()
        (self.directory / "www" / "index.html").write_text("<p>This is nginx.</p>")
        (self.directory / "www" / "large").write_bytes(b"".join(pattern(MOVED_BYTES)))
        port = free_port()
        nginx.start_site(self, port, self.trust.issue("nginx", *hosts))
        return port

    def https_proxy(self, local_port: int, domains: str) -> Options:
        return {"type": "https", "local_port": local_port, "custom_domains": domains}

    def test_nginx(self) -> None:
        """curl by both versions of HTTP and of TLS, and a browser, see nginx's certificate."""
        port = self.start_nginx("shop.example")
        self.start_with({"wild": self.trust.issue("wild", "*.example")})
        client = self.start_client({"shop": self.https_proxy(port, "shop.example")})
        client.wait_for(f"users reach it at shop.example:{self.https_port}")
        url = f"https://shop.example:{self.https_port}/"
        version = ("-o", "/dev/null", "-w", "%{http_version}")
        for options, spoken in (
            (("--http2", "--tls-max", "1.2"), b"2"),
            (("--http2", "--tlsv1.3"), b"2"),
            (("--http1.1",), b"1.1"),
        ):
            self.assertEqual(self.curl(url, *options, *version), spoken)
        large = self.curl(f"{url}large")
        self.assertEqual(digest_of(iter([large])), digest_of(pattern(MOVED_BYTES)))
        self.assertIn("This is nginx", self.browse(url))

    def test_python(self) -> None:
        """A site by its name, others by a wildcard, a WebSocket, and nobody for the rest."""
        files = self.trust.issue("sites", "a.example", "b.sites.example", "c.d.sites.example")
        site = self.local_site("secret", server_context(files))
        self.start_with({})
        self.start_client({"sites": self.https_proxy(site, "a.example, *.sites.example")})
        for host in ("a.example", "b.sites.example", "c.d.sites.example"):
            answer = self.trust.request(self.https_port, host)
            self.assertIn(b"This is secret", answer.body)
        with self.trust.connected(self.https_port, "a.example") as user:
            switch_to_websocket(user, "a.example")
            self.assertEqual(websocket_echo(user, b"hello"), b"hello")
        with self.assertRaises(ssl.SSLError) as caught:
            self.trust.request(self.https_port, "x.example")
        self.assertIn("UNRECOGNIZED_NAME", str(caught.exception))

    def test_counted(self) -> None:
        """The dashboard has the type, its bytes and its connections."""
        files = self.trust.issue("site", "a.example")
        site = self.local_site("secret", server_context(files))
        port = free_port()
        login = {"dashboard_user": "admin", "dashboard_pwd": "secret"}
        stay_within_the_day()
        self.start_with({}, {"dashboard_port": port, **login})
        self.start_client({"secret": self.https_proxy(site, "a.example")})
        self.trust.request(self.https_port, "a.example", f"/bytes/{MiB}")

        def facts(path: str) -> dict[str, object]:
            return request(port, path, user="admin:secret").json()

        info = facts("/api/serverinfo")
        self.assertEqual(info["vhostHTTPSPort"], self.https_port)
        self.assertEqual(info["proxyTypeCount"], {"https": 1})
        proxy = "/api/proxy/https/secret"
        eventually(lambda: facts(proxy)["curConns"] == 0, "connection counted")
        moved = facts(proxy)["todayTrafficOut"]
        assert isinstance(moved, int)
        self.assertGreater(moved, MiB)
        link = f'a[href="https://a.example:{self.https_port}/"]'
        page = f"http://dashboard.example:{port}/static/#/proxies"
        find_logged_in(page, "admin", "secret", link)


class EndsHereTests(HTTPSTestCase):
    """Certificates of the server's: TLS for proxies of type ``http``."""

    def test_curl(self) -> None:
        """Bodies both ways, by each version of HTTP and TLS."""
        self.start_with({"a": self.trust.issue("a", "a.example")})
        self.start_sites("a.example")
        url = f"https://a.example:{self.https_port}"
        for options in ((), ("--http2",), ("--http1.0",), ("--tls-max", "1.2")):
            self.assertIn(b"This is a.example", self.curl(f"{url}/", *options))
            large = self.curl(f"{url}/bytes/{MOVED_BYTES}", *options)
            self.assertEqual(digest_of(iter([large])), digest_of(pattern(MOVED_BYTES)))
        body = self.directory / "body"
        body.write_bytes(b"".join(pattern(MOVED_BYTES)))
        for options in ((), ("-H", "Transfer-Encoding: chunked")):
            answer = self.curl(f"{url}/post", "--data-binary", f"@{body}", *options)
            self.assertIn(digest_of(pattern(MOVED_BYTES)).encode(), answer)
            self.assertIn(b'"x-forwarded-proto": "https"', answer)

    def test_browser(self) -> None:
        """A page by https, which opens a WebSocket by wss."""
        self.start_with({"a": self.trust.issue("a", "*.sites.example")})
        self.start_sites("a.sites.example")
        page = self.browse(f"https://a.sites.example:{self.https_port}/chat")
        self.assertIn("echo: kernel, are you there?", page)

    def test_redirected_browser(self) -> None:
        """Whoever comes by http ends up at https, which browsers then remember."""
        options = {"vhost_https_redirect": True, "vhost_https_hsts_max_age": 60}
        self.start_with({"a": self.trust.issue("a", "a.example")}, options)
        self.start_sites("a.example", "b.example")
        page = self.browse(f"http://a.example:{self.vhost_port}/")
        self.assertIn("This is a.example", page)
        answer = self.trust.request(self.https_port, "a.example")
        self.assertEqual(answer.headers["Strict-Transport-Security"], "max-age=60")
        plain = request(self.vhost_port, "/", host="b.example")
        self.assertIn(b"This is b.example", plain.body)

    def test_challenges(self) -> None:
        """Who proves by http that the domain is his is asked by http, whoever has the site."""
        options = {"vhost_https_redirect": True}
        self.start_with({"a": self.trust.issue("a", "a.example")}, options)
        self.start_sites("a.example")
        path = "/.well-known/acme-challenge/"
        names = {"custom_domains": "a.example", "locations": path}
        self.start_client({"acme": http_proxy(self.local_site("acme"), names)})
        answer = request(self.vhost_port, f"{path}token", host="a.example")
        self.assertEqual(answer.json()["site"], "acme")
        self.assertEqual(request(self.vhost_port, "/x", host="a.example").status, 301)
        secure = self.trust.request(self.https_port, "a.example", "/x")
        self.assertEqual(secure.json()["site"], "a.example")

    def shown(self, *options: str) -> str:
        """Ask openssl for the names in the certificate that it gets."""
        openssl = require_program("openssl")
        connect = ("-connect", f"127.0.0.1:{self.https_port}", "-CAfile", self.trust.file)
        found = subprocess.run(
            (openssl, "s_client", *connect, *options),
            input=b"",
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        ).stdout
        if b"BEGIN CERTIFICATE" not in found:
            return ""
        self.assertIn(b"Verify return code: 0 (ok)", found)
        return subprocess.run(
            (openssl, "x509", "-noout", "-ext", "subjectAltName"),
            input=found,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        ).stdout.decode()

    def test_openssl(self) -> None:
        """Each name gets its certificate, no name the first, an unknown one none."""
        self.start_with(
            {
                "first": self.trust.issue("first", "a.example"),
                "second": self.trust.issue("second", "*.sites.example"),
            }
        )
        for version in ("-tls1_2", "-tls1_3"):
            for name in ("a.example", "A.EXAMPLE"):
                self.assertIn("a.example", self.shown(version, "-servername", name))
            shown = self.shown(version, "-servername", "x.sites.example")
            self.assertIn("*.sites.example", shown)
            self.assertIn("a.example", self.shown(version, "-noservername"))
            self.assertEqual(self.shown(version, "-servername", "c.example"), "")
        self.assertEqual(self.shown("-tls1_1", "-servername", "a.example"), "")

    def test_swap(self) -> None:
        """A certificate is replaced while a download runs, which notices nothing.

        The server sees by itself that the files are new, or is told to look.
        """
        files = self.trust.issue("a", "a.example", "old.example")
        server = self.start_with({"a": files})
        self.start_sites("a.example")
        with self.trust.connected(self.https_port, "a.example") as user:
            path = f"/bytes/{MOVED_BYTES}"
            user.sendall(
                f"GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n".encode()
            )
            reader = user.makefile("rb")
            while reader.readline() != b"\r\n":
                pass
            begun = reader.read(MiB)
            self.trust.issue("a", "a.example", "new.example")
            server.wait_for("[a] new certificate for a.example, new.example")
            self.assertIn("new.example", self.trust.hosts(self.https_port, "a.example"))
            rest = reader.read()
        self.assertEqual(digest_of(iter([begun, rest])), digest_of(pattern(MOVED_BYTES)))
        Path(files.key).write_text("nonsense")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("the one before stays in use")
        self.assertIn("new.example", self.trust.hosts(self.https_port, "a.example"))

    def test_unusable_files(self) -> None:
        """The server says what is wrong and doesn't start."""
        sections = self.server_sections({"vhost_https_port": self.https_port})
        files = {"cert_file": "no.crt", "key_file": "no.key"}
        config = self.write_config("frps.ini", {**sections, "certificate.a": files})
        server = self.run_program((*self.server_peer.command, "-c", str(config)))
        self.assertEqual(server.wait(), 1)
        self.assertIn("[certificate.a] cert_file = no.crt: No such file", server.output())


class StrangersTests(HTTPSTestCase):
    """What a public port sees."""

    def test_aborted_hellos(self) -> None:
        """Thousands that end in the midst of it leave nothing behind."""
        server = self.start_with({"a": self.trust.issue("a", "a.example")})
        self.start_sites("a.example")
        self.trust.request(self.https_port, "a.example")
        before = steady_files(server)
        for data in self.hellos():
            with contextlib.suppress(OSError), connected(self.https_port) as user:
                user.sendall(data)
        wait_for_files(server, before)
        self.assertIn(b"This is a.example", self.trust.request(self.https_port, "a.example").body)

    def hellos(self) -> Iterator[bytes]:
        """Give beginnings of hellos, whole ones, and some in which a byte is wrong."""
        chance = random.Random(20260509)
        for number in range(ABORTED_HELLOS):
            hello = bytearray(openssl_hello("a.example" if number % 2 else None))
            if number % 3 == 0:
                hello[chance.randrange(len(hello))] ^= 1 << chance.randrange(8)
            yield bytes(hello[: chance.randrange(len(hello) + 1)])

    def test_slow_hellos(self) -> None:
        """Who sends one byte after the other is served, and keeps nobody waiting."""
        self.start_with({"a": self.trust.issue("a", "a.example")})
        self.start_sites("a.example")
        hello = openssl_hello("a.example")
        with contextlib.ExitStack() as stack:
            users = [stack.enter_context(connected(self.https_port)) for _ in range(20)]
            for user in users:
                user.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for index in range(len(hello)):
                for user in users:
                    user.sendall(hello[index : index + 1])
                if index == len(hello) // 2:
                    self.trust.request(self.https_port, "a.example")
            for user in users:
                self.assertEqual(user.recv(1), b"\x16")  # the server's handshake

    def test_garbage(self) -> None:
        """Closed without a word; a name that is unknown gets an alert."""
        self.start_with({})
        for data, answer in (
            (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b""),
            (b"\x16\x03\x01\x00\x00", b""),
            (openssl_hello("a.example"), bytes.fromhex("15 0303 0002 02 70")),
        ):
            with connected(self.https_port) as user:
                user.sendall(data)
                received = b""
                with contextlib.suppress(ConnectionError):
                    while part := user.recv(100):
                        received += part
            self.assertEqual(received, answer)
