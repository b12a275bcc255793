# -*- test-case-name: tests.client.plugins.test_farewell -*-
"""Ending a user's connection such that the last words arrive."""

from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.timing import limit

LINGER_SECONDS: Final = 10.0
"""How long what the user still sends is read after our end of file, and not looked at. Closing at
once would reset the connection if anything is unread, and a reset makes the user's side forget the
last words."""


def leave(stream: Stream, last_words: bytes, clock: IReactorTime) -> Deferred[None]:
    """Say the last words and end.

    Args:
        stream: parked.
        last_words: may be empty.
        clock: for the time limit.

    Returns:
        Fires when the stream is gone, and never fails.
    """
    leaving = _Leaving(stream, clock)
    attach(stream, leaving)
    leaving.say(last_words)
    return leaving.gone


@implementer(IHalfCloseableProtocol)
class _Leaving:
    """Reads what nobody wants any more."""

    def __init__(self, stream: Stream, clock: IReactorTime) -> None:
        self.gone: Deferred[None] = Deferred()
        self._stream = stream
        self._said = self._finished = False
        self._limit = limit(clock, LINGER_SECONDS, stream.abortConnection)

    def say(self, last_words: bytes) -> None:
        if self.gone.called:
            return
        self._said = True
        if last_words:
            self._stream.write(last_words)
        if self._finished:
            self._stream.loseConnection()
        else:
            self._stream.loseWriteConnection()
            self._stream.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        pass

    def readConnectionLost(self) -> None:
        self._finished = True
        if self._said:
            self._stream.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        self._limit.cancel()
        self.gone.callback(None)
