# -*- test-case-name: tests.server.test_work -*-
"""Hops 3 and 5 of a user connection: a work connection of one client, by the best way there is.

Three ways
==========

- From a client of ours, a *direct* one: a connection that it made ahead of demand, outside of its
  multiplexed one. Bulk is fastest there: nothing is framed, and the relay joins two sockets. There
  are only a few, because each costs a handshake and the client paces itself.
- From a client of ours that is multiplexed, when those are used up: a stream that *we* open.
  Nothing is kept ready and nobody waits for a round trip.
- From any other, one of `WorkPool`, as frp does it: we ask on the control connection.

What makes a client one of ours is `tunnelsvc.wire.messages.Login.tunnelsvc`.
"""

from typing import Protocol
from weakref import WeakSet

from twisted.internet.error import ConnectionLost

from tunnelsvc.errors import WorkConnectionUnavailable
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.server.workpool import WorkPool
from tunnelsvc.wire.dialect import V1, Dialect
from tunnelsvc.wire.messages import StartWorkConn

DIRECT_READY = 10
"""Direct connections that a client of ours may keep ready: a browser's six, and some."""


class Opener(Protocol):
    """What opens streams to a client: a multiplexed session."""

    def open_stream(self) -> Stream:
        """Open a stream, parked.

        Raises:
            ConnectionLost: the session is over or about to end.
        """

    def close(self) -> None:
        """End the session and all its streams, after what they have buffered."""

    def abort(self) -> None:
        """End the session and all its streams at once."""


class WorkConnections:
    """The work connections of one client."""

    def __init__(self, pool: WorkPool, session: Opener | None, dialect: Dialect = V1) -> None:
        """Begin with none.

        Args:
            pool: those that are asked for.
            session: to open streams in; None if the client isn't ours or not multiplexed.
            dialect: of those streams, without a preface: the client knows what it speaks.
        """
        self._dialect = dialect
        self._pool = pool
        self._session = session
        self._direct: list[MessageProtocol] = []
        self._given: WeakSet[Stream] = WeakSet()
        """Direct ones that users have."""
        self._closed = False

    def offer(self, work: MessageProtocol, *, direct: bool) -> bool:
        """Take a fresh work connection.

        Args:
            work: said NewWorkConn, and nothing since.
            direct: it is a connection of its own.

        Returns:
            Whether there was room; the caller closes it if not.
        """
        if not direct or self._session is None:
            return self._pool.offer(work)
        if self._closed or len(self._direct) >= DIRECT_READY:
            return False
        work.on_lost = lambda _: self._drop(work)
        work.on_message = lambda _: work.abort()
        self._direct.append(work)
        return True

    async def open(self, start: StartWorkConn) -> Stream:
        """Open one for a user.

        Returns:
            The stream, parked; the client was told who it is for.

        Raises:
            WorkConnectionUnavailable: the client gave none, or is gone.
        """
        while self._direct:
            # The latest: it is the least likely to have died unnoticed.
            if (stream := _started(self._direct.pop(), start)) is not None:
                self._given.add(stream)
                return stream
        if self._session is not None:
            return self._open_stream(self._session, start)
        while True:
            if (stream := _started(await self._pool.take(), start)) is not None:
                return stream

    def _open_stream(self, session: Opener, start: StartWorkConn) -> Stream:
        if self._closed:
            raise WorkConnectionUnavailable("the client is gone")
        try:
            stream = session.open_stream()
        except ConnectionLost as why:
            raise WorkConnectionUnavailable(f"the client is gone: {why}") from why
        stream.write(self._dialect.encode(start))
        return stream

    def close(self, *, cut: bool = False) -> None:
        """Close what is ready, and send away who waits.

        Args:
            cut: the client doesn't answer any more: end what users have, too. Of connections
                beside the session nothing else would tell for hours.
        """
        self._closed = True
        if cut:
            self._cut()
        self._pool.close()
        ready, self._direct = self._direct, []
        for work in ready:
            work.abort()

    def _cut(self) -> None:
        if self._session is not None:
            self._session.abort()
        self.cut_direct()

    def cut_direct(self) -> None:
        """End what users have beside the session."""
        for stream in list(self._given):
            stream.abortConnection()

    def _drop(self, work: MessageProtocol) -> None:
        if work in self._direct:
            self._direct.remove(work)


def _started(work: MessageProtocol, start: StartWorkConn) -> Stream | None:
    """Give a ready connection to a user; None if it is of no use."""
    try:
        work.send(start)
    except BaseException:
        work.abort()
        raise
    stream, early = work.detach()
    if early:  # no client speaks before it is started
        stream.abortConnection()
        return None
    return stream
