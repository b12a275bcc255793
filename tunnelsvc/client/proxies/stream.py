# -*- test-case-name: tests.client.test_service -*-
"""The hops of a user connection on the client, in order: see `StreamProxy.serve`.

One handler for every type whose user connections are byte streams: all but udp and sudp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import define
from twisted.logger import Logger

from tunnelsvc.client.local import dial_local, introduce
from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.control.session import Session
from tunnelsvc.errors import LocalServiceUnavailable, RemoteProtocolError
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.logs import LeanLogger
from tunnelsvc.relay import Closed, Stages, codecs, dress, join
from tunnelsvc.wire.messages import StartWorkConn

if TYPE_CHECKING:
    from tunnelsvc.client.plugins import Plugin
    from tunnelsvc.relay.bandwidth import BandwidthLimit

_log = LeanLogger(__name__)


@define(eq=False)
class StreamProxy:
    """Connects work connections to one local service, or to the plugin that is there instead."""

    config: ProxyConfig
    reactor: DialReactor
    key: bytes
    """Of the cipher, derived from the token."""
    connections: Connections
    """Takes note of each connection to the service."""
    plugin: Plugin | None = None
    limit: BandwidthLimit | None = None
    """Shared by all user connections."""
    serving: int = 0
    """User connections that aren't over."""
    dial_error: str = ""
    """Why the latest user didn't reach the service; empty: he did, as far as we know."""
    log: ClassVar[Logger] = Logger()

    async def serve(self, session: Session, work: MessageProtocol, start: StartWorkConn) -> None:
        """Carry one user connection from StartWorkConn to account; docs/flow.md has the hops."""
        bare, unread = work.detach()
        ours = session.server_is_ours
        self.serving += 1
        try:
            stream: Stream = bare
            if self.limit is not None:
                stream, unread = self.limit.put_on(bare, unread)
            stream, unread = dress(stream, unread, self._codecs())  # 6
            if self.plugin is not None:
                self.dial_error = ""
                closed = await self.plugin.serve(stream, unread, start, far_half_closes=ours)
            else:
                local = await dial_local(self.reactor, self.config)  # 7
                if self.dial_error:
                    self.dial_error = ""
                self.connections.add(local)
                if self.config.proxy_protocol_version:
                    introduce(local, self.config, start)
                closed = await join(  # 8
                    local,
                    stream,
                    far_unread=unread,
                    clock=self.reactor,
                    far_half_closes=ours,
                )
        except (LocalServiceUnavailable, RemoteProtocolError) as why:
            self.log.warn("[{proxy}] {why}", proxy=self.config.name, why=why)
            if isinstance(why, LocalServiceUnavailable):
                self.dial_error = str(why)
            bare.abortConnection()
            return
        except BaseException:
            bare.abortConnection()
            raise
        finally:
            self.serving -= 1
        if closed is not None:
            self.account(start, closed)  # 9

    def close(self) -> None:
        """See `tunnelsvc.client.proxies.ClientProxy`: nothing is held."""

    def _codecs(self) -> Stages:
        config = self.config
        return codecs(
            self.key, encryption=config.use_encryption, compression=config.use_compression
        )

    @property
    def _near(self) -> str:
        plugin = self.config.plugin
        return f"plugin {plugin.name}" if plugin is not None else "the local service"

    def account(self, start: StartWorkConn, closed: Closed) -> None:
        """Hop 9: one line per connection; near is the local service here."""
        _log.info(
            "[{proxy}] user {user}: {reason}, {up} bytes in, {down} bytes out, {seconds:.1f} s",
            proxy=self.config.name,
            user=start.user,
            reason=closed.because(near=self._near, far="the server"),
            up=closed.down_bytes,
            down=closed.up_bytes,
            seconds=closed.seconds,
        )
