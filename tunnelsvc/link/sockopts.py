# -*- test-case-name: tests.link.test_sockopts -*-
"""Options that every TCP connection of ours has."""

import socket
from typing import cast

from twisted.internet.interfaces import ISystemHandle, ITCPTransport

from tunnelsvc.interfaces import Stream

KEEPALIVE_SECONDS = 60.0
"""Idle time before the first probe on user and local connections: a vanished user is noticed
after about two minutes, and mobile radios aren't woken all the time."""
PROBE_INTERVAL_SECONDS = 15
PROBES = 4
"""Unanswered probes after which the connection is dead; Go's default interval, fewer probes."""


def tune(stream: Stream, keepalive_seconds: float = KEEPALIVE_SECONDS) -> None:
    """Send small writes at once, and notice a peer that vanished.

    Args:
        stream: a Twisted TCP connection; anything else is left alone.
        keepalive_seconds: idle time before the first probe; less than 0: no probes.
    """
    if ITCPTransport.providedBy(stream):
        handle = cast("socket.socket", cast("ISystemHandle", stream).getHandle())
        tune_socket(handle, keepalive_seconds)


def tune_socket(handle: socket.socket, keepalive_seconds: float) -> None:
    """Do the same for a socket; for a listening one, to all that it accepts.

    Args:
        handle: connected or listening.
        keepalive_seconds: as with `tune`.
    """
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keepalive_seconds < 0:
        return
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", max(1, int(keepalive_seconds))),
        ("TCP_KEEPINTVL", PROBE_INTERVAL_SECONDS),
        ("TCP_KEEPCNT", PROBES),
    ):
        if hasattr(socket, option):
            handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
