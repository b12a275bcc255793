# -*- test-case-name: tests.client.plugins.test_socks5 -*-
"""``plugin = socks5``: users reach whatever this machine reaches."""

import errno
from typing import Final, cast

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.addresses import host_and_port
from tunnelsvc.client.plugins import Place
from tunnelsvc.client.plugins.farewell import leave
from tunnelsvc.client.plugins.reach import reach
from tunnelsvc.config.plugins import Socks5Config
from tunnelsvc.handover import attach, park
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Closed, join
from tunnelsvc.timing import limit
from tunnelsvc.wire.messages import StartWorkConn
from tunnelsvc.wire.socks5 import Handshake, Reply, Socks5Error, Target, reply

HANDSHAKE_SECONDS: Final = 30.0
"""How long a user may take to say where to go; most say it within a round trip or two."""

_REPLIES: Final = (
    (error.TimeoutError, Reply.TIMED_OUT),
    (error.TCPTimedOutError, Reply.TIMED_OUT),
    (error.ConnectionRefusedError, Reply.REFUSED),
    (error.NoRouteError, Reply.NETWORK_UNREACHABLE),
    (error.UnknownHostError, Reply.HOST_UNREACHABLE),
)


def reply_code(why: error.ConnectError) -> Reply:
    """Tell a user why the target can't be reached, as exactly as the protocol can."""
    for kind, code in _REPLIES:
        if isinstance(why, kind):
            return code
    return Reply.HOST_UNREACHABLE if why.osError == errno.EHOSTUNREACH else Reply.FAILED


class Socks5Plugin:
    """A SOCKS 5 server; see `tunnelsvc.client.plugins.Plugin`."""

    log = Logger()

    def __init__(self, place: Place) -> None:
        self._place = place
        self._config = cast("Socks5Config", place.proxy.plugin)

    async def serve(
        self, stream: Stream, unread: bytes, start: StartWorkConn, *, far_half_closes: bool
    ) -> Closed | None:
        """See `Plugin`."""
        clock = self._place.reactor
        handshake = Handshake(self._config.user, self._config.password)
        try:
            target = await _Asking(stream, handshake, clock).start(unread)
            service = await self._reach(target)
        except error.ConnectionClosed:
            return None
        except Socks5Error as why:
            self.log.info(
                "[{proxy}] user {user}: {why}",
                proxy=self._place.proxy.name,
                user=start.user,
                why=why,
            )
            await leave(stream, why.answer, clock)
            return None
        here = service.getHost()
        stream.write(reply(Reply.SUCCEEDED, here.host, here.port))  # type: ignore[attr-defined]
        return await join(
            service,
            stream,
            far_unread=handshake.unread,
            clock=clock,
            far_half_closes=far_half_closes,
        )

    async def _reach(self, target: Target) -> Stream:
        try:
            return await reach(self._place, target.host, target.port)
        except error.ConnectError as why:
            what = f"connect to [{host_and_port(target.host, target.port)}] error: {why}"
            raise Socks5Error(what, reply(reply_code(why))) from why


@implementer(IHalfCloseableProtocol)
class _Asking:
    """Reads a user's connection until the handshake is complete."""

    def __init__(self, stream: Stream, handshake: Handshake, clock: IReactorTime) -> None:
        self._stream = stream
        self._handshake = handshake
        self._asked: Deferred[Target] = Deferred()
        self._limit = limit(clock, HANDSHAKE_SECONDS, self._too_late)

    def start(self, unread: bytes) -> Deferred[Target]:
        """Begin.

        Args:
            unread: bytes that were read before.

        Returns:
            Fires when the user has said whom he wants; the stream is parked then. Fails with
            `Socks5Error`, the stream parked as well, or with ``ConnectionClosed``: it is gone.
        """
        if unread:
            self.dataReceived(unread)
        if not self._asked.called:
            attach(self._stream, self)
        if not self._asked.called:
            self._stream.resumeProducing()
        return self._asked

    def dataReceived(self, data: bytes) -> None:
        try:
            answer = self._handshake.feed(data)
        except Socks5Error as why:
            self._end()
            self._asked.errback(why)
            return
        if answer:
            self._stream.write(answer)
        if self._handshake.target is not None:
            self._end()
            self._asked.callback(self._handshake.target)

    def readConnectionLost(self) -> None:
        self._stream.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        self._end()
        self._asked.errback(error.ConnectionLost())

    def _too_late(self) -> None:
        self._end()
        self._asked.errback(Socks5Error("said nothing that could be served in time"))

    def _end(self) -> None:
        """Leave the stream to somebody else."""
        self._limit.cancel()
        if self._stream.protocol is self:
            park(self._stream)
