# -*- test-case-name: tests.quick.test_screen -*-
"""Tests of `tunnelsvc.quick.screen`."""

import fcntl
import os
import re
import struct
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from unittest import mock

from hypothesis import given
from hypothesis.strategies import text
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tunnelsvc.quick.screen import MOST_TARGET_CHARACTERS, Answered, Screen, write_url


class Terminal(StringIO):
    """Somebody looks."""

    def isatty(self) -> bool:
        return True


class Closed(StringIO):
    """Somebody has looked."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


class ScreenTests(SynchronousTestCase):
    """What is shown."""

    def shown(self, done: Answered, output: StringIO | None = None) -> str:
        output = output or StringIO()
        Screen(output=output).request(done)
        return output.getvalue()

    def test_opened(self) -> None:
        output = StringIO()
        Screen(output=output).opened("http://a.example", "127.0.0.1:80", "More.")
        lines = [line.strip("| ") for line in output.getvalue().splitlines()]
        self.assertEqual(
            lines[1:-1],
            ["http://a.example", "-> 127.0.0.1:80", "", "More.", "", "Ctrl-C ends it."],
        )

    def test_narrow(self) -> None:
        """A link that is longer than a line isn't cut by a frame."""
        with self.terminal(40) as (screen, read):
            screen.opened("http://a.example", "127.0.0.1:80", f"Requests: {'x' * 40}")
            self.assertIn(f"\nRequests: {'x' * 40}\n", read())
        with self.terminal(80) as (screen, read):
            screen.opened("http://a.example", "127.0.0.1:80", "")
            self.assertIn("|  http://a.example", read())

    @contextmanager
    def terminal(self, columns: int) -> Iterator[tuple[Screen, Callable[[], str]]]:
        """Give a screen on a terminal, and what reads from it."""
        far, near = os.openpty()
        fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        with os.fdopen(far, "rb", buffering=0) as reader, os.fdopen(near, "w") as writer:
            yield Screen(output=writer), lambda: reader.read(10_000).decode().replace("\r", "")

    def test_as_described(self) -> None:
        """docs/one-command.md shows what is shown."""
        page = Path(__file__).parents[2] / "docs" / "one-command.md"
        if not page.exists():
            raise SkipTest("the tests run outside of the repository")
        output = StringIO()
        screen = Screen(output=output)
        url = "http://quiet-otter-27.example.com"
        requests = "Requests: http://127.0.0.1:4040/login#key=k0rRhmGGtbvSkOVENN55WQ"
        screen.opened(url, "127.0.0.1:8888", requests)
        screen.request(Answered(method="GET", path="/", status=200, ms=12, size=4198))
        screen.request(Answered(method="GET", path="/style.css", status=304, ms=3))
        shown = re.sub(r"^\d\d:\d\d:\d\d", "12:03:41", output.getvalue(), flags=re.MULTILINE)
        self.assertIn(f"```\n{shown}```", page.read_text("utf-8"))

    def test_quiet(self) -> None:
        """The URL alone, as scripts want it."""
        output = StringIO()
        screen = Screen(quiet=True, output=output)
        screen.note("hm")
        screen.opened("http://a.example", "127.0.0.1:80", "More.")
        screen.request(Answered(method="GET", path="/", status=200))
        self.assertEqual(output.getvalue(), "http://a.example\n")

    def test_request(self) -> None:
        line = self.shown(Answered(method="GET", path="/x?y", status=200, ms=12.4, size=2048))
        self.assertRegex(line, r"^\d\d:\d\d:\d\d 200 GET +12 ms +2\.0 KiB /x\?y\n$")

    def test_request_without_an_answer(self) -> None:
        line = self.shown(Answered(method="GET", path="/", note="service is down"))
        self.assertRegex(line, r"^\S+ --- GET +0 B / service is down\n$")

    def test_sizes(self) -> None:
        for size, shown in ((1023, "1023 B"), (1024**2, "1.0 MiB"), (5 * 1024**5, "5120.0 TiB")):
            self.assertIn(f" {shown} ", self.shown(Answered(method="GET", path="/", size=size)))

    def test_colours(self) -> None:
        """On a terminal, if its owner doesn't mind (no-color.org)."""
        done = Answered(method="GET", path="/", status=500)
        with mock.patch.dict(os.environ):
            os.environ.pop("NO_COLOR", None)
            self.assertIn("\x1b[31m500\x1b[0m", self.shown(done, Terminal()))
            self.assertNotIn("\x1b", self.shown(done))
            os.environ["NO_COLOR"] = "1"
            self.assertNotIn("\x1b", self.shown(done, Terminal()))

    @given(text(), text(), text())
    def test_hostile_requests(self, method: str, path: str, note: str) -> None:
        """What users send can't move the cursor, nor become a line of its own."""
        line = self.shown(Answered(method=method, path=path, note=note))
        self.assertEqual(line.count("\n"), 1)
        self.assertTrue(line[:-1].isprintable(), ascii(line))

    def test_long_path(self) -> None:
        line = self.shown(Answered(method="GET", path="/" * 5000))
        self.assertLess(len(line), MOST_TARGET_CHARACTERS + 100)

    def test_nobody_looks(self) -> None:
        """The tunnel goes on."""
        Screen(output=Closed()).note("hm")


class FileTests(SynchronousTestCase):
    """Where scripts look."""

    def test_written_and_removed(self) -> None:
        path = Path(self.mktemp())
        remove = write_url(str(path), "http://a.example")
        self.assertEqual(path.read_text(encoding="ascii"), "http://a.example\n")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        remove()
        self.assertFalse(path.exists())
        remove()

    def test_not_writable(self) -> None:
        folder = Path(self.mktemp())
        self.assertRaises(OSError, write_url, str(folder / "url"), "http://a.example")
        folder.mkdir()
        self.assertRaises(OSError, write_url, str(folder), "http://a.example")
        self.assertEqual([each for each in folder.parent.iterdir() if "url-" in each.name], [])
