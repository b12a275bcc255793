# -*- test-case-name: tests.client.proxies.test_udp -*-
"""``type = udp`` and ``type = sudp``: hops 6 to 9 of what users send in datagrams.

A work connection carries those of many users, and isn't over when one of them is gone. A udp proxy
has one at a time; a new one takes the place of the old. A sudp proxy has one for each visitor, and
users of different visitors may well have the same address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import define, field
from twisted.logger import Logger

from tunnelsvc.client.localsockets import LocalSockets
from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.control.session import Session
from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.relay import Stages, codecs, dress
from tunnelsvc.relay.datagrams import PING_SECONDS, DatagramChannel, Outbox
from tunnelsvc.relay.drops import Drops
from tunnelsvc.wire.datagrams import (
    DatagramCodec,
    EitherDatagrams,
    FrameDatagrams,
    MessageDatagrams,
    takes_codecs,
)
from tunnelsvc.wire.messages import StartWorkConn

if TYPE_CHECKING:
    from tunnelsvc.relay.bandwidth import BandwidthLimit


class Exit:
    """Where datagrams leave the tunnel: the local service, and the channel for its answers."""

    def __init__(self, reactor: DialReactor, config: ProxyConfig, drops: Drops) -> None:
        self.outbox = Outbox(drops)
        self.sockets = LocalSockets(reactor, config, self.outbox, self._answered)
        self._channel: DatagramChannel | None = None

    def use(self, channel: DatagramChannel) -> None:
        """Answer by this channel; the one before ends."""
        before, self._channel = self._channel, channel
        if before is not None:
            before.close("there is a newer one")

    def close(self) -> None:
        """Forget all users, and end the channel."""
        self.sockets.close()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _answered(self) -> None:
        if self._channel is not None:
            self._channel.wake()


@define(eq=False)
class UDPProxy:
    """Carries datagrams between work connections and one local service."""

    config: ProxyConfig
    reactor: DialReactor
    key: bytes
    """Of the cipher, derived from the token."""
    limit: BandwidthLimit | None = None
    """Shared by all work connections."""
    serving: int = 0
    """Always: no user has a connection that could be waited for."""
    dial_error: str = ""
    """Always: nobody knows whether a datagram arrives."""
    log: ClassVar[Logger] = Logger()
    drops: Drops = field(init=False)
    _exits: set[Exit] = field(factory=set, init=False)

    @drops.default
    def _no_drops(self) -> Drops:
        return Drops(self.reactor, self.config.name)

    async def serve(self, session: Session, work: MessageProtocol, start: StartWorkConn) -> None:
        """Carry what comes on a work connection until it ends."""
        bare, unread = work.detach()
        stream: Stream = bare
        try:
            if self.limit is not None:
                stream, unread = self.limit.put_on(bare, unread)
            stream, unread = dress(stream, unread, self._codecs(session))  # 6
        except RemoteProtocolError as why:
            self.log.warn("[{proxy}] {why}", proxy=self.config.name, why=why)
            bare.abortConnection()
            return
        exit_ = self._exit()
        await exit_.sockets.look_up()
        channel = DatagramChannel(
            stream,
            self._datagram_codec(session, start),
            self.reactor,
            exit_.outbox,
            exit_.sockets.deliver,  # 7, 8
            ping_seconds=PING_SECONDS,
        )
        exit_.use(channel)
        channel.start(unread)
        ended = await channel.ended
        self._leave(exit_)
        self.log.info("[{proxy}] work connection ended: {why}", proxy=self.config.name, why=ended)

    def close(self) -> None:
        """Forget all users."""
        exits, self._exits = self._exits, set()
        for each in exits:
            each.close()

    def _exit(self) -> Exit:
        """Return who has the users of the next work connection: those of the one before."""
        if not self._exits:
            self._exits.add(Exit(self.reactor, self.config, self.drops))
        return next(iter(self._exits))

    def _leave(self, exit_: Exit) -> None:
        """Take note that a work connection ended; the next goes on with its users."""

    def _codecs(self, session: Session) -> Stages:
        config = self.config
        if not takes_codecs(session.server_version, ours=session.server_is_ours):
            return [], []  # olderserver.py says so
        return codecs(
            self.key, encryption=config.use_encryption, compression=config.use_compression
        )

    def _datagram_codec(self, session: Session, start: StartWorkConn) -> DatagramCodec:
        return FrameDatagrams() if start.datagram_frames else _messages(session)


class SUDPProxy(UDPProxy):
    """The same for visitors, each apart from the others."""

    def _exit(self) -> Exit:
        made = Exit(self.reactor, self.config, self.drops)
        self._exits.add(made)
        return made

    def _leave(self, exit_: Exit) -> None:
        self._exits.discard(exit_)
        exit_.close()

    def _datagram_codec(self, session: Session, start: StartWorkConn) -> DatagramCodec:  # noqa: ARG002
        """Take up the visitor's way: whoever is between us knows nothing of it."""
        return EitherDatagrams(_messages(session))


def _messages(session: Session) -> DatagramCodec:
    return MessageDatagrams(session.terms.config.udp_packet_size, session.payload_dialect)
