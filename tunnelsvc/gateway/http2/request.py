# -*- test-case-name: tests.gateway.http2.test_connection -*-
"""One stream of a connection: a request and its response (RFC 9113 section 8.1)."""

from collections.abc import Sequence
from typing import Final, Protocol

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from twisted.internet.interfaces import IAddress

from tunnelsvc.gateway.answer import Answer
from tunnelsvc.gateway.http2.fields import (
    NotByHTTP2Error,
    ordinary_fields,
    request_text,
    response_fields,
)
from tunnelsvc.gateway.route import Site
from tunnelsvc.gateway.taking import STALL_SECONDS
from tunnelsvc.gateway.virtual import VirtualUser
from tunnelsvc.interfaces import Stream
from tunnelsvc.timing import Limit, limit
from tunnelsvc.units import KiB
from tunnelsvc.wire.httphead import Header, HeadError, ResponseHead

FRAME_BYTES: Final = 16 * KiB
"""Of a response's body in one frame: so streams that share a connection share it fairly."""

PENDING_BYTES: Final = 64 * KiB
"""Of a response's body that waits for the user: above it the service waits, too."""


class Owner(Protocol):
    """What a stream asks of its connection.

    Attributes:
        h2: makes frames.
        site: what users share.
        peer: the user's address.
        host: where he came in.
    """

    h2: H2Connection
    site: Site
    peer: IAddress
    host: IAddress

    def serve(self, stream: Stream, head: bytes) -> None:
        """Serve a user; see `tunnelsvc.gateway.virtual.Serve`."""

    def wants_to_send(self, stream: "RequestStream") -> None:
        """Call `RequestStream.advance` when it's this one's turn."""

    def changed(self) -> None:
        """Send the frames that were made."""

    def spoiled(self, stream: "RequestStream") -> None:
        """Take note that a stream was reset because of what the user sent."""

    def forget(self, stream: "RequestStream") -> None:
        """Take note that a stream is over."""


class RequestStream:
    """Has a user and is told of his response; see `tunnelsvc.gateway.virtual.UserEvents`.

    Attributes:
        number: of the stream.
        request_ended: whether the request is complete.
    """

    def __init__(self, owner: Owner, number: int) -> None:
        self.number = number
        self._owner = owner
        self._user = VirtualUser(self, owner.site.clock, owner.peer, owner.host)
        self.request_ended = False
        self._over = False
        self._holds = False
        self._unacknowledged_bytes = 0
        self._head: list[Header] | None = None
        self._pending = bytearray()
        self._waits = False
        self._stalled: Limit | None = None
        self._trailers: list[Header] | None = None

    # The request, as the connection tells of it.

    def begin(self, fields: Sequence[Header], *, ended: bool) -> None:
        """Send the request on its way, or refuse it."""
        self.request_ended = ended
        try:
            text = request_text(fields, ended=ended)
        except NotByHTTP2Error:
            self._fail(ErrorCodes.HTTP_1_1_REQUIRED)
        except HeadError as error:
            self._refuse(dict(fields).get(b":method", b""), error.status)
        else:
            self._user.ask(text, self._owner.serve)

    def _refuse(self, method: bytes, status: int) -> None:
        site = self._owner.site
        body = method != b"HEAD"
        now = site.clock.seconds()
        page = site.pages.response(status, body=body, connection=b"", now=now)
        Answer(b"GET" if body else b"HEAD", self).feed(page)

    def take(self, data: bytes, size_bytes: int) -> None:
        """Take a piece of the request's body.

        Args:
            data: the piece.
            size_bytes: what it counts for in flow control, with padding.
        """
        self._unacknowledged_bytes += size_bytes
        self._user.send(data)
        if not self._holds:
            self._acknowledge()

    def finish(self, trailers: Sequence[Header] = ()) -> None:
        """Take the end of the request."""
        if self.request_ended or self._over:
            return
        self.request_ended = True
        try:
            self._user.finish(trailers)
        except HeadError:
            self._fail(ErrorCodes.PROTOCOL_ERROR)
            self._owner.spoiled(self)

    def leave(self) -> None:
        """Take note that the user reset the stream, or lost the connection."""
        self._over = True
        self._unwatch()
        self._acknowledge()  # what waited counts for the whole connection
        self._user.abort()
        self._owner.forget(self)

    def hold(self, *, on: bool) -> None:
        """See `UserEvents`: the user may send what is left of the stream's window, and no more."""
        self._holds = on
        if not on:
            self._acknowledge()

    def _acknowledge(self) -> None:
        size, self._unacknowledged_bytes = self._unacknowledged_bytes, 0
        if size:
            self._owner.h2.acknowledge_received_data(size, self.number)
            self._owner.changed()

    # The response.

    def informed(self, head: ResponseHead) -> None:
        """See `UserEvents`."""
        if not self._over:
            self._owner.h2.send_headers(self.number, response_fields(head))
            self._owner.changed()

    def responded(self, head: ResponseHead) -> None:
        """See `UserEvents`; by the time that it's sent it is clear whether there is a body."""
        self._head = response_fields(head)
        self._owner.wants_to_send(self)

    def switched(self, head: ResponseHead) -> None:  # noqa: ARG002
        """See `UserEvents`; no request here asks for it."""
        self._fail(ErrorCodes.INTERNAL_ERROR)

    def received(self, data: bytes) -> None:
        """See `UserEvents`."""
        self._pending += data
        self._owner.wants_to_send(self)
        if len(self._pending) > PENDING_BYTES and not self._waits:
            self._waits = True
            self._user.pauseProducing()

    def ended(self, trailers: Sequence[Header]) -> None:
        """See `UserEvents`."""
        self._trailers = ordinary_fields(trailers)
        self._owner.wants_to_send(self)

    def reset(self) -> None:
        """See `UserEvents`."""
        self._fail(ErrorCodes.INTERNAL_ERROR)

    def closed(self) -> None:
        """See `UserEvents`; nothing was switched."""

    def _fail(self, why: ErrorCodes) -> None:
        if not self._over:
            self._acknowledge()
            self._owner.h2.reset_stream(self.number, why)
            self._owner.changed()
            self.leave()

    def advance(self) -> bool:
        """Send one frame if the user takes it; tell whether to come again at once."""
        if self._over:
            return False
        if self._head is not None:
            self._send_head(self._head)
        elif self._pending:
            return self._send_piece()
        elif self._trailers is not None:
            self._send_end(self._trailers)
        return bool(self._pending) or self._trailers is not None

    def _send_head(self, head: list[Header]) -> None:
        self._head = None
        alone = not self._pending and self._trailers == []
        self._owner.h2.send_headers(self.number, head, end_stream=alone)
        if alone:
            self._done()

    def _send_piece(self) -> bool:
        h2, number = self._owner.h2, self.number
        window = h2.local_flow_control_window(number)
        size = min(window, h2.max_outbound_frame_size, FRAME_BYTES)
        if size <= 0:
            self._watch()
            return False
        self._unwatch()
        piece = bytes(self._pending[:size])
        del self._pending[:size]
        if not self._pending and self._trailers == []:
            h2.send_data(number, piece, end_stream=True)
            self._done()
            return False
        h2.send_data(number, piece)
        if not self._pending and self._waits:
            self._waits = False
            self._user.resumeProducing()
        return bool(self._pending) or self._trailers is not None

    def _watch(self) -> None:
        """Give up if the window stays shut; `_full` of the connection is another matter."""
        if self._stalled is None:
            self._stalled = limit(
                self._owner.site.clock, STALL_SECONDS, lambda: self._fail(ErrorCodes.CANCEL)
            )

    def _unwatch(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _send_end(self, trailers: list[Header]) -> None:
        if trailers:
            self._owner.h2.send_headers(self.number, trailers, end_stream=True)
        else:
            self._owner.h2.end_stream(self.number)
        self._done()

    def _done(self) -> None:
        """The response was sent; of a request that isn't complete, the rest is of no use."""
        self._unwatch()
        self._acknowledge()
        if not self.request_ended:
            self._owner.h2.reset_stream(self.number, ErrorCodes.NO_ERROR)
        self._over = True
        self._pending.clear()
        self._trailers = None
        self._owner.forget(self)
