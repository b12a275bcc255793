# -*- test-case-name: tests.server.test_clients -*-
"""What all parts of one server share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from attrs import define, field

from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.gateway.router import Router
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.server.groups import NamedGroup, RequestGroup, SharedPorts, SharedRoutes
from tunnelsvc.server.ports import PortManager

if TYPE_CHECKING:
    from tunnelsvc.gateway.route import Target
    from tunnelsvc.server.hooks.asking import Hooks
    from tunnelsvc.server.proxies.base import Proxy


class NamedProxy(Protocol):
    """Where users' TLS connections go by the name that they are for: an https proxy."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Names and wildcards by which it is found."""

    def accept(self, user: Stream, seen: bytes = b"") -> None:
        """Take a parked user connection, and what was read of it."""


@define(eq=False)
class ServerContext:
    """Shared by the proxies of all clients.

    Attributes:
        reactor: clock and listener.
        config: the file's values.
        ports: public ports.
        router: host names and paths of http proxies.
        tls_router: host names of https proxies.
        stats: what the dashboard shows.
        proxies: name on the wire to proxy, over all clients.
        connections: everything that was accepted on any port.
        tcp_groups: groups of tcp proxies.
        http_groups: groups of http proxies.
        https_groups: groups of https proxies.
        takes_http: whether users of http proxies can come in anywhere.
        hooks: asks server plugins; None: there are none.
    """

    reactor: Any
    config: ServerConfig
    ports: PortManager
    router: Router[Target]
    stats: ServerStats
    tls_router: Router[NamedProxy] = field(factory=Router)
    proxies: dict[str, Proxy] = field(factory=dict)
    connections: Connections = field(factory=Connections)
    takes_http: bool = False
    hooks: Hooks | None = None
    tcp_groups: SharedPorts = field(init=False)
    http_groups: SharedRoutes[RequestGroup] = field(init=False)
    https_groups: SharedRoutes[NamedGroup] = field(init=False)

    @tcp_groups.default
    def _no_tcp_groups(self) -> SharedPorts:
        return SharedPorts(self.ports, self.connections)

    @http_groups.default
    def _no_http_groups(self) -> SharedRoutes[RequestGroup]:
        return SharedRoutes(self.router, lambda _: RequestGroup(self.reactor.seconds))

    @https_groups.default
    def _no_https_groups(self) -> SharedRoutes[NamedGroup]:
        now = self.reactor.seconds
        return SharedRoutes(self.tls_router, lambda domain: NamedGroup(now, domain))

    def claim(self, name: str, proxy: Proxy) -> None:
        """Reserve a name.

        Raises:
            ProxyRefused: somebody has it.
        """
        if name in self.proxies:
            raise ProxyRefused(f"proxy [{name}] already exists")
        self.proxies[name] = proxy

    def release(self, name: str) -> None:
        """Free a name."""
        self.proxies.pop(name, None)
