# -*- test-case-name: tests.gateway.test_exchange -*-
"""Hop 8 of an HTTP request: the response goes to the user; the request's half is `sending`.

Both bodies stream, independently of each other: a service may answer before it has read all.
Neither side's bytes are kept: when one doesn't take them, the other isn't read.

How an exchange ends
====================

- The response is complete: the service's connection goes back to its pool, or closes if the
  response says so. If the request isn't complete by then, nobody knows what the service makes of
  the rest: both connections end.
- The service fails before its response has begun: the user gets a page. A request that may be
  repeated, on a connection that was kept from an earlier one, is repeated first: the service may
  have closed it at the same moment. The user's side may also let another service have a request
  that may be repeated, or that nobody has seen yet.
- The service fails later: the user's connection is reset, so that nobody takes the part of a
  response for the whole.
- The user leaves: the service's connection is reset, so that it can stop its work.
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.gateway.body import Body, EndlessBody, body_of
from tunnelsvc.gateway.rewrite import (
    agrees_to_upgrade,
    connection_header,
    keeps_alive,
    may_ask_more,
    response_for_user,
)
from tunnelsvc.gateway.route import Asker, Route, Site, UserSide
from tunnelsvc.gateway.sending import Sending
from tunnelsvc.handover import park
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Closed
from tunnelsvc.units import MINUTE
from tunnelsvc.wire.httphead import (
    MAX_HEAD_BYTES,
    HeadError,
    HeadReader,
    Length,
    RequestHead,
    ResponseHead,
    parse_response_head,
)

if TYPE_CHECKING:
    from tunnelsvc.gateway.accesslog import Record

HALF_CLOSED_IDLE_SECONDS: Final = 1 * MINUTE
"""How long nothing may move of a response to a user who finished his direction. Most who did are
gone, and only a write tells."""

MAX_INTERIM_BYTES: Final = MAX_HEAD_BYTES
"""Of all interim heads (1xx) of one response: HTTP/2 has no window that would hold them back."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class Exchange(Sending):
    """One request and its response. Reads the service's connection."""

    _switching = frozenset({HTTPStatus.SWITCHING_PROTOCOLS})
    """Statuses after which both sides go over to another protocol."""

    def __init__(self, user: UserSide, head: RequestHead, route: Route, site: Site) -> None:
        super().__init__(user, head, route, site)
        self._reader = HeadReader()
        self._response_body: Body | None = None
        self._keep_user = False
        self._interim_bytes = 0
        self._watched_bytes = 0

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

    # What those may want who see all requests under way; see `Underway`.

    def getPeer(self) -> Asker:
        """Tell who asks: behind proxies that are trusted, whom they say."""
        origin = self._user.origin
        address = origin.user_of(self.head)
        port = getattr(self._user.stream.getPeer(), "port", 0) if address == origin.address else 0
        return Asker(address.decode(), port)

    def abortConnection(self) -> None:
        """End the user's connection, which ends all else; of HTTP/2 it is one stream."""
        self._user.stream.abortConnection()

    def turn_away(self) -> None:
        """Give up the service; who can be told, is. Another may have what nobody has begun."""
        if self._over:  # joined: both speak another protocol now
            self.abortConnection()
        else:
            self._fail(HTTPStatus.SERVICE_UNAVAILABLE, unserved=self._repeatable)

    # The response. Called by the service's connection.

    def dataReceived(self, data: bytes) -> None:
        """Take a part of the response."""
        self._repeatable = False
        head = b""
        if self._response_body is None:
            try:
                head, data = self._read_heads(data)
            except HeadError as error:
                host = self.head.host.decode()
                self.log.info("response for [{host}] refused: {error}", host=host, error=error)
                self._fail(HTTPStatus.BAD_GATEWAY)
            if self._response_body is None:
                return
            if self._user.record is not None:
                assert self._response is not None
                self._user.record.response_begins(self._response, head)
        self._pass_on(head, data)

    def _read_heads(self, data: bytes) -> tuple[bytes, bytes]:
        """Read interim heads, then the final one; return that for the user, and what is behind."""
        while data:
            found = self._reader.feed(data)
            if found is None:
                break
            raw, data = found
            head = parse_response_head(raw)
            if head.status in self._switching:
                self._switch(head, data)
                break
            if head.status >= HTTPStatus.OK:
                return self._begin(head), data
            self._interim_bytes += len(raw)
            if self._interim_bytes > MAX_INTERIM_BYTES:
                raise HeadError("1xx without end")
            if self.head.minor:  # RFC 9110 section 15.2: not for HTTP/1.0
                self._write(response_for_user(head, self._route.rules))
        return b"", b""

    def _begin(self, head: ResponseHead) -> bytes:
        """Take the final head; return it as the user gets it."""
        self._response = head
        body_length = head.length if head.has_body(self.head.method) else 0
        framed = bool(self.head.minor) or head.length is not Length.CHUNKED
        self._response_body = body_of(body_length, decode=not framed, mend=True)
        self._keep_user = (
            may_ask_more(self.head)
            and self._request_body.done
            and body_length is not Length.UNTIL_CLOSE
            and (framed or body_length == 0)
        )
        connection = connection_header(self.head, keep=self._keep_user)
        return response_for_user(
            head,
            self._route.rules,
            connection=connection,
            framed=framed,
            hsts=self._site.hsts,
        )

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
        if self._repeatable and self._kept:
            stream = self._release()
            if stream is not None:
                self._route.backend.drop(stream)
            self._user.deadline.unset()
            self._open()
        else:
            self._service_failed()

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
            if reusable:
                pool.keep(stream, self._user.stream)
            else:
                pool.drop(stream)
        self._user.finished(keep=self._keep_user and answered_all)

    def _fail(self, status: int, *, unserved: bool = False) -> None:
        """End badly."""
        if self._over:
            return
        self._end()
        self._reset_service()
        if self._response is None:
            self._user.failed(status, unserved_by=self._route if unserved else None)
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
        self._join(head, response_for_user(head, self._route.rules, switching=True), rest)

    def _join(self, head: ResponseHead, passed: bytes, rest: bytes) -> None:
        """Send the last head, as the user gets it, and let go."""
        service = self._release()
        assert service is not None
        self._over = True
        record = self._user.record
        if record is not None:
            record.response_begins(head, passed)
        self._write(passed)
        self._site.join(
            self._user.stream,
            service,
            self._user.hand_over(),
            rest,
            clock=self._site.clock,
            far_half_closes=self._route.backend.half_closes,
            meter=self._meter,
        ).addCallback(self._unjoined, record)

    def _unjoined(self, closed: Closed, record: "Record | None") -> None:
        self._route.exchange_finished(self._meter)
        if record is not None:
            record.end(complete=not closed.cut)

    # A user who can't be heard leaving; the time limits before are the request's.

    def _watch_half_closed(self, moved_bytes: int) -> None:
        """See later whether more than that was written."""
        self._watched_bytes = moved_bytes
        self._user.deadline.set(HALF_CLOSED_IDLE_SECONDS, self._look_half_closed)

    def _look_half_closed(self) -> None:
        if self._meter.down_bytes == self._watched_bytes:
            self._fail(HTTPStatus.GATEWAY_TIMEOUT)
        else:
            self._watch_half_closed(self._meter.down_bytes)
