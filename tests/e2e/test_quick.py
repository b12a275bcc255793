# -*- test-case-name: tests.e2e.test_quick -*-
"""One service by one command, as its user types it: ``tunnelsvc http``, ``tcp``, ``jupyter``."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.e2e.browser import opened
from tests.e2e.services import echo, request, serves_echo
from tests.e2e.tunnel import TunnelTestCase
from tests.programs import (
    PATIENCE,
    TUNNELSVC,
    Program,
    eventually,
    heed_interrupts,
    require_module,
)

TOKEN: Final = "secret-of-both"

# Runs a command whose standard input is the terminal that signals come from.
_TAKE_TERMINAL: Final = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
ON_TERMINAL: Final = (sys.executable, "-c", _TAKE_TERMINAL)


class QuickTestCase(TunnelTestCase):
    """A server, and commands whose environment says where it is."""

    def quick_server(self, options: Mapping[str, object] | None = None) -> Program:
        """Start a server that has names for web sites."""
        options = {"subdomain_host": "example.com"} if options is None else options
        return self.start_server({"token": TOKEN, **options})

    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "TUNNELSVC_SERVER": f"127.0.0.1:{self.bind_port}",
            "TUNNELSVC_TOKEN": TOKEN,
        }

    def quick(self, *args: str, environ: Mapping[str, str] | None = None) -> Program:
        """Run a command."""
        return self.run_program(
            (*TUNNELSVC, *args), name=f"tunnelsvc {args[0]}", environ=environ or self.environ()
        )

    def url_of(self, program: Program, file: str = "url") -> str:
        """Wait for the file that a command writes its URL into."""
        path = self.directory / file
        program.wait_until(path.exists, f"{file} written")
        return path.read_text(encoding="ascii").strip()

    def interrupt(self, program: Program) -> None:
        """Press Ctrl-C, as far as the program is concerned."""
        program.process.send_signal(signal.SIGINT)
        self.assertEqual(program.wait(), 0, program.excerpt())


class HTTPTests(QuickTestCase):
    """``tunnelsvc http``."""

    def status(self, url: str) -> tuple[int, bytes]:
        """Ask for the page at a URL, whose host is this machine."""
        parts = urlsplit(url)
        assert parts.port is not None
        answer = request(parts.port, host=str(parts.hostname))
        return answer.status, answer.body

    def test_stable_name(self) -> None:
        """The same command has the same readable name again."""
        self.quick_server()
        site = str(self.local_site("mine"))
        urls = []
        for _ in range(2):
            program = self.quick("http", site, "--url-file", "url")
            url = self.url_of(program)
            urls.append(url)
            self.assertRegex(url, rf"^http://[a-z]+-[a-z]+-\d\d\.example\.com:{self.vhost_port}$")
            self.assertEqual(self.status(url)[0], 200)
            program.wait_for(f"|  {url} ")
            self.interrupt(program)
            self.assertFalse((self.directory / "url").exists())
        self.assertEqual(urls[0], urls[1])

    def test_requests_are_for_who_has_the_link(self) -> None:
        """Other users of the machine reach the page as well."""
        self.quick_server()
        program = self.quick("http", str(self.local_site("mine")))
        program.wait_for("Requests: ")
        (line,) = program.lines("Requests: ")
        link = line.partition("Requests: ")[2].rstrip(" |")
        port = urlsplit(link).port
        assert port is not None
        for path in ("/api/status", "/api/admin/requests"):
            self.assertEqual(request(port, path, host="127.0.0.1").status, 401)
        with opened() as page:
            page.goto(link)
            self.assertNotIn("key=", page.url)
            self.assertFalse(page.locator("#user").is_visible())
            page.keyboard.press("Enter")
            page.wait_for_url("**/static/**")
            page.wait_for_selector("#password", state="detached")
            self.assertNotIn("key=", page.url)
            page.goto("about:blank")
            page.goto(link)  # who is in already isn't asked again
            page.wait_for_url("**/static/**")
        self.interrupt(program)

    def test_two_of_one_kind(self) -> None:
        """Somebody else's name isn't taken over."""
        self.quick_server()
        site = str(self.local_site("mine"))
        urls = {
            self.url_of(self.quick("http", site, "--url-file", file), file) for file in ("a", "b")
        }
        self.assertEqual(len(urls), 2)
        for url in urls:
            self.assertEqual(self.status(url)[0], 200)

    def test_chosen_name(self) -> None:
        """By options that stand anywhere; a script gets the URL alone."""
        self.quick_server()
        site = str(self.local_site("mine"))
        plain = {"PATH": os.environ["PATH"]}
        server = f"--server=127.0.0.1:{self.bind_port}"
        program = self.quick(
            "http", server, site, "--token", TOKEN, "--host", "demo", "-q", environ=plain
        )
        url = f"http://demo.example.com:{self.vhost_port}"
        program.wait_for(url)
        self.assertEqual(program.output(), f"{url}\n")
        self.assertEqual(self.status(url)[0], 200)
        whole = self.quick("http", site, "--host", "site.example.org")
        whole.wait_for(f"http://site.example.org:{self.vhost_port}")

    def test_requests(self) -> None:
        """Each has a line, whatever is in it, unless that isn't wanted."""
        self.quick_server()
        site = str(self.local_site("mine"))
        program = self.quick("http", site, "--host", "demo")
        program.wait_for("http://demo.example.com")
        for path in ("/one?two", "/%1b[31m"):
            request(self.vhost_port, path, host="demo.example.com")
        program.wait_for(" /one?two")
        program.wait_for(" /%1b[31m")
        self.assertRegex(
            program.lines("/one")[0], r"^\d\d:\d\d:\d\d 200 GET +\d+ ms +\S+ K?i?B /one"
        )
        shown = re.search(r"Requests: (\S+)", program.output())
        assert shown is not None
        link = urlsplit(shown[1])
        assert link.port is not None
        key = link.fragment.removeprefix("key=")
        rows: Any = request(link.port, "/api/admin/requests", user=f":{key}").json()["rows"]
        self.assertEqual([row["path"] for row in rows], ["/%1b[31m", "/one?two"])
        silent = self.quick("http", site, "--no-inspect", "--host", "silent")
        silent.wait_for("http://silent.example.com")
        request(self.vhost_port, "/three", host="silent.example.com")
        self.interrupt(silent)
        self.assertEqual(silent.lines("/three"), [])

    def test_password(self) -> None:
        self.quick_server()
        program = self.quick("http", str(self.local_site("x")), "--auth=me:pw", "--url-file", "url")
        self.assertEqual(self.status(self.url_of(program))[0], 401)

    def test_no_names(self) -> None:
        """A server that has none gives a port."""
        self.quick_server({})
        program = self.quick("http", str(self.local_site("mine")), "--url-file", "url")
        url = self.url_of(program)
        self.assertRegex(url, r"^http://127\.0\.0\.1:\d+$")
        self.assertEqual(self.status(url)[0], 200)

    def test_server_back(self) -> None:
        """What the user is told, and that the name is the same."""
        server = self.quick_server()
        program = self.quick("http", str(self.local_site("mine")), "--url-file", "url")
        url = self.url_of(program)
        server.stop()
        program.wait_for("The server is gone")
        self.quick_server()
        program.wait_for("The server is back")
        self.assertEqual(self.status(url)[0], 200)

    def test_mistakes(self) -> None:
        """One line says what is wrong; the status is 1, or 2 for what makes no sense."""
        self.quick_server()
        wrong = {**self.environ(), "TUNNELSVC_TOKEN": "wrong"}
        nowhere = {**self.environ(), "TUNNELSVC_SERVER": ""}
        site = str(self.local_site("mine"))
        cases: tuple[tuple[int, str, tuple[str, ...], Any], ...] = (
            (1, "token", ("http", site), wrong),
            (2, "TUNNELSVC_SERVER", ("http", site), nowhere),
            (2, "not a port", ("http", "eighty"), None),
            (
                1,
                "should not belong to subdomain host",
                ("http", site, "--host=b.a.example.com"),
                None,
            ),
            (1, "can't be written", ("http", site, "--url-file=no/such/folder"), None),
            (1, "nothing.pem", ("http", site, "--ca=nothing.pem"), None),
        )
        for status, word, args, environ in cases:
            program = self.quick(*args, environ=environ)
            self.assertEqual(program.wait(), status, program.excerpt())
            self.assertIn(word, program.output())


class TCPTests(QuickTestCase):
    """``tunnelsvc tcp``."""

    def test_port(self) -> None:
        self.quick_server()
        service = self.local_service(echo)
        program = self.quick("tcp", f"127.0.0.1:{service.port}", "--quiet")
        program.wait_for("tcp://127.0.0.1:")
        port = urlsplit(program.output().strip()).port
        assert port is not None
        self.assertTrue(serves_echo(port))
        self.interrupt(program)

    def test_terminal(self) -> None:
        """Ctrl-C on a terminal ends it at once, and leaves nothing but what was shown."""
        self.quick_server()
        service = self.local_service(echo)
        mine, its = pty.openpty()
        heed_interrupts()
        process = subprocess.Popen(
            (*ON_TERMINAL, *TUNNELSVC, "tcp", str(service.port), "--url-file", "url"),
            cwd=self.directory, env=self.environ(), stdin=its, stdout=its, stderr=its,
            start_new_session=True,
        )  # fmt: skip
        self.addCleanup(process.kill)
        os.close(its)
        eventually((self.directory / "url").exists, "the URL is known")
        os.write(mine, b"\x03")
        self.assertEqual(process.wait(PATIENCE), 0)
        shown = os.read(mine, 65536).decode()
        self.assertIn("tcp://127.0.0.1:", shown)
        self.assertNotIn("Traceback", shown)
        os.close(mine)


class JupyterTests(QuickTestCase):
    """``tunnelsvc jupyter``."""

    def jupyter(self, *args: str) -> Program:
        """Run it with nothing of this user's own."""
        own = (
            "HOME",
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "IPYTHONDIR",
        )
        environ = {**self.environ(), **{name: str(self.directory / name.lower()) for name in own}}
        return self.quick("jupyter", *args, "--allow-root", environ=environ)

    def test_jupyter(self) -> None:
        """The URL lets in, without its token there is no way, and both end together."""
        require_module("jupyter_server")
        self.quick_server()
        program = self.jupyter("server", "--url-file", "url")
        url = urlsplit(self.url_of(program))
        assert url.port is not None
        host = str(url.hostname)
        kernels = f"/api/kernels?{url.query}"
        self.assertRegex(url.query, "^token=[0-9a-f]{48}$")
        self.assertEqual(request(url.port, kernels, host=host).status, 200)
        self.assertEqual(request(url.port, "/api/kernels", host=host).status, 403)
        (child,) = children_of(program)
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        self.assertNotIn(url.query.removeprefix("token=").encode(), command)
        self.interrupt(program)
        self.assertFalse(Path(f"/proc/{child}").exists())

    def test_open_to_all(self) -> None:
        """A configuration without a token isn't made public."""
        require_module("jupyter_server")
        server = self.quick_server()
        program = self.jupyter("server", "--IdentityProvider.token=", "--url-file", "url")
        self.assertEqual(program.wait(), 1, program.excerpt())
        self.assertIn("lets in who has no token", program.output())
        self.assertEqual(server.lines("client login"), [])

    def test_fails(self) -> None:
        """What Jupyter said is shown."""
        require_module("jupyter_server")
        self.quick_server()
        program = self.jupyter("server", "--ServerApp.port=many")
        self.assertEqual(program.wait(), 1, program.excerpt())
        self.assertIn("Jupyter ended with status", program.output())
        self.assertIn("ServerApp.port", program.output())


def children_of(program: Program) -> list[int]:
    """Give the processes that a program has started."""
    pid = program.process.pid
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]
