# -*- test-case-name: tests.test_remote -*-
"""Tests of `tunnelsvc.remote`, against a small server; tests/e2e and tests/interop have clients."""

import io
import json
import threading
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tests.programs import free_port
from tunnelsvc import remote
from tunnelsvc.remote import RemoteOptions, duration, run_command, table

SSH = {
    "name": "ssh", "type": "tcp", "status": "running", "err": "",
    "local_addr": "127.0.0.1:22", "plugin": "", "remote_addr": "vps:6000",
}  # fmt: skip

STATUS = """\
Proxy Status...

TCP
Name  Status   LocalAddr     Plugin  RemoteAddr  Error
ssh   running  127.0.0.1:22          vps:6000

XYZ
Name  Status   LocalAddr     Plugin  RemoteAddr  Error
new   running  127.0.0.1:22          vps:6000

"""


class Handler(BaseHTTPRequestHandler):
    """Answers every request alike."""

    server: "Server"

    def answer(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers["Authorization"]))
        status, body = self.server.answer
        self.send_response(status)
        self.end_headers()
        if body is not None:
            self.wfile.write(body)
        else:
            self.server.silence.wait(60)

    do_GET = do_POST = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A client that always says the same; None for a body: nothing, for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, str | None]] = []
        self.answer: tuple[int, bytes | None] = (200, b"")
        self.silence = threading.Event()


class CommandTests(SynchronousTestCase):
    """What is asked, what is said, and how it ends."""

    def setUp(self) -> None:
        self.server = Server()
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.silence.set)
        self.path = Path(self.mktemp())
        self.write()

    def write(self, port: int | None = None, **more: str) -> None:
        number = self.server.server_port if port is None else port
        lines = ["[common]", f"admin_port = {number}"]
        lines += [f"{key} = {value}" for key, value in more.items()]
        self.path.write_text("\n".join(lines), encoding="utf-8")

    def run_command(self, name: str, *arguments: str) -> tuple[int, str, str]:
        """Run it; return the exit status, and what is on the two outputs."""
        options = RemoteOptions()
        options.parseOptions(["-c", str(self.path), *arguments])
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try:
                status = run_command(name, options)
            except SystemExit as end:
                assert isinstance(end.code, int)
                status = end.code
        return status, out.getvalue(), err.getvalue()

    def check_failure(self, name: str, *texts: str, arguments: tuple[str, ...] = ()) -> None:
        status, out, err = self.run_command(name, *arguments)
        self.assertEqual((status, out), (1, ""))
        self.assertTrue(err.startswith(("tunnelsvc: ", str(self.path))), err)
        self.assertEqual(err.count("\n"), 1)
        for text in texts:
            self.assertIn(text, err)

    def test_reload(self) -> None:
        self.assertEqual(self.run_command("reload"), (0, "reload success\n", ""))
        self.assertEqual(self.server.asked, [("GET", "/api/reload?strictConfig=true", None)])

    def test_not_strict(self) -> None:
        """As for the client itself: a key that nobody knows is no error then."""
        port = self.server.server_port
        self.path.write_text(f"webServer.port = {port}\nnonsense = 1\n", encoding="utf-8")
        self.check_failure("reload", "nonsense: unknown key")
        status, out, _ = self.run_command("reload", "--strict_config=false")
        self.assertEqual((status, out), (0, "reload success\n"))
        self.assertEqual(self.server.asked, [("GET", "/api/reload", None)])

    def test_reload_of_ours(self) -> None:
        said = {"Code": 200, "Msg": "success", "warnings": ["w"], "remarks": ["r"]}
        self.server.answer = (200, json.dumps(said).encode())
        self.assertEqual(self.run_command("reload"), (0, "reload success\n", "w\nr\n"))

    def test_stop(self) -> None:
        self.assertEqual(self.run_command("stop"), (0, "stop success\n", ""))
        self.assertEqual(self.server.asked, [("POST", "/api/stop", None)])

    def test_status(self) -> None:
        """In frpc's order; one of 0.33 names all types, and a newer one may have more."""
        shape = {"xyz": [{**SSH, "name": "new"}], "http": [], "udp": None, "tcp": [SSH]}
        self.server.answer = (200, json.dumps(shape).encode())
        self.assertEqual(
            self.run_command("status"),
            (0, STATUS, ""),
        )

    def test_no_proxies(self) -> None:
        self.server.answer = (200, b"{}")
        self.assertEqual(self.run_command("status"), (0, "Proxy Status...\n\n", ""))

    def test_password(self) -> None:
        self.write(admin_user="Aladdin", admin_pwd="open sesame")
        self.run_command("stop")
        self.assertEqual(self.server.asked[0][2], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")

    def test_errors_of_the_client(self) -> None:
        self.server.answer = (400, b'{"Code":400,"Msg":"frpc.ini:1: no"}')
        self.check_failure("reload", "api status code [400], frpc.ini:1: no")
        self.server.answer = (401, b"Unauthorized\n")
        self.check_failure("reload", "api status code [401], Unauthorized")
        self.server.answer = (500, b"")
        self.check_failure("stop", "api status code [500]\n")
        self.server.answer = (404, b'["?"]')
        self.check_failure("stop", 'api status code [404], ["?"]')

    def test_something_else_answers(self) -> None:
        for body in (b"", b"<html>", b"[]", b'{"tcp": 7}', b'{"tcp": [7]}', b"\xff", b"7"):
            self.server.answer = (200, body)
            self.check_failure("status", "is that its admin_port?")

    def test_too_much(self) -> None:
        self.patch(remote, "MOST_BYTES", 1000)
        self.server.answer = (200, b" " * 100_000)
        self.check_failure("status", "more than 1000 bytes")

    def test_no_answer(self) -> None:
        self.server.answer = (200, None)
        url = f"http://127.0.0.1:{self.server.server_port}"
        self.check_failure("status", f"{url}: timed out", arguments=("--api-timeout", "100ms"))

    def test_nobody_is_there(self) -> None:
        port = free_port()
        self.write(port)
        where = f"http://127.0.0.1:{port}: Connection refused; does the client run?"
        self.check_failure("status", where)

    def test_where(self) -> None:
        """All addresses are this machine's; ours without a password listens on loopback only."""
        for addr in ("0.0.0.0", "127.0.0.1", "127.0.0.7"):
            self.write(admin_addr=addr)
            self.assertEqual(self.run_command("stop")[0], 0, addr)
        self.write(admin_addr="127.0.0.7", admin_pwd="p")
        self.check_failure("stop", "http://127.0.0.7:")

    def test_no_port(self) -> None:
        self.write(0)
        for name in ("reload", "status", "stop"):
            self.check_failure(
                name, "web server port should be set if you want to use this feature"
            )
        self.assertEqual(self.server.asked, [])

    def test_a_bad_file(self) -> None:
        self.path.write_text("[common]\nadmin_port = x\n", encoding="utf-8")
        self.check_failure("status", "[common] admin_port = x")

    def test_a_bad_certificate(self) -> None:
        self.write(admin_tls_cert_file="nowhere", admin_tls_key_file="nowhere")
        self.check_failure("status", "https://127.0.0.1:", "No such file")


class OptionsTests(SynchronousTestCase):
    def test_times(self) -> None:
        for text, seconds in {
            "30s": 30.0, "500ms": 0.5, "1m": 60.0, "7": 7.0, "1.5s": 1.5, "60m": 3600.0,
        }.items():  # fmt: skip
            self.assertEqual(duration(text), seconds)
        for text in ("", "0", "0s", "-1s", "s", "1h", "61m", "1 s", "nan", "1s2", "1e9", "١s"):
            self.assertRaises(ValueError, duration, text)

    @given(st.text(max_size=8))
    def test_any_text(self, text: str) -> None:
        try:
            seconds = duration(text)
        except ValueError:
            return
        self.assertTrue(0 < seconds <= remote.MOST_SECONDS)

    def test_command_line(self) -> None:
        options = RemoteOptions()
        options.parseOptions([])
        self.assertEqual((options.path, options.seconds, options.strict), ("frpc.ini", 30.0, True))
        with self.assertRaises(UsageError) as raised:
            RemoteOptions().parseOptions(["--api-timeout", "long"])
        self.assertEqual(str(raised.exception), "--api-timeout long: not a time such as 30s")


class TableTests(SynchronousTestCase):
    def test_columns(self) -> None:
        """As wide as the widest in each; what an older one doesn't say is empty."""
        rows: list[dict[str, Any]] = [{"name": "a-long-name"}, {"name": "b", "err": "e"}]
        self.assertEqual(
            table(rows).splitlines(),
            [
                "Name         Status  LocalAddr  Plugin  RemoteAddr  Error",
                "a-long-name",
                "b                                                   e",
            ],
        )

    def test_nothing_is_sent_to_the_terminal(self) -> None:
        """Errors are the server's words."""
        shown = table([{"name": "a", "err": "\x1b[2Jgone\nb"}])
        self.assertNotIn("\x1b", shown)
        self.assertEqual(len(shown.splitlines()), 2)
