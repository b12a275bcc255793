# -*- test-case-name: tests.test_benchmarks -*-
"""The services behind the tunnels: one nginx and one iperf3 server for all systems."""

from pathlib import Path
from typing import Final

from benchmarks.programs import (
    BenchmarkError,
    Program,
    Programs,
    find_program,
    free_port,
    is_listened_on,
)

# nginx answers from memory, logs nothing and never ends a connection by itself, so that what the
# table shows is the tunnel's.
NGINX_CONFIG: Final = """\
daemon off;
pid {directory}/nginx.pid;
worker_processes 1;
worker_rlimit_nofile {files};
error_log {directory}/nginx-error.log warn;
events {{ worker_connections {files}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ default_type text/plain; return 200 "from behind the tunnel\\n"; }}
    }}
}}
"""

NEEDED: Final = ("nginx", "iperf3", "wrk")
"""Programs without which nothing can be measured."""


def require(name: str) -> str:
    """Return the path of a program of `NEEDED`.

    Raises:
        BenchmarkError: it isn't installed.
    """
    path = find_program(name)
    if path is None:
        raise BenchmarkError(f"{name} isn't installed (Debian: apt install wrk iperf3 nginx-light)")
    return path


class Backends:
    """Nginx, started, and iperf3, once a bulk load needs it.

    Args:
        programs: Ends them.
        files: Descriptors that nginx may have open.
    """

    def __init__(self, programs: Programs, files: int) -> None:
        self._programs = programs
        self.web_port = free_port()
        self._start_nginx(programs.directory, files)
        self.bulk_port = free_port()
        self._iperf3: Program | None = None

    def _start_nginx(self, directory: Path, files: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "nginx.conf"
        text = NGINX_CONFIG.format(directory=directory, files=files, port=self.web_port)
        config.write_text(text, encoding="utf-8")
        log = str(directory / "nginx-error.log")
        command = (require("nginx"), "-p", str(directory), "-c", str(config), "-e", log)
        nginx = self._programs.start(command, "nginx")
        nginx.wait_until(lambda: is_listened_on(self.web_port), "listening")

    def renew_bulk(self) -> None:
        """Start iperf3 afresh: it takes one test at a time, and the last may still be ending."""
        if self._iperf3 is not None:
            self._iperf3.stop()
        command = (require("iperf3"), "-s", "-B", "127.0.0.1", "-p", str(self.bulk_port))
        self._iperf3 = self._programs.start(command, "iperf3")
        self._iperf3.wait_until(lambda: is_listened_on(self.bulk_port), "listening")
