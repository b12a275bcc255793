# -*- test-case-name: tests.link.test_roundtrip -*-
"""How long a byte takes to a peer and back, as the kernel knows it of every TCP connection."""

import socket
import struct
from contextlib import suppress
from typing import Final

_RTT: Final = struct.Struct("=I")
_RTT_OFFSET: Final = 68
"""Of ``tcpi_rtt``, in microseconds, in ``struct tcp_info`` (``linux/tcp.h``)."""
MOST_LAYERS: Final = 8
"""As many as streams can lie within each other, and some."""


def round_trip_seconds(stream: object) -> float | None:
    """Measure the TCP connection that a stream is in, with whatever lies between.

    Args:
        stream: a `tunnelsvc.interfaces.Stream`: of a multiplexed session, of TLS, a websocket, or
            the connection itself. What lies below another has it as ``below``.

    Returns:
        The kernel's smoothed estimate; None if there is none: there is no TCP connection below, it
        is closed, or nothing was acknowledged yet.
    """
    for _ in range(MOST_LAYERS):
        below = getattr(stream, "below", None)
        if below is None:
            break
        stream = below
    handle = getattr(stream, "getHandle", lambda: None)()
    if not isinstance(handle, socket.socket) or not hasattr(socket, "TCP_INFO"):
        return None
    length = _RTT_OFFSET + _RTT.size
    with suppress(OSError):  # closed, or a socket of another kind
        info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, length)
        if len(info) == length:
            (microseconds,) = _RTT.unpack_from(info, _RTT_OFFSET)
            return microseconds / 1e6 or None
    return None
