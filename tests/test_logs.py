# -*- test-case-name: tests.test_logs -*-
"""Tests of `tunnelsvc.logs`."""

import io
import re
import time
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.loglines import LogLines
from tunnelsvc.errors import ConfigError
from tunnelsvc.logs import LEVELS, MOST_FIELD_CHARACTERS, DailyFile, format_line, make_observer
from tunnelsvc.units import DAY

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \[[DIWE]\] \[\S+\] .*\n")

NOON = time.mktime((2026, 7, 20, 12, 0, 0, 0, 0, -1))


def event(message: str, **fields: Any) -> dict[str, Any]:
    return {"log_format": "{message}", "message": message, "log_time": NOON, **fields}


class Terminal(io.StringIO):
    """A console that shows colours."""

    def isatty(self) -> bool:
        return True


class LineTests(SynchronousTestCase):
    """How an event looks."""

    def test_line(self) -> None:
        line = format_line(
            event(
                "[ssh] start proxy success",
                log_level=LogLevel.info,
                log_time=NOON + 0.8125,
                log_namespace="tunnelsvc.client.registration.Registration",
            )
        )
        self.assertEqual(
            line, "2026-07-20 12:00:00.812 [I] [client/registration] [ssh] start proxy success\n"
        )

    def test_who_speaks(self) -> None:
        """A class or module of ours is shown as its file; anybody else as they call themselves."""
        for namespace, shown in {
            "tunnelsvc.runner.Program": "runner",
            "tunnelsvc.server.proxies.base.Proxy": "server/proxies/base",
            "tunnelsvc": "tunnelsvc",
            "tunnelsvc.logs": "logs",
            "tunnelsvc.gateway.http2.connection.HTTP2Connection": "gateway/http2/connection",
            "tunnelsvc.client.health._Monitor": "client/health",
            "twisted.web.http.HTTPFactory": "twisted.web.http.HTTPFactory",
            "stderr": "stderr",
        }.items():
            line = format_line(event("x", log_namespace=namespace))
            self.assertIn(f" [{shown}] x\n", str(line))

    def test_letters(self) -> None:
        for level, letter in {
            LogLevel.debug: "D",
            LogLevel.info: "I",
            LogLevel.warn: "W",
            LogLevel.error: "E",
            LogLevel.critical: "E",
        }.items():
            self.assertIn(f" [{letter}] ", str(format_line(event("x", log_level=level))))

    def test_color(self) -> None:
        line = format_line(event("x", log_level=LogLevel.error), color=True)
        self.assertIn(" \x1b[1;31m[E]\x1b[0m ", str(line))

    def test_nothing_to_say(self) -> None:
        self.assertIsNone(format_line({"log_level": LogLevel.info}))

    def test_time_missing(self) -> None:
        self.assertRegex(str(format_line({"log_format": "x"})), LINE)

    def test_forged_line(self) -> None:
        """A name with a line feed or an escape sequence stays in its line, harmless."""
        line = str(format_line(event("bad\n2026-01-01 [E] \x1b[2J\x9b\x7fend")))
        self.assertEqual(line.count("\n"), 1)
        self.assertTrue(line.endswith(r"bad\x0a2026-01-01 [E] \x1b[2J\x9b\x7fend" + "\n"))

    def test_traceback(self) -> None:
        try:
            raise ValueError("first\nsecond \x1b[2J")
        except ValueError:
            failure = Failure()
        line = format_line(event("broken", log_level=LogLevel.critical, log_failure=failure))
        first, *rest = str(line).splitlines()
        self.assertTrue(first.endswith("broken"))
        self.assertIn("\tTraceback (most recent call last):", rest)
        self.assertTrue(all(text.startswith("\t") for text in rest))
        self.assertNotIn("\x1b", str(line))

    @given(st.text(), st.sampled_from(list(LogLevel.iterconstants())))
    def test_any_message_is_one_line(self, message: str, level: Any) -> None:
        line = format_line(event(message, log_level=level, log_namespace="n"))
        if line is None:
            self.assertEqual(message, "")
        else:
            self.assertRegex(line, LINE)
            self.assertEqual(line[:-1].translate({0x2028: "", 0x2029: ""}).splitlines()[1:], [])


class LongFieldTests(SynchronousTestCase):
    """What a peer chose does not fill the disk."""

    def test_clipped(self) -> None:
        fields = {"name": "x" * 9000, "state": "fine"}
        line = str(format_line({"log_format": "proxy {name} is {state}", **fields}))
        self.assertIn("x" * MOST_FIELD_CHARACTERS + "... is fine", line)
        self.assertLess(len(line), MOST_FIELD_CHARACTERS + 200)

    def test_errors_are_clipped(self) -> None:
        """They repeat what a peer said."""
        line = str(format_line({"log_format": "refused: {why}", "why": ValueError("x" * 9000)}))
        self.assertIn("refused: " + "x" * MOST_FIELD_CHARACTERS + "...", line)
        self.assertLess(len(line), MOST_FIELD_CHARACTERS + 200)

    def test_our_own_words_are_not(self) -> None:
        words = "word " * 300
        self.assertIn(words.strip(), str(format_line({"log_format": words})))


class ObserverTests(SynchronousTestCase):
    """What a configuration gives."""

    def logged(self, observer: ILogObserver, namespace: str = "test") -> None:
        log = Logger(namespace=namespace, observer=LogPublisher(observer))
        for level in ("debug", "info", "warn", "error"):
            getattr(log, level)("{text}", text=f"a {level} line")

    def lines(self, level: str, namespace: str = "test") -> list[str]:
        console = io.StringIO()
        self.logged(make_observer(level=level, stdout=console), namespace)
        return [line.split()[-2] for line in console.getvalue().splitlines()]

    def test_interface(self) -> None:
        self.assertTrue(verifyObject(ILogObserver, make_observer()))

    def test_levels(self) -> None:
        everything = ["debug", "info", "warn", "error"]
        shown = {level: self.lines(level) for level in LEVELS}
        self.assertEqual(
            shown,
            {
                "trace": everything,
                "debug": everything,
                "info": everything[1:],
                "warn": everything[2:],
                "error": everything[3:],
            },
        )

    def test_another_level(self) -> None:
        """As if it had been that one from the start."""
        for first in LEVELS:
            for then in LEVELS:
                for namespace in ("test", "log_legacy"):
                    console = io.StringIO()
                    observer = make_observer(level=first, stdout=console)
                    observer.show_from(LEVELS[then])
                    self.logged(observer, namespace)
                    shown = [line.split()[-2] for line in console.getvalue().splitlines()]
                    self.assertEqual(shown, self.lines(then, namespace))

    def test_twisted_is_quieter(self) -> None:
        for namespace in ("twisted.internet.tcp.Port", "log_legacy"):
            self.assertEqual(self.lines("info", namespace), ["warn", "error"])
            self.assertEqual(len(self.lines("debug", namespace)), 4)
            self.assertEqual(self.lines("error", namespace), ["error"])

    def test_console_is_standard_output(self) -> None:
        console = io.StringIO()
        self.patch(__import__("sys"), "stdout", console)
        self.logged(make_observer())
        self.assertEqual(len(console.getvalue().splitlines()), 3)

    def test_color_on_terminals_only(self) -> None:
        for console, disable, colored in (
            (Terminal(), False, True),
            (Terminal(), True, False),
            (io.StringIO(), False, False),
        ):
            self.logged(make_observer(stdout=console, disable_color=disable))
            self.assertEqual("\x1b" in console.getvalue(), colored)

    def test_file(self) -> None:
        """Lines are in the file at once, added to what was there."""
        path = Path(self.mktemp())
        path.write_text("yesterday\n", encoding="utf-8")
        observer = make_observer(file=str(path))
        observer(event("größer", log_level=LogLevel.info, log_namespace="n"))
        before, line = path.read_text(encoding="utf-8").splitlines()
        self.assertEqual(before, "yesterday")
        self.assertTrue(line.endswith("[I] [n] größer"))

    def test_reopen(self) -> None:
        """The file is opened anew; one that can't be is said to be written on."""
        lines = LogLines(self)
        path = Path(self.mktemp())
        observer = make_observer(file=str(path))
        path.rename(f"{path}.1")
        observer.reopen()
        self.assertTrue(path.exists())
        path.unlink()
        path.mkdir()
        observer.reopen()
        (line,) = lines
        self.assertIn(f"log_file = {path.absolute()}: can't be opened anew: Is a directory", line)

    def test_reopen_the_console(self) -> None:
        console = io.StringIO()
        observer = make_observer(stdout=console)
        observer.reopen()
        observer(event("here", log_level=LogLevel.info, log_namespace="n"))
        self.assertIn("here", console.getvalue())

    def test_file_that_cannot_be_written(self) -> None:
        path = self.mktemp() + "/nowhere/frps.log"
        error = self.assertRaises(ConfigError, make_observer, file=path)
        self.assertEqual(
            error.problems,
            (f"[common] log_file = {path}: can't be written: No such file or directory",),
        )


class DailyFileTests(SynchronousTestCase):
    """Days have their own files, and old ones go."""

    def setUp(self) -> None:
        # Later than the machine's today, which is the date that a new file begins with.
        self.now = time.mktime((2126, 7, 20, 12, 0, 0, 0, 0, -1))
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "frps.log"

    def open(self, max_days: int = 3) -> DailyFile:
        file = DailyFile(str(self.path), max_days, lambda: self.now)
        # The date of a new file is that of the machine.
        file.lastDate = file.toDate()
        self.addCleanup(file.close)
        return file

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def test_new_day(self) -> None:
        file = self.open()
        file.write("monday\n")
        self.now += DAY
        file.write("tuesday\n")
        self.assertEqual(self.names(), ["frps.log", "frps.log.2126-07-20"])
        self.assertEqual(self.path.read_text(encoding="utf-8"), "tuesday\n")
        old = self.directory / "frps.log.2126-07-20"
        self.assertEqual(old.read_text(encoding="utf-8"), "monday\n")

    def test_old_files_go(self) -> None:
        file = self.open(max_days=2)
        for day in range(6):
            file.write(f"{day}\n")
            self.now += DAY
        self.assertEqual(self.names(), ["frps.log", *(f"frps.log.2126-07-{d}" for d in (23, 24))])

    def test_old_files_go_at_start(self) -> None:
        for name in ("frps.log.2126-07-01", "frps.log.2126-07-19"):
            (self.directory / name).touch()
        self.open(max_days=2)
        self.assertEqual(self.names(), ["frps.log", "frps.log.2126-07-19"])

    def test_files_of_others_stay(self) -> None:
        """Neither a name that is no date nor a file that can't be removed does harm."""
        strangers = ["frps.log.2126-07-01.gz", "frps.log.a-b-c", "frpc.log.2126-07-01"]
        for name in strangers:
            (self.directory / name).touch()
        (self.directory / "frps.log.2126-07-02").mkdir()
        self.open()
        self.assertEqual(self.names(), sorted(["frps.log", "frps.log.2126-07-02", *strangers]))

    def test_kept_for_ever(self) -> None:
        (self.directory / "frps.log.1999-12-31").touch()
        self.open(max_days=0)
        self.assertIn("frps.log.1999-12-31", self.names())

    def test_reopen(self) -> None:
        """What somebody else renamed keeps what it has; the path gets a new file."""
        file = self.open()
        file.write("before\n")
        moved = self.path.rename(self.directory / "frps.log.1")
        file.write("meanwhile\n")
        file.reopen()
        file.write("after\n")
        self.assertEqual(moved.read_text(encoding="utf-8"), "before\nmeanwhile\n")
        self.assertEqual(self.path.read_text(encoding="utf-8"), "after\n")

    def test_reopen_what_is_there(self) -> None:
        file = self.open()
        file.write("before\n")
        file.reopen()
        file.lastDate = file.toDate()
        file.write("after\n")
        self.assertEqual(self.path.read_text(encoding="utf-8"), "before\nafter\n")

    def test_reopen_in_vain(self) -> None:
        """If the path can't be opened, the renamed file is written on."""
        file = self.open()
        moved = self.path.rename(self.directory / "frps.log.1")
        self.path.mkdir()
        self.assertRaises(OSError, file.reopen)
        file.write("after\n")
        self.assertEqual(moved.read_text(encoding="utf-8"), "after\n")

    def test_clock_of_the_machine(self) -> None:
        file = DailyFile(str(self.path), 3)
        self.addCleanup(file.close)
        day = date(*file.toDate())
        self.assertLessEqual(abs(day - date.fromtimestamp(time.time())).days, 1)  # noqa: DTZ012
