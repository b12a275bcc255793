# -*- test-case-name: tests.e2e.test_tutorial -*-
"""The tutorial, followed to the letter: its two INI files, a real sshd, two sites, a dashboard."""

import hashlib
import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.e2e.browser import browse
from tests.e2e.services import pattern, request, websocket, websocket_echo
from tests.e2e.sshd import shell_through, start_sshd
from tests.e2e.tunnel import TunnelTestCase
from tests.programs import (
    OUR_CLIENT,
    OUR_SERVER,
    accepts_connections,
    eventually,
    free_port,
    stay_within_the_day,
)
from tunnelsvc.units import MiB

# The files as the tutorial has them, comments and trailing blanks included.
TUTORIAL: Final = Path(__file__).parents[1] / "config" / "data"

COPIED_BYTES: Final = 20 * MiB


class TutorialTests(TunnelTestCase):
    """Server and client run the tutorial's files; only address and ports are replaced."""

    def setUp(self) -> None:
        super().setUp()
        self.ssh_port, self.remote_port, self.dashboard_port = (free_port() for _ in range(3))

    def start_tunnel(self) -> None:
        """Run both programs until the client says that all three proxies work."""
        frps = self.tutorial_file("frps.ini", self.server_values())
        server = self.run_program((*OUR_SERVER.command, "-c", frps), name="server")
        server.wait_until(lambda: accepts_connections(self.bind_port), "port listened on")
        frpc = self.tutorial_file("frpc.ini", self.client_values())
        client = self.run_program((*OUR_CLIENT.command, "-c", frpc), name="client")
        for name in ("ssh", "web1", "web2"):
            client.wait_for(f"[{name}] start proxy success")

    def server_values(self) -> Mapping[str, object]:
        """Lines of frps.ini, and what stands there instead."""
        return {
            "bind_port = 7000": self.bind_port,
            "vhost_http_port = 8080": self.vhost_port,
            "dashboard_port = 7500": self.dashboard_port,
        }

    def client_values(self) -> Mapping[str, object]:
        """Lines of frpc.ini, and what stands there instead."""
        return {
            "server_addr = x.x.x.x": "127.0.0.1",
            "server_port = 7000": self.bind_port,
            "local_port = 22": self.ssh_port,
            "local_port = 80": self.local_site("site1"),
            "local_port = 81": self.local_site("site2"),
            "remote_port = 6000": self.remote_port,
        }

    def tutorial_file(self, name: str, values: Mapping[str, object]) -> str:
        """Copy a file of the tutorial with other values in these lines; return its path."""
        text = (TUTORIAL / name).read_text(encoding="utf-8")
        for line, value in values.items():
            key = line.partition(" ")[0]
            text, count = re.subn(rf"(?m)^{re.escape(line)}\b", f"{key} = {value}", text)
            self.assertEqual(count, 1, line)
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_ssh(self) -> None:
        """``ssh user@server -p remote_port``: run a command, copy a file both ways."""
        start_sshd(self, self.ssh_port)
        self.start_tunnel()
        shell = shell_through(self, self.remote_port, pwd.getpwuid(os.getuid()).pw_name)
        self.assertEqual(shell.ssh("echo", "hello"), b"hello\n")
        names = ("original", "there", "back")
        original, there, back = (self.directory / name for name in names)
        original.write_bytes(b"".join(pattern(COPIED_BYTES)))
        shell.upload(original, there)
        shell.download(there, back)
        digests = {hashlib.sha256(path.read_bytes()).digest() for path in (original, there, back)}
        self.assertEqual(len(digests), 1)

    def test_sites(self) -> None:
        """Each name shows its own site, on the vhost port and on the bind port."""
        self.start_tunnel()
        for port in (self.vhost_port, self.bind_port):
            for name in ("site1", "site2"):
                host = f"{name}.example.com:{port}"
                self.assertIn(f"This is {name}", request(port, host=host).body.decode())
            self.assertEqual(request(port, host="site3.example.com").status, 404)

    def test_websocket(self) -> None:
        """What a notebook in the browser needs."""
        self.start_tunnel()
        for port in (self.vhost_port, self.bind_port):
            with websocket(port, f"site2.example.com:{port}") as user:
                self.assertEqual(websocket_echo(user, b"kernel, are you there?")[:6], b"kernel")

    def test_browser(self) -> None:
        """A real browser shows the page, on the vhost port and on the bind port."""
        self.start_tunnel()
        for number, port in enumerate((self.vhost_port, self.bind_port)):
            url = f"http://site1.example.com:{port}/"
            page = browse(self.directory / f"profile{number}", url)
            self.assertIn("This is site1", page, url)

    def test_dashboard(self) -> None:
        """The dashboard wants its password, and knows the client, its proxies and their traffic."""
        self.start_tunnel()
        port, path = self.dashboard_port, "/api/serverinfo"
        stay_within_the_day()
        self.assertEqual(request(port, path).status, 401)
        self.assertEqual(request(port, path, user="admin:wrong").status, 401)
        self.assertEqual(request(port, "/healthz").status, 200)
        facts = request(port, path, user="admin:admin").json()
        self.assertEqual(facts["clientCounts"], 1)
        self.assertEqual(facts["proxyTypeCount"], {"http": 2, "tcp": 1})
        page = request(port, "/static/", user="admin:admin")
        self.assertIn("text/html", page.headers["Content-Type"])

        def site() -> Mapping[str, object]:
            return request(port, "/api/proxy/http/web1", user="admin:admin").json()

        self.assertEqual(site()["status"], "online")
        self.assertEqual(site()["todayTrafficOut"], 0)
        request(self.vhost_port, host="site1.example.com")
        eventually(lambda: site()["todayTrafficOut"], "traffic counted")
        self.assertEqual(request(port, "/api/proxy/tcp/nothing", user="admin:admin").status, 404)
