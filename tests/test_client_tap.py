# -*- test-case-name: tests.test_client_tap -*-
"""Tests of `tunnelsvc.client_tap`, and for how twistd ends with it."""

import io
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

import tunnelsvc
from tests.loglines import LogLines
from tunnelsvc.client.reloading import Reloader
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.client_tap import Options, Remaining, makeService
from tunnelsvc.config import Loaded
from tunnelsvc.config.proxies import HTTPProxyConfig, TCPProxyConfig, UDPProxyConfig, VisitorConfig
from tunnelsvc.config.schema import ClientConfig, ServerConfig, TLSConfig
from tunnelsvc.server.service import TunnelServer

ROOT = Path(tunnelsvc.__file__).parents[1]

# Seconds a program that ends by itself may take.
PATIENCE = 60

CLIENT_FILE = """\
[common]
server_addr = 127.0.0.1
server_port = {port}
user = {{{{ .Envs.TUNNEL_USER }}}}
{more}

[ssh]
type = tcp
local_port = 22
"""

# What the script that pip makes of Twisted's entry point runs.
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")


def write(path: str, port: int = 7000, more: str = "") -> str:
    Path(path).write_text(CLIENT_FILE.format(port=port, more=more), encoding="utf-8")
    return path


class OptionsTests(SynchronousTestCase):
    """The command line."""

    def setUp(self) -> None:
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)
        self.patch(os, "environ", {"TUNNEL_USER": "alice"})

    def parsed(self, path: str) -> Options:
        options = Options()
        options.parseOptions(["-c", path])
        return options

    def test_configuration(self) -> None:
        config = self.parsed(write(self.mktemp(), 7001)).loaded.config
        self.assertEqual((config.server_port, config.user), (7001, "alice"))
        self.assertEqual([proxy.name for proxy in config.proxies], ["ssh"])

    def test_problems(self) -> None:
        path = write(self.mktemp(), 99999, "pool_count = many")
        self.assertEqual(self.assertRaises(SystemExit, self.parsed, path).code, 1)
        port, pool = self.stderr.getvalue().splitlines()
        self.assertIn("[common] server_port = 99999", port)
        self.assertIn("[common] pool_count = many", pool)

    def test_composition(self) -> None:
        program = makeService(self.parsed(write(self.mktemp(), more="log_level = error")))
        client, reloader = program
        assert isinstance(client, TunnelClient)
        assert isinstance(reloader, Reloader)
        self.assertEqual(program.log_config.level, "error")
        self.assertTrue(Path(reloader.path).is_absolute())

    def test_admin_api(self) -> None:
        """It comes first: it answers before the first login, and a port that is taken is an end."""
        program = makeService(self.parsed(write(self.mktemp(), more="admin_port = 7400")))
        self.assertEqual(
            [type(each).__name__ for each in program], ["AdminService", "TunnelClient", "Reloader"]
        )

    def test_hangup_reads_the_file_again(self) -> None:
        lines = LogLines(self)
        path = write(self.mktemp())
        program = makeService(self.parsed(path))
        write(path, more="log_level = warn\npool_count = 2")
        (hook,) = program.on_hangup
        hook()
        self.assertIn("pool_count changed: holds from the next login on", lines)

    def test_missing_certificate(self) -> None:
        options = self.parsed(write(self.mktemp()))
        tls = TLSConfig(trusted_ca_file=self.mktemp())
        options.loaded = Loaded(evolve(options.loaded.config, tls=tls), ())
        self.assertEqual(self.assertRaises(SystemExit, makeService, options).code, 1)
        self.assertIn("tls_trusted_ca_file", self.stderr.getvalue())


class FlagsTests(SynchronousTestCase):
    """Clients without a file, and with many."""

    def setUp(self) -> None:
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)
        self.patch(os, "environ", {"TUNNEL_USER": "alice"})

    def parsed(self, *args: str) -> Options:
        options = Options()
        options.parseOptions(args)
        return options

    def config(self, *args: str) -> ClientConfig:
        return self.parsed(*args).loaded.config

    def test_tcp(self) -> None:
        config = self.config(
            *("tcp", "-s", "a.example.com:7001", "-t", "s", "-u", "bob", "-n", "ssh"),
            *("-l", "22", "-r", "6000", "--ue", "--metadatas", "a=b"),
        )
        self.assertEqual((config.server_addr, config.server_port), ("a.example.com", 7001))
        self.assertEqual((config.token, config.user, config.path), ("s", "bob", ""))
        self.assertEqual(
            config.proxies,
            (
                TCPProxyConfig(
                    name="ssh",
                    local_port=22,
                    remote_port=6000,
                    use_encryption=True,
                    metas={"a": "b"},
                ),
            ),
        )

    def test_server_port(self) -> None:
        """As frpc has it since 0.52."""
        config = self.config("tcp", "-s", "a.example.com", "-P", "7001", "-l", "22")
        self.assertEqual((config.server_addr, config.server_port), ("a.example.com", 7001))

    def test_defaults(self) -> None:
        config = self.config("udp", "-l", "53")
        self.assertEqual((config.server_addr, config.server_port), ("127.0.0.1", 7000))
        self.assertEqual(config.proxies, (UDPProxyConfig(name="udp-53", local_port=53),))

    def test_http(self) -> None:
        config = self.config("http", "-l", "80", "-d", "a.com", "-d", "b.com,c.com", "--sd", "x")
        (proxy,) = config.proxies
        assert isinstance(proxy, HTTPProxyConfig)
        self.assertEqual(proxy.custom_domains, ("a.com", "b.com", "c.com"))
        self.assertEqual(proxy.subdomain, "x")

    def test_visitors(self) -> None:
        """As frpc has had it, and has it since 0.52."""
        own = ("-n", "v", "--sk=x", "--server_name=y", "--bind_port=-1")
        for args in (("stcp", "visitor", *own), ("stcp", "--role", "visitor", *own)):
            config = self.config(*args)
            visitor = VisitorConfig(
                name="v", type="stcp", server_name="y", secret_key="x", bind_port=-1
            )
            self.assertEqual((config.visitors, config.proxies), ((visitor,), ()), args)

    def test_problems(self) -> None:
        end = self.assertRaises(SystemExit, self.parsed, "http", "-l", "0", "-p", "kcp")
        self.assertEqual(end.code, 1)
        told = self.stderr.getvalue()
        self.assertIn("command line: --protocol = kcp: is not supported yet", told)
        self.assertIn("command line: --local_port = 0: not a port number", told)

    def test_directory(self) -> None:
        """A client for each file of a directory."""
        directory = Path(self.mktemp())
        directory.mkdir()
        for port in (7001, 7002):
            write(str(directory / f"{port}.ini"), port)
        program = makeService(self.parsed("--config_dir", str(directory)))
        ports = [each.config.server_port for each in program if isinstance(each, TunnelClient)]
        self.assertEqual(ports, [7001, 7002])

    def test_no_directory(self) -> None:
        empty = Path(self.mktemp())
        empty.mkdir()
        for path, why in ((self.mktemp(), "No such file"), (str(empty), "there is no file in it")):
            end = self.assertRaises(SystemExit, self.parsed, "--config_dir", path)
            self.assertEqual(end.code, 1)
            self.assertIn(f"{path}: ", self.stderr.getvalue())
            self.assertIn(why, self.stderr.getvalue())

    def test_all_must_fail(self) -> None:
        """One client of many that gives up doesn't end the others."""
        program = makeService(self.parsed("tcp", "-l", "22"))
        failures: list[str] = []
        self.patch(program, "fail", failures.append)
        clients = Remaining(program, 2)
        clients.gave_up("one")
        self.assertEqual(failures, [])
        clients.gave_up("two")
        self.assertEqual(failures, ["two"])


class ServiceTests(TestCase):
    """A client and a real server."""

    def setUp(self) -> Any:
        self.lines = LogLines(self)
        server = TunnelServer(
            ServerConfig(bind_addr="127.0.0.1", bind_port=0, token="right"), reactor
        )
        server.privilegedStartService()
        server.startService()
        self.addCleanup(server.stopService)
        self.port = server.ports["bind"]

    def make(self, token: str) -> Any:
        options = Options()
        options.loaded = Loaded(
            ClientConfig(server_addr="127.0.0.1", server_port=self.port, token=token), ("a hint",)
        )
        return makeService(options, reactor)

    def test_readiness(self) -> Any:
        """The service manager hears of us after the login."""
        program = self.make("right")
        said: Deferred[str] = Deferred()
        program.ready = said.callback

        async def check() -> None:
            program.privilegedStartService()
            program.startService()
            self.assertNoResult(said)
            self.assertRegex(await said, r"\Alogged in, run id [0-9a-f]{16}\Z")
            self.assertIn("a hint", self.lines)
            await program.stopService()

        return ensureDeferred(check())

    def test_refused(self) -> Any:
        """A refused login ends the program."""
        program = self.make("wrong")
        ended: Deferred[None] = Deferred()
        program._stop_reactor = lambda: ended.callback(None)

        async def check() -> None:
            program.startService()
            await ended
            self.assertEqual(program.exit_status, 1)
            await program.stopService()

        return ensureDeferred(check())


class TwistdTests(SynchronousTestCase):
    """The real twistd, which knows nothing of exit statuses."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def twistd(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            (*TWISTD, *arguments),
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TUNNEL_USER": "alice"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def closed_port(self) -> int:
        """Return a port on which nobody answers; it stays ours until the test ends."""
        unused = socket.socket()
        self.addCleanup(unused.close)
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port

    def test_no_server(self) -> None:
        """Exit status 1, a clear message in the log, no pid file left."""
        config = write(str(self.directory / "frpc.ini"), self.closed_port())
        for log, more in (("-", ""), ("frpc.log", "log_file = frpc.log\n")):
            write(config, self.closed_port(), more)
            done = self.twistd("-n", "tunnel-client")
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            path = self.directory / log
            text = done.stdout if log == "-" else path.read_text(encoding="utf-8")
            self.assertRegex(text, r"\A\S+ \S+ \[E\] \[client/service\] .*refused.*\n\Z")
            self.assertFalse((self.directory / "twistd.pid").exists())

    def test_wrong_configuration(self) -> None:
        write(str(self.directory / "frpc.ini"), 99999)
        done = self.twistd("-n", "tunnel-client")
        self.assertEqual(done.returncode, 1)
        self.assertIn("server_port = 99999", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertEqual([path.name for path in self.directory.iterdir()], ["frpc.ini"])
