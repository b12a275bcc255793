# -*- test-case-name: tests.wire.test_httprecord -*-
"""What is said on a connection that speaks HTTP/1, for who only watches (RFC 9112). Sans-I/O.

A `Conversation` has a stage for each direction, as codecs are (`tunnelsvc.relay.stages`), but gives
out what it was given, whatever that is. What isn't HTTP is noted, and from there on not looked at.

Requests are answered in order, so that is all it takes to find the request of a response; what has
to be known of it is whether it asked for a body, or for another protocol. Whether it gets that is
only known by the answer: until then what comes behind it is held, and read as what it turns out to
be. (httptools can't be told
that a response is one to HEAD, which has no body whatever its head says, and would take the next
response for it. It parses in 4 to 8 µs what `tunnelsvc.wire.httphead` takes 3 to 25 µs for, by
whether it remembers it; both programs need some 100 for a request.)
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from tunnelsvc.units import KiB
from tunnelsvc.wire.httpexchange import KEPT_BYTES, WEBSOCKET, Exchange, Half, Ledger
from tunnelsvc.wire.httphead import (
    HeadError,
    HeadReader,
    RequestHead,
    ResponseHead,
    parse_request_head,
    parse_response_head,
)
from tunnelsvc.wire.httprecordbody import EndlessTally, MessageCounter, Tally, tally_of
from tunnelsvc.wire.messages import StartWorkConn

MOST_WAITING: Final = 256
"""Requests of one connection that wait for an answer; browsers send one at a time, and tools that
pipeline some dozens."""
MOST_HELD_BYTES: Final = 64 * KiB
"""What may follow a request for another protocol before its answer; clients have to wait for it."""


class Stage:
    """One direction, for `tunnelsvc.relay.stages`: passes on what it gets, and shows it."""

    def __init__(self, look: Callable[[bytes], None]) -> None:
        self._look = look

    def feed(self, data: bytes) -> bytes:
        """Return `data`."""
        self._look(data)
        return data


class Conversation:
    """The exchanges of one connection, as they happen.

    Attributes:
        requests: the stage of what the user says.
        responses: the stage of what the service says.
    """

    def __init__(self, start: StartWorkConn, ledger: Ledger, now: Callable[[], float]) -> None:
        """Begin.

        Args:
            start: who the user is.
            ledger: is told of each exchange.
            now: Unix seconds.
        """
        self.requests = Stage(self._guarded(self._request_bytes))
        self.responses = Stage(self._guarded(self._response_bytes))
        self._start = start
        self._ledger = ledger
        self._now = now
        self._over = False
        self._waiting: deque[Exchange] = deque()
        """Those whose response isn't complete, in order."""
        self._request_heads = HeadReader()
        self._response_heads = HeadReader()
        self._since = 0.0
        self._asking: Exchange | None = None
        """The one whose request has a body that isn't complete."""
        self._request_tally: Tally | None = None
        self._response_tally: Tally | None = None
        self._asks: Exchange | None = None
        """The latest one, if it asks for another protocol and isn't answered."""
        self._held: bytearray | None = None
        """What came behind that."""
        self._tunnel: Exchange | None = None
        """The one by which the connection got another protocol."""

    def close(self, why: str = "") -> None:
        """Take note that there is nothing more on this connection.

        Args:
            why: it was cut off for that; empty: it ended in order.
        """
        if self._over:
            return
        self._over = True
        if self._tunnel is not None:
            self._waiting.append(self._tunnel)
        asking = self._asking
        if asking is not None and asking not in self._waiting:  # answered before it was all asked
            self._waiting.append(asking)
        for exchange in self._waiting:
            exchange.error = why or exchange.error or self._missing(exchange)
            self._end(exchange)
        self._waiting.clear()

    def _missing(self, exchange: Exchange) -> str:
        """Say what an exchange lacks when its connection ends in order."""
        if exchange.upgraded:
            return ""
        response = exchange.response
        if response.complete:
            return "answered before the request was complete"
        if response.began_at is None:
            return "no answer: the connection ended"
        if isinstance(self._response_tally, EndlessTally):
            response.ended_at = self._now()
            return ""
        return "the response ended early"

    def _guarded(self, read: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Make reading harmless: whatever happens, the bytes are passed on."""

        def look(data: bytes) -> None:
            if self._over:
                return
            try:
                read(data)
            except HeadError as why:
                self._broken(f"not proper HTTP/1: {why}")
            except Exception as why:  # noqa: BLE001 - watching must not break what is watched
                with suppress(Exception):
                    self._broken(f"can't be followed: {why!r}")

        return look

    def _broken(self, why: str) -> None:
        """Look at nothing more."""
        if not self._waiting and self._tunnel is None and self._asking is None:
            since = self._since if self._request_heads.begun else self._now()
            exchange = Exchange(self._start, since)
            self._waiting.append(exchange)
            self._ledger.began(exchange)
        self.close(why)

    def _end(self, exchange: Exchange) -> None:
        exchange.done = True
        exchange.ended_at = self._now()
        self._ledger.ended(exchange)

    # What the user says.

    def _request_bytes(self, data: bytes) -> None:
        while data:
            if self._tunnel is not None:
                self._tunnel.request.wire_bytes += len(data)
                if self._tunnel.user_messages is not None:
                    self._tunnel.user_messages.feed(data)
                return
            if self._held is not None:
                self._hold(data)
                return
            if self._asking is None:
                data = self._request_head(data)
            else:
                data = self._request_body(self._asking, data)

    def _hold(self, data: bytes) -> None:
        assert self._held is not None
        self._held += data
        if len(self._held) > MOST_HELD_BYTES:
            raise HeadError("too much behind a request for another protocol")

    def _request_head(self, data: bytes) -> bytes:
        """Take the head of a request; return what is behind it."""
        reader = self._request_heads
        if not reader.begun:
            self._since = self._now()
        found = reader.feed(data)
        if found is None:
            return b""
        text, rest = found
        head = parse_request_head(text)
        if len(self._waiting) >= MOST_WAITING:
            raise HeadError(f"more than {MOST_WAITING} requests ahead of their answers")
        exchange = Exchange(self._start, self._since, head.method, head.target)
        exchange.request.begin(head, len(text), self._now())
        self._asking = exchange
        self._request_tally = tally_of(head.length)
        self._waiting.append(exchange)
        self._ledger.began(exchange)
        self._ledger.grew(exchange, len(text))
        if _asks_for_other(head):
            self._asks = exchange
        if self._request_tally.done:
            self._asked(exchange)
        return rest

    def _request_body(self, exchange: Exchange, data: bytes) -> bytes:
        tally = self._request_tally
        assert tally is not None
        rest = self._body(exchange, exchange.request, tally, data)
        if tally.done:
            self._asked(exchange)
        return rest

    def _asked(self, exchange: Exchange) -> None:
        """A request is complete."""
        self._asking = self._request_tally = None
        exchange.request.ended_at = self._now()
        if exchange.response.complete:
            self._end(exchange)
        elif exchange is self._asks:
            self._held = bytearray()

    def _body(self, exchange: Exchange, half: Half, tally: Tally, data: bytes) -> bytes:
        """Take a piece of a body; return what is behind it."""

        def keep(content: bytes, begin: int, end: int) -> None:
            half.body_bytes += end - begin
            room = KEPT_BYTES - len(half.body)
            if room > 0 and end > begin and not exchange.forgotten:
                kept = content[begin : min(end, begin + room)]
                half.body += kept
                self._ledger.grew(exchange, len(kept))

        end = tally.feed(data, 0, keep)
        half.wire_bytes += end
        return data[end:] if end < len(data) else b""

    # What the service says.

    def _response_bytes(self, data: bytes) -> None:
        while data:
            if self._tunnel is not None:
                self._tunnel.response.wire_bytes += len(data)
                if self._tunnel.service_messages is not None:
                    self._tunnel.service_messages.feed(data)
                return
            if self._response_tally is None:
                data = self._response_head(data)
            else:
                data = self._response_body(self._waiting[0], self._response_tally, data)

    def _response_head(self, data: bytes) -> bytes:
        """Take the head of a response; return what is behind it."""
        found = self._response_heads.feed(data)
        if found is None:
            return b""
        text, rest = found
        if not self._waiting:
            raise HeadError("an answer that nobody has asked for")
        head = parse_response_head(text)
        exchange = self._waiting[0]
        if head.status < HTTPStatus.OK and head.status != HTTPStatus.SWITCHING_PROTOCOLS:
            exchange.response.wire_bytes += len(text)
            return rest
        self._answered(exchange, head, len(text))
        return rest

    def _answered(self, exchange: Exchange, head: ResponseHead, length: int) -> None:
        """Take the head of a final response."""
        exchange.status, exchange.reason = head.status, head.reason
        exchange.response.begin(head, length, self._now())
        self._ledger.grew(exchange, length)
        if _switches(exchange, head):
            if self._held is None or exchange is not self._asks:
                raise HeadError("another protocol that nobody has asked for")
            self._waiting.popleft()
            self._tunnel = exchange
            exchange.upgraded = True
            if b"websocket" in head.members(b"upgrade"):
                exchange.kind = WEBSOCKET
                exchange.user_messages = MessageCounter()
                exchange.service_messages = MessageCounter()
        elif head.has_body(exchange.method):
            self._response_tally = tally_of(head.length)
        else:
            self._complete(exchange)
        if self._response_tally is not None and self._response_tally.done:
            self._complete(exchange)
        if exchange is self._asks:
            self._go_on()

    def _go_on(self) -> None:
        """Read what was held, now that it is known what it is."""
        self._asks = None
        held, self._held = self._held, None
        if held:
            self._request_bytes(bytes(held))

    def _response_body(self, exchange: Exchange, tally: Tally, data: bytes) -> bytes:
        rest = self._body(exchange, exchange.response, tally, data)
        if tally.done:
            self._complete(exchange)
        return rest

    def _complete(self, exchange: Exchange) -> None:
        """A response is complete."""
        self._response_tally = None
        self._waiting.popleft()
        exchange.response.ended_at = self._now()
        if exchange.request.complete:
            self._end(exchange)


def _asks_for_other(head: RequestHead) -> bool:
    """Tell whether a request may turn its connection into one of another protocol."""
    return head.method == b"CONNECT" or (
        b"upgrade" in head.options and bool(head.values(b"upgrade"))
    )


def _switches(exchange: Exchange, head: ResponseHead) -> bool:
    """Tell whether a response does that (RFC 9110 sections 9.3.6 and 15.2.2)."""
    if head.status == HTTPStatus.SWITCHING_PROTOCOLS:
        return True
    successful = HTTPStatus.OK <= head.status < HTTPStatus.MULTIPLE_CHOICES
    return exchange.method == b"CONNECT" and successful
