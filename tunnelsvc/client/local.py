# -*- test-case-name: tests.client.test_local -*-
"""Hop 7 of a user connection: dial the local service."""

from twisted.internet.error import ConnectError

from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor, dial

LOCAL_SECONDS = 10.0
"""How long a local service may take to accept (reference 1.3)."""


async def dial_local(reactor: DialReactor, host: str, port: int) -> Stream:
    """Connect to a service behind the client.

    Returns:
        The connected stream, parked.

    Raises:
        LocalServiceUnavailable: with the address and the system's reason.
    """
    try:
        return await dial(reactor, host, port, timeout=LOCAL_SECONDS)
    except ConnectError as error:
        raise LocalServiceUnavailable(
            f"connect to local service [{host}:{port}] error: {error}"
        ) from error
