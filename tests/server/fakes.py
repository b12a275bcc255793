"""A server without sockets, and clients that talk to it."""

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.internet.testing import MemoryReactorClock

from tests.streams import MemoryStream, pair, pump
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.cipher import protect
from tunnelsvc.gateway.router import Router
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.server.clients import ClientRegistry
from tunnelsvc.server.context import ServerContext
from tunnelsvc.server.ports import PortManager
from tunnelsvc.server.work import Opener
from tunnelsvc.wire.dialect import V1, Dialect
from tunnelsvc.wire.hello import (
    Bootstrap,
    accept_server_hello,
    answer_client_hello,
    make_client_hello,
)
from tunnelsvc.wire.messages import Login, LoginResp, Message, NewWorkConn, StartWorkConn

TOKEN = "12345678"


class Listening:
    """A port of `Reactor`."""

    def __init__(self, reactor: "Reactor", number: int, factory: ServerFactory) -> None:
        self.reactor, self.number, self.factory = reactor, number, factory

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def startListening(self) -> None:
        pass

    def stopListening(self) -> Deferred[None]:
        del self.reactor.listening[self.number]
        return maybeDeferred(lambda: None)


class Reactor(MemoryReactorClock):
    """Listens in memory; each number once."""

    def __init__(self) -> None:
        super().__init__()
        self.listening: dict[int, Listening] = {}

    def listenTCP(
        self, port: int, factory: ServerFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        number = port or 50000 + len(self.listening)
        if number in self.listening:
            raise CannotListenError(interface, number, OSError("in use"))
        self.listening[number] = Listening(self, number, factory)
        return self.listening[number]  # type: ignore[return-value]

    def user(self, number: int) -> MemoryStream:
        """Connect a user to a listening port; returns the user's end."""
        outer, inner = pair(f"user-of-{number}")
        protocol = self.listening[number].factory.buildProtocol(IPv4Address("TCP", "1.2.3.4", 5))
        assert protocol is not None
        inner.protocol = protocol  # type: ignore[assignment]
        protocol.makeConnection(inner)
        return outer


def make_registry(**options: Any) -> ClientRegistry:
    """Make a server's clients with all that they need."""
    reactor = Reactor()
    options.setdefault("vhost_http_port", 8080)
    config = ServerConfig(token=TOKEN, **options)
    context = ServerContext(
        reactor=reactor,
        config=config,
        ports=PortManager(reactor, reactor, "127.0.0.1", config.allow_ports),
        router=Router(),
        stats=ServerStats(now=reactor.seconds),
        takes_http=bool(config.vhost_http_port),
    )
    auth = TokenAuth(
        token=TOKEN,
        heartbeats=config.authenticate_heartbeats,
        new_work_conns=config.authenticate_new_work_conns,
        now=reactor.seconds,
    )
    return ClientRegistry(context, auth)


class FakeClient:
    """Logs in to a registry, and opens work connections when told to."""

    def __init__(
        self,
        registry: ClientRegistry,
        *,
        session: Opener | None = None,
        dialect: Dialect = V1,
        **login: Any,
    ) -> None:
        self.registry = registry
        self.dialect = dialect
        self.reactor: Reactor = registry.context.reactor
        self.heard: list[Message] = []
        self.streams: list[MemoryStream] = []
        self.on_start: Callable[[MessageProtocol, StartWorkConn], None] = lambda *_: None
        self.messages, server_end = self._connect()
        self.messages.on_message = self._hear
        if dialect is not V1:
            self._greet(server_end)
        message = registry.auth.sign_login(Login(**{"version": "0.70.1", **login}))
        self.valid = registry.login(server_end, message, session)
        self.pump()

    def _connect(self) -> tuple[MessageProtocol, MessageProtocol]:
        ours, theirs = pair("client")
        self.streams.append(ours)
        near = MessageProtocol(ours, self.reactor, self.dialect)
        far = MessageProtocol(theirs, self.reactor, self.dialect)
        near.start()
        far.start()
        return near, far

    def _greet(self, server_end: MessageProtocol) -> None:
        """Both ends of a hello."""
        hello = make_client_hello(Bootstrap())
        answer, server_end.negotiated = answer_client_hello(hello)
        self.messages.negotiated = accept_server_hello(hello, answer)

    def _hear(self, message: Message) -> None:
        self.heard.append(message)
        if isinstance(message, LoginResp) and not message.error:
            self.run_id = message.run_id
            protect(self.messages, TOKEN, server=False)

    def pump(self) -> None:
        pump(*self.streams)

    def say(self, message: Message) -> Message:
        """Send; return the latest message heard."""
        self.messages.send(message)
        self.pump()
        return self.heard[-1]

    def work(self, message: NewWorkConn | None = None) -> MessageProtocol:
        """Open a work connection; its first message goes to `on_start`."""
        near, far = self._connect()
        near.on_message = lambda start: self.on_start(near, start)  # type: ignore[arg-type]
        if message is None:
            message = self.registry.auth.new_work_conn(self.run_id)
        self.registry.work_connection(far, message, direct=False)
        self.pump()
        return near
