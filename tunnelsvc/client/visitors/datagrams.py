# -*- test-case-name: tests.client.visitors.test_datagrams -*-
"""``type = sudp``, the visitor's side: a local UDP port whose users reach the owner's service.

Datagrams of all users go by one visitor connection. It is opened for the first, and again for the
first after it has ended (protocol notes 6.7).
"""

from typing import Any, ClassVar, Final, cast

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.client.visitors.handshake import visit
from tunnelsvc.client.visitors.listening import Listening
from tunnelsvc.client.visitors.sessions import Sessions
from tunnelsvc.config.proxies import VisitorConfig
from tunnelsvc.control.session import Session
from tunnelsvc.errors import VisitRefused
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.udp import listen_udp
from tunnelsvc.relay.datagrams import SILENCE_SECONDS, DatagramChannel
from tunnelsvc.relay.drops import Drop, Drops
from tunnelsvc.relay.entrance import Entrance
from tunnelsvc.wire.datagrams import DatagramCodec, FrameDatagrams, MessageDatagrams
from tunnelsvc.wire.messages import NewVisitorConnResp

RETRY_SECONDS: Final = 1.0
"""From one attempt to visit to the next."""


@define(eq=False)
class DatagramVisitor:
    """Carries datagrams between a port of this machine and one proxy; see `Visitor`."""

    config: VisitorConfig
    reactor: Any
    sessions: Sessions
    connections: Connections
    """Not needed: a port has no connections."""
    log: ClassVar[Logger] = Logger()
    _listening: Listening = field(init=False)
    _refusal: str = field(default="", init=False)
    _entrance: Entrance = field(init=False)
    _carrying: bool = field(default=False, init=False)
    _pause: Deferred[None] | None = field(default=None, init=False)
    _not_before: float = field(default=float("-inf"), init=False)

    def __attrs_post_init__(self) -> None:
        drops = Drops(self.reactor, self.config.name)
        self._entrance = Entrance(self.reactor, drops, self._wanted)
        self._listening = Listening(self.config, self.reactor, self._listen)

    def _listen(self) -> IListeningPort:
        config = self.config
        port = listen_udp(
            self.reactor, config.bind_port, self._entrance.received, interface=config.bind_addr
        )
        self._entrance.port = port
        return cast("IListeningPort", port)

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
        """See `Visitor`; without the port nobody can stay."""
        await self._listening.stop()
        self._entrance.close()
        if self._pause is not None:
            self._pause.cancel()

    async def close(self) -> None:
        """See `Visitor`."""
        await self.stop()

    def _wanted(self) -> None:
        """Visit, for datagrams that wait."""
        if not self._carrying:
            self._carrying = True
            ensureDeferred(self._carry()).addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        self.log.failure("[{visitor}] broken", failure, visitor=self.config.name)

    async def _carry(self) -> None:
        """Carry datagrams on one visitor connection until it ends."""
        try:
            await self._wait(self._not_before - self.reactor.seconds())
            self._not_before = self.reactor.seconds() + RETRY_SECONDS
            session = await self.sessions.current()
            stream, unread, answer = await visit(session, self.config)
            self._refusal = ""
            if self.port is None:  # stopped while we waited
                stream.abortConnection()
                return
            ended = await self._use(stream, unread, _datagram_codec(session, answer))
            self.log.info("[{visitor}] visit ended: {why}", visitor=self.config.name, why=ended)
        except VisitRefused as why:
            self._refusal = str(why)
            self.log.warn("[{visitor}] {why}", visitor=self.config.name, why=why)
            self._entrance.outbox.clear(Drop.NO_TUNNEL)
        except CancelledError:
            self._entrance.outbox.clear(Drop.NO_TUNNEL)
        finally:
            self._carrying = False

    async def _wait(self, seconds: float) -> None:
        """Let time pass; raises ``CancelledError`` when the visitor is stopped."""
        if seconds > 0:
            self._pause = deferLater(self.reactor, seconds)
            await self._pause

    async def _use(self, stream: Stream, unread: bytes, codec: DatagramCodec) -> str:
        channel = DatagramChannel(
            stream,
            codec,
            self.reactor,
            self._entrance.outbox,
            self._entrance.deliver,
            silence_seconds=SILENCE_SECONDS,
        )
        self._entrance.use(channel)
        channel.start(unread)
        ended = await channel.ended
        self._entrance.use(None)
        return ended


def _datagram_codec(session: Session, answer: NewVisitorConnResp) -> DatagramCodec:
    if answer.datagram_frames:
        return FrameDatagrams()
    return MessageDatagrams(session.terms.config.udp_packet_size, session.payload_dialect)
