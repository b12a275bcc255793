# -*- test-case-name: tests.gateway.test_exchange -*-
"""Hop 8 of an HTTP request, one half: the request goes to the service.

The other half, and how all of it ends, is `tunnelsvc.gateway.exchange`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.errors import LocalServiceUnavailable, WorkConnectionUnavailable
from tunnelsvc.gateway.body import Body, body_of
from tunnelsvc.gateway.forwarded import Origin
from tunnelsvc.gateway.rewrite import request_for_backend
from tunnelsvc.gateway.route import Asker, Route, Site, UserSide
from tunnelsvc.gateway.rules import Rules
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream, StreamReader
from tunnelsvc.relay import Meter
from tunnelsvc.units import MINUTE
from tunnelsvc.wire.httphead import HeadError, RequestHead, ResponseHead

REQUEST_IDLE_SECONDS: Final = 1 * MINUTE
"""How long nothing may move of an incomplete request; nginx's ``client_body_timeout``."""

_REPEATABLE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""Idempotent methods (RFC 9110 section 9.2.2)."""


class Sending(ABC, StreamReader):
    """A request on its way, and the way: a connection to the service.

    Attributes:
        head: the request's.
    """

    log = Logger()
    _make_head: Callable[[RequestHead, Rules, Origin], bytes] = staticmethod(request_for_backend)

    def __init__(self, user: UserSide, head: RequestHead, route: Route, site: Site) -> None:
        self._user = user
        self.head = head
        self._route = route
        self._site = site
        self._meter = Meter()
        self._request_body: Body = body_of(head.length)
        self._held_head = b""
        self._service: Stream | None = None
        self._repeatable = head.length == 0 and head.method in _REPEATABLE
        self._kept = False
        self._throttled = False
        self._response: ResponseHead | None = None
        self._over = False

    @abstractmethod
    def _fail(self, status: int, *, unserved: bool = False) -> None:
        """End badly.

        Args:
            status: of the error response.
            unserved: another service may have the request instead.
        """

    @abstractmethod
    def getPeer(self) -> Asker:
        """See `Underway`."""

    @abstractmethod
    def abortConnection(self) -> None:
        """See `Underway`."""

    @abstractmethod
    def turn_away(self) -> None:
        """See `Underway`."""

    @abstractmethod
    def _reset_service(self) -> None:
        """Leave the service's connection, if it's still there, and reset it."""

    def _service_failed(self) -> None:
        """End badly; if a page says why, find out first."""
        pool = self._route.backend
        if self._response is not None or pool.closed or not pool.news_seconds:
            self._blame()
        else:
            self._reset_service()
            self._user.deadline.set(pool.news_seconds, self._blame)

    def _blame(self) -> None:
        """Say whose fault it is: the service's, or that of who is gone with it."""
        gone = self._route.backend.closed
        status = HTTPStatus.SERVICE_UNAVAILABLE if gone else HTTPStatus.BAD_GATEWAY
        self._fail(status, unserved=self._repeatable)

    # The way to the service.

    def start(self) -> None:
        """Send the request on its way."""
        self._route.exchange_started(self._meter, self)
        kept = self._route.backend.kept(self._user.stream)
        if kept is None:
            self._open()
        else:
            self._kept = True
            self._use(kept)

    def _open(self) -> None:
        self._kept = False
        ensureDeferred(self._use_fresh()).addErrback(self._trouble)

    async def _use_fresh(self) -> None:
        pool = self._route.backend
        try:
            stream = await pool.fresh(self._user.stream.getPeer())
        except WorkConnectionUnavailable:
            self._fail(HTTPStatus.SERVICE_UNAVAILABLE, unserved=True)
            return
        except LocalServiceUnavailable:
            self._fail(HTTPStatus.BAD_GATEWAY, unserved=True)
            return
        if self._over:
            pool.keep(stream, self._user.stream)
        else:
            self._use(stream)

    def _trouble(self, failure: Failure) -> None:
        self.log.failure("no connection to the service", failure)
        self._fail(HTTPStatus.BAD_GATEWAY)

    def _use(self, stream: Stream) -> None:
        self._service = stream
        stream.registerProducer(self, True)
        head = self._make_head(self.head, self._route.rules, self._user.origin)
        if self._user.record is not None:
            self._user.record.passed_on(self._meter, head)
        if self._request_body.done:
            self._send(head)
        else:
            self._held_head = head
        self._wait()
        attach(stream, self)
        if self._service is stream:
            if not self._user.full:
                stream.resumeProducing()
            self._user.advance()

    def _send(self, data: bytes) -> None:
        assert self._service is not None
        data, self._held_head = self._held_head + data, b""
        self._meter.up_bytes += len(data)
        self._service.write(data)

    # The request's body. Called by the user's side.

    @property
    def request_complete(self) -> bool:
        """Whether all of the request was passed on."""
        return self._request_body.done

    @property
    def wants_body(self) -> bool:
        """Whether `take_body` may be called."""
        return self._service is not None and not self._request_body.done

    def take_body(self, data: bytes) -> bytes:
        """Pass on a piece of the body; return what is behind its end."""
        try:
            passed, rest = self._request_body.feed(data)
        except HeadError as error:
            self._fail(error.status)
            return b""
        if passed:
            self._send(passed)
        self._wait()
        return rest

    def flush(self) -> None:
        """Send the head, which waited for the first of the body to go in one piece with it."""
        if self._held_head and self._service is not None:
            self._send(b"")

    def pauseProducing(self) -> None:
        """Let the user wait: the service doesn't take more of the body."""
        self._throttled = True
        self._user.throttle(on=True)

    def resumeProducing(self) -> None:
        """Let the user go on."""
        self._throttled = False
        self._user.throttle(on=False)

    def stopProducing(self) -> None:
        """Nothing to do: `connectionLost` follows."""

    # Time limits. One at a time: for the request while it comes, then for the head of the response.

    def _wait(self) -> None:
        """Start the timer anew after something moved of the request."""
        if self._response is not None or self._over:
            return
        complete = self._request_body.done
        seconds = self._site.response_timeout_seconds if complete else REQUEST_IDLE_SECONDS
        self._user.deadline.set(seconds, self._timed_out)

    def _timed_out(self) -> None:
        users_fault = not self._request_body.done and not self._throttled
        self._fail(HTTPStatus.REQUEST_TIMEOUT if users_fault else HTTPStatus.GATEWAY_TIMEOUT)
