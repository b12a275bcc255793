# -*- test-case-name: tests.client.visitors.test_stream -*-
"""``type = stcp``, the visitor's side: a local port whose users reach the owner's service.

The hops of such a user are in `StreamVisitor.serve`; at the server it is a user of the proxy like
any other (`tunnelsvc.server.visitors`).
"""

from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.client.visitors.handshake import open_visitor_connection
from tunnelsvc.client.visitors.listening import Listening
from tunnelsvc.client.visitors.sessions import Sessions
from tunnelsvc.config.proxies import VisitorConfig
from tunnelsvc.errors import VisitRefused
from tunnelsvc.handover import Connections, ParkingFactory, host_of
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.sockets import listen
from tunnelsvc.logs import LeanLogger
from tunnelsvc.relay import Closed, join

_log = LeanLogger(__name__)


@define(eq=False)
class StreamVisitor:
    """Connects those who come to a port of this machine with one proxy; see `Visitor`."""

    config: VisitorConfig
    reactor: Any
    sessions: Sessions
    connections: Connections
    """Takes note of each user's connection."""
    log: ClassVar[Logger] = Logger()
    _users: set[Stream] = field(factory=set, init=False)
    _listening: Listening = field(init=False)
    _refusal: str = field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self._listening = Listening(self.config, self.reactor, self._listen)

    def _listen(self) -> IListeningPort:
        config = self.config
        factory = ParkingFactory(self._accept, self.connections)
        return listen(self.reactor, config.bind_port, factory, interface=config.bind_addr)

    @property
    def port(self) -> int | None:
        """See `Visitor`."""
        return self._listening.number

    @property
    def error(self) -> str:
        """See `Visitor`."""
        return self._listening.error or self._refusal

    def start(self) -> None:
        """See `Visitor`."""
        self._listening.start()

    async def stop(self) -> None:
        """See `Visitor`."""
        await self._listening.stop()

    async def close(self) -> None:
        """See `Visitor`."""
        await self.stop()
        for user in list(self._users):
            user.abortConnection()

    def _accept(self, user: Stream) -> None:
        ensureDeferred(self.serve(user)).addErrback(self._broken, user)

    def _broken(self, failure: Failure, user: Stream) -> None:
        self.log.failure("[{visitor}] broken", failure, visitor=self.config.name)
        user.abortConnection()

    async def serve(self, user: Stream) -> None:
        """Carry one user from the port to the account."""
        peer = host_of(user)
        self._users.add(user)
        try:
            session = await self.sessions.current()
            stream, unread = await open_visitor_connection(session, self.config)
            self._refusal = ""
            closed = await join(
                user,
                stream,
                far_unread=unread,
                clock=self.reactor,
                far_half_closes=session.server_is_ours,
            )
        except VisitRefused as why:
            self._refusal = str(why)
            self.log.warn("[{visitor}] {why}", visitor=self.config.name, why=why)
            user.abortConnection()
            return
        finally:
            self._users.discard(user)
        self.account(peer, closed)

    def account(self, peer: str, closed: Closed) -> None:
        """One line per connection; near is the user."""
        _log.info(
            "[{visitor}] user {user}: {reason}, {up} bytes in, {down} bytes out, {seconds:.1f} s",
            visitor=self.config.name,
            user=peer,
            reason=closed.because(near="the user", far="the server"),
            up=closed.up_bytes,
            down=closed.down_bytes,
            seconds=closed.seconds,
        )
