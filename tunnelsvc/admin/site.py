# -*- test-case-name: tests.admin.test_site -*-
"""The server's dashboard: what is where, and the service that listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.server import Request

from tunnelsvc.addresses import LOOPBACK
from tunnelsvc.admin.auth import Report, report_nowhere
from tunnelsvc.admin.channel import DashboardSite
from tunnelsvc.admin.gate import Gate
from tunnelsvc.admin.listening import Entrance, Root, SiteService
from tunnelsvc.admin.origin import SameOrigin
from tunnelsvc.admin.pages import Redirect, StaticFiles
from tunnelsvc.admin.serverapi import ServerAPI
from tunnelsvc.admin.tls import RenewedOptions, tls_options
from tunnelsvc.admin.upkeep import Upkeep
from tunnelsvc.admin.view import DashboardView, History
from tunnelsvc.admin.web import ReadOnly, answer
from tunnelsvc.config.schema import DashboardConfig, ServerConfig
from tunnelsvc.gateway.forwarded import Trust

if TYPE_CHECKING:
    from tunnelsvc.metrics.prometheus import Exporter

DEFAULT_CREDENTIALS: Final = ("admin", "admin")
"""What a dashboard answers to whose file sets none, as frp up to 0.36; on loopback only."""


class Metrics(ReadOnly):
    """``/metrics``: for Prometheus."""

    def __init__(self, exporter: Exporter) -> None:
        super().__init__()
        self._exporter = exporter

    def read(self, request: Request) -> bytes:
        """Answer."""
        return answer(request, self._exporter.text(), self._exporter.content_type)


def dashboard_site(
    config: DashboardConfig,
    api: ServerAPI,
    reactor: Any,
    exporter: Exporter | None = None,
    trust: Trust | None = None,
    *,
    report: Report = report_nowhere,
) -> tuple[DashboardSite, Gate]:
    """Put the dashboard together.

    Args:
        config: who may see it.
        api: what answers below ``/api/``; to be closed when the site is.
        reactor: the clock of delays and timeouts.
        exporter: answers ``/metrics``; None: nobody does.
        trust: in proxies before us, see `tunnelsvc.admin.auth.Keeper`.
        report: is told who logs in, and who doesn't get in.

    Returns:
        The site, and its gate, which is to be closed when the site is.
    """
    entrance, gate = _put_together(config, api, reactor, exporter, trust=trust, report=report)
    return DashboardSite(entrance, reactor), gate


def _put_together(
    config: DashboardConfig,
    api: ServerAPI,
    reactor: Any,
    exporter: Exporter | None,
    **gate_options: Any,
) -> tuple[Entrance, Gate]:
    root = Root()
    root.putChild(b"", Redirect(b"static/"))
    root.putChild(b"static", StaticFiles("server"))
    root.putChild(b"api", api)
    gate = Gate.of_site("server", root, *_credentials(config), reactor, **gate_options)
    secured = config.credentials_configured
    inner = Entrance(gate)
    if exporter is not None:
        # Scrapers of an frps without credentials send none; without, only this machine gets here.
        place = root if secured else inner
        place.putChild(b"metrics", Metrics(exporter))
    names = None if secured else {config.addr.lower()}
    return Entrance(SameOrigin(inner, names, "dashboard_user, dashboard_pwd")), gate


def _trust(config: ServerConfig) -> Trust | None:
    return Trust(config.trusted_proxies) if config.trusted_proxies else None


def _credentials(config: DashboardConfig) -> tuple[str, str]:
    if config.credentials_configured:
        return config.user, config.password
    return DEFAULT_CREDENTIALS


class DashboardService(SiteService):
    """The dashboard as a Twisted service."""

    log = Logger()

    def __init__(
        self,
        config: DashboardConfig,
        server: DashboardView,
        reactor: Any,
        history: History | None = None,
    ) -> None:
        """Build everything; nothing listens yet.

        Args:
            config: where to listen, who may see it.
            server: what to show.
            reactor: listener and clock.
            history: knows of events before this server's start; None: nobody does.

        Raises:
            ConfigError: a TLS file can't be used.
        """
        self._config = config
        self._server = server
        options = tls_options(config, server.config.path)
        self._renewed = RenewedOptions(options) if options is not None else None
        self._exporter = exporter = self._make_exporter() if config.enable_prometheus else None
        self._api = ServerAPI(server, reactor, history)
        trust = _trust(server.config)
        site, self._gate = dashboard_site(
            config, self._api, reactor, exporter, trust, report=self._report
        )
        super().__init__("dashboard", site, self._renewed, reactor)
        self._upkeep = Upkeep(server.stats, reactor, exporter.observe_lag if exporter else None)

    def _report(self, kind: str, address: str, detail: str) -> None:
        self._server.stats.events.add(kind, address=address, detail=detail)

    def _make_exporter(self) -> Exporter:
        # Memory that servers without it don't spend.
        from tunnelsvc.metrics.prometheus import Exporter  # noqa: PLC0415

        return Exporter(self._server.stats)

    def privilegedStartService(self) -> None:
        """Listen.

        Raises:
            CannotListenError: the port is taken or not ours.
        """
        super().privilegedStartService()
        config = self._config
        interface = config.addr
        if not config.credentials_configured:
            interface = LOOPBACK
            self.log.warn(
                "dashboard_user and dashboard_pwd are not set: the dashboard answers to"
                " admin/admin, and on {address} only",
                address=interface,
            )
        self.listen(interface, config.port)

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
            if self._renewed is not None and options is not None:
                self._renewed.options = options
            old = self._gate
            if _credentials(dashboard) != _credentials(self._config):
                self._site.resource, self._gate = _put_together(
                    dashboard, self._api, self._reactor, self._exporter,
                    throttle=old.keeper.throttle, report=self._report,
                )  # fmt: skip
                old.retire()
            self._gate.keeper.trust = _trust(config)
            self._config = dashboard

        return commit

    def startService(self) -> None:
        """Begin to keep the days apart."""
        super().startService()
        self._upkeep.start()

    def stopService(self) -> Deferred[None] | None:
        """Stop listening; fires when the port is free."""
        self._upkeep.stop()
        self._gate.close()
        self._api.close()
        return super().stopService()
