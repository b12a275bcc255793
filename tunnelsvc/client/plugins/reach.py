# -*- test-case-name: tests.client.plugins.test_reach -*-
"""Connecting to where a user wants to go, for the plugins that are proxies themselves."""

from typing import Any, Final

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.python.failure import Failure

from tunnelsvc.client.plugins import Place
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import dial

REACH_SECONDS: Final = 20.0
"""How long it may take, looking up the name and trying all its addresses included."""


async def reach(place: Place, host: str, port: int) -> Stream:
    """Connect to a TCP port that a user names.

    Args:
        place: whose reactor dials; it takes note of the connection.
        host: name or address.
        port: TCP port.

    Returns:
        The connected stream, parked.

    Raises:
        ConnectError: with the reason.
    """
    dialling = ensureDeferred(dial(place.reactor, host, port, timeout=REACH_SECONDS))
    dialling.addTimeout(REACH_SECONDS, place.reactor, _too_late)
    stream: Stream = await dialling
    place.connections.add(stream)
    return stream


def _too_late(result: Any, seconds: float) -> Failure:  # noqa: ARG001
    """Say what it was, whatever cancelling has led to."""
    return Failure(ConnectTimeoutError())
