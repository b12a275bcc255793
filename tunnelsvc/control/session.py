# -*- test-case-name: tests.control.test_session -*-
"""The client's side of one login: from the connection to the loss of it."""

import platform
from collections.abc import Callable
from random import Random
from typing import Protocol
from weakref import WeakSet

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from tunnelsvc import __version__
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.cipher import protect
from tunnelsvc.control.heartbeat import Pinger, Watchdog
from tunnelsvc.errors import LoginRefused, RemoteProtocolError, TunnelError
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.links import Connect, Link
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.wire.dialect import V1, Dialect, payload_dialect
from tunnelsvc.wire.messages import (
    WIRE_VERSION,
    Login,
    LoginResp,
    Message,
    NewVisitorConn,
    Pong,
    ReqWorkConn,
)

LOGIN_SECONDS = 10.0
"""How long the server may take to answer a login (protocol notes 3.1)."""
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}
"""Go's names for processors, as frp's dashboards show them."""


class SessionOwner(Protocol):
    """Who is told what happens in a session."""

    def message_received(self, message: Message) -> None:
        """The server sent something other than a heartbeat or a wish for work connections."""

    def work_connection_wanted(self, session: "Session") -> None:
        """The server wants one more work connection."""


@frozen(kw_only=True)
class LoginTerms:
    """What a login needs besides the connection."""

    config: ClientConfig
    auth: TokenAuth
    clock: IReactorTime
    random: Random
    owner: SessionOwner


@define(eq=False)
class Session:
    """A login that holds.

    Attributes:
        run_id: what the server knows us by.
        server_is_ours: whether the other end can half-close, and opens streams itself.
        server_version: frp's, as the server says it.
        direct_work_conns: work connections to keep ready beside a multiplexed link.
        users: how many user connections it carries.
    """

    link: Link
    messages: MessageProtocol
    terms: LoginTerms
    run_id: str
    server_is_ours: bool
    server_version: str
    direct_work_conns: int
    started_at: float
    users: int = field(default=0, init=False)
    _pinger: Pinger | None = field(default=None, init=False)
    _watchdog: Watchdog | None = field(default=None, init=False)
    _direct: WeakSet[Stream] = field(factory=WeakSet, init=False)
    """Connections of their own beside the link's."""

    @property
    def dialect(self) -> Dialect:
        """In which messages are written, on each logical connection of the session."""
        return self.messages.dialect

    @property
    def payload_dialect(self) -> Dialect:
        """In which messages are written that carry users' bytes (udp, sudp)."""
        return payload_dialect(self.dialect, self.server_version)

    def run(self) -> None:
        """Start the heartbeat."""
        config, clock = self.terms.config, self.terms.clock
        self._watchdog = Watchdog(clock, self._heartbeat_timeout(), self._silent)
        self._pinger = Pinger(
            clock,
            config.heartbeat_interval_seconds,
            lambda: self.messages.send(self.terms.auth.ping()),
            self.terms.random,
        )

    def _heartbeat_timeout(self) -> float:
        """Without pings of ours there are no pongs to wait for."""
        config = self.terms.config
        if config.heartbeat_interval_seconds <= 0:
            return 0.0
        return config.heartbeat_timeout_seconds

    def received(self, message: Message) -> None:
        """Handle what belongs to the session, pass on the rest."""
        match message:
            case Pong():
                self._pong(message)
            case ReqWorkConn():
                self.terms.owner.work_connection_wanted(self)
            case _:
                self.terms.owner.message_received(message)

    def _pong(self, pong: Pong) -> None:
        if pong.error:
            self._fail(f"the server refused our heartbeat: {pong.error}")
        elif self._watchdog is not None:
            self._watchdog.feed()

    def _silent(self) -> None:
        self.cut()
        self._fail("the server's heartbeat stopped")

    def cut(self) -> None:
        """End what the link doesn't take along: the server doesn't answer any more.

        Nothing else would tell the users' services for hours.
        """
        for stream in list(self._direct):
            stream.abortConnection()

    def _fail(self, why: str) -> None:
        on_lost = self.messages.on_lost
        self.abort()
        on_lost(Failure(TunnelError(why)))

    def user_gone(self) -> None:
        """Count one user connection less."""
        self.users -= 1

    def retire(self, on_lost: Callable[[Failure], None]) -> None:
        """Go on for the users that are there, and those whom the server has accepted by now.

        Args:
            on_lost: is told if it ends by itself.
        """
        self.messages.on_message = self._received_retired
        self.messages.on_lost = on_lost

    def _received_retired(self, message: Message) -> None:
        """Leave out what is for the owner, who has another session."""
        if isinstance(message, Pong | ReqWorkConn):
            self.received(message)

    def close(self) -> None:
        """Say goodbye; ``on_lost`` of the messages is not called any more."""
        self._end()
        self.messages.close()
        self.link.close()

    def abort(self) -> None:
        """Drop a session that is of no use any more; likewise."""
        self._end()
        self.messages.abort()
        self.link.abort()

    def _end(self) -> None:
        self.messages.on_lost = lambda _: None
        for timer in (self._pinger, self._watchdog):
            if timer is not None:
                timer.stop()

    async def open_work(self) -> MessageProtocol:
        """Open a work connection and say whose it is.

        Raises:
            ConnectError: the server can't be reached.
            ConnectionLost: the link is gone, or takes no more streams.
        """
        return self._work(await self.link.open())

    async def open_direct_work(self) -> MessageProtocol:
        """Open one that shares its connection with no other.

        Raises:
            ConnectError: the server can't be reached.
        """
        stream = await self.link.open_direct()
        self._direct.add(stream)
        return self._work(stream)

    async def open_visitor(self, first: NewVisitorConn) -> MessageProtocol:
        """Open a visitor connection and say whom it visits.

        Raises:
            ConnectError, ConnectionLost: see `open_work`.
            LocalProtocolError: `first` is longer than the protocol allows.
        """
        return self._begin(await self.link.open(), first)

    def _work(self, stream: Stream) -> MessageProtocol:
        return self._begin(stream, self.terms.auth.new_work_conn(self.run_id))

    def _begin(self, stream: Stream, first: Message) -> MessageProtocol:
        messages = MessageProtocol(stream, self.terms.clock, self.dialect)
        messages.start()
        messages.send_preface()
        try:
            messages.send(first)
        except BaseException:
            messages.abort()
            raise
        return messages


def greeting(terms: LoginTerms, run_id: str) -> Login:
    """Make the first message of a control connection."""
    config = terms.config
    login = Login(
        version=WIRE_VERSION,
        hostname=platform.node(),
        os=platform.system().lower(),
        arch=_MACHINES.get(platform.machine(), platform.machine()),
        user=config.user,
        client_id=config.client_id,
        run_id=run_id,
        metas=dict(config.metas),
        pool_count=config.pool_count,
        tunnelsvc=__version__,
    )
    return terms.auth.sign_login(login)


def _dialect(config: ClientConfig) -> Dialect:
    if config.wire_protocol == V1.name:
        return V1
    from tunnelsvc.wire.framing2 import V2  # noqa: PLC0415 - few clients speak it

    return V2


async def _greet(messages: MessageProtocol, terms: LoginTerms, login: Login) -> Message:
    """Say who we are, and what we speak; return the answer."""
    messages.send_preface()
    if messages.dialect is V1:
        messages.send(login)
        return await messages.expect(LOGIN_SECONDS)
    from tunnelsvc.control.hello import hear_answer, say_hello  # noqa: PLC0415 - likewise

    hello = say_hello(messages, terms.config)
    messages.send(login)
    await hear_answer(messages, hello, LOGIN_SECONDS)
    return await messages.expect(LOGIN_SECONDS)


async def log_in(connect: Connect, terms: LoginTerms, run_id: str) -> Session:
    """Connect and log in.

    Args:
        connect: makes the link.
        terms: who we are.
        run_id: of an earlier session, to take its place; empty for the first.

    Raises:
        LoginRefused: with the server's text.
        ConnectError, ConnectionLost, TimeoutError, RemoteProtocolError: it didn't come to that.
    """
    link = await connect()
    try:
        messages = MessageProtocol(await link.open(), terms.clock, _dialect(terms.config))
    except BaseException:
        link.abort()
        raise
    try:
        messages.start()
        answer = await _greet(messages, terms, greeting(terms, run_id))
        if not isinstance(answer, LoginResp):
            raise RemoteProtocolError(f"expected LoginResp, got {type(answer).__name__}")
        if answer.error:
            raise LoginRefused(answer.error)
    except BaseException:
        messages.abort()
        link.abort()
        raise
    protect(messages, terms.auth.token, server=False)
    session = Session(
        link=link,
        messages=messages,
        terms=terms,
        run_id=answer.run_id,
        server_is_ours=bool(answer.tunnelsvc),
        server_version=answer.version,
        direct_work_conns=answer.direct_work_conns,
        started_at=terms.clock.seconds(),
    )
    messages.on_message = session.received
    return session
