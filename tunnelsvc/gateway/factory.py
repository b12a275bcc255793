# -*- test-case-name: tests.gateway.test_factory -*-
"""Where users' HTTP connections come from: a port of their own, or the bind port."""

from collections.abc import Sequence

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory

from tunnelsvc.gateway.forwarded import Network, Trust
from tunnelsvc.gateway.pages import Pages
from tunnelsvc.gateway.protocol import VhostProtocol
from tunnelsvc.gateway.route import Joiner, Route, Site
from tunnelsvc.gateway.router import Router
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream


class VhostFactory(ServerFactory):
    """Makes the protocols of users' connections."""

    noisy = False

    def __init__(
        self,
        router: Router[Route],
        clock: IReactorTime,
        *,
        response_timeout: float,
        custom_404_page: str,
        join: Joiner,
        connections: Connections | None = None,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        """Begin.

        Args:
            router: finds the proxy of a request.
            clock: for the time limits; its seconds are those since 1970.
            response_timeout: seconds from the end of a request to the head of its response.
            custom_404_page: path of a file that is shown when there is no proxy; may be empty.
            join: `tunnelsvc.relay.join`, for connections that are upgraded.
            connections: takes note of those to the port of our own.
            trusted_proxies: whom to believe who a request is from; empty: as frp does it.
        """
        self._connections = connections or Connections()
        self._site = Site(
            router=router,
            clock=clock,
            response_timeout_seconds=response_timeout,
            pages=Pages(custom_404_page),
            join=join,
            trust=Trust(trusted_proxies) if trusted_proxies else None,
        )

    def buildProtocol(self, addr: IAddress | None) -> VhostProtocol:  # noqa: ARG002
        """Build the protocol of a connection to a port of our own."""
        return _Fresh(self._site, self._connections)

    def take_over(self, stream: Stream, first_bytes: bytes) -> None:
        """Take a parked stream that was recognised as HTTP.

        Args:
            stream: the user's connection.
            first_bytes: what was read to recognise it.
        """
        VhostProtocol(self._site).take_over(stream, first_bytes)


class _Fresh(VhostProtocol):
    """Reads a connection from its beginning; nobody has set its options yet."""

    def __init__(self, site: Site, connections: Connections) -> None:
        super().__init__(site)
        self._connections = connections

    def connectionMade(self) -> None:
        stream: Stream = self.transport  # type: ignore[assignment]
        self._connections.add(stream)
        super().connectionMade()
        stream.resumeProducing()
