# -*- test-case-name: tests.gateway.test_answer -*-
"""What a user receives in answer to one request, taken apart again. Sans-I/O."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, Protocol

from tunnelsvc.gateway.body import Body, ChunkedBody, EndlessBody, body_of
from tunnelsvc.wire.httphead import Header, HeadReader, ResponseHead, parse_response_head

_SUCCESSFUL: Final = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)


class AnswerEvents(Protocol):
    """Who is told what a response says."""

    def informed(self, head: ResponseHead) -> None:
        """An interim response (1xx); others follow."""

    def responded(self, head: ResponseHead) -> None:
        """The head of the response."""

    def switched(self, head: ResponseHead) -> None:
        """101, or success of CONNECT: what is received from here on is in another protocol."""

    def received(self, data: bytes) -> None:
        """A piece of the body, without framing, or of the other protocol."""

    def ended(self, trailers: Sequence[Header]) -> None:
        """The response is complete, or the other protocol's direction has ended."""


class Answer:
    """Reads the response to one request.

    Attributes:
        switched: whether another protocol has begun.
        over: whether the end was told.
    """

    def __init__(self, method: bytes, events: AnswerEvents) -> None:
        self.switched = False
        self.over = False
        self._method = method
        self._events = events
        self._reader = HeadReader()
        self._body: Body | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes of the response; those behind its end are dropped.

        Raises:
            HeadError: it is no response, or broken.
        """
        while data and self._body is None:
            found = self._reader.feed(data)
            if found is None:
                return
            raw, data = found
            self._take_head(parse_response_head(raw))
        body = self._body
        if body is None or self.over:
            return
        passed, _ = body.feed(data)
        if passed:
            self._events.received(passed)
        if body.done:
            self._end(body)

    def _take_head(self, head: ResponseHead) -> None:
        if head.status == HTTPStatus.SWITCHING_PROTOCOLS or self._is_tunnel(head):
            self.switched = True
            self._body = EndlessBody()
            self._events.switched(head)
        elif head.status < HTTPStatus.OK:
            self._events.informed(head)
        else:
            length = head.length if head.has_body(self._method) else 0
            self._body = body_of(length, decode=True)
            self._events.responded(head)

    def _is_tunnel(self, head: ResponseHead) -> bool:
        """Tell whether CONNECT succeeded (RFC 9110 section 9.3.6)."""
        return self._method == b"CONNECT" and head.status in _SUCCESSFUL

    def finish(self) -> bool:
        """Take the end of the bytes; tell whether that was, or is, the end of the response."""
        if not self.over and isinstance(self._body, EndlessBody):
            self._end(self._body)
        return self.over

    def _end(self, body: Body) -> None:
        self.over = True
        self._events.ended(body.trailers if isinstance(body, ChunkedBody) else ())
