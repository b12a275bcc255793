# -*- test-case-name: tests.server.proxies.test_https -*-
"""``type = https``: host names of the vhost port for TLS, which ends at the local service.

Like ``tcp`` behind the first message: its users' bytes are passed on untouched, that message too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.server.proxies.domains import (
    Places,
    add_routes,
    addresses,
    domains_of,
    remove_routes,
)
from tunnelsvc.wire.messages import NewProxy

if TYPE_CHECKING:
    from tunnelsvc.server.client import Client
    from tunnelsvc.server.context import ServerContext


class HTTPSProxy(Proxy):
    """Is found by `tunnelsvc.server.sni`, hop 1 of its users.

    Attributes:
        domains: names and wildcards by which it is found.
    """

    def __init__(self, request: NewProxy, client: Client, context: ServerContext) -> None:
        super().__init__(request, client, context)
        if not context.config.vhost_https_port:
            raise ProxyRefused("type [https] not supported when vhost https port is not set")
        self.domains = domains_of(request, context.config)
        self._routes = [(domain, "") for domain in self.domains]
        self._places: Places[HTTPSProxy] = (
            context.https_groups.places(self) if request.group else context.tls_router
        )

    async def listen(self) -> str:
        """Take the names, all or none; see `Proxy`."""
        add_routes(self._places, self._routes, self)
        return addresses(self.domains, self.context.config.vhost_https_port)

    async def unlisten(self) -> None:
        """See `Proxy`."""
        remove_routes(self._places, self._routes)

    def api_conf(self) -> dict[str, Any]:
        """See `Proxy`."""
        request = self.request
        return super().api_conf() | {
            "customDomains": list(request.custom_domains),
            "subdomain": request.subdomain,
        }
