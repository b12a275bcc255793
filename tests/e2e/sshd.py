# -*- test-case-name: tests.e2e.test_tutorial -*-
"""A real sshd with keys of its own, and the options with which ssh logs in to it."""

import os
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.e2e.commands import run_to_end
from tests.programs import ProgramTestCase, accepts_connections, require_program

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
Subsystem sftp internal-sftp
"""


@frozen
class SecureShell:
    """How ``ssh`` and ``scp`` reach the sshd through a port of this machine."""

    options: tuple[str, ...]
    port: int
    user: str

    def ssh(self, *command: str) -> bytes:
        """Run a command over there; return what it printed."""
        target = f"{self.user}@127.0.0.1"
        program = require_program("ssh")
        return run_to_end((program, *self.options, "-p", str(self.port), target, *command))

    def upload(self, source: Path, target: Path) -> None:
        """Copy a file there."""
        self._scp(str(source), self._remote(target))

    def download(self, source: Path, target: Path) -> None:
        """Copy a file from there."""
        self._scp(self._remote(source), str(target))

    def _remote(self, path: Path) -> str:
        return f"{self.user}@127.0.0.1:{path}"

    def _scp(self, source: str, target: str) -> None:
        program = require_program("scp")
        run_to_end((program, "-q", *self.options, "-P", str(self.port), source, target))


def start_sshd(test: ProgramTestCase, port: int) -> None:
    """Run sshd on a port, with new keys in the test's directory."""
    directory = test.directory
    for key in ("host_key", "user_key"):
        keygen = (require_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "test")
        run_to_end((*keygen, "-f", str(directory / key)))
    config = directory / "sshd_config"
    config.write_text(SSHD_CONFIG.format(port=port, directory=directory), encoding="utf-8")
    if os.geteuid() == 0:
        # sshd of root wants it; elsewhere Debian's service makes it.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    daemon = test.run_program((require_program("sshd"), "-D", "-e", "-f", str(config)))
    daemon.wait_until(lambda: accepts_connections(port), "sshd listening")


def shell_through(test: ProgramTestCase, port: int, user: str, *more_options: str) -> SecureShell:
    """Give an ssh that reaches `start_sshd`'s sshd through ``port``, and trusts only its key."""
    host_key = (test.directory / "host_key.pub").read_text(encoding="ascii")
    known_hosts = test.directory / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {host_key}", encoding="ascii")
    options = ("-F", "none", "-i", str(test.directory / "user_key"), "-oBatchMode=yes")
    trust = (f"-oUserKnownHostsFile={known_hosts}", "-oStrictHostKeyChecking=yes")
    return SecureShell((*options, *trust, *more_options), port, user)
