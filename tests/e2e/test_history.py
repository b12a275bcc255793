# -*- test-case-name: tests.e2e.test_history -*-
"""Real programs: what the dashboard shows is there again after a restart, however that came."""

# As a module: trial takes a "suppress" of a test module for its own.
import contextlib
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SkipTest

from tests.e2e.commands import curl
from tests.e2e.services import echo, request
from tests.e2e.tunnel import NO_OPTIONS, TWISTD, Options, TunnelTestCase, tcp_proxy
from tests.programs import (
    OUR_CLIENT,
    OUR_SERVER,
    PATIENCE,
    Peer,
    ProcessStatus,
    Program,
    accepts_connections,
    eventually,
    free_port,
    require_program,
    stay_within_the_day,
)
from tunnelsvc.admin.history.database import MIGRATIONS, NAME
from tunnelsvc.admin.history.service import SAVE_SECONDS

OFF: Final = "nothing of the dashboard is saved or restored"
NOBODY: Final = 65534
"""The user and group of that name."""
HASTY_SERVER: Final = Peer(
    "hasty server",
    (
        sys.executable,
        "-P",
        "-c",
        """if True:
            import sys
            from tunnelsvc.admin.history import service
            from tunnelsvc.cli import main
            service.SAVE_SECONDS = 0.25
            sys.exit(main())""",
        "server",
    ),
)
"""Saves so often that nobody has to wait for it; all else is as ever."""


class HistoryTestCase(TunnelTestCase):
    """A server with a dashboard and a directory, and a service to have traffic with."""

    server_peer = HASTY_SERVER

    def setUp(self) -> None:
        super().setUp()
        stay_within_the_day()
        self.dashboard_port = free_port()
        self.data = self.directory / "data"
        self.database = self.data / NAME
        self.public_port = free_port()
        self.service = self.local_service(echo)

    def options(self, options: Options = NO_OPTIONS) -> Options:
        return {
            "dashboard_addr": "127.0.0.1",
            "dashboard_port": self.dashboard_port,
            "dashboard_user": "admin",
            "dashboard_pwd": "secret",
            "data_dir": self.data,
            **options,
        }

    def serve(self, options: Options = NO_OPTIONS) -> Program:
        return self.start_server(self.options(options))

    def connect(self) -> Program:
        proxies = {"ssh": tcp_proxy(self.service.port, self.public_port)}
        return self.start_client(proxies, {"pool_count": 0})

    def move(self, size: int) -> None:
        """Send so many bytes through the tunnel, and receive as many."""
        with socket.create_connection(("127.0.0.1", self.public_port), timeout=PATIENCE) as user:
            user.sendall(b"x" * size)
            user.shutdown(socket.SHUT_WR)
            received = 0
            while data := user.recv(65536):
                received += len(data)
        self.assertEqual(received, size)

    def ask(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self.dashboard_port}/api/{path}"
        return json.loads(curl("-u", "admin:secret", url))

    def traffic(self) -> tuple[int, int]:
        """Ask the dashboard for what the proxy's users have sent and received today."""
        shown = self.ask("traffic/ssh")
        return shown["trafficIn"][0], shown["trafficOut"][0]

    def saved(self, statement: str, *values: object) -> list[Any]:
        """Look into the database, beside the server."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(statement, values).fetchall()

    def saved_traffic(self) -> tuple[int, int]:
        """Tell what the proxy's users have sent and received."""
        ((sent, received),) = self.saved(
            "SELECT coalesce(sum(in_bytes), 0), coalesce(sum(out_bytes), 0)"
            " FROM traffic WHERE name = 'ssh'"
        )
        return sent, received

    def wait_for_saved(self, size: int) -> None:
        """Wait for so many bytes each way: a batch may come between those and their echo."""
        eventually(lambda: self.saved_traffic() == (size, size), f"{size} bytes saved", PATIENCE)


class RestartTests(HistoryTestCase):
    """Stops of all kinds."""

    def check(self, stop: Callable[[Program], object], *, wait: bool) -> None:
        server, client = self.serve(), self.connect()
        self.move(1000)
        eventually(lambda: self.traffic() == (1000, 1000), "traffic shown")
        if wait:
            self.wait_for_saved(1000)
        stop(server)
        client.stop()
        server = self.serve()
        self.assertEqual(self.traffic(), (1000, 1000))
        info = self.ask("serverinfo")
        self.assertEqual((info["totalTrafficIn"], info["totalTrafficOut"]), (1000, 1000))
        (proxy,) = self.ask("proxy/tcp")["proxies"]
        self.assertEqual((proxy["name"], proxy["status"]), ("ssh", "offline"))
        self.assertNotEqual(proxy["lastStartTime"], "")
        # And again, on the same day: nothing is counted twice.
        client = self.connect()
        self.move(500)
        eventually(lambda: self.traffic() == (1500, 1500), "traffic shown")
        if wait:
            self.wait_for_saved(1500)
        stop(server)
        client.stop()
        self.serve()
        self.assertEqual(self.traffic(), (1500, 1500))
        self.assertEqual(self.ask("serverinfo")["totalTrafficIn"], 1500)

    def test_stopped(self) -> None:
        """However short it was there."""
        self.check(Program.stop, wait=False)

    def test_killed(self) -> None:
        self.check(Program.kill, wait=True)

    def test_a_transfer_that_runs(self) -> None:
        """It counts while it runs, and is cut in two by the restart."""
        server, client = self.serve(), self.connect()
        with socket.create_connection(("127.0.0.1", self.public_port), timeout=PATIENCE) as user:
            user.sendall(b"x" * 700)
            eventually(lambda: self.saved_traffic() == (700, 700), "saved while it runs", PATIENCE)
            server.stop()
        client.stop()
        self.serve()
        self.assertEqual(self.traffic(), (700, 700))

    def test_a_kill_costs_the_last_batch_at_most(self) -> None:
        """With as much time between two as users have it."""
        self.server_peer = OUR_SERVER
        server = self.serve()
        self.connect()
        self.move(1000)
        self.wait_for_saved(1000)
        deadline = time.monotonic() + 3 * SAVE_SECONDS
        moved = 1000
        times: list[tuple[float, int]] = []
        while time.monotonic() < deadline:
            self.move(100)
            moved += 100
            times.append((time.monotonic(), moved))
            time.sleep(0.1)
        server.kill()
        ended = time.monotonic()
        # Twice the time between two batches, for a machine that is busy with something else.
        due = max(size for when, size in times if when < ended - 2 * SAVE_SECONDS)
        self.serve()
        counted = self.traffic()
        self.assertGreaterEqual(min(counted), due)
        self.assertLessEqual(max(counted), moved)

    def test_events(self) -> None:
        """Those from before come first, and ids go on growing."""
        server = self.serve({"token": "right"})
        self.refuse_login()
        server.stop()
        (first,) = self.refusals()
        server = self.serve({"token": "right"})
        self.refuse_login()
        eventually(lambda: len(self.refusals()) == 2, "saved while it runs")
        server.kill()
        again, second = self.refusals()
        self.assertEqual(again, first)
        self.assertGreater(second[0], first[0])

    def refuse_login(self) -> None:
        config = self.write_config("frpc.ini", self.client_sections({}, {"token": "wrong"}))
        self.assertEqual(self.run_program((*OUR_CLIENT.command, "-c", str(config))).wait(), 1)

    def refusals(self) -> list[Any]:
        return self.saved(
            "SELECT id, at, detail FROM events WHERE kind = 'login_refused' ORDER BY id"
        )

    def test_hangup(self) -> None:
        """SIGHUP changes nothing about it, and another directory waits for a restart."""
        server = self.serve()
        self.connect()
        self.move(1000)
        other = self.directory / "other"
        self.write_config("frps.ini", self.server_sections(self.options({"data_dir": other})))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("data_dir")
        self.move(1000)
        self.wait_for_saved(2000)
        self.assertFalse(other.exists())


class PlaceTests(HistoryTestCase):
    """Where the database is, if the file doesn't say."""

    def run_here(self, *command: str, options: Options = NO_OPTIONS, **environ: str) -> Program:
        """Run a server until it listens, then stop it."""
        sections = self.server_sections(self.options({"data_dir": "", **options}))
        config = self.write_config("frps.ini", sections)
        server = self.run_program(
            (*command, "-c", str(config)), name="server", environ={**os.environ, **environ}
        )
        server.wait_until(lambda: accepts_connections(self.dashboard_port), "the dashboard")
        server.stop()
        return server

    def databases(self) -> list[str]:
        found = self.directory.rglob(NAME)
        return [str(path.relative_to(self.directory)) for path in found]

    def test_unset(self) -> None:
        """It's off, and says so; so is it for twistd's usual pid file in the foreground."""
        for command in (OUR_SERVER.command, (TWISTD, "-n", "tunnel-server")):
            server = self.run_here(*command)
            self.assertEqual(len(server.lines("data_dir isn't set")), 1, server.excerpt())
        self.assertEqual(self.databases(), [])

    def test_without_a_dashboard(self) -> None:
        self.start_server({"data_dir": self.data}).stop()
        self.assertFalse(self.data.exists())

    def test_systemd(self) -> None:
        state = str(self.directory / "state")
        self.run_here(*OUR_SERVER.command, STATE_DIRECTORY=f"{state}:/nowhere")
        self.assertEqual(self.databases(), [f"state/{NAME}"])

    def test_pid_file_in_the_foreground(self) -> None:
        (self.directory / "run").mkdir()
        self.run_here(TWISTD, "-n", "--pidfile=run/server.pid", "tunnel-server")
        self.assertEqual(self.databases(), [f"run/{NAME}"])

    def test_relative(self) -> None:
        self.run_here(*OUR_SERVER.command, options={"data_dir": "here/there"})
        self.assertEqual(self.databases(), [f"here/there/{NAME}"])
        modes = [stat.S_IMODE((self.directory / "here" / "there" / each).stat().st_mode)
                 for each in ("", NAME)]  # fmt: skip
        self.assertEqual(modes, [0o700, 0o600])

    def test_daemon(self) -> None:
        """Beside its pid file, with traffic that survives."""
        (self.directory / "run").mkdir()
        self.database = self.directory / "run" / NAME
        options = self.options({"data_dir": ""})
        config = self.write_config("frps.ini", self.server_sections(options))
        pid = self.start_daemon(config)
        client = self.connect()
        self.move(1000)
        self.stop_daemon(pid)
        self.assertEqual(self.saved_traffic(), (1000, 1000))
        client.stop()
        self.stop_daemon(pid := self.start_daemon(config), signal.SIGKILL)
        (self.directory / "run" / "server.pid").unlink()
        self.start_daemon(config)
        self.assertEqual(self.traffic(), (1000, 1000))
        log = (self.directory / "server.log").read_text(encoding="utf-8")
        self.assertNotIn("Traceback", log)

    def start_daemon(self, config: Path, *flags: str) -> int:
        pid_file = self.directory / "run" / "server.pid"
        pid = self.start_server_daemon(config, pid_file, *flags)
        # It listens before it heeds signals, and answers after that.
        self.assertEqual(request(self.dashboard_port, "/healthz").status, 200)
        self.addCleanup(self.stop_daemon, pid)
        return pid

    def stop_daemon(self, pid: int, signal_number: int = signal.SIGTERM) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)
        eventually(lambda: not ProcessStatus(pid).is_running(), "its end")

    def test_another_user(self) -> None:
        """``--uid``: what root made is his who runs."""
        if os.geteuid():
            raise SkipTest("only root can become somebody else")
        (self.directory / "run").mkdir()
        (self.directory / "run").chmod(0o777)
        options = self.options({"data_dir": ""})
        config = self.write_config("frps.ini", self.server_sections(options))
        self.stop_daemon(self.start_daemon(config, f"--uid={NOBODY}", f"--gid={NOBODY}"))
        self.database = self.directory / "run" / NAME
        status = self.database.stat()
        self.assertEqual((status.st_uid, status.st_gid), (NOBODY, NOBODY))
        self.assertNotEqual(self.saved("SELECT 1 FROM state WHERE key = 'saved_at'"), [])


class TroubleTests(HistoryTestCase):
    """The tunnel works whatever becomes of the database."""

    def check_off(self, *words: str) -> Program:
        """Start a server that says in one line why there is no history, and serves."""
        server = self.serve()
        (line,) = server.lines(OFF)
        for word in (*words, "data_dir"):
            self.assertIn(word, line)
        self.connect()
        self.move(1000)
        eventually(lambda: self.traffic() == (1000, 1000), "traffic shown")
        self.assertEqual(server.lines("history is kept"), [])
        server.stop()
        return server

    def test_a_file_in_the_way(self) -> None:
        self.data.write_text("mine", encoding="ascii")
        self.check_off(str(self.data))
        self.assertEqual(self.data.read_text(encoding="ascii"), "mine")

    def test_no_permission(self) -> None:
        """Nor would root have it there."""
        self.data = Path("/proc/tunnelsvc")
        self.check_off(str(self.data))

    def test_garbage(self) -> None:
        """A file of somebody else stays as it is."""
        self.data.mkdir()
        garbage = os.urandom(20_000)
        self.database.write_bytes(garbage)
        self.check_off("is no database of this program")
        self.assertEqual(self.database.read_bytes(), garbage)

    def test_a_database_of_somebody_else(self) -> None:
        self.data.mkdir()
        with closing(sqlite3.connect(self.database)) as database:
            database.executescript("CREATE TABLE events (mine); INSERT INTO events VALUES (1)")
        before = self.database.read_bytes()
        self.check_off("is no database of this program")
        self.assertEqual(self.database.read_bytes(), before)

    def test_a_newer_version(self) -> None:
        self.serve().stop()
        with closing(sqlite3.connect(self.database)) as database:
            database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        self.check_off("newer version")

    def test_damaged(self) -> None:
        """It's moved aside, and nothing of it deleted."""
        server = self.serve()
        self.connect()
        self.move(1000)
        server.stop()
        data = self.database.read_bytes()
        damaged = data[:4096] + os.urandom(len(data) - 4096)
        self.database.write_bytes(damaged)
        server = self.serve()
        server.wait_for("is damaged")
        self.assertEqual(server.lines(OFF), [])
        (aside,) = self.data.glob(f"{NAME}.damaged-*")
        self.assertEqual(aside.read_bytes(), damaged)
        self.wait_for_echo()
        self.move(500)
        self.wait_for_saved(500 + self.echoed)

    echoed = 0

    def wait_for_echo(self) -> None:
        """Wait until the client is back."""
        eventually(self.is_back, "the client back")

    def is_back(self) -> bool:
        try:
            self.move(1)
        except (OSError, AssertionError):
            return False
        self.echoed += 1
        return True

    def test_read_only(self) -> None:
        """The file system is."""
        self.serve().stop()
        self.mount("--bind", str(self.data))
        self.run_mount("-o", "remount,ro,bind", str(self.data))
        self.check_off(str(self.data))

    def test_a_full_disk(self) -> None:
        """Nothing is lost that fits later."""
        self.data.mkdir()
        self.mount("-t", "tmpfs", "-o", "size=400k", "tmpfs")
        server = self.serve()
        self.connect()
        self.move(1000)
        self.wait_for_saved(1000)
        filler = self.data / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(512))
        for _ in range(200):  # until the pages that the database has left are full
            self.move(1000)
            time.sleep(0.1)
            if server.lines("history can't be saved"):
                break
        moved, _ = self.traffic()
        filler.unlink()
        self.wait_for_saved(moved)
        server.wait_for("history is saved again")
        self.assertEqual(len(server.lines("history can't be saved")), 1)
        server.stop()

    def mount(self, *options: str) -> None:
        """Mount something on the directory until the test has ended, if we may."""
        if os.geteuid():
            raise SkipTest("only root can mount")
        self.run_mount(*options, str(self.data))
        self.addCleanup(subprocess.run, ("umount", "-l", str(self.data)), check=True)

    def run_mount(self, *arguments: str) -> None:
        done = subprocess.run(
            (require_program("mount"), *arguments), capture_output=True, check=False, text=True
        )
        if done.returncode:
            raise SkipTest(f"mounting isn't possible: {done.stderr}")

    def test_two_servers(self) -> None:
        """The second one says so, and leaves the first alone."""
        self.serve()
        self.connect()
        first = self.dashboard_port
        self.dashboard_port = free_port()
        other = {**self.options(), "bind_addr": "127.0.0.1", "bind_port": free_port()}
        config = self.write_config("other.ini", {"common": other})
        second = self.run_program((*OUR_SERVER.command, "-c", str(config)), name="second")
        second.wait_until(lambda: accepts_connections(self.dashboard_port), "the dashboard")
        (line,) = second.lines(OFF)
        self.assertIn("another server has", line)
        second.stop()
        self.dashboard_port = first
        self.move(1000)
        self.wait_for_saved(1000)

    def test_a_quick_restart(self) -> None:
        """The next server waits for the one that is just stopping."""
        server = self.serve()
        self.connect()
        self.move(1000)
        server.process.send_signal(signal.SIGSTOP)
        port = free_port()
        self.dashboard_port = free_port()
        options = {**self.options(), "bind_addr": "127.0.0.1", "bind_port": port}
        config = self.write_config("next.ini", {"common": options})
        following = self.run_program((*OUR_SERVER.command, "-c", str(config)), name="next")
        time.sleep(1.0)
        server.process.send_signal(signal.SIGCONT)
        server.stop()
        following.wait_until(lambda: accepts_connections(self.dashboard_port), "the dashboard")
        self.assertEqual(following.lines(OFF), [])
        self.assertEqual(self.traffic(), (1000, 1000))
