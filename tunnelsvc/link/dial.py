# -*- test-case-name: tests.link.test_dial -*-
"""Dialling TCP: a connected stream, or a readable error within a time limit."""

from functools import lru_cache

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, DNSLookupError, UnknownHostError
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.posixbase import PosixReactorBase
from zope.interface import implementer

from tunnelsvc.addresses import LOOPBACK, unbracketed
from tunnelsvc.handover import ParkingFactory
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.sockets import adopt, connect
from tunnelsvc.link.sockopts import KEEPALIVE_SECONDS, tune


class Unreachable(ConnectError):
    """There is no connection, for a reason that is no error of the system."""

    def __init__(self, why: str) -> None:
        super().__init__(string=why)

    def __str__(self) -> str:
        """Say why, and nothing else."""
        return str(self.args[0])


class DialReactor(IReactorTCP, IReactorTime, IReactorPluggableNameResolver):
    """What of the reactor dialling needs."""


def endpoint(
    reactor: DialReactor, host: str, port: int, timeout: float, source: str = ""
) -> IStreamClientEndpoint:
    """Choose the endpoint for a host name or an address (IPv6 with or without brackets)."""
    host = unbracketed(host)
    bind = (source, 0) if source else None
    if isIPAddress(host):
        return TCP4ClientEndpoint(reactor, host, port, timeout=timeout, bindAddress=bind)
    if isIPv6Address(host):
        return TCP6ClientEndpoint(reactor, host, port, timeout=timeout, bindAddress=bind)
    return HostnameEndpoint(reactor, host, port, timeout=timeout, bindAddress=source or None)


@implementer(IResolutionReceiver)
class _Addresses:
    """Collects what a name resolves to."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        pass

    def addressResolved(self, address: IAddress) -> None:
        self._found.append(address.host)  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:
        self.complete.callback(self._found)


async def _address(reactor: DialReactor, host: str) -> str:
    """Look up a name that is no host name by the book, such as Docker's ``web_app``.

    `HostnameEndpoint` refuses underscores, which the resolver of a private network may know.
    """
    return (await resolve(reactor, host))[0] if "_" in host else host


async def resolve(reactor: DialReactor, host: str) -> list[str]:
    """Return the addresses of a name, at least one.

    Raises:
        UnknownHostError: it has none.
    """
    addresses = _Addresses()
    reactor.nameResolver.resolveHostName(addresses, host)
    found = await addresses.complete
    if not found:
        raise UnknownHostError(f"{host}: no such name")
    return found


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
    host = unbracketed(host)
    lean = isinstance(reactor, PosixReactorBase)
    stream: Stream
    if lean and is_address(host):
        stream = await connect(reactor, host, port, timeout=timeout, source=source)
    else:
        address = await _address(reactor, host)
        stream = await _by_endpoint(endpoint(reactor, address, port, timeout, source), host)
        stream = await adopt(reactor, stream) if lean else stream
    # Nobody vanishes from one's own machine unnoticed.
    tune(stream, -1 if host == LOOPBACK else keepalive_seconds)
    return stream


@lru_cache(maxsize=1024)
def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, not a name."""
    return isIPAddress(host) or isIPv6Address(host)


async def _by_endpoint(target: IStreamClientEndpoint, host: str) -> Stream:
    """Connect by Twisted's means, which try all addresses of a name."""
    connected: list[Stream] = []
    try:
        await target.connect(ParkingFactory(connected.append))
    except (DNSLookupError, ValueError) as why:  # to Twisted these are no ConnectError
        raise UnknownHostError(f"{host}: {why}") from why
    return connected[0]
