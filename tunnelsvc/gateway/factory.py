# -*- test-case-name: tests.gateway.test_factory -*-
"""Where users' HTTP connections come from: a port of their own, the bind port, this process."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory

from tunnelsvc.gateway.admission import find_target
from tunnelsvc.gateway.forwarded import Network, Trust
from tunnelsvc.gateway.gate import Gate
from tunnelsvc.gateway.pages import Pages
from tunnelsvc.gateway.protocol import VhostProtocol
from tunnelsvc.gateway.route import Joiner, Site, Target
from tunnelsvc.gateway.router import Router
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream
from tunnelsvc.wire.httphead import RequestHead

if TYPE_CHECKING:
    from tunnelsvc.gateway.accesslog import AccessLog


class VhostFactory(ServerFactory):
    """Makes the protocols of users' connections.

    Attributes:
        clock: what the time limits go by.
        site: what connections share.
    """

    noisy = False

    def __init__(
        self,
        router: Router[Target],
        clock: IReactorTime,
        *,
        response_timeout: float,
        custom_404_page: str,
        join: Joiner,
        connections: Connections | None = None,
        trusted_proxies: Sequence[Network] = (),
        access_log: "AccessLog | None" = None,
        gate: Gate | None = None,
    ) -> None:
        """Begin.

        Args:
            router: finds the proxy of a request.
            clock: for the time limits; its seconds are those since 1970.
            response_timeout: seconds from the end of a request to the head of its response.
            custom_404_page: path of a file that is shown when there is no proxy; may be empty.
            join: `tunnelsvc.relay.join`, for connections that are upgraded.
            connections: takes note of all.
            trusted_proxies: whom to believe who a request is from; empty: as frp does it.
            access_log: takes note of every request.
            gate: looks at each request first.
        """
        self.clock = clock
        self._connections = connections or Connections()
        self.site = Site(
            router=router,
            clock=clock,
            response_timeout_seconds=response_timeout,
            pages=Pages(custom_404_page),
            join=join,
        )
        self.reconfigure(
            response_timeout=response_timeout,
            custom_404_page=custom_404_page,
            trusted_proxies=trusted_proxies,
            access_log=access_log,
            gate=gate,
        )

    def reconfigure(
        self,
        *,
        response_timeout: float,
        custom_404_page: str,
        trusted_proxies: Sequence[Network],
        access_log: "AccessLog | None",
        gate: Gate | None,
    ) -> None:
        """Do otherwise from the next request on, but for whom to trust: from the next connection.

        The arguments are those of the initializer.
        """
        site = self.site
        site.response_timeout_seconds = response_timeout
        site.pages = Pages(custom_404_page)
        site.trust = Trust(trusted_proxies) if trusted_proxies else None
        site.access_log = access_log
        site.gate = gate

    def buildProtocol(self, addr: IAddress | None) -> VhostProtocol:  # noqa: ARG002
        """Build the protocol of a connection to a port of our own."""
        return _Fresh(self.site, self._connections)

    def take_over(self, stream: Stream, first_bytes: bytes, scheme: bytes = b"http") -> None:
        """Take a parked stream that was recognised as HTTP.

        Args:
            stream: the user's connection.
            first_bytes: what was read to recognise it.
            scheme: ``http`` or ``https``, as the user sees it.
        """
        self._connections.add(stream)
        VhostProtocol(self.site, scheme).take_over(stream, first_bytes)

    def serves(self, head: RequestHead) -> bool:
        """Tell whether there is a proxy for a request."""
        return find_target(self.site.router, head) is not None


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
