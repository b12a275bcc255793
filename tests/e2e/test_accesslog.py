# -*- test-case-name: tests.e2e.test_accesslog -*-
"""The access log of a real server: requests by curl and others, rotated as logrotate does it."""

import json
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.e2e.commands import run_curl
from tests.e2e.services import request, websocket, websocket_echo
from tests.e2e.tunnel import TunnelTestCase, http_proxy
from tests.programs import OUR_SERVER, Program, eventually

# As in docs/ops.md, with fail2ban's <HOST> and <SKIPLINES> replaced as it does.
FAIL2BAN: Final = re.compile(r'^(?P<host>\S+) - \S+ \[[^\]]*\] "[^"]*" (?:401|407) ')

COMBINED: Final = re.compile(
    r'(\S+) (\S+) (\S+) \[([^\]]+)\] "([^"]*)" (\d+) (\d+) "([^"]*)" "([^"]*)" "([^"]*)" "([^"]*)"'
    r" (\S+) (\S+)"
)


class AccessLogTests(TunnelTestCase):
    """Users ask, the server writes."""

    def setUp(self) -> None:
        super().setUp()
        self.log = self.directory / "access.log"
        port = self.local_site("site1")
        self.proxies = {
            "web1": http_proxy(port, {"custom_domains": "site1.example.com"}),
            "web2": http_proxy(
                port,
                {"custom_domains": "site2.example.com", "http_user": "bob", "http_pwd": "secret"},
            ),
        }

    def start(self, form: str = "combined") -> Program:
        server = self.start_server({"access_log": "access.log", "access_log_format": form})
        self.start_client(self.proxies)
        return server

    def lines(self, count: int, path: Path | None = None) -> list[str]:
        """Wait until there are so many lines; give them."""

        def found() -> list[str]:
            name = path or self.log
            lines = name.read_text(encoding="ascii").splitlines() if name.exists() else []
            return lines if len(lines) >= count else []

        lines = eventually(found, f"{count} lines")
        self.assertEqual(len(lines), count, lines)
        return lines

    def values(self, count: int) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines(count)]

    def curl(self, path: str, *arguments: str, host: str = "site1.example.com") -> None:
        """Ask as a person does."""
        url = f"http://{host}:{self.vhost_port}{path}"
        address = f"{host}:{self.vhost_port}:127.0.0.1"
        asked = run_curl("-o", "/dev/null", "--resolve", address, *arguments, url)
        self.assertEqual(asked.returncode, 0, asked.stderr)

    def ask(self, path: str) -> None:
        self.assertEqual(request(self.vhost_port, path, host="site1.example.com").status, 200)

    def test_combined(self) -> None:
        self.start()
        self.curl("/bytes/5000", "-A", 'a "browser"', "-e", "http://example.org/")
        self.curl("/", "-u", "bob:secret", host="site2.example.com")
        self.curl("/", "-u", "bob:wrong", host="site2.example.com")
        self.curl("/", "-I", host="nobody.example.com")
        first, *others = self.lines(4)
        found = COMBINED.fullmatch(first)
        assert found is not None, first
        fields = found.groups()
        self.assertEqual(fields[:3], ("127.0.0.1", "-", "-"))
        self.assertEqual(
            fields[4:11],
            (
                "GET /bytes/5000 HTTP/1.1",
                "200",
                "5000",
                "http://example.org/",
                r"a \x22browser\x22",
                f"site1.example.com:{self.vhost_port}",
                "web1",
            ),
        )
        self.assertLessEqual(float(fields[11]), float(fields[12]))
        seen = [COMBINED.fullmatch(line) for line in others]
        self.assertEqual(
            [each and each.group(3, 6, 11) for each in seen],
            [("bob", "200", "web2"), ("bob", "401", "web2"), ("-", "404", "-")],
        )
        banned = [match["host"] for line in self.lines(4) if (match := FAIL2BAN.match(line))]
        self.assertEqual(banned, ["127.0.0.1"])

    def test_json(self) -> None:
        """Uploads, a WebSocket at its end, and what is no request."""
        self.start("json")
        self.curl("/x", "-d", "x" * 1000)
        with websocket(self.vhost_port, "site1.example.com") as user:
            self.assertEqual(websocket_echo(user, b"x" * 100), b"x" * 100)
            (upload,) = self.values(1)
        self.curl("/y", "-H", "Host: a b")
        others = {value["status"]: value for value in self.values(3)[1:]}
        chat, bad = others[101], others[400]
        self.assertEqual((upload["method"], upload["status"]), ("POST", 200))
        self.assertEqual(upload["bytes_in"], 1000)
        self.assertEqual(chat["upgrade"], "websocket")
        self.assertEqual((chat["bytes_in"], chat["bytes_out"]), (106, 102))
        self.assertEqual(bad["path"], "GET /y HTTP/1.1")
        self.assertEqual(bad["proxy"], None)

    def test_rotated(self) -> None:
        """No line is lost, and none is in both files."""
        server = self.start()
        self.rotate(server.process.pid)
        self.assertEqual(server.stop(), 0)

    def rotate(self, pid: int) -> None:
        self.ask("/1")
        moved = self.log.rename(self.directory / "access.log.1")
        self.ask("/2")
        os.kill(pid, signal.SIGHUP)
        eventually(self.log.exists, "a new access log")
        self.ask("/3")
        self.assertIn("GET /3 ", self.lines(1)[0])
        old = self.lines(2, moved)
        self.assertIn("GET /1 ", old[0])
        self.assertIn("GET /2 ", old[1])

    def test_end(self) -> None:
        """What has gathered when the server stops is written; so are requests that it cuts."""
        server = self.start()
        with websocket(self.vhost_port, "site1.example.com"):
            self.ask("/last")
            self.assertEqual(server.stop(), 0)
        lines = self.lines(2)
        self.assertIn("GET /last ", lines[0])
        self.assertIn("GET /ws ", lines[1])

    def test_full_disk(self) -> None:
        """Requests are served all the same, and the log has a line about it."""
        server = self.start_server({"access_log": "/dev/full"})
        self.start_client(self.proxies)
        for _ in range(5):
            self.ask("/")
        server.wait_for("access_log = /dev/full: can't be written: No space left on device")
        self.ask("/")

    def test_cannot_be_written(self) -> None:
        """A path that is wrong from the start ends the program."""
        sections = self.server_sections({"access_log": "nowhere/access.log"})
        config = self.write_config("frps.ini", sections)
        server = self.run_program((*OUR_SERVER.command, "-c", str(config)))
        self.assertEqual(server.wait(), 1, server.excerpt())
        self.assertIn(
            "[common] access_log = nowhere/access.log: can't be written: No such file or directory",
            server.output(),
        )

    def test_daemon(self) -> None:
        """The same under twistd, which changes directory and user mask."""
        options: Mapping[str, object] = {"access_log": "access.log"}
        config = self.write_config("frps.ini", self.server_sections(options))
        pid_file = self.directory / "server.pid"
        pid = self.start_server_daemon(config, pid_file)
        self.addCleanup(eventually, lambda: not Path(f"/proc/{pid}").exists(), "its end")
        self.addCleanup(os.kill, pid, signal.SIGTERM)
        self.start_client(self.proxies)
        self.rotate(pid)
        log = (self.directory / "server.log").read_text(encoding="utf-8")
        self.assertNotIn("Traceback", log)
