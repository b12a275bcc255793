# -*- test-case-name: tests.control.test_clientside -*-
r"""The client's half of the conversation: connect, log in, run, and again after a loss.

The machine, as ``automat-visualize tunnelsvc.control.clientside`` draws it::

    Idle --start--> Connecting --established--> Running --lost--> Waiting --retry--> Connecting
                        |  \--failed--> Waiting
                        \--given_up--> Stopped <--stop-- (any)

Where there are several servers, an attempt tries one after the other, the first one first, and has
failed when all have. A client that has gone to a later server looks for the earlier ones
(`tunnelsvc.control.failback`), and Running goes on with another session (``moved``).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Protocol

from attrs import define, evolve, field
from automat import TypeMachineBuilder, pep614
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.control.backoff import STABLE_SECONDS, Backoff
from tunnelsvc.control.failback import (
    LASTING_SECONDS,
    MOST_STEADY_SECONDS,
    STEADY_SECONDS,
    Failback,
    Farewell,
)
from tunnelsvc.control.session import LoginTerms, Session, log_in
from tunnelsvc.errors import LoginFailed
from tunnelsvc.link.links import Server
from tunnelsvc.wire.dialect import V1


class ClientEvents(Protocol):
    """Who is told how the conversation goes."""

    def logged_in(self, session: Session) -> None:
        """A login holds."""

    def leaving(self) -> None:
        """It is about to be replaced by another one; what was announced is to be taken back."""

    def session_lost(self) -> None:
        """It doesn't any more, for new users at least."""

    def gave_up(self, message: str) -> None:
        """The first login failed, and the configuration says to give up then."""


class ClientControl(Protocol):
    """Inputs of the machine. Callers never ask for the state."""

    def start(self) -> None:
        """Begin."""

    def established(self, session: Session) -> None:
        """Logged in."""

    def failed(self, reason: Failure) -> None:
        """An attempt failed; there will be another."""

    def given_up(self, reason: Failure) -> None:
        """An attempt failed; there won't be another."""

    def moved(self, session: Session) -> None:
        """Logged in to a better server, while another session still holds."""

    def lost(self, reason: Failure) -> None:
        """The session is gone."""

    def retry(self) -> None:
        """The wait is over."""

    def stop(self) -> None:
        """End for good."""


@define(eq=False)
class ClientCore:
    """What the states share.

    Attributes:
        servers: which there are; the first is the best.
    """

    servers: Sequence[Server]
    terms: LoginTerms
    backoff: Backoff
    events: ClientEvents
    has_logged_in: bool = False
    session_since: float | None = None
    """When the session began that is or was the latest; None: the latest attempt came to none."""
    current: int = 0
    """Which server is tried, or used; where an attempt begins."""
    complaint: str = field(default="", init=False)
    """Why there is no session; empty: there is one, or nothing has gone wrong yet."""
    run_ids: dict[int, str] = field(factory=dict, init=False)
    """What each server knows us by."""
    failback: Failback | None = field(default=None, init=False)
    steady_seconds: float = field(factory=lambda: STEADY_SECONDS, init=False)
    """How long better servers must have answered before one is gone back to."""
    went_back: bool = field(default=False, init=False)
    """Whether the session is at one that was."""
    farewells: set[Farewell] = field(factory=set, init=False)
    """Of sessions that were left for a better server."""
    log: ClassVar[Logger] = Logger()

    @property
    def server(self) -> Server:
        """The one that is tried, or used."""
        return self.servers[self.current]

    async def log_in(self, index: int) -> Session:
        """Log in to a server; see `tunnelsvc.control.session.log_in`."""
        server = self.servers[index]
        config = evolve(self.terms.config, server_addr=server.host, server_port=server.port)
        terms = evolve(self.terms, config=config)
        session = await log_in(server.connect, terms, self.run_ids.get(index, ""))
        self.run_ids[index] = session.run_id
        return session

    async def log_in_to_any(self) -> Session:
        """Log in to the current server or, that failing, to the next one, until all have failed.

        Raises:
            LoginFailed: why each of several did.
            Exception: that of the only one; see `tunnelsvc.control.session.log_in`.
        """
        complaints: list[str] = []
        while True:
            try:
                return await self.log_in(self.current)
            except CancelledError:
                raise
            except Exception as why:
                if len(self.servers) == 1:
                    raise
                complaints.append(explain(self, Failure()))
                if len(complaints) == len(self.servers):
                    raise LoginFailed("; ".join(complaints)) from why
            self.current = (self.current + 1) % len(self.servers)
            self.log.warn("{why}; trying server {server}",
                          why=complaints[-1], server=self.server.address)  # fmt: skip

    def judge_better(self, lived_seconds: float) -> None:
        """Take note of the end of a session; one that it was gone back for should have lasted."""
        if self.went_back:
            self.went_back = False
            longer = min(2 * self.steady_seconds, MOST_STEADY_SECONDS)
            self.steady_seconds = longer if lived_seconds < LASTING_SECONDS else STEADY_SECONDS

    def gives_up(self) -> bool:
        """Whether a failed attempt is the end: only the first login's (``login_fail_exit``)."""
        return self.terms.config.login_fail_exit and not self.has_logged_in

    def tell_which(self) -> None:
        """Say which server it is, where there are several."""
        if len(self.servers) > 1:
            self.log.info(
                "[{run_id}] using server {server}, which is number {number} of {count}",
                run_id=self.run_ids[self.current], server=self.server.address,
                number=self.current + 1, count=len(self.servers),
            )  # fmt: skip


Attempt = Deferred[Any]
"""Of a login; may be cancelled."""


def _attempt(control: ClientControl, core: ClientCore, *_: object) -> Attempt:
    """Connecting: hold the attempt, so that it can be cancelled."""
    attempt = ensureDeferred(core.log_in_to_any())

    def over(failure: Failure) -> None:
        if core.gives_up():
            control.given_up(failure)
        else:
            control.failed(failure)

    attempt.addCallbacks(control.established, over)
    attempt.addErrback(lambda failure: core.log.failure("the conversation failed", failure))
    return attempt


@define(eq=False)
class Running:
    """The session that holds, until another one takes its place."""

    session: Session


def _run(control: ClientControl, core: ClientCore, session: Session) -> Running:
    """Running: hold the session."""
    _hold(control, core, session)
    return Running(session)


def _hold(control: ClientControl, core: ClientCore, session: Session) -> None:
    session.messages.on_lost = control.lost
    core.has_logged_in = True
    core.session_since = session.started_at


def _wait(control: ClientControl, core: ClientCore, reason: Failure) -> IDelayedCall:
    """Waiting: hold the timer. Automat makes this before it runs the transition's own code."""
    clock = core.terms.clock
    now = clock.seconds()
    core.complaint = why = explain(core, reason)
    core.current, used = 0, core.current
    if core.session_since is not None:
        lived = now - core.session_since
        core.backoff.succeeded(lived)
        core.judge_better(lived)
        core.session_since = None
        if lived < STABLE_SECONDS:  # whatever is wrong there, the next one may be better
            core.current = (used + 1) % len(core.servers)
    wait = core.backoff.wait_seconds(now)
    core.log.warn("{why}; trying again in {wait:.1f} s", why=why, wait=wait)
    return clock.callLater(wait, control.retry)


def explain(core: ClientCore, failure: Failure) -> str:
    """Say why there is no session, in frpc's words where it has some, and where."""
    where = core.server.address
    why = failure.getErrorMessage()
    if core.session_since is not None:
        return f"connection to server {where} lost: {why}"
    if failure.check(LoginFailed):
        return why  # of several, each with its address
    if failure.check(ConnectionLost, ConnectionDone):
        why = f"the server hung up without an answer; does it speak this protocol? ({why})"
        config = core.terms.config
        if not config.tls.enable and config.protocol != "wss":
            why += " It may insist on TLS: tls_enable is off"
        if config.wire_protocol != V1.name:
            why += f" It may be older than frp 0.69: wire_protocol is {config.wire_protocol}"
    return f"login to server failed: {why} [{where}]"


_machine = TypeMachineBuilder(ClientControl, ClientCore)

_idle = _machine.state("Idle")
_connecting = _machine.state("Connecting", _attempt)
_running = _machine.state("Running", _run)
_waiting = _machine.state("Waiting", _wait)
_stopped = _machine.state("Stopped")

_idle.upon(ClientControl.start).to(_connecting).returns(None)
_connecting.upon(ClientControl.failed).to(_waiting).returns(None)
_waiting.upon(ClientControl.retry).to(_connecting).returns(None)
_idle.upon(ClientControl.stop).to(_stopped).returns(None)
for _input in (
    ClientControl.start,
    ClientControl.stop,
    ClientControl.established,
    ClientControl.failed,
    ClientControl.given_up,
    ClientControl.lost,
    ClientControl.retry,
):
    _stopped.upon(_input).loop().returns(None)


@pep614(_connecting.upon(ClientControl.established, nodata=True).to(_running))
def _established(control: ClientControl, core: ClientCore, session: Session) -> None:
    _begin(control, core, session)


def _begin(control: ClientControl, core: ClientCore, session: Session) -> None:
    core.log.info("[{run_id}] login to server success, get run id [{run_id}]",
                  run_id=session.run_id)  # fmt: skip
    core.complaint = ""
    core.tell_which()
    core.events.logged_in(session)
    session.run()
    if core.current:
        terms = core.terms
        core.failback = Failback(
            core.servers[: core.current],
            core.log_in,
            partial(_move, control, core),
            terms.clock,
            terms.random,
            core.steady_seconds,
        )
        core.failback.start()


def _move(control: ClientControl, core: ClientCore, index: int, session: Session) -> None:
    # Who came back by that name would end the old session, and its users.
    core.run_ids.pop(core.current, None)
    core.current = index
    core.went_back = True
    control.moved(session)


def _end_farewells(core: ClientCore) -> None:
    for farewell in list(core.farewells):
        farewell.end()


def _stop_looking(core: ClientCore) -> None:
    if core.failback is not None:
        core.failback.stop()
        core.failback = None


@pep614(_connecting.upon(ClientControl.given_up).to(_stopped))
def _given_up(
    _control: ClientControl, core: ClientCore, _attempt: Attempt, reason: Failure
) -> None:
    core.complaint = explain(core, reason)
    core.events.gave_up(core.complaint)


@pep614(_running.upon(ClientControl.lost).to(_waiting))
def _lost(_control: ClientControl, core: ClientCore, running: Running, reason: Failure) -> None:
    _stop_looking(core)
    if reason.check(error.TimeoutError):
        running.session.cut()
    running.session.abort()
    core.events.session_lost()


@pep614(_running.upon(ClientControl.moved).loop())
def _moved(control: ClientControl, core: ClientCore, running: Running, session: Session) -> None:
    """Go on at a better server. The users of the other one may stay for a while."""
    _stop_looking(core)
    core.events.leaving()
    core.events.session_lost()
    Farewell(running.session, core.terms.clock, core.farewells).start()
    running.session = session
    _hold(control, core, session)
    _begin(control, core, session)


@pep614(_connecting.upon(ClientControl.stop).to(_stopped))
def _stop_connecting(_control: ClientControl, core: ClientCore, attempt: Attempt) -> None:
    attempt.cancel()
    _end_farewells(core)


@pep614(_running.upon(ClientControl.stop).to(_stopped))
def _stop_running(_control: ClientControl, core: ClientCore, running: Running) -> None:
    _stop_looking(core)
    running.session.close()
    _end_farewells(core)
    core.events.session_lost()


@pep614(_waiting.upon(ClientControl.stop).to(_stopped))
def _stop_waiting(_control: ClientControl, core: ClientCore, timer: IDelayedCall) -> None:
    timer.cancel()
    _end_farewells(core)


make_client_control = _machine.build()
"""Build the machine of one client."""
