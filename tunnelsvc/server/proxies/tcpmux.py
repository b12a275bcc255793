# -*- test-case-name: tests.server.proxies.test_tcpmux -*-
"""``type = tcpmux``: host names of the port for CONNECT (`config.proxies.TCPMuxProxyConfig`).

Like ``tcp`` behind the request (protocol notes 6.4).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.interfaces import Stream
from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.server.proxies.domains import (
    Places,
    add_routes,
    addresses,
    domains_of,
    remove_routes,
)
from tunnelsvc.wire.basicauth import credentials
from tunnelsvc.wire.messages import NewProxy

if TYPE_CHECKING:
    from tunnelsvc.server.clients import Client
    from tunnelsvc.server.context import ServerContext

MULTIPLEXER = "httpconnect"
"""The only one that there is."""
CONNECTED = b"HTTP/1.1 200 OK\r\n\r\n"
"""Without the Content-Length that frp adds, which RFC 9110 section 9.3.6 forbids."""


class TCPMuxProxy(Proxy):
    """Is found by `tunnelsvc.server.connects`, hop 1 of its users.

    Attributes:
        credentials: user and password that a request must have; empty: none.
    """

    def __init__(self, request: NewProxy, client: Client, context: ServerContext) -> None:
        super().__init__(request, client, context)
        if request.multiplexer != MULTIPLEXER:
            raise ProxyRefused(f"unknown multiplexer [{request.multiplexer}]")
        if not context.config.tcpmux_httpconnect_port:
            raise ProxyRefused(
                "tcpmux with multiplexer httpconnect not supported because this feature is not "
                "enabled in server"
            )
        self.credentials = credentials(request.http_user, request.http_pwd)
        if not context.config.tcpmux_passthrough:
            self.greeting = CONNECTED
        self.domains = domains_of(request, context.config)
        self._routes = [(domain, "") for domain in self.domains]
        self._places: Places[TCPMuxProxy] = (
            context.connect_groups.places(self, self.credentials)
            if request.group
            else context.connect_router
        )

    async def listen(self) -> str:
        """Take the names, all or none; see `Proxy`."""
        add_routes(self._places, self._routes, self, user=self.request.route_by_http_user)
        return addresses(self.domains, self.context.config.tcpmux_httpconnect_port)

    async def unlisten(self) -> None:
        """See `Proxy`."""
        remove_routes(self._places, self._routes, user=self.request.route_by_http_user)

    def turn_away(self, user: Stream) -> None:
        """Say that the client isn't there, or gives no work connection."""
        # Servers without the port do without the module.
        from tunnelsvc.server.connects import refuse  # noqa: PLC0415

        refuse(user, HTTPStatus.SERVICE_UNAVAILABLE, self.context.reactor)

    def api_conf(self) -> dict[str, Any]:
        """See `Proxy`."""
        request = self.request
        return super().api_conf() | {
            "customDomains": list(request.custom_domains),
            "subdomain": request.subdomain,
            "routeByHTTPUser": request.route_by_http_user,
            "multiplexer": request.multiplexer,
        }
