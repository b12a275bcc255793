# -*- test-case-name: tests.client.plugins.test_pieces -*-
"""Response bodies that are made piece by piece, as fast as the user takes them."""

from collections.abc import Callable, Iterator
from typing import cast

from twisted.internet.interfaces import IPushProducer, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

from tunnelsvc.timing import soon

Pieces = Iterator[bytes]
"""Gives pieces of 256 KiB at most; each is made in a turn of the reactor of its own, so it mustn't
take long. An empty one says that there was work to do."""


@implementer(IPushProducer)
class PieceProducer:
    """Writes pieces to a request, one each turn, and finishes it."""

    log = Logger()

    def __init__(
        self,
        request: Request,
        pieces: Pieces,
        clock: IReactorTime,
        release: Callable[[], object],
    ) -> None:
        """Begin.

        Args:
            request: whose head is complete.
            pieces: of the body.
            clock: has the turns.
            release: called at the end, however it comes.
        """
        self._request = request
        self._pieces = pieces
        self._clock = clock
        self._release = release
        self._paused = self._due = self._stopped = False
        self.resumeProducing()
        # May pause at once: an earlier response isn't taken yet.
        request.registerProducer(self, True)

    def resumeProducing(self) -> None:
        """Go on in the next turn."""
        self._paused = False
        if not self._due and not self._stopped:
            self._due = True
            soon(self._clock, self._write_one)

    def pauseProducing(self) -> None:
        """Wait: the user doesn't take it."""
        self._paused = True

    def stopProducing(self) -> None:
        """End, complete or not."""
        if not self._stopped:
            self._stopped = True
            self._release()

    def _write_one(self) -> None:
        self._due = False
        if self._paused or self._stopped:
            return
        try:
            piece = next(self._pieces, None)
        except Exception:  # noqa: BLE001
            self.log.failure("a response can't be completed")
            self._break_off()
            return
        if piece is None:
            self.stopProducing()
            self._request.unregisterProducer()
            self._request.finish()
            return
        if piece:
            self._request.write(piece)
        if not self._paused:
            self.resumeProducing()

    def _break_off(self) -> None:
        """Reset, so that nobody takes the part for the whole."""
        self.stopProducing()
        self._request.unregisterProducer()
        cast("ITCPTransport", self._request.transport).abortConnection()
