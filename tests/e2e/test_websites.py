# -*- test-case-name: tests.e2e.test_websites -*-
"""Web sites behind the tunnel, as visitors, services and proxies before the server see them."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Mapping

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.e2e.services import connected, receive, request, websocket, websocket_echo
from tests.e2e.tunnel import Options, TunnelTestCase, http_proxy
from tests.programs import free_port


class EchoHandler(WebSocketHandler):
    """A WebSocket with Tornado's own check of where it is opened from."""

    def on_message(self, message: str | bytes) -> None:
        """Send it back."""
        self.write_message(message)

    def data_received(self, chunk: bytes) -> None:
        """Take no body."""


def serve_tornado(
    ready: threading.Event, ports: list[int], stopping: list[Callable[[], object]]
) -> None:
    """Run a Tornado server on a free port until what it puts into ``stopping`` is called."""

    async def main() -> None:
        done = asyncio.Event()
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(Application([("/ws", EchoHandler)]))
        server.add_sockets(sockets)
        ports.append(sockets[0].getsockname()[1])
        loop = asyncio.get_running_loop()
        stopping.append(lambda: loop.call_soon_threadsafe(done.set))
        ready.set()
        await done.wait()
        server.stop()

    asyncio.run(main())


class TornadoTests(TunnelTestCase):
    """Tornado, and with it Jupyter, compares Origin with Host before it opens a WebSocket."""

    def tornado(self) -> int:
        """Start a Tornado server; return its port."""
        ready, ports, stopping = threading.Event(), list[int](), list[Callable[[], object]]()
        thread = threading.Thread(target=serve_tornado, args=(ready, ports, stopping), daemon=True)
        thread.start()
        self.assertTrue(ready.wait(30))
        self.addCleanup(thread.join, 30)
        self.addCleanup(stopping[0])
        return ports[0]

    def opens(self, host: str, origin: str, **more: str) -> bool:
        """Tell whether a WebSocket opens, and if so, works."""
        headers = {"Origin": origin, **{name.replace("_", "-"): it for name, it in more.items()}}
        try:
            with websocket(self.vhost_port, host, headers=headers) as user:
                return websocket_echo(user, b"hello") == b"hello"
        except AssertionError as error:
            self.assertIn("403", str(error))
            return False

    def test_origins(self) -> None:
        port = self.tornado()
        self.start_server()
        rewrite = f"localhost:{port}"
        self.start_client(
            {
                "plain": http_proxy(port, {"custom_domains": "plain.test"}),
                "moved": http_proxy(
                    port, {"custom_domains": "moved.test", "host_header_rewrite": rewrite}
                ),
            }
        )
        for name in ("plain.test", "moved.test"):
            host = f"{name}:{self.vhost_port}"
            self.assertTrue(self.opens(host, f"http://{host}"))
            self.assertTrue(self.opens(host, f"https://{host}"))
            for foreign in (f"http://{rewrite}", "http://evil.test", f"http://{name}", "null"):
                self.assertFalse(self.opens(host, foreign), (name, foreign))


class RouteTests(TunnelTestCase):
    """Which service a request reaches, and what that sees."""

    def test_one_site_for_two_users(self) -> None:
        self.start_server()
        sites = {name: self.local_site(name) for name in ("alice", "everybody")}
        self.start_client(
            {
                "a": http_proxy(
                    sites["alice"], {"custom_domains": "x.test", "route_by_http_user": "alice"}
                ),
                "e": http_proxy(sites["everybody"], {"custom_domains": "x.test"}),
            }
        )
        for user, name in (("alice:x", "alice"), ("bob:x", "everybody"), ("", "everybody")):
            answer = request(self.vhost_port, "/facts", host="x.test", user=user)
            self.assertEqual(answer.json()["site"], name)

    def test_headers(self) -> None:
        self.start_server()
        options = {
            "custom_domains": "x.test",
            "header_X-Added": "yes",
            "response_header_X-Frame-Options": "DENY",
        }
        self.start_client({"x": http_proxy(self.local_site("x"), options)})
        answer = request(self.vhost_port, "/facts", host="x.test", headers={"X-Added": "no"})
        self.assertEqual(answer.headers["X-Frame-Options"], "DENY")
        self.assertEqual(seen(answer.body)["x-added"], "yes")

    def test_connect(self) -> None:
        """A service that is a proxy is asked for a connection."""

        def proxy(connection: socket.socket) -> None:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            connection.sendall(
                b"HTTP/1.1 200 Connected\r\n\r\n" + head.partition(b"\r\n")[0] + b"\n"
            )

        service = self.local_service(proxy)
        self.start_server()
        self.start_client({"x": http_proxy(service.port, {"custom_domains": "*.x.test"})})
        with connected(self.vhost_port) as user:
            user.sendall(b"CONNECT a.x.test:443 HTTP/1.1\r\nHost: a.x.test:443\r\n\r\n")
            self.assertEqual(
                receive(user, 1000),
                b"HTTP/1.1 200 Connected\r\n\r\nCONNECT a.x.test:443 HTTP/1.1\n",
            )


class ForwardedTests(TunnelTestCase):
    """What a service is told about its user."""

    CLAIMS: Mapping[str, str] = {
        "X-Forwarded-For": "6.6.6.6, 198.51.100.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.test",
        "X-Real-IP": "6.6.6.6",
    }

    def told(self, options: Options) -> dict[str, str]:
        """Give what the service is told of a request with claims."""
        self.start_server(options)
        self.start_client({"x": http_proxy(self.local_site("x"), {"custom_domains": "x.test"})})
        answer = request(self.vhost_port, "/facts", host="x.test", headers=self.CLAIMS)
        return {name: it for name, it in seen(answer.body).items() if name.startswith("x-")}

    def test_by_default(self) -> None:
        self.assertEqual(
            self.told({}),
            {
                "x-forwarded-for": "6.6.6.6, 198.51.100.1, 127.0.0.1",
                "x-forwarded-host": "x.test",
                "x-forwarded-proto": "http",
                "x-real-ip": "127.0.0.1",
            },
        )

    def test_trusted(self) -> None:
        self.assertEqual(
            self.told({"trusted_proxies": "10.0.0.0/8,loopback"}),
            {
                "x-forwarded-for": "6.6.6.6, 198.51.100.1, 127.0.0.1",
                "x-forwarded-host": "shop.test",
                "x-forwarded-proto": "https",
                "x-real-ip": "198.51.100.1",
            },
        )

    def test_not_trusted(self) -> None:
        self.assertEqual(
            self.told({"trusted_proxies": "10.0.0.0/8"}),
            {
                "x-forwarded-for": "127.0.0.1",
                "x-forwarded-host": "x.test",
                "x-forwarded-proto": "http",
                "x-real-ip": "127.0.0.1",
            },
        )


class ErrorTests(TunnelTestCase):
    """A visitor learns which of the two it is that doesn't work."""

    def test_service_down_and_client_gone(self) -> None:
        server = self.start_server()
        client = self.start_client(
            {
                "down": http_proxy(free_port(), {"custom_domains": "down.test"}),
                "up": http_proxy(self.local_site("up"), {"custom_domains": "up.test"}),
            }
        )
        self.assertEqual(self.error("down.test"), (502, "service_down"))
        self.assertEqual(self.error("never.test"), (404, "site_not_found"))
        self.assertEqual(request(self.vhost_port, host="up.test").status, 200)
        client.stop()
        server.wait_for("client exit success")
        for host in ("down.test", "up.test"):
            self.assertEqual(self.error(host), (503, "site_offline"))
        self.assertEqual(self.error("never.test"), (404, "site_not_found"))
        page = request(self.vhost_port, host="up.test", headers={"Accept": "text/html"})
        self.assertIn(b"<title>This site is offline</title>", page.body)

    def error(self, host: str) -> tuple[int, object]:
        """Give status and code of an error."""
        accept = {"Accept": "application/json"}
        answer = request(self.vhost_port, host=host, headers=accept)
        self.assertNotIn(b"127.0.0.1", answer.body)
        return answer.status, answer.json()["error"]


def seen(body: bytes) -> dict[str, str]:
    """Give the headers that a web site saw, by lower-case name."""
    headers: dict[str, str] = json.loads(body)["headers"]
    return headers
