# -*- test-case-name: tests.test_benchmarks -*-
"""What the numbers were measured on."""

import os
import platform
import resource
from pathlib import Path
from typing import Final

from benchmarks.frp import OUR_COMMAND
from benchmarks.programs import run_to_end

# Descriptors that a program needs for other things than the connections held.
SPARE_FILES: Final = 500

WHERE_OURS_IS: Final = (
    "import tunnelsvc, twisted; print(tunnelsvc.__path__[0], twisted.__version__)"
)


def raise_open_files() -> int:
    """Allow this process and what it starts as many descriptors as may be; return how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def idle_limit(files: int) -> int:
    """How many connections every program can hold: on its way one may need two descriptors."""
    return (files - SPARE_FILES) // 2


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")


def describe_machine(frp_version: str) -> dict[str, object]:
    """Give the facts that belong beside a table."""
    path, twisted = run_to_end((*OUR_COMMAND[:2], "-c", WHERE_OURS_IS)).rsplit(maxsplit=1)
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "twisted": twisted,
        "tunnelsvc": path,
        "frp": frp_version,
        "load_before": os.getloadavg()[0],
    }
