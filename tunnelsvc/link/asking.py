# -*- test-case-name: tests.link.test_asking -*-
"""Reading a stream until the peer has said something whole, before the stream is for others."""

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import attach, park
from tunnelsvc.interfaces import Stream
from tunnelsvc.timing import Limit, limit

T = TypeVar("T")


class NoAnswerError(error.TimeoutError):
    """The peer has said nothing whole in time."""

    def __str__(self) -> str:
        """Say it without Twisted's words, which put it down to the user."""
        return str(self.args[0])


Take = Callable[[bytes], T | None]
"""Takes bytes; returns what they mean with those before, None: they aren't all that it takes."""


def ask(
    stream: Stream, clock: IReactorTime, seconds: float, take: Take[T], first_bytes: bytes = b""
) -> Deferred[T]:
    """Read a parked stream.

    Args:
        stream: the stream; parked again when the result fires or fails.
        clock: for the time limit.
        seconds: how long the peer may take. A stream that says nothing is reset.
        take: gets what is read. It keeps what it read too much.
        first_bytes: what was read before.

    Returns:
        Fires with what `take` returns. Fails with what it raises; with ``TimeoutError``; or with
        that for which the stream was lost, ``ConnectionLost`` if it has only ended. Who cancels it
        resets the stream.
    """
    asking = _Asking(stream, take)
    if first_bytes:
        asking.dataReceived(first_bytes)
    if not asking.answer.called:
        asking.read(clock, seconds)
    return asking.answer


@implementer(IHalfCloseableProtocol)
class _Asking(Generic[T]):
    def __init__(self, stream: Stream, take: Take[T]) -> None:
        self.answer: Deferred[T] = Deferred(lambda _: self._cancelled())
        self._stream = stream
        self._take = take
        self._deadline: Limit | None = None

    def read(self, clock: IReactorTime, seconds: float) -> None:
        """Begin to read."""
        self._deadline = limit(clock, seconds, lambda: self._too_late(seconds))
        attach(self._stream, self)
        if self._stream.protocol is self:
            self._stream.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        if self.answer.called:
            return
        try:
            taken = self._take(data)
        except Exception as why:  # noqa: BLE001 - whatever it is, whoever asked is told
            self._end(Failure(why))
            return
        if taken is not None:
            self._end(taken)

    def readConnectionLost(self) -> None:
        self._end(Failure(error.ConnectionLost("the peer closed it")))
        self._stream.abortConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self._end(reason)

    def _too_late(self, seconds: float) -> None:
        self._end(Failure(NoAnswerError(string=f"no answer within {seconds:g} s")))
        self._stream.abortConnection()

    def _cancelled(self) -> None:
        self._leave()
        self._stream.abortConnection()

    def _end(self, result: T | Failure) -> None:
        self._leave()
        if not self.answer.called:
            self.answer.callback(result)

    def _leave(self) -> None:
        """Leave the stream to somebody else."""
        if self._deadline is not None:
            self._deadline.cancel()
        if self._stream.protocol is self:
            park(self._stream)
