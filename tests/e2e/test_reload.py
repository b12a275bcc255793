# -*- test-case-name: tests.e2e.test_reload -*-
"""Real programs: a client that gets another configuration, and what users notice of it."""

import json
import signal
import stat
import threading
import time
from pathlib import Path
from typing import Any, Final

from tests.admin.test_tls import make_files
from tests.e2e.control import ControlTestCase
from tests.e2e.services import (
    connected,
    digest_of,
    download_of,
    echo_once,
    pattern,
    receive,
    serves_echo,
)
from tests.e2e.tunnel import http_proxy, tcp_proxy
from tests.programs import OUR_CLIENT, Program, accepts_connections, eventually, free_port
from tunnelsvc.units import KiB, MiB

# Reloads while users are busy; each changes another proxy.
RELOADS: Final = 40

# More than fits into all buffers on the way, so that it is under way all the time.
TRANSFER_BYTES: Final = 192 * MiB

# Users beside the transfer, each with a connection of its own for each request.
USERS: Final = 4


class Users(threading.Thread):
    """Somebody who makes requests, one after the other, until told to stop."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.requests = 0
        self.failures: list[str] = []
        self.stopping = False

    def run(self) -> None:
        message = b"x" * (8 * KiB)
        while not self.stopping:
            try:
                with connected(self.port) as user:
                    if not echo_once(user, message):
                        self.failures.append("cut off")
            except OSError as why:
                self.failures.append(repr(why))
            self.requests += 1


class Transfer(threading.Thread):
    """Somebody who fetches something large, and takes his time."""

    def __init__(self, port: int, done: threading.Event) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.done = done
        self.digest = ""

    def run(self) -> None:
        with connected(self.port) as user:
            received = receive(user, 1 * MiB)
            self.done.wait()
            rest = receive(user, TRANSFER_BYTES)
            self.digest = digest_of(iter((received, rest)))


class LoadTests(ControlTestCase):
    """Users of proxies that stay the same notice nothing."""

    def check(self, **options: Any) -> None:
        echo_port, bulk_port, other = free_port(), free_port(), [free_port(), free_port()]
        bulk = self.local_service(download_of(TRANSFER_BYTES))
        kept = {**self.proxies(echo=echo_port), "bulk": tcp_proxy(bulk.port, bulk_port)}
        client = self.begin({**kept, **self.proxies(other=other[0])}, options)
        reloaded = threading.Event()
        transfer = Transfer(bulk_port, reloaded)
        users = [Users(echo_port) for _ in range(USERS)]
        with connected(echo_port) as idle:
            self.assertTrue(echo_once(idle))
            for thread in (transfer, *users):
                thread.start()
            for turn in range(RELOADS):
                self.write({**kept, **self.proxies(other=other[(turn + 1) % 2])}, options)
                done = self.reload()
                self.assertEqual(done["proxies"]["unchanged"], ["echo", "bulk"])
                self.assertEqual(done["proxies"]["added"], ["other"])
                time.sleep(0.02)
            reloaded.set()
            for user in users:
                user.stopping = True
            for thread in (transfer, *users):
                thread.join()
            self.assertTrue(echo_once(idle))
        self.assertEqual([user.failures for user in users], [[]] * USERS, client.excerpt())
        self.assertGreater(min(user.requests for user in users), RELOADS // 4)
        self.assertEqual(transfer.digest, digest_of(pattern(TRANSFER_BYTES)))
        self.wait_for_echo(other[0])
        for name in ("echo", "bulk"):
            self.assertEqual(len(client.lines(f"[{name}] start proxy success")), 1)

    def test_multiplexed(self) -> None:
        self.check()

    def test_not_multiplexed(self) -> None:
        self.check(tcp_mux=False, tls_enable=False)


class ReloadTests(ControlTestCase):
    """What else a reload does, and by what it is brought about."""

    def test_removed_and_changed(self) -> None:
        """Connections of both run on, as with frp."""
        old, gone, new = free_port(), free_port(), free_port()
        client = self.begin(self.proxies(a=old, b=gone))
        with connected(old) as first, connected(gone) as second:
            self.assertTrue(echo_once(first) and echo_once(second))
            self.write(self.proxies(a=new))
            self.assertEqual(self.command("reload"), (0, "reload success\n"))
            self.wait_for_echo(new)
            self.wait_for_nobody(old)
            self.wait_for_nobody(gone)
            self.assertTrue(echo_once(first) and echo_once(second), client.excerpt())
        client.wait_for("proxy removed: ['a', 'b']")
        client.wait_for("proxy added: ['a']")

    def test_a_bad_file(self) -> None:
        port = free_port()
        self.begin(self.proxies(a=port))
        good = self.file.read_text(encoding="utf-8")
        bad = good.replace("type = tcp", "type = tpc") + "[b]\nlocal_port = x\n"
        self.file.write_text(bad, encoding="utf-8")
        status, body = self.ask("/api/reload")
        self.assertEqual(status, 400)
        message = json.loads(body)["Msg"]
        self.assertIn("[a] type = tpc", message)
        self.assertIn("[b] local_port = x", message)
        self.assertTrue(serves_echo(port))
        self.file.write_text(good, encoding="utf-8")
        self.assertEqual(self.reload()["proxies"]["unchanged"], ["a"])

    def test_what_needs_a_restart(self) -> None:
        client = self.begin(self.proxies(a=free_port()))
        self.write(self.proxies(), {"token": "s3cret", "pool_count": 3})
        status, said = self.command("reload")
        self.assertEqual(status, 0)
        self.assertIn("reload success\n", said)
        self.assertIn("token changed: needs a restart\n", said)
        self.assertIn("pool_count changed: holds from the next login on\n", said)
        client.wait_for("token changed: needs a restart")
        self.assertNotIn("s3cret", said + client.output())

    def test_hangup(self) -> None:
        port = free_port()
        client = self.begin(self.proxies())
        self.write(self.proxies(a=port), {"log_level": "error"})
        client.process.send_signal(signal.SIGHUP)
        self.wait_for_echo(port)
        self.assertEqual(client.lines("[a] start proxy success"), [], "the level is the old one")

    def test_watched(self) -> None:
        first, second, third = free_port(), free_port(), free_port()
        watched = {"watch_config": True}
        client = self.begin(self.proxies(a=first), watched)
        self.write(self.proxies(a=first, b=second), watched)
        self.wait_for_echo(second)
        self.assertTrue(serves_echo(first))
        # In place, in pieces, and in between it makes no sense.
        whole = self.write_config(
            "whole", self.sections(self.proxies(a=first, c=third), watched)
        ).read_bytes()
        for end in range(0, len(whole), 1 + len(whole) // 8):
            self.file.write_bytes(whole[:end])
            time.sleep(0.3)
        self.assertTrue(serves_echo(first) and serves_echo(second))
        self.file.write_bytes(whole)
        self.wait_for_echo(third)
        self.wait_for_nobody(second)
        self.assertEqual(len(client.lines("[a] start proxy success")), 1)
        self.assertEqual(client.lines("not reloaded"), [])

    def test_watched_and_wrong(self) -> None:
        """It is told once, however often it is looked at until it is right again."""
        port, later = free_port(), free_port()
        watched = {"watch_config": True}
        client = self.begin(self.proxies(a=port), watched)
        self.file.write_text("[common]\nserver_port = many\n[a]\n", encoding="utf-8")
        client.wait_for("the configuration is not reloaded")
        self.assertTrue(serves_echo(port))
        self.write(self.proxies(a=port, b=later), watched)
        self.wait_for_echo(later)  # some looks later
        self.assertEqual(len(client.lines("the configuration is not reloaded")), 1)
        self.assertEqual(len(client.lines("server_port = many")), 1)
        self.assertTrue(serves_echo(port))

    def test_not_enabled_and_start(self) -> None:
        ports = [free_port() for _ in range(3)]
        a, b, c = (f"p{port}" for port in ports)
        proxies = self.proxies(**dict(zip((a, b, c), ports, strict=True)))
        self.begin(proxies)
        self.write({**proxies, a: {**proxies[a], "enabled": False}})
        self.reload()
        self.wait_for_nobody(ports[0])
        self.write(proxies, {"start": f"{a},{c}"})
        self.reload()
        self.wait_for_echo(ports[0])
        self.wait_for_nobody(ports[1])
        self.assertTrue(serves_echo(ports[2]))


class AdminTests(ControlTestCase):
    """The admin API and the commands."""

    def test_status(self) -> None:
        port = free_port()
        web = http_proxy(80, {"custom_domains": "a.example"})
        client = self.begin({**self.proxies(good=port), "web": web})
        off = {**web, "enabled": False, "custom_domains": "b.example"}
        self.write({**self.proxies(good=port, bad=self.vhost_port), "web": web, "off": off})
        self.reload()
        client.wait_for("[bad] start error: port unavailable")
        local = f"127.0.0.1:{self.service.port}"
        status, said = self.command("status")
        self.assertEqual(status, 0)
        self.assertEqual(
            [line.split() for line in said.splitlines()],
            [
                ["Proxy", "Status..."],
                [],
                ["TCP"],
                ["Name", "Status", "LocalAddr", "Plugin", "RemoteAddr", "Error"],
                ["bad", "start", "error", local, "port", "unavailable"],
                ["good", "running", local, f"127.0.0.1:{port}"],
                [],
                ["HTTP"],
                ["Name", "Status", "LocalAddr", "Plugin", "RemoteAddr", "Error"],
                ["web", "running", "127.0.0.1:80", f"a.example:{self.vhost_port}"],
                [],
            ],
        )

    def test_stop(self) -> None:
        client = self.begin(self.proxies(a=free_port()))
        self.assertEqual(self.command("stop"), (0, "stop success\n"))
        self.assertEqual(client.wait(), 0)
        status, said = self.command("stop")
        self.assertEqual(status, 1)
        self.assertIn("Connection refused; does the client run?", said)

    def test_without_a_port(self) -> None:
        self.write_config("frpc.ini", {"common": {"server_addr": "127.0.0.1"}})
        for name in ("reload", "status", "stop"):
            self.assertEqual(
                self.command(name),
                (1, "tunnelsvc: web server port should be set if you want to use this feature\n"),
            )

    def test_password(self) -> None:
        options = {"admin_user": "me", "admin_pwd": "right"}
        client = self.begin(self.proxies(), options)
        self.assertEqual(self.ask("/api/status")[0], 401)
        self.assertEqual(self.ask("/healthz"), (200, b""))
        self.assertEqual(self.command("status")[0], 0)
        self.write(self.proxies(), {**options, "admin_pwd": "wrong"})
        status, said = self.command("status")
        self.assertEqual(status, 1)
        self.assertIn("api status code [401], Unauthorized", said)
        client.wait_for("wrong user or password from 127.0.0.1")

    def test_before_the_first_login(self) -> None:
        """There is no server yet, and so a file can be put right."""
        port = free_port()
        self.write_config(
            "frpc.ini", self.sections(self.proxies(a=port), {"login_fail_exit": False})
        )
        self.run_program((*OUR_CLIENT.command, "-c", str(self.file)))
        eventually(lambda: accepts_connections(self.admin_port), "the admin API")
        (proxy,) = json.loads(self.ask("/api/status")[1])["tcp"]
        self.assertEqual(proxy["status"], "new")
        self.write(self.proxies(a=port, b=free_port()), {"login_fail_exit": False})
        self.assertEqual(self.reload()["proxies"]["added"], ["b"])
        self.start_server()
        self.wait_for_echo(port)

    def test_a_busy_port(self) -> None:
        self.admin_port = self.service.port
        self.write_config("frpc.ini", self.sections(self.proxies()))
        client = self.run_program((*OUR_CLIENT.command, "-c", str(self.file)))
        self.assertEqual(client.wait(), 1)
        client.wait_for(f"Couldn't listen on 127.0.0.1:{self.admin_port}")

    def test_put(self) -> None:
        """Read, edit, write, reload: what frp's own page does."""
        old, new = free_port(), free_port()
        self.begin(self.proxies(a=old), {"token": ""})
        self.file.chmod(0o600)
        status, content = self.ask("/api/config")
        self.assertEqual(status, 200)
        edited = content.replace(str(old).encode(), str(new).encode())
        self.assertEqual(self.ask("/api/config", "PUT", edited), (200, b""))
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertTrue(serves_echo(old), "it was reloaded")
        status, body = self.ask("/api/config", "PUT", b"[common]\nserver_port = x\n")
        self.assertEqual(status, 400)
        self.assertIn(f"{self.file}:2: [common] server_port = x", json.loads(body)["Msg"])
        self.reload()
        self.wait_for_echo(new)
        self.assertEqual(list(self.directory.glob(".frpc.ini.*")), [])

    def test_pages_of_other_sites(self) -> None:
        client = self.begin(self.proxies())
        evil = {"Origin": "https://evil.example"}
        self.assertEqual(self.ask("/api/stop", "POST", headers=evil)[0], 403)
        self.assertEqual(self.ask("/api/config", headers={"Host": "evil.example:7400"})[0], 403)
        self.assertIsNone(client.process.poll())


class TLSTests(ControlTestCase):
    """The commands trust the certificate that the file names, and no other."""

    def start(self) -> Program:
        for name in ("a", "b"):
            self.make_certificate(name)
        options = {
            "admin_tls_cert_file": self.directory / "a.cert",
            "admin_tls_key_file": self.directory / "a.key",
        }
        return self.begin(self.proxies(a=free_port()), options)

    def make_certificate(self, name: str) -> None:
        for path in map(Path, make_files(str(self.directory / f"{name}.files"))):
            path.replace(self.directory / f"{name}.{path.stem}")

    def test_commands(self) -> None:
        client = self.start()
        client.wait_for(f"admin API listens on https://127.0.0.1:{self.admin_port}")
        self.assertEqual(self.command("reload"), (0, "reload success\n"))
        (self.directory / "b.cert").replace(self.directory / "a.cert")
        status, said = self.command("reload")
        self.assertEqual(status, 1)
        self.assertIn("certificate verify failed", said)
