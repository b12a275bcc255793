# -*- test-case-name: tests.test_cli -*-
"""Tests of `tunnelsvc.cli`."""

import io
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tunnelsvc
from tunnelsvc import cli, demo, server_tap
from tunnelsvc.cli import USAGE_STATUS, main, role_of
from tunnelsvc.runner import Program

ROOT = Path(tunnelsvc.__file__).parents[1]

SERVER_FILE = "[common]\nbind_port = 7000\ntoken = secret\n"
CLIENT_FILE = "[common]\nserver_addr = 127.0.0.1\n\n[ssh]\ntype = tcp\nlocal_port = 22\n"
WRONG_FILE = "[common]\nbind_port = 99999\ndashboard_port = x\n"

# Seconds a new interpreter may take.
PATIENCE = 60


class Output(io.StringIO):
    """A standard stream."""

    def reconfigure(self, *, errors: str) -> None:
        assert errors == "backslashreplace"


class CommandCase(SynchronousTestCase):
    """Commands in this process."""

    def setUp(self) -> None:
        self.stdout, self.stderr = Output(), Output()
        self.patch(sys, "stdout", self.stdout)
        self.patch(sys, "stderr", self.stderr)

    def file(self, content: str, name: str = "x.ini") -> str:
        directory = Path(self.mktemp())
        directory.mkdir()
        path = directory / name
        path.write_text(content, encoding="utf-8")
        return str(path)

    def status(self, *argv: str) -> object:
        """Run a command; return its exit status, whichever way it ended."""
        try:
            return main(argv)
        except SystemExit as end:
            return end.code


class CommandTests(CommandCase):
    """What isn't about one command."""

    def test_version(self) -> None:
        for argv in (["--version"], ["-v"], ["verify", "--version"], ["server", "--version"]):
            self.stdout.truncate(0)
            self.stdout.seek(0)
            self.assertFalse(self.status(*argv))
            self.assertEqual(self.stdout.getvalue(), f"tunnelsvc {tunnelsvc.__version__}\n")

    def test_help(self) -> None:
        for argv, usage in {
            ("--help",): "Usage: tunnelsvc COMMAND [options]",
            ("-h",): "Usage: tunnelsvc COMMAND [options]",
            ("server", "--help"): "Usage: tunnelsvc server [options]",
            ("client", "--help"): "Usage: tunnelsvc client [options]",
            ("client", "tcp", "-h"): "Usage: tunnelsvc client [options] tcp [options]",
            ("verify", "--help"): "Usage: tunnelsvc verify [server|client] -c FILE",
            ("demo", "--help"): "Usage: tunnelsvc demo [options]",
        }.items():
            self.stdout.truncate(0)
            self.stdout.seek(0)
            self.assertFalse(self.status(*argv))
            self.assertEqual(self.stdout.getvalue().splitlines()[0].rstrip(), usage)

    def test_nonsense(self) -> None:
        for argv, message in {
            (): "a command is missing",
            ("tunnel",): "Unknown command: tunnel",
            ("server", "--port", "1"): "option --port not recognized",
            ("verify",): "which file? Say -c FILE",
            ("verify", "server"): "which file? Say -c FILE",
        }.items():
            self.stderr.truncate(0)
            self.stderr.seek(0)
            self.assertEqual(self.status(*argv), 2)
            command = f"{argv[0]} " if argv and argv[0] != "tunnel" else ""
            self.assertEqual(
                self.stderr.getvalue(), f"tunnelsvc: {message}\nTry: tunnelsvc {command}--help\n"
            )

    def test_arguments_of_the_process(self) -> None:
        self.patch(sys, "argv", ["tunnelsvc", "verify", "-c", self.file(SERVER_FILE)])
        self.assertEqual(main(), 0)

    def test_as_a_module(self) -> None:
        self.patch(sys, "argv", ["tunnelsvc", "verify", "-c", self.file(SERVER_FILE)])
        with self.assertRaises(SystemExit) as caught:
            runpy.run_module("tunnelsvc", run_name="__main__")
        self.assertEqual(caught.exception.code, 0)
        self.assertIn("syntax is ok", self.stdout.getvalue())


class RoleTests(SynchronousTestCase):
    """Whose file is it?"""

    def test_roles(self) -> None:
        for content, role in {
            SERVER_FILE: "server",
            CLIENT_FILE: "client",
            "[common]\n\tserver_port=7000": "client",
            "\t[common]\n\t[web]\n": "client",
            "\ufeff[common]\n; [web]\n# server_addr = x\n": "server",
            "[common]\r\n[plugin.manager]\r\naddr = 127.0.0.1:9000": "server",
            "[ common ]\n[ certificate.a ]\ncert_file = a.pem\n": "server",
            "": "server",
            "bindPort = 7000\n[[httpPlugins]]\n[webServer]\n": "server",
            "[[certificates]]\n[log]\n": "server",
            "# serverAddr = 1\nbindPort: 1\n": "server",
            '{"bindPort": 1, "log": {"to": "proxies"}}': "server",
            'serverAddr = "x"\n': "client",
            " [[ proxies ]]\n": "client",
            "user: x\nvisitors:\n": "client",
            '{"user":"x","proxies" : []}': "client",
            '{\n\t"serverPort": 1}': "client",
            "[auth]\ntoken = 'x'\n[[allowPorts]]\nsingle = 1\n": "server",
        }.items():
            self.assertEqual(role_of(content.encode()), role, content)

    @given(st.binary())
    def test_any_content(self, content: bytes) -> None:
        self.assertIn(role_of(content), ("client", "server"))


class ConvertTests(CommandCase):
    """``convert``."""

    def test_shown(self) -> None:
        for content, line in ((SERVER_FILE, "bindPort = 7000"), (CLIENT_FILE, "[[proxies]]")):
            self.assertEqual(self.status("convert", self.file(content)), 0)
            self.assertIn(f"{line}\n", self.stdout.getvalue())
        self.assertEqual(self.stderr.getvalue(), "")

    def test_written(self) -> None:
        """Then nothing is shown, and what is there isn't overwritten."""
        source, target = self.file(CLIENT_FILE), self.mktemp()
        self.assertEqual(self.status("convert", "-o", target, source), 0)
        self.assertEqual(self.stdout.getvalue(), "")
        self.assertEqual(self.status("verify", "-c", target), 0)
        self.assertEqual(self.status("convert", "-o", target, source), 1)
        self.assertIn(f"{target}: can't be written: File exists", self.stderr.getvalue())

    def test_options_behind_the_file(self) -> None:
        source, target = self.file(CLIENT_FILE), self.mktemp()
        self.assertEqual(self.status("convert", source, "-o", target, "--role=client"), 0)
        self.assertEqual(self.status("verify", "-c", target), 0)
        self.assertEqual(self.status("convert", source, "-o"), USAGE_STATUS)
        self.assertEqual(self.status("convert", source, "-r", "client", source), USAGE_STATUS)

    def test_role(self) -> None:
        """An included file has no sign of whose it is but its proxies."""
        path = self.file("[ssh]\nlocal_port = 22\n")
        self.assertEqual(self.status("convert", path), 1)
        self.assertEqual(self.status("convert", "--role", "client", path), 0)
        self.assertIn('name = "ssh"', self.stdout.getvalue())
        self.assertEqual(self.status("convert", "-r", "both", path), USAGE_STATUS)

    def test_warnings(self) -> None:
        path = self.file(f"{SERVER_FILE}colour = 1\n")
        self.assertEqual(self.status("convert", path), 0)
        self.assertIn("colour: left out", self.stderr.getvalue())
        self.assertNotIn("colour", self.stdout.getvalue())

    def test_no_file(self) -> None:
        self.assertEqual(self.status("convert"), USAGE_STATUS)
        self.assertEqual(self.status("convert", "a", "b"), USAGE_STATUS)
        self.assertIn("which file? Say convert FILE", self.stderr.getvalue())
        self.assertEqual(self.status("convert", "not/there.ini"), 1)
        self.assertEqual(self.status("convert", "a\0b"), 1)


class VerifyTests(CommandCase):
    """``verify``."""

    def test_good_files(self) -> None:
        for content in (SERVER_FILE, CLIENT_FILE):
            path = self.file(content)
            self.stdout.truncate(0)
            self.stdout.seek(0)
            self.assertEqual(self.status("verify", "-c", path), 0, self.stderr.getvalue())
            self.assertEqual(
                self.stdout.getvalue(), f"tunnelsvc: the configuration file {path} syntax is ok\n"
            )

    def test_files_with_every_key(self) -> None:
        """Whose they are is seen although they have every kind of section."""
        for role in "server", "client":
            for end in "ini", "toml":
                path = Path(__file__).parents[1] / "conf" / f"frp{role[0]}_full.{end}"
                self.assertEqual(role_of(path.read_bytes()), role)

    def test_role_given(self) -> None:
        """What is said counts, whatever the file looks like."""
        path = self.file(CLIENT_FILE.replace("22", "x"))
        for argv in (("client", "-c", path), ("-c", path, "client")):
            self.assertEqual(self.status("verify", *argv), 1)
            self.assertIn("[ssh] local_port = x", self.stderr.getvalue())
        self.assertEqual(self.status("verify", "server", "-c", path), 0)

    def test_all_problems(self) -> None:
        self.assertEqual(self.status("verify", "-c", self.file(WRONG_FILE, "frps.ini")), 1)
        first, second = self.stderr.getvalue().splitlines()
        self.assertIn("bind_port = 99999", first)
        self.assertIn("dashboard_port = x", second)
        self.assertEqual(self.stdout.getvalue(), "")

    def test_warnings(self) -> None:
        self.assertEqual(self.status("verify", "-c", self.file("[common]\nbind_prt = 7000\n")), 0)
        self.assertIn("bind_prt", self.stderr.getvalue())
        self.assertIn("syntax is ok", self.stdout.getvalue())

    def test_strict(self) -> None:
        """Where it may be said."""
        path = self.file('serverAddr = "x"\nserverPrt = 1\n', "frpc.toml")
        for argv in ((), ("client",)):
            self.assertEqual(self.status("verify", *argv, "-c", path), 1)
            for flag in "--strict-config=false", "--strict_config=false":
                self.assertEqual(self.status("verify", *argv, flag, "-c", path), 0)
        self.assertEqual(self.status("verify", "--strict-config=0", "client", "-c", path), 0)
        self.assertEqual(self.status("verify", "--strict-config=x", "-c", path), USAGE_STATUS)

    def test_unsafe(self) -> None:
        argv = ("verify", "-c", self.file(SERVER_FILE), "--allow-unsafe=TokenSourceExec")
        self.assertEqual(self.status(*argv), USAGE_STATUS)

    def test_unreadable(self) -> None:
        path = self.mktemp()
        self.assertEqual(self.status("verify", "-c", path), 1)
        self.assertIn("No such file", self.stderr.getvalue())


class RunTests(CommandCase):
    """The commands that run something; what they run has its own tests."""

    def setUp(self) -> None:
        super().setUp()
        self.programs: list[Program] = []
        self.patch(cli, "run", self.run_program)

    def run_program(self, program: Program) -> int:
        self.programs.append(program)
        return 7

    def test_server(self) -> None:
        self.assertEqual(self.status("server", "-c", self.file(SERVER_FILE)), 7)
        (service,) = self.programs[0]
        self.assertEqual(type(service).__name__, "TunnelServer")

    def test_client(self) -> None:
        self.assertEqual(self.status("client", "--config", self.file(CLIENT_FILE)), 7)
        service, reloader = self.programs[0]
        self.assertEqual(type(service).__name__, "TunnelClient")
        self.assertEqual(type(reloader).__name__, "Reloader")

    def test_wrong_configuration(self) -> None:
        for command, content in (("server", WRONG_FILE), ("client", "[ssh]\ntype = tcp\n")):
            self.assertEqual(self.status(command, "-c", self.file(content)), 1)
        self.assertEqual(self.programs, [])

    def test_demo(self) -> None:
        asked: list[Any] = []

        def make_demo(reactor: Any, show: Any, *, verbose: bool) -> str:
            asked.append(verbose)
            show("text")
            return "a program"

        self.patch(demo, "make_demo", make_demo)
        self.assertEqual([self.status("demo"), self.status("demo", "--verbose")], [7, 7])
        self.assertEqual(asked, [False, True])
        self.assertEqual(self.programs, ["a program", "a program"])
        self.assertEqual(self.stdout.getvalue(), "text\ntext\n")


class ProcessTests(SynchronousTestCase):
    """What only another process can tell."""

    def python(self, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            (sys.executable, *arguments),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **options,
        )

    def modules_after(self, statement: str) -> set[str]:
        """Return the modules that a fresh interpreter has after a statement."""
        program = f"import sys; {statement}; print(*sys.modules)"
        done = self.python("-c", program, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)
        return set(done.stdout.split())

    def test_module(self) -> None:
        done = self.python("-m", "tunnelsvc", "--version", cwd=ROOT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"tunnelsvc {tunnelsvc.__version__}\n")

    def test_module_only_runs_as_main(self) -> None:
        self.assertNotIn("tunnelsvc.cli", self.modules_after("import tunnelsvc.__main__"))

    def test_interrupted_early(self) -> None:
        """Ctrl-C while it imports or reads: ends by the signal, and says nothing."""
        code = (
            "import os, signal, sys; from tunnelsvc import __main__ as program; "
            "sys.modules['tunnelsvc.cli'] = sys; "
            "sys.main = lambda: os.kill(os.getpid(), signal.SIGINT); program.main()"
        )
        heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        done = self.python("-c", heeding + code, cwd=ROOT)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (-signal.SIGINT, "", ""))

    def test_empty_environment(self) -> None:
        """Without PATH, HOME and locale; and what the console can't show is still shown."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "früh.ini").write_text("[common]\nbind_port = größer\n", encoding="utf-8")
        for environ in ({}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}):
            code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tunnelsvc.cli import main"
            call = "sys.exit(main(['verify', '-c', 'früh.ini']))"
            done = self.python("-c", f"{code}; {call}", cwd=directory, env=environ)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("bind_port = gr", done.stderr)
            self.assertNotIn("Traceback", done.stderr)

    def test_verify_imports_no_reactor(self) -> None:
        modules = self.modules_after("import tunnelsvc.cli")
        self.assertNotIn("twisted.internet.reactor", modules)
        self.assertNotIn("tunnelsvc.server", modules)
        self.assertNotIn("tunnelsvc.client", modules)

    def test_roles_import_only_their_own(self) -> None:
        server = self.modules_after("import tunnelsvc.server_tap")
        client = self.modules_after("import tunnelsvc.client_tap")
        self.assertIn(server_tap.__name__, server)
        for name in ("tunnelsvc.client", "tunnelsvc.client_tap", "tunnelsvc.demo"):
            self.assertNotIn(name, server)
        for name in ("tunnelsvc.server", "tunnelsvc.admin", "tunnelsvc.demo", "twisted.web.server"):
            self.assertNotIn(name, client)
