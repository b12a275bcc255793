# -*- test-case-name: tests.gateway.http2.test_connection -*-
"""A user's connection that speaks HTTP/2: its streams, and the limits of all together.

What a peer could do harm with, and what holds it
=================================================

- Streams: `MOST_STREAMS` at once. Who resets them as fast as he opens them (CVE-2023-44487), makes
  us do it (CVE-2025-8671), or sends frames that do nothing but have to be dealt with (CVE-2019-9512
  and those after it), uses up a budget, and is sent away.
- Headers: h2 bounds a list as it is decompressed, and the frames that a list may come in; our side
  of the compression keeps 4 KiB, whatever the peer would like.
- Bodies: what isn't taken by the service isn't acknowledged. Both windows are bounds of memory.
- Not reading: a response that nobody takes stops its service; a connection that takes nothing
  isn't read, so it gives no more to answer, and is reset after a while.
- Doing nothing: the time limits of HTTP/1.1.
"""

from collections.abc import Callable
from typing import Final

from attrs import evolve
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    UnknownFrameReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.gateway.deadline import Deadline
from tunnelsvc.gateway.forwarded import origin_of
from tunnelsvc.gateway.http2.budget import Budget
from tunnelsvc.gateway.http2.request import RequestStream
from tunnelsvc.gateway.protocol import HEAD_SECONDS, KEEPALIVE_SECONDS, VhostProtocol
from tunnelsvc.gateway.route import Site
from tunnelsvc.gateway.taking import Taking
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.timing import soon
from tunnelsvc.units import KiB, MiB

MOST_STREAMS: Final = 100
"""At once; the least that RFC 9113 section 6.5.2 recommends, and what others have."""

STREAM_WINDOW_BYTES: Final = 256 * KiB
"""Of a request's body, on its way to the service: 5 MB/s at a round trip of 50 ms."""

CONNECTION_WINDOW_BYTES: Final = 4 * MiB
"""The same of all requests together."""

HEADER_LIST_BYTES: Final = 64 * KiB
"""As h2 counts it: with 32 bytes for each. It is the bound of heads in HTTP/1.1, too."""

TABLE_BYTES: Final = 4 * KiB
"""What our compressor remembers: RFC 7541's default, which peers could raise without limit."""

MOST_CLOSED: Final = 1_000
"""Streams that are closed, of which h2 remembers how: late frames of theirs are no mistake."""

INPUT_BYTES: Final = 16 * KiB
"""Looked at before the budgets are: small frames are many events."""

WRITE_FRAMES: Final = 4
"""Of bodies, gathered before they're written; only then it's clear whether the user takes more."""

MOST_RESETS: Final = 4 * MOST_STREAMS
"""Of streams by the user at once. Browsers cancel what a page no longer needs."""
RESETS_PER_SECOND: Final = 20.0

MOST_IDLE_FRAMES: Final = 1_000
"""That carry nothing: pings, settings, priorities, empty and unknown ones."""
IDLE_FRAMES_PER_SECOND: Final = 50.0

_SCHEME: Final = b"https"
_PROTOCOL: Final = b"HTTP/2.0"
"""As nginx and Go have it in their logs."""


class _Engine(H2Connection):
    """Remembers less than a server needs that has more than one of it."""

    MAX_CLOSED_STREAMS = MOST_CLOSED


def _engine() -> H2Connection:
    engine = _Engine(H2Configuration(client_side=False, header_encoding=None))
    values = {
        SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
        SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
        SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIST_BYTES,
    }
    engine.local_settings = Settings(client=False, initial_values=values)
    engine.decoder.max_header_list_size = HEADER_LIST_BYTES
    engine.initiate_connection()
    engine.increment_flow_control_window(
        CONNECTION_WINDOW_BYTES - engine.inbound_flow_control_window
    )
    return engine


@implementer(IHalfCloseableProtocol, IPushProducer)
class HTTP2Connection:
    """Reads a user's connection; see `tunnelsvc.gateway.http2.request.Owner`."""

    log = Logger()

    def __init__(self, site: Site, stream: Stream) -> None:
        """Take a parked stream, of which nothing was read."""
        clock = site.clock
        self.site = site
        self.h2 = _engine()
        self.peer = stream.getPeer()
        self.host = stream.getHost()
        origin = origin_of(getattr(self.peer, "host", ""), _SCHEME, site.trust)
        self._origin = evolve(origin, protocol=_PROTOCOL)
        self._stream = stream
        self._streams: dict[int, RequestStream] = {}
        self._sending: dict[int, RequestStream] = {}
        self._resets = Budget(clock, most=MOST_RESETS, per_second=RESETS_PER_SECOND)
        self._idle_frames = Budget(clock, most=MOST_IDLE_FRAMES, per_second=IDLE_FRAMES_PER_SECOND)
        self._deadline = Deadline(clock)
        self._taking = Taking(clock)
        self._full = self._scheduled = self._over = self._finished = False

    def start(self) -> None:
        """Begin."""
        self._stream.registerProducer(self, True)
        self._deadline.set(HEAD_SECONDS, self.shut_down)
        self._write()
        attach(self._stream, self)
        if not self._over:
            self._stream.resumeProducing()

    def shut_down(self, why: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Say which streams were dealt with, and close."""
        if not self._over:
            self.h2.close_connection(why)
            self._close()

    # What the user says.

    def dataReceived(self, data: bytes) -> None:
        """Take frames."""
        for start in range(0, len(data), INPUT_BYTES):
            if self._over:
                return
            self._take(data[start : start + INPUT_BYTES])
        self._turn()

    def _take(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
        except ProtocolError as error:  # h2 has made the frame that says so
            self.log.debug("HTTP/2 of {user}: {error}", user=self.peer, error=error)
            self._close()
            return
        if any(isinstance(event, ConnectionTerminated) for event in events):
            self._close()  # h2 sends nothing any more
            return
        # First, for nothing may be sent on these, and what was asked for isn't wanted.
        resets = [event.stream_id for event in events if isinstance(event, StreamReset)]
        for number in resets:
            self._of(number, RequestStream.leave)
            self._spend(self._resets)
        for event in events:
            if self._over:
                return
            # Data counts for the whole connection, so it is given back.
            if isinstance(event, DataReceived) or getattr(event, "stream_id", 0) not in resets:
                self._happened(event)

    def _happened(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._requested(event)
            case DataReceived():
                self._body(event)
            case TrailersReceived():
                self._of(event.stream_id, lambda stream: stream.finish(event.headers))
            case StreamEnded():
                self._of(event.stream_id, RequestStream.finish)
            case WindowUpdated():
                self._window(event.stream_id)
            case RemoteSettingsChanged():
                self._settings()
                self._spend(self._idle_frames)
            case PingReceived() | PriorityUpdated() | UnknownFrameReceived():
                self._spend(self._idle_frames)

    def _of(self, number: int, do: Callable[[RequestStream], None]) -> None:
        """Do something with a stream, if it's still there."""
        stream = self._streams.get(number)
        if stream is not None:
            do(stream)

    def _requested(self, event: RequestReceived) -> None:
        stream = RequestStream(self, event.stream_id)
        self._streams[event.stream_id] = stream
        self._deadline.unset()
        stream.begin(event.headers, ended=event.stream_ended is not None)

    def _body(self, event: DataReceived) -> None:
        size = event.flow_controlled_length
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.take(event.data, size)
        elif size:
            self.h2.acknowledge_received_data(size, event.stream_id)
        if not event.data and event.stream_ended is None:
            self._spend(self._idle_frames)

    def _window(self, number: int) -> None:
        """Let a stream go on for which there is room again; 0: all."""
        if number == 0:
            self._sending.update(self._streams)
        elif number in self._streams:
            self._sending[number] = self._streams[number]

    def _settings(self) -> None:
        """Keep to our own bound of memory; all windows may have changed as well."""
        # Not by min(): hpack forgets to tell of a change that is followed by none.
        if self.h2.encoder.header_table_size > TABLE_BYTES:  # noqa: PLR1730
            self.h2.encoder.header_table_size = TABLE_BYTES
        self._sending.update(self._streams)

    def _spend(self, budget: Budget) -> None:
        if not budget.spend():
            self.shut_down(ErrorCodes.ENHANCE_YOUR_CALM)

    def readConnectionLost(self) -> None:
        """Let complete requests have their responses, as far as the windows are open."""
        self._finished = True
        for stream in list(self._streams.values()):
            if not stream.request_ended:
                stream.leave()
        if not self._streams:
            self.shut_down()

    def writeConnectionLost(self) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """Forget all."""
        self._end()

    # What streams ask for; see `Owner`.

    def serve(self, stream: Stream, head: bytes) -> None:
        """Serve a user."""
        VhostProtocol(self.site, _SCHEME, origin=self._origin).take_over(stream, head)

    def wants_to_send(self, stream: RequestStream) -> None:
        """Let a stream send when it's its turn."""
        self._sending[stream.number] = stream
        self.changed()

    def changed(self) -> None:
        """Send soon; what happens until then goes in one piece with it."""
        if not self._scheduled and not self._over:
            self._scheduled = True
            soon(self.site.clock, self._turn_or_end)

    def spoiled(self, stream: RequestStream) -> None:  # noqa: ARG002
        """Count a stream that the user made us reset as one that he reset (CVE-2025-8671)."""
        self._spend(self._resets)

    def forget(self, stream: RequestStream) -> None:
        """Take note that a stream is over, perhaps the last one."""
        self._streams.pop(stream.number, None)
        self._sending.pop(stream.number, None)
        if self._streams or self._over:
            return
        if self._finished:
            self.shut_down()
        else:
            self._deadline.set(KEEPALIVE_SECONDS, self.shut_down)

    # Sending.

    def _turn_or_end(self) -> None:
        try:
            self._turn()
        except Exception:
            # It's only logged; nobody would send the rest, or close.
            self._reset()
            raise

    def _turn(self) -> None:
        """Send what there is, a frame of each stream in turn, as long as it is taken."""
        self._scheduled = False
        while self._sending and not self._full and not self._over:
            for count, stream in enumerate(list(self._sending.values()), 1):
                if not stream.advance():
                    self._sending.pop(stream.number, None)
                if count % WRITE_FRAMES == 0:
                    self._write()
                if self._full:
                    break
            self._write()
        self._write()

    def _write(self) -> None:
        data = self.h2.data_to_send()
        if data and not self._over:
            self._stream.write(data)

    def pauseProducing(self) -> None:
        """Wait until the user takes what was written, and let him say nothing new."""
        self._full = True
        self._taking.watch(self._stream, self._reset)
        self._stream.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on: all was taken."""
        self._full = False
        self._taking.unset()
        self._stream.resumeProducing()
        self.changed()

    def stopProducing(self) -> None:
        """Nothing to do: `connectionLost` follows."""

    # Ends.

    def _close(self) -> None:
        """Close after the last frames."""
        self._write()
        self._end()
        self._stream.unregisterProducer()
        self._stream.loseConnection()

    def _reset(self) -> None:
        self._end()
        self._stream.unregisterProducer()
        self._stream.abortConnection()

    def _end(self) -> None:
        self._over = True
        self._deadline.cancel()
        self._taking.cancel()
        for stream in list(self._streams.values()):
            stream.leave()
