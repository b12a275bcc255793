# -*- test-case-name: tests.test_demo -*-
"""Tests of `tunnelsvc.demo`."""

import re
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.test.requesthelper import DummyRequest

import tunnelsvc
from tests.programs import PATIENCE, ProgramTestCase
from tunnelsvc.demo import (
    LOOK_SECONDS,
    READY_SECONDS,
    SHOWN_HEADERS,
    Announcer,
    DemoPage,
    announcement,
    make_demo,
)

ROOT = Path(tunnelsvc.__file__).parents[1]


class PageTests(SynchronousTestCase):
    """The page."""

    def page(self, page: DemoPage, **headers: str) -> str:
        request = DummyRequest([b""])
        for name, value in headers.items():
            request.requestHeaders.addRawHeader(name, value)
        text: str = page.render_GET(request).decode()  # type: ignore[arg-type]
        return text

    def test_counts(self) -> None:
        page = DemoPage()
        self.assertIn("Requests served through the tunnel: <b>1</b>", self.page(page))
        self.assertIn("Requests served through the tunnel: <b>2</b>", self.page(page))
        self.assertEqual(page.requests, 2)

    def test_shows_the_request(self) -> None:
        text = self.page(DemoPage(), host="site1.example.com", accept="*/*")
        self.assertIn("You reached <b>site1.example.com</b>", text)
        self.assertIn("<tr><td>Accept</td><td>*/*</td></tr>", text)

    def test_headers_are_text(self) -> None:
        """What a request says can't become part of the page."""
        text = self.page(DemoPage(), host="<script>", accept='"><b>ü')
        self.assertNotIn("<script>", text)
        self.assertIn("<td>&quot;&gt;&lt;b&gt;ü</td>", text)

    def test_headers_that_are_no_text(self) -> None:
        request = DummyRequest([b""])
        request.requestHeaders.addRawHeader(b"x", b"\xff")
        self.assertIn("\ufffd", DemoPage().render_GET(request).decode())  # type: ignore[arg-type]

    def test_many_headers(self) -> None:
        text = self.page(DemoPage(), **{f"x-{number}": "" for number in range(1000)})
        self.assertEqual(text.count("<tr>"), SHOWN_HEADERS)


class AnnouncerTests(SynchronousTestCase):
    """When the user is told."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.addresses: dict[str, str] = {}
        self.events: list[str] = []
        self.announcer = Announcer(
            self.clock,
            lambda: self.addresses,
            ["a", "b"],
            lambda: self.events.append("announced"),
            self.events.append,
        )

    def pass_seconds(self, seconds: float) -> None:
        self.clock.pump([LOOK_SECONDS] * round(seconds / LOOK_SECONDS))

    def test_when_all_proxies_run(self) -> None:
        self.announcer.startService()
        self.addresses["a"] = ":1"
        self.pass_seconds(1)
        self.assertEqual(self.events, [])
        self.addresses["b"] = ":2"
        self.pass_seconds(1)
        self.assertEqual(self.events, ["announced"])
        self.announcer.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_never(self) -> None:
        self.announcer.startService()
        self.pass_seconds(READY_SECONDS + 1)
        (message,) = self.events
        self.assertIn("doesn't stand after 15 s", message)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_before(self) -> None:
        self.announcer.startService()
        self.announcer.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AnnouncementTests(SynchronousTestCase):
    """What the user sees."""

    def test_announcement(self) -> None:
        text = announcement(1, 2, 3)
        self.assertEqual(
            re.findall(r"^ +(\S+)$", text, re.MULTILINE),
            ["http://127.0.0.1:1/", "http://localhost:2/", "http://127.0.0.1:3/"],
        )


class Answer(Protocol):
    """Collects what a server sends until it closes."""

    def __init__(self) -> None:
        self.received = b""
        self.finished: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.finished.callback(self.received)


async def fetch(port: int, host: str, path: str = "/") -> str:
    """Ask an HTTP server of loopback."""
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    answer = await connectProtocol(endpoint, Answer())
    assert answer.transport is not None
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Note: hello\r\nConnection: close\r\n\r\n"
    answer.transport.write(head.encode())
    received: bytes = await answer.finished
    return received.decode()


class DemoTests(TestCase):
    """The whole thing, with real sockets."""

    timeout = 60

    def start(self) -> "Deferred[str]":
        """Start a demo that ends with the test; give what it shows."""
        shown: Deferred[str] = Deferred()
        program = make_demo(reactor, shown.callback)
        program.fail = lambda message: shown.errback(AssertionError(message))  # type: ignore[method-assign]
        program.startService()
        self.addCleanup(program.stopService)
        return shown

    def test_demo(self) -> Any:
        async def check() -> None:
            text = await self.start()
            public, vhost, dashboard = map(int, re.findall(r":(\d+)/", text))
            page = await fetch(public, f"127.0.0.1:{public}")
            self.assertIn("served through the tunnel: <b>1</b>", page)
            self.assertIn("<td>hello</td>", page)
            page = await fetch(vhost, f"localhost:{vhost}")
            self.assertIn("served through the tunnel: <b>2</b>", page)
            self.assertIn("<td>hello</td>", page)
            self.assertTrue((await fetch(dashboard, "x", "/healthz")).startswith("HTTP/1.1 200"))
            self.assertTrue((await fetch(dashboard, "x")).startswith("HTTP/1.1 401"))

        return ensureDeferred(check())

    def test_log(self) -> None:
        for verbose, level in ((True, "info"), (False, "error")):
            program = make_demo(reactor, print, verbose=verbose)
            self.addCleanup(program.stopService)
            self.assertEqual(program.log_config.level, level)


class ProcessTests(ProgramTestCase):
    """The command."""

    def test_until_a_signal(self) -> None:
        """It prints where to look, the address answers, and both signals end it cleanly."""
        for end in (signal.SIGINT, signal.SIGTERM):
            demo = self.run_program(
                (sys.executable, "-m", "tunnelsvc", "demo"), environ={"PYTHONPATH": str(ROOT)}
            )
            demo.wait_for("Ctrl-C ends the demo")
            url = next(line.strip("| ") for line in demo.lines("http://127.0.0.1:"))
            with urlopen(url, timeout=PATIENCE) as answer:
                self.assertIn("It works", answer.read().decode())
            demo.process.send_signal(end)
            self.assertEqual(demo.wait(), 0, demo.excerpt())
            self.assertTrue(demo.output().endswith("+\n"), demo.excerpt())
