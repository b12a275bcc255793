# -*- test-case-name: tests.server.test_tlsvhost -*-
"""What is behind ``vhost_https_port``: who gets a connection, certificates, TLS that ends here."""

from attrs import evolve
from twisted.internet.task import LoopingCall

from tunnelsvc.gateway.gate import Gate, to_https
from tunnelsvc.gateway.route import Site
from tunnelsvc.link.peername import PeerName
from tunnelsvc.link.switch import Route
from tunnelsvc.server.context import ServerContext
from tunnelsvc.server.sitecertificates import CertificateStore
from tunnelsvc.server.sni import Names, TLSEntrance
from tunnelsvc.server.tlssites import APPLICATIONS, TLSSites


class TLSVhost:
    """Composes what users' TLS connections need.

    Attributes:
        certificates: of web sites.
    """

    def __init__(self, context: ServerContext) -> None:
        """Load the certificates.

        Raises:
            ConfigError: a file can't be used.
        """
        self._context = context
        self._watching: LoopingCall | None = None
        self._sites: TLSSites | None = None
        self.certificates = CertificateStore(context.config.certificates, tuple(APPLICATIONS))
        self._names = Names(context.tls_router, self.certificates)
        context.ends_tls = self._names.ends_here

    @property
    def redirect(self) -> Gate | None:
        """Sends users of http to https; None: they may stay."""
        config = self._context.config
        if not config.vhost_https_redirect:
            return None
        return to_https(self._is_reached, config.vhost_https_port)

    def _is_reached(self, host: str) -> bool:
        """Tell whether users who are sent to a host by https find it there.

        Those who are sent to an address name nobody in TLS: they get the first certificate, or are
        taken for clients.
        """
        if not PeerName.parse(host).is_address:
            return self._names.ends_here(host)
        config, first = self._context.config, self.certificates.default
        alone = config.vhost_https_port != config.bind_port
        return alone and first is not None and first.covers(host)

    def entrance(self, site: Site) -> TLSEntrance:
        """Make what takes connections.

        Args:
            site: what users of http proxies share, by whatever way they come.
        """
        clock = self._context.reactor
        self._sites = sites = TLSSites(self._secure(site), self._names.ends_here, clock)
        return TLSEntrance(
            self._names, self.certificates, sites.terminate, tuple(APPLICATIONS), clock
        )

    def take_tunnels(self, websocket: Route) -> None:
        """Bring clients that ask for their websocket by the name of a site to who takes them."""
        if self._sites is not None:
            self._sites.tunnel = websocket

    def reconfigure(self, site: Site) -> None:
        """Take from what users of http proxies share what is new in it; see `entrance`."""
        if self._sites is not None:
            self._sites.reconfigure(self._secure(site))

    def _secure(self, site: Site) -> Site:
        age = self._context.config.vhost_https_hsts_max_age_seconds
        return evolve(site, gate=None, hsts=b"max-age=%d" % age if age else b"")

    def start(self) -> None:
        """Begin to watch the files of the certificates."""
        self._watching = self.certificates.watch(self._context.reactor)

    def stop(self) -> None:
        """Watch no more, and say farewell."""
        if self._sites is not None:
            self._sites.stop()
        if self._watching is not None:
            self._watching.stop()
            self._watching = None
