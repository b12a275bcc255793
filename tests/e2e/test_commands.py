# -*- test-case-name: tests.e2e.test_commands -*-
"""The commands themselves: exit statuses, messages, twistd, an empty environment."""

# As a module: trial takes a "suppress" of a test module for its own.
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Final
from unittest import mock

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.e2e.services import connected, echo, echo_once, is_closed, serves_echo
from tests.e2e.tunnel import TWISTD, Options, TunnelTestCase, tcp_proxy
from tests.programs import (
    OUR_CLIENT,
    OUR_SERVER,
    PATIENCE,
    TUNNELSVC,
    FrpBinaries,
    Peer,
    ProcessStatus,
    Program,
    ProgramTestCase,
    Sections,
    accepts_connections,
    eventually,
    free_port,
    require_program,
    stay_within_the_day,
)
from tunnelsvc import __version__
from tunnelsvc.units import DAY

EMPTY_ENVIRONMENT: Final[dict[str, str]] = {}


class HelperTests(SynchronousTestCase):
    """`tests.programs` itself."""

    def test_ports_differ(self) -> None:
        ports = [free_port() for _ in range(50)]
        self.assertEqual(len(set(ports)), len(ports))

    def test_eventually_fails(self) -> None:
        error = self.assertRaises(AssertionError, eventually, lambda: False, "a pig flew", 0.0)
        self.assertIn("a pig flew", str(error))

    def test_midnight(self) -> None:
        """It is waited for when it is near."""
        self.addCleanup(time.tzset)
        for left, passed in ((2, True), (100, False)):
            east = timedelta(seconds=-(int(time.time()) + left) % DAY)
            with mock.patch.dict(os.environ, {"TZ": f"TEST-{east}"}):
                time.tzset()
                before = time.localtime().tm_yday
                stay_within_the_day()
                self.assertEqual(time.localtime().tm_yday != before, passed)

    def test_required_program(self) -> None:
        """A missing program skips the test, or fails it where it must be there."""
        self.assertTrue(Path(require_program("env")).is_absolute())
        with mock.patch.dict(os.environ, {"TUNNELSVC_TEST_STRICT": ""}):
            self.assertRaises(SkipTest, require_program, "no-such-program")
        with mock.patch.dict(os.environ, {"TUNNELSVC_TEST_STRICT": "1"}):
            self.assertRaises(AssertionError, require_program, "no-such-program")

    def test_frp_binaries(self) -> None:
        """They are found in any depth and sorted by version, not by name."""
        directory = Path(self.mktemp())
        for number, version in enumerate(("0.9.0", "0.33.0")):
            script = directory / str(number) / "deep" / f"frpc-{version}"
            script.parent.mkdir(parents=True)
            script.write_text(f"#!/bin/sh\necho {version}\n", encoding="ascii")
            script.chmod(0o755)
        (directory / "frpc.ini").write_text("no program", encoding="ascii")
        found = FrpBinaries.find({"FRP_BIN_DIR": str(directory)})
        self.assertEqual([peer.version for peer in found.clients], [(0, 9, 0), (0, 33, 0)])
        self.assertEqual(found.servers, ())
        self.assertEqual(FrpBinaries.find({}), FrpBinaries())


class ConfigErrorTests(ProgramTestCase):
    """What is wrong with a file is said in full, and the exit status is 1."""

    def run_with(self, peer: Peer, sections: Sections) -> Program:
        """Run a program that must refuse its file."""
        config = self.write_config("bad.ini", sections)
        program = self.run_program((*peer.command, "-c", str(config)))
        self.assertEqual(program.wait(), 1, program.excerpt())
        return program

    def test_all_problems(self) -> None:
        """Each problem has one line that names file, section, key and value."""
        sections: Sections = {
            "common": {"server_addr": "127.0.0.1", "server_port": 99999},
            "ssh": {"type": "tcp", "local_port": "ssh", "remote_port": 6000},
        }
        client = self.run_with(OUR_CLIENT, sections)
        for words in (("common", "server_port", "99999"), ("ssh", "local_port", "ssh")):
            pattern = ".*".join(("bad.ini", *words))
            lines = [line for line in client.output().splitlines() if re.search(pattern, line)]
            self.assertEqual(len(lines), 1, client.output())

    def test_no_common(self) -> None:
        self.assertIn("common", self.run_with(OUR_SERVER, {"web": {"type": "http"}}).output())

    def test_missing_file(self) -> None:
        for peer in (OUR_SERVER, OUR_CLIENT):
            program = self.run_program((*peer.command, "-c", "nowhere.ini"))
            self.assertEqual(program.wait(), 1, program.excerpt())
            self.assertEqual(len(program.lines("nowhere.ini")), 1, program.output())

    def test_verify(self) -> None:
        """The files can be looked at without running anything."""
        good = self.write_config("frps.ini", {"common": {"bind_port": 7000, "token": "x"}})
        bad = self.write_config("bad.ini", {"common": {"bind_port": "many"}})
        for config, status, word in ((good, 0, "syntax is ok"), (bad, 1, "bind_port")):
            program = self.run_program((*TUNNELSVC, "verify", "-c", str(config)))
            self.assertEqual(program.wait(), status, program.excerpt())
            self.assertIn(word, program.output())

    def test_version(self) -> None:
        program = self.run_program((*TUNNELSVC, "--version"))
        self.assertEqual(program.wait(), 0)
        self.assertIn(__version__, program.output())


class LifeTests(TunnelTestCase):
    """Starting, failing to start, and ending."""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        self.service = self.local_service(echo)
        self.proxies = {"echo": tcp_proxy(self.service.port, self.port)}

    def run_failing_client(self, options: Options) -> Program:
        """Run a client that can't log in."""
        sections = self.client_sections(self.proxies, options)
        config = self.write_config("frpc.ini", sections)
        return self.run_program((*OUR_CLIENT.command, "-c", str(config)), name="client")

    def test_refused(self) -> None:
        """A wrong token ends the client, with the server's own words."""
        self.start_server({"token": "right"})
        client = self.run_failing_client({"token": "wrong"})
        self.assertEqual(client.wait(), 1, client.excerpt())
        self.assertIn("token in login doesn't match token from configuration", client.output())

    def test_no_server(self) -> None:
        """So does a server that isn't there, and the message says which."""
        client = self.run_failing_client({})
        self.assertEqual(client.wait(), 1, client.excerpt())
        self.assertIn(str(self.bind_port), client.output())

    def test_login_fail_exit_off(self) -> None:
        """With ``login_fail_exit = false`` the client waits for its server."""
        client = self.run_failing_client({"login_fail_exit": False})
        client.wait_for("trying again in")
        self.start_server()
        client.wait_for("[echo] start proxy success")
        self.assertTrue(serves_echo(self.port))

    def test_port_taken(self) -> None:
        """A server that can't listen says on which port, and ends."""
        self.start_server()
        config = self.write_config("second.ini", self.server_sections())
        second = self.run_program((*OUR_SERVER.command, "-c", str(config)), name="second")
        self.assertEqual(second.wait(), 1, second.excerpt())
        self.assertIn(str(self.bind_port), second.output())

    def test_remote_port_taken(self) -> None:
        """A proxy whose port is taken says so, and the others work."""
        self.start_server()
        taken = {"type": "tcp", "local_port": self.service.port, "remote_port": self.bind_port}
        sections = self.client_sections({**self.proxies, "taken": taken})
        config = self.write_config("frpc.ini", sections)
        client = self.run_program((*OUR_CLIENT.command, "-c", str(config)), name="client")
        client.wait_for("[taken] start error: port unavailable")
        client.wait_for("[echo] start proxy success")
        self.assertTrue(serves_echo(self.port))

    def test_signals(self) -> None:
        """SIGINT and SIGTERM end both programs at once, with users connected."""
        for number in (signal.SIGINT, signal.SIGTERM):
            server = self.start_server()
            client = self.start_client(self.proxies)
            with connected(self.port) as user:
                for program in (client, server):
                    program.process.send_signal(number)
                    self.assertEqual(program.wait(), 0, program.excerpt())
                self.assertTrue(is_closed(user))

    def test_hangup(self) -> None:
        """SIGHUP has both programs open their log anew; users notice nothing."""
        options = {"log_file": self.directory / "server.log"}
        server = self.start_server(options)
        client = self.start_client(self.proxies)
        log = self.directory / "server.log"
        with connected(self.port) as user:
            moved = log.rename(self.directory / "server.log.1")
            for program in (server, client):
                program.process.send_signal(signal.SIGHUP)
            eventually(log.exists, "a new log file")
            client.wait_for("log files were opened anew")
            self.assertTrue(echo_once(user))
        self.assertIn("tunnel server started successfully", moved.read_text(encoding="utf-8"))
        eventually(lambda: "log files were opened anew" in log.read_text(encoding="utf-8"), "line")
        for program in (client, server):
            self.assertEqual(program.stop(), 0, program.excerpt())

    def test_dead_service(self) -> None:
        """If the local service is gone, its user learns at once, and the log has one line."""
        self.start_server()
        client = self.start_client(self.proxies)
        self.service.close()
        before = len(client.output().splitlines())
        # The reset may be there before the connection is used.
        with contextlib.suppress(ConnectionError), connected(self.port) as user:
            self.assertTrue(is_closed(user))
        client.wait_for(str(self.service.port))
        said = client.output().splitlines()[before:]
        about = [line for line in said if str(self.service.port) in line]
        self.assertEqual(len(about), 1, client.output())
        self.assertIn("[echo]", about[0])

    def test_empty_environment(self) -> None:
        """Neither program needs PATH, HOME or anything else."""
        self.run_server(self.server_sections(), environ=EMPTY_ENVIRONMENT)
        self.run_client(self.client_sections(self.proxies), environ=EMPTY_ENVIRONMENT)
        self.assertTrue(serves_echo(self.port))


class TwistdTests(TunnelTestCase):
    """The same under twistd, in the foreground and as daemons."""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        proxies = {"echo": tcp_proxy(self.local_service(echo).port, self.port)}
        self.configs = {
            "tunnel-server": self.write_config("frps.ini", self.server_sections()),
            "tunnel-client": self.write_config("frpc.ini", self.client_sections(proxies)),
        }

    def arguments(self, name: str) -> tuple[str, ...]:
        """The command with a configuration."""
        return (name, "--config", str(self.configs[name]))

    def test_foreground(self) -> None:
        """``twistd -n``: the log on standard output, the end by SIGTERM."""
        programs = []
        for name in self.configs:
            flags = ("-n", f"--pidfile={name}.pid")
            programs.append(self.run_program((TWISTD, *flags, *self.arguments(name)), name=name))
            eventually(lambda: accepts_connections(self.bind_port), "the server listening")
        programs[1].wait_for("[echo] start proxy success")
        self.assertTrue(serves_echo(self.port))
        for program in programs:
            # After a clean end twistd dies of the signal it got, for its parent to see.
            self.assertEqual(program.stop(), -signal.SIGTERM, program.excerpt())
            self.assertIn("Server Shut Down", program.output())
        self.assertEqual(list(self.directory.glob("*.pid")), [])

    def test_empty_environment(self) -> None:
        """It needs no environment either."""
        server = self.run_program(
            (sys.executable, TWISTD, "-n", *self.arguments("tunnel-server")),
            environ=EMPTY_ENVIRONMENT,
        )
        server.wait_until(lambda: accepts_connections(self.bind_port), "port listened on")

    def test_daemon(self) -> None:
        """``twistd``: a process of its own, with pid file and log file."""
        for name in self.configs:
            self.start_daemon(name)
            eventually(lambda: accepts_connections(self.bind_port), "the server listening")
        eventually(lambda: "[echo] start proxy success" in self.log_of("tunnel-client"), "login")
        self.assertTrue(serves_echo(self.port))
        for name in self.configs:
            self.hang_up(name)
        self.assertTrue(serves_echo(self.port))
        for name in self.configs:
            self.stop_daemon(name)
            self.assertFalse(self.pid_file(name).exists())
        self.assertNotIn("Traceback", self.log_of("tunnel-client") + self.log_of("tunnel-server"))

    def test_refused(self) -> None:
        """A refused login ends ``twistd -n`` with exit status 1 and without a pid file."""
        self.start_server({"token": "right"})
        command = (TWISTD, "-n", "--pidfile=client.pid", *self.arguments("tunnel-client"))
        client = self.run_program(command, name="client")
        self.assertEqual(client.wait(), 1, client.excerpt())
        self.assertIn("doesn't match", client.output())
        self.assertFalse((self.directory / "client.pid").exists())

    def test_config_error(self) -> None:
        """So does a bad file."""
        self.write_config("frps.ini", {"common": {"bind_port": "many"}})
        server = self.run_program((TWISTD, "-n", *self.arguments("tunnel-server")))
        self.assertEqual(server.wait(), 1, server.excerpt())
        self.assertEqual(len(server.lines("bind_port")), 1, server.output())

    def pid_file(self, name: str) -> Path:
        """Where a daemon's number is written."""
        return self.directory / f"{name}.pid"

    def log_of(self, name: str) -> str:
        """What a daemon logged."""
        path = self.directory / f"{name}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def start_daemon(self, name: str) -> None:
        """Start one that ends with the test."""
        flags = (f"--pidfile={self.pid_file(name)}", f"--logfile={self.directory / name}.log")
        command = (TWISTD, *flags, *self.arguments(name))
        done = subprocess.run(
            command, cwd=self.directory, capture_output=True, timeout=PATIENCE, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        eventually(self.pid_file(name).exists, "a pid file")
        self.addCleanup(self.stop_daemon, name)

    def hang_up(self, name: str) -> None:
        """Rotate the log of one as logrotate does, and wait until it writes the new file."""
        log = self.directory / f"{name}.log"
        log.rename(f"{log}.1")
        os.kill(int(self.pid_file(name).read_text(encoding="ascii")), signal.SIGHUP)
        eventually(lambda: "log files were opened anew" in self.log_of(name), "a new log file")

    def stop_daemon(self, name: str) -> None:
        """End it and wait until it is gone."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = int(self.pid_file(name).read_text(encoding="ascii"))
            os.kill(pid, signal.SIGTERM)
            eventually(lambda: not ProcessStatus(pid).is_running(), f"{name} gone")
