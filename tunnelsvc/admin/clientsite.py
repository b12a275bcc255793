# -*- test-case-name: tests.admin.test_clientsite -*-
"""The client's site: what is where, who may see it, and the service that listens."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from tunnelsvc.addresses import LOOPBACK, is_loopback
from tunnelsvc.admin.channel import DashboardSite
from tunnelsvc.admin.clientapi import ClientAPI
from tunnelsvc.admin.clientconfig import NO_FILE
from tunnelsvc.admin.clientview import ClientView
from tunnelsvc.admin.clientweb import AdminRequest
from tunnelsvc.admin.gate import Gate, OpenGate
from tunnelsvc.admin.listening import Entrance, Root, SiteService
from tunnelsvc.admin.origin import SameOrigin
from tunnelsvc.admin.pages import Redirect, StaticFiles
from tunnelsvc.admin.tls import tls_options
from tunnelsvc.client.inspection import Exchange, Inspector
from tunnelsvc.client.inspection.request import Edits
from tunnelsvc.client.reloading import Reloaded, Reloader
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.client.status import LinkStatus, ProxyStatus, VisitorStatus
from tunnelsvc.config import Loaded
from tunnelsvc.config.schema import AdminConfig, ClientConfig
from tunnelsvc.errors import ConfigError

STOP_SECONDS: Final = 0.1
"""From the answer to ``/api/stop`` to the end, as in frp: so that the answer arrives."""


def admin_site(
    config: AdminConfig, client: ClientView, reactor: Any, api: ClientAPI | None = None
) -> tuple[DashboardSite, Gate | None]:
    """Put the site together.

    Args:
        config: who may see it.
        client: what to show.
        reactor: the clock of delays and timeouts.
        api: of the client; None: it is made, and not to be closed.

    Returns:
        The site, and its gate, which is to be closed when the site is; None if everybody on this
        machine may see it.
    """
    secured = config.has_password
    root = Root()
    root.putChild(b"", Redirect(b"static/"))
    root.putChild(b"static", StaticFiles("client"))
    root.putChild(b"api", api or ClientAPI(client, reactor, hides=not secured))
    gate = None
    if secured:
        gate = Gate.of_site("client", root, config.user, config.password, reactor)
    names = None if secured else {config.addr.lower()}
    checked = SameOrigin(gate or OpenGate(root), names, "admin_user, admin_pwd")
    return DashboardSite(Entrance(checked), reactor, AdminRequest), gate


def listening_address(config: AdminConfig) -> str:
    """Tell where the site listens: without a password on loopback only, whatever the file says."""
    if config.has_password or is_loopback(config.addr):
        return config.addr
    return LOOPBACK


def _with_key(config: AdminConfig, key: str) -> AdminConfig:
    return evolve(config, user="", password=key) if key else config


class AdminService(SiteService):
    """The client's site as a Twisted service; a `ClientView` itself."""

    log = Logger()

    def __init__(
        self,
        client: TunnelClient,
        reloader: Reloader | None,
        end: Callable[[], None],
        reactor: Any,
        ports: Sequence[int] = (),
        *,
        key: str = "",
    ) -> None:
        """Build everything; nothing listens yet.

        Args:
            client: what to show.
            reloader: reads its file; None: it has none.
            end: ends the program.
            reactor: listener and clock.
            ports: where to listen, on the first that is free; none: on that of the configuration.
            key: a password instead of that of the configuration; empty: that one.

        Raises:
            ConfigError: a TLS file can't be used.
        """
        self._client = client
        self._reloader = reloader
        self._end = end
        self._ending: IDelayedCall | None = None
        # That it is changed in the file needs a restart.
        self._admin = config = _with_key(client.config.admin, key)
        self._ports = ports or (config.port,)
        self._api = ClientAPI(self, reactor, hides=not config.has_password)
        site, self._gate = admin_site(config, self, reactor, self._api)
        super().__init__(
            "admin API", site, tls_options(config, client.config.path, "admin_tls"), reactor
        )

    def privilegedStartService(self) -> None:
        """Listen.

        Raises:
            CannotListenError: the port is taken or not ours, and so are all others.
        """
        super().privilegedStartService()
        address = listening_address(self._admin)
        if address != self._admin.addr:
            self.log.warn(
                "admin_user and admin_pwd are not set: the admin API listens on {address} only,"
                " not on {configured}",
                address=address, configured=self._admin.addr,
            )  # fmt: skip
        *others, last = self._ports
        for port in others:
            with suppress(CannotListenError):
                self.listen(address, port)
                return
        self.listen(address, last)

    def stopService(self) -> Deferred[None] | None:
        """Stop listening; fires when the port is free."""
        self._api.admin.hub.close()
        if self._gate is not None:
            self._gate.close()
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
        return super().stopService()

    @property
    def config(self) -> ClientConfig:
        """See `ClientView`."""
        return self._client.config

    @property
    def path(self) -> str:
        """See `ClientView`."""
        return self._reloader.path if self._reloader is not None else ""

    @property
    def editable(self) -> bool:
        """See `ClientView`."""
        # It is replaced by another file, so it is the directory that matters.
        return bool(self.path) and os.access(Path(self.path).resolve().parent, os.W_OK)

    @property
    def inspector(self) -> Inspector | None:
        """See `ClientView`."""
        return self._client.inspector

    def link_status(self) -> LinkStatus:
        """See `ClientView`."""
        return self._client.link_status()

    def visitor_statuses(self) -> list[VisitorStatus]:
        """See `ClientView`."""
        return self._client.visitor_statuses()

    def replay(self, exchange: Exchange, edits: Edits) -> Exchange:
        """See `ClientView`."""
        return self._client.replay(exchange, edits)

    def proxy_statuses(self) -> list[ProxyStatus]:
        """See `ClientView`."""
        return self._client.proxy_statuses()

    def load(self, path: str) -> Loaded[ClientConfig]:
        """See `ClientView`."""
        reloader = self._with_file()
        return reloader.load(path, strict=reloader.strict)

    def reload(self, *, strict: bool | None) -> Reloaded:
        """See `ClientView`."""
        return self._with_file().reload(strict=strict)

    def _with_file(self) -> Reloader:
        if self._reloader is None:
            raise ConfigError([NO_FILE])
        return self._reloader

    def stop_soon(self) -> None:
        """See `ClientView`; once is enough."""
        if self._ending is None:
            self._ending = self._reactor.callLater(STOP_SECONDS, self._end)
