"""A plugin between a user and local services, in memory."""

from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.support import TellingStream, telling_pair
from tests.link.tlspair import Reader
from tests.loglines import LogLines
from tests.streams import Recorder, pump, recorded
from tunnelsvc.client import local
from tunnelsvc.client.plugins import Place, make_plugin
from tunnelsvc.config.proxies import PluginConfig, ProxyConfig
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.certificates import client_context, self_signed, site_context
from tunnelsvc.link.opensslengine import OpenSSLEngine
from tunnelsvc.link.tlstransport import TLSTransport
from tunnelsvc.relay import Closed
from tunnelsvc.wire.messages import StartWorkConn

HANDSHAKE_SECONDS = 60.0
"""Of the outer ends; longer than the plugin's."""

USER = StartWorkConn(proxy_name="web", src_addr="198.51.100.9", src_port=5)

IDENTITY = self_signed()


class PluginCase(SynchronousTestCase):
    """Makes a plugin, users and services.

    Attributes:
        user: the outer end of the latest user's connection.
        at_user: reads it.
        services: the outer ends of connections to the local service.
        at_services: read them.
        dialled: where the plugin meant to connect to.
        refused: with what it fails, if it does.
    """

    user: Any
    at_user: Recorder

    def setUp(self) -> None:
        self.clock = Clock()
        self.lines = LogLines(self)
        self.services: list[Any] = []
        self.at_services: list[Recorder] = []
        self.dialled: list[tuple[str, int]] = []
        self.refused: error.ConnectError | None = None
        self.service_tls = False
        self.low: list[TellingStream] = []
        self.patch(local, "dial", self.dial)

    def make(self, config: PluginConfig, proxy_type: str = "tcp", **options: Any) -> None:
        """Make the plugin of a proxy of this type."""
        reactor: Any = self.clock
        proxy = ProxyConfig(name="web", type=proxy_type, plugin=config, **options)
        self.connections = Connections()
        self.plugin = make_plugin(Place(proxy, reactor, self.connections))

    async def dial(self, reactor: object, host: str, port: int, *, timeout: float) -> Stream:
        """Connect to a service that is there at once."""
        self.dialled.append((host, port))
        if self.refused is not None:
            raise self.refused
        outer, inner = telling_pair("service")
        self.low.append(outer)
        if self.service_tls:
            reader = Reader()
            connection = site_context(IDENTITY, [b"http/1.1"])()
            self.services.append(self.tls(outer, connection, reader))
            self.at_services.append(reader)
        else:
            self.services.append(outer)
            self.at_services.append(recorded(outer))
        return inner

    def tls(self, low: Any, connection: SSL.Connection, reader: Any) -> TLSTransport:
        """Begin TLS on an outer end."""
        made = TLSTransport(low, OpenSSLEngine(connection), reader, self.clock, HANDSHAKE_SECONDS)
        made.start()
        return made

    def connect(
        self, unread: bytes = b"", start: StartWorkConn = USER, *, far_half_closes: bool = True
    ) -> None:
        """Let a user come, whose first bytes were read already."""
        outer, self.near = telling_pair("user")
        self.low.append(outer)
        self.user, self.at_user = outer, recorded(outer)
        serving = self.plugin.serve(self.near, unread, start, far_half_closes=far_half_closes)
        self.served: Deferred[Closed | None] = ensureDeferred(serving)  # type: ignore[arg-type]
        self.pump()

    def connect_tls(self, name: str = "", *, protocols: Sequence[bytes] = (), **how: Any) -> None:
        """Let a user come who speaks TLS, and says to whom he does if `name` isn't empty."""
        self.connect(**how)
        connection = client_context(TLSConfig(), name or "127.0.0.1", protocols)()
        self.user_tls = connection
        self.at_user = Reader()
        self.user = self.tls(self.user, connection, self.at_user)
        self.pump()

    def pump(self) -> None:
        """Move all that can move, through connections too that are made meanwhile."""
        count = -1
        while count != len(self.low):
            count = len(self.low)
            for _ in range(8):
                pump(*self.low)
                self.clock.advance(0)
            pump(*self.low)

    def ask(self, data: bytes) -> None:
        """Let the user write."""
        self.user.write(data)
        self.pump()

    def answer(self, data: bytes, connection: int = -1) -> None:
        """Let the service write."""
        self.services[connection].write(data)
        self.pump()

    def received(self, connection: int = -1) -> bytes:
        """Give what came to the service on one connection, and forget it."""
        data = bytes(self.at_services[connection].received)
        self.at_services[connection].received.clear()
        return data

    def shown(self) -> bytes:
        """Give what the user received since the last time."""
        data = bytes(self.at_user.received)
        self.at_user.received.clear()
        return data

    def account(self) -> Closed:
        """Give the account of the user's connection, which is over."""
        closed = self.successResultOf(self.served)
        assert closed is not None
        return closed
