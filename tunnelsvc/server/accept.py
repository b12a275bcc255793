# -*- test-case-name: tests.server.test_accept -*-
"""What comes in on the bind port: recognise it, read its first message, give it to its owner.

One connection may pass here several times: the bare TCP connection, what is inside its TLS, and
each of the yamux streams inside that. Every pass has its time limit, and nothing is answered to
bytes that aren't frp's.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import frozen
from twisted.internet import error
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.handover import Parked, attach, host_of
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.messages import FIRST_MESSAGE_SECONDS, MessageProtocol
from tunnelsvc.link.mux import MuxSession
from tunnelsvc.link.muxstream import MuxStream
from tunnelsvc.link.switch import Route, Switch
from tunnelsvc.link.tls import TLSError, start_tls_server
from tunnelsvc.server.client import REFUSED_SECONDS
from tunnelsvc.server.clients import ClientRegistry
from tunnelsvc.server.visitors import VisitorDesk
from tunnelsvc.wire.messages import (
    Login,
    Message,
    NewVisitorConn,
    NewWorkConn,
)
from tunnelsvc.wire.sniff import IN_STREAM, IN_TLS, IN_WEBSOCKET, Kind

NORMAL = (error.ConnectionClosed, error.TimeoutError, RemoteProtocolError, TLSError)
"""What strangers do to a public port; anything else is a bug of ours."""
MOST_STREAMS_BEFORE_LOGIN = 32
"""Streams that a multiplexed connection may open before a valid login; a client opens one."""
LOGIN_SECONDS = FIRST_MESSAGE_SECONDS
"""How long a multiplexed connection may go without a valid login or work connection; the time that
server plugins may take to think about it comes on top."""


@frozen
class _Place:
    """Where a logical connection came in.

    Attributes:
        session: the multiplexed session that it is a stream of; None: none.
        judge: told whether its first message was accepted.
        judge_login: likewise if that was a login.
    """

    session: MuxSession | None
    judge: Callable[[bool], None]
    judge_login: Callable[[bool], None]


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
        self._visitors = VisitorDesk(registry)
        self._clock = registry.context.reactor
        self._tls = tls
        plain: dict[Kind, Route] = {
            Kind.YAMUX: self._multiplexed,
            **self._logical(_Place(None, _nobody, _nobody)),
        }
        # TLS, a websocket and TLS again is all that there can be: each layer costs memory.
        in_websocket = self._tls_routes(plain)
        self.secure_websocket = partial(self._websocket, in_websocket | plain)
        """Takes over a websocket (``wss``) for which TLS has ended: it counts as TLS."""
        users = partial(self._with_users, vhost, users_tls)
        self._outside = users(self._clients_routes(plain, plain, in_websocket))
        missing: dict[Kind, Route] = dict.fromkeys(plain, self._tls_missing)
        self._outside_tls_only = users(self._clients_routes(plain, missing, in_websocket))

    def _clients_routes(
        self, plain: dict[Kind, Route], open_: dict[Kind, Route], in_websocket: dict[Kind, Route]
    ) -> dict[Kind, Route]:
        """Give the routes of clients, on the bind port.

        Args:
            plain: of what is inside TLS.
            open_: of the same without TLS.
            in_websocket: of the TLS in one.
        """
        return {
            **self._tls_routes(plain | {Kind.WEBSOCKET: self.secure_websocket}),
            Kind.WEBSOCKET: partial(self._websocket, in_websocket | open_),
            **open_,
        }

    def _with_users(
        self,
        vhost: Route | None,
        users_tls: Callable[[Stream, bytes, Route], None] | None,
        routes: dict[Kind, Route],
    ) -> Mapping[Kind, Route]:
        """Add users who come in by the bind port, too; see `__init__`."""
        if users_tls is not None:
            routes[Kind.TLS] = partial(self._tls_of_whom, users_tls, routes[Kind.TLS])
        if vhost is not None:
            routes[Kind.HTTP] = vhost
        return routes

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

    def close(self) -> None:
        """Forget who is still to be answered."""
        self._visitors.close()

    def _tls_routes(self, inside: Mapping[Kind, Route]) -> dict[Kind, Route]:
        """Give what starts TLS, by how it begins, and looks for these inside."""

        def start(stream: Stream, seen: bytes) -> None:
            inner = start_tls_server(stream, self._tls, Parked(), self._clock, first_bytes=seen)
            inner.when_established().addErrback(self._nothing, stream)
            Switch(inner, self._clock, inside, IN_TLS)

        return {
            Kind.TLS_WITH_HEAD_BYTE: lambda stream, seen: start(stream, seen[1:]),
            Kind.TLS: start,
        }

    @staticmethod
    def _tls_of_whom(
        users_tls: Callable[[Stream, bytes, Route], None],
        otherwise: Route,
        stream: Stream,
        seen: bytes,
    ) -> None:
        users_tls(stream, seen, otherwise)

    def _websocket(self, inside: Mapping[Kind, Route], stream: Stream, seen: bytes) -> None:
        """Agree to a websocket, and look for these inside."""
        # Most clients come without.
        from tunnelsvc.server.websockets import accept_websocket  # noqa: PLC0415

        accepted = accept_websocket(stream, seen, self._clock, self._config.trusted_proxies)
        accepted.addCallback(
            lambda inner: inner and Switch(inner, self._clock, inside, IN_WEBSOCKET)
        ).addErrback(self._nothing, stream)

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
                Switch(inner, self._clock, inside, IN_STREAM)
            else:
                inner.abortConnection()

        session = MuxSession(
            client=False,
            clock=self._clock,
            on_stream=opened,
            keepalive_seconds=self._config.tcp_mux_keepalive_interval_seconds,
            first_bytes=seen,
        )
        inside = self._logical(_Place(session, probation.judge, probation.judge_login))
        probation.on_refused = session.close
        session.on_lost = probation.end
        session.makeConnection(stream)
        attach(stream, session)
        stream.resumeProducing()

    def _logical(self, place: _Place) -> Mapping[Kind, Route]:
        """Make the routes of logical connections, in either dialect."""
        return {
            Kind.MESSAGES: partial(self._messages, place),
            Kind.V2_MAGIC: partial(self._messages2, place),
        }

    def _messages(self, place: _Place, stream: Stream, seen: bytes) -> None:
        """Wait for the first message of a logical connection."""
        messages = MessageProtocol(stream, self._clock)
        self._give(messages.expect(FIRST_MESSAGE_SECONDS), messages, place)
        messages.start(seen)

    def _messages2(self, place: _Place, stream: Stream, seen: bytes) -> None:
        """Likewise in v2, where a hello may come before it."""
        # Few clients speak it.
        from tunnelsvc.control.hello import answer_hello  # noqa: PLC0415
        from tunnelsvc.wire.framing2 import V2  # noqa: PLC0415

        messages = MessageProtocol(stream, self._clock, V2)
        first = messages.expect(FIRST_MESSAGE_SECONDS)
        first.addCallback(lambda message: ensureDeferred(answer_hello(message, messages)))
        self._give(first, messages, place)
        messages.start(seen[len(V2.preface) :])

    def _give(self, first: Deferred[Any], messages: MessageProtocol, place: _Place) -> None:
        """Give a connection to its owner once the first message is there."""
        first.addCallback(self._first_message, messages, place)
        first.addErrback(self._nothing, messages.stream)

    def _first_message(
        self, message: Message | None, messages: MessageProtocol, place: _Place
    ) -> None:
        session, judge = place.session, place.judge
        valid: bool | Deferred[bool]
        match message:
            case Login():
                judge = place.judge_login
                valid = self._registry.login(messages, message, session)
            case NewWorkConn():
                direct = session is None
                valid = self._registry.work_connection(messages, message, direct=direct)
            case NewVisitorConn():
                self._visitors.receive(messages, message, judge)
                return
            case None:  # greeted in vain, and told so
                valid = False
            case _:
                messages.abort()
                valid = False
        if isinstance(valid, Deferred):
            valid.addCallback(judge).addErrback(self._nothing, messages.stream)
        else:
            judge(valid)

    def _nothing(self, failure: Failure, stream: Stream) -> None:
        """Nobody spoke, or not frp's language: normal on a public port, so no line at info."""
        stream.abortConnection()
        if not failure.check(*NORMAL):
            self.log.failure("{peer}: accepting failed", failure, peer=host_of(stream))
            return
        self.log.debug(
            "{peer}: nothing of ours: {why}", peer=host_of(stream), why=failure.getErrorMessage()
        )


def _nobody(_: bool) -> None:
    """Judge a connection that is nobody else's: it ends by itself."""


class _Probation:
    """What a multiplexed connection may do before it has shown a valid client.

    One refused login ends it, so that nobody guesses tokens at the speed of streams: soon for a
    client, which has opened one stream, and at once for whoever has opened more, or has come in by
    the secret of a proxy.
    """

    def __init__(self, stream: Stream, clock: IReactorTime, seconds: float) -> None:
        self.on_refused: Callable[[], None] = stream.loseConnection
        self._stream = stream
        self._clock = clock
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
        elif self._deadline.active():
            self._refused()

    def judge_login(self, valid: bool) -> None:
        """Likewise of a login, of which a client has one."""
        if self._valid and not valid:
            self.on_refused()
        else:
            self.judge(valid)

    def _refused(self) -> None:
        self._deadline.cancel()
        if self._streams_left < MOST_STREAMS_BEFORE_LOGIN - 1:
            self.on_refused()
        else:
            self._streams_left = 0
            self._deadline = self._clock.callLater(REFUSED_SECONDS, self.on_refused)

    def end(self, _: object = None) -> None:
        """Stop waiting: it is valid, or gone."""
        if self._deadline.active():
            self._deadline.cancel()
