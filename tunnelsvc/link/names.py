# -*- test-case-name: tests.link.test_names -*-
"""``dns_server``: names are looked up there, instead of as the system does it.

That holds for all names that this process asks for, as with frpc: the server's, and those of local
services. The hosts file still comes first.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Final, Literal, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath
from zope.interface import implementer

from tunnelsvc.config.addresses import host_and_port

PORT: Final = 53
WAITS_SECONDS: Final = (1, 2, 4)
"""For an answer, from one question to the next; with the last one it is given up."""
HOSTS: Final = FilePath("/etc/hosts")

_FAMILIES: Final[dict[type[IAddress], int]] = {IPv4Address: dns.A, IPv6Address: dns.AAAA}


@implementer(IHostResolution)
class _Resolution:
    """A look-up that can't be stopped: it takes seconds at most."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        raise NotImplementedError


@implementer(IHostnameResolver)
class NameServer:
    """Looks names up; see ``IReactorPluggableNameResolver.installNameResolver``."""

    def __init__(self, dns_server: str, reactor: Any, hosts: "FilePath[str]" = HOSTS) -> None:
        """Begin.

        Args:
            dns_server: address, with or without a port.
            reactor: sends the questions.
            hosts: the hosts file.
        """
        server = host_and_port(PORT)(dns_server)
        self._resolver = Resolver(servers=[server], timeout=WAITS_SECONDS, reactor=reactor)
        self._hosts = hosts

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See ``IHostnameResolver``: without an answer, there are no addresses."""
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        transport = cast("Literal['TCP', 'UDP']", transportSemantics)
        wanted = [_FAMILIES[kind] for kind in addressTypes or _FAMILIES]

        def found(addresses: Sequence[str]) -> None:
            for address in addresses:
                kind = IPv6Address if ":" in address else IPv4Address
                if _FAMILIES[kind] in wanted:
                    resolutionReceiver.addressResolved(kind(transport, address, portNumber))
            resolutionReceiver.resolutionComplete()

        name = hostName.encode("ascii" if hostName.isascii() else "idna")
        here = searchFileForAll(self._hosts, name)
        if here:
            found(here)
        else:
            self._ask(name, wanted).addCallback(found)
        return resolution

    def _ask(self, name: bytes, wanted: Sequence[int]) -> Deferred[list[str]]:
        """Ask for both kinds of addresses at once; fires with all that there are."""
        asked = [
            maybeDeferred(ask, name)
            for kind, ask in (
                (dns.A, self._resolver.lookupAddress),
                (dns.AAAA, self._resolver.lookupIPV6Address),
            )
            if kind in wanted
        ]
        return DeferredList(asked, consumeErrors=True).addCallback(_addresses)


def _addresses(answers: Sequence[tuple[bool, Any]]) -> list[str]:
    """Take the addresses out of answers; other records there only lead to them."""
    return [
        str(ip_address(record.payload.address))
        for succeeded, answer in answers
        if succeeded
        for record in answer[0]
        if record.type in _FAMILIES.values()
    ]
