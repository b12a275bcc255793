# -*- test-case-name: tests.client.inspection.test_replay -*-
"""A user who isn't there: has a request sent to the local service, on a way of its own.

To who serves the users of the proxy it is a stream like any other. What comes back is dropped: who
watches has seen it.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import StreamReader
from tunnelsvc.units import MINUTE, MiB

REPLAY_SECONDS: Final = MINUTE
"""How long a service may take for the whole of an answer."""
MOST_ANSWER_BYTES: Final = 64 * MiB
"""What is read of it: nobody gets it."""
MOST_REPLAYS: Final = 8
"""Under way at a time, of one proxy."""


@implementer(ITransport, IConsumer, IPushProducer)
class AbsentUser:
    """A `tunnelsvc.interfaces.Stream` with nobody at its far end.

    Attributes:
        received_bytes: what the service has said so far.
        on_too_much: called when that is more than `MOST_ANSWER_BYTES`.
    """

    disconnecting = False

    def __init__(self, host: str, port: int, clock: IReactorTime) -> None:
        """Begin.

        Args:
            host: whose address it has.
            port: likewise.
            clock: for what is told later, as by all streams.
        """
        self.protocol: StreamReader = Parked()
        self.received_bytes = 0
        self.on_too_much: Callable[[], None] = self.abortConnection
        self._clock = clock
        self._peer = IPv4Address("TCP", host, port)
        self._producer: Any = None
        self._ended = False
        self._wants_to_end = False

    def hang_up(self, *, in_order: bool = True) -> None:
        """Be gone."""
        if not self._ended:
            self._ended = True
            why = ConnectionDone() if in_order else ConnectionAborted()
            self._clock.callLater(0, self._tell, Failure(why))

    def _tell(self, why: Failure) -> None:
        self.protocol.connectionLost(why)

    def write(self, data: bytes) -> None:
        """Drop what the service says; too much of it ends the connection."""
        self.received_bytes += len(data)
        if self.received_bytes > MOST_ANSWER_BYTES:
            self.on_too_much()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """See `write`."""
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """Take the service's end of file: there is nothing more to wait for."""
        self.hang_up()

    def loseConnection(self) -> None:
        """See `Stream`."""
        self.hang_up()

    def abortConnection(self) -> None:
        """See `Stream`."""
        self.hang_up(in_order=False)

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: ARG002
        """Take note of who produces; nobody is ever too fast."""
        self._producer = producer

    def unregisterProducer(self) -> None:
        """See `Stream`."""
        self._producer = None
        if self._wants_to_end:
            self.hang_up()

    def pauseProducing(self) -> None:
        """All is said before anybody reads."""

    def resumeProducing(self) -> None:
        """See `pauseProducing`."""

    def stopProducing(self) -> None:
        """See `Stream`."""
        self._wants_to_end = True
        if self._producer is None:
            self.hang_up()

    def getPeer(self) -> IAddress:
        """Address of the user whose request it was."""
        return self._peer

    def getHost(self) -> IAddress:
        """None of ours: the server has that."""
        return IPv4Address("TCP", "127.0.0.1", 0)
