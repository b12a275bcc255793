# -*- test-case-name: tests.test_server_tap -*-
"""Tests of `tunnelsvc.server_tap`."""

import io
import os
import socket
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.python.usage import Options as TwistdOptions
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.loglines import LogLines
from tests.programs import free_port
from tunnelsvc.admin.history.service import History
from tunnelsvc.admin.site import DashboardService
from tunnelsvc.config import Loaded
from tunnelsvc.config.schema import DashboardConfig, ServerConfig
from tunnelsvc.runner import Program
from tunnelsvc.server.service import TunnelServer
from tunnelsvc.server_tap import Options, makeService

NO_DASHBOARD = DashboardConfig(addr="127.0.0.1")


def write(path: str, **values: object) -> str:
    """Write a server's file."""
    lines = [f"{key} = {value}\n" for key, value in values.items()]
    Path(path).write_text(f"[common]\n{''.join(lines)}", encoding="utf-8")
    return path


def parsed(path: str) -> Options:
    options = Options()
    options.parseOptions(["--config", path])
    return options


class OptionsTests(SynchronousTestCase):
    """The command line."""

    def setUp(self) -> None:
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)

    def exit_status(self, path: str) -> object:
        end = self.assertRaises(SystemExit, Options().parseOptions, ["-c", path])
        return end.code

    def test_configuration(self) -> None:
        options = parsed(write(self.mktemp(), bind_port=7001, token="secret"))
        self.assertEqual(options.loaded.config.bind_port, 7001)

    def test_environment(self) -> None:
        self.patch(os, "environ", {"TUNNEL_PORT": "7002"})
        options = parsed(write(self.mktemp(), bind_port="{{ .Envs.TUNNEL_PORT }}"))
        self.assertEqual(options.loaded.config.bind_port, 7002)

    def test_problems(self) -> None:
        """Each is a line of its own, and the status is that of a failure."""
        path = write(self.mktemp(), bind_port=99999, log_level="loud")
        self.assertEqual(self.exit_status(path), 1)
        port, level = self.stderr.getvalue().splitlines()
        self.assertIn("[common] bind_port = 99999", port)
        self.assertIn("[common] log_level = loud", level)

    def test_no_file(self) -> None:
        self.assertEqual(self.exit_status(self.mktemp()), 1)
        self.assertIn("No such file", self.stderr.getvalue())


class FlagsTests(SynchronousTestCase):
    """frp's flags, with and without a file."""

    def setUp(self) -> None:
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)

    def config(self, *args: str) -> ServerConfig:
        options = Options()
        options.parseOptions(args)
        return options.loaded.config

    def test_no_file(self) -> None:
        config = self.config("-p", "7001", "-t", "s", "--vhost_http_port=80", "--tls_only")
        self.assertEqual((config.path, config.bind_port, config.token), ("", 7001, "s"))
        self.assertEqual((config.vhost_http_port, config.tls.only), (80, True))

    def test_over_a_file(self) -> None:
        """What is said on the command line holds."""
        path = write(self.mktemp(), bind_port=7001, token="secret")
        config = self.config("-c", path, "--bind-port", "7002")
        self.assertEqual((config.bind_port, config.token), (7002, "secret"))

    def test_default_file(self) -> None:
        write("frps.ini", bind_port=7003, token="secret")
        self.addCleanup(Path("frps.ini").unlink)
        self.assertEqual(self.config().bind_port, 7003)
        self.assertEqual(self.config("-p", "1").token, "")

    def test_problems(self) -> None:
        end = self.assertRaises(SystemExit, self.config, "-p", "x", "--kcp_bind_port=7000")
        self.assertEqual(end.code, 1)
        self.assertEqual(
            self.stderr.getvalue().splitlines(),
            [
                "command line: --bind_port = x: not a port number (1 to 65535)",
                "command line: --kcp_bind_port = 7000: is not supported yet; leave the line out",
            ],
        )

    def test_unsafe(self) -> None:
        why = self.assertRaises(UsageError, self.config, "--allow-unsafe", "TokenSourceExec")
        self.assertIn("--allow-unsafe", str(why))

    def test_strict(self) -> None:
        """Files can be read more kindly than they are by default."""
        path = self.mktemp()
        Path(path).write_text('bindPort = 7001\nbindPrt = 1\nauth.token = "x"\n', encoding="utf-8")
        self.assertEqual(self.assertRaises(SystemExit, self.config, "-c", path).code, 1)
        self.assertEqual(self.config("-c", path, "--strict_config=false").bind_port, 7001)


class CompositionTests(SynchronousTestCase):
    """What the server is made of."""

    def make(self, **values: object) -> Program:
        return makeService(parsed(write(self.mktemp(), token="secret", **values)))

    def test_without_dashboard(self) -> None:
        (server,) = self.make(bind_port=7001)
        assert isinstance(server, TunnelServer)
        self.assertEqual(server.config.bind_port, 7001)

    def test_with_dashboard(self) -> None:
        (history,) = self.make(dashboard_port=7500)
        assert isinstance(history, History)
        server, dashboard = history
        self.assertIsInstance(server, TunnelServer)
        self.assertIsInstance(dashboard, DashboardService)

    def test_log(self) -> None:
        program = self.make(log_file="frps.log", log_level="debug", log_max_days=9)
        self.assertEqual(
            (program.log_config.file, program.log_config.level, program.log_config.max_days),
            ("frps.log", "debug", 9),
        )

    def test_access_log(self) -> None:
        """It is opened before anybody's rights are given up, and anew on SIGHUP."""
        path = Path(self.mktemp())
        program = self.make(vhost_http_port=8080, access_log=path, access_log_format="json")
        path.unlink()
        for hook in program.on_hangup:
            hook()
        self.assertTrue(path.exists())
        next(iter(program))._access_file.close()

    def test_options_of_twistd(self) -> None:
        options = parsed(write(self.mktemp(), token="secret"))
        options.parent = TwistdOptions()
        options.parent.update(nodaemon=1, logfile="x.log")
        self.assertIs(makeService(options)._launcher, options.parent)

    def test_broken_certificate(self) -> None:
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        path = self.mktemp()
        end = self.assertRaises(SystemExit, self.make, tls_cert_file=path, tls_key_file=path)
        self.assertEqual(end.code, 1)
        self.assertIn("tls_cert_file", stderr.getvalue())


class ServiceTests(TestCase):
    """A server with real ports."""

    def setUp(self) -> None:
        self.lines = LogLines(self)
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.setblocking(False)
        manager.bind(path := self.mktemp())
        self.manager = manager
        os.environ["NOTIFY_SOCKET"] = path
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")

    def make(
        self,
        *warnings: str,
        bind_port: int = 0,
        dashboard: DashboardConfig = NO_DASHBOARD,
        data_dir: str = "",
    ) -> Program:
        """Compose a server whose port the system chooses, which no file can ask for."""
        config = ServerConfig(
            bind_addr="127.0.0.1", bind_port=bind_port, dashboard=dashboard, data_dir=data_dir
        )
        options = Options()
        options.loaded = Loaded(config, warnings)
        return makeService(options, reactor)

    def listen(self) -> int:
        """Take a port; return its number."""
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        port: int = taken.getsockname()[1]
        return port

    async def run_a_while(self, program: Program) -> str:
        """Start and stop; return what the service manager heard of the start."""
        program.privilegedStartService()
        program.startService()
        said = self.manager.recv(1000).decode()
        await program.stopService()
        return said

    def test_readiness(self) -> Any:
        """The service manager hears of us when the ports are open."""

        async def check() -> None:
            program = self.make()
            said = await self.run_a_while(program)
            server = next(iter(program))
            assert isinstance(server, TunnelServer)
            self.assertEqual(said, f"READY=1\nSTATUS=listening on port {server.ports['bind']}")

        return ensureDeferred(check())

    def test_warnings(self) -> Any:
        async def check() -> None:
            await self.run_a_while(self.make("the token is missing"))
            self.assertIn("the token is missing", self.lines)

        return ensureDeferred(check())

    def test_history(self) -> Any:
        """Whom the administrator has blocked stays so over a restart, by a real thread and disk."""
        directory = str(Path(self.mktemp()).absolute())

        def start() -> tuple[Program, History, TunnelServer]:
            dashboard = DashboardConfig(
                addr="127.0.0.1", port=free_port(), password="x", credentials_configured=True
            )
            program = self.make(dashboard=dashboard, data_dir=directory)
            program.privilegedStartService()
            program.startService()
            (history,) = program
            assert isinstance(history, History)
            server = next(iter(history))
            assert isinstance(server, TunnelServer)
            return program, history, server

        async def check() -> None:
            program, history, server = start()
            facts = dict.fromkeys(("version", "address", "os", "arch", "hostname"), "x")
            server.stats.client_online("r1", user="alice", client_id="laptop", **facts)
            server.moderation.block("alice.laptop")
            await program.stopService()
            program, history, server = start()
            (block,) = server.moderation.blocks
            self.assertEqual((block.user, block.client_id), ("alice", "laptop"))
            (event,) = await history.events(text="LAPTOP")
            self.assertEqual(event.kind, "blocked")
            await program.stopService()

        return ensureDeferred(check())

    def test_busy_port(self) -> None:
        program = self.make(bind_port=self.listen())
        self.assertRaises(CannotListenError, program.privilegedStartService)

    def test_busy_dashboard_port(self) -> Any:
        async def check() -> None:
            config = DashboardConfig(
                addr="127.0.0.1", port=self.listen(), credentials_configured=True
            )
            program = self.make(dashboard=config)
            self.assertRaises(CannotListenError, program.privilegedStartService)
            await program.stopService()

        return ensureDeferred(check())
