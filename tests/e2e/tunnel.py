# -*- test-case-name: tests.e2e.test_streams -*-
"""A whole tunnel for a test: server, client and local services on free ports of loopback."""

import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.e2e.services import Handler, LocalService, serve_site
from tests.programs import (
    OUR_CLIENT,
    OUR_SERVER,
    PATIENCE,
    Peer,
    Program,
    ProgramTestCase,
    Sections,
    eventually,
    free_port,
)

Options = Mapping[str, object]

NO_OPTIONS: Options = {}

# The script of the environment that these tests run in.
TWISTD: Final = str(Path(sys.executable).with_name("twistd"))


class TunnelTestCase(ProgramTestCase):
    """Starts a server on `bind_port` with `vhost_port`, and a client that logs in there."""

    server_peer: Peer = OUR_SERVER
    client_peer: Peer = OUR_CLIENT

    def setUp(self) -> None:
        super().setUp()
        self.bind_port = free_port()
        self.vhost_port = free_port()

    def local_service(self, handler: Handler) -> LocalService:
        """Start a service that the client can reach."""
        service = LocalService(handler)
        self.addCleanup(service.close)
        return service

    def local_site(self, name: str, tls: ssl.SSLContext | None = None) -> int:
        """Start a web site that the client can reach; return its port."""
        site = serve_site(name, tls)
        self.addCleanup(site.stop)
        return site.server_port

    def server_sections(self, options: Options = NO_OPTIONS) -> Sections:
        """Give a configuration for the server, with these options in ``[common]``."""
        return {
            "common": {
                "bind_addr": "127.0.0.1",
                "bind_port": self.bind_port,
                "vhost_http_port": self.vhost_port,
                "disable_log_color": True,
                "log_level": "trace",
                **options,
            }
        }

    def client_sections(self, proxies: Sections, options: Options = NO_OPTIONS) -> Sections:
        """Give a configuration for the client with these proxies."""
        return {
            "common": {
                "server_addr": "127.0.0.1",
                "server_port": self.bind_port,
                "disable_log_color": True,
                "log_level": "trace",
                **options,
            },
            **proxies,
        }

    def start_server(self, options: Options = NO_OPTIONS) -> Program:
        """Start the server."""
        return self.run_server(self.server_sections(options), self.server_peer)

    def start_server_daemon(self, config: Path, pid_file: Path, *flags: str) -> int:
        """Start our server as ``twistd`` does without ``-n``; return its pid, for you to end."""
        done = subprocess.run(
            (
                TWISTD,
                f"--pidfile={pid_file}",
                f"--logfile={self.directory}/server.log",
                "--rundir=/",
                *flags,
                "tunnel-server",
                "--config",
                str(config),
            ),
            cwd=self.directory,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        eventually(pid_file.exists, "a pid file")
        return int(pid_file.read_text(encoding="ascii"))

    def start_client(self, proxies: Sections, options: Options = NO_OPTIONS) -> Program:
        """Start the client and wait until all proxies work."""
        return self.run_client(self.client_sections(proxies, options), self.client_peer)


def tcp_proxy(local_port: int, remote_port: int, options: Options = NO_OPTIONS) -> Options:
    """Give the section of a ``tcp`` proxy."""
    return {"type": "tcp", "local_port": local_port, "remote_port": remote_port, **options}


def http_proxy(local_port: int, options: Options) -> Options:
    """Give the section of an ``http`` proxy."""
    return {"type": "http", "local_port": local_port, **options}
