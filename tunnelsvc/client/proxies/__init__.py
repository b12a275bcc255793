# -*- test-case-name: tests.client.test_service -*-
"""Proxy types of the client: who serves the users of a proxy.

A new type is a module here, and a line in `make_proxy` unless its users are byte streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tunnelsvc.client.limits import limit_of
from tunnelsvc.client.proxies.stream import StreamProxy
from tunnelsvc.config.proxies import ProxyConfig, SUDPProxyConfig, UDPProxyConfig
from tunnelsvc.control.session import Session
from tunnelsvc.handover import Connections
from tunnelsvc.link.dial import DialReactor
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.wire.messages import StartWorkConn

if TYPE_CHECKING:
    from tunnelsvc.client.inspection import Inspector

__all__ = ["ClientProxy", "StreamProxy", "make_proxy"]


class ClientProxy(Protocol):
    """One proxy as the client has it.

    Attributes:
        config: as in the file.
        serving: how many user connections aren't over.
        dial_error: why the latest user didn't reach the service; empty: he did.
    """

    config: ProxyConfig
    serving: int
    dial_error: str

    async def serve(self, session: Session, work: MessageProtocol, start: StartWorkConn) -> None:
        """Hops 6 to 9 of a user connection; docs/flow.md has them."""

    def close(self) -> None:
        """Drop what is held for users in general; connections of single ones live on."""


def make_proxy(
    config: ProxyConfig,
    reactor: DialReactor,
    key: bytes,
    connections: Connections,
    inspector: Inspector | None = None,
) -> ClientProxy:
    """Make what serves the users of a proxy.

    Args:
        config: the proxy.
        reactor: connects to the local service.
        key: of the cipher, derived from the token.
        connections: takes note of each connection to the service.
        inspector: is told of the requests, if it is to be inspected.
    """
    if isinstance(config, UDPProxyConfig | SUDPProxyConfig):
        # Most clients have none, and each costs memory.
        from tunnelsvc.client.proxies.udp import SUDPProxy, UDPProxy  # noqa: PLC0415

        kind = SUDPProxy if isinstance(config, SUDPProxyConfig) else UDPProxy
        return kind(config, reactor, key, limit_of(config, reactor))
    made = StreamProxy(config, reactor, key, connections, limit=limit_of(config, reactor))
    if config.plugin is not None:
        # Likewise.
        from tunnelsvc.client.plugins import Place, make_plugin  # noqa: PLC0415

        made.plugin = make_plugin(Place(config, reactor, connections))
    if config.inspect and inspector is not None:
        from tunnelsvc.client.inspection.serving import Inspected  # noqa: PLC0415 - likewise
        from tunnelsvc.client.plugins import Place  # noqa: PLC0415

        made.plugin = Inspected(Place(config, reactor, connections), made.plugin, inspector)
    return made
