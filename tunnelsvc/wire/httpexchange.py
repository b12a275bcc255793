# -*- test-case-name: tests.wire.test_httprecord -*-
"""A request and its response, as somebody sees them who only watches: `tunnelsvc.wire.httprecord`.

They are values that grow, as long as they aren't done.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from attrs import define, field

from tunnelsvc.units import KiB
from tunnelsvc.wire.httphead import Head, Header
from tunnelsvc.wire.httprecordbody import MessageCounter
from tunnelsvc.wire.messages import StartWorkConn

KEPT_BYTES: Final = 64 * KiB
"""What is kept of each body, as it was sent: compressed, perhaps."""
WEBSOCKET: Final = "websocket"
HTTP: Final = "http"


@define(eq=False)
class Half:
    """A request or a response.

    Attributes:
        headers: as they came, in their order.
        minor: of HTTP/1.x.
        head_bytes: length of the head, with its first and its last line.
        wire_bytes: what has passed of all, framing included.
        body: the first `KEPT_BYTES` of the content, without the framing of chunks.
        body_bytes: length of the content.
        began_at: when its head was complete; None: it isn't.
        ended_at: when the last byte had passed; None: it hasn't.
    """

    headers: Sequence[Header] = ()
    minor: int = 1
    head_bytes: int = 0
    wire_bytes: int = 0
    body: bytearray = field(factory=bytearray)
    body_bytes: int = 0
    began_at: float | None = None
    ended_at: float | None = None

    def begin(self, head: Head, length: int, now: float) -> None:
        """Take a head of that many bytes."""
        self.headers, self.minor = head.headers, head.minor
        self.head_bytes = length
        self.wire_bytes += length
        self.began_at = now

    @property
    def complete(self) -> bool:
        """Whether it has come to its end."""
        return self.ended_at is not None


@define(eq=False)
class Exchange:
    """A request and what became of it; changes as long as it isn't `done`.

    Attributes:
        start: who the user of the connection is.
        began_at: when the first byte came.
        method: of the request; empty: it was none.
        target: what was asked for, as it came.
        status: of the response; 0: there is none yet.
        reason: likewise.
        kind: `HTTP`, or `WEBSOCKET` once it is one.
        upgraded: whether the connection speaks another protocol now.
        user_messages: counts the messages of a WebSocket that the user sent.
        service_messages: those that the service sent.
        error: what went wrong; empty: nothing.
        done: whether there will be nothing more.
        ended_at: when that was; None: it isn't.
        id: number of it, from 1 on; given by who keeps it.
        proxy: likewise, its name.
        replay_of: the exchange that it repeats, likewise; 0: none.
        forgotten: whether nobody keeps it any more, so that nothing more has to be.
    """

    start: StartWorkConn
    began_at: float
    method: bytes = b""
    target: bytes = b""
    status: int = 0
    reason: bytes = b""
    kind: str = HTTP
    upgraded: bool = False
    request: Half = field(factory=Half)
    response: Half = field(factory=Half)
    user_messages: MessageCounter | None = None
    service_messages: MessageCounter | None = None
    error: str = ""
    done: bool = False
    ended_at: float | None = None
    id: int = 0
    proxy: str = ""
    replay_of: int = 0
    forgotten: bool = False

    @property
    def sent(self) -> int:
        """See the class."""
        return self.user_messages.messages if self.user_messages is not None else 0

    @property
    def received(self) -> int:
        """See the class."""
        return self.service_messages.messages if self.service_messages is not None else 0

    @property
    def kept_bytes(self) -> int:
        """What it takes of the memory for all, roughly."""
        halves = (self.request, self.response)
        return sum(half.head_bytes + len(half.body) for half in halves)


class Ledger(Protocol):
    """Who keeps exchanges."""

    def began(self, exchange: Exchange) -> None:
        """There is a new one; its request's head is complete."""

    def grew(self, exchange: Exchange, length: int) -> None:
        """So many bytes more of it are kept."""

    def ended(self, exchange: Exchange) -> None:
        """It is done."""
