# -*- test-case-name: tests.admin.test_channel -*-
"""Connections to a site: how many, how slow, and what to answer to what isn't HTTP."""

from collections import Counter
from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Site

from tunnelsvc.addresses import site_of
from tunnelsvc.admin.web import HEADERS, OPENER, SERVER_NAME, DashboardRequest

IDLE_SECONDS: Final = 60.0
"""How long a connection may be silent, and how long a request may take to come in whole."""
MOST_CONNECTIONS: Final = 1_000
"""More than this are closed at once: descriptors are for users of the tunnel."""
MOST_OF_ONE: Final = 100
"""Connections of one address. Behind a proxy on this machine all have the same."""

_BAD_REQUEST_BODY: Final = b'{"Code":400,"Msg":"not HTTP, or more of it than may be"}\n'
"""As the APIs have errors; a browser sends nothing of the kind."""


class Channel(http.HTTPChannel):
    """A connection to a site.

    twisted.web limits the head of a request to 16 KiB and 500 headers, and closes what is silent.
    What it lacks: a request that comes one byte a minute would go on for ever.
    """

    site: "DashboardSite"
    _begun = False

    def resetTimeout(self) -> None:  # noqa: N802 - Twisted's name
        """Give a request `IDLE_SECONDS` from its first byte on, not from each."""
        if not self._begun:
            self._begun = True
            super().resetTimeout()

    def allContentReceived(self) -> None:  # noqa: N802 - Twisted's name
        """Have the next request begin."""
        self._begun = False
        super().allContentReceived()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Give the place back."""
        self.site.left(self)
        super().connectionLost(reason)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802, ARG002 - likewise
        """Answer to a line of a head that is longer than the whole may be."""
        self._respondToBadRequestAndDisconnect()

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802 - likewise
        """Answer as to every other request; `HTTPChannel` leaves all headers out."""
        answer = {
            **HEADERS,
            OPENER[0]: OPENER[1],
            b"Server": SERVER_NAME,
            b"Content-Type": b"application/json",
            b"Content-Length": b"%d" % len(_BAD_REQUEST_BODY),
            b"Connection": b"close",
        }
        head = b"".join(b"%b: %b\r\n" % pair for pair in answer.items())
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n%b\r\n%b" % (head, _BAD_REQUEST_BODY))
        self.loseConnection()


class DashboardSite(Site):
    """A site that keeps no access log: the page alone would write a line a second."""

    noisy = False
    # Without what chooses between HTTP/1.1 and HTTP/2, which these programs load none of.
    protocol = Channel  # type: ignore[assignment]

    def __init__(
        self,
        resource: IResource,
        reactor: Any,
        request_factory: type[DashboardRequest] = DashboardRequest,
    ) -> None:
        super().__init__(
            resource, requestFactory=request_factory, timeout=IDLE_SECONDS, reactor=reactor
        )
        self._of: dict[Channel, str] = {}
        self._counts: Counter[str] = Counter()

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> Channel | None:
        """Take a connection; None: there are too many."""
        place = site_of(getattr(addr, "host", ""))
        if len(self._of) >= MOST_CONNECTIONS or self._counts[place] >= MOST_OF_ONE:
            return None
        channel: Channel = super().buildProtocol(addr)
        self._of[channel] = place
        self._counts[place] += 1
        return channel

    def left(self, channel: Channel) -> None:
        """Take note that a connection has ended."""
        place = self._of.pop(channel, None)
        if place is None:
            return
        self._counts[place] -= 1
        if not self._counts[place]:
            del self._counts[place]

    def log(self, request: http.Request) -> None:
        """See the class."""
