# -*- test-case-name: tests.e2e.test_plugins -*-
"""Client plugins, with real users and real services."""

import contextlib
import hashlib
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.e2e.commands import curl
from tests.e2e.nginx import start_proxy
from tests.e2e.secure import Trust, ask, secured, session
from tests.e2e.services import (
    Answer,
    Handler,
    LocalService,
    connected,
    digest_after_eof,
    digest_of,
    echo,
    echo_bulk,
    pattern,
    receive,
    request,
    send_all,
    switch_to_websocket,
    websocket,
    websocket_echo,
)
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase
from tests.programs import (
    OUR_CLIENT,
    PATIENCE,
    Program,
    ProgramTestCase,
    eventually,
    free_port,
)
from tunnelsvc.units import MiB

NAME: Final = "web.test"

# What proxies before us may have said of a request.
WAYS: Final[Sequence[Mapping[str, str]]] = ({}, {"X-Forwarded-For": "10.1.1.1"})

# Enough to show anything that grows with what was carried, and a few seconds at most.
LARGE_BYTES: Final = 64 * MiB

# What the client may use at its worst, whatever it carries.
MEMORY_LIMIT_BYTES: Final = 100 * MiB


def unix_service(path: Path, handler: Handler) -> LocalService:
    """Start a service on a socket in the file system."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return LocalService(handler, listener)


class UnixDomainSocketTests(TunnelTestCase):
    """``unix_domain_socket``."""

    def setUp(self) -> None:
        super().setUp()
        self.start_server()
        self.port = free_port()

    def start_plugin(
        self, name: str, handler: Handler | None, options: Options = NO_OPTIONS
    ) -> Program:
        """Start a client whose proxy leads to a service at this place."""
        # Not in the test's directory: the length of a socket's path is limited to some 100 bytes.
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        path = Path(place.name) / name
        if handler is not None:
            service = unix_service(path, handler)
            self.addCleanup(service.close)
        plugin = {"plugin": "unix_domain_socket", "plugin_unix_path": path}
        proxy = {"type": "tcp", "remote_port": self.port, **plugin}
        return self.start_client({"app": proxy}, options)

    def test_bulk(self) -> None:
        for number, options in enumerate(({}, {"tls_enable": False, "tcp_mux": False})):
            client = self.start_plugin(f"{number}", echo, options)
            sent, received = echo_bulk(self.port, LARGE_BYTES)
            self.assertEqual(sent, received)
            self.assertLess(client.status.peak_memory_bytes(), MEMORY_LIMIT_BYTES)
            client.stop()

    def test_half_close(self) -> None:
        """A user that has finished sending still gets the answer."""
        self.start_plugin("s", digest_after_eof)
        with connected(self.port) as user:
            send_all(user, pattern(2 * MiB))
            user.shutdown(socket.SHUT_WR)
            self.assertEqual(receive(user, 1000).decode(), digest_of(pattern(2 * MiB)))

    def test_nobody_there(self) -> None:
        client = self.start_plugin("s", None)
        with connected(self.port) as user, contextlib.suppress(ConnectionError):
            self.assertEqual(user.recv(1), b"")
        client.wait_for("/s] error: ")
        self.assertEqual(len(client.lines("No such file or directory")), 1)


class GatewayTestCase(TunnelTestCase):
    """A plugin before a web site."""

    plugin = "https2http"

    def setUp(self) -> None:
        super().setUp()
        self.server = self.start_server()
        self.port = free_port()
        self.site_port = self.local_site("site")

    def start_plugin(self, options: Options = NO_OPTIONS) -> Program:
        """Start a client whose proxy has the plugin."""
        proxy = {
            "type": "tcp",
            "remote_port": self.port,
            "plugin": self.plugin,
            "plugin_local_addr": f"127.0.0.1:{self.site_port}",
            **options,
        }
        return self.start_client({"web": proxy})

    def check_large(self, client: Program) -> None:
        """Bodies of both directions arrive whole, and nothing grows with them."""
        digest = digest_of(pattern(LARGE_BYTES))
        with session(self.port, NAME) as user:
            answer = ask(user, f"/bytes/{LARGE_BYTES}")
            self.assertEqual(hashlib.sha256(answer.body).hexdigest(), digest)
            length = {"Content-Length": str(LARGE_BYTES)}
            for headers in (length, {}):
                body = pattern(LARGE_BYTES)
                answer = ask(user, "/post", method="POST", headers=headers, body=body)
                self.assertEqual(answer.json()["sha256"], digest)
        self.assertLess(client.status.peak_memory_bytes(), MEMORY_LIMIT_BYTES)

    def check_websocket(self) -> None:
        """An upgraded connection carries frames both ways."""
        with secured(self.port, NAME) as user:
            switch_to_websocket(user, NAME, headers={"Origin": f"https://{NAME}"})
            for message in b"hello", b"again":
                self.assertEqual(websocket_echo(user, message), message)

    def check_forwarded(self, seen: Mapping[str, str], way: Mapping[str, str], scheme: str) -> None:
        """The site learns who the user is, how he came, and on which way before that."""
        expected = ", ".join([*way.values(), "127.0.0.1"])
        self.assertEqual(seen["x-forwarded-for"], expected)
        self.assertEqual(seen["x-forwarded-proto"], scheme)
        self.assertEqual(seen["x-forwarded-host"], NAME)

    def headers_seen(self, answer: Answer) -> dict[str, str]:
        """Give the headers that the site got."""
        seen = answer.json()["headers"]
        assert isinstance(seen, dict)
        return seen


class HTTPSToHTTPTests(GatewayTestCase):
    """``https2http`` through a proxy of type tcp."""

    def test_requests(self) -> None:
        """Several on one connection; the service learns what it should."""
        options = {"plugin_header_X-From-Where": "frp", "plugin_host_header_rewrite": "inside.test"}
        self.start_plugin(options)
        with session(self.port, NAME) as user:
            for way in WAYS:
                seen = self.headers_seen(ask(user, "/x", headers=way))
                self.assertEqual(seen["host"], "inside.test")
                self.assertEqual(seen["x-from-where"], "frp")
                self.check_forwarded(seen, way, "https")
            self.assertEqual(ask(user, "/x", host="other.test").status, 421)
            self.assertEqual(ask(user, "/x").status, 200)

    def test_curl(self) -> None:
        """With HTTP/2 offered, which isn't spoken; a body that waits for 100 Continue."""
        self.start_plugin()
        body = self.directory / "body"
        body.write_bytes(b"".join(pattern(2 * MiB)))
        url = f"https://{NAME}:{self.port}/post"
        shown = curl(
            *("-k", "--http2", "--connect-to", f"{NAME}:{self.port}:127.0.0.1:{self.port}"),
            *("--data-binary", f"@{body}", "-H", "Expect: 100-continue"),
            *("-w", "\n%{http_version} %{http_code}", url),
        )
        answer, _, spoken = shown.rpartition(b"\n")
        self.assertIn(digest_of(pattern(2 * MiB)).encode(), answer)
        self.assertEqual(spoken, b"1.1 200")

    def test_large(self) -> None:
        self.check_large(self.start_plugin())

    def test_websocket(self) -> None:
        """What a Jupyter kernel needs."""
        self.start_plugin()
        self.check_websocket()

    def test_service_down(self) -> None:
        """A page says so, and the service may come back."""
        self.site_port = free_port()
        client = self.start_plugin()
        with session(self.port, NAME) as user:
            answer = ask(user)
            self.assertEqual(answer.status, 502)
            self.assertIn(b"The service behind this site", answer.body)
            self.assertNotIn(b"127.0.0.1", answer.body)
        client.wait_for(f"[web] connect to local service [127.0.0.1:{self.site_port}] error: ")

    def test_not_tls(self) -> None:
        """Whoever doesn't speak TLS is sent away, and the log says why."""
        client = self.start_plugin()
        before = client.status.open_files()
        for garbage in (
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"SSH-2.0-x\r\n",
            b"\x16\x03\x01\0\xff",
        ):
            with connected(self.port) as user, contextlib.suppress(ConnectionError):
                user.sendall(garbage)
                user.shutdown(socket.SHUT_WR)
                while user.recv(1000):
                    pass
        client.wait_for("closed by plugin https2http (TLS handshake failed: http request)")
        client.wait_for("user 127.0.0.1:", times=3)
        eventually(lambda: client.status.open_files() <= before, "all closed")

    def test_certificate(self) -> None:
        """The one of the file, and its successor, with no restart."""
        trust = Trust(self.directory)
        files = trust.issue("web", NAME)
        client = self.start_plugin({"plugin_crt_path": files.cert, "plugin_key_path": files.key})

        def shown() -> bytes:
            with trust.connected(self.port, NAME) as user:
                return user.getpeercert(binary_form=True) or b""

        first = shown()
        self.assertEqual(shown(), first)
        trust.issue("web", NAME)
        eventually(lambda: shown() != first, "a new certificate")
        client.wait_for(f"new certificate from {files.cert}")

    def test_many_at_once(self) -> None:
        self.start_plugin()
        statuses: list[int] = []

        def use() -> None:
            with session(self.port, NAME) as user:
                statuses.extend(ask(user, "/x").status for _ in range(5))

        threads = [threading.Thread(target=use, daemon=True) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(statuses, [200] * 100)


class HTTPSServiceTestCase(GatewayTestCase):
    """The service speaks TLS: nginx, before the site."""

    def setUp(self) -> None:
        super().setUp()
        inner, self.site_port = self.site_port, free_port()
        files = Trust(self.directory).issue("nginx", "inside.test")
        start_proxy(self, self.site_port, inner, "X-Server-Name $ssl_server_name", files)


class HTTPSToHTTPSTests(HTTPSServiceTestCase):
    """``https2https``."""

    plugin = "https2https"

    def test_requests(self) -> None:
        self.start_plugin({"plugin_host_header_rewrite": "inside.test"})
        with session(self.port, NAME) as user:
            seen = self.headers_seen(ask(user, "/x"))
            self.assertEqual(seen["host"], "inside.test")
            self.assertEqual(seen["x-server-name"], "inside.test")
            self.assertEqual(seen["x-forwarded-for"], "127.0.0.1")
            self.assertEqual(seen["x-forwarded-proto"], "https")

    def test_large(self) -> None:
        self.check_large(self.start_plugin())

    def test_websocket(self) -> None:
        self.start_plugin()
        self.check_websocket()


class HTTPToHTTPSTests(HTTPSServiceTestCase):
    """``http2https`` through a proxy of type http."""

    plugin = "http2https"

    def test_requests(self) -> None:
        """Different users on one work connection; each is who he is."""
        self.start_plugin({"type": "http", "custom_domains": NAME})
        for way in WAYS:
            answer = request(self.vhost_port, "/x", host=NAME, headers=way)
            self.check_forwarded(self.headers_seen(answer), way, "http")

    def test_websocket(self) -> None:
        self.start_plugin({"type": "http", "custom_domains": NAME})
        with websocket(self.vhost_port, NAME) as user:
            self.assertEqual(websocket_echo(user, b"hello"), b"hello")

    def test_large(self) -> None:
        client = self.start_plugin({"type": "http", "custom_domains": NAME})
        digest = digest_of(pattern(LARGE_BYTES))
        answer = request(self.vhost_port, f"/bytes/{LARGE_BYTES}", host=NAME)
        self.assertEqual(hashlib.sha256(answer.body).hexdigest(), digest)
        body = pattern(LARGE_BYTES)
        answer = request(self.vhost_port, "/post", method="POST", host=NAME, body=body)
        self.assertEqual(answer.json()["sha256"], digest)
        self.assertLess(client.status.peak_memory_bytes(), MEMORY_LIMIT_BYTES)


class TLSToRawTests(TunnelTestCase):
    """``tls2raw``."""

    def test_bulk(self) -> None:
        self.start_server()
        port = free_port()
        address = f"127.0.0.1:{self.local_service(echo).port}"
        plugin = {"plugin": "tls2raw", "plugin_local_addr": address}
        self.start_client({"raw": {"type": "tcp", "remote_port": port, **plugin}})
        with secured(port, NAME) as user:
            sender = threading.Thread(target=send_all, args=(user, pattern(8 * MiB)), daemon=True)
            sender.start()
            received = receive(user, 8 * MiB)
            sender.join(PATIENCE)
        self.assertEqual(digest_of(iter([received])), digest_of(pattern(8 * MiB)))


class ConfigTests(ProgramTestCase):
    """What can't work is said at the start."""

    def check(self, proxy: Options, *words: str) -> None:
        sections = {"common": {"server_addr": "127.0.0.1", "server_port": 9}, "web": proxy}
        config = self.write_config("frpc.ini", sections)
        client = self.run_program((*OUR_CLIENT.command, "-c", str(config)))
        self.assertNotEqual(client.wait(), 0)
        for word in words:
            self.assertIn(word, client.output())

    def test_no_certificate(self) -> None:
        plugin = {"plugin": "https2http", "plugin_local_addr": "127.0.0.1:1"}
        files = {"plugin_crt_path": "no.crt", "plugin_key_path": "no.key"}
        self.check({**plugin, **files}, "[web] plugin_crt_path = no.crt: No such file")
