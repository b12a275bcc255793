# -*- test-case-name: tests.server.proxies.test_http -*-
"""``type = http``: host names and paths of the vhost port (`config.schema.HTTPProxyConfig`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress

from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.gateway.pool import BackendPool
from tunnelsvc.gateway.router import normalise
from tunnelsvc.gateway.rules import make_rules
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Meter
from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.wire.messages import NewProxy

if TYPE_CHECKING:
    from tunnelsvc.server.clients import Client
    from tunnelsvc.server.context import ServerContext

SCHEME_PORTS = (80, 443)
"""Ports that a URL leaves out."""
MOST_ADDRESS_CHARACTERS = 4_096
"""Of the list of addresses in an answer; a message has 10 KiB."""
MOST_DOMAIN_CHARACTERS = 255
"""RFC 1035 section 2.3.4."""
_DOMAIN = re.compile(r"(?:\*|(?:\*\.)?[\w-]+(?:\.[\w-]+)*|[0-9a-f.]*:[0-9a-f:.]+)")
MOST_ROUTES = 1_000
"""Domains times locations of one proxy; the message that announces it holds 10 KiB."""


class HTTPProxy(Proxy):
    """A `tunnelsvc.gateway.route.Route`: hop 1 of its users is the vhost's request parser.

    A work connection carries requests of many users, so the hops of `Proxy.serve` happen apart:
    3 to 6 in `open_backend`, when the pool has no connection left over, 8 and 9 per request.
    """

    def __init__(self, request: NewProxy, client: Client, context: ServerContext) -> None:
        super().__init__(request, client, context)
        if not context.config.vhost_http_port:
            raise ProxyRefused("type [http] not supported when vhost http port is not set")
        self.rules = make_rules(
            host_header_rewrite=request.host_header_rewrite,
            headers=request.headers,
            response_headers=request.response_headers,
            http_user=request.http_user,
            http_password=request.http_pwd,
        )
        self.backend = BackendPool(self.open_backend, context.reactor, half_closes=client.is_ours)
        self.domains = domains_of(request, context.config)
        self._routes = [
            (domain, location)
            for domain in self.domains
            for location in dict.fromkeys(request.locations or ("",))
        ]
        if len(self._routes) > MOST_ROUTES:
            raise ProxyRefused(f"more than {MOST_ROUTES} pairs of a domain and a location")

    async def open_backend(self, user: IAddress) -> Stream:
        """Hops 3, 5 and 6 for the vhost's pool."""
        stream, _ = await self.open_work(user, None)
        return stream

    async def listen(self) -> str:
        """Take the routes, all or none; see `Proxy`."""
        added: list[tuple[str, str]] = []
        try:
            for route in self._routes:
                self.context.router.add(*route, self, user=self.request.route_by_http_user)
                added.append(route)
        except ProxyRefused:
            self._remove(added)
            raise
        port = self.context.config.vhost_http_port
        suffix = "" if port in SCHEME_PORTS else f":{port}"
        return _shown([f"{domain}{suffix}" for domain, _ in self._routes])

    async def unlisten(self) -> None:
        """See `Proxy`."""
        self._remove(self._routes)
        self.backend.close()

    def _remove(self, routes: list[tuple[str, str]]) -> None:
        for route in routes:
            self.context.router.remove(*route, user=self.request.route_by_http_user)

    def exchange_started(self, meter: Meter) -> None:
        """Count a request; see `Route`."""
        self.stats.track(meter)

    def exchange_finished(self, meter: Meter) -> None:
        """Hop 9: settle its bytes. An access log is no job of the daemon's log."""
        self.stats.untrack(meter)

    def api_conf(self) -> dict[str, Any]:
        """See `Proxy`."""
        request = self.request
        return super().api_conf() | {
            "customDomains": list(request.custom_domains),
            "subdomain": request.subdomain,
            "locations": list(request.locations),
            "routeByHTTPUser": request.route_by_http_user,
            "hostHeaderRewrite": request.host_header_rewrite,
        }


def _shown(addresses: list[str]) -> str:
    """Join addresses for the client's user, as many as fit into a message."""
    text = ",".join(addresses)
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
    return f"{subdomain}.{host}"
