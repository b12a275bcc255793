# -*- test-case-name: tests.e2e.test_notebook -*-
"""Jupyter Notebook in a real browser, through the tunnel: log in, run a cell, open a terminal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

from tests.e2e.browser import CHROMIUM_FLAGS
from tests.e2e.jupyter import PASSWORD, start_jupyter
from tests.e2e.tunnel import TunnelTestCase, http_proxy
from tests.programs import PATIENCE, eventually, require_module, require_program

CELL: Final = "print('the answer is', 6 * 7)"

NOTEBOOK: Final = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "cell",
            "metadata": {},
            "outputs": [],
            "source": CELL,
        }
    ],
    "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}

# Milliseconds, as playwright has them.
PATIENCE_MS: Final = PATIENCE * 1000

# Between two looks at what a page shows; meanwhile the page's events are handled.
LOOK_MS: Final = 200

# A person presses the keys again when the page, still connecting to the kernel, ignored them.
LOOKS_PER_PRESS: Final = 20


class NotebookTests(TunnelTestCase):
    """Notebook's own pages, which are a hundred files and three WebSockets."""

    def setUp(self) -> None:
        super().setUp()
        self.chromium = require_program("chromium")
        require_module("playwright")

    @contextmanager
    def page(self, name: str) -> Iterator[Any]:
        """Open a browser's page, to which `name` is this machine; nothing of it may fail."""
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not everybody has it

        flags = [*CHROMIUM_FLAGS, f"--host-resolver-rules=MAP {name} 127.0.0.1"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=self.chromium, args=flags)
            try:
                page = browser.new_page()
                page.set_default_timeout(PATIENCE_MS)
                yield page
            finally:
                browser.close()

    def test_notebook(self) -> None:
        """A person logs in, runs a cell, sees the result, and opens a terminal that echoes."""
        jupyter = start_jupyter(self, "notebook", "--ServerApp.allow_remote_access=True")
        (self.directory / "files" / "answer.ipynb").write_text(json.dumps(NOTEBOOK))
        self.start_server()
        self.start_client({"notebook": http_proxy(jupyter, {"custom_domains": "notebook.test"})})
        site = f"http://notebook.test:{self.vhost_port}"
        with self.page("notebook.test") as page:
            failed = failures_of(page)
            self.log_in(page, site)
            self.run_cell(page, site)
            self.use_terminal(page, site)
            self.assertEqual(failed, [])

    def log_in(self, page: Any, site: str) -> None:
        """Fill in the form."""
        page.goto(f"{site}/login?next=/tree")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(f"{site}/tree*")

    def run_cell(self, page: Any, site: str) -> None:
        """Press Shift-Enter in the first cell, and wait for what it prints."""
        page.goto(f"{site}/notebooks/answer.ipynb")
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        cell = page.locator(".jp-CodeCell").first
        output = cell.locator(".jp-OutputArea-output", has_text="the answer is 42")

        looks = count()

        def shown() -> bool:
            if next(looks) % LOOKS_PER_PRESS == 0:
                cell.locator(".cm-content").click()
                page.keyboard.press("Shift+Enter")
            page.wait_for_timeout(LOOK_MS)
            return bool(output.count())

        eventually(shown, "the cell's output")

    def use_terminal(self, page: Any, site: str) -> None:
        """Type a command into a new terminal, and wait for its output to arrive."""
        frames: list[str] = []
        page.on(
            "websocket",
            lambda opened: opened.on("framereceived", lambda frame: frames.append(str(frame))),
        )
        page.goto(f"{site}/terminals/1")
        page.click(".jp-Terminal .xterm-screen")
        page.keyboard.type("echo sum-$((6 * 7))\n")

        def echoed() -> bool:
            page.wait_for_timeout(LOOK_MS)
            return any("sum-42" in frame for frame in frames)

        eventually(echoed, "the terminal's echo")


def failures_of(page: Any) -> list[str]:
    """Give a list of the page's requests that get an error or no answer; it grows."""
    failed: list[str] = []

    def note(request: Any) -> None:
        if "ERR_ABORTED" not in request.failure:  # the page's own, when it goes to the next one
            failed.append(f"{request.url}: {request.failure}")

    page.on("requestfailed", note)
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    return failed
