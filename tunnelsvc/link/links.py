# -*- test-case-name: tests.link.test_links -*-
"""The client's way to its server: logical connections, over one TCP connection or one each."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.handover import Connections, Parked, attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor, dial
from tunnelsvc.link.mux import MuxSession


class Link(Protocol):
    """Opens logical connections to one server (protocol notes, glossary)."""

    async def open(self) -> Stream:
        """Open one, parked.

        Raises:
            ConnectError: the server can't be reached.
            ConnectionLost: the link is gone, or takes no more streams.
        """

    async def open_direct(self) -> Stream:
        """Open one that shares its connection with no other, parked.

        Raises:
            ConnectError: the server can't be reached.
        """

    def accept(self, on_stream: Callable[[Stream], None]) -> None:
        """Give each logical connection that the server opens to `on_stream`; before, none may."""

    def close(self) -> None:
        """Close what the link itself holds, after what is written."""

    def abort(self) -> None:
        """Drop it: it is of no use any more."""


Connect = Callable[[], Coroutine[Any, Any, Link]]
"""Makes a fresh link; raises ``ConnectError`` where the server can't be reached."""
Dial = Callable[[], Coroutine[Any, Any, Stream]]
"""Makes a connection to the server, parked; raises likewise."""


class MuxLink:
    """Logical connections as yamux streams of one connection (``tcp_mux = true``)."""

    def __init__(
        self, stream: Stream, connect: Dial, clock: IReactorTime, keepalive_seconds: float
    ) -> None:
        self._connect = connect
        self._on_stream: Callable[[Stream], None] = lambda refused: refused.abortConnection()
        self._session = MuxSession(
            client=True,
            clock=clock,
            on_stream=self._opened,
            keepalive_seconds=keepalive_seconds,
        )
        self._session.makeConnection(stream)
        attach(stream, self._session)
        stream.resumeProducing()

    async def open(self) -> Stream:
        """See `Link`; needs no round trip."""
        return self._session.open_stream()

    async def open_direct(self) -> Stream:
        """See `Link`."""
        return await self._connect()

    def accept(self, on_stream: Callable[[Stream], None]) -> None:
        """See `Link`."""
        self._on_stream = on_stream

    def _opened(self, stream: Stream) -> None:
        self._on_stream(stream)

    def close(self) -> None:
        """Close the connection and so every stream."""
        self._session.close()

    def abort(self) -> None:
        """Drop the connection and so every stream."""
        self._session.abort()


class DirectLink:
    """A connection for each logical connection (``tcp_mux = false``)."""

    def __init__(self, connect: Dial) -> None:
        self._connect = connect

    async def open(self) -> Stream:
        """See `Link`."""
        return await self._connect()

    async def open_direct(self) -> Stream:
        """See `Link`; they all are."""
        return await self._connect()

    def accept(self, on_stream: Callable[[Stream], None]) -> None:
        """See `Link`; the server can't open any."""

    def close(self) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing is held."""


def _tls(reactor: DialReactor, config: ClientConfig) -> Callable[[Stream], Stream]:
    """Make what starts TLS on a connection."""
    # Who doesn't want it needn't have it in memory.
    from tunnelsvc.link.certificates import client_context  # noqa: PLC0415
    from tunnelsvc.link.tls import start_tls_client  # noqa: PLC0415

    context = client_context(config.tls, config.server_addr)
    head_byte = not config.tls.disable_custom_first_byte
    return lambda stream: start_tls_client(stream, context, Parked(), reactor, head_byte=head_byte)


def connector(reactor: DialReactor, config: ClientConfig, connections: Connections) -> Connect:
    """Make what dials the server as `config` says.

    Args:
        reactor: what connects.
        config: where to, and how.
        connections: takes note of each connection.

    Raises:
        ConfigError: a TLS file can't be used.
    """
    dress = _tls(reactor, config) if config.tls.enable else lambda stream: stream

    async def connect() -> Stream:
        stream = await dial(
            reactor,
            config.server_addr,
            config.server_port,
            timeout=config.dial_server_timeout_seconds,
            source=config.connect_server_local_ip,
            keepalive_seconds=config.dial_server_keepalive_seconds,
        )
        connections.add(stream)
        return dress(stream)

    async def link() -> Link:
        if not config.tcp_mux:
            return DirectLink(connect)
        return MuxLink(await connect(), connect, reactor, config.tcp_mux_keepalive_interval_seconds)

    return link
