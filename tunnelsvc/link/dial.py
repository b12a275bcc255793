# -*- test-case-name: tests.link.test_dial -*-
"""Dialling TCP: a connected stream, or a readable error within a time limit."""

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import DNSLookupError, UnknownHostError
from twisted.internet.interfaces import (
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IStreamClientEndpoint,
)

from tunnelsvc.handover import ParkingFactory
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.sockopts import KEEPALIVE_SECONDS, tune


class DialReactor(IReactorTCP, IReactorTime, IReactorPluggableNameResolver):
    """What of the reactor dialling needs."""


def endpoint(
    reactor: DialReactor, host: str, port: int, timeout: float, source: str = ""
) -> IStreamClientEndpoint:
    """Choose the endpoint for a host name or an address (IPv6 with or without brackets)."""
    host = host.removeprefix("[").removesuffix("]")
    bind = (source, 0) if source else None
    if isIPAddress(host):
        return TCP4ClientEndpoint(reactor, host, port, timeout=timeout, bindAddress=bind)
    if isIPv6Address(host):
        return TCP6ClientEndpoint(reactor, host, port, timeout=timeout, bindAddress=bind)
    return HostnameEndpoint(reactor, host, port, timeout=timeout, bindAddress=source or None)


async def dial(
    reactor: DialReactor,
    host: str,
    port: int,
    *,
    timeout: float,
    source: str = "",
    keepalive_seconds: float = KEEPALIVE_SECONDS,
) -> Stream:
    """Connect to `host`, resolving its name anew.

    Args:
        reactor: what connects.
        host: name or address.
        port: TCP port.
        timeout: seconds for one connection attempt.
        source: local address to come from; empty: the system's choice.
        keepalive_seconds: see `tunnelsvc.link.sockopts.tune`.

    Returns:
        The connected stream, parked.

    Raises:
        ConnectError: refused, unreachable, not resolvable or timed out.
    """
    connected: list[Stream] = []
    factory = ParkingFactory(connected.append)
    try:
        await endpoint(reactor, host, port, timeout, source).connect(factory)
    except DNSLookupError as why:  # no ConnectError, to Twisted
        raise UnknownHostError(f"{host}: {why}") from why
    stream = connected[0]
    tune(stream, keepalive_seconds)
    return stream
