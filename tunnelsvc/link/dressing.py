# -*- test-case-name: tests.link.test_links -*-
"""What the client puts on a connection to its server: a websocket, TLS, or one in the other.

By ``protocol``, from outside in (protocol notes 1.1); what is in brackets by ``tls_enable``:

- ``tcp``: [TLS]
- ``websocket``: HTTP upgrade, frames, [TLS]
- ``wss``: TLS, HTTP upgrade, frames
"""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.error import ConnectionClosed

from tunnelsvc.addresses import bracketed
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.errors import RemoteProtocolError, TLSError
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor, Unreachable

Dress = Callable[[Stream], Coroutine[Any, Any, Stream]]
"""Takes a connected stream, parked, and gives that for logical connections, parked too.

Raises ``ConnectError``; the stream is reset then.
"""

DEFAULT_PORTS = {"ws": 80, "wss": 443}
"""Those that a ``Host`` doesn't have (RFC 6455 section 3)."""


def dressing(reactor: DialReactor, config: ClientConfig) -> Dress:
    """Make what does it for one server.

    Args:
        reactor: the clock.
        config: which server, and what.

    Raises:
        ConfigError: a TLS file can't be used.
    """
    match config.protocol:
        case "websocket":
            tls = _tls(reactor, config, marked=True) if config.tls.enable else _as_it_is
            return _one_by_one(_websocket(reactor, config, "ws", config.server_addr), tls)
        case "wss":
            # What ends TLS is no frps, and doesn't know frp's mark.
            tls = _tls(reactor, config, marked=False)
            name = config.tls.server_name or config.server_addr
            return _one_by_one(tls, _websocket(reactor, config, "wss", name))
    return _tls(reactor, config, marked=True) if config.tls.enable else _as_it_is


async def _as_it_is(stream: Stream) -> Stream:
    return stream


def _one_by_one(outer: Dress, inner: Dress) -> Dress:
    async def dress(stream: Stream) -> Stream:
        return await inner(await outer(stream))

    return dress


def _tls(reactor: DialReactor, config: ClientConfig, *, marked: bool) -> Dress:
    """Make what starts TLS; the handshake goes on while others write already."""
    # Who doesn't want it needn't have it in memory.
    from tunnelsvc.link.tls import client_tls, start_tls_client  # noqa: PLC0415

    connections = client_tls(config.tls, config.server_addr)
    head_byte = marked and not config.tls.disable_custom_first_byte

    async def dress(stream: Stream) -> Stream:
        return start_tls_client(stream, connections, Parked(), reactor, head_byte=head_byte)

    return dress


def _websocket(reactor: DialReactor, config: ClientConfig, scheme: str, name: str) -> Dress:
    # Likewise.
    from tunnelsvc.link.upgrade import ask_for_websocket  # noqa: PLC0415

    # A zone, as in fe80::1%eth0, means nothing to others (RFC 6874 section 3).
    host = bracketed(name.partition("%")[0])
    if config.server_port != DEFAULT_PORTS[scheme]:
        host = f"{host}:{config.server_port}"

    async def dress(stream: Stream) -> Stream:
        try:
            return await ask_for_websocket(stream, host, reactor)
        except (RemoteProtocolError, TLSError, ConnectionClosed) as why:
            raise Unreachable(f"no websocket: {why}") from why

    return dress
