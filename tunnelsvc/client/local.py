# -*- test-case-name: tests.client.test_local -*-
"""Hop 7 of a user connection: dial the local service."""

from twisted.internet.error import ConnectError

from tunnelsvc.config.schema import ProxyConfig
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor, dial

LOCAL_SECONDS = 10.0
"""How long a local service may take to accept (reference 1.3)."""


async def dial_local(
    reactor: DialReactor, proxy: ProxyConfig, timeout: float = LOCAL_SECONDS
) -> Stream:
    """Connect to the service behind `proxy`.

    Args:
        reactor: dials.
        proxy: whose service.
        timeout: seconds that it may take to accept.

    Returns:
        The connected stream, parked.

    Raises:
        LocalServiceUnavailable: with the address and the system's reason.
    """
    try:
        return await dial(reactor, proxy.local_ip, proxy.local_port, timeout=timeout)
    except ConnectError as error:
        raise LocalServiceUnavailable(
            f"connect to local service [{proxy.local_ip}:{proxy.local_port}] error: {error}"
        ) from error
