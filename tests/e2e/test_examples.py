# -*- test-case-name: tests.e2e.test_examples -*-
"""The programs of ``examples``, as real programs."""

import os
import sys
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SkipTest

from tests.e2e.services import request, websocket, websocket_echo
from tests.e2e.tunnel import TWISTD, TunnelTestCase, http_proxy, tcp_proxy
from tests.programs import Program, accepts_connections, free_port

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
TOKEN: Final = "a token for a test"
WITH_ASYNCIO: Final = """
import runpy
from twisted.internet import asyncioreactor
asyncioreactor.install()
runpy.run_path({path!r}, run_name="__main__")
"""


class ExampleTests(TunnelTestCase):
    """Each does what it says."""

    def setUp(self) -> None:
        super().setUp()
        if not EXAMPLES.is_dir():
            raise SkipTest("the tests run outside of the repository")

    def check_both_ends(self, program: Program) -> None:
        program.wait_for("http://127.0.0.1:")
        port = int(program.lines("http://")[0].rpartition(":")[2].rstrip("/"))
        answer = request(port, host="any.example")
        self.assertEqual((answer.status, answer.body), (200, b"You came through the tunnel.\n"))
        program.stop()
        self.assertFalse(accepts_connections(port))

    def test_both_ends(self) -> None:
        path = str(EXAMPLES / "both_ends.py")
        self.check_both_ends(self.run_program((sys.executable, "-P", path)))

    def test_both_ends_on_asyncio(self) -> None:
        code = WITH_ASYNCIO.format(path=str(EXAMPLES / "both_ends.py"))
        self.check_both_ends(self.run_program((sys.executable, "-P", "-c", code)))

    def test_web_application(self) -> None:
        """Pages of both kinds at one port, WebSocket too; the tunnel's hosts come and go."""
        web = free_port()
        path = str(EXAMPLES / "web_application.py")
        program = self.run_program(
            (sys.executable, "-P", path, str(self.bind_port), str(web), TOKEN)
        )
        program.wait_until(lambda: accepts_connections(web), "listened on")
        own = b"<p>This page is the application's own.</p>\n"
        self.assertEqual(request(web, host="site1.example").body, own)
        local = self.local_site("site one")
        client = self.start_client(
            {"web1": http_proxy(local, {"custom_domains": "site1.example"})}, {"token": TOKEN}
        )
        self.assertIn(b"site one", request(web, host="site1.example").body)
        self.assertEqual(request(web, host="own.example").body, own)
        with websocket(web, "site1.example") as user:
            self.assertEqual(websocket_echo(user, b"hello"), b"hello")
        client.stop()
        program.wait_for("client exit success")
        self.assertEqual(request(web, host="site1.example").body, own)

    def test_application_of_twistd(self) -> None:
        environ = os.environ | {
            "TUNNEL_ADDR": "127.0.0.1",
            "TUNNEL_PORT": str(self.bind_port),
            "TUNNEL_TOKEN": TOKEN,
        }
        program = self.run_program(
            (TWISTD, "--nodaemon", "--python", str(EXAMPLES / "server.tac")), environ=environ
        )
        program.wait_for("tunnel server started successfully")
        public = free_port()
        self.start_client({"web": tcp_proxy(self.local_site("x"), public)}, {"token": TOKEN})
        self.assertEqual(request(public, host="x.example").status, 200)
