# -*- test-case-name: tests.server.test_accept -*-
"""What comes in on the bind port: recognise it, read its first message, give it to its owner.

One connection may pass here several times: the bare TCP connection, what is inside its TLS, and
each of the yamux streams inside that. Every pass has its time limit, and nothing is answered to
bytes that aren't frp's.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.handover import Parked, attach, host_of
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.messages import FIRST_MESSAGE_SECONDS, MessageProtocol
from tunnelsvc.link.mux import MuxSession, MuxStream
from tunnelsvc.link.switch import Route, Switch
from tunnelsvc.link.tls import TLSError, start_tls_server
from tunnelsvc.server.clients import ClientRegistry
from tunnelsvc.wire.messages import (
    Login,
    Message,
    NewVisitorConn,
    NewVisitorConnResp,
    NewWorkConn,
)
from tunnelsvc.wire.sniff import IN_TLS, Kind

NORMAL = (error.ConnectionClosed, error.TimeoutError, RemoteProtocolError, TLSError)
"""What strangers do to a public port; anything else is a bug of ours."""
MOST_NAME_CHARACTERS = 256
"""Of a stranger's words that an answer repeats."""
MOST_STREAMS_BEFORE_LOGIN = 32
"""Streams that a multiplexed connection may open before a valid login; a client opens one."""
LOGIN_SECONDS = FIRST_MESSAGE_SECONDS
"""How long a multiplexed connection may go without a valid login or work connection; the time that
server plugins may take to think about it comes on top."""


class Acceptor:
    """Recognises and distributes connections."""

    log = Logger()

    def __init__(
        self,
        registry: ClientRegistry,
        tls: Any,
        vhost: Route | None,
        users_tls: Callable[[Stream, bytes, Route], None] | None = None,
    ) -> None:
        """Begin.

        Args:
            registry: who owns logins and work connections.
            tls: makes the server's side of TLS connections.
            vhost: takes over HTTP requests; None without vhost.
            users_tls: looks at TLS connections first, and takes over those of users, not of
                clients; None if users have another port.
        """
        self._registry = registry
        self._clock = registry.context.reactor
        self._tls = tls
        plain: dict[Kind, Route] = {
            Kind.YAMUX: self._multiplexed,
            Kind.MESSAGES: partial(self._messages, session=None, judge=lambda _: None),
            Kind.V2_MAGIC: partial(self._unsupported, "wire protocol v2"),
        }
        self._inside_tls: Mapping[Kind, Route] = plain
        outside: dict[Kind, Route] = {
            Kind.TLS_WITH_HEAD_BYTE: self._tls_with_head_byte,
            Kind.TLS: self._start_tls,
            Kind.WEBSOCKET: partial(self._unsupported, "websocket"),
        }
        if users_tls is not None:
            outside[Kind.TLS] = partial(self._tls_of_whom, users_tls)
        if vhost is not None:
            outside[Kind.HTTP] = vhost
        self._outside: Mapping[Kind, Route] = {**outside, **plain}
        self._outside_tls_only: Mapping[Kind, Route] = {
            **outside,
            **dict.fromkeys(plain, self._tls_missing),
        }

    @property
    def _config(self) -> ServerConfig:
        """What is in force at the moment."""
        return self._registry.context.config

    def reconfigure(self, tls: Any) -> None:
        """Begin TLS connections in another way from now on."""
        self._tls = tls

    def accept(self, stream: Stream) -> None:
        """Take a fresh, paused TCP connection."""
        tls_only = self._config.tls.only
        Switch(stream, self._clock, self._outside_tls_only if tls_only else self._outside)

    def _tls_with_head_byte(self, stream: Stream, seen: bytes) -> None:
        self._start_tls(stream, seen[1:])

    def _start_tls(self, stream: Stream, seen: bytes) -> None:
        inner = start_tls_server(stream, self._tls, Parked(), self._clock, first_bytes=seen)
        inner.when_established().addErrback(self._nothing, stream)
        Switch(inner, self._clock, self._inside_tls, IN_TLS)

    def _tls_of_whom(
        self, users_tls: Callable[[Stream, bytes, Route], None], stream: Stream, seen: bytes
    ) -> None:
        users_tls(stream, seen, self._start_tls)

    def _tls_missing(self, stream: Stream, seen: bytes) -> None:  # noqa: ARG002
        self.log.warn(
            "non-TLS connection received on a TlsOnly server, from {peer}", peer=host_of(stream)
        )
        stream.abortConnection()

    def _unsupported(self, what: str, stream: Stream, seen: bytes) -> None:  # noqa: ARG002
        self.log.warn(
            "{what} is not supported yet, closing {peer}", what=what, peer=host_of(stream)
        )
        stream.abortConnection()

    def _multiplexed(self, stream: Stream, seen: bytes) -> None:
        """Start a yamux session; one that never shows a valid client is cut."""
        hooks = self._registry.context.hooks
        probation = _Probation(
            stream, self._clock, LOGIN_SECONDS + (hooks.answer_seconds if hooks else 0.0)
        )

        def opened(inner: MuxStream) -> None:
            if probation.admits():
                self._messages(inner, b"", session=session, judge=probation.judge)
            else:
                inner.abortConnection()

        session = MuxSession(
            client=False,
            clock=self._clock,
            on_stream=opened,
            keepalive_seconds=self._config.tcp_mux_keepalive_interval_seconds,
            first_bytes=seen,
        )
        probation.on_refused = session.close
        session.on_lost = probation.end
        session.makeConnection(stream)
        attach(stream, session)
        stream.resumeProducing()

    def _messages(
        self,
        stream: Stream,
        seen: bytes,
        *,
        session: MuxSession | None,
        judge: Callable[[bool], None],
    ) -> None:
        """Wait for the first message of a logical connection."""
        messages = MessageProtocol(stream, self._clock)
        first = messages.expect(FIRST_MESSAGE_SECONDS)
        first.addCallback(self._first_message, messages, session=session, judge=judge)
        first.addErrback(self._nothing, stream)
        messages.start(seen)

    def _first_message(
        self,
        message: Message,
        messages: MessageProtocol,
        *,
        session: MuxSession | None,
        judge: Callable[[bool], None],
    ) -> None:
        valid: bool | Deferred[bool]
        match message:
            case Login():
                valid = self._registry.login(messages, message, session)
            case NewWorkConn():
                valid = self._registry.work_connection(messages, message, direct=session is None)
            case NewVisitorConn():
                valid = self._visitor(messages, message)
            case _:
                valid = False
                messages.abort()
        if isinstance(valid, Deferred):
            valid.addCallback(judge).addErrback(self._nothing, messages.stream)
        else:
            judge(valid)

    def _visitor(self, messages: MessageProtocol, message: NewVisitorConn) -> bool:
        """Refuse: no proxy type that has visitors exists here yet."""
        name = message.proxy_name[:MOST_NAME_CHARACTERS]
        error = f"custom listener for [{name}] doesn't exist"
        messages.send(NewVisitorConnResp(proxy_name=name, error=error))
        messages.close()
        return False

    def _nothing(self, failure: Failure, stream: Stream) -> None:
        """Nobody spoke, or not frp's language: normal on a public port, so no line at info."""
        stream.abortConnection()
        if not failure.check(*NORMAL):
            self.log.failure("{peer}: accepting failed", failure, peer=host_of(stream))
            return
        self.log.debug(
            "{peer}: nothing of ours: {why}", peer=host_of(stream), why=failure.getErrorMessage()
        )


class _Probation:
    """What a multiplexed connection may do before it has shown a valid client.

    One refused login ends it, so that nobody guesses tokens at the speed of streams.
    """

    def __init__(self, stream: Stream, clock: IReactorTime, seconds: float) -> None:
        self.on_refused: Callable[[], None] = stream.loseConnection
        self._stream = stream
        self._deadline: IDelayedCall = clock.callLater(seconds, stream.abortConnection)
        self._streams_left = MOST_STREAMS_BEFORE_LOGIN
        self._valid = False

    def admits(self) -> bool:
        """Tell whether one more stream may be opened; one too many ends the connection."""
        if self._valid:
            return True
        self._streams_left -= 1
        if self._streams_left < 0:
            self._stream.abortConnection()
        return self._streams_left >= 0

    def judge(self, valid: bool) -> None:
        """Take note of whether a first message was accepted."""
        if valid:
            self._valid = True
            self.end()
        elif not self._valid:
            self.on_refused()

    def end(self, _: object = None) -> None:
        """Stop waiting: it is valid, or gone."""
        if self._deadline.active():
            self._deadline.cancel()
