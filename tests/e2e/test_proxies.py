# -*- test-case-name: tests.e2e.test_proxies -*-
"""Client plugins that reach further, ``http_proxy`` and ``socks5``, with real users of proxies."""

import contextlib
import os
import socket
import struct
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SkipTest

from tests.e2e.commands import run_curl
from tests.e2e.secure import Trust, server_context
from tests.e2e.services import (
    Handler,
    LocalService,
    connected,
    digest_of,
    echo,
    is_closed,
    pattern,
    receive,
    send_all,
    switch_to_websocket,
    websocket_echo,
)
from tests.e2e.tunnel import TunnelTestCase
from tests.programs import PATIENCE, Program, accepts_connections, free_port, require_program
from tunnelsvc.units import MiB

LARGE_BYTES: Final = 32 * MiB

# What the client may use at its worst, whatever it carries.
MEMORY_LIMIT_BYTES: Final = 100 * MiB

# Users who all want something that isn't there.
MANY: Final = 1000

# Connections that the client has ready for the next users.
MOST_KEPT: Final = 32

LOGIN: Final = "alice:s3cret"
ENCODED_LOGIN: Final = b64encode(LOGIN.encode()).decode()

# Of curl: "could not resolve host" and the like are others.
PROXY_REFUSED: Final = 97
EMPTY_OR_FAILED: Final = (52, 56)


class ProxyTestCase(TunnelTestCase):
    """A client whose plugin is a proxy, on `port`."""

    def start_plugin(self, plugin: str, user_key: str, password_key: str) -> None:
        self.trust = Trust(self.directory)
        self.port = free_port()
        self.start_server()
        user, _, password = LOGIN.partition(":")
        options = {"plugin": plugin, user_key: user, password_key: password}
        proxy = {"type": "tcp", "remote_port": self.port, **options}
        self.client: Program = self.start_client({"proxy": proxy})

    def curl(self, *arguments: str, login: str = LOGIN) -> "subprocess.CompletedProcess[bytes]":
        """Run curl with these, as a user of the proxy."""
        return run_curl(*self.proxy_options(), "--proxy-user", login, *arguments)

    def proxy_options(self) -> tuple[str, ...]:
        """What tells curl about the proxy."""
        raise NotImplementedError

    def fetch(self, *arguments: str) -> bytes:
        """Run curl, which must succeed; return what it printed."""
        ended = self.curl(*arguments)
        self.assertEqual(ended.returncode, 0, f"{ended.stderr!r}\n{self.show_outputs()}")
        return ended.stdout

    def ipv6_service(self, handler: Handler) -> LocalService:
        """Start a service on the loopback address of IPv6."""
        try:
            listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError as why:
            raise SkipTest(f"no IPv6: {why}") from None
        service = LocalService(handler, listener)
        self.addCleanup(service.close)
        return service

    def tls_port(self, handler: Handler) -> int:
        """Start a TLS service for ``localhost``."""
        context = server_context(self.trust.issue("web", "localhost"))

        def serve(connection: socket.socket) -> None:
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(connection, server_side=True) as tls,
            ):
                handler(tls)

        return self.local_service(serve).port

    def check_leaves_nothing(self, open_files: int) -> None:
        """All that was open for users is closed again."""
        most = open_files + MOST_KEPT
        self.client.wait_until(
            lambda: self.client.status.open_files() <= most, f"no more than {most} files open"
        )
        self.assertLess(self.client.status.peak_memory_bytes(), MEMORY_LIMIT_BYTES)


def one_page(connection: socket.socket) -> None:
    """Service: answer one request."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")


def reset(connection: socket.socket) -> None:
    """Service: reset the connection after a byte."""
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Socks5Tests(ProxyTestCase):
    """``socks5``."""

    def setUp(self) -> None:
        super().setUp()
        self.start_plugin("socks5", "plugin_user", "plugin_passwd")
        self.kind = "--socks5-hostname"

    def proxy_options(self) -> tuple[str, ...]:
        return self.kind, f"127.0.0.1:{self.port}"

    def test_by_name_and_by_address(self) -> None:
        site = self.local_site("site")
        for self.kind in "--socks5-hostname", "--socks5":
            for host in "localhost", "127.0.0.1":
                page = self.fetch(f"http://{host}:{site}/")
                self.assertIn(b"This is site.", page)

    def test_ipv6(self) -> None:
        port = self.ipv6_service(one_page).port
        self.assertEqual(self.fetch(f"http://[::1]:{port}/"), b"hello")

    def test_tls(self) -> None:
        port = self.tls_port(one_page)
        trust = ("--cacert", self.trust.file)
        self.assertEqual(self.fetch(*trust, f"https://localhost:{port}/"), b"hello")

    def test_bulk(self) -> None:
        site = self.local_site("site")
        page = self.fetch(f"http://127.0.0.1:{site}/bytes/{LARGE_BYTES}")
        self.assertEqual(digest_of(iter([page])), digest_of(pattern(LARGE_BYTES)))
        self.assertLess(self.client.status.peak_memory_bytes(), MEMORY_LIMIT_BYTES)

    def test_refusals(self) -> None:
        """curl says what it was told."""
        url = f"http://127.0.0.1:{free_port()}/"
        ended = self.curl(url)
        self.assertEqual(ended.returncode, PROXY_REFUSED, ended.stderr)
        self.assertIn(b"(5)", ended.stderr)  # connection refused
        ended = self.curl("http://no-such-host.invalid/")
        self.assertIn(b"(4)", ended.stderr)  # host unreachable
        ended = self.curl(url, login="alice:wrong")
        self.assertEqual(ended.returncode, PROXY_REFUSED, ended.stderr)
        self.client.wait_for("wrong user or password")

    def handshake(self, user: socket.socket, port: int) -> bytes:
        """Say everything at once; return the reply's code."""
        name, password = (text.encode() for text in LOGIN.split(":"))
        login = b"\1" + b"".join(bytes([len(it)]) + it for it in (name, password))
        target = b"\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big")
        user.sendall(b"\5\1\2" + login + target)
        answer = receive(user, 2 + 2 + 10)
        self.assertEqual(answer[:4], b"\5\2\1\0")
        return answer[5:6]

    def test_half_close(self) -> None:
        service = self.local_service(echo)
        with connected(self.port) as user:
            self.assertEqual(self.handshake(user, service.port), b"\0")
            send_all(user, iter([b"hello"]))
            user.shutdown(socket.SHUT_WR)
            self.assertEqual(receive(user, 100), b"hello")

    def test_reset(self) -> None:
        service = self.local_service(reset)
        with connected(self.port) as user:
            self.assertEqual(self.handshake(user, service.port), b"\0")
            user.sendall(b"x")
            self.assertTrue(is_closed(user))
        self.client.wait_for("cut off by plugin socks5 (Connection reset by peer)")

    def test_many_refusals(self) -> None:
        """They leave nothing behind."""
        before = self.client.status.open_files()
        closed = free_port()
        with contextlib.ExitStack() as stack:
            users = [stack.enter_context(connected(self.port)) for _ in range(MANY)]
            for user in users:
                self.assertEqual(self.handshake(user, closed), b"\5")
        self.check_leaves_nothing(before)


class HTTPProxyTests(ProxyTestCase):
    """``http_proxy``."""

    def setUp(self) -> None:
        super().setUp()
        self.start_plugin("http_proxy", "plugin_http_user", "plugin_http_passwd")

    def proxy_options(self) -> tuple[str, ...]:
        return "-x", f"http://127.0.0.1:{self.port}"

    def test_requests(self) -> None:
        """Several on one connection; the site learns nothing of the user or the proxy."""
        site = self.local_site("site")
        url = f"http://127.0.0.1:{site}/facts"
        shown = self.fetch("-w", "%{num_connects}\n", url, url, url)
        self.assertEqual(shown.count(b'"site": "site"'), 3)
        self.assertEqual([line[-1:] for line in shown.splitlines()], [b"1", b"0", b"0"])
        for word in b"orwarded", b"proxy", b"via", b"real":
            self.assertNotIn(word, shown.lower())

    def test_post(self) -> None:
        site = self.local_site("site")
        upload = self.directory / "upload"
        upload.write_bytes(b"".join(pattern(LARGE_BYTES)))
        shown = self.fetch("-T", str(upload), "-X", "POST", f"http://127.0.0.1:{site}/")
        self.assertIn(digest_of(pattern(LARGE_BYTES)).encode(), shown)
        self.assertLess(self.client.status.peak_memory_bytes(), MEMORY_LIMIT_BYTES)

    def test_connect(self) -> None:
        port = self.tls_port(one_page)
        trust = ("--cacert", self.trust.file)
        self.assertEqual(self.fetch(*trust, f"https://localhost:{port}/"), b"hello")

    def test_bulk_by_connect(self) -> None:
        site = self.local_site("site")
        page = self.fetch("-p", f"http://127.0.0.1:{site}/bytes/{LARGE_BYTES}")
        self.assertEqual(digest_of(iter([page])), digest_of(pattern(LARGE_BYTES)))
        self.assertLess(self.client.status.peak_memory_bytes(), MEMORY_LIMIT_BYTES)

    def test_ipv6(self) -> None:
        for options in (), ("-p",):
            port = self.ipv6_service(one_page).port
            self.assertEqual(self.fetch(*options, f"http://[::1]:{port}/"), b"hello")

    def test_websocket(self) -> None:
        """Through a connection, as browsers do."""
        site = self.local_site("site")
        with connected(self.port) as user:
            user.sendall(self.connect_to(site))
            established = b"HTTP/1.1 200 Connection established\r\n\r\n"
            self.assertEqual(receive(user, len(established)), established)
            switch_to_websocket(user, "x")
            self.assertEqual(websocket_echo(user, b"hello"), b"hello")

    def test_refusals(self) -> None:
        closed = f"127.0.0.1:{free_port()}"
        code = ("-o", os.devnull, "-w", "%{http_code} %{http_connect}")
        self.assertEqual(self.fetch(*code, f"http://{closed}/"), b"502 000")
        self.assertEqual(self.fetch(*code, "http://no-such-host.invalid/"), b"502 000")
        ended = self.curl(*code, "-p", f"http://{closed}/")
        self.assertIn(ended.returncode, EMPTY_OR_FAILED)
        self.assertEqual(ended.stdout, b"000 502")
        ended = self.curl(*code, f"http://{closed}/", login="alice:wrong")
        self.assertEqual(ended.stdout, b"407 000")
        with connected(self.port) as user:
            user.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(receive(user, 12).endswith(b" 407"))

    def test_reset(self) -> None:
        service = self.local_service(reset)
        with connected(self.port) as user:
            user.sendall(self.connect_to(service.port) + b"x")
            self.assertTrue(receive(user, 12).endswith(b" 200"))
            with contextlib.suppress(ConnectionResetError):
                while user.recv(100):
                    pass
        self.client.wait_for("cut off by plugin http_proxy")

    def connect_to(self, port: int) -> bytes:
        """Make a CONNECT."""
        return (
            f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n"
            f"Proxy-Authorization: Basic {ENCODED_LOGIN}\r\n\r\n"
        ).encode()

    def test_git(self) -> None:
        """A program that makes many requests."""
        git = require_program("git")
        repository = self.directory / "here"

        def run(*arguments: str) -> None:
            done = subprocess.run(
                [git, *arguments],
                capture_output=True,
                check=False,
                cwd=self.directory,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.directory),
                    "GIT_CONFIG_NOSYSTEM": "1",
                },
                timeout=PATIENCE,
            )
            self.assertEqual(done.returncode, 0, f"{done.stderr!r}\n{self.show_outputs()}")

        run("init", "-q", "-b", "main", str(repository))
        (repository / "file").write_bytes(b"content")
        run("-C", str(repository), "add", "file")
        author = ("-c", "user.name=a", "-c", "user.email=a@b")
        run("-C", str(repository), *author, "commit", "-q", "-m", "first")
        run("clone", "-q", "--bare", str(repository), "bare.git")
        run("-C", str(self.directory / "bare.git"), "update-server-info")
        port = self.serve_directory(self.directory)
        proxy = f"http.proxy=http://{LOGIN}@127.0.0.1:{self.port}"
        run("-c", proxy, "clone", "-q", f"http://127.0.0.1:{port}/bare.git", "there")
        self.assertEqual((self.directory / "there" / "file").read_bytes(), b"content")

    def serve_directory(self, directory: Path) -> int:
        """Start ``python -m http.server``; return its port."""
        port = free_port()
        python = require_program("python3")
        server = self.run_program(
            [python, "-m", "http.server", "--bind", "127.0.0.1", "-d", str(directory), str(port)]
        )
        server.wait_until(lambda: accepts_connections(port), "listening")
        return port

    def test_many_refusals(self) -> None:
        """They leave nothing behind."""
        before = self.client.status.open_files()
        request = self.connect_to(free_port())
        with contextlib.ExitStack() as stack:
            users = [stack.enter_context(connected(self.port)) for _ in range(MANY // 4)]
            for user in users:
                user.sendall(request)
            for user in users:
                self.assertTrue(receive(user, 12).endswith(b" 502"))
        self.check_leaves_nothing(before)
