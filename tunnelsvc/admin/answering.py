# -*- test-case-name: tests.admin.test_answering -*-
"""Answers of our own APIs: at once, later, or bit by bit."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from tunnelsvc.admin.endpoints import Endpoint, asked
from tunnelsvc.admin.routing import APIError, Routes, route
from tunnelsvc.admin.web import answer_json
from tunnelsvc.timing import Limit, limit
from tunnelsvc.units import MINUTE, KiB

PIECE_CHARACTERS: Final = 256 * KiB
"""Written at a time, some milliseconds' work."""
TAKE_SECONDS: Final = 5 * MINUTE
"""How long a reader may take for what its transport holds: a piece, and what is left of others."""

_log = Logger()


def answer_by(routes: Routes[Endpoint[Any]], api: object, request: Request) -> Any:
    """Answer a request by a table.

    Args:
        routes: whose handlers are given `api` and what was asked. They return what becomes JSON, a
            coroutine of that, or, if they have filled in the answer, its body or ``NOT_DONE_YET``.
        api: whose handlers they are.
        request: the request.

    Returns:
        What `Resource.render` has to return.
    """
    try:
        endpoint, variables = route(routes, request)
        value = endpoint.handler(api, asked(endpoint, request, variables))
    except APIError as why:
        return answer_json(request, why.shape(), why.code)
    if isinstance(value, Coroutine):
        _answer_later(request, value)
        return NOT_DONE_YET
    filled_in = value is NOT_DONE_YET or isinstance(value, bytes)
    return value if filled_in else answer_json(request, value)


def _answer_later(request: Request, coroutine: Coroutine[Any, Any, Any]) -> None:
    gone: list[object] = []
    request.notifyFinish().addErrback(gone.append)

    def fail(failure: Failure) -> bytes:
        if failure.check(APIError):
            why = failure.value
            assert isinstance(why, APIError)
        else:
            _log.failure("answering {path} failed", failure, path=request.path)
            why = APIError(http.INTERNAL_SERVER_ERROR, "this failed; the log says how")
        return answer_json(request, why.shape(), why.code)

    def finish(body: bytes) -> None:
        if not gone:
            request.write(body)
            request.finish()

    answered = ensureDeferred(coroutine)
    answered.addCallback(lambda value: answer_json(request, value))
    answered.addErrback(fail).addCallback(finish)


def when_done(request: Request, done: "Deferred[None]", go_on: Callable[[], None]) -> int:
    """Go on with a request when something has been done, if whoever asks is still there by then.

    Args:
        request: the request.
        done: fires then; is cancelled if nobody is there any more.
        go_on: answers.

    Returns:
        What `Resource.render` has to return.
    """

    def failed(why: Failure) -> None:
        if why.check(CancelledError) is None:
            request.processingFailed(why)

    request.notifyFinish().addErrback(lambda _: done.cancel())
    done.addCallback(lambda _: go_on()).addErrback(failed)
    return NOT_DONE_YET


@implementer(IPushProducer)
class Pieces:
    """Writes a long text, no faster than it is taken, with turns for others in between."""

    def __init__(self, request: Request, pieces: Iterable[str], clock: IReactorTime) -> None:
        """Begin.

        Args:
            request: whose head is filled in.
            pieces: the text.
            clock: gives the turns.
        """
        self._request = request
        self._pieces = iter(pieces)
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._slow: Limit | None = None
        self._paused = False
        request.notifyFinish().addErrback(self._gone)
        request.registerProducer(self, True)
        self._write()

    def _write(self) -> None:
        self._call = None
        try:
            self._write_some()
        except Exception:  # noqa: BLE001 - whatever it is: nobody must take half for the whole
            _log.failure("writing {path} failed", path=self._request.path)
            self._drop()

    def _write_some(self) -> None:
        written = 0
        for piece in self._pieces:
            self._request.write(piece.encode())
            written += len(piece)
            if self._paused:
                return
            if written >= PIECE_CHARACTERS:
                self._write_later()
                return
        self._request.unregisterProducer()
        self._request.finish()

    def _write_later(self) -> None:
        self._call = self._clock.callLater(0, self._write)

    def pauseProducing(self) -> None:
        """Write no more: the transport holds enough."""
        self._paused = True
        self._wait_no_more()
        self._slow = limit(self._clock, TAKE_SECONDS, self._drop)

    def resumeProducing(self) -> None:
        """Go on."""
        self._paused = False
        self._wait_no_more()
        self._write_later()

    def stopProducing(self) -> None:
        """Nothing to do: the request's end is told as well."""

    def _wait_no_more(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _drop(self) -> None:
        channel: Any = self._request.channel
        channel.transport.abortConnection()

    def _gone(self, _: object) -> None:
        self._paused = True
        self._wait_no_more()
