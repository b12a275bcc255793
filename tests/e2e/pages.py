# -*- test-case-name: tests.e2e.test_dashboard -*-
"""Pages of ours in a browser: one Chromium for all tests of a process, driven by its own thread."""

import atexit
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from attrs import define, field

from tests.e2e.browser import CHROMIUM_FLAGS, explained
from tests.programs import PATIENCE, eventually, require_module, require_program

T = TypeVar("T")
Test = TypeVar("Test", bound=Callable[..., None])

PATIENCE_MS: Final = PATIENCE * 1000
LOOK_MS: Final = 50
END_SECONDS: Final = 10

# The folder for screenshots of the documentation, from the root; nothing: none are made.
SCREENSHOTS: Final = "TUNNELSVC_SCREENSHOTS"
ROOT: Final = Path(__file__).parents[2]

WIDE: Final = {"width": 1280, "height": 860}
NARROW: Final = {"width": 360, "height": 780}

# Names for documentation (RFC 2606) lead to this machine.
HERE: Final = "--host-resolver-rules=MAP *.example 127.0.0.1"

# What browsers say of answers that we give on purpose.
EXPECTED_401: Final = re.compile(r"Failed to load resource: .* 401 ")
# What they say while a server that they talk to isn't there.
UNREACHABLE: Final = re.compile(r"ERR_(?:CONNECTION|INCOMPLETE_CHUNKED|EMPTY_RESPONSE|NETWORK)")

Job = Callable[[], None]


class BrowserThread:
    """Has a browser, from the first time that one is asked for until the process ends.

    Playwright's synchronous interface keeps an event loop running in its thread, where nobody else
    could have one.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._driver: Any = None
        self.browser: Any = None

    def run(self, work: Callable[[], T]) -> T:
        """Do something in the thread, and return or raise what it does."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name="browser", daemon=True)
            self._thread.start()
            atexit.register(self._end)
        answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def job() -> None:
            try:
                if self.browser is None:
                    self._start()
                answers.put((True, work()))
            except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
                answers.put((False, error))

        self._jobs.put(job)
        good, answer = answers.get()
        if good:
            return answer  # type: ignore[no-any-return]
        raise answer

    def _live(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
        if self._driver is not None:
            self._driver.stop()

    def _start(self) -> None:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not everybody has it

        self._driver = sync_playwright().start()
        self.browser = self._driver.chromium.launch(
            executable_path=require_program("chromium"), args=[*CHROMIUM_FLAGS, HERE]
        )

    def _end(self) -> None:
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(END_SECONDS)


_thread = BrowserThread()


def picture_folder() -> Path | None:
    """Give the folder for screenshots; None: nobody wants any.

    Tests run in a directory of their own, which isn't the one that the user means.
    """
    folder = os.environ.get(SCREENSHOTS)
    return ROOT / folder if folder else None


def in_browser(test: Test) -> Test:
    """Run a test where the browser can be driven."""

    @wraps(test)
    def run(self: Any) -> None:
        require_program("chromium")
        require_module("playwright")
        _thread.run(lambda: test(self))

    return run  # type: ignore[return-value]


# With a dictionary, as Playwright notes something there on those whose methods it is to call.
@define(eq=False, slots=False)
class Watched:
    """A page, and what went wrong on it.

    Attributes:
        page: Playwright's.
        host: where all requests must go.
        wrong: errors of its scripts, violations of its policy, requests elsewhere; it grows.
        forgiven: what is expected to be said on the console.
    """

    page: Any
    host: str
    wrong: list[str] = field(factory=list)
    forgiven: list[re.Pattern[str]] = field(factory=lambda: [EXPECTED_401])

    def __attrs_post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"uncaught: {error}"))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            text = f"{message.text} {message.location.get('url', '')}"
            if not any(each.search(text) for each in self.forgiven):
                self.wrong.append(text)

    def _asked(self, request: Any) -> None:
        if urlsplit(request.url).netloc != self.host:
            self.wrong.append(f"asked another host: {request.url}")

    def until(self, look: Callable[[], T], what: str) -> T:
        """Wait until something is so, while the page goes on."""

        def seen() -> T:
            self.page.wait_for_timeout(LOOK_MS)
            return look()

        return eventually(seen, what)

    def log_in(self, user: str = "admin", password: str = "secret") -> None:
        """Fill in the form."""
        self.page.fill("input[name=user]", user)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")

    def view(self, name: str) -> None:
        """Go to a view by its tab."""
        self.page.click(f"#tab-{name}")
        self.page.wait_for_selector(f"#panel-{name}:not([hidden])")

    def row(self, text: str) -> Any:
        """Give the row of the table that has a text."""
        return self.page.locator("[role=tabpanel]:not([hidden]) tbody tr", has_text=text)

    def agree(self, action: str) -> None:
        """Press a dialog's button, and wait until the dialog is gone."""
        self.page.click(f"dialog button:has-text('{action}')")
        self.page.wait_for_selector("dialog", state="detached")

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the window."""
        return is_too_wide(self.page)

    def faults(self) -> list[str]:
        """Give what axe-core finds that is serious, or worse."""
        return faults_of(self.page)


def is_too_wide(page: Any) -> bool:
    """Tell whether a page (Playwright's) is wider than its window."""
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(page.evaluate(wider))


def faults_of(page: Any, *rules: str) -> list[str]:
    """Give what axe-core finds on a page (Playwright's) that is serious, or worse.

    Args:
        page: as it is now.
        rules: by name; none: all there are.
    """
    script = resources.files("axe_playwright_python").joinpath("axe.min.js")
    if not page.evaluate("'axe' in window"):
        page.evaluate(script.read_text("utf-8") + ";0")
    only = {"runOnly": list(rules)} if rules else {}
    found = page.evaluate("options => axe.run(document, options)", only)
    assert found["passes"], "it looked at nothing"
    return [
        f"{each['id']}: {node['html'][:150]} {node['failureSummary'][:200]}"
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"][:3]
    ]


@contextmanager
def open_page(url: str, **options: Any) -> Iterator[Watched]:
    """Show a page in a context of its own; nothing may go wrong on it.

    Args:
        url: of this machine.
        options: of Playwright's ``new_context``: viewport, colours, language.
    """
    chosen = {"viewport": WIDE, "locale": "en-GB", "reduced_motion": "reduce", **options}
    context = _thread.browser.new_context(**chosen)
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        watched = Watched(page, urlsplit(url).netloc)
        with explained(page, watched.wrong):
            page.goto(url)
            yield watched
            assert not watched.wrong, "something is wrong with the page:"
    finally:
        with suppress(Exception):
            context.close()
