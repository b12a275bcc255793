# -*- test-case-name: tests.client.test_local -*-
"""Hop 7 of a user connection: dial the local service."""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.error import ConnectError

from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor, dial

LOCAL_SECONDS = 10.0
"""How long a local service may take to accept (reference 1.3)."""


def dial_local(
    reactor: DialReactor, proxy: ProxyConfig, *, timeout: float = LOCAL_SECONDS
) -> Coroutine[Any, Any, Stream]:
    """Connect to the service behind `proxy`; see `dial_service`."""
    return dial_service(reactor, proxy.local_ip, proxy.local_port, timeout=timeout)


async def dial_service(
    reactor: DialReactor, host: str, port: int, *, timeout: float = LOCAL_SECONDS
) -> Stream:
    """Connect to a service that the client reaches.

    Args:
        reactor: what connects.
        host: name or address.
        port: TCP port.
        timeout: seconds.

    Returns:
        The connected stream, parked.

    Raises:
        LocalServiceUnavailable: with the address and the system's reason.
    """
    try:
        return await dial(reactor, host, port, timeout=timeout)
    except ConnectError as error:
        raise LocalServiceUnavailable(
            f"connect to local service [{host}:{port}] error: {error}"
        ) from error
