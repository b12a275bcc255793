# -*- test-case-name: tests.server.test_service -*-
"""The server as a Twisted service: what is listening, and what it is built of."""

from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.gateway import Router, VhostFactory
from tunnelsvc.handover import ParkingFactory
from tunnelsvc.link.certificates import server_context
from tunnelsvc.link.sockets import listen
from tunnelsvc.link.sockopts import KEEPALIVE_SECONDS
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.relay import join
from tunnelsvc.server.accept import Acceptor
from tunnelsvc.server.clients import ClientRegistry
from tunnelsvc.server.context import ServerContext
from tunnelsvc.server.ports import PortManager


class TunnelServer(MultiService):
    """The public side of the tunnel.

    Attributes:
        ports: what listens where: "bind", "vhost_http" to actual port numbers.
        stats: what the dashboard shows.
    """

    log = Logger(namespace="server")

    def __init__(self, config: ServerConfig, reactor: Any) -> None:
        """Build everything; nothing listens yet.

        Raises:
            ConfigError: a TLS file can't be used.
        """
        super().__init__()
        self.config = config
        self.ports: dict[str, int] = {}
        self.stats = ServerStats(now=reactor.seconds)
        self.started_at = reactor.seconds()
        self._reactor = reactor
        self._listening: list[IListeningPort] = []
        auth = TokenAuth(
            token=config.token,
            heartbeats=config.authenticate_heartbeats,
            new_work_conns=config.authenticate_new_work_conns,
            now=reactor.seconds,
        )
        self._context = context = ServerContext(
            reactor=reactor,
            config=config,
            ports=PortManager(reactor, reactor, config.proxy_bind_addr, config.allow_ports),
            router=Router(reactor.seconds),
            stats=self.stats,
        )
        self._registry = ClientRegistry(context, auth)
        self._vhost = self._make_vhost(context) if config.vhost_http_port else None
        self._acceptor = Acceptor(
            self._registry,
            server_context(config.tls),
            self._vhost.take_over if self._vhost else None,
        )

    def _make_vhost(self, context: ServerContext) -> VhostFactory:
        return VhostFactory(
            context.router,
            self._reactor,
            response_timeout=self.config.vhost_http_timeout_seconds,
            custom_404_page=self.config.custom_404_page,
            join=join,
            connections=context.connections,
            trusted_proxies=self.config.trusted_proxies,
        )

    def privilegedStartService(self) -> None:
        """Listen.

        Raises:
            CannotListenError: a port is taken or not ours.
        """
        super().privilegedStartService()
        config = self.config
        accept = ParkingFactory(self._acceptor.accept, self._context.connections)
        keepalive = config.tcp_keepalive_seconds
        self._listen("bind", config.bind_addr, config.bind_port, accept, keepalive)
        if self._vhost is not None and config.vhost_http_port != config.bind_port:
            self._listen("vhost_http", config.proxy_bind_addr, config.vhost_http_port, self._vhost)

    def _listen(
        self,
        what: str,
        interface: str,
        number: int,
        factory: ServerFactory,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
    ) -> None:
        interface = interface.removeprefix("[").removesuffix("]")
        port = listen(
            self._reactor,
            number,
            factory,
            interface=interface,
            keepalive_seconds=keepalive_seconds,
        )
        self._listening.append(port)
        self.ports[what] = port.getHost().port  # type: ignore[attr-defined]
        self.log.info("{what} listens on {address}:{port}",
                      what=what, address=interface, port=self.ports[what])  # fmt: skip

    def startService(self) -> None:
        """Say that users may come."""
        super().startService()
        self._context.connections.sweep_regularly(self._reactor)
        self.log.info("tunnel server started successfully")

    async def _stop(self) -> None:
        listening, self._listening = self._listening, []
        for port in listening:
            await maybeDeferred(port.stopListening)
        await self._registry.close()
        await self._context.connections.abort_all(self._reactor)
        await maybeDeferred(super().stopService)

    def stopService(self) -> Deferred[None]:
        """Stop listening and end all conversations; fires when the ports are free."""
        return ensureDeferred(self._stop())
