# -*- test-case-name: tests.admin.test_site -*-
"""The server's dashboard: what is where, and the service that listens."""

from collections.abc import Callable
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from tunnelsvc.admin.auth import BasicAuth
from tunnelsvc.admin.pages import Redirect, StaticFiles
from tunnelsvc.admin.serverapi import ServerAPI
from tunnelsvc.admin.tls import RenewedOptions, tls_options
from tunnelsvc.admin.upkeep import Upkeep
from tunnelsvc.admin.view import DashboardView
from tunnelsvc.admin.web import DashboardSite, NotFound, ReadOnly, answer
from tunnelsvc.config.schema import DashboardConfig, ServerConfig
from tunnelsvc.metrics.prometheus import CONTENT_TYPE, Exporter

DEFAULT_CREDENTIALS: Final = ("admin", "admin")
"""What a dashboard answers to whose file sets none, as frp up to 0.36; on loopback only."""
LOOPBACK: Final = "127.0.0.1"
BACKLOG: Final = 128
"""Browsers and scrapers that may wait to be accepted; a dashboard has few users."""


class Health(ReadOnly):
    """``/healthz``: 200, empty, for everybody."""

    def read(self, request: Request) -> bytes:
        """Answer."""
        return answer(request, b"", "text/plain; charset=utf-8")


class Metrics(ReadOnly):
    """``/metrics``: for Prometheus."""

    def __init__(self, exporter: Exporter) -> None:
        super().__init__()
        self._exporter = exporter

    def read(self, request: Request) -> bytes:
        """Answer."""
        return answer(request, self._exporter.text(), CONTENT_TYPE)


class Root(Resource):
    """A folder with nothing in it but what it is given."""

    def getChild(self, path: bytes, request: Request) -> IResource:  # noqa: ARG002
        """Answer for all else."""
        return NotFound()


class Entrance(Resource):
    """Everything is behind the password, but the answer to whether we live."""

    def __init__(self, guard: BasicAuth) -> None:
        super().__init__()
        self._guard = guard
        self.putChild(b"healthz", Health())

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Ask for the password."""
        return self._guard.getChildWithDefault(path, request)


def dashboard_site(
    config: DashboardConfig,
    server: DashboardView,
    reactor: Any,
    exporter: Exporter | None = None,
) -> tuple[DashboardSite, BasicAuth]:
    """Put the dashboard together.

    Args:
        config: who may see it.
        server: what to show.
        reactor: the clock of delays and timeouts.
        exporter: answers ``/metrics``; None: nobody does.

    Returns:
        The site, and its guard, which is to be closed when the site is.
    """
    entrance, guard = _put_together(config, server, reactor, exporter)
    return DashboardSite(entrance, reactor), guard


def _put_together(
    config: DashboardConfig, server: DashboardView, reactor: Any, exporter: Exporter | None
) -> tuple[Entrance, BasicAuth]:
    root = Root()
    root.putChild(b"", Redirect(b"static/"))
    root.putChild(b"static", StaticFiles())
    root.putChild(b"api", ServerAPI(server))
    guard = BasicAuth(root, *_credentials(config), reactor)
    entrance = Entrance(guard)
    if exporter is not None:
        # Scrapers of an frps without credentials send none; without, only this machine gets here.
        place = root if config.credentials_configured else entrance
        place.putChild(b"metrics", Metrics(exporter))
    return entrance, guard


def _credentials(config: DashboardConfig) -> tuple[str, str]:
    if config.credentials_configured:
        return config.user, config.password
    return DEFAULT_CREDENTIALS


class DashboardService(Service):
    """The dashboard as a Twisted service.

    Attributes:
        port: where it listens; 0 until it does.
    """

    log = Logger()

    def __init__(self, config: DashboardConfig, server: DashboardView, reactor: Any) -> None:
        """Build everything; nothing listens yet.

        Args:
            config: where to listen, who may see it.
            server: what to show.
            reactor: listener and clock.

        Raises:
            ConfigError: a TLS file can't be used.
        """
        self.port = 0
        self._config = config
        self._reactor = reactor
        self._server = server
        options = tls_options(config, server.config.path)
        self._tls = RenewedOptions(options) if options is not None else None
        self._exporter = exporter = Exporter(server.stats) if config.enable_prometheus else None
        self._site, self._guard = dashboard_site(config, server, reactor, exporter)
        self._upkeep = Upkeep(server.stats, reactor, exporter.observe_lag if exporter else None)
        self._listening: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """Listen.

        Raises:
            CannotListenError: the port is taken or not ours.
        """
        super().privilegedStartService()
        config = self._config
        if config.credentials_configured:
            interface = config.addr.removeprefix("[").removesuffix("]")
        else:
            interface = LOOPBACK
            self.log.warn(
                "dashboard_user and dashboard_pwd are not set: the dashboard answers to"
                " admin/admin, and on {address} only",
                address=interface,
            )
        self._listening = self._listen(interface)
        self.port = self._listening.getHost().port  # type: ignore[attr-defined]
        self.log.info(
            "dashboard listens on {scheme}://{address}:{port}",
            scheme="https" if self._tls else "http", address=interface, port=self.port,
        )  # fmt: skip

    def prepare(self, config: ServerConfig) -> Callable[[], None]:
        """Look whether the dashboard can go on with another configuration.

        Args:
            config: differs from the present one only in what can change while we run
                (`tunnelsvc.config.changes.merge`).

        Returns:
            Does it: who may see the dashboard, and its certificate.

        Raises:
            ConfigError: a TLS file can't be used; nothing has changed.
        """
        dashboard = config.dashboard
        options = tls_options(dashboard, config.path)

        def commit() -> None:
            if self._tls is not None and options is not None:
                self._tls.options = options
            if _credentials(dashboard) != _credentials(self._config):
                self._guard.close()
                self._site.resource, self._guard = _put_together(
                    dashboard, self._server, self._reactor, self._exporter
                )
            self._config = dashboard

        return commit

    def _listen(self, interface: str) -> IListeningPort:
        factory: Any = self._site
        if self._tls is not None:
            # What listenSSL does, which a reactor imported without TLS hasn't (`tunnelsvc.lean`).
            factory = TLSMemoryBIOFactory(self._tls, False, self._site)
        port: IListeningPort = self._reactor.listenTCP(
            self._config.port, factory, backlog=BACKLOG, interface=interface
        )
        return port

    def startService(self) -> None:
        """Begin to keep the days apart."""
        super().startService()
        if self._listening is None:
            self.privilegedStartService()
        self._upkeep.start()

    def stopService(self) -> Deferred[None] | None:
        """Stop listening; fires when the port is free."""
        super().stopService()
        self._upkeep.stop()
        self._guard.close()
        listening, self._listening = self._listening, None
        return listening.stopListening() if listening is not None else None
