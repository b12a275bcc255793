# -*- test-case-name: tests.test_systemd -*-
"""Tests for the units in conf/systemd, with systemd's own checker."""

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.programs import PATIENCE, require_program
from tunnelsvc.cli import CommandOptions

UNITS = Path(__file__).parents[1] / "conf" / "systemd"

# Where docs/ops.md installs the command.
INSTALLED = "/opt/tunnelsvc/bin/tunnelsvc"


class UnitTests(SynchronousTestCase):
    """Each unit is checked as if it were installed."""

    def verify(self, name: str, installed_as: str) -> None:
        text = (UNITS / name).read_text(encoding="utf-8")
        # The checker wants a program that is there, whatever it is.
        self.assertIn(INSTALLED, text)
        directory = Path(self.mktemp())
        directory.mkdir()
        unit = directory / installed_as
        unit.write_text(text.replace(INSTALLED, sys.executable), encoding="utf-8")
        done = subprocess.run(
            (require_program("systemd-analyze"), "verify", unit.absolute()),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_server(self) -> None:
        self.verify("tunnel-server.service", "tunnel-server.service")

    def test_client(self) -> None:
        self.verify("tunnel-client@.service", "tunnel-client@office.service")

    def test_reload(self) -> None:
        """``systemctl reload`` opens the log files anew."""
        for unit in sorted(UNITS.iterdir()):
            lines = unit.read_text(encoding="utf-8").splitlines()
            self.assertIn("ExecReload=/bin/kill -HUP $MAINPID", lines)

    def test_state(self) -> None:
        """Systemd gives the server a directory for its history; the client keeps nothing."""
        line = "StateDirectory=tunnelsvc\n"
        server, client = ("tunnel-server.service", "tunnel-client@.service")
        self.assertIn(line, (UNITS / server).read_text(encoding="utf-8"))
        self.assertNotIn(line, (UNITS / client).read_text(encoding="utf-8"))

    def test_commands(self) -> None:
        """What the units start is what our command line knows."""
        known = [row[0] for row in CommandOptions.subCommands]
        for unit in sorted(UNITS.iterdir()):
            lines = unit.read_text(encoding="utf-8").splitlines()
            (start,) = [line for line in lines if line.startswith("ExecStart=")]
            program, command, option, path = start.removeprefix("ExecStart=").split()
            self.assertEqual((program, option), (INSTALLED, "-c"))
            self.assertIn(command, known)
            self.assertTrue(path.startswith("/etc/tunnelsvc/"))
