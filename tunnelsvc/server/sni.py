# -*- test-case-name: tests.server.test_sni -*-
"""Hop 1 of a user's TLS connection: by the name in its ClientHello, to whom it belongs.

Who gets a name
===============

1. An https proxy that has exactly this name: its local service has a certificate, and whoever
   announced it wants that one to be seen.
2. A certificate of ours: TLS ends here, and http proxies get the requests.
3. An https proxy with a wildcard. That it can't take over hosts with certificates is the reason why
   it comes last: those are the server's owner's to give.

Nobody: the alert that says so. Users who name nobody, as is the case when they use an address, get
the first certificate. On the bind port, which is also for clients with TLS, whatever else comes is
taken for one of those.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelsvc.gateway.router import Router
from tunnelsvc.handover import host_of
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.hello import HelloWait
from tunnelsvc.link.switch import Route
from tunnelsvc.server.context import NamedProxy
from tunnelsvc.server.sitecertificates import CertificateStore, SiteCertificate
from tunnelsvc.wire.clienthello import (
    ALERT_NO_APPLICATION_PROTOCOL,
    ALERT_UNRECOGNIZED_NAME,
    ClientHello,
)

Terminator = Callable[[Stream, bytes, SiteCertificate], None]
"""Ends TLS: takes over a parked stream, what was read of it, and the certificate to show."""


class Names:
    """Whom names belong to."""

    def __init__(self, router: Router[NamedProxy], certificates: CertificateStore) -> None:
        """Begin.

        Args:
            router: has the https proxies.
            certificates: ours.
        """
        self._router = router
        self._certificates = certificates

    def find(self, name: str) -> NamedProxy | SiteCertificate | None:
        """Find the owner of a name, which is normalised; None: nobody."""
        proxy = self._router.find(name, "")
        if proxy is not None and name in proxy.domains:
            return proxy
        return self._certificates.find(name) or proxy

    def ends_here(self, name: str) -> bool:
        """Tell whether TLS for a name ends on this server."""
        return isinstance(self.find(name), SiteCertificate)


class TLSEntrance:
    """Where users' TLS connections come in."""

    log = Logger()

    def __init__(
        self,
        names: Names,
        certificates: CertificateStore,
        terminate: Terminator,
        protocols: tuple[bytes, ...],
        clock: IReactorTime,
    ) -> None:
        """Begin.

        Args:
            names: whom connections belong to.
            certificates: of the server.
            terminate: ends TLS for those of certificates.
            protocols: what can be spoken inside those.
            clock: for the time limit.
        """
        self._names = names
        self._certificates = certificates
        self._terminate = terminate
        self._protocols = frozenset(protocols)
        self._clock = clock

    def accept(self, user: Stream) -> None:
        """Take a parked connection to the port of users' TLS connections."""
        HelloWait(user, self._clock, self._named, self._garbage)

    def sort_out(self, stream: Stream, seen: bytes, otherwise: Route) -> None:
        """Take a parked connection to the bind port that begins as TLS.

        Args:
            stream: the connection.
            seen: what was read of it.
            otherwise: takes over what isn't for any name of ours.
        """

        def named(stream: Stream, hello: ClientHello, seen: bytes) -> None:
            owner = self._names.find(hello.server_name) if hello.server_name else None
            if owner is None:
                otherwise(stream, seen)
            else:
                self._give(stream, hello, seen, owner)

        HelloWait(stream, self._clock, named, otherwise, seen)

    def _named(self, user: Stream, hello: ClientHello, seen: bytes) -> None:
        owner = self._names.find(hello.server_name)
        if owner is None and not hello.server_name:
            owner = self._certificates.default
        if owner is None:
            self._refuse(user, ALERT_UNRECOGNIZED_NAME, f"no [{hello.server_name}] here")
        else:
            self._give(user, hello, seen, owner)

    def _give(
        self, user: Stream, hello: ClientHello, seen: bytes, owner: NamedProxy | SiteCertificate
    ) -> None:
        if not isinstance(owner, SiteCertificate):
            owner.accept(user, seen)
        elif hello.protocols and self._protocols.isdisjoint(hello.protocols):
            self._refuse(user, ALERT_NO_APPLICATION_PROTOCOL, "no protocol in common")
        else:
            self._terminate(user, seen, owner)

    def _refuse(self, user: Stream, alert: bytes, why: str) -> None:
        self.log.debug("{user}: TLS refused: {why}", user=host_of(user), why=why)
        user.write(alert)
        user.loseConnection()

    def _garbage(self, user: Stream, seen: bytes) -> None:  # noqa: ARG002
        self.log.debug("{user}: no TLS", user=host_of(user))
        user.abortConnection()
