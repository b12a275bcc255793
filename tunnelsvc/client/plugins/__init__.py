# -*- test-case-name: tests.client.plugins.test_registry -*-
"""Client plugins: what serves a proxy's users instead of a local port.

Each is a module of its own, imported when a proxy names it; a client without plugins imports none
of this.
"""

from collections.abc import Awaitable, Mapping
from typing import Final, Protocol, cast

from attrs import frozen
from twisted.python.reflect import namedAny

from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor
from tunnelsvc.relay import Closed
from tunnelsvc.wire.messages import StartWorkConn

_HERE: Final = "tunnelsvc.client.plugins"
_PLUGINS: Final[Mapping[str, str]] = {
    "http2http": f"{_HERE}.gateway.Gateway",
    "http2https": f"{_HERE}.gateway.Gateway",
    "http_proxy": f"{_HERE}.httpproxy.HTTPProxyPlugin",
    "https2http": f"{_HERE}.gateway.Gateway",
    "https2https": f"{_HERE}.gateway.Gateway",
    "socks5": f"{_HERE}.socks5.Socks5Plugin",
    "static_file": f"{_HERE}.staticfile.StaticFilePlugin",
    "tls2raw": f"{_HERE}.tls2raw.TLSToRaw",
    "unix_domain_socket": f"{_HERE}.unixsocket.UnixDomainSocket",
}
"""By ``plugin``: the class, which is called with a `Place`."""


class Plugin(Protocol):
    """Serves the users of one proxy; made once for it."""

    def serve(
        self, stream: Stream, unread: bytes, start: StartWorkConn, *, far_half_closes: bool
    ) -> Awaitable[Closed | None]:
        """Hops 7 and 8: take a user's connection, and own it until its end.

        Args:
            stream: the work connection, dressed and parked.
            unread: bytes of it that were read before.
            start: who the user is.
            far_half_closes: whether the server can go on reading after its end of file.

        Returns:
            The account, in which near is this side; None if there is nothing to tell.

        Raises:
            LocalServiceUnavailable: with the reason for the log; the stream is cut for us.
        """


@frozen(eq=False)
class Place:
    """Where a plugin finds itself.

    Attributes:
        proxy: whose users it serves, its own parameters included.
        reactor: dials, and is the clock.
        connections: takes note of each connection that it makes.
    """

    proxy: ProxyConfig
    reactor: DialReactor
    connections: Connections


def make_plugin(place: Place) -> Plugin:
    """Make the plugin that a proxy names.

    Raises:
        ConfigError: a file that it needs can't be used.
    """
    assert place.proxy.plugin is not None
    return cast("Plugin", namedAny(_PLUGINS[place.proxy.plugin.name])(place))
