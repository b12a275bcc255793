# -*- test-case-name: tests.e2e.test_reload -*-
"""A client that is told what to do while it runs: by its file, by commands, by its admin API."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.e2e.services import NO_HEADERS, echo, serves_echo
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase, tcp_proxy
from tests.programs import (
    PATIENCE,
    TUNNELSVC,
    Program,
    Sections,
    accepts_connections,
    eventually,
    free_port,
)

# Nobody's proxy settings between us and loopback.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ControlTestCase(TunnelTestCase):
    """A server, an echo service and a client with an admin API."""

    def setUp(self) -> None:
        super().setUp()
        self.admin_port = free_port()
        self.service = self.local_service(echo)

    @property
    def file(self) -> Path:
        """The client's file."""
        return self.directory / "frpc.ini"

    def proxies(self, **remote_ports: int) -> Sections:
        """Give proxies of the echo service."""
        return {name: tcp_proxy(self.service.port, port) for name, port in remote_ports.items()}

    def sections(self, proxies: Sections, options: Options = NO_OPTIONS) -> Sections:
        """Give the client's file."""
        return self.client_sections(proxies, {"admin_port": self.admin_port, **options})

    def write(self, proxies: Sections, options: Options = NO_OPTIONS) -> None:
        """Exchange the client's file, as an editor does."""
        self.write_config("frpc.new", self.sections(proxies, options)).replace(self.file)

    def begin(self, proxies: Sections, options: Options = NO_OPTIONS) -> Program:
        """Start server and client."""
        self.start_server()
        client = self.run_client(self.sections(proxies, options), self.client_peer)
        client.wait_for("login to server success")
        client.wait_until(lambda: accepts_connections(self.admin_port), "an admin API")
        return client

    def command(
        self, name: str, program: Sequence[str] = TUNNELSVC, file: Path | None = None
    ) -> tuple[int, str]:
        """Run ``reload``, ``status`` or ``stop``.

        Args:
            name: of the command.
            program: whose.
            file: where it reads where the client is; None: in the client's file.

        Returns:
            The exit status, and all that it says.
        """
        done = subprocess.run(
            (*program, name, "-c", str(file or self.file)),
            capture_output=True,
            check=False,
            cwd=self.directory,
            text=True,
            timeout=2 * PATIENCE,
        )
        return done.returncode, done.stdout + done.stderr

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> tuple[int, bytes]:
        """Ask the admin API; return status and body."""
        url = f"http://127.0.0.1:{self.admin_port}{path}"
        request = urllib.request.Request(url, data=body, method=method, headers=dict(headers))
        try:
            with _OPENER.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def reload(self) -> Any:
        """Have the file read again."""
        status, body = self.ask("/api/reload")
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def wait_for_echo(self, port: int) -> None:
        """Wait until users reach the service by this port."""
        eventually(lambda: serves_echo(port), f"an echo on port {port}")

    def wait_for_nobody(self, port: int) -> None:
        """Wait until nobody listens on this port."""
        eventually(lambda: not accepts_connections(port), f"nobody on port {port}")
