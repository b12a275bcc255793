# -*- test-case-name: tests.quick.test_program -*-
"""Tests of `tunnelsvc.quick.program`."""

import sys
from io import StringIO
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from tests.quick.support import make_plan
from tests.streams import MemoryStream
from tunnelsvc.client.status import LinkStatus
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.quick import program as module
from tunnelsvc.quick.opening import Opening
from tunnelsvc.quick.options import TCPOptions
from tunnelsvc.quick.program import SLOW_SECONDS, QuickProgram, make_program
from tunnelsvc.quick.screen import Screen

URL = "http://a.example.com:8080"


class Lost:
    """A client that isn't let in any more, and who waits for it."""

    @property
    def client(self) -> "Lost":
        return self

    def link_status(self) -> LinkStatus:
        return LinkStatus("a.example:7000", error="blocked by the server's administrator")


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

    def test_waiting(self) -> None:
        """After a while it is told for whom, unless the service can be reached by then."""
        for is_open in False, True:
            program = self.composed()
            if is_open:
                program._opened(make_plan(), URL)
            self.output.truncate(0)
            self.reactor.advance(SLOW_SECONDS)
            self.assertEqual("Waiting for 127.0.0.1:1..." in self.output.getvalue(), not is_open)

    def test_why_it_is_not_back(self) -> None:
        """A server that won't have us any more is told from one that is away for a moment."""
        for is_back in False, True:
            program = self.program("")
            program._opened(make_plan(), URL)
            program._lost(cast("Opening", Lost()))
            if is_back:
                program._opened(make_plan(), URL)
            self.output.truncate(0)
            self.reactor.advance(SLOW_SECONDS)
            told = self.output.getvalue()
            self.assertEqual("blocked by the server's administrator" in told, not is_back)
            self.assertEqual("can allow it again" in told, not is_back)

    def test_never_waited(self) -> None:
        program = self.composed()
        program._stop_waiting()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def composed(self) -> QuickProgram:
        options = TCPOptions()
        options.environ = {"TUNNELSVC_SERVER": "127.0.0.1:1"}
        options.parseOptions(["22"])
        self.reactor = MemoryReactorClock()
        program = make_program(options, self.reactor)
        program.screen = Screen(output=self.output)
        return program

    def test_service_not_there(self) -> None:
        """It may come later; the tunnel is open all the same."""
        program = self.program("")
        self.patch(module, "dial_service", lambda *_: fail(LocalServiceUnavailable("no")))
        program._opened(make_plan(), URL)
        self.assertIn("Nothing answers at 127.0.0.1:8888 yet.", self.output.getvalue())
        self.assertEqual(program.exit_status, 0)

    def test_service_there(self) -> None:
        program = self.program("")
        stream = MemoryStream("service")
        self.patch(module, "dial_service", lambda *_: succeed(stream))
        program._opened(make_plan(), URL)
        self.assertNotIn("yet", self.output.getvalue())
        self.assertTrue(stream.closing)

    def test_ends_while_it_looks(self) -> None:
        program = self.program("")
        looking: Deferred[Any] = Deferred()
        self.patch(module, "dial_service", lambda *_: looking)
        program._opened(make_plan(), URL)
        program.stopService()
        self.assertNotIn("yet", self.output.getvalue())
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_what_to_do(self) -> None:
        """Besides what is wrong."""
        program = self.program("")
        program._not_let_in("login to server failed: authorization failed [x:7000]")
        program._refused("the server refuses tcp-x: port not allowed")
        self.assertIn("tunnelsvc: The token isn't the server's.", self.errors.getvalue())
        self.assertIn("allow_ports", self.errors.getvalue())
        program._refused("something new")
        self.assertTrue(self.errors.getvalue().endswith("something new\n"))


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
