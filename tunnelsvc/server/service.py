# -*- test-case-name: tests.server.test_service -*-
"""The server as a Twisted service: what is listening, and what it is built of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from tunnelsvc import __version__
from tunnelsvc.addresses import host_and_port, unbracketed
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.errors import ConfigError
from tunnelsvc.gateway import Router, VhostFactory
from tunnelsvc.handover import ParkingFactory
from tunnelsvc.link.certificates import server_context
from tunnelsvc.link.sockets import listen
from tunnelsvc.link.sockopts import KEEPALIVE_SECONDS
from tunnelsvc.link.switch import Route
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.relay import join
from tunnelsvc.server.accept import Acceptor
from tunnelsvc.server.clients import ClientRegistry
from tunnelsvc.server.context import ServerContext
from tunnelsvc.server.moderation import Moderation
from tunnelsvc.server.ports import PortManager

if TYPE_CHECKING:
    from tunnelsvc.gateway.accesslog import AccessLog
    from tunnelsvc.linefile import LineFile
    from tunnelsvc.server.connects import ConnectEntrance
    from tunnelsvc.server.hooks.asking import Hooks
    from tunnelsvc.server.tlsvhost import TLSVhost


class TunnelServer(MultiService):
    """The public side of the tunnel.

    Attributes:
        ports: what listens where: "bind", "vhost_http", "vhost_https", "tcpmux_httpconnect" to
            actual port numbers.
        stats: what the dashboard shows.
        moderation: what the administrator may do to clients and proxies.
    """

    log = Logger()

    def __init__(self, config: ServerConfig, reactor: Any) -> None:
        """Build everything; nothing listens yet.

        Raises:
            ConfigError: a certificate, or its key, can't be used, or the access log can't be
                written.
        """
        super().__init__()
        self.config = config
        self.ports: dict[str, int] = {}
        self.stats = ServerStats(now=reactor.seconds)
        self.started_at = reactor.seconds()
        self._reactor = reactor
        self._listening: list[IListeningPort] = []
        self._retiring: set[Hooks] = set()
        self._context = context = ServerContext(
            reactor=reactor,
            config=config,
            ports=PortManager(reactor, reactor, config.proxy_bind_addr, config.allow_ports),
            router=Router(reactor.seconds),
            connect_router=Router(reactor.seconds),
            stats=self.stats,
            takes_http=config.takes_http,
            hooks=_make_hooks(config, reactor),
        )
        self._registry = ClientRegistry(context, self._auth(config))
        self.moderation = Moderation(self._registry)
        self._access_file = self._open_access_log(config.access_log)
        self._tls_vhost = self._make_tls_vhost(context) if config.vhost_https_port else None
        self._vhost = self._make_vhost(context)
        self._entrance = self._tls_vhost.entrance(self._vhost.site) if self._tls_vhost else None
        shared = config.vhost_https_port == config.bind_port
        self._connects = self._make_connects(context) if config.tcpmux_httpconnect_port else None
        self._acceptor = Acceptor(
            self._registry,
            server_context(config.tls),
            self._http_route(),
            self._entrance.sort_out if self._entrance and shared else None,
        )
        # Sites ask for no certificates of clients: who must show one, can't come by their names.
        if self._tls_vhost and shared and not config.tls.trusted_ca_file:
            self._tls_vhost.take_tunnels(self._acceptor.secure_websocket)

    def _make_tls_vhost(self, context: ServerContext) -> TLSVhost:
        # Memory that servers without it don't spend.
        from tunnelsvc.server.tlsvhost import TLSVhost  # noqa: PLC0415

        return TLSVhost(context)

    def _make_connects(self, context: ServerContext) -> ConnectEntrance:
        from tunnelsvc.server.connects import ConnectEntrance  # noqa: PLC0415 - likewise

        return ConnectEntrance(
            context.connect_router,
            self._reactor,
            passthrough=self.config.tcpmux_passthrough,
            custom_404_page=self.config.custom_404_page,
        )

    def _http_route(self) -> Route | None:
        """Give who takes HTTP requests to the bind port; None: nobody does."""
        vhost = self._vhost.take_over if self.config.vhost_http_port else None
        connects = self._connects
        if connects is None or self.config.tcpmux_httpconnect_port != self.config.bind_port:
            return vhost
        return lambda stream, seen: connects.sort_out(stream, seen, vhost)

    def _auth(self, config: ServerConfig) -> TokenAuth:
        return TokenAuth(
            token=config.token,
            heartbeats=config.authenticate_heartbeats,
            new_work_conns=config.authenticate_new_work_conns,
            now=self._reactor.seconds,
        )

    def _open_access_log(self, path: str) -> LineFile | None:
        if not path:
            return None
        # A server without one does without the module.
        from tunnelsvc.linefile import LineFile  # noqa: PLC0415

        try:
            return LineFile(path, self._reactor, key="access_log")
        except OSError as why:
            raise ConfigError(
                [f"[common] access_log = {path}: can't be written: {why.strerror}"]
            ) from None

    def _make_vhost(self, context: ServerContext) -> VhostFactory:
        return VhostFactory(
            context.router,
            self._reactor,
            join=join,
            connections=context.connections,
            **self._vhost_options(context.config, None),
        )

    def _vhost_options(self, config: ServerConfig, log: AccessLog | None) -> dict[str, Any]:
        """Give what of `VhostFactory` can change; `log`: the access log that it has."""
        if self._access_file is None:
            log = None
        else:
            from tunnelsvc.gateway.accesslog import FORMATS, AccessLog  # noqa: PLC0415 - likewise

            write, form = self._access_file.write, FORMATS[config.access_log_format]
            if log is None:
                log = AccessLog(write, form, self._reactor)
            else:  # requests under way have taken it along
                log.write_to(write, form)
        return {
            "response_timeout": config.vhost_http_timeout_seconds,
            "custom_404_page": config.custom_404_page,
            "trusted_proxies": config.trusted_proxies,
            "access_log": log,
            "gate": self._tls_vhost.redirect if self._tls_vhost else None,
        }

    def prepare(self, config: ServerConfig) -> Callable[[], None]:
        """Look whether the server can go on with another configuration.

        Args:
            config: differs from the present one only in what can change while we run
                (`tunnelsvc.config.changes.merge`).

        Returns:
            Does it. No connection is dropped; those who are connected or logged in keep what they
            began with, where it isn't a limit.

        Raises:
            ConfigError: a file that it names can't be used; nothing has changed.
        """
        before = self.config
        # Its files may be others under the same names.
        named = config.tls.cert_file or config.tls.trusted_ca_file
        changed = config.tls != before.tls
        tls = server_context(config.tls) if named or changed else None
        store = self._tls_vhost.certificates if self._tls_vhost else None
        exchange = store.prepare(config.certificates) if store else None
        hooks = self._context.hooks
        if config.plugins != before.plugins:
            hooks = _make_hooks(config, self._reactor)
        access_file = self._access_file
        if config.access_log != before.access_log:  # the last one that may fail
            access_file = self._open_access_log(config.access_log)

        def commit() -> None:
            if exchange is not None:
                exchange()
            if tls is not None:
                self._acceptor.reconfigure(tls)
            self._exchange_hooks(hooks)
            self._exchange_access_log(access_file)
            self._reconfigure(config)

        return commit

    def _exchange_hooks(self, hooks: Hooks | None) -> None:
        before, self._context.hooks = self._context.hooks, hooks
        if before is not None and before is not hooks:
            self._retiring.add(before)
            ensureDeferred(before.retire()).addErrback(
                lambda failure: self.log.failure("leaving plugins failed", failure)
            ).addCallback(lambda _: self._retiring.discard(before))

    def _exchange_access_log(self, file: LineFile | None) -> None:
        before, self._access_file = self._access_file, file
        if before is not None and before is not file:
            before.close()

    def _reconfigure(self, config: ServerConfig) -> None:
        """Put a configuration into force, as far as nothing is to be opened for it."""
        context = self._context
        if context.takes_http == self.config.takes_http:  # not what `http_entrance` brought about
            context.takes_http = config.takes_http
        self.config = context.config = config
        context.ports.allowed = context.udp_ports.allowed = config.allow_ports
        self._registry.reconfigure(self._auth(config))
        self._vhost.reconfigure(**self._vhost_options(config, self._vhost.site.access_log))
        if self._tls_vhost is not None:
            self._tls_vhost.reconfigure(self._vhost.site)
        if self._connects is not None:
            self._connects.reconfigure(config.custom_404_page)

    def ends_tls(self, host: str) -> bool:
        """Tell whether users of a host's http proxy can come by https."""
        return self._context.ends_tls(host)

    def round_trip_seconds(self, run_id: str) -> float | None:
        """Tell how long a byte takes to a client and back; None: it isn't here, or nobody knows.

        Args:
            run_id: of its login.
        """
        client = self._registry.clients.get(run_id)
        return client.round_trip_seconds() if client is not None else None

    def http_entrance(self) -> VhostFactory:
        """Give what serves users of http proxies, to bring them there otherwise than by a port.

        From then on clients may announce such proxies even without ``vhost_http_port``.
        """
        self._context.takes_http = True
        return self._vhost

    def privilegedStartService(self) -> None:
        """Listen.

        Raises:
            CannotListenError: a port is taken or not ours; then none is listened on.
        """
        super().privilegedStartService()
        try:
            self._listen_on_all()
        except CannotListenError:
            for port in self._stop_listening():
                port.addErrback(lambda failure: self.log.failure("a port stays open", failure))
            raise

    def _listen_on_all(self) -> None:
        config = self.config
        accept = ParkingFactory(self._acceptor.accept, self._context.connections)
        keepalive = config.tcp_keepalive_seconds
        self._listen("bind", config.bind_addr, config.bind_port, accept, keepalive)
        if config.vhost_http_port not in {0, config.bind_port}:
            self._listen("vhost_http", config.proxy_bind_addr, config.vhost_http_port, self._vhost)
        if self._entrance is not None and config.vhost_https_port != config.bind_port:
            users = ParkingFactory(self._entrance.accept, self._context.connections)
            self._listen("vhost_https", config.proxy_bind_addr, config.vhost_https_port, users)
        port = config.tcpmux_httpconnect_port
        if self._connects is not None and port != config.bind_port:
            users = ParkingFactory(self._connects.accept, self._context.connections)
            self._listen("tcpmux_httpconnect", config.proxy_bind_addr, port, users)

    def _listen(
        self,
        what: str,
        interface: str,
        number: int,
        factory: ServerFactory,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
    ) -> None:
        interface = unbracketed(interface)
        port = listen(
            self._reactor,
            number,
            factory,
            interface=interface,
            keepalive_seconds=keepalive_seconds,
        )
        self._listening.append(port)
        self.ports[what] = port.getHost().port  # type: ignore[attr-defined]
        self.log.info("{what} listens on {where}",
                      what=what, where=host_and_port(interface, self.ports[what]))  # fmt: skip

    def startService(self) -> None:
        """Let clients and users come; listen, if nobody with privileges has done that.

        Raises:
            CannotListenError: see `privilegedStartService`.
        """
        if not self._listening:
            self.privilegedStartService()
        super().startService()
        self._context.connections.sweep_regularly(self._reactor)
        if self._tls_vhost is not None:
            self._tls_vhost.start()
        self.log.info("tunnel server started successfully")
        ports = ", ".join(f"{what} {number}" for what, number in self.ports.items())
        self.stats.events.add("started", detail=f"version {__version__}, ports: {ports}")

    def reopen_logs(self) -> None:
        """Go on in the files that have the paths now; for SIGHUP."""
        if self._access_file is not None:
            self._access_file.reopen()

    def reload_certificates(self) -> None:
        """Read the files of web sites' certificates again.

        That happens by itself, within seconds, when they change; this is for who doesn't wait.
        Files that can't be used are logged, and change nothing.
        """
        if self._tls_vhost is not None:
            self._tls_vhost.certificates.reload()

    def _stop_listening(self) -> list[Deferred[Any]]:
        listening, self._listening = self._listening, []
        return [maybeDeferred(port.stopListening) for port in listening]

    async def _stop(self) -> None:
        if self._tls_vhost is not None:
            self._tls_vhost.stop()
        for stopped in self._stop_listening():
            await stopped
        self._acceptor.close()
        await self._registry.close()
        for hooks in (*self._retiring, self._context.hooks):
            if hooks is not None:
                await hooks.close()
        await self._context.connections.abort_all(self._reactor)
        if self._access_file is not None:  # after the last words of all connections
            self._access_file.close()
        await maybeDeferred(super().stopService)

    def stopService(self) -> Deferred[None]:
        """Stop listening and end all conversations; fires when the ports are free."""
        return ensureDeferred(self._stop())


def _make_hooks(config: ServerConfig, reactor: Any) -> Hooks | None:
    if not config.plugins:
        return None
    # With it comes twisted.web's client.
    from tunnelsvc.server.hooks.asking import Hooks  # noqa: PLC0415

    return Hooks(config.plugins, reactor)
