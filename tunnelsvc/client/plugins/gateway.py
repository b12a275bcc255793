# -*- test-case-name: tests.client.plugins.test_gateway -*-
"""``https2http``, ``https2https``, ``http2https``, ``http2http``: a web server before a local one.

What comes on a work connection is requests, in TLS that ends here or without. Each is rewritten and
goes to the local service, over connections that are kept for the next one, whoever asks.

Who the user is
===============

A user of a proxy of type tcp or https has the work connection to himself. StartWorkConn says who he
is, and the service is told in X-Forwarded-For and the like. For type http the server keeps work
connections for many users, and has put those headers in: they go on as they came.
"""

from functools import partial
from ipaddress import ip_address
from typing import ClassVar, Final

from attrs import evolve
from OpenSSL import SSL
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from tunnelsvc.addresses import host_and_port
from tunnelsvc.client.local import dial_service
from tunnelsvc.client.plugins import Place
from tunnelsvc.client.plugins.site import make_site
from tunnelsvc.client.plugins.termination import Termination, failure_of
from tunnelsvc.config.plugins import GatewayConfig, SecuredGatewayConfig
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ConfigError, LocalServiceUnavailable, ProxyRefused
from tunnelsvc.gateway.forwarded import Origin
from tunnelsvc.gateway.gate import only_for
from tunnelsvc.gateway.pages import Pages
from tunnelsvc.gateway.pool import BackendPool
from tunnelsvc.gateway.protocol import VhostProtocol
from tunnelsvc.gateway.route import LoneRoute, Site, Target
from tunnelsvc.gateway.router import Router, normalise
from tunnelsvc.gateway.rules import Rules, make_rules
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.certificates import ConnectionFactory, client_context
from tunnelsvc.link.tls import start_tls_client
from tunnelsvc.relay import Closed
from tunnelsvc.relay.accounted import Accounted
from tunnelsvc.wire.messages import StartWorkConn

PROTOCOLS: Final = (b"http/1.1",)
"""What is spoken in TLS, on both sides, as ALPN names it."""


class Gateway(LoneRoute):
    """A `tunnelsvc.client.plugins.Plugin`, and the one route of its requests.

    It counts none of them: the account is that of the work connection.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(self, place: Place) -> None:
        """Load what is configured; nothing is dialled yet.

        Raises:
            ConfigError: a file, or a header, can't be used.
        """
        config = place.proxy.plugin
        assert isinstance(config, GatewayConfig)
        self.name = place.proxy.name
        self._place = place
        self._address = config.local_addr
        self.rules = _rules(place.proxy.name, config)
        self.backend = BackendPool(self._open, place.reactor)
        self._tls_in: Termination | None = None
        if isinstance(config, SecuredGatewayConfig):
            self._tls_in = Termination(place, config.crt_path, config.key_path, PROTOCOLS)
        self._tls_out = _to_service(config) if config.tls_out else None
        self._site = self._one_route()

    def _one_route(self) -> Site:
        router: Router[Target] = Router()
        router.add("*", "", self)
        return make_site(router, self._place.reactor, Pages())

    # Hops 7 and 8, of users.

    async def serve(
        self, stream: Stream, unread: bytes, start: StartWorkConn, *, far_half_closes: bool
    ) -> Closed:
        """See `Plugin`."""
        clock = self._place.reactor
        user = Accounted(stream, unread, clock=clock, far_half_closes=far_half_closes)
        origin = self._origin(start)
        if self._tls_in is None:
            VhostProtocol(self._site, origin=origin).take_over(user, unread)
            return await user.closed
        connection = self._tls_in.connection()
        # As in frp: certificate and content may not fit to another host.
        site = evolve(self._site, gate=only_for(partial(_was_named, connection)))
        reader = _Secured(site, origin, user)
        why = await failure_of(self._tls_in.start(user, unread, reader, connection))
        closed = await user.closed
        return evolve(closed, detail=why) if why else closed

    def _origin(self, start: StartWorkConn) -> Origin:
        if self._place.proxy.type == "http":
            return Origin(b"", passed_on=True)
        try:
            address = str(ip_address(start.src_addr))
        except ValueError:  # nobody said
            address = ""
        scheme = b"http" if self._tls_in is None else b"https"
        return Origin(address.encode(), scheme)

    # Hop 7, of requests: `Route`.

    async def _open(self, user: IAddress) -> Stream:  # noqa: ARG002 - the headers tell
        """Connect to the local service."""
        try:
            stream = await dial_service(self._place.reactor, *self._address)
            self._place.connections.add(stream)
            return stream if self._tls_out is None else await self._secure(stream, self._tls_out)
        except LocalServiceUnavailable as why:
            self.log.warn("[{proxy}] {why}", proxy=self._place.proxy.name, why=why)
            raise

    async def _secure(self, stream: Stream, connections: ConnectionFactory) -> Stream:
        clock = self._place.reactor
        tls = start_tls_client(stream, connections, Parked(), clock, head_byte=False)
        why = await failure_of(tls)
        if why:
            where = host_and_port(*self._address)
            raise LocalServiceUnavailable(f"TLS with local service [{where}] error: {why}")
        return tls


class _Secured(VhostProtocol):
    """Reads requests in TLS, where the user's end of file is heard before that of TCP."""

    def __init__(self, site: Site, origin: Origin, user: Accounted) -> None:
        super().__init__(site, origin=origin)
        self._user = user

    def readConnectionLost(self) -> None:
        self._user.far_finished()
        super().readConnectionLost()


def _was_named(connection: SSL.Connection, host: str) -> bool:
    """Tell whether TLS was asked for by the name of a host, or without any."""
    name = (connection.get_servername() or b"").decode("latin-1")
    return not name or normalise(name) == host


def _rules(proxy: str, config: GatewayConfig) -> Rules:
    try:
        return make_rules(host_header_rewrite=config.host_header_rewrite, headers=config.headers)
    except ProxyRefused as why:
        raise ConfigError([f"[{proxy}] plugin_{why}"]) from why


def _to_service(config: GatewayConfig) -> ConnectionFactory:
    """Make what begins TLS to the local service, whatever certificate it has, as in frp.

    It learns for which host it is, if that is a name: the one that requests will have.
    """
    host = normalise(config.host_header_rewrite) or config.local_addr[0]
    return client_context(TLSConfig(), host, PROTOCOLS)
