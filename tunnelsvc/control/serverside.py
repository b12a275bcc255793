# -*- test-case-name: tests.control.test_serverside -*-
r"""The server's half of a conversation with one client: login, requests, end.

The machine, as ``automat-visualize tunnelsvc.control.serverside`` draws it::

    Greeting --accept--> Serving --drop, lost--> Closing --closed--> Closed
        \------------drop, lost-----------------/

It begins when the login was found good: a bad one is answered and forgotten.
"""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Protocol

from attrs import define, field
from automat import TypeMachineBuilder, pep614
from twisted.internet import error
from twisted.internet.defer import Deferred, DeferredLock, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.cipher import protect
from tunnelsvc.control.heartbeat import Watchdog
from tunnelsvc.errors import LocalProtocolError
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.units import MiB
from tunnelsvc.wire.framing import to_json
from tunnelsvc.wire.messages import (
    WIRE_VERSION,
    CloseProxy,
    LoginResp,
    Message,
    NewProxy,
    NewProxyResp,
    Ping,
    Pong,
    ReqWorkConn,
)

NO_DETAILS = "register control error"
"""What a client reads of a refused login where ``detailed_errors_to_client`` is off."""
MOST_WAITING = 10_000
"""Requests of one client that wait for their turn: more than it may have proxies."""
MOST_WAITING_BYTES = 8 * MiB
"""Likewise, as they were on the wire: those of v2 may have 64 KiB each. A server plugin may keep
all of them waiting."""


class ClientDesk(Protocol):
    """Who serves the requests of one client."""

    async def new_proxy(self, request: NewProxy) -> NewProxyResp:
        """Open a proxy; refusals are in the answer."""

    async def close_proxy(self, name: str) -> None:
        """Close a proxy; unknown names are ignored."""

    async def close_all(self) -> None:
        """Close all that the client had."""

    def hears_pings(self) -> bool:
        """Tell whether somebody wants to be asked about pings."""

    async def ping(self, ping: Ping) -> str:
        """Ask about a ping; return why the client can't stay, empty if it can."""


class ServerControl(Protocol):
    """Inputs of the machine. Callers never ask for the state."""

    def accept(self, response: LoginResp, work_connections: int) -> None:
        """The place is free: answer, encrypt, ask for the first work connections."""

    def received(self, message: Message) -> None:
        """The client sent a message."""

    def judged(self, error: str) -> None:
        """A ping was looked at; it is answered with this error, or with none."""

    def ask_work_connection(self) -> None:
        """Ask the client for one more work connection."""

    def drop(self, reason: str) -> None:
        """End the conversation from our side."""

    def lost(self, reason: Failure) -> None:
        """The connection is gone."""

    def closed(self) -> None:
        """Everything that the client had is closed."""


@define(eq=False)
class ControlCore:
    """What the states share."""

    messages: MessageProtocol
    desk: ClientDesk
    auth: TokenAuth
    clock: IReactorTime
    heartbeat_timeout_seconds: float
    on_end: Callable[[str], None]
    """Called once with the reason when the conversation ends."""
    detailed_errors: bool = True
    """Whether a client that is turned away is told why."""
    ended: Deferred[None] = field(factory=Deferred)
    """Fires when everything is closed."""
    watchdog: Watchdog | None = None
    judging: bool = False
    """Whether somebody is being asked about a ping."""
    turn: DeferredLock = field(factory=DeferredLock)
    """Requests are answered one after the other, in order (protocol notes 5.1)."""
    timed_out: bool = False
    """Whether the end is that the client doesn't answer."""
    waiting_bytes: int = 0
    """Of those that wait for it."""
    log: ClassVar[Logger] = Logger()

    def in_turn(
        self, answer: Callable[[], Coroutine[Any, Any, None]], length: int = 0
    ) -> Deferred[None]:
        """Run `answer`, to a request of that length, after those before it; errors are logged."""

        def run() -> Deferred[None]:
            self.waiting_bytes -= length
            return ensureDeferred(answer())

        self.waiting_bytes += length
        done: Deferred[None] = self.turn.run(run)
        return done.addErrback(
            lambda failure: self.log.failure("serving a request failed", failure)
        )


_machine = TypeMachineBuilder(ServerControl, ControlCore)

_greeting = _machine.state("Greeting")
_serving = _machine.state("Serving")
_closing = _machine.state("Closing")
_closed = _machine.state("Closed")

# What comes too early or too late has no effect.
_greeting.upon(ServerControl.received).loop().returns(None)
_greeting.upon(ServerControl.ask_work_connection).loop().returns(None)
_greeting.upon(ServerControl.judged).loop().returns(None)
_greeting.upon(ServerControl.closed).loop().returns(None)
_serving.upon(ServerControl.accept).loop().returns(None)
_serving.upon(ServerControl.closed).loop().returns(None)
for _state in (_closing, _closed):
    _state.upon(ServerControl.accept).loop().returns(None)
    _state.upon(ServerControl.received).loop().returns(None)
    _state.upon(ServerControl.ask_work_connection).loop().returns(None)
    _state.upon(ServerControl.judged).loop().returns(None)
    _state.upon(ServerControl.drop).loop().returns(None)
    _state.upon(ServerControl.lost).loop().returns(None)
_closed.upon(ServerControl.closed).loop().returns(None)


@pep614(_greeting.upon(ServerControl.accept).to(_serving))
def _accept(
    control: ServerControl, core: ControlCore, response: LoginResp, work_connections: int
) -> None:
    core.messages.send(response)
    protect(core.messages, core.auth.token, server=True)

    def silent() -> None:
        core.timed_out = True
        control.drop("heartbeat timeout")

    core.watchdog = Watchdog(core.clock, core.heartbeat_timeout_seconds, silent)
    for _ in range(work_connections):
        core.messages.send(ReqWorkConn())


@pep614(_serving.upon(ServerControl.received).loop())
def _received(control: ServerControl, core: ControlCore, message: Message) -> None:
    if len(core.turn.waiting) > MOST_WAITING or core.waiting_bytes > MOST_WAITING_BYTES:
        control.drop("more requests at once than anybody needs")
        return
    # One that doesn't wait isn't measured.
    length = len(to_json(message)) if core.turn.locked else 0
    match message:
        case NewProxy():
            core.in_turn(lambda: _open(control, core, message), length)
        case CloseProxy():
            core.in_turn(lambda: core.desk.close_proxy(message.proxy_name), length)
        case Ping():
            _ping(control, core, message)


@pep614(_serving.upon(ServerControl.judged).loop())
def _judged(control: ServerControl, core: ControlCore, error: str) -> None:
    core.messages.send(Pong(error=error))
    if error:
        control.drop(error)
    elif core.watchdog is not None:
        core.watchdog.feed()


@pep614(_serving.upon(ServerControl.ask_work_connection).loop())
def _ask(_control: ServerControl, core: ControlCore) -> None:
    core.messages.send(ReqWorkConn())


@pep614(_greeting.upon(ServerControl.drop).to(_closing))
def _turn_away(control: ServerControl, core: ControlCore, reason: str) -> None:
    error = reason if core.detailed_errors else NO_DETAILS
    core.messages.send(LoginResp(version=WIRE_VERSION, error=error))
    core.messages.close()
    _begin_closing(control, core, reason)


@pep614(_serving.upon(ServerControl.drop).to(_closing))
def _drop(control: ServerControl, core: ControlCore, reason: str) -> None:
    core.messages.close()
    _begin_closing(control, core, reason)


@pep614(_greeting.upon(ServerControl.lost).to(_closing))
@pep614(_serving.upon(ServerControl.lost).to(_closing))
def _lost(control: ServerControl, core: ControlCore, reason: Failure) -> None:
    core.timed_out = reason.check(error.TimeoutError) is not None
    _begin_closing(control, core, reason.getErrorMessage())


@pep614(_closing.upon(ServerControl.closed).to(_closed))
def _all_closed(_control: ServerControl, core: ControlCore) -> None:
    core.ended.callback(None)


def _begin_closing(control: ServerControl, core: ControlCore, reason: str) -> None:
    if core.watchdog is not None:
        core.watchdog.stop()
    core.on_end(reason)
    core.in_turn(core.desk.close_all).addCallback(lambda _: control.closed())


async def _open(control: ServerControl, core: ControlCore, request: NewProxy) -> None:
    try:
        answer = await core.desk.new_proxy(request)
    except Exception:  # noqa: BLE001 - a bug of ours; the client mustn't wait for ever
        core.log.failure("opening a proxy failed")
        answer = NewProxyResp(proxy_name=request.proxy_name, error="internal error of the server")
    try:
        core.messages.send(answer)
    except LocalProtocolError:
        control.drop("announced a proxy whose answer fits in no message")


def _ping(control: ServerControl, core: ControlCore, ping: Ping) -> None:
    error = core.auth.ping_error(ping)
    if error or not core.desk.hears_pings():
        control.judged(error)
    elif not core.judging:  # they come every 30 s; who sends more gets fewer answers
        core.judging = True
        ensureDeferred(_ask_about(control, core, ping)).addErrback(
            lambda failure: core.log.failure("asking about a ping failed", failure)
        )


async def _ask_about(control: ServerControl, core: ControlCore, ping: Ping) -> None:
    try:
        error = await core.desk.ping(ping)
    finally:
        core.judging = False
    control.judged(error)


make_server_control = _machine.build()
"""Build the machine for one connection whose first message was a Login."""
