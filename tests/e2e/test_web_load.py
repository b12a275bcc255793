# -*- test-case-name: tests.e2e.test_web_load -*-
"""Large bodies and many WebSockets through both programs: whole, and in little memory."""

import socket
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Final

from tests.e2e.oddities import read_head
from tests.e2e.openfiles import steady_files, wait_for_files
from tests.e2e.services import (
    digest_of,
    echo,
    echo_once,
    is_closed,
    pattern,
    request,
    websocket,
    websocket_accept,
)
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase, http_proxy
from tests.programs import PATIENCE, eventually
from tunnelsvc.units import KiB, MiB

BODY_BYTES: Final = 200 * MiB

# What either program may use at its worst; some 50 MiB were seen.
MEMORY_LIMIT_BYTES: Final = 80 * MiB

WEBSOCKETS: Final = 100

# Of either program for an idle WebSocket; some 8 KiB were seen.
WEBSOCKET_BYTES: Final = 40 * KiB


class BodyTests(TunnelTestCase):
    """Bodies pass as they come."""

    def check(self, options: Options, client_options: Options) -> None:
        """Upload in chunks and with a length, and download."""
        site = self.local_site("large")
        server = self.start_server(options)
        client = self.start_client(
            {"web": http_proxy(site, {"custom_domains": "large.test"})}, client_options
        )
        expected = digest_of(pattern(BODY_BYTES))
        for headers in ({}, {"Content-Length": str(BODY_BYTES)}):
            answer = request(
                self.vhost_port,
                method="POST",
                host="large.test",
                headers=headers,
                body=pattern(BODY_BYTES),
            )
            self.assertEqual(answer.json()["sha256"], expected)
        self.assertEqual(self.digest_of_download(), expected)
        for program in (server, client):
            peak = program.status.peak_memory_bytes()
            self.assertLess(peak, MEMORY_LIMIT_BYTES, f"{program.name}: {peak} bytes")

    def digest_of_download(self) -> str:
        """Download without keeping it."""
        connection = HTTPConnection("127.0.0.1", self.vhost_port, timeout=PATIENCE)
        self.addCleanup(connection.close)
        connection.request("GET", f"/bytes/{BODY_BYTES}", headers={"Host": "large.test"})
        response = connection.getresponse()
        return digest_of(iter(lambda: response.read(MiB), b""))

    def test_default(self) -> None:
        """With TLS, on connections of their own."""
        self.check(NO_OPTIONS, NO_OPTIONS)

    def test_mux(self) -> None:
        """On one connection."""
        self.check({"tcp_mux": True}, {"tcp_mux": True, "tls_enable": False})


class WebSocketTests(TunnelTestCase):
    """Connections that stay open, and mostly say nothing."""

    def test_idle(self) -> None:
        """They cost little, work later, and end on all sides when the client ends."""
        service = self.local_service(upgrade_and_echo)
        server = self.start_server()
        before = steady_files(server)
        proxies = {"web": http_proxy(service.port, {"custom_domains": "idle.test"})}
        client = self.start_client(proxies)
        self.check_echo()
        resting = [program.status.memory_bytes() for program in (server, client)]
        with ExitStack() as stack:
            users = [
                stack.enter_context(websocket(self.vhost_port, "idle.test"))
                for _ in range(WEBSOCKETS)
            ]
            for program, memory in zip((server, client), resting, strict=True):
                grown = program.status.memory_bytes() - memory
                self.assertLess(grown, WEBSOCKETS * WEBSOCKET_BYTES, program.name)
            self.assertTrue(all(echo_once(user) for user in users))
            self.assertEqual(client.stop(), 0)
            self.assertTrue(all(is_closed(user) for user in users))
        eventually(lambda: not service.live, "the service's connections closed")
        wait_for_files(server, before)
        self.start_client(proxies)
        self.check_echo()

    def check_echo(self) -> None:
        """One WebSocket works."""
        with websocket(self.vhost_port, "idle.test") as user:
            self.assertTrue(echo_once(user))


def upgrade_and_echo(connection: socket.socket) -> None:
    """Service: accept a WebSocket, and send back what comes, whatever it is."""
    head = read_head(connection)
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % websocket_accept(key).encode()
    )
    echo(connection)
