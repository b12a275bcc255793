# -*- test-case-name: tests.server.test_tlssites -*-
"""TLS ends here: http proxies' users who came by https.

Inside is what both sides agreed on (ALPN). Another protocol is one more line of `APPLICATIONS`.
Tunnel clients, which agree on none, may come here for their websocket, by a name that a site has.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol
from weakref import WeakSet

from attrs import evolve
from OpenSSL import SSL
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.errors import TLSError
from tunnelsvc.gateway.gate import only_for
from tunnelsvc.gateway.protocol import VhostProtocol
from tunnelsvc.gateway.route import Site
from tunnelsvc.handover import Parked, host_of
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.switch import Route, Switch
from tunnelsvc.link.tls import start_tls_server
from tunnelsvc.server.sitecertificates import SiteCertificate
from tunnelsvc.wire.sniff import Kind

HTTPS: Final = b"https"


class Farewell(Protocol):
    """A conversation that has something to say at its end."""

    def shut_down(self) -> None:
        """Say it, and close."""


Application = Callable[[Site, Stream], Farewell | None]
"""Serves users of a site on a parked stream, which has the plaintext."""


def _http1(site: Site, stream: Stream, seen: bytes = b"") -> None:
    VhostProtocol(site, HTTPS).take_over(stream, seen)


def _http2(site: Site, stream: Stream) -> Farewell:
    # Memory that servers don't spend whose users have no HTTP/2.
    from tunnelsvc.gateway.http2 import HTTP2Connection  # noqa: PLC0415

    connection = HTTP2Connection(site, stream)
    connection.start()
    return connection


DEFAULT: Final = b"http/1.1"
"""For users who offer no choice."""

APPLICATIONS: Final[Mapping[bytes, Application]] = {
    b"h2": _http2,
    DEFAULT: _http1,
    b"http/1.0": _http1,
}
"""By their names in ALPN, the best first."""


class TLSSites:
    """Ends users' TLS connections."""

    log = Logger()

    def __init__(self, site: Site, ends_here: Callable[[str], bool], clock: IReactorTime) -> None:
        """Begin.

        Args:
            site: what connections share but for the certificate.
            ends_here: tells whether a host is one whose TLS ends here.
            clock: for the time limits.
        """
        self._site = site
        self._ends_here = ends_here
        self._clock = clock
        self._conversations: WeakSet[Farewell] = WeakSet()
        self.tunnel: Route | None = None
        """Takes over clients' websockets; None: they have another port."""

    def reconfigure(self, site: Site) -> None:
        """Give other things to share to connections from now on; see `__init__`."""
        self._site = site

    def terminate(self, user: Stream, seen: bytes, certificate: SiteCertificate) -> None:
        """Take over a parked connection.

        Args:
            user: the connection.
            seen: what was read of it: the ClientHello.
            certificate: what to show.
        """
        connection = certificate.connection()
        tls = start_tls_server(user, lambda: connection, Parked(), self._clock, first_bytes=seen)
        tls.when_established().addCallbacks(
            lambda _: self._established(tls, connection, certificate),
            partial(self._failed, user),
        ).addErrback(self._broken, tls)

    def _established(
        self, stream: Stream, connection: SSL.Connection, certificate: SiteCertificate
    ) -> None:
        site = self._site_of(certificate)
        chosen = connection.get_alpn_proto_negotiated()
        if not chosen and self.tunnel is not None:
            routes = {
                Kind.WEBSOCKET: self.tunnel,
                Kind.UNKNOWN: lambda stream, seen: _http1(site, stream, seen),
            }
            Switch(stream, self._clock, routes, frozenset({Kind.WEBSOCKET}))
            return
        conversation = APPLICATIONS[chosen or DEFAULT](site, stream)
        if conversation is not None:
            self._conversations.add(conversation)

    def stop(self) -> None:
        """Let users know that it's over, those who can be told."""
        for conversation in list(self._conversations):
            conversation.shut_down()

    def _site_of(self, certificate: SiteCertificate) -> Site:
        """Give what is shared by users of one certificate."""
        return evolve(self._site, gate=only_for(partial(self._is_for, certificate)))

    def _is_for(self, certificate: SiteCertificate, host: str) -> bool:
        """Tell whether a connection may ask for a host that, asked anew, comes here as well."""
        return certificate.covers(host) and self._ends_here(host)

    def _failed(self, user: Stream, failure: Failure) -> None:
        """The handshake failed: normal on a public port."""
        failure.trap(TLSError, ConnectionClosed)
        self.log.debug("{user}: {why}", user=host_of(user), why=failure.getErrorMessage())

    def _broken(self, failure: Failure, stream: Stream) -> None:
        """Let nobody wait for what a bug of ours left undone."""
        self.log.failure("serving a user by TLS failed", failure)
        stream.abortConnection()
