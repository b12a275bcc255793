# -*- test-case-name: tests.server.proxies.test_http -*-
"""``type = http``: host names and paths of the vhost port (`config.schema.HTTPProxyConfig`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IAddress

from tunnelsvc.errors import ProxyRefused, WorkConnectionUnavailable
from tunnelsvc.gateway.pool import BackendPool, UserPool
from tunnelsvc.gateway.route import LoneRoute, Underway
from tunnelsvc.gateway.rules import make_rules
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Meter
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

MOST_ROUTES = 1_000
"""Domains times locations of one proxy; the message that announces it holds 10 KiB."""

NEWS_SECONDS = 0.05
"""A client that dies takes all its connections along. Which is noticed first is chance, and they
are a few milliseconds apart."""


class HTTPProxy(LoneRoute, Proxy):
    """A `tunnelsvc.gateway.route.Route`: hop 1 of its users is the vhost's request parser.

    A work connection mostly carries requests of many users, so the hops of `Proxy.serve` happen
    apart: 3 to 6 in `open_backend`, when the pool has no connection left over, 8 and 9 per request.
    """

    def __init__(self, request: NewProxy, client: Client, context: ServerContext) -> None:
        super().__init__(request, client, context)
        if not context.takes_http:
            raise ProxyRefused("type [http] not supported when vhost http port is not set")
        self.rules = make_rules(
            host_header_rewrite=request.host_header_rewrite,
            headers=request.headers,
            response_headers=request.response_headers,
            http_user=request.http_user,
            http_password=request.http_pwd,
        )
        # A real frpc doesn't say whether its service is told who the user is; frps shares always.
        pool = UserPool if request.one_user_per_work_conn else BackendPool
        self.backend: BackendPool = pool(
            self.open_backend,
            context.reactor,
            half_closes=client.is_ours,
            news_seconds=NEWS_SECONDS,
        )
        self.domains = domains_of(request, context.config)
        self._routes = [
            (domain, location)
            for domain in self.domains
            for location in dict.fromkeys(request.locations or ("",))
        ]
        if len(self._routes) > MOST_ROUTES:
            raise ProxyRefused(f"more than {MOST_ROUTES} pairs of a domain and a location")
        # Whoever may enter by one member of a group may by all: chance decides which one it is.
        terms = self.rules.credentials
        self._places: Places[HTTPProxy] = (
            context.http_groups.places(self, terms) if request.group else context.router
        )

    async def open_backend(self, user: IAddress) -> Stream:
        """Hops 3, 5 and 6 for the vhost's pool.

        Raises:
            WorkConnectionUnavailable: the client gave none, or the proxy is closed.
        """
        if self.closed:  # a request that was let in before has lost its connection
            raise WorkConnectionUnavailable("the proxy is closed")
        try:
            stream, _ = await self.open_work(user, None)
        except WorkConnectionUnavailable as why:
            self._note_refused(user, why)
            raise
        return stream

    async def listen(self) -> str:
        """Take the routes, all or none; see `Proxy`."""
        add_routes(self._places, self._routes, self, user=self.request.route_by_http_user)
        config = self.context.config
        domains = [domain for domain, _ in self._routes]
        hosts = (domain for domain in self.domains if "*" not in domain)
        secure = [host for host in hosts if self.context.ends_tls(host)]
        self.https_address = addresses(secure, config.vhost_https_port)
        return addresses(domains, config.vhost_http_port or config.vhost_https_port)

    async def unlisten(self) -> None:
        """See `Proxy`."""
        remove_routes(self._places, self._routes, user=self.request.route_by_http_user)
        self.backend.close()

    def cut_users(self) -> None:
        """See `Proxy`; who can still be told that nobody serves him, is."""
        for request in self.stats.users():
            cast("Underway", request).turn_away()

    def exchange_started(self, meter: Meter, request: Underway) -> None:
        """Count a request; see `Route`."""
        self.stats.track(meter, request)

    def exchange_finished(self, meter: Meter) -> None:
        """Hop 9: settle its bytes; see `Route`. Its line is for the access log, if there is one."""
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
