# -*- test-case-name: tests.e2e.test_clientpage -*-
"""Our own pages in a real browser, which is started once for all tests of a process.

Playwright keeps an event loop in the thread that it was started in, where trial's reactor couldn't
run any more: so it gets a thread of its own, and what a test does to a page happens in there.
"""

import atexit
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.browser import CHROMIUM_FLAGS
from tests.programs import PATIENCE, require_module, require_program

T = TypeVar("T")
Work = Callable[[Any], T]

# What may be looked at that long, as playwright has it; a whole test takes no more than ten of it.
PATIENCE_MS: Final = PATIENCE * 1000
MOST_SECONDS: Final = 10 * PATIENCE

# The folder for screenshots of the documentation; nothing: none are made.
SCREENSHOTS: Final = "TUNNELSVC_SCREENSHOTS"

# Kinds of trouble that axe-core finds and nobody should have.
FAULTS: Final = ("serious", "critical")

# Without fading in, so that colours are what they are.
STILL: Final = {"locale": "en-GB", "reduced_motion": "reduce"}

# What a page must not do: run what came from elsewhere.
WATCH: Final = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
    (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""


class BrowserThread:
    """Chromium, and the thread in which it is driven."""

    def __init__(self, chromium: str) -> None:
        self._chromium = chromium
        self._work: SimpleQueue[tuple[Work[Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def do(self, work: Work[T]) -> T:
        """Have something done with the browser; return, or raise, what comes of it."""
        future: Future[T] = Future()
        self._work.put((work, future))
        return future.result(MOST_SECONDS)

    def close(self) -> None:
        """End the browser."""
        self._work.put(None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not everybody has it

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=self._chromium, args=[*CHROMIUM_FLAGS]
            )
            while (job := self._work.get()) is not None:
                work, future = job
                try:
                    future.set_result(work(browser))
                except BaseException as why:  # noqa: BLE001 - the test's to deal with
                    future.set_exception(why)
            browser.close()


_browsers: Final[list[BrowserThread]] = []


def the_browser() -> BrowserThread:
    """Return the browser of this process.

    Raises:
        SkipTest: there is no Chromium, or nothing to drive it.
    """
    chromium = require_program("chromium")
    require_module("playwright")
    if not _browsers:
        _browsers.append(BrowserThread(chromium))
    return _browsers[0]


class PageMixin(SynchronousTestCase):
    """Looks at pages, and at what goes wrong on them."""

    def browse(self, work: Work[T], *, quiet: bool = True, **options: Any) -> T:
        """Do something with a new page of the browser.

        Args:
            work: what to do; gets the page.
            quiet: whether nothing may be said on the console; how a page takes it that its server
                is gone isn't quiet.
            options: of the browser's context: ``color_scheme``, ``locale``, ``viewport``...
        """
        said: list[str] = []
        hosts: set[str] = set()

        def inside(browser: Any) -> T:
            context = browser.new_context(**{**STILL, **options})
            try:
                page = context.new_page()
                page.set_default_timeout(PATIENCE_MS)
                page.add_init_script(WATCH)
                page.on("console", lambda line: _note_console(said, line))
                page.on("pageerror", lambda error: said.append(f"error: {error}"))
                page.on("request", lambda request: hosts.add(_host(request.url)))
                done = work(page)
                said.extend(page.evaluate("window.violations || []"))
                return done
            finally:
                context.close()

        done = the_browser().do(inside)
        self.assertLessEqual(hosts, {"127.0.0.1", ""})
        if quiet:
            self.assertEqual(said, [])
        return done

    def check_access(self, page: Any, what: str, *rules: str) -> None:
        """Have axe-core look for what keeps people from using the page.

        Args:
            page: as it is now.
            what: its name, if it is faulty.
            rules: by name; none: all there are.
        """
        from axe_playwright_python.base import AXE_FILE_PATH  # noqa: PLC0415 - as playwright

        if not page.evaluate("'axe' in window"):
            # By the debugger, which the page's policy doesn't concern.
            page.evaluate(Path(AXE_FILE_PATH).read_text(encoding="utf-8"))
        only = {"runOnly": list(rules)} if rules else {}
        found = page.evaluate(
            "options => axe.run(document, options)", {"resultTypes": ["violations"], **only}
        )
        faults = [
            (each["id"], [node["target"] for node in each["nodes"]][:3])
            for each in found["violations"]
            if each["impact"] in FAULTS
        ]
        self.assertEqual(faults, [], what)

    def check_width(self, page: Any, what: str) -> None:
        """Nobody has to scroll a page to the side."""
        over = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        self.assertLessEqual(over, 0, what)

    def picture(self, page: Any, name: str) -> None:
        """Make a screenshot for the documentation, if somebody wants some."""
        folder = os.environ.get(SCREENSHOTS)
        if folder:
            page.screenshot(path=str(Path(folder).absolute() / f"{name}.png"))


def _note_console(said: list[str], line: Any) -> None:
    if line.type in {"error", "warning"}:
        said.append(line.text)


def _host(url: str) -> str:
    rest = url.partition("://")[2] if not url.startswith(("data:", "blob:")) else ""
    return rest.partition("/")[0].partition(":")[0]
