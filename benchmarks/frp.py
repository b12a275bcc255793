# -*- test-case-name: tests.test_benchmarks -*-
"""Ours, frp, and both mixtures: all read the same two INI files, defaults but for TLS."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from benchmarks.loads import VHOST
from benchmarks.programs import BenchmarkError, run_to_end
from benchmarks.rows import HTTP, TCP, Entry
from benchmarks.systems import OURS, REFERENCE, Command, Launch, Site, System

# As installed: -P keeps the current directory out of the module search path.
OUR_COMMAND: Final = (sys.executable, "-P", "-m", "tunnelsvc")
OUR_SERVER: Final = (*OUR_COMMAND, "server")
OUR_CLIENT: Final = (*OUR_COMMAND, "client")

SERVER_INI: Final = """\
[common]
bind_addr = 127.0.0.1
bind_port = {control_port}
vhost_http_port = {vhost_port}
token = benchmark
"""

CLIENT_INI: Final = """\
[common]
server_addr = 127.0.0.1
server_port = {control_port}
token = benchmark
tls_enable = {tls}

[web]
type = tcp
local_port = {web_port}
remote_port = {web_user_port}

[bulk]
type = tcp
local_port = {bulk_port}
remote_port = {bulk_user_port}

[vhost]
type = http
local_port = {web_port}
custom_domains = {vhost}
"""


@frozen
class FrpLaunch:
    """Makes the commands of a server and a client that take ``-c FILE``."""

    server: Command
    client: Command

    def __call__(self, site: Site) -> Launch:
        """Write both files."""
        server_ini = SERVER_INI.format(
            control_port=site.control_port, vhost_port=site.user_ports[Entry.VHOST]
        )
        client_ini = CLIENT_INI.format(
            control_port=site.control_port,
            tls=str(site.tls).lower(),
            web_port=site.web_port,
            web_user_port=site.user_ports[Entry.WEB],
            bulk_port=site.bulk_port,
            bulk_user_port=site.user_ports[Entry.BULK],
            vhost=VHOST,
        )
        return Launch(
            (*self.server, "-c", site.write("frps.ini", server_ini)),
            ((*self.client, "-c", site.write("frpc.ini", client_ini)),),
        )


def _system(name: str, server: Command, client: Command, *, is_mixed: bool = False) -> System:
    launch = FrpLaunch(server, client)
    return System(name=name, launch=launch, entries=TCP | HTTP, is_mixed=is_mixed)


def our_system() -> System:
    """Both programs ours."""
    return _system(OURS, OUR_SERVER, OUR_CLIENT)


def frp_systems(server: str, client: str) -> list[System]:
    """Frp itself, and each of its programs with one of ours."""
    return [
        _system(REFERENCE, (server,), (client,)),
        _system("tunnelsvc+frpc", OUR_SERVER, (client,), is_mixed=True),
        _system("frps+tunnelsvc", (server,), OUR_CLIENT, is_mixed=True),
    ]


def _newest(directory: Path, kind: str) -> tuple[tuple[int, ...], str] | None:
    found = []
    for path in sorted(directory.rglob(f"{kind}*")):
        if path.is_file() and os.access(path, os.X_OK):
            version = run_to_end((str(path), "--version")).strip()
            found.append((tuple(int(part) for part in version.split(".")), str(path.absolute())))
    return max(found, default=None)


def find_frp(environ: Mapping[str, str]) -> tuple[str, str, str]:
    """Find the newest frps and frpc below ``FRP_BIN_DIR``; return their version and paths.

    Raises:
        BenchmarkError: there are none, or the newest of both differ in version.
    """
    directory = environ.get("FRP_BIN_DIR", "")
    if not directory:
        raise BenchmarkError("FRP_BIN_DIR isn't set")
    server, client = (_newest(Path(directory), kind) for kind in ("frps", "frpc"))
    if server is None or client is None or server[0] != client[0]:
        raise BenchmarkError(f"no frps and frpc of one version in {directory}")
    return ".".join(map(str, server[0])), server[1], client[1]
