"""A server at the other end of a link, in memory."""

from collections.abc import Callable
from random import Random

from twisted.internet import error
from twisted.internet.task import Clock

from tests.streams import MemoryStream, pair, pump
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.session import LoginTerms, SessionOwner
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.links import Link, Server
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import Login, LoginResp, Message

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
        messages = MessageProtocol(stream, self.clock)
        messages.on_message = lambda message: self.first(messages, message)
        messages.start()

    def first(self, messages: MessageProtocol, message: Message) -> None:
        if not isinstance(message, Login):
            self.heard.append(message)
            self.work.append(messages)
            return
        self.logins.append(message)
        self.control = messages
        messages.on_message = self.heard.append
        answer = self.answer(message)
        if answer is not None:
            messages.send(answer)
            if isinstance(answer, LoginResp) and not answer.error:
                messages.encrypt(derive_key(TOKEN))

    def pump(self) -> None:
        known = -1
        while known != len(streams := [one for link in self.links for one in link.streams]):
            known = len(streams)
            pump(*streams)

    def say(self, message: Message) -> None:
        self.control.send(message)
        self.pump()


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
