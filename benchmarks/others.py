# -*- test-case-name: tests.test_benchmarks -*-
"""Other tunnels, each when its programs are installed; with their defaults, as their manuals say.

None reads another's file, so each has a function that takes the paths of its programs and gives
the function that makes its commands.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from getpass import getuser
from pathlib import Path
from typing import Final

from attrs import frozen

from benchmarks.loads import VHOST
from benchmarks.programs import find_program, run_to_end
from benchmarks.rows import HTTP, TCP, Entry
from benchmarks.systems import Launch, Site, System

SECRET: Final = "benchmark"  # noqa: S105 - for a minute, on loopback

# The bore server's control port can't be chosen.
BORE_PORT: Final = 7835

RATHOLE_SERVER: Final = """\
[server]
bind_addr = "127.0.0.1:{site.control_port}"
default_token = "{secret}"
[server.services.web]
bind_addr = "127.0.0.1:{web}"
[server.services.bulk]
bind_addr = "127.0.0.1:{bulk}"
"""

RATHOLE_CLIENT: Final = """\
[client]
remote_addr = "127.0.0.1:{site.control_port}"
default_token = "{secret}"
[client.services.web]
local_addr = "127.0.0.1:{site.web_port}"
[client.services.bulk]
local_addr = "127.0.0.1:{site.bulk_port}"
"""

SSHD_CONFIG: Final = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
"""


def _tcp_services(site: Site) -> list[tuple[int, int]]:
    """Pairs of a port for users and a port behind the tunnel."""
    ports = site.user_ports
    return [(ports[Entry.WEB], site.web_port), (ports[Entry.BULK], site.bulk_port)]


def rathole(program: str) -> Callable[[Site], Launch]:
    """One program for both sides, told by its file which it is. Plain TCP, its default."""

    def launch(site: Site) -> Launch:
        ports = {"web": site.user_ports[Entry.WEB], "bulk": site.user_ports[Entry.BULK]}
        server = RATHOLE_SERVER.format(site=site, secret=SECRET, **ports)
        client = RATHOLE_CLIENT.format(site=site, secret=SECRET)
        server_file = site.write("server.toml", server)
        client_file = site.write("client.toml", client)
        return Launch((program, "--server", server_file), ((program, "--client", client_file),))

    return launch


def bore(program: str) -> Callable[[Site], Launch]:
    """A client for each port."""

    def launch(site: Site) -> Launch:
        server = (program, "server", "--bind-addr", "127.0.0.1", "--secret", SECRET)
        clients = tuple(
            (
                *(program, "local", str(local), "--local-host", "127.0.0.1", "--to", "127.0.0.1"),
                *("--port", str(user), "--secret", SECRET),
            )
            for user, local in _tcp_services(site)
        )
        return Launch(server, clients)

    return launch


def chisel(program: str) -> Callable[[Site], Launch]:
    """SSH in a WebSocket, so always encrypted."""

    def launch(site: Site) -> Launch:
        port = str(site.control_port)
        remotes = (f"R:127.0.0.1:{user}:127.0.0.1:{local}" for user, local in _tcp_services(site))
        return Launch(
            (program, "server", "--reverse", "--host", "127.0.0.1", "--port", port),
            ((program, "client", f"http://127.0.0.1:{port}", *remotes),),
        )

    return launch


def openssh(ssh: str, sshd: str, keygen: str) -> Callable[[Site], Launch]:
    """``ssh -R``, with keys made for the occasion."""

    def launch(site: Site) -> Launch:
        directory = site.directory
        text = SSHD_CONFIG.format(port=site.control_port, directory=directory)
        config = site.write("sshd_config", text)
        for key in ("host_key", "user_key"):
            command = (keygen, "-q", "-t", "ed25519", "-N", "", "-C", "benchmark")
            run_to_end((*command, "-f", str(directory / key)))
        host_key = (directory / "host_key.pub").read_text(encoding="ascii")
        known = site.write("known_hosts", f"[127.0.0.1]:{site.control_port} {host_key}")
        if os.geteuid() == 0:
            # sshd of root wants it; elsewhere Debian's service makes it.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        options = (
            *("-F", "none", "-N", "-oBatchMode=yes", "-oExitOnForwardFailure=yes"),
            *("-i", str(directory / "user_key"), f"-oUserKnownHostsFile={known}"),
        )
        forwards = tuple(
            text
            for user, local in _tcp_services(site)
            for text in ("-R", f"127.0.0.1:{user}:127.0.0.1:{local}")
        )
        target = ("-p", str(site.control_port), f"{getuser()}@127.0.0.1")
        return Launch((sshd, "-D", "-e", "-f", config), ((ssh, *options, *forwards, *target),))

    return launch


def pagekite(program: str) -> Callable[[Site], Launch]:
    """One program for both sides, one port for both users and clients; web sites only."""

    def launch(site: Site) -> Launch:
        common = (program, "--clean", "--nullui", "--nocrashreport")
        front = (
            *("--isfrontend", "--host=127.0.0.1", f"--ports={site.control_port}"),
            *("--protos=http", f"--domain=http:{VHOST}:{SECRET}"),
        )
        back = (
            f"--frontend=127.0.0.1:{site.control_port}",
            f"--service_on=http:{VHOST}:127.0.0.1:{site.web_port}:{SECRET}",
        )
        return Launch((*common, *front), ((*common, "--noprobes", *back),))

    return launch


def localtunnel(client: str, server: str) -> Callable[[Site], Launch]:
    """One port for users and for clients' requests to be let in; web sites only."""

    def launch(site: Site) -> Launch:
        subdomain, _, domain = VHOST.partition(".")
        port = str(site.control_port)
        return Launch(
            (server, "--address", "127.0.0.1", "--port", port, "--domain", domain),
            (
                (
                    *(client, "--host", f"http://127.0.0.1:{port}", "--subdomain", subdomain),
                    *("--port", str(site.web_port), "--local-host", "127.0.0.1"),
                ),
            ),
        )

    return launch


@frozen(kw_only=True)
class _Kind:
    name: str
    programs: tuple[str, ...]
    launch: Callable[..., Callable[[Site], Launch]]
    entries: frozenset[Entry] = TCP
    encrypts: bool = False
    control_port: int | None = None
    shares_port: bool = False


KINDS: Final[Sequence[_Kind]] = (
    _Kind(name="rathole", programs=("rathole",), launch=rathole),
    _Kind(name="bore", programs=("bore",), launch=bore, control_port=BORE_PORT),
    _Kind(name="chisel", programs=("chisel",), launch=chisel, encrypts=True),
    _Kind(name="ssh -R", programs=("ssh", "sshd", "ssh-keygen"), launch=openssh, encrypts=True),
    _Kind(
        name="pagekite",
        programs=("pagekite",),
        launch=pagekite,
        entries=HTTP,
        shares_port=True,
    ),
    _Kind(
        name="localtunnel",
        programs=("lt", "localtunnel-server"),
        launch=localtunnel,
        entries=HTTP,
        shares_port=True,
    ),
)


def find_others() -> tuple[list[System], dict[str, str]]:
    """Find which of them are installed; the others by name with what is missing."""
    systems, missing = [], {}
    for kind in KINDS:
        paths = {name: find_program(name) for name in kind.programs}
        absent = [name for name, path in paths.items() if path is None]
        if absent:
            missing[kind.name] = f"not installed: {', '.join(absent)}"
        else:
            systems.append(_system(kind, [path for path in paths.values() if path]))
    return systems, missing


def _system(kind: _Kind, paths: Iterable[str]) -> System:
    return System(
        name=kind.name,
        launch=kind.launch(*paths),
        entries=kind.entries,
        tls=(kind.encrypts,),
        control_port=kind.control_port,
        shares_port=kind.shares_port,
    )
