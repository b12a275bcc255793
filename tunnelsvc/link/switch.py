# -*- test-case-name: tests.link.test_switch -*-
"""One port for all: wait for the first bytes, recognise them, hand over."""

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import attach, park
from tunnelsvc.interfaces import Stream
from tunnelsvc.timing import limit
from tunnelsvc.wire.sniff import ON_BIND_PORT, Kind, sniff

FIRST_BYTES_SECONDS = 10.0
"""How long a peer may take to be recognised (protocol notes 1.3)."""

Route = Callable[[Stream, bytes], None]
"""Takes over a parked stream and the bytes read so far."""


@implementer(IHalfCloseableProtocol)
class Switch:
    """Reads a fresh stream until its kind is known.

    Kinds without a route, silence and a peer that leaves end the stream without an answer.
    """

    def __init__(
        self,
        stream: Stream,
        clock: IReactorTime,
        routes: Mapping[Kind, Route],
        possible: frozenset[Kind] = ON_BIND_PORT,
    ) -> None:
        """Begin to read.

        Args:
            stream: a parked stream.
            clock: for the time limit.
            routes: who takes over what.
            possible: the kinds that can occur in this place.
        """
        self._stream = stream
        self._possible = possible
        self._routes = routes
        self._seen = b""
        self._deadline = limit(clock, FIRST_BYTES_SECONDS, stream.abortConnection)
        attach(stream, self)
        stream.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """Look whether it is enough to decide; ``sniff`` bounds how much is kept."""
        self._seen += data
        kind = sniff(self._seen, self._possible)
        if kind is None:
            return
        self._stop_waiting()
        route = self._routes.get(kind)
        if route is None:
            self._stream.abortConnection()
            return
        park(self._stream)
        route(self._stream, self._seen)

    def readConnectionLost(self) -> None:
        """Close: nothing was asked."""
        self._stream.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """Forget the stream."""
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        self._deadline.cancel()
