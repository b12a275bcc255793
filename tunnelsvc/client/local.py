# -*- test-case-name: tests.client.test_local -*-
"""Hop 7 of a user connection: dial the local service, and tell it who comes."""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.error import ConnectError

from tunnelsvc.addresses import host_and_port
from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor, dial
from tunnelsvc.wire.messages import StartWorkConn

LOCAL_SECONDS = 10.0
"""How long a local service may take to accept (reference 1.3)."""

NO_ENTRANCE = "127.0.0.1"
"""Stands for where the user came in when that isn't told (http); frp's."""


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
            f"connect to local service [{host_and_port(host, port)}] error: {error}"
        ) from error


def introduce(local: Stream, proxy: ProxyConfig, start: StartWorkConn) -> None:
    """Tell a service who the user is, if it is to be told (protocol notes 6.10).

    Args:
        local: the fresh connection to it; the user's bytes go behind this.
        proxy: says whether and how.
        start: who the user is; without an address, or a port, nothing is told, as in frp.
    """
    if not (proxy.proxy_protocol_version and start.src_addr and start.src_port):
        return
    # Most clients have no such proxy.
    from tunnelsvc.wire.proxyprotocol import header  # noqa: PLC0415

    source = start.src_addr, start.src_port
    destination = start.dst_addr or NO_ENTRANCE, start.dst_port
    local.write(header(proxy.proxy_protocol_version, source, destination))
