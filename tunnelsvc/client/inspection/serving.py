# -*- test-case-name: tests.client.inspection.test_serving -*-
"""Hops 7 and 8 of users of an inspected proxy: as ever, with somebody who watches in between.

It is innermost: what it sees is what the local service, or the plugin, reads and writes.
"""

from functools import partial
from typing import ClassVar, Final

from attrs import define, field
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tunnelsvc.client.inspection import Inspector
from tunnelsvc.client.inspection.replay import (
    MOST_ANSWER_BYTES,
    MOST_REPLAYS,
    REPLAY_SECONDS,
    AbsentUser,
)
from tunnelsvc.client.inspection.request import CannotReplayError
from tunnelsvc.client.local import dial_local, introduce
from tunnelsvc.client.plugins import Place, Plugin
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.handover import Nobody, attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Closed, Reason, dress, join
from tunnelsvc.timing import limit
from tunnelsvc.wire.httpexchange import Exchange
from tunnelsvc.wire.httprecord import Conversation
from tunnelsvc.wire.messages import StartWorkConn

_LOST: Final = (Reason.NEAR_LOST, Reason.FAR_LOST)
HEAR_OUT_SECONDS: Final = 0.1
"""How long a user may take to say what he wants, who won't get it: it comes right behind the
connection, and he is told afterwards."""
LOOK_SECONDS: Final = 0.01
"""Between two looks whether he has."""


class LocalPort:
    """What listens on ``local_port``, as if it were a plugin; see `tunnelsvc.client.plugins`."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def serve(
        self, stream: Stream, unread: bytes, start: StartWorkConn, *, far_half_closes: bool
    ) -> Closed:
        """See `Plugin`."""
        reactor, proxy = self._place.reactor, self._place.proxy
        local = await dial_local(reactor, proxy)
        self._place.connections.add(local)
        introduce(local, proxy, start)
        return await join(
            local, stream, far_unread=unread, clock=reactor, far_half_closes=far_half_closes
        )


@define(eq=False)
class _OfProxy:
    """The ledger of one proxy's connection."""

    inspector: Inspector
    proxy: str
    replay_of: int = 0
    first: Exchange | None = field(default=None, init=False)

    def began(self, exchange: Exchange) -> None:
        exchange.proxy, exchange.replay_of = self.proxy, self.replay_of
        self.first = self.first or exchange
        self.inspector.began(exchange)

    def grew(self, exchange: Exchange, length: int) -> None:
        self.inspector.grew(exchange, length)

    def ended(self, exchange: Exchange) -> None:
        self.inspector.ended(exchange)


@define(eq=False)
class _OfReplay(_OfProxy):
    """Likewise, of one that ends with its only exchange."""

    user: AbsentUser = field(kw_only=True)

    def ended(self, exchange: Exchange) -> None:
        super().ended(exchange)
        self.user.hang_up()


class Inspected:
    """A `Plugin` around the one that serves the users, or around the local service."""

    log: ClassVar[Logger] = Logger()

    def __init__(self, place: Place, inner: Plugin | None, inspector: Inspector) -> None:
        """Begin.

        Args:
            place: of the proxy.
            inner: what serves its users; None: what listens on its port.
            inspector: is told of all exchanges.
        """
        self._inner = inner or LocalPort(place)
        self._proxy = place.proxy.name
        self._inspector = inspector
        self._reactor = place.reactor
        self._replays = 0

    async def serve(
        self, stream: Stream, unread: bytes, start: StartWorkConn, *, far_half_closes: bool
    ) -> Closed | None:
        """See `Plugin`."""
        ledger = _OfProxy(self._inspector, self._proxy)
        watched = Conversation(start, ledger, self._reactor.seconds)
        stream, unread = dress(stream, unread, ([watched.requests], [watched.responses]))
        why = "the connection broke"
        try:
            closed = await self._inner.serve(stream, unread, start, far_half_closes=far_half_closes)
            why = _why_cut(closed)
        except LocalServiceUnavailable as error:
            why = str(error)
            if ledger.first is None:
                await self._hear_out(stream, ledger)
            raise
        finally:
            watched.close(why)
        return closed

    def replay(self, request: bytes, original: Exchange) -> Exchange:
        """Send a request to the service, by the way of the users' ones.

        Args:
            request: all of it; asks for the end of the connection.
            original: whose request it is; the service is told that it comes from the same user.

        Returns:
            The new exchange, which has only begun. Whatever goes wrong is its ``error``.

        Raises:
            CannotReplayError: there are too many under way.
        """
        if self._replays >= MOST_REPLAYS:
            raise CannotReplayError("too many requests are being sent again; wait a moment")
        user = AbsentUser(original.start.src_addr, original.start.src_port, self._reactor)
        ledger = _OfReplay(self._inspector, self._proxy, original.id, user=user)
        watched = Conversation(original.start, ledger, self._reactor.seconds)
        stream, unread = dress(user, request, ([watched.requests], [watched.responses]))
        assert ledger.first is not None
        self._replays += 1
        serving = self._replay(user, stream, unread, original.start, watched)
        ensureDeferred(serving).addErrback(
            lambda failure: self.log.failure("sending a request again failed", failure)
        )
        return ledger.first

    async def _replay(
        self,
        user: AbsentUser,
        stream: Stream,
        request: bytes,
        start: StartWorkConn,
        watched: Conversation,
    ) -> None:
        def cut(why: str) -> None:
            stream.abortConnection()  # first: who watches ends it in order
            watched.close(why)

        too_late = partial(cut, f"no complete answer in {REPLAY_SECONDS:.0f} seconds")
        user.on_too_much = partial(cut, f"the answer is too long: over {MOST_ANSWER_BYTES} bytes")
        deadline = limit(self._reactor, REPLAY_SECONDS, too_late)
        why = "the connection broke"
        try:
            closed = await self._inner.serve(stream, request, start, far_half_closes=True)
            why = _why_cut(closed)
        except LocalServiceUnavailable as error:
            why = str(error)
        finally:
            deadline.cancel()
            watched.close(why)
            stream.abortConnection()
            self._replays -= 1

    async def _hear_out(self, stream: Stream, ledger: _OfProxy) -> None:
        """Read a request that nobody answers, so that it is seen."""
        clock = self._reactor
        attach(stream, Nobody())
        stream.resumeProducing()
        until = clock.seconds() + HEAR_OUT_SECONDS
        while ledger.first is None and clock.seconds() < until:
            await deferLater(clock, LOOK_SECONDS)


def _why_cut(closed: Closed | None) -> str:
    """Say why a connection didn't end in order; empty: it did, as far as is known."""
    if closed is None or not (closed.cut or closed.reason in _LOST):
        return ""
    return closed.because(near="the local service", far="the user or the server")
