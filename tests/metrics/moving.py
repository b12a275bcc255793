# -*- test-case-name: tests.metrics.test_counters -*-
"""Connections of users who aren't there."""

from tunnelsvc.metrics.counters import ProxyStats
from tunnelsvc.metrics.traffic import Account
from tunnelsvc.relay import Meter


def move(counted: ProxyStats | Account, in_bytes: int, out_bytes: int) -> None:
    """Have bytes move, on a connection that is over then."""
    meter = Meter()
    counted.track(meter)
    meter.up_bytes, meter.down_bytes = in_bytes, out_bytes
    counted.untrack(meter)
