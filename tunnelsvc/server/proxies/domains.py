# -*- test-case-name: tests.server.proxies.test_http -*-
"""Proxies that are reached by host names, on a port that they share."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.gateway.router import normalise
from tunnelsvc.wire.messages import NewProxy

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

SCHEME_PORTS = (80, 443)
"""Ports that a URL leaves out."""
MOST_ADDRESS_CHARACTERS = 4_096
"""Of the list of addresses in an answer; a message has 10 KiB."""
MOST_DOMAIN_CHARACTERS = 255
"""RFC 1035 section 2.3.4."""
_LABEL = re.compile(r"[\w-]{1,63}")
_DOMAIN = re.compile(r"(?:\*|(?:\*\.)?[\w-]+(?:\.[\w-]+)*|[0-9a-f.]*:[0-9a-f:.]+)")


class Places(Protocol[T_contra]):
    """Where a proxy can be reached: a router, or the groups in one."""

    def add(self, domain: str, location: str, target: T_contra, *, user: str = "") -> None:
        """Take a place; see `tunnelsvc.gateway.router.Router.add`."""

    def remove(self, domain: str, location: str, *, user: str = "") -> None:
        """Give it back."""


def add_routes(
    router: Places[T], routes: Iterable[tuple[str, str]], target: T, *, user: str = ""
) -> None:
    """Take routes, all or none.

    Args:
        router: that of the port.
        routes: pairs of a domain and a location.
        target: what they lead to.
        user: of HTTP's Basic scheme, for whom alone they are; empty: for all.

    Raises:
        ProxyRefused: somebody has one of them.
    """
    added: list[tuple[str, str]] = []
    try:
        for route in routes:
            router.add(*route, target, user=user)
            added.append(route)
    except ProxyRefused:
        remove_routes(router, added, user=user)
        raise


def remove_routes(router: Places[T], routes: Iterable[tuple[str, str]], *, user: str = "") -> None:
    """Give routes back."""
    for route in routes:
        router.remove(*route, user=user)


def addresses(domains: Sequence[str], port: int) -> str:
    """Say where users reach a proxy, for the client's user: as much as fits into a message.

    Args:
        domains: of the proxy.
        port: of the server; 0: users come in otherwise, where only the program knows.
    """
    suffix = f":{port}" if port and port not in SCHEME_PORTS else ""
    text = ",".join(f"{domain}{suffix}" for domain in domains)
    if len(text) <= MOST_ADDRESS_CHARACTERS:
        return text
    return text[:MOST_ADDRESS_CHARACTERS].rpartition(",")[0] + ",..."


def domains_of(request: NewProxy, config: ServerConfig) -> tuple[str, ...]:
    """Return the host names that a proxy asks for.

    Raises:
        ProxyRefused: none, or one that it can't have (protocol notes 5.1).
    """
    host = config.subdomain_host
    domains = [normalise(domain) for domain in request.custom_domains if domain]
    for domain in domains:
        if len(domain) > MOST_DOMAIN_CHARACTERS or not _DOMAIN.fullmatch(domain):
            raise ProxyRefused(f"custom domain [{domain}] is no host name")
        if host and domain.endswith(f".{host}"):
            raise ProxyRefused(
                f"custom domain [{domain}] should not belong to subdomain host [{host}]"
            )
    if request.subdomain:
        domains.append(_subdomain(request.subdomain.lower(), host))
    if not domains:
        raise ProxyRefused("subdomain and custom domains should not be both empty")
    return tuple(dict.fromkeys(domains))


def _subdomain(subdomain: str, host: str) -> str:
    if not host:
        raise ProxyRefused(
            "subdomain is not supported because this feature is not enabled in server"
        )
    if "." in subdomain or "*" in subdomain:
        raise ProxyRefused("'.' and '*' are not supported in subdomain")
    # With an "@" it would be somebody's route for one user, with a ":" another host altogether.
    if _LABEL.fullmatch(subdomain) is None:
        raise ProxyRefused("a subdomain is one label of a host name")
    return f"{subdomain}.{host}"
