# -*- test-case-name: tests.client.plugins.test_webstream -*-
"""A twisted.web site on work connections instead of a port.

`WebStream` stands between a stream and twisted.web's channel, and adds what that lacks: a user who
only finished his own direction still gets his answer; one who takes nothing doesn't stay for ever;
the last words arrive though the user is still talking.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from tunnelsvc.client.plugins.farewell import LINGER_SECONDS
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Closed
from tunnelsvc.relay.accounted import Accounted
from tunnelsvc.timing import Limit, limit
from tunnelsvc.units import MINUTE

IDLE_SECONDS: Final = 75.0
"""How long a connection may be silent while a request is waited for; nginx's. Longer than a server
of ours keeps one that it doesn't use, so that none is closed while a request is on its way."""
STALL_SECONDS: Final = 5 * MINUTE
"""How long a user may take for what is in the send buffer, some 300 KiB."""


class BodilessRequest(Request):
    """A request of which nobody wants the body."""

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - twisted.web's name
        """Drop it: `Request` would keep it, however large."""


class _Channel(HTTPChannel):
    """What a `WebStream` has to know of, or knows better."""

    # It has limits of its own.
    abortTimeout = None  # type: ignore[assignment]  # noqa: N815 - twisted.web's name

    def timeoutConnection(self) -> None:
        """End an idle connection; who is still taking an answer isn't idle."""
        if cast("WebStream", self.transport).full:
            self.setTimeout(IDLE_SECONDS)
        else:
            self.loseConnection()

    def requestDone(self, request: Any) -> None:  # noqa: N802 - twisted.web's name
        """Take note of a complete response."""
        super().requestDone(request)
        cast("WebStream", self.transport).answered(idle=not self.requests)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let a response wait from its beginning, if an earlier one isn't taken yet."""
        super().registerProducer(producer, streaming)
        if cast("WebStream", self.transport).full:
            producer.pauseProducing()


class StreamSite(Site):
    """A site whose users come as streams. It keeps no log of requests."""

    protocol = _Channel  # type: ignore[assignment]  # HTTP/1 alone
    noisy = False

    def __init__(self, resource: IResource, clock: IReactorTime) -> None:
        """Begin.

        Args:
            resource: answers all requests.
            clock: for the time limits.
        """
        super().__init__(
            resource,
            requestFactory=BodilessRequest,
            parsePOSTFormSubmission=False,
            timeout=IDLE_SECONDS,
            reactor=clock,
        )
        self._clock = clock

    def log(self, request: Any) -> None:
        """See the class."""

    def serve(
        self, stream: Stream, unread: bytes, *, far_half_closes: bool = True
    ) -> Deferred[Closed]:
        """Answer the requests of one connection until its end.

        Args:
            stream: parked.
            unread: bytes of it that were read before.
            far_half_closes: whether the far end can go on reading after its end of file.

        Returns:
            Fires with the account, in which near is the site, and never fails.
        """
        user = Accounted(stream, unread, clock=self._clock, far_half_closes=far_half_closes)
        channel = cast("HTTPChannel", self.buildProtocol(stream.getPeer()))
        WebStream(user, channel, self._clock).start(unread)
        return user.closed


@implementer(ITransport, IConsumer, IPushProducer, IHalfCloseableProtocol)
class WebStream:
    """To the channel its transport, to the stream its reader.

    Attributes:
        full: the user doesn't take what was written.
    """

    disconnecting = False

    def __init__(self, stream: Stream, channel: HTTPChannel, clock: IReactorTime) -> None:
        self._stream = stream
        self._channel = channel
        self._clock = clock
        self.full = False
        self._finished = self._lost = False
        self._limit: Limit | None = None

    def start(self, unread: bytes) -> None:
        """Begin to read, with what was read before."""
        self._channel.makeConnection(self)
        if unread:
            self.dataReceived(unread)
        attach(self._stream, self)
        if not self.disconnecting:
            self._stream.resumeProducing()

    # The stream's reader.

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of requests."""
        if not self.disconnecting:
            self._channel.dataReceived(data)

    def readConnectionLost(self) -> None:
        """Take the user's end of file: requests that are complete are still answered."""
        self._finished = True
        if self.disconnecting:
            self._stream.loseConnection()
        elif not self._channel.requests:
            self._channel.loseConnection()

    def answered(self, *, idle: bool) -> None:
        """Take note of a complete response; see `_Channel`."""
        if idle and self._finished and not self.disconnecting:
            self._channel.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our last words are on their way; the user may say a few more."""
        if self.disconnecting and not self._lost:
            self._set_limit(LINGER_SECONDS, self._stop_listening)

    def connectionLost(self, reason: Failure) -> None:
        """Tell the channel, and who produces for it."""
        self.disconnecting = self._lost = True
        self._forget_limit()
        self._channel.stopProducing()
        self._channel.connectionLost(reason)

    # The channel's transport.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._stream.write(data)

    def writeSequence(self, data: Any) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let the stream pause and resume the channel."""
        self._stream.registerProducer(_Watched(producer, self), streaming)

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._forget_limit()
        self._stream.unregisterProducer()

    def pauseProducing(self) -> None:
        """Read no more."""
        self._stream.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        if not self.disconnecting:
            self._stream.resumeProducing()

    def stopProducing(self) -> None:
        """End."""
        self.loseConnection()

    def loseConnection(self) -> None:
        """End after what was written; the channel has unregistered itself."""
        if self.disconnecting:
            return
        self.disconnecting = True
        self._set_limit(STALL_SECONDS, self.abortConnection)
        if self._finished:
            self._stream.loseConnection()
        else:
            self._stream.loseWriteConnection()
            self._stream.resumeProducing()

    def abortConnection(self) -> None:
        """Reset: what was said isn't complete."""
        self.disconnecting = True
        self._stream.abortConnection()
        self._stream.unregisterProducer()

    def getPeer(self) -> IAddress:
        """Address of the far end."""
        return self._stream.getPeer()

    def getHost(self) -> IAddress:
        """Address of this end."""
        return self._stream.getHost()

    # Ends.

    def user_is_full(self, *, full: bool) -> None:
        """Take note whether the user takes what is written."""
        self.full = full
        if full:
            self._set_limit(STALL_SECONDS, self.abortConnection)
        else:
            self._forget_limit()

    def _stop_listening(self) -> None:
        """Let the kernel deliver what it has: a reset would take that along."""
        self._set_limit(STALL_SECONDS, self.abortConnection)
        self._stream.loseConnection()

    def _set_limit(self, seconds: float, call: Callable[[], None]) -> None:
        self._forget_limit()
        self._limit = limit(self._clock, seconds, call)

    def _forget_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


@implementer(IPushProducer)
class _Watched:
    """What the stream pauses and resumes: the channel, and who watches over how long it takes."""

    def __init__(self, channel: Any, web: WebStream) -> None:
        self._channel = channel
        self._web = web

    def pauseProducing(self) -> None:
        self._web.user_is_full(full=True)
        self._channel.pauseProducing()

    def resumeProducing(self) -> None:
        self._web.user_is_full(full=False)
        self._channel.resumeProducing()

    def stopProducing(self) -> None:
        self._channel.stopProducing()
