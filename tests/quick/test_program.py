# -*- test-case-name: tests.quick.test_program -*-
"""Tests of `tunnelsvc.quick.program`."""

import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from tests.quick.support import make_plan
from tunnelsvc.quick.options import TCPOptions
from tunnelsvc.quick.program import QuickProgram, make_program
from tunnelsvc.quick.screen import Screen

URL = "http://a.example.com:8080"


class ProgramTests(SynchronousTestCase):
    """What people and scripts are told, and when."""

    def setUp(self) -> None:
        self.output = StringIO()
        self.errors = StringIO()
        self.patch(sys, "stderr", self.errors)
        self.file = Path(self.mktemp())

    def program(self, url_file: str) -> QuickProgram:
        self.reactor: Any = MemoryReactorClock()
        return QuickProgram(Screen(output=self.output), url_file, self.reactor)

    def test_told_once(self) -> None:
        """After another login it is news only if it is elsewhere."""
        program = self.program(str(self.file))
        for url in (URL, URL, "http://b.example.com"):
            program._opened(make_plan(), url)
        self.assertEqual(self.output.getvalue().count(URL), 1)
        self.assertEqual(self.output.getvalue().count("The server is back."), 1)
        self.assertEqual(self.file.read_text(encoding="ascii"), "http://b.example.com\n")

    def test_file_goes_with_it(self) -> None:
        program = self.program(str(self.file))
        program._opened(make_plan(), URL)
        self.assertTrue(self.file.exists())
        program.stopService()
        self.assertFalse(self.file.exists())

    def test_no_file(self) -> None:
        program = self.program("")
        program._opened(make_plan(), URL)
        program.stopService()
        self.assertEqual(program.exit_status, 0)

    def test_file_not_writable(self) -> None:
        """A script would wait for it for ever."""
        program = self.program(str(self.file / "url"))
        program._opened(make_plan(), URL)
        self.assertEqual(program.exit_status, 1)
        self.assertIn("tunnelsvc: --url-file", self.errors.getvalue())
        self.assertEqual(self.output.getvalue(), "")

    def test_page(self) -> None:
        program = self.program(str(self.file))
        program.page = "/lab?token=x"
        program._opened(make_plan(), URL)
        self.assertEqual(self.file.read_text(encoding="ascii"), f"{URL}/lab?token=x\n")

    def test_log(self) -> None:
        """What goes wrong is beside what is shown."""
        program = self.program("")
        observer = program.open_log(program.log_config)
        observer({"log_level": LogLevel.error, "log_format": "hm", "log_namespace": "x"})
        self.assertIn("hm", self.errors.getvalue())

    def test_composed(self) -> None:
        options = TCPOptions()
        options.environ = {"TUNNELSVC_SERVER": "127.0.0.1:1"}
        options.parseOptions(["22"])
        self.assertEqual(len(make_program(options, MemoryReactorClock()).services), 2)

    def test_configuration_that_cannot_be(self) -> None:
        options = TCPOptions()
        options.environ = {"TUNNELSVC_SERVER": "127.0.0.1:x"}
        options.parseOptions(["22"])
        error = self.assertRaises(SystemExit, make_program, options, MemoryReactorClock())
        self.assertEqual(error.code, 1)
        self.assertIn("TUNNELSVC_SERVER", self.errors.getvalue())


class AdviceTests(SynchronousTestCase):
    """How what isn't a web site is used."""

    def advice(self, url: str, **changes: Any) -> str:
        output = StringIO()
        program = QuickProgram(Screen(output=output), "", MemoryReactorClock())
        program._opened(make_plan(**changes), url)
        return output.getvalue()

    def test_ssh(self) -> None:
        shown = self.advice("tcp://x.example:6000", kind="tcp", is_web=False, target_port=22)
        self.assertIn("ssh -p 6000 USER@x.example", shown)

    def test_others(self) -> None:
        shown = self.advice("tcp://x.example:6000", kind="tcp", is_web=False, target_port=23)
        self.assertNotIn("ssh", shown)
        self.assertNotIn("ssh", self.advice(URL))
