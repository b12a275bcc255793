# -*- test-case-name: tests.admin.test_clientconfig -*-
"""Tests of `tunnelsvc.admin.clientconfig`, by the API."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientanswers import wrong_with
from tests.admin.clientsupport import OPEN, SECURED, AdminTester
from tests.admin.support import basic
from tunnelsvc.admin import configfile
from tunnelsvc.admin.clientconfig import MOST_DIFFED_LINES
from tunnelsvc.config.legacy import MAX_FILE_BYTES
from tunnelsvc.errors import ConfigError

FILE = """\
[common]
server_addr = vps
token = s3cret

[ssh]
type = tcp
local_port = 22
remote_port = 6000
"""
SECRET = basic("admin:secret").decode()


class ConfigCase(SynchronousTestCase):
    """A file, and who edits it on the page."""

    config = SECURED

    def setUp(self) -> None:
        path = Path(self.mktemp())
        path.mkdir()
        self.path = path / "frpc.ini"
        self.path.write_text(FILE)
        self.tester = AdminTester(str(self.path), self.config)

    def ask(self, path: str, method: str = "GET", body: object = None) -> Any:
        return self.tester.ask_json(f"/api/admin/{path}", method, body)

    def get(self) -> Any:
        answer = self.ask("config")
        self.assertEqual(answer.status, 200)
        self.assertEqual(wrong_with(answer.json, "Config"), [])
        return answer.json

    def check(self, text: str) -> Any:
        answer = self.ask("config/check", "POST", {"text": text})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(wrong_with(answer.json, "Checked"), [])
        self.assertEqual(self.path.read_text(), FILE)
        return answer.json

    def put(self, text: str, etag: str | None = None) -> Any:
        return self.ask("config", "PUT", {"text": text, "etag": etag or self.get()["etag"]})


class CheckTests(ConfigCase):
    """Nothing is written."""

    def test_shown(self) -> None:
        shape = self.get()
        self.assertEqual((shape["text"], shape["path"]), (FILE, str(self.path)))
        self.assertFalse(shape["hidden"])

    def test_the_same(self) -> None:
        self.assertEqual(
            self.check(FILE),
            {
                "problems": [],
                "warnings": [],
                "diff": "",
                "changes": {"added": [], "removed": [], "changed": []},
                "remarks": ["token changed: needs a restart"],  # the fake one has none
            },
        )

    def test_changes(self) -> None:
        text = FILE.replace("local_port = 22", "local_port = 23")
        text += "[web]\ntype = http\nlocal_port = 80\nsubdomain = w\n"
        shape = self.check(text)
        self.assertEqual(shape["changes"], {"added": ["web"], "removed": [], "changed": ["ssh"]})
        self.assertIn("-local_port = 22\n+local_port = 23\n", shape["diff"])
        shape = self.check(FILE.partition("[ssh]")[0])
        self.assertEqual(shape["changes"]["removed"], ["ssh"])
        self.assertIn("no proxies", shape["warnings"][0])
        self.assertTrue(shape["warnings"][0].startswith(f"{self.path}: "), shape["warnings"])

    def test_problems(self) -> None:
        """With the name of the file, and the line."""
        shape = self.check(FILE + "[x]\ntype = http\n")
        self.assertEqual(len(shape["problems"]), 1)
        self.assertTrue(shape["problems"][0].startswith(f"{self.path}:"), shape["problems"])
        self.assertEqual(shape["changes"], {"added": [], "removed": [], "changed": []})
        self.assertIn("+type = http\n", shape["diff"])

    def test_nothing_is_left_behind(self) -> None:
        self.check("nonsense")
        self.assertEqual(list(self.path.parent.iterdir()), [self.path])

    def test_without_a_line_end(self) -> None:
        diff = self.check(FILE + "[x]\nlocal_port = 1")["diff"]
        self.assertTrue(diff.endswith("+local_port = 1\n"), diff)

    def test_long_ones_are_not_compared(self) -> None:
        shape = self.check("# x\n" * (MOST_DIFFED_LINES + 1) + FILE)
        self.assertEqual(shape["diff"], "(too long to be compared)\n")

    def test_no_texts(self) -> None:
        bodies: list[object] = [{}, {"text": 1}, {"text": "\ud800"}, [], "x", None]
        for body in bodies:
            answer = self.ask("config/check", "POST", body)
            self.assertEqual(answer.status, 400, body)
        answer = self.ask("config/check", "POST", {"text": "x" * MAX_FILE_BYTES})
        self.assertEqual(answer.status, 413)


class PutTests(ConfigCase):
    """The file is exchanged."""

    def test_exchanged_and_reloaded(self) -> None:
        self.path.chmod(0o640)
        text = FILE.replace("6000", "6001")
        answer = self.put(text)
        self.assertEqual(answer.status, 200)
        self.assertEqual(wrong_with(answer.json, "Checked"), [])
        self.assertEqual(self.path.read_text(), text)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)
        self.assertEqual(self.tester.client.strict, [None])
        self.assertEqual(answer.json["etag"], self.get()["etag"])
        self.assertEqual(answer.json["changes"]["changed"], ["ssh"])

    def test_changed_meanwhile(self) -> None:
        etag = self.get()["etag"]
        self.path.write_text(FILE + "# by somebody else\n")
        answer = self.put(FILE, etag)
        self.assertEqual((answer.status, answer.json["Code"]), (409, 409))
        self.assertIn("load it again", answer.json["Msg"])
        self.assertIn("somebody else", self.path.read_text())

    def test_something_wrong(self) -> None:
        answer = self.put("[common]\nserver_port = x\n")
        self.assertEqual(answer.status, 200)
        self.assertEqual(len(answer.json["problems"]), 1)
        self.assertNotIn("etag", answer.json)
        self.assertEqual(self.path.read_text(), FILE)
        self.assertEqual(self.tester.client.strict, [])

    def test_cannot_be_used_after_all(self) -> None:
        """A file of a plugin, say, that only the client finds missing."""
        self.tester.client.problem = ConfigError(["certificate is gone"])
        answer = self.put(FILE + "# new\n")
        self.assertEqual((answer.status, answer.json["Msg"]), (400, "certificate is gone"))

    def test_cannot_be_written(self) -> None:
        for number, code in ((errno.ENOSPC, 500), (errno.EACCES, 403), (errno.EROFS, 403)):
            why = OSError(number, os.strerror(number))

            def refused(*_: object, why: OSError = why) -> None:
                raise why

            self.patch(configfile, "replace", refused)
            answer = self.put(FILE + "# new\n")
            self.assertEqual(answer.status, code)
            self.assertEqual(answer.json["Msg"], f"{self.path} can't be written: {why.strerror}")

    def test_reload(self) -> None:
        answer = self.ask("reload", "POST", {})
        self.assertEqual(answer.status, 200)
        self.assertEqual(wrong_with(answer.json, "Reloaded"), [])
        self.assertEqual(answer.json["proxies"]["added"], ["web"])
        self.tester.client.problem = ConfigError(["it is wrong"])
        answer = self.ask("reload", "POST", {})
        self.assertEqual((answer.status, answer.json["Msg"]), (400, "it is wrong"))


class HiddenTests(ConfigCase):
    """Without a password secrets of the file are hidden, and put back."""

    config = OPEN

    def test_there_and_back(self) -> None:
        shape = self.get()
        self.assertTrue(shape["hidden"])
        self.assertNotIn("s3cret", shape["text"])
        text = shape["text"].replace("6000", "6001")
        checked = self.check(text)
        self.assertEqual(checked["changes"]["changed"], ["ssh"])
        self.assertNotIn("s3cret", checked["diff"])
        self.assertNotIn("token", checked["diff"].partition("-remote_port")[2])
        self.assertEqual(self.put(text).status, 200)
        self.assertEqual(self.path.read_text(), FILE.replace("6000", "6001"))

    def test_a_mark_of_nothing(self) -> None:
        shape = self.check(FILE.replace("s3cret", "***0123456789abcdef***"))
        self.assertIn("stands for a secret that isn't in the file", shape["problems"][0])


class OddFileTests(ConfigCase):
    """Files that can't be shown."""

    def test_no_file(self) -> None:
        self.tester.client.path = ""
        for path, method, body in (
            ("config", "GET", None),
            ("config/check", "POST", {"text": ""}),
            ("config", "PUT", {"text": "", "etag": ""}),
            ("reload", "POST", {}),
        ):
            answer = self.ask(path, method, body)
            self.assertEqual(answer.status, 404, path)
            self.assertEqual(answer.json["Msg"], "this client has no configuration file")

    def test_gone(self) -> None:
        self.path.unlink()
        self.assertEqual(self.ask("config").status, 404)

    def test_not_utf_8(self) -> None:
        self.path.write_bytes(b"\xff")
        self.assertEqual(self.ask("config").status, 400)

    def test_byte_order_mark(self) -> None:
        self.path.write_text("\ufeff" + FILE)
        self.assertEqual(self.get()["text"], FILE)
