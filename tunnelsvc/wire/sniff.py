# -*- test-case-name: tests.wire.test_sniff -*-
"""Hop 0 of a client's connection: what the first bytes say it speaks (protocol notes 1.3, 1.9).

One table for every place where that is asked. The server recognises, it does not ask: whether
a client uses TLS or multiplexing is never configured on the server.
"""

from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """What a byte stream carries."""

    TLS_WITH_HEAD_BYTE = auto()
    """One byte 0x17 of frp's own, then TLS. The byte is not part of the TLS stream."""
    TLS = auto()
    """A TLS handshake record."""
    WEBSOCKET = auto()
    """The upgrade request of a client that tunnels through a websocket."""
    HTTP = auto()
    """Any other HTTP/1 request."""
    YAMUX = auto()
    """A multiplexed session: version 0 of a yamux header."""
    MESSAGES = auto()
    """A v1 message that may come first: Login, NewWorkConn or NewVisitorConn."""
    V2_MAGIC = auto()
    """The seven bytes before v2 messages."""
    UNKNOWN = auto()
    """None of what is possible in this place."""


# RFC 9110 section 9.3, and PATCH from RFC 5789.
_HTTP_METHODS: Final = (
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
)

V2_MAGIC: Final = b"FRP\x00\x02\r\n"
"""What a client says first on each logical connection, if it speaks wire protocol v2."""

# Where two beginnings are the same the longer comes first, so that the special case (a websocket
# upgrade is an HTTP request too) is ruled out before the general one is found.
_TABLE: Final = (
    (b"GET /~!frp", Kind.WEBSOCKET),
    *((method + b" ", Kind.HTTP) for method in _HTTP_METHODS),
    (V2_MAGIC, Kind.V2_MAGIC),
    (b"\x17", Kind.TLS_WITH_HEAD_BYTE),
    (b"\x16", Kind.TLS),
    (b"\x00", Kind.YAMUX),
    (b"o", Kind.MESSAGES),
    (b"w", Kind.MESSAGES),
    (b"v", Kind.MESSAGES),
)

# Bytes after which the answer is always known: the longest beginning in the table.
MAX_SNIFF_BYTES: Final = max(len(prefix) for prefix, _ in _TABLE)

IN_STREAM: Final = frozenset({Kind.MESSAGES, Kind.V2_MAGIC})
"""Inside a yamux stream: a logical connection."""

IN_TLS: Final = IN_STREAM | {Kind.YAMUX, Kind.WEBSOCKET}
"""Inside TLS: everything but TLS again and users' HTTP requests. (A websocket: behind something
that ends TLS for us and starts it again.)"""

IN_WEBSOCKET: Final = IN_STREAM | {Kind.YAMUX, Kind.TLS, Kind.TLS_WITH_HEAD_BYTE}
"""Inside a websocket: what a client puts on plain TCP."""

ON_BIND_PORT: Final = IN_TLS | IN_WEBSOCKET | {Kind.HTTP}
"""On the server's bind port: everything."""


def sniff(data: bytes, possible: frozenset[Kind] = ON_BIND_PORT) -> Kind | None:
    """Tell what a byte stream carries.

    Args:
        data: the stream from its first byte on, as much of it as is there.
        possible: what may come in this place; anything else is `Kind.UNKNOWN`.

    Returns:
        The answer, as early as it is certain: no further byte changes it. None if it isn't yet,
        which happens below `MAX_SNIFF_BYTES` bytes only.
    """
    for prefix, kind in _TABLE:
        if kind not in possible:
            continue
        if data.startswith(prefix):
            return kind
        if prefix.startswith(data):
            return None
    return Kind.UNKNOWN
