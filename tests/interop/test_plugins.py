# -*- test-case-name: tests.interop.test_plugins -*-
"""Our client's plugins behind every real frps below ``FRP_BIN_DIR``."""

from typing import Final

from tests.e2e.secure import Trust, ask, secured, session
from tests.e2e.services import (
    Answer,
    digest_of,
    pattern,
    request,
    switch_to_websocket,
    websocket,
    websocket_echo,
)
from tests.e2e.tunnel import Options, TunnelTestCase
from tests.interop.binaries import add_tests, with_each_server
from tests.programs import Peer, free_port
from tunnelsvc.units import MiB

NAME: Final = "web.test"
SIZE: Final = 8 * MiB


class FrpsTests(TunnelTestCase):
    """A real frps, our client with a plugin, and a web site."""

    def start(self, server: Peer, plugin: str, options: Options) -> None:
        """Start all of it."""
        self.server_peer = server
        self.https_port = free_port()
        self.start_server({"vhost_https_port": self.https_port})
        address = f"127.0.0.1:{self.local_site('site')}"
        proxy = {"plugin": plugin, "plugin_local_addr": address, **options}
        self.start_client({"web": proxy})

    def check_tcp(self, server: Peer) -> None:
        """``https2http`` through a port."""
        port = free_port()
        self.start(server, "https2http", {"type": "tcp", "remote_port": port})
        self.use_https(port)

    def check_https(self, server: Peer) -> None:
        """``https2http`` through the port of https, with a certificate."""
        files = Trust(self.directory).issue("web", NAME)
        certificate = {"plugin_crt_path": files.cert, "plugin_key_path": files.key}
        proxy = {"type": "https", "custom_domains": NAME, **certificate}
        self.start(server, "https2http", proxy)
        self.use_https(self.https_port)

    def check_http(self, server: Peer) -> None:
        """``http2http`` through the port of http, where frps keeps work connections."""
        self.start(server, "http2http", {"type": "http", "custom_domains": NAME})
        for way in "10.1.1.1", "10.1.1.2":
            headers = {"X-Forwarded-For": way}
            seen = self.headers_seen(request(self.vhost_port, "/x", host=NAME, headers=headers))
            self.assertEqual(seen["x-forwarded-for"].split(", ")[-1], "127.0.0.1")
            self.assertEqual(seen["x-forwarded-for"].count("127.0.0.1"), 1)
        with websocket(self.vhost_port, NAME) as user:
            self.assertEqual(websocket_echo(user, b"hello"), b"hello")

    def use_https(self, port: int) -> None:
        """Ask several times on one connection, then go over to another protocol."""
        digest = digest_of(pattern(SIZE))
        with session(port, NAME) as user:
            seen = self.headers_seen(ask(user, "/x"))
            self.assertEqual(seen["x-forwarded-proto"], "https")
            self.assertEqual(seen["x-forwarded-for"], "127.0.0.1")
            answer = ask(user, f"/bytes/{SIZE}")
            self.assertEqual(digest_of(iter([answer.body])), digest)
            answer = ask(user, "/post", method="POST", body=pattern(SIZE))
            self.assertEqual(answer.json()["sha256"], digest)
            self.assertEqual(ask(user, "/x", host="other.test").status, 421)
        with secured(port, NAME) as user:
            switch_to_websocket(user, NAME)
            self.assertEqual(websocket_echo(user, b"hello"), b"hello")

    def headers_seen(self, answer: Answer) -> dict[str, str]:
        """Give the headers that the site got."""
        seen = answer.json()["headers"]
        assert isinstance(seen, dict)
        return seen


add_tests(
    FrpsTests,
    with_each_server(
        {
            "tcp": FrpsTests.check_tcp,
            "http": FrpsTests.check_http,
            "https": FrpsTests.check_https,
        }
    ),
)
