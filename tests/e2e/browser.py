# -*- test-case-name: tests.e2e.test_https -*-
"""A real browser, without a desktop."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.e2e.commands import run_to_end
from tests.programs import require_program

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
