# -*- test-case-name: tests.e2e.test_tutorial -*-
"""Programs that end by themselves."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.programs import PATIENCE, require_program

# Seconds that curl may take for all that it is asked for.
CURL_SECONDS: Final = 2 * PATIENCE


def run_to_end(command: Sequence[str]) -> bytes:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(command, capture_output=True, timeout=2 * PATIENCE, check=False)
    if done.returncode:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stderr.decode()}")
    return done.stdout


def run_curl(
    *arguments: str, directory: Path | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """Run curl, which knows nothing of the settings and proxies of who runs the tests."""
    limit = ("--max-time", str(CURL_SECONDS))
    return subprocess.run(
        (require_program("curl"), "-q", "-sS", *limit, *arguments),
        capture_output=True,
        check=False,
        cwd=directory,
        env={"PATH": os.environ["PATH"]},
        timeout=CURL_SECONDS + PATIENCE,
    )


def curl(*arguments: str, directory: Path | None = None) -> bytes:
    """Run curl, which must succeed; return what it printed."""
    done = run_curl("--fail", *arguments, directory=directory)
    if done.returncode:
        raise AssertionError(f"curl {arguments}: {done.returncode}\n{done.stderr.decode()}")
    return done.stdout
