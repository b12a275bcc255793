# -*- test-case-name: tests.test_benchmarks -*-
"""Commands of the load generators, and what is read from their output. Nothing is run here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from benchmarks.programs import BenchmarkError

# The name by which vhost rows ask; nobody resolves it.
VHOST: Final = "bench.tunnel.example"

# Share of requests that may fail before a load's numbers mean nothing.
TOLERATED_FAILURES: Final = 0.01

BITS_PER_GBIT: Final = 1e9

REPORT_SCRIPT: Final = Path(__file__).with_name("report.lua")


@frozen
class Reading:
    """What one load gave: the number for the table, and what else its program said."""

    value: float
    details: Mapping[str, float]


def iperf3_command(
    port: int, seconds: int, *, streams: int = 1, reverse: bool = False
) -> tuple[str, ...]:
    """Bulk: up is from the user to the service, reverse from the service to the user."""
    command = ("iperf3", "-J", "-c", "127.0.0.1", "-p", str(port), "-t", str(seconds))
    return (*command, "-P", str(streams), *(("-R",) if reverse else ()))


def wrk_command(
    port: int, seconds: int, *, connections: int = 50, host: str = "", close: bool = False
) -> tuple[str, ...]:
    """HTTP requests by one thread; with ``close`` each on a connection of its own."""
    headers = [f"Host: {host}"] if host else []
    headers += ["Connection: close"] if close else []
    options = [text for header in headers for text in ("-H", header)]
    size = ("-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(REPORT_SCRIPT))
    return ("wrk", *size, *options, f"http://127.0.0.1:{port}/")


def read_iperf3(text: str) -> Reading:
    """Gbit/s that arrived at the receiver, of ``iperf3 -J``.

    Raises:
        BenchmarkError: iperf3 said what went wrong, or this isn't its output.
    """
    try:
        answer = json.loads(text)
        if "error" in answer:
            raise BenchmarkError(f"iperf3: {answer['error']}")
        end = answer["end"]
        received = float(end["sum_received"]["bits_per_second"])
        sent = float(end["sum_sent"]["bits_per_second"])
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"not the output of iperf3 -J: {text[:200]!r}") from error
    if received <= 0:
        raise BenchmarkError("iperf3: nothing arrived")
    return Reading(received / BITS_PER_GBIT, {"sent_gbit_per_second": sent / BITS_PER_GBIT})


def _read_wrk(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line.startswith("{")]
    try:
        report = {key: float(value) for key, value in json.loads(lines[-1]).items()}
        failed = sum(report[key] for key in ("connect", "read", "write", "status", "timeout"))
        requests = report["requests"]
    except (IndexError, KeyError, ValueError, AttributeError) as error:
        raise BenchmarkError(f"not the output of wrk with our script: {text[:200]!r}") from error
    if failed > TOLERATED_FAILURES * requests or not requests:
        raise BenchmarkError(f"wrk: {failed:.0f} failures, {requests:.0f} requests")
    return report


def read_wrk_rate(text: str) -> Reading:
    """Requests per second; with one request a connection, that is connections per second.

    Raises:
        BenchmarkError: requests failed, or this isn't wrk's output.
    """
    report = _read_wrk(text)
    return Reading(report["requests"] / (report["microseconds"] / 1e6), report)


def read_wrk_latency(text: str) -> Reading:
    """Microseconds that a request took, on average: what wrk prints as Latency, Avg.

    Raises:
        BenchmarkError: requests failed, or this isn't wrk's output.
    """
    report = _read_wrk(text)
    return Reading(report["mean"], report)
