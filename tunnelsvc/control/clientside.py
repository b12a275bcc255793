# -*- test-case-name: tests.control.test_clientside -*-
r"""The client's half of the conversation: connect, log in, run, and again after a loss.

The machine, as ``automat-visualize tunnelsvc.control.clientside`` draws it::

    Idle --start--> Connecting --established--> Running --lost--> Waiting --retry--> Connecting
                        |  \--failed--> Waiting
                        \--given_up--> Stopped <--stop-- (any)

Where there are several servers, Connecting tries one after the other (``unavailable``), a round
that begins with the first; a round counts where a single server's attempt does, as for
``login_fail_exit`` and the waits. A client that has gone to a later server looks for the earlier
ones (`tunnelsvc.control.failback`), and Running goes on with another session (``moved``).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Protocol

from attrs import define, evolve, field
from automat import TypeMachineBuilder, pep614
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.control.backoff import STABLE_SECONDS, Backoff
from tunnelsvc.control.failback import Failback, Farewell
from tunnelsvc.control.session import LoginTerms, Session, log_in
from tunnelsvc.link.links import Server


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

    def unavailable(self) -> None:
        """An attempt failed; there is another server to try at once."""

    def failed(self, reason: Failure) -> None:
        """An attempt failed, the last of this round; there will be another one."""

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
    """Which server is tried, or used."""
    untried: int = field(init=False)
    """How many servers are left of this round."""
    complaints: list[str] = field(factory=list, init=False)
    """Why each server of this round gave no session."""
    run_ids: dict[int, str] = field(factory=dict, init=False)
    """What each server knows us by."""
    failback: Failback | None = field(default=None, init=False)
    farewells: set[Farewell] = field(factory=set, init=False)
    """Of sessions that were left for a better server."""
    log: ClassVar[Logger] = Logger()

    @untried.default
    def _all_others(self) -> int:
        return len(self.servers) - 1

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

    def gives_up(self) -> bool:
        """Whether a failed round is the end: only the first one (``login_fail_exit``)."""
        return self.terms.config.login_fail_exit and not self.has_logged_in

    def next_server(self) -> None:
        """Turn to the next one of this round; there must be one."""
        self.untried -= 1
        self.current = (self.current + 1) % len(self.servers)
        self.log.warn("{why}; trying server {server}",
                      why=self.complaints[-1], server=self.server.address)  # fmt: skip

    def new_round(self, first: int) -> None:
        """Begin to try all, this one first."""
        self.current = first % len(self.servers)
        self.untried = len(self.servers) - 1
        self.complaints.clear()

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
    attempt = ensureDeferred(core.log_in(core.current))

    def over(failure: Failure) -> None:
        core.complaints.append(explain(core, failure))
        if core.untried:
            core.next_server()
            control.unavailable()
        elif core.gives_up():
            control.given_up(failure)
        else:
            control.failed(failure)

    attempt.addCallbacks(control.established, over)
    attempt.addErrback(lambda failure: core.log.failure("the conversation failed", failure))
    return attempt


def _run(control: ClientControl, core: ClientCore, session: Session) -> Session:
    """Running: hold the session."""
    session.messages.on_lost = control.lost
    core.has_logged_in = True
    core.session_since = session.started_at
    return session


def _wait(control: ClientControl, core: ClientCore, reason: Failure) -> IDelayedCall:
    """Waiting: hold the timer. Automat makes this before it runs the transition's own code."""
    clock = core.terms.clock
    now = clock.seconds()
    why = explain(core, reason)
    first = 0
    if core.session_since is not None:
        lived = now - core.session_since
        core.backoff.succeeded(lived)
        core.session_since = None
        if lived < STABLE_SECONDS:  # whatever is wrong there, the next one may be better
            first = core.current + 1
    wait = core.backoff.wait_seconds(now)
    core.log.warn("{why}; trying again in {wait:.1f} s", why=why, wait=wait)
    core.new_round(first)
    return clock.callLater(wait, control.retry)


def explain(core: ClientCore, failure: Failure) -> str:
    """Say why there is no session, in frpc's words where it has some, and where."""
    where = core.server.address
    why = failure.getErrorMessage()
    if core.session_since is not None:
        return f"connection to server {where} lost: {why}"
    if failure.check(ConnectionLost, ConnectionDone):
        why = f"the server hung up without an answer; does it speak this protocol? ({why})"
        if not core.terms.config.tls.enable:
            why += " It may insist on TLS: tls_enable is off"
    return f"login to server failed: {why} [{where}]"


_machine = TypeMachineBuilder(ClientControl, ClientCore)

_idle = _machine.state("Idle")
_connecting = _machine.state("Connecting", _attempt)
_running = _machine.state("Running", _run)
_waiting = _machine.state("Waiting", _wait)
_stopped = _machine.state("Stopped")

_idle.upon(ClientControl.start).to(_connecting).returns(None)
_connecting.upon(ClientControl.unavailable).to(_connecting).returns(None)
_connecting.upon(ClientControl.failed).to(_waiting).returns(None)
_waiting.upon(ClientControl.retry).to(_connecting).returns(None)
_idle.upon(ClientControl.stop).to(_stopped).returns(None)
for _input in (
    ClientControl.start,
    ClientControl.stop,
    ClientControl.established,
    ClientControl.unavailable,
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
        )
        core.failback.start()


def _move(control: ClientControl, core: ClientCore, index: int, session: Session) -> None:
    core.current = index
    control.moved(session)


def _stop_looking(core: ClientCore) -> None:
    if core.failback is not None:
        core.failback.stop()
        core.failback = None


@pep614(_connecting.upon(ClientControl.given_up).to(_stopped))
def _given_up(
    _control: ClientControl, core: ClientCore, _attempt: Attempt, reason: Failure
) -> None:
    del reason  # likewise
    core.events.gave_up("; ".join(core.complaints))


@pep614(_running.upon(ClientControl.lost).to(_waiting))
def _lost(_control: ClientControl, core: ClientCore, session: Session, reason: Failure) -> None:
    del reason  # told in _wait
    _stop_looking(core)
    session.abort()
    core.events.session_lost()


@pep614(_running.upon(ClientControl.moved).to(_running))
def _moved(control: ClientControl, core: ClientCore, old: Session, session: Session) -> None:
    """Go on at a better server. The users of the other one may stay for a while."""
    _stop_looking(core)
    core.events.leaving()
    core.events.session_lost()
    Farewell(old, core.terms.clock, core.farewells).start()
    _begin(control, core, session)


@pep614(_connecting.upon(ClientControl.stop).to(_stopped))
def _stop_connecting(_control: ClientControl, _core: ClientCore, attempt: Attempt) -> None:
    attempt.cancel()


@pep614(_running.upon(ClientControl.stop).to(_stopped))
def _stop_running(_control: ClientControl, core: ClientCore, session: Session) -> None:
    _stop_looking(core)
    session.close()
    for farewell in list(core.farewells):
        farewell.end()
    core.events.session_lost()


@pep614(_waiting.upon(ClientControl.stop).to(_stopped))
def _stop_waiting(_control: ClientControl, _core: ClientCore, timer: IDelayedCall) -> None:
    timer.cancel()


make_client_control = _machine.build()
"""Build the machine of one client."""
