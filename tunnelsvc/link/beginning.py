# -*- test-case-name: tests.link.test_hello -*-
"""Reading how a user's stream begins, until it is clear whom it is for."""

from abc import ABC, abstractmethod

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import attach, park
from tunnelsvc.interfaces import Stream
from tunnelsvc.timing import limit


@implementer(IHalfCloseableProtocol)
class Beginning(ABC):
    """Reads a parked stream until `dataReceived` has decided whose it is.

    A user who leaves before that ends the stream without an answer.

    Attributes:
        stream: as given; parked again once it is decided.
    """

    def __init__(
        self, stream: Stream, clock: IReactorTime, seconds: float, first_bytes: bytes = b""
    ) -> None:
        """Begin to read.

        Args:
            stream: a parked stream.
            clock: for the time limit.
            seconds: how long the user may take.
            first_bytes: those that were read before.
        """
        self.stream = stream
        self._decided = False
        self._deadline = limit(clock, seconds, self.too_late)
        if first_bytes:
            self.dataReceived(first_bytes)
        if not self._decided:
            attach(stream, self)
        if not self._decided:
            stream.resumeProducing()

    def too_late(self) -> None:
        """Give up: the time is up."""
        self.stream.abortConnection()

    def decide(self) -> None:
        """Read no more; the stream is parked."""
        self._decided = True
        self._deadline.cancel()
        if self.stream.protocol is self:
            park(self.stream)

    @abstractmethod
    def dataReceived(self, data: bytes) -> None:
        """Look at it; to call `decide`, and hand the stream over, if that is enough."""

    def readConnectionLost(self) -> None:
        """Close: nothing was asked."""
        self.stream.loseConnection()

    def writeConnectionLost(self) -> None:  # noqa: B027 - not for others to do either
        """Nothing to do."""

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """Forget the stream."""
        self._decided = True
        self._deadline.cancel()
