# -*- test-case-name: tests.server.test_clients -*-
"""What all parts of one server share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from attrs import define, field

from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.gateway.router import Router
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.udp import listen_udp
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.server.groups import (
    ConnectGroup,
    NamedGroup,
    RequestGroup,
    SharedPorts,
    SharedRoutes,
)
from tunnelsvc.server.ports import PortManager
from tunnelsvc.server.rules import Rules

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


class ConnectTarget(Protocol):
    """Where users' CONNECT requests go by host and user: a tcpmux proxy, or a group of some."""

    @property
    def credentials(self) -> bytes:
        """User and password that are asked for; empty: none."""

    def accept(self, user: Stream, seen: bytes = b"") -> None:
        """Take a parked user connection, and what the local service gets of what was read."""


@define(eq=False)
class ServerContext:
    """Shared by the proxies of all clients.

    Attributes:
        reactor: clock and listener.
        config: the file's values.
        ports: public ports of TCP.
        udp_ports: public ports of UDP, which have the same numbers.
        router: host names and paths of http proxies.
        tls_router: host names of https proxies.
        connect_router: host names of tcpmux proxies.
        stats: what the dashboard shows.
        proxies: name on the wire to proxy, over all clients.
        connections: everything that was accepted on any port.
        tcp_groups: groups of tcp proxies.
        http_groups: groups of http proxies.
        https_groups: groups of https proxies.
        connect_groups: groups of tcpmux proxies.
        takes_http: whether users of http proxies can come in anywhere.
        ends_tls: tells whether users of a host's http proxy can come by https.
        hooks: asks server plugins; None: there are none.
        rules: what the administrator has forbidden.
    """

    reactor: Any
    config: ServerConfig
    ports: PortManager
    router: Router[Target]
    stats: ServerStats
    tls_router: Router[NamedProxy] = field(factory=Router)
    connect_router: Router[ConnectTarget] = field(factory=Router)
    proxies: dict[str, Proxy] = field(factory=dict)
    connections: Connections = field(factory=Connections)
    takes_http: bool = False
    ends_tls: Callable[[str], bool] = lambda _: False
    udp_ports: PortManager = field(init=False)
    hooks: Hooks | None = None
    rules: Rules = field(factory=Rules)
    tcp_groups: SharedPorts = field(init=False)
    http_groups: SharedRoutes[RequestGroup] = field(init=False)
    https_groups: SharedRoutes[NamedGroup] = field(init=False)
    connect_groups: SharedRoutes[ConnectGroup] = field(init=False)

    @udp_ports.default
    def _no_udp_ports(self) -> PortManager:
        ports = self.ports
        return PortManager(
            self.reactor, self.reactor, ports.interface, ports.allowed, bind=listen_udp
        )

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

    @connect_groups.default
    def _no_connect_groups(self) -> SharedRoutes[ConnectGroup]:
        now = self.reactor.seconds
        return SharedRoutes(self.connect_router, lambda _: ConnectGroup(now))

    def claim(self, name: str, proxy: Proxy) -> None:
        """Reserve a name.

        Raises:
            ProxyRefused: somebody has it.
        """
        other = self.proxies.get(name)
        if other is not None:
            raise ProxyRefused(proxy.name_taken_by(other))
        self.proxies[name] = proxy

    def release(self, name: str) -> None:
        """Free a name."""
        self.proxies.pop(name, None)
