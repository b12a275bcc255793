# -*- test-case-name: tests.e2e.test_https -*-
"""A real browser, without a desktop."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.e2e.commands import run_to_end
from tests.programs import PATIENCE, require_module, require_program

# What keeps a browser from talking to anybody but us, and from needing a desktop.
CHROMIUM_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Characters of a page's text that a failed test shows, and milliseconds that it waits for them.
SHOWN_TEXT: Final = 3000
LAST_LOOK_MS: Final = 5000


def browse(profile: Path, url: str, *flags: str) -> str:
    """Show a page of ours in Chromium; return what it shows, as HTML.

    Args:
        profile: an empty directory for what the browser remembers.
        url: the page; its host is on this machine.
        flags: more of Chromium's.
    """
    browser = require_program("chromium")
    here = f"--host-resolver-rules=MAP {urlsplit(url).hostname} 127.0.0.1"
    command = (browser, *CHROMIUM_FLAGS, f"--user-data-dir={profile}", here, *flags)
    return run_to_end((*command, "--dump-dom", url)).decode()


@contextmanager
def opened(*flags: str) -> Iterator[Any]:
    """Open a page of Chromium that a test drives (playwright's ``Page``).

    Args:
        flags: more of Chromium's.
    """
    chromium = require_program("chromium")
    require_module("playwright")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not everybody has it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[*CHROMIUM_FLAGS, *flags]
        )
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            with explained(page):
                yield page
        finally:
            browser.close()


@contextmanager
def explained(page: Any, heard: Sequence[str] = ()) -> Iterator[None]:
    """What fails in this block says what the page shows, and where there is a picture of it.

    Args:
        page: Playwright's.
        heard: what else to say: of errors on the console, for instance.
    """
    try:
        yield
    except Exception as error:
        # Not by another exception, nor by a note: trial would show neither this one nor the note.
        error.args = ("\n".join((str(error), *heard, _describe(page))),)
        raise


def _describe(page: Any) -> str:
    """Say what is on a page; a picture stays in the directory in which the tests run."""
    try:
        with tempfile.NamedTemporaryFile(
            prefix="failed-", suffix=".png", dir=Path.cwd(), delete=False
        ) as picture:
            picture.write(page.screenshot(timeout=LAST_LOOK_MS))
        text = page.inner_text("body", timeout=LAST_LOOK_MS)
    except Exception as why:  # noqa: BLE001 - one that it is to explain is under way
        return f"--- the page can't be looked at: {why}"
    return f"--- {page.url}, see {picture.name}:\n{text[:SHOWN_TEXT]}"


def log_in(page: Any, url: str, user: str, password: str) -> None:
    """Log in as a person does, by the form that a site of ours shows to strangers."""
    page.goto(url)
    page.fill("#user", user)
    page.fill("#password", password)
    page.press("#password", "Enter")
    page.wait_for_selector("#password", state="detached")


def find_logged_in(url: str, user: str, password: str, wanted: str) -> None:
    """Log in to a site of ours, and wait until it shows something, by playwright's selector."""
    with opened(f"--host-resolver-rules=MAP {urlsplit(url).hostname} 127.0.0.1") as page:
        log_in(page, url, user, password)
        page.wait_for_selector(wanted, state="attached")
