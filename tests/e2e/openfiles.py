# -*- test-case-name: tests.e2e.test_resilience -*-
"""Whether a program has closed all that it had open for others."""

import time
from typing import Final

from tests.programs import Program, eventually
from tunnelsvc.client.spares import PACE_SECONDS

# Descriptors that may come and go by themselves (a pooled connection, a log file).
SLACK: Final = 4

# Looks at a program's descriptors that must agree, each four times the pace of new ones apart.
STEADY: Final = 5


def steady_files(program: Program) -> int:
    """Count a program's descriptors, once all connections that are kept ready are there."""
    seen: list[int] = []

    def steady() -> bool:
        seen.append(program.status.open_files())
        time.sleep(4 * PACE_SECONDS)
        return len(seen) > STEADY and len(set(seen[-STEADY:])) == 1

    eventually(steady, "the connections that are kept ready")
    return seen[-1]


def wait_for_files(program: Program, before: int) -> None:
    """Wait until a program has no more descriptors open than before."""
    status = program.status
    try:
        eventually(lambda: status.open_files() <= before + SLACK, "descriptors closed")
    except AssertionError as error:
        files = f"{before} before, {status.open_files()} now"
        raise AssertionError(f"{error}: {files}\n{program.excerpt()}") from None
