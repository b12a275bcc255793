# -*- test-case-name: tests.admin.test_stream -*-
"""Server-sent events (WHATWG HTML section 9.2): who listens to what, and no more work than that.

A `Hub` has topics (`tunnelsvc.admin.topics`). While at least one stream listens to a topic, the hub
looks every few moments what has changed, once for all streams. What a stream gets of a topic is
first ``event: snapshot``, everything there is, then ``event: delta``, what has changed since.

A reader who is slower than the news has no queue: what comes while its connection takes no more is
left out, and when it takes again, it gets a snapshot of the topics that it missed something of. One
that takes nothing for `SLOW_SECONDS` is dropped. So a stream holds at most one message beyond what
its transport holds, and this is the same object for all streams.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from tunnelsvc.admin.endpoints import Asked, Choices, Endpoint
from tunnelsvc.admin.identity import Callback, Watch, for_ever, identity_of
from tunnelsvc.admin.routing import APIError
from tunnelsvc.admin.topics import Message, Topic
from tunnelsvc.admin.web import SERVER_NAME, TOO_MANY_REQUESTS
from tunnelsvc.timing import Limit, limit

H = TypeVar("H")

MOST_STREAMS: Final = 50
"""Of a hub: each is a connection that stays; most browsers have one for all pages of a site."""
ALIVE_SECONDS: Final = 5.0
"""Between two signs of life, by which both ends notice that the other is gone, or stopped, and
proxies between them that there still is somebody."""
SLOW_SECONDS: Final = 30.0
"""How long a reader may take for what its transport holds, some 64 KiB and one message."""
RETRY_SECONDS: Final = 10
"""For who finds no place."""
RETRY_MILLISECONDS: Final = 2_000
"""After which a browser asks again when the stream has broken off."""
CONTENT_TYPE: Final = b"text/event-stream; charset=utf-8"
ALIVE: Final = b"event: alive\ndata: {}\n\n"
"""A comment would do for connections, but a browser doesn't tell its page of one."""


def stream_endpoint(handler: H, topics: tuple[str, ...]) -> Endpoint[H]:
    """Make the row of a table for a stream.

    Args:
        handler: answers by `Hub.answer`.
        topics: of that hub.
    """
    return Endpoint(
        handler,
        "Server-sent events: a snapshot of each topic, then what changes.",
        query=(Choices("topics", "Which; all without.", topics),),
        content_type="text/event-stream",
        errors=(TOO_MANY_REQUESTS,),
    )


def sse(event: str, message: Message) -> bytes:
    """Write one event."""
    data = json.dumps(message, separators=(",", ":"))
    return f"event: {event}\ndata: {data}\n\n".encode("ascii")


class Hub:
    """All streams of a site."""

    log = Logger()

    def __init__(self, topics: Iterable[Topic], clock: IReactorTime) -> None:
        """Begin; nothing runs before somebody listens.

        Args:
            topics: that there are.
            clock: what runs calls.
        """
        self.clock = clock
        self.streams: set[Stream] = set()
        self._channels = {topic.name: _Channel(topic, clock) for topic in topics}
        self._alive_call: IDelayedCall | None = None

    @property
    def is_full(self) -> bool:
        """Whether no more streams are taken."""
        return len(self.streams) >= MOST_STREAMS

    def answer(self, asked: Asked) -> int:
        """Answer to what asks for a stream by a `stream_endpoint`, as long as its login holds.

        Returns:
            What `Resource.render` has to return.

        Raises:
            APIError: there are as many streams as there may be.
        """
        request = asked.request
        if self.is_full:
            request.setHeader(b"Retry-After", b"%d" % RETRY_SECONDS)
            raise APIError(TOO_MANY_REQUESTS, "too many pages are open: close some, and try again")
        return self.open(request, asked["topics"], identity_of(request).on_end)

    def open(self, request: Request, names: Sequence[str], on_end: Watch = for_ever) -> int:
        """Answer a request with a stream.

        Args:
            request: nothing of its answer is written yet, and `is_full` is false.
            names: of topics, each one that there is.
            on_end: tells when this reader may listen no more; then the stream ends.

        Returns:
            What `Resource.render` has to return.
        """
        request.setHeader(b"Server", SERVER_NAME)
        request.setHeader(b"Content-Type", CONTENT_TYPE)
        request.setHeader(b"X-Accel-Buffering", b"no")  # nginx would wait for more
        if request.method == b"HEAD":
            request.write(b"")
            request.finish()
            return NOT_DONE_YET
        stream = Stream(request, self)
        self.streams.add(stream)
        if self._alive_call is None:
            self._alive_call = self.clock.callLater(ALIVE_SECONDS, self._say_alive)
        channels = [self._channels[name] for name in dict.fromkeys(names)]
        try:
            for channel in channels:
                channel.join(stream)
        except BaseException:  # a topic that can't begin: the request fails, and takes no place
            self.forget(stream)
            raise
        stream.begin(channels, on_end)
        return NOT_DONE_YET

    def forget(self, stream: Stream) -> None:
        """Take note that a stream is over."""
        self.streams.discard(stream)
        for channel in self._channels.values():
            channel.leave(stream)
        if not self.streams and self._alive_call is not None:
            self._alive_call.cancel()
            self._alive_call = None

    def close(self) -> None:
        """End all streams."""
        for stream in list(self.streams):
            stream.end()

    def _say_alive(self) -> None:
        self._alive_call = self.clock.callLater(ALIVE_SECONDS, self._say_alive)
        for stream in list(self.streams):
            stream.say_alive()


class _Channel:
    """One topic, and who listens to it."""

    log = Logger()

    def __init__(self, topic: Topic, clock: IReactorTime) -> None:
        self._topic = topic
        self._clock = clock
        self._streams: dict[Stream, None] = {}
        self._call: IDelayedCall | None = None
        self._snapshot: bytes | None = None

    def join(self, stream: Stream) -> None:
        """Let one listen; the first begins the work."""
        if not self._streams:
            self._topic.start()
            self._look_later()
        self._streams[stream] = None

    def leave(self, stream: Stream) -> None:
        """Let one go, if it is there; the last ends the work."""
        if stream not in self._streams:
            return
        del self._streams[stream]
        if self._streams:
            return
        self._topic.stop()
        self._snapshot = None
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def snapshot(self) -> bytes:
        """Write everything, as of the last look: later deltas fit."""
        if self._snapshot is None:
            self._snapshot = sse("snapshot", self._topic.snapshot())
        return self._snapshot

    def _look_later(self) -> None:
        self._call = self._clock.callLater(self._topic.interval, self._look)

    def _look(self) -> None:
        self._look_later()
        try:
            message = self._topic.delta()
        except Exception:  # noqa: BLE001 - the next look may go well
            self.log.failure("looking for news of {topic} failed", topic=self._topic.name)
            return
        if message is None:
            return
        self._snapshot = None
        news = sse("delta", message)
        for stream in list(self._streams):
            stream.tell(self, news)


@implementer(IPushProducer)
class Stream:
    """One reader."""

    def __init__(self, request: Request, hub: Hub) -> None:
        self._request = request
        self._hub = hub
        self._unwatch: Callback | None = None
        self._missed: dict[_Channel, None] = {}
        """Of which there is a snapshot to send, in this order."""
        self._paused = False
        self._over = False
        self._slow: Limit | None = None

    def begin(self, channels: Iterable[_Channel], on_end: Watch) -> None:
        """Send the first snapshots."""
        self._unwatch = on_end(self.end)
        self._request.notifyFinish().addBoth(self._finished)
        self._request.registerProducer(self, True)
        self._missed = dict.fromkeys(channels)
        self._request.write(b"retry: %d\n\n" % RETRY_MILLISECONDS)
        self._catch_up()

    def tell(self, channel: _Channel, news: bytes) -> None:
        """Send a delta, or note that it was missed."""
        if self._over:
            return
        if self._paused or channel in self._missed:
            self._missed[channel] = None
        else:
            self._request.write(news)

    def say_alive(self) -> None:
        """Show that we are there."""
        if not (self._paused or self._over):
            self._request.write(ALIVE)

    def end(self) -> None:
        """End the answer in order, or drop a reader who doesn't take it anyway."""
        if self._over:
            return
        if self._paused:
            self._drop()
            return
        self._finished(None)
        self._request.unregisterProducer()
        self._request.finish()

    def _catch_up(self) -> None:
        while self._missed and not (self._paused or self._over):
            channel = next(iter(self._missed))
            del self._missed[channel]
            self._request.write(channel.snapshot())

    def _drop(self) -> None:
        channel: Any = self._request.channel
        self._finished(None)
        if channel is not None:
            channel.transport.abortConnection()

    def _finished(self, _: object) -> None:
        """Take note that there is nobody any more, or won't be."""
        self._over = True
        self._missed.clear()
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        self._hub.forget(self)

    def pauseProducing(self) -> None:
        """Write no more: the transport holds enough."""
        self._paused = True
        if self._slow is None and not self._over:
            self._slow = limit(self._hub.clock, SLOW_SECONDS, self._drop)

    def resumeProducing(self) -> None:
        """Go on, with what was missed."""
        self._paused = False
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        self._catch_up()

    def stopProducing(self) -> None:
        """Nothing to do: the request's end is told as well."""
