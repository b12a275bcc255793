# -*- test-case-name: tests.admin.test_clientapi -*-
"""Tests of `tunnelsvc.admin.clientapi`."""

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientsupport import SECURED, AdminTester
from tests.admin.support import RIGHT, Answer
from tunnelsvc.admin.clientweb import MOST_BODY_BYTES, MOST_DROPPED_BYTES
from tunnelsvc.config.schema import AdminConfig
from tunnelsvc.errors import ConfigError

FILE = """\
[common]
server_addr = vps
token = hunter2

[ssh]
local_port = 22
"""


class APICase(SynchronousTestCase):
    """A client with a file."""

    admin = AdminConfig(port=7400)

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.file = directory / "frpc.ini"
        self.file.write_text(FILE, encoding="utf-8")
        self.tester = AdminTester(str(self.file), self.admin)
        self.client = self.tester.client

    def check_error(self, answer: Answer, code: int, message: str) -> None:
        self.assertEqual(answer.status, code)
        self.assertEqual(answer.json["Code"], code)
        self.assertIn(message, answer.json["Msg"])


class APITests(APICase):
    """What each path does."""

    def test_status(self) -> None:
        answer = self.tester.ask("/api/status")
        self.assertEqual(answer.status, 200)
        (proxy,) = answer.json["tcp"]
        self.assertEqual((proxy["name"], proxy["remote_addr"]), ("ssh", "vps:6000"))

    def test_reload(self) -> None:
        answer = self.tester.ask("/api/reload")
        self.assertEqual(answer.status, 200)
        self.assertEqual(
            answer.json,
            {
                "Code": 200,
                "Msg": "success",
                "proxies": {"removed": [], "added": ["web"], "unchanged": ["ssh"]},
                "visitors": {"removed": [], "added": [], "unchanged": []},
                "remarks": ["token changed: needs a restart"],
                "warnings": ["a warning"],
            },
        )

    def test_strict_reload(self) -> None:
        for query in ("", "?strictConfig=", "?strictConfig=false", "?strictConfig=true"):
            self.tester.ask(f"/api/reload{query}")
        self.assertEqual(self.client.strict, [False, False, False, True])

    def test_reload_of_a_bad_file(self) -> None:
        self.client.problem = ConfigError(["one", "two"])
        self.check_error(self.tester.ask("/api/reload"), 400, "one\ntwo")

    def test_stop(self) -> None:
        answer = self.tester.ask("/api/stop", "POST")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(self.client.stops, 1)
        self.assertEqual(self.tester.ask("/api/stop").status, 405)
        self.assertEqual(self.client.stops, 1)

    def test_definitions(self) -> None:
        answer = self.tester.ask("/api/proxy/ssh/config")
        self.assertEqual(answer.json["tcp"]["remotePort"], 6000)
        self.check_error(self.tester.ask("/api/proxy/x/config"), 404, 'proxy "x" not found')
        self.check_error(self.tester.ask("/api/visitor/ssh/config"), 404, 'visitor "ssh" not found')

    def test_no_store(self) -> None:
        for path in ("proxies", "proxies/x", "visitors", "visitors/x"):
            for method in ("GET", "POST", "PUT", "DELETE"):
                answer = self.tester.ask(f"/api/store/{path}", method)
                self.check_error(answer, 404, "store API is disabled")

    def test_health(self) -> None:
        answer = self.tester.ask("/healthz", host="anything.example")
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_what_there_is_not(self) -> None:
        self.check_error(self.tester.ask("/api/nothing"), 404, "no such path")
        answer = self.tester.ask("/api/status", "DELETE")
        self.check_error(answer, 405, "method not allowed")
        self.assertEqual(answer.headers["Allow"], "GET, HEAD")
        self.assertEqual(self.tester.ask("/nothing").status, 404)


class FileTests(APICase):
    """Reading and exchanging the file."""

    admin = SECURED

    def get(self) -> Answer:
        return self.tester.ask("/api/config", Authorization=RIGHT.decode())

    def put(self, content: bytes) -> Answer:
        return self.tester.ask("/api/config", "PUT", content, Authorization=RIGHT.decode())

    def test_get(self) -> None:
        """Who has the password gets the file."""
        answer = self.get()
        self.assertEqual((answer.status, answer.body.decode()), (200, FILE))
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")

    def test_no_file(self) -> None:
        self.file.unlink()
        self.check_error(self.get(), 400, "can't be read")

    def test_put(self) -> None:
        new = FILE.replace("22", "2222")
        answer = self.put(new.encode())
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(self.file.read_text(encoding="utf-8"), new)
        self.assertEqual(self.client.strict, [], "it was reloaded")

    def test_put_keeps_the_mode(self) -> None:
        self.file.chmod(0o600)
        self.put(FILE.encode())
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)

    def test_put_nothing(self) -> None:
        self.check_error(self.put(b""), 400, "body can't be empty")

    def test_put_something_wrong(self) -> None:
        answer = self.put(FILE.replace("22", "many").replace("token", "tls_enable").encode())
        self.check_error(answer, 400, f"{self.file}:6: [ssh] local_port = many")
        self.assertIn("tls_enable", answer.json["Msg"])
        self.assertNotIn(".frpc.ini.", answer.json["Msg"])
        self.assertEqual(self.file.read_text(encoding="utf-8"), FILE)
        self.assertEqual([path.name for path in self.file.parent.iterdir()], ["frpc.ini"])

    def test_put_too_much(self) -> None:
        answer = self.put(FILE.encode() + b"#" * MOST_BODY_BYTES)
        self.check_error(answer, 413, "longer than")
        self.assertEqual(self.file.read_text(encoding="utf-8"), FILE)

    def test_put_without_end(self) -> None:
        """Nobody reads all of it, and none of it is kept."""
        channel = self.tester.connect()
        channel.dataReceived(
            b"PUT /api/config HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b"#" * 0x10000 + b"\r\n"
        sent = 0
        while not self.tester.transport.disconnecting and sent < 2 * MOST_DROPPED_BYTES:
            channel.dataReceived(chunk)
            sent += len(chunk)
        self.assertTrue(self.tester.transport.disconnecting)
        self.assertLess(sent, MOST_DROPPED_BYTES + 2 * len(chunk))

    def test_the_longest(self) -> None:
        content = FILE.encode() + b"\n#" * 100_000
        self.assertEqual(self.put(content.ljust(MOST_BODY_BYTES, b"\n")).status, 200)

    def test_cannot_be_written(self) -> None:
        self.file.unlink()
        self.file.parent.rmdir()
        self.check_error(self.put(FILE.encode()), 500, "can't be written: No such file")

    def test_without_the_password(self) -> None:
        for method in ("GET", "PUT"):
            self.assertEqual(self.tester.ask("/api/config", method).status, 401)
        self.assertEqual(self.tester.ask("/healthz").status, 200)
        self.tester.gate.close()  # type: ignore[union-attr]


class HiddenTests(APICase):
    """Without a password there are no secrets to be had, and none get lost."""

    def test_there_and_back(self) -> None:
        shown = self.tester.ask("/api/config").body.decode()
        self.assertNotIn("hunter2", shown)
        self.assertIn("server_addr = vps", shown)
        new = shown.replace("port = 22", "port = 2222")
        self.assertEqual(self.tester.ask("/api/config", "PUT", new.encode()).status, 200)
        self.assertEqual(self.file.read_text(encoding="utf-8"), FILE.replace("22", "2222"))

    def test_a_secret_that_is_gone(self) -> None:
        shown = self.tester.ask("/api/config").body
        self.file.write_text(FILE.replace("hunter2", "hunter3"), encoding="utf-8")
        answer = self.tester.ask("/api/config", "PUT", shown)
        self.check_error(answer, 400, "isn't in the file any more")

    def test_a_mark_that_was_changed(self) -> None:
        """It doesn't become the token."""
        shown = self.tester.ask("/api/config").body.decode()
        for before, after in (("token = ***", "token = ***22"), ("***\n", "0***\n")):
            answer = self.tester.ask("/api/config", "PUT", shown.replace(before, after).encode())
            self.check_error(answer, 400, "isn't in the file any more")
        self.assertEqual(self.file.read_text(encoding="utf-8"), FILE)

    def test_not_utf_8(self) -> None:
        self.check_error(self.tester.ask("/api/config", "PUT", b"\xff"), 400, "not UTF-8")
        self.file.write_bytes(b"# \xff\n" + FILE.encode())
        self.check_error(self.tester.ask("/api/config"), 400, "not UTF-8")

    def test_no_file_to_take_secrets_from(self) -> None:
        shown = self.tester.ask("/api/config").body
        self.file.unlink()
        self.check_error(self.tester.ask("/api/config", "PUT", shown), 400, "can't be read")
