"""A server at the other end of a link, in memory."""

from collections.abc import Callable
from random import Random

from twisted.internet import error
from twisted.internet.task import Clock

from tests.streams import MemoryStream, pair, pump
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.cipher import protect
from tunnelsvc.control.session import LoginTerms, Session, SessionOwner
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.links import Link, Server
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.link.switch import Switch
from tunnelsvc.wire.framing2 import V2, Hello
from tunnelsvc.wire.hello import answer_client_hello
from tunnelsvc.wire.messages import Login, LoginResp, Message
from tunnelsvc.wire.sniff import Kind

TOKEN = "12345678"


class FakeLink:
    """Opens streams to the fake server."""

    def __init__(self, server: "FakeServer") -> None:
        self.server = server
        self.closed = False
        self.streams: list[MemoryStream] = []

    async def open(self) -> Stream:
        near, far = pair("link")
        self.streams.append(far)
        self.server.accept(far)
        return near

    async def open_direct(self) -> Stream:
        return await self.open()

    def accept(self, on_stream: Callable[[Stream], None]) -> None:
        self.on_stream = on_stream

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True
        for stream in self.streams:
            stream.abortConnection()


class FakeServer:
    """Answers the first stream of each link as a server answers a login."""

    def __init__(self, clock: Clock, host: str = "vps") -> None:
        self.clock = clock
        self.host = host
        self.up = True
        self.probes = 0
        self.answer: Callable[[Login], Message | None] = lambda _: LoginResp(run_id="r1")
        self.links: list[FakeLink] = []
        self.logins: list[Login] = []
        self.heard: list[Message] = []
        self.control: MessageProtocol
        self.work: list[MessageProtocol] = []
        self.hello: Callable[[Hello], Hello] | None = None
        """Answers the hellos of clients that speak v2; None: as a server does."""

    def listed(self) -> Server:
        """Give the server as a client has it in its list."""
        return Server(self.host, 7000, self.connect, self.probe)

    async def probe(self) -> None:
        self.probes += 1
        if not self.up:
            raise error.ConnectionRefusedError

    async def connect(self) -> Link:
        if not self.up:
            raise error.ConnectionRefusedError
        self.links.append(FakeLink(self))
        return self.links[-1]

    def accept(self, stream: MemoryStream) -> None:
        routes = {Kind.MESSAGES: self.accept1, Kind.V2_MAGIC: self.accept2}
        Switch(stream, self.clock, routes)

    def accept1(self, stream: Stream, seen: bytes) -> None:
        messages = MessageProtocol(stream, self.clock)
        messages.on_message = lambda message: self.first(messages, message)
        messages.start(seen)

    def accept2(self, stream: Stream, seen: bytes) -> None:
        messages = MessageProtocol(stream, self.clock, V2)
        messages.on_message = lambda message: self.first(messages, message)
        messages.start(seen[len(V2.preface) :])

    def first(self, messages: MessageProtocol, message: Message) -> None:
        if isinstance(message, Hello):
            answer, messages.negotiated = answer_client_hello(message)
            messages.send(answer if self.hello is None else self.hello(answer))
            return
        if not isinstance(message, Login):
            self.heard.append(message)
            self.work.append(messages)
            return
        self.logins.append(message)
        self.control = messages
        messages.on_message = self.heard.append
        reply = self.answer(message)
        if reply is not None:
            messages.send(reply)
            if isinstance(reply, LoginResp) and not reply.error:
                protect(messages, TOKEN, server=True)

    def pump(self) -> None:
        known = -1
        while known != len(streams := [one for link in self.links for one in link.streams]):
            known = len(streams)
            pump(*streams)

    def say(self, message: Message) -> None:
        self.control.send(message)
        self.pump()


class RecordingOwner:
    """A `ClientEvents` and `SessionOwner` that keeps what it is told."""

    events: list[str]
    sessions: list[Session]

    def logged_in(self, session: Session) -> None:
        self.sessions.append(session)
        self.events.append("in")

    def leaving(self) -> None:
        self.events.append("leaving")

    def session_lost(self) -> None:
        self.events.append("lost")

    def gave_up(self, message: str) -> None:
        self.events.append(message)

    def message_received(self, message: Message) -> None:
        raise AssertionError(message)

    def work_connection_wanted(self, session: Session) -> None:
        raise AssertionError(session)


def terms(clock: Clock, owner: SessionOwner, **options: object) -> LoginTerms:
    """Make what a login needs."""
    config = ClientConfig(server_addr="vps", token=TOKEN, **options)  # type: ignore[arg-type]
    auth = TokenAuth(
        token=TOKEN,
        heartbeats=config.authenticate_heartbeats,
        new_work_conns=config.authenticate_new_work_conns,
        now=clock.seconds,
    )
    return LoginTerms(config=config, auth=auth, clock=clock, random=Random(1), owner=owner)
