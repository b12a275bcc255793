# -*- test-case-name: tests.link.test_links -*-
"""The client's way to its server: logical connections, over one TCP connection or one each."""

import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelsvc.addresses import host_and_port
from tunnelsvc.config.proxyurl import proxy_for
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.config.values import BadValueError
from tunnelsvc.errors import ConfigError
from tunnelsvc.handover import Connections, attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor, dial
from tunnelsvc.link.dressing import dressing
from tunnelsvc.link.mux import MuxSession

_log = Logger()


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


@frozen
class Server:
    """A server that a client may log in to.

    Attributes:
        host: name or address.
        port: TCP port.
        connect: makes a link to it.
        probe: connects as far as is possible without a login, handshakes included, and hangs up;
            raises what says why that isn't possible.
    """

    host: str
    port: int
    connect: Connect
    probe: Callable[[], Coroutine[Any, Any, None]]

    @property
    def address(self) -> str:
        """Where it is, for the log."""
        return host_and_port(self.host, self.port)


def servers(
    reactor: DialReactor,
    config: ClientConfig,
    connections: Connections,
    environ: Mapping[str, str] = os.environ,
) -> tuple[Server, ...]:
    """Make what dials each server of a configuration, in its order; see `server`."""
    where = config.servers or ((config.server_addr, config.server_port),)
    return tuple(
        server(
            reactor,
            evolve(config, server_addr=host, server_port=port),
            connections,
            environ,
        )
        for host, port in where
    )


def server(
    reactor: DialReactor,
    config: ClientConfig,
    connections: Connections,
    environ: Mapping[str, str] = os.environ,
) -> Server:
    """Make what dials the server at ``server_addr``.

    Args:
        reactor: what connects.
        config: where to, and how.
        connections: takes note of each connection.
        environ: may name a proxy (`tunnelsvc.config.proxyurl`).

    Raises:
        ConfigError: a TLS file or a proxy's URL can't be used.
    """
    dial_server = _dialling(reactor, config, connections, environ)
    dress = dressing(reactor, config)

    async def connect() -> Stream:
        return await dress(await dial_server())

    async def link() -> Link:
        if not config.tcp_mux:
            return DirectLink(connect)
        return MuxLink(await connect(), connect, reactor, config.tcp_mux_keepalive_interval_seconds)

    async def probe() -> None:
        stream = await connect()
        try:
            established = getattr(stream, "when_established", None)
            if established is not None:
                await established()
        finally:
            stream.abortConnection()

    return Server(config.server_addr, config.server_port, link, probe)


def _dialling(
    reactor: DialReactor,
    config: ClientConfig,
    connections: Connections,
    environ: Mapping[str, str],
) -> Dial:
    """Make what connects to the server, by itself or through a proxy."""
    host, port = config.server_addr, config.server_port
    try:
        proxy = proxy_for(config.proxy_url, environ, host, port)
    except BadValueError as why:
        raise ConfigError([f"http_proxy: {why}"]) from None

    async def dial_first(host: str, port: int) -> Stream:
        stream = await dial(
            reactor,
            host,
            port,
            timeout=config.dial_server_timeout_seconds,
            source=config.connect_server_local_ip,
            keepalive_seconds=config.dial_server_keepalive_seconds,
        )
        connections.add(stream)
        return stream

    if proxy is None:
        return lambda: dial_first(host, port)
    # Few reach their server so.
    from tunnelsvc.link.viaproxy import dial_proxy, through  # noqa: PLC0415

    _log.info("the server {host}:{port} is reached through the proxy {proxy}",
              host=host, port=port, proxy=str(proxy))  # fmt: skip

    async def dial_through() -> Stream:
        stream = await dial_proxy(proxy, dial_first)
        return await through(proxy, stream, host, port, reactor)

    return dial_through
