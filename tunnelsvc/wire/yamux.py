# -*- test-case-name: tests.wire.test_yamux -*-
"""yamux: many byte streams over one, both roles (protocol notes 1.8).

How the two directions of a stream end
======================================

Each side finishes its own direction with FIN, once; a stream is forgotten when both have. RST
forgets it at once. Who asks for a stream that is forgotten asks for nothing: the peer may have
reset it while we were about to.

Go's ``Close`` may overtake a ``Write`` of another goroutine, and frp closes that way. So data
after a FIN is no reason to end a session that serves other streams; it is discarded, as everything
is that arrives for a stream that we don't know.
"""

from enum import Enum, IntEnum
from struct import Struct
from typing import Final

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.units import KiB, MiB

INITIAL_WINDOW_BYTES: Final = 256 * KiB
"""What each side may send on a fresh stream before the other has said anything."""
MAX_WINDOW_BYTES: Final = 6 * MiB
"""What a peer may send on one stream ahead of a fast reader; as frp since 0.50."""
MAX_INCOMING_STREAMS: Final = 16384
"""Living streams that the peer opened; more are reset. Ten times what a busy frp client has."""
ACCEPT_BACKLOG: Final = 256
"""Streams that we opened and the peer has not accepted; Go resets what goes beyond."""
MAX_STREAM_ID: Final = 0xFFFFFFFF

_HEADER = Struct(">BBHII")
HEADER_BYTES: Final = _HEADER.size
"""Version, frame type, flags, stream, length."""
_VERSION = 0
_DATA, _WINDOW_UPDATE, _PING, _GO_AWAY = range(4)
_SYN, _ACK, _FIN, _RST = 1, 2, 4, 8


class Code(IntEnum):
    """Why a side goes away."""

    NORMAL = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2


class Kind(Enum):
    """What an event tells, and of what its number is."""

    OPENED = "the peer opened a stream (its id)"
    DATA = "bytes of a stream arrived (its id; the payload)"
    FINISHED = "the peer finished its direction of a stream (its id)"
    RESET = "the peer dropped a stream (its id)"
    WRITABLE = "the peer granted a stream more credit (its id)"
    PONG = "our ping came back (the opaque value)"
    GOING_AWAY = "the peer takes no more streams (a `Code`, or any other number)"


Event = tuple[Kind, int, bytes]
"""Kind, number, payload. A plain tuple, because there is one for every frame."""


class _Stream:
    """The credit of both sides, and who finished."""

    __slots__ = (
        "consumed",
        "finished",
        "incoming",
        "peer_finished",
        "receive_window",
        "send_window",
        "window",
    )

    def __init__(self, send_window: int, window: int, *, incoming: bool) -> None:
        self.send_window = send_window
        self.window = window
        """How far the peer may be ahead of our reader."""
        self.receive_window = window
        self.incoming = incoming
        self.consumed = 0
        """Bytes that were taken, and not yet granted anew."""
        self.finished = False
        self.peer_finished = False


class Session:
    """One end of a yamux session: bytes in, events and bytes out.

    After each call that may queue something, send what `data_to_send` returns; `data_header` does
    so by itself, as what is queued goes before a data frame.
    """

    def __init__(
        self,
        *,
        client: bool,
        max_window: int = MAX_WINDOW_BYTES,
        first_window: int | None = None,
    ) -> None:
        """Begin.

        Args:
            client: our streams have odd numbers. Nobody checks those of the peer.
            max_window: bytes that the peer may send on a stream ahead of its reader, at most.
            first_window: the same for a fresh stream; doubles as long as the reader keeps up, so
                that only who reads fast may have much under way. None: `max_window`.

        Raises:
            LocalProtocolError: a window is less than every stream has anyhow.
        """
        first_window = max_window if first_window is None else first_window
        if not INITIAL_WINDOW_BYTES <= first_window <= max_window:
            raise LocalProtocolError(f"a window can't be less than {INITIAL_WINDOW_BYTES}")
        self._max_window = max_window
        self._first_window = first_window
        self._next_id = 1 if client else 2
        self._streams: dict[int, _Stream] = {}
        self._incoming = 0
        # Dictionaries as ordered sets: opened but held back, and sent but not accepted.
        self._unsent_opens: dict[int, None] = {}
        self._unaccepted: dict[int, None] = {}
        self._going_away = False
        self._peer_going_away = False
        self._violation: RemoteProtocolError | None = None
        self._urgent = bytearray()
        self._control = bytearray()
        # The frame being read: the start of its header, or what is missing of its payload.
        self._partial_header = b""
        self._payload_left = 0
        self._payload_of = 0
        self._payload_ends = False

    # What the peer sends.

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere.

        The payload of a frame is passed on as it arrives; kept is never more than a header.

        Raises:
            RemoteProtocolError: the session can't go on. Send `data_to_send` and close. What the
                same `data` held before the violation is lost.
        """
        if self._violation is not None:
            raise self._violation
        events: list[Event] = []
        if self._partial_header:
            data, self._partial_header = self._partial_header + data, b""
        position, end = 0, len(data)
        while position < end:
            if self._payload_left:
                position = self._receive_payload(data, position, events)
            elif end - position < HEADER_BYTES:
                self._partial_header = data[position:]
                break
            else:
                self._receive_header(data, position, events)
                position += HEADER_BYTES
        if self._unsent_opens:
            self._send_opens(events)
        return events

    def _receive_payload(self, data: bytes, position: int, events: list[Event]) -> int:
        """Pass on what `data` has of the current frame; return where that ends."""
        piece = data[position : position + self._payload_left]
        self._payload_left -= len(piece)
        if self._payload_of:
            events.append((Kind.DATA, self._payload_of, piece))
            if self._payload_ends and not self._payload_left:
                self._receive_finish(self._payload_of, events)
        return position + len(piece)

    def _receive_header(self, data: bytes, position: int, events: list[Event]) -> None:
        version, frame_type, flags, number, length = _HEADER.unpack_from(data, position)
        if version != _VERSION:
            raise self._violated(f"yamux version {version}")
        if frame_type <= _WINDOW_UPDATE:
            if flags & (_SYN | _ACK | _RST):
                self._receive_flags(flags, number, events)
            if frame_type == _DATA:
                self._receive_data(flags, number, length, events)
            else:
                self._receive_credit(flags, number, length, events)
        elif frame_type == _PING:
            self._receive_ping(flags, length, events)
        elif frame_type == _GO_AWAY:
            self._peer_going_away = True
            events.append((Kind.GOING_AWAY, length, b""))
        else:
            raise self._violated(f"yamux frame type {frame_type}")

    def _receive_flags(self, flags: int, number: int, events: list[Event]) -> None:
        if flags & _SYN:
            self._receive_open(number, events)
        if flags & _ACK:
            self._unaccepted.pop(number, None)
        if flags & _RST and self._forget(number):
            events.append((Kind.RESET, number, b""))

    def _receive_open(self, number: int, events: list[Event]) -> None:
        if number == 0 or number in self._streams:
            raise self._violated(f"stream {number} opened twice" if number else "stream 0 opened")
        if self._going_away or self._incoming >= MAX_INCOMING_STREAMS:
            self._queue(_RST, number)
            return
        self._incoming += 1
        self._streams[number] = _Stream(INITIAL_WINDOW_BYTES, self._first_window, incoming=True)
        self._queue(_ACK, number, self._first_window - INITIAL_WINDOW_BYTES)
        events.append((Kind.OPENED, number, b""))

    def _receive_data(self, flags: int, number: int, length: int, events: list[Event]) -> None:
        stream = self._streams.get(number)
        self._payload_left = length
        if stream is None or stream.peer_finished:
            self._payload_of = 0
            return
        if length > stream.receive_window:
            raise self._violated(f"stream {number}: {length} bytes for {stream.receive_window}")
        stream.receive_window -= length
        self._payload_of = number
        self._payload_ends = bool(flags & _FIN)
        if self._payload_ends and not length:
            self._receive_finish(number, events)

    def _receive_credit(self, flags: int, number: int, length: int, events: list[Event]) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        if length:
            stream.send_window += length
            events.append((Kind.WRITABLE, number, b""))
        if flags & _FIN:
            self._receive_finish(number, events)

    def _receive_finish(self, number: int, events: list[Event]) -> None:
        stream = self._streams[number]
        if stream.peer_finished:
            return
        stream.peer_finished = True
        events.append((Kind.FINISHED, number, b""))
        if stream.finished:
            self._forget(number)

    def _receive_ping(self, flags: int, opaque: int, events: list[Event]) -> None:
        if flags & _SYN:
            self._urgent += _HEADER.pack(_VERSION, _PING, _ACK, 0, opaque)
        elif flags & _ACK:
            events.append((Kind.PONG, opaque, b""))

    def _violated(self, text: str) -> RemoteProtocolError:
        self.go_away(Code.PROTOCOL_ERROR)
        self._violation = RemoteProtocolError(text)
        return self._violation

    # What we send.

    @property
    def unsent_bytes(self) -> int:
        """How much `data_to_send` would return."""
        return len(self._urgent) + len(self._control)

    def data_to_send(self) -> bytes:
        """Take what is queued, answers to pings first."""
        if not self._control and not self._urgent:
            return b""
        data = bytes(self._urgent + self._control)
        self._urgent.clear()
        self._control.clear()
        return data

    def open(self) -> int:
        """Open a stream.

        The peer hears of it when it has accepted enough of those before; until then the stream
        has no credit, and gets it with a ``WRITABLE``.

        Returns:
            Its id.

        Raises:
            LocalProtocolError: the peer is going away, or all ids are used up.
        """
        if self._peer_going_away:
            raise LocalProtocolError("the peer is going away and takes no more streams")
        while self._next_id in self._streams:
            self._next_id += 2
        number = self._next_id
        if number > MAX_STREAM_ID:
            raise LocalProtocolError("all ids of this session are used up")
        self._next_id += 2
        self._streams[number] = _Stream(0, self._first_window, incoming=False)
        self._unsent_opens[number] = None
        self._send_opens([])
        return number

    def _send_opens(self, events: list[Event]) -> None:
        while self._unsent_opens and len(self._unaccepted) < ACCEPT_BACKLOG:
            number = next(iter(self._unsent_opens))
            del self._unsent_opens[number]
            self._unaccepted[number] = None
            stream = self._streams[number]
            stream.send_window += INITIAL_WINDOW_BYTES
            self._queue(_SYN, number, self._first_window - INITIAL_WINDOW_BYTES)
            if stream.finished:
                self._queue(_FIN, number)
            events.append((Kind.WRITABLE, number, b""))

    @property
    def oldest_unaccepted(self) -> int | None:
        """The id that waits longest for the peer's acceptance."""
        return next(iter(self._unaccepted), None)

    def send_window(self, number: int) -> int:
        """How many bytes may be sent on a stream now; 0 if it is forgotten."""
        stream = self._streams.get(number)
        return 0 if stream is None else stream.send_window

    def data_header(self, number: int, length: int) -> bytes:
        """Make the header of a data frame, behind what is queued; send it with `length` bytes.

        Raises:
            LocalProtocolError: the stream is finished or forgotten, or has less credit.
        """
        stream = self._streams.get(number)
        if stream is None or stream.finished:
            raise LocalProtocolError(f"stream {number} is closed for writing")
        if length > stream.send_window:
            raise LocalProtocolError(f"stream {number}: {length} bytes for {stream.send_window}")
        stream.send_window -= length
        header = _HEADER.pack(_VERSION, _DATA, 0, number, length)
        return self.data_to_send() + header if self._control or self._urgent else header

    def consumed(self, number: int, length: int) -> None:
        """Say that the reader took bytes; half a window of them is granted anew.

        Raises:
            LocalProtocolError: more than had arrived.
        """
        stream = self._streams.get(number)
        if stream is None or stream.peer_finished:
            return
        stream.consumed += length
        waiting = stream.window - stream.receive_window - stream.consumed
        if waiting < 0:
            raise LocalProtocolError(f"stream {number}: more consumed than received")
        if 2 * stream.consumed >= stream.window:
            # What waits may be the rest of a frame under way, so a little is no sign of slowness.
            if 4 * waiting <= stream.window:
                grown = min(2 * stream.window, self._max_window)
                stream.consumed += grown - stream.window
                stream.window = grown
            self._queue(0, number, stream.consumed)
            stream.receive_window += stream.consumed
            stream.consumed = 0

    def finish(self, number: int) -> None:
        """Finish our direction, once; again does nothing."""
        stream = self._streams.get(number)
        if stream is None or stream.finished:
            return
        stream.finished = True
        if number not in self._unsent_opens:
            self._queue(_FIN, number)
        if stream.peer_finished:
            self._forget(number)

    def reset(self, number: int) -> None:
        """Drop a stream."""
        known_to_peer = number not in self._unsent_opens
        if self._forget(number) and known_to_peer:
            self._queue(_RST, number)

    def ping(self, opaque: int) -> None:
        """Ask for a ``PONG`` with the same 32-bit value."""
        self._urgent += _HEADER.pack(_VERSION, _PING, _SYN, 0, opaque)

    def go_away(self, code: Code = Code.NORMAL) -> None:
        """Say that we take no more streams."""
        self._going_away = True
        self._control += _HEADER.pack(_VERSION, _GO_AWAY, 0, 0, code)

    def _queue(self, flags: int, number: int, delta: int = 0) -> None:
        self._control += _HEADER.pack(_VERSION, _WINDOW_UPDATE, flags, number, delta)

    def _forget(self, number: int) -> bool:
        """Remove what is known of a stream; return whether there was anything."""
        stream = self._streams.pop(number, None)
        if stream is None:
            return False
        self._incoming -= stream.incoming
        self._unsent_opens.pop(number, None)
        self._unaccepted.pop(number, None)
        if self._payload_of == number:
            self._payload_of = 0
        return True
