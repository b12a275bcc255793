# -*- test-case-name: tests.gateway.test_exchange -*-
"""Hop 8 of an HTTP request: the request goes to the service, the response to the user.

Both bodies stream, independently of each other: a service may answer before it has read all.
Neither side's bytes are kept: when one doesn't take them, the other isn't read.

How an exchange ends
====================

- The response is complete: the service's connection goes back to its pool, or closes if the
  response says so. If the request isn't complete by then, nobody knows what the service makes of
  the rest: both connections end.
- The service fails before its response has begun: the user gets a page. A request that may be
  repeated, on a connection that was kept from an earlier one, is repeated first: the service may
  have closed it at the same moment.
- The service fails later: the user's connection is reset, so that nobody takes the part of a
  response for the whole.
- The user leaves: the service's connection is reset, so that it can stop its work.
"""

from http import HTTPStatus
from typing import Final

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.errors import LocalServiceUnavailable, WorkConnectionUnavailable
from tunnelsvc.gateway.body import Body, EndlessBody, body_of
from tunnelsvc.gateway.rewrite import (
    agrees_to_upgrade,
    connection_header,
    keeps_alive,
    request_for_backend,
    response_for_user,
)
from tunnelsvc.gateway.route import Route, Site, UserSide
from tunnelsvc.handover import attach, park
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Meter
from tunnelsvc.units import MINUTE
from tunnelsvc.wire.httphead import (
    HeadError,
    HeadReader,
    Length,
    RequestHead,
    ResponseHead,
    parse_response_head,
)

REQUEST_IDLE_SECONDS: Final = 1 * MINUTE
"""How long nothing may move of an incomplete request; nginx's ``client_body_timeout``."""

HALF_CLOSED_IDLE_SECONDS: Final = 1 * MINUTE
"""How long nothing may move of a response to a user who finished his direction. Most who did are
gone, and only a write tells."""

_REPEATABLE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""Idempotent methods (RFC 9110 section 9.2.2)."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class Exchange:
    """One request and its response. Reads the service's connection.

    Attributes:
        head: the request's.
    """

    log = Logger(namespace="vhost")

    def __init__(self, user: UserSide, head: RequestHead, route: Route, site: Site) -> None:
        self._user = user
        self.head = head
        self._route = route
        self._site = site
        self._meter = Meter()
        self._request_body: Body = body_of(head.length)
        self._held_head = b""
        self._service: Stream | None = None
        self._repeatable = False
        self._throttled = False
        self._reader = HeadReader()
        self._response: ResponseHead | None = None
        self._response_body: Body | None = None
        self._keep_user = False
        self._watched_bytes = 0
        self._over = False

    # The way to the service.

    def start(self) -> None:
        """Send the request on its way."""
        self._route.exchange_started(self._meter)
        kept = self._route.backend.kept()
        if kept is None:
            self._open()
        else:
            self._repeatable = self.head.length == 0 and self.head.method in _REPEATABLE
            self._use(kept)

    def _open(self) -> None:
        self._repeatable = False
        ensureDeferred(self._use_fresh()).addErrback(self._trouble)

    async def _use_fresh(self) -> None:
        pool = self._route.backend
        try:
            stream = await pool.fresh(self._user.stream.getPeer())
        except WorkConnectionUnavailable:
            self._fail(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        except LocalServiceUnavailable:
            self._fail(HTTPStatus.BAD_GATEWAY)
            return
        if self._over:
            pool.keep(stream)
        else:
            self._use(stream)

    def _trouble(self, failure: Failure) -> None:
        self.log.failure("no connection to the service", failure)
        self._fail(HTTPStatus.BAD_GATEWAY)

    def _use(self, stream: Stream) -> None:
        self._service = stream
        stream.registerProducer(self, True)
        head = request_for_backend(self.head, self._route.rules, self._user.origin)
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

    # The user's other news.

    def hold(self, *, on: bool) -> None:
        """Let the service wait while the user doesn't take what was written, or go on."""
        if self._service is None:
            return
        (self._service.pauseProducing if on else self._service.resumeProducing)()

    def user_finished(self) -> None:
        """Take note of the user's end of file after a complete request; the answer still goes."""
        if self._response is not None:
            self._watch_half_closed(self._meter.down_bytes)

    def user_lost(self) -> None:
        """Give up: nobody is there any more."""
        self._end()
        self._reset_service()

    # The response. Called by the service's connection.

    def dataReceived(self, data: bytes) -> None:
        """Take a part of the response."""
        self._repeatable = False
        head = b""
        if self._response_body is None:
            try:
                head, data = self._read_heads(data)
            except HeadError as error:
                self.log.debug("response refused: {error}", error=error)
                self._fail(HTTPStatus.BAD_GATEWAY)
            if self._response_body is None:
                return
        self._pass_on(head, data)

    def _read_heads(self, data: bytes) -> tuple[bytes, bytes]:
        """Read interim heads, then the final one; return that for the user, and what is behind."""
        while data:
            found = self._reader.feed(data)
            if found is None:
                break
            raw, data = found
            head = parse_response_head(raw)
            if head.status == HTTPStatus.SWITCHING_PROTOCOLS:
                self._switch(head, data)
                break
            if head.status >= HTTPStatus.OK:
                return self._begin(head), data
            if self.head.minor:  # RFC 9110 section 15.2: not for HTTP/1.0
                self._write(response_for_user(head))
        return b"", b""

    def _begin(self, head: ResponseHead) -> bytes:
        """Take the final head; return it as the user gets it."""
        self._response = head
        body_length = head.length if head.has_body(self.head.method) else 0
        framed = bool(self.head.minor) or head.length is not Length.CHUNKED
        self._response_body = body_of(body_length, decode=not framed)
        self._keep_user = (
            keeps_alive(self.head)
            and self._request_body.done
            and body_length is not Length.UNTIL_CLOSE
            and (framed or body_length == 0)
        )
        connection = connection_header(self.head, keep=self._keep_user)
        return response_for_user(head, connection=connection, framed=framed)

    def _write(self, data: bytes) -> None:
        self._meter.down_bytes += len(data)
        self._user.stream.write(data)

    def _pass_on(self, head: bytes, data: bytes) -> None:
        """Pass on a part of the body, in one piece with the head if that goes before it."""
        body = self._response_body
        assert body is not None
        try:
            passed, rest = body.feed(data)
        except HeadError:
            self._fail(HTTPStatus.BAD_GATEWAY)
            return
        if head or passed:
            self._write(head + passed)
        if body.done:
            self._complete(in_step=not rest)
        elif head and self._user.finished_writing:
            self._watch_half_closed(self._meter.down_bytes - len(passed))
        elif head:
            self._user.deadline.cancel()

    def readConnectionLost(self) -> None:
        """Take the service's end of file: of the response, or too early."""
        if isinstance(self._response_body, EndlessBody):
            self._complete(in_step=False)
        else:
            self._service_gone()

    def writeConnectionLost(self) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: Failure) -> None:
        """Take the loss of the service's connection."""
        self._service = None
        if isinstance(self._response_body, EndlessBody) and reason.check(ConnectionDone):
            self._complete(in_step=False)
        else:
            self._service_gone()

    def _service_gone(self) -> None:
        if self._repeatable:
            stream = self._release()
            if stream is not None:
                self._route.backend.drop(stream)
            self._user.deadline.unset()
            self._open()
        else:
            self._fail(HTTPStatus.BAD_GATEWAY)

    # Ends.

    def _complete(self, *, in_step: bool) -> None:
        """End well.

        Args:
            in_step: the response ended where the connection's bytes did.
        """
        assert self._response is not None
        answered_all = self._request_body.done
        reusable = in_step and not self._throttled and keeps_alive(self._response)
        self._end()
        if not answered_all:
            self._reset_service()
        elif (stream := self._release()) is not None:
            pool = self._route.backend
            (pool.keep if reusable else pool.drop)(stream)
        self._user.finished(keep=self._keep_user and answered_all)

    def _fail(self, status: int) -> None:
        """End badly."""
        if self._over:
            return
        self._end()
        self._reset_service()
        if self._response is None:
            self._user.failed(status)
        else:
            self._user.broken()

    def _end(self) -> None:
        self._over = True
        self._user.deadline.unset()
        self._route.exchange_finished(self._meter)

    def _reset_service(self) -> None:
        stream = self._release()
        if stream is not None:
            stream.abortConnection()

    def _release(self) -> Stream | None:
        """Leave the service's connection, if it's still there."""
        stream, self._service = self._service, None
        if stream is not None:
            stream.unregisterProducer()
            park(stream)
        if self._throttled:
            self.resumeProducing()
        return stream

    def _switch(self, head: ResponseHead, rest: bytes) -> None:
        """Join both sides: they go over to another protocol (RFC 9110 section 7.8)."""
        if self._user.finished_writing or not agrees_to_upgrade(self.head, head):
            raise HeadError("101 that nobody asked for")
        service = self._release()
        assert service is not None
        self._over = True
        self._write(response_for_user(head, switching=True))
        self._site.join(
            self._user.stream,
            service,
            self._user.hand_over(),
            rest,
            clock=self._site.clock,
            far_half_closes=self._route.backend.half_closes,
            meter=self._meter,
        ).addCallback(lambda _: self._route.exchange_finished(self._meter))

    # Time limits. One at a time: for the request while it comes, then for the head of the response,
    # then for a user who can't be heard leaving.

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

    def _watch_half_closed(self, moved_bytes: int) -> None:
        """See later whether more than that was written."""
        self._watched_bytes = moved_bytes
        self._user.deadline.set(HALF_CLOSED_IDLE_SECONDS, self._look_half_closed)

    def _look_half_closed(self) -> None:
        if self._meter.down_bytes == self._watched_bytes:
            self._fail(HTTPStatus.GATEWAY_TIMEOUT)
        else:
            self._watch_half_closed(self._meter.down_bytes)
