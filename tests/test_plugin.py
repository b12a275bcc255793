# -*- test-case-name: tests.test_plugin -*-
"""Tests for the dropin, and for the package as it is installed."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).parents[1]

# Seconds a new interpreter may take.
PATIENCE = 60

# What the script that pip makes of Twisted's entry point runs.
TWISTD = ("-c", "from twisted.scripts.twistd import run; run()")

COMMANDS = {
    "tunnel-server": "The public side of a reverse tunnel (frps.ini).",
    "tunnel-client": "The hidden side of a reverse tunnel (frpc.ini).",
}


class ElsewhereCase(SynchronousTestCase):
    """Runs Python in an empty directory, without the checkout."""

    def python(self, *arguments: str, **environ: str) -> str:
        """Return what the interpreter printed; it must succeed."""
        directory = self.mktemp()
        Path(directory).mkdir()
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            (sys.executable, "-P", *arguments),
            cwd=directory,
            env={**inherited, **environ},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class DropinTests(ElsewhereCase):
    """The dropin in the checkout."""

    def test_imports_nothing_of_the_package(self) -> None:
        """``twistd --help`` of other people's programs doesn't become slower by us."""
        loaded = self.python(
            "-c",
            "import sys; import twisted.plugins.tunnelsvc_plugin;"
            "print(*(name for name in sys.modules if 'tunnelsvc' in name))",
            PYTHONPATH=str(ROOT),
        )
        self.assertEqual(loaded.split(), ["twisted.plugins.tunnelsvc_plugin"])

    def test_taps(self) -> None:
        """What the dropin names by strings is there."""
        shown = self.python(
            "-c",
            "import twisted.plugins.tunnelsvc_plugin as dropin;"
            "print(*(s.options.__module__ + ' ' + s.makeService.__module__"
            " for s in (dropin.tunnel_server, dropin.tunnel_client)))",
            PYTHONPATH=str(ROOT),
        )
        server, client = ["tunnelsvc.server_tap"] * 2, ["tunnelsvc.client_tap"] * 2
        self.assertEqual(shown.split(), server + client)

    def test_no_package_hides_twisted(self) -> None:
        """With an ``__init__.py`` there Twisted would not look, or not be found."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])


class InstalledTests(ElsewhereCase):
    """The wheel, as a user has it."""

    def setUp(self) -> None:
        find = "import importlib.util as u; print(u.find_spec('tunnelsvc') is not None)"
        if self.python("-c", find).strip() == "True":
            return
        if os.environ.get("TUNNELSVC_TEST_STRICT") == "1":
            self.fail("tunnelsvc is not installed, and TUNNELSVC_TEST_STRICT=1 wants it")
        raise SkipTest("tunnelsvc is not installed")

    def test_place(self) -> None:
        """Programs that tests start are those of the wheel, not of the checkout."""
        place = Path(self.python("-c", "import tunnelsvc; print(tunnelsvc.__file__)").strip())
        self.assertEqual(place.parents[1].name, "site-packages")

    def test_commands_of_twistd(self) -> None:
        text = " ".join(self.python(*TWISTD, "--help").split())
        for command, description in COMMANDS.items():
            self.assertIn(f"{command} {description}", text)
            self.assertIn("--config=", self.python(*TWISTD, command, "--help"))

    def test_files(self) -> None:
        """All that is in the checkout is in the wheel, and nothing that was there once."""
        listed = self.python(
            "-c",
            "import pathlib, tunnelsvc; root = pathlib.Path(tunnelsvc.__file__).parent;"
            "print(*(p.relative_to(root).as_posix() for p in root.rglob('*.*')"
            " if p.suffix != '.pyc'))",
        )
        package = ROOT / "tunnelsvc"
        expected = {
            path.relative_to(package).as_posix()
            for path in package.rglob("*.*")
            if path.suffix != ".pyc"
        }
        self.assertIn("admin/static/server/index.html", expected)
        self.assertEqual(
            set(listed.split()), expected, "more in the wheel: remove build/, setuptools keeps it"
        )

    def test_nothing_else(self) -> None:
        """Tests and examples stay at home."""
        listed = self.python(
            "-c",
            "import importlib.metadata as m;"
            "print(*{f.parts[0] for f in m.files('tunnelsvc') if f.suffix == '.py'})",
        )
        self.assertEqual(set(listed.split()), {"tunnelsvc", "twisted"})

    def test_console_script(self) -> None:
        script = Path(sys.executable).with_name("tunnelsvc")
        done = subprocess.run(
            (script, "--version"), env={}, capture_output=True, timeout=PATIENCE, check=True
        )
        self.assertRegex(done.stdout, rb"\Atunnelsvc \d+\.\d+\.\d+\n\Z")
