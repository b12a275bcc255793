# -*- test-case-name: tests.server.proxies.test_udp -*-
"""``type = udp``: a public UDP port (`tunnelsvc.config.proxies.UDPProxyConfig`).

Datagrams of all users go by one work connection, which is opened when the proxy is, and again
whenever it ends (protocol notes 6.5). Of the hops in docs/flow.md, 1 and 9 happen for each
datagram, 3 to 6 once in a while, in `UDPProxy.carry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from attrs import evolve
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.task import deferLater

from tunnelsvc.errors import ProxyRefused, RemoteProtocolError, WorkConnectionUnavailable
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Stages
from tunnelsvc.relay.datagrams import SILENCE_SECONDS, DatagramChannel
from tunnelsvc.relay.drops import Drops
from tunnelsvc.relay.entrance import Entrance, Port
from tunnelsvc.server.ports import PublicPort
from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.wire.datagrams import (
    DatagramCodec,
    FrameDatagrams,
    MessageDatagrams,
    takes_codecs,
)
from tunnelsvc.wire.messages import NewProxy, StartWorkConn

if TYPE_CHECKING:
    from tunnelsvc.server.client import Client
    from tunnelsvc.server.context import ServerContext

ANSWER_SECONDS: Final = 0.5
"""How long a real frpc has for the news that its proxy runs: it refuses work connections before
(protocol notes 6.5)."""
RETRY_SECONDS: Final = 1.0
"""From one attempt to get a work connection to the next."""
_ALL_USERS: Final = UNIXAddress(b"")
"""The work connection is nobody's in particular, so no address is told."""


class UDPProxy(Proxy):
    """Listens on ``remote_port``; hop 1 of its users is `Entrance.received`."""

    uses_port = True
    _port: PublicPort | None = None
    _number = 0
    _pause: Deferred[None] | None = None

    def __init__(self, request: NewProxy, client: Client, context: ServerContext) -> None:
        super().__init__(request, client, context)
        self._entrance = Entrance(context.reactor, Drops(context.reactor, self.name))

    async def open(self) -> str:
        """See `Proxy`; begins to carry what will come."""
        address = await super().open()
        self._entrance.account = self.stats
        ensureDeferred(self.carry()).addErrback(
            lambda failure: self.log.failure("[{proxy}] broken", failure, proxy=self.name)
        )
        return address

    async def listen(self) -> str:
        """See `Proxy`."""
        wanted = self.request.remote_port
        try:
            self._port = self.context.udp_ports.listen(self.name, wanted, self._entrance.received)
        except ProxyRefused as why:
            raise ProxyRefused(f"acquire port {wanted} error: {why}") from None
        self._entrance.port = cast("Port", self._port.listening)
        self._number = self._port.number
        return f":{self._number}"

    async def unlisten(self) -> None:
        """See `Proxy`; without its users' port the work connection has no purpose."""
        self._entrance.close()
        if self._pause is not None:
            self._pause.cancel()
        if self._port is not None:
            await self._port.close()

    async def carry(self) -> None:
        """Keep a work connection, hops 3 to 6, until the proxy is closed."""
        clock = self.context.reactor
        if not self.client.is_ours:
            await self._wait(ANSWER_SECONDS)
        while not self.closed:
            began = clock.seconds()
            try:
                stream, unread = await self.open_work(_ALL_USERS, None)
                ended = await self._use(stream, unread)
                self.log.info("[{proxy}] work connection ended: {why}", proxy=self.name, why=ended)
            except (WorkConnectionUnavailable, RemoteProtocolError) as why:
                self.log.warn("[{proxy}] no work connection: {why}", proxy=self.name, why=why)
            if clock.seconds() - began < RETRY_SECONDS:
                await self._wait(RETRY_SECONDS)

    async def _use(self, stream: Stream, unread: bytes) -> str:
        """Carry datagrams on a work connection until it ends; return why."""
        entrance = self._entrance
        channel = DatagramChannel(
            stream,
            self._datagram_codec(),
            self.context.reactor,
            entrance.outbox,
            entrance.deliver,
            silence_seconds=SILENCE_SECONDS,
        )
        if self.closed:  # while we waited for it
            stream.abortConnection()
            return "the proxy is closed"
        entrance.use(channel)
        channel.start(unread)
        why = await channel.ended
        entrance.use(None)
        return why

    async def _wait(self, seconds: float) -> None:
        """Let time pass, until the proxy is closed."""
        if self.closed:
            return
        self._pause = deferLater(self.context.reactor, seconds)
        try:
            await self._pause
        except CancelledError:
            pass
        finally:
            self._pause = None

    def _datagram_codec(self) -> DatagramCodec:
        if self.client.is_ours:
            return FrameDatagrams()
        return MessageDatagrams(self.context.config.udp_packet_size, self.client.payload_dialect)

    def start_message(self, user: IAddress, entrance: IAddress | None) -> StartWorkConn:  # noqa: ARG002
        """See `Proxy`."""
        return StartWorkConn(proxy_name=self.called, datagram_frames=self.client.is_ours)

    def _codecs(self) -> Stages:
        client = self.client
        if not takes_codecs(client.login.version, ours=client.is_ours):
            return [], []
        return super()._codecs()

    def request_again(self) -> NewProxy:
        """See `Proxy`: the port that its client was told."""
        return evolve(self.request, remote_port=self._number)

    def api_conf(self) -> dict[str, Any]:
        """See `Proxy`."""
        return super().api_conf() | {"remotePort": self._number}
