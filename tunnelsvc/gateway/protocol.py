# -*- test-case-name: tests.gateway.test_protocol -*-
"""Hops 1 and 2 of an HTTP request: read on the user's connection, admitted, one after the other.

Each request is routed on its own: browsers and the proxies before us use one connection for
several sites. While one is under way we go on reading, up to `MAX_UNREAD_BYTES`: only so is it
noticed that the user left.
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.gateway.admission import absence, find_target, refusal
from tunnelsvc.gateway.connect import ConnectExchange
from tunnelsvc.gateway.deadline import Deadline
from tunnelsvc.gateway.exchange import Exchange
from tunnelsvc.gateway.forwarded import Origin, origin_of
from tunnelsvc.gateway.negotiation import prefers_json
from tunnelsvc.gateway.rewrite import connection_header, may_ask_more
from tunnelsvc.gateway.route import Route, Site
from tunnelsvc.gateway.taking import Taking
from tunnelsvc.handover import attach, untaken_bytes
from tunnelsvc.interfaces import ILingering, Stream
from tunnelsvc.units import MINUTE, KiB
from tunnelsvc.wire.httphead import HeadError, HeadReader, RequestHead, parse_request_head

if TYPE_CHECKING:
    from tunnelsvc.gateway.accesslog import Record

HEAD_SECONDS: Final = 1 * MINUTE
"""How long a head may take from its first byte, or from the connection; frp's figure."""

KEEPALIVE_SECONDS: Final = 75.0
"""How long a connection may be idle between two requests; nginx's ``keepalive_timeout``."""

LINGER_SECONDS: Final = 10.0
"""How long we go on reading after our end of file, at least, and as long as the user still takes
what was before it. Closing at once would reset the connection if anything is unread, and a reset
makes the user's side forget the response. nginx's ``lingering_close`` has 5 to 30 s."""

MAX_UNREAD_BYTES: Final = 64 * KiB
"""Of requests behind the present one: above it we stop reading."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class VhostProtocol(Protocol):
    """A user's connection; see `tunnelsvc.gateway.route.UserSide`."""

    stream: Stream
    origin: Origin
    record: "Record | None" = None

    def __init__(
        self, site: Site, scheme: bytes = b"http", *, origin: Origin | None = None
    ) -> None:
        """Begin.

        Args:
            site: what all connections share.
            scheme: ``http`` or ``https``, as the user sees it.
            origin: who the user is; None: the connection tells.
        """
        self._site = site
        self._scheme = scheme
        self._origin = origin
        self._reader = HeadReader()
        self._unread = b""
        self._exchange: Exchange | None = None
        self._tried: tuple[Route, ...] = ()
        self.deadline = Deadline(site.clock)
        self._taking = Taking(site.clock)
        self._taken_late = False
        self._advancing = False
        self._throttled = False
        self._paused = False
        self._ending = False
        self.full = False
        self.finished_writing = False

    def connectionMade(self) -> None:
        """Begin on a fresh connection."""
        self._begin(self.transport)  # type: ignore[arg-type]

    def take_over(self, stream: Stream, first_bytes: bytes) -> None:
        """Begin on a parked stream whose first bytes were read already."""
        self._begin(stream)
        self._unread = first_bytes
        attach(stream, self)
        self.advance()
        if stream.protocol is self and not self._paused:
            stream.resumeProducing()

    def _begin(self, stream: Stream) -> None:
        self.stream = stream
        peer = getattr(stream.getPeer(), "host", "")
        self.origin = self._origin or origin_of(peer, self._scheme, self._site.trust)
        stream.registerProducer(self, True)
        self._wait(HEAD_SECONDS)

    # Reading.

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of requests."""
        if not self._ending:
            self._unread = self._unread + data if self._unread else data
            self.advance()

    def advance(self) -> None:
        """Give unread bytes to whoever is due, until nobody wants them."""
        if self._advancing:
            return
        self._advancing = True
        while self._unread and self._step():
            pass
        self._advancing = False
        if self._exchange is not None:
            self._exchange.flush()
        self._regulate()
        if self.finished_writing:
            self._after_end_of_file()

    def _step(self) -> bool:
        data, exchange = self._unread, self._exchange
        if exchange is None:
            if self.full or self._ending:
                return False
            self._unread = b""
            self._read_head(data)
            return True
        if exchange.wants_body:
            self._unread = b""
            self._unread = exchange.take_body(data)
            return True
        return False

    def _regulate(self) -> None:
        """Pause or resume reading, if that is a change."""
        pause = self._throttled or len(self._unread) > MAX_UNREAD_BYTES
        if pause == self._paused or self._ending or self.finished_writing:
            return
        self._paused = pause
        if pause:
            self.stream.pauseProducing()
        else:
            self.stream.resumeProducing()

    def _read_head(self, data: bytes) -> None:
        begun = self._reader.begun
        try:
            found = self._reader.feed(data)
            if found is None:
                if not begun and self._reader.begun:
                    self._wait(HEAD_SECONDS)
                return
            raw, self._unread = found
            head = parse_request_head(raw)
        except HeadError as error:
            self._refuse_unread(error.status, b"" if begun else data)
            return
        self.deadline.unset()
        self._serve(head)

    def _serve(self, head: RequestHead) -> None:
        """Admit a request and start its exchange, or say why not."""
        gate = self._site.gate
        turned = gate(head, self.origin) if gate is not None else None
        target = find_target(self._site.router, head) if turned is None else None
        route = target.for_request() if target is not None else None
        if self._site.access_log is not None:
            name = route.name if route is not None else ""
            self.record = self._site.access_log.begin(self.origin, head, name)
        if turned is not None:
            complete = head.length == 0
            self._refuse(head, turned.status, complete=complete, location=turned.location)
        elif route is None:
            self._refuse(head, absence(self._site.router, head), complete=head.length == 0)
        elif not route.rules.admit(head):
            self._refuse(head, refusal(head), complete=head.length == 0)
        else:
            self._tried = ()
            self._exchange_with(head, route)

    def _exchange_with(self, head: RequestHead, route: Route) -> None:
        make = ConnectExchange if head.method == b"CONNECT" else Exchange
        self._exchange = make(self, head, route, self._site)
        self._exchange.start()

    def readConnectionLost(self) -> None:
        """Take the user's end of file."""
        if self.finished_writing:
            return
        self.finished_writing = True
        if self._ending:
            self.stream.loseConnection()
        else:
            self.advance()

    def _after_end_of_file(self) -> None:
        """Decide what is left to do for a user who will say no more."""
        exchange = self._exchange
        if exchange is None:
            if not self._unread:
                self._end()
        elif exchange.request_complete:
            exchange.user_finished()
        elif exchange.wants_body:
            exchange.user_lost()
            self.broken()

    def writeConnectionLost(self) -> None:
        """Our last bytes are on their way; the user may say a few more words."""
        if self._ending:
            self._wait(LINGER_SECONDS)

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002
        """Forget all."""
        self._forget()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.user_lost()
        self._end_record(complete=False)

    # The send buffer, as the stream tells of it.

    def pauseProducing(self) -> None:
        """Let the response wait: the user doesn't take it."""
        self.full = True
        self._taking.watch(self.stream, self._reset)
        if self._exchange is not None:
            self._exchange.hold(on=True)

    def resumeProducing(self) -> None:
        """Go on: all was taken."""
        self.full = False
        self._taking.unset()
        if self._exchange is not None:
            self._exchange.hold(on=False)
        self.advance()

    def stopProducing(self) -> None:
        """Nothing to do: `connectionLost` follows."""

    # What an exchange asks for; see `UserSide`.

    def throttle(self, *, on: bool) -> None:
        """Read no more, or read again."""
        self._throttled = on
        self._regulate()

    def finished(self, *, keep: bool) -> None:
        """Go on with the next request, or end."""
        self._exchange = None
        if self.record is not None:
            self._end_record(complete=True)
        if keep:
            self._wait(KEEPALIVE_SECONDS)
            self.advance()
        else:
            self._end()

    def failed(self, status: int, *, unserved_by: Route | None = None) -> None:
        """Write an error response, unless another route serves the request."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        if unserved_by is None or not self._serve_elsewhere(exchange.head, unserved_by):
            self._refuse(exchange.head, status, complete=exchange.request_complete)

    def _serve_elsewhere(self, head: RequestHead, tried: Route) -> bool:
        """Let another route of the same target have a request; False: there is none."""
        self._tried = (*self._tried, tried)
        # Looked for anew: while the request waited, the host may have become somebody else's.
        target = find_target(self._site.router, head)
        route = target.instead_of(self._tried) if target is not None else None
        if route is None or not route.rules.admit(head):
            return False
        if self.record is not None:
            self.record.proxy = route.name
        self._exchange_with(head, route)
        return True

    def broken(self) -> None:
        """Reset the connection."""
        self._exchange = None
        self._end_record(complete=False)
        self._reset()

    def hand_over(self) -> bytes:
        """Leave the stream; return what was read and not used."""
        self._forget()
        self._exchange = self.record = None
        self.stream.unregisterProducer()
        unread, self._unread = self._unread, b""
        return unread

    # Error responses and ends.

    def _refuse(
        self, head: RequestHead, status: int, *, complete: bool, location: bytes = b""
    ) -> None:
        """Answer a request ourselves; if all of it was read, the next one may come."""
        keep = complete and may_ask_more(head)
        connection = connection_header(head, keep=keep)
        body, as_json = head.method != b"HEAD", prefers_json(head.values(b"accept"))
        self._respond(status, body=body, connection=connection, as_json=as_json, location=location)
        self.finished(keep=keep)

    def _refuse_unread(self, status: int, data: bytes = b"") -> None:
        """Answer what isn't a request, and end; `data` is how it begins, if that is known."""
        if self._site.access_log is not None:
            self.record = self._site.access_log.begin_unread(self.origin, data)
        self._respond(status, body=True, connection=b"close")
        self._end_record(complete=True)
        self._end()

    def _respond(
        self,
        status: int,
        *,
        body: bool,
        connection: bytes,
        as_json: bool = False,
        location: bytes = b"",
    ) -> None:
        page = self._site.pages.response(
            status,
            body=body,
            connection=connection,
            now=self._site.clock.seconds(),
            as_json=as_json,
            location=location,
        )
        if self.record is not None:
            self.record.answered(status, page)
        self.stream.write(page)

    def _end_record(self, *, complete: bool) -> None:
        """Let the line of the request under way be written, if there is to be one."""
        record, self.record = self.record, None
        if record is not None:
            record.end(complete=complete)

    def _end(self) -> None:
        """Close after all that was written; see `LINGER_SECONDS`."""
        if self._ending:
            return
        self._forget()
        self._unread = b""
        self.stream.unregisterProducer()
        self._taking.watch(self.stream, self._reset)
        if self.finished_writing or ILingering.providedBy(self.stream):
            self.stream.loseConnection()
            return
        self.stream.loseWriteConnection()
        if self._paused:
            self.stream.resumeProducing()

    def _linger(self) -> None:
        """Close if all has been taken for a while; from then on it is the kernel's."""
        takes = untaken_bytes(self.stream) > 0
        if takes or self._taken_late:
            self._taken_late = takes
            self._wait(LINGER_SECONDS)
        else:
            self.stream.loseConnection()

    def _reset(self) -> None:
        self._forget()
        self.stream.unregisterProducer()
        self.stream.abortConnection()

    def _forget(self) -> None:
        """Stop whatever could happen by itself."""
        self._ending = True
        self.deadline.cancel()
        self._taking.cancel()

    # Time limits: one for what the user, or his exchange, is to do next; one for the send buffer.

    def _wait(self, seconds: float) -> None:
        self.deadline.set(seconds, self._timed_out)

    def _timed_out(self) -> None:
        if self._ending:
            self._linger()
        elif self._reader.begun:
            self._refuse_unread(HTTPStatus.REQUEST_TIMEOUT)
        elif self.full:  # not idle: `_taking` watches
            self._wait(KEEPALIVE_SECONDS)
        else:
            self._end()
