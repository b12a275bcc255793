# -*- test-case-name: tests.e2e.test_tcpmux -*-
"""``type = tcpmux``: real programs that reach services by CONNECT."""

import getpass
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.e2e.browser import find_logged_in
from tests.e2e.commands import curl, run_curl
from tests.e2e.secure import Trust, server_context
from tests.e2e.services import (
    connected,
    digest_after_eof,
    digest_of,
    echo,
    echo_once,
    pattern,
    receive,
    says,
    send_all,
)
from tests.e2e.sshd import shell_through, start_sshd
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase
from tests.programs import Sections, eventually, free_port
from tunnelsvc.units import MiB

SIZE: Final = 8 * MiB
DRESSED: Final[Options] = {"use_encryption": True, "use_compression": True}

# What ssh runs to come in, as ``nc -X connect`` or corkscrew do it.
THROUGH_CONNECT: Final = """\
import os, socket, sys, threading
host, port, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
way = socket.create_connection((host, port), timeout=60)
way.sendall(f"CONNECT {target} HTTP/1.0\\r\\n\\r\\n".encode())
head = b""
while not head.endswith(b"\\r\\n\\r\\n"):
    head += way.recv(1)
assert head.split()[1] == b"200", head
def up():
    while data := os.read(0, 65536):
        way.sendall(data)
    way.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := way.recv(65536):
    os.write(1, data)
"""


def answers_with_request(connection: socket.socket) -> None:
    """Service: say yes to a CONNECT, and send it back; then echo."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    connection.sendall(b"HTTP/1.1 200 Fine\r\n\r\n" + head)
    echo(connection)


def read_head(user: socket.socket) -> bytes:
    """Read the head of a response, and nothing behind it."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (octet := user.recv(1)):
        head += octet
    return head


class MuxCase(TunnelTestCase):
    """A server with a port for CONNECT."""

    def setUp(self) -> None:
        super().setUp()
        self.mux_port = free_port()

    def start_mux(self, options: Options = NO_OPTIONS) -> None:
        """Start the server."""
        self.start_server({"tcpmux_httpconnect_port": self.mux_port, **options})

    def mux(self, local_port: int, domain: str, options: Options = NO_OPTIONS) -> Options:
        """Give the section of a proxy."""
        return {
            "type": "tcpmux",
            "multiplexer": "httpconnect",
            "local_port": local_port,
            "custom_domains": domain,
            **options,
        }

    @contextmanager
    def connect(
        self, host: str, behind: bytes = b"", headers: bytes = b""
    ) -> Iterator[tuple[int, socket.socket]]:
        """Ask for a connection; give the status of the answer, and the connection."""
        with connected(self.mux_port) as user:
            target = f"{host}:22".encode("ascii")
            user.sendall(
                b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, target, headers) + behind
            )
            head = read_head(user)
            yield int(head.split(b" ")[1]) if head else 0, user

    def status(self, host: str, headers: bytes = b"") -> int:
        """Ask for a connection; return the status of the answer."""
        with self.connect(host, headers=headers) as (status, _):
            return status

    def curl_through(self, url: str, *options: str) -> bytes:
        """Get a page as those do who have a proxy."""
        proxy = ("--proxytunnel", "-x", f"http://127.0.0.1:{self.mux_port}")
        return curl(*proxy, "--insecure", *options, url)

    def check_basics(self) -> None:
        """Names, one with TLS behind it, and what isn't there."""
        self.start_mux()
        files = Trust(self.directory).issue("secure", "secure.test")
        self.start_client(self.basic_proxies(files_port=self.local_site(
            "secure", server_context(files))))  # fmt: skip
        for name in ("plain", "dressed"):
            page = json.loads(self.curl_through(f"http://{name}.test/x"))
            self.assertEqual((page["site"], page["path"]), ("plain", "/x"), self.show_outputs())
            content = self.curl_through(f"http://{name}.test/bytes/{SIZE}")
            self.assertEqual(digest_of(iter([content])), digest_of(pattern(SIZE)))
        page = json.loads(self.curl_through("https://secure.test/x"))
        self.assertEqual(page["site"], "secure")
        self.assertEqual(self.status("nobody.test"), 404)
        with self.connect("echo.test") as (status, user):
            self.assertEqual(status, 200)
            self.assertTrue(echo_once(user))

    def basic_proxies(self, files_port: int) -> Sections:
        """Give a proxy for each kind of use."""
        site = self.local_site("plain")
        return {
            "plain": self.mux(site, "plain.test"),
            "dressed": self.mux(site, "dressed.test", DRESSED),
            "secure": self.mux(files_port, "secure.test"),
            "echo": self.mux(self.local_service(echo).port, "echo.test"),
        }

    def check_users(self) -> None:
        """One name, a proxy for each user."""
        self.start_mux()
        alice, others = self.local_site("alice"), self.local_site("others")
        self.start_client(
            {
                "alice": self.mux(alice, "a.test", {"route_by_http_user": "alice"}),
                "others": self.mux(others, "a.test"),
            }
        )
        for user, site in (("alice:x", "alice"), ("bob:x", "others")):
            page = self.curl_through("http://a.test/x", "--proxy-user", user)
            self.assertEqual(json.loads(page)["site"], site)

    def check_credentials(self) -> None:
        """Who may enter."""
        self.start_mux()
        site = self.local_site("private")
        login = {"http_user": "alice", "http_pwd": "s3cret"}
        self.start_client({"private": self.mux(site, "a.test", login)})
        page = self.curl_through("http://a.test/x", "--proxy-user", "alice:s3cret")
        self.assertEqual(json.loads(page)["site"], "private")
        for options in ((), ("--proxy-user", "alice:wrong")):
            proxy = ("--proxytunnel", "-x", f"http://127.0.0.1:{self.mux_port}")
            refused = run_curl(*proxy, *options, "http://a.test/x")
            # A real frps says 200 first, so that curl takes the refusal for the page.
            self.assertNotIn(b"private", refused.stdout)

    def check_passthrough(self) -> None:
        """The service gets the request, and answers it."""
        self.start_mux({"tcpmux_passthrough": True})
        service = self.local_service(answers_with_request)
        self.start_client({"a": self.mux(service.port, "a.test")})
        with self.connect("a.test", headers=b"X-Mine: 1\r\n") as (status, user):
            self.assertEqual(status, 200)
            self.assertIn(b"X-Mine: 1\r\n", read_head(user))
            self.assertTrue(echo_once(user))

    def check_group(self) -> None:
        """Two services behind one name."""
        self.start_mux()
        group = {"group": "g", "group_key": "k"}
        services = {name: self.local_service(says(name.encode())) for name in "ab"}
        self.start_client(
            {name: self.mux(each.port, "a.test", group) for name, each in services.items()}
        )
        seen: Counter[bytes] = Counter()
        for _ in range(20):
            with self.connect("a.test") as (status, user):
                self.assertEqual(status, 200)
                seen[receive(user, 1)] += 1
        self.assertEqual(set(seen), {b"a", b"b"})


class TCPMuxTests(MuxCase):
    """Our server and our client."""

    def test_dashboard(self) -> None:
        """In a browser the dashboard says by which port a name is reached, with no scheme."""
        port, http_port = free_port(), free_port()
        login = {"dashboard_port": port, "dashboard_user": "admin", "dashboard_pwd": "secret"}
        self.start_mux({"vhost_http_port": http_port, **login})
        service = self.local_service(echo).port
        self.start_client({"mux": self.mux(service, "a.test")})
        page = f"http://127.0.0.1:{port}/static/#/proxies"
        find_logged_in(page, "admin", "secret", f"text=a.test:{self.mux_port}")

    def test_basics(self) -> None:
        self.check_basics()

    def test_users(self) -> None:
        self.check_users()

    def test_credentials(self) -> None:
        """Nobody hears a yes before they are right; 407 then, as of any proxy."""
        self.check_credentials()
        self.assertEqual(self.status("a.test"), 407)

    def test_passthrough(self) -> None:
        self.check_passthrough()

    def test_group(self) -> None:
        self.check_group()

    def test_early_words(self) -> None:
        """What a user says before he has heard the answer; and half-close, both ways."""
        self.start_mux()
        service = self.local_service(digest_after_eof)
        self.start_client({"a": self.mux(service.port, "a.test")})
        with self.connect("a.test", behind=b"early") as (status, user):
            self.assertEqual(status, 200)
            send_all(user, pattern(SIZE))
            user.shutdown(socket.SHUT_WR)
            digest = digest_of(iter([b"early", *pattern(SIZE)]))
            self.assertEqual(receive(user, 64).decode(), digest)

    def test_ssh(self) -> None:
        """``ProxyCommand``."""
        port = free_port()
        start_sshd(self, port)
        self.start_mux()
        self.start_client({"ssh": self.mux(port, "ssh.test")})
        helper = self.directory / "through.py"
        helper.write_text(THROUGH_CONNECT, encoding="utf-8")
        command = f"{sys.executable} {helper} 127.0.0.1 {self.mux_port} ssh.test:22"
        shell = shell_through(self, port, getpass.getuser(), f"-oProxyCommand={command}")
        self.assertEqual(shell.ssh("echo", "hello"), b"hello\n")
        (self.directory / "source").write_bytes(os.urandom(MiB))
        shell.upload(self.directory / "source", self.directory / "target")
        self.assertEqual(
            (self.directory / "target").read_bytes(), (self.directory / "source").read_bytes()
        )

    def test_a_service_that_dies(self) -> None:
        """A health check takes it out, and users are told that it's offline."""
        self.start_mux()
        service = self.local_service(echo)
        check = {"health_check_type": "tcp", "health_check_interval_s": 1}
        client = self.start_client({"a": self.mux(service.port, "a.test", check)})
        self.assertEqual(self.status("a.test"), 200)
        service.close()
        client.wait_for("no users are sent here until it succeeds again")
        eventually(lambda: self.status("a.test") == 503, "taken out")

    def test_on_the_bind_port(self) -> None:
        """With web sites there, too: one open port does for all."""
        self.mux_port = self.vhost_port = self.bind_port
        self.start_mux()
        site = self.local_site("site")
        web = {"type": "http", "local_port": site, "custom_domains": "web.test"}
        self.start_client({"a": self.mux(site, "a.test"), "web": web})
        self.assertEqual(json.loads(self.curl_through("http://a.test/x"))["path"], "/x")
        url = f"http://web.test:{self.bind_port}/y"
        page = curl("--resolve", f"web.test:{self.bind_port}:127.0.0.1", url)
        self.assertEqual(json.loads(page)["path"], "/y")
        self.assertEqual(self.status("nobody.test"), 404)
