# -*- test-case-name: tests.control.test_clientside -*-
r"""The client's half of the conversation: connect, log in, run, and again after a loss.

The machine, as ``automat-visualize tunnelsvc.control.clientside`` draws it::

    Idle --start--> Connecting --established--> Running --lost--> Waiting --retry--> Connecting
                        |  \--failed--> Waiting
                        \--given_up--> Stopped <--stop-- (any)
"""

from typing import Any, ClassVar, Protocol

from attrs import define
from automat import TypeMachineBuilder, pep614
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.control.backoff import Backoff
from tunnelsvc.control.session import LoginTerms, Session, log_in
from tunnelsvc.link.addresses import host_and_port
from tunnelsvc.link.links import Connect
from tunnelsvc.wire.dialect import V1


class ClientEvents(Protocol):
    """Who is told how the conversation goes."""

    def logged_in(self, session: Session) -> None:
        """A login holds."""

    def session_lost(self) -> None:
        """It doesn't any more."""

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

    def lost(self, reason: Failure) -> None:
        """The session is gone."""

    def retry(self) -> None:
        """The wait is over."""

    def stop(self) -> None:
        """End for good."""


@define(eq=False)
class ClientCore:
    """What the states share."""

    connect: Connect
    terms: LoginTerms
    backoff: Backoff
    events: ClientEvents
    run_id: str = ""
    has_logged_in: bool = False
    session_since: float | None = None
    """When the session began that is or was the latest; None: the latest attempt came to none."""
    log: ClassVar[Logger] = Logger()

    def gives_up(self) -> bool:
        """Whether a failed attempt is the end: only the first login's (``login_fail_exit``)."""
        return self.terms.config.login_fail_exit and not self.has_logged_in


Attempt = Deferred[Any]
"""Of a login; may be cancelled."""


def _attempt(control: ClientControl, core: ClientCore, *_: object) -> Attempt:
    """Connecting: hold the attempt, so that it can be cancelled."""
    attempt = ensureDeferred(log_in(core.connect, core.terms, core.run_id))

    def over(failure: Failure) -> None:
        if core.gives_up():
            control.given_up(failure)
        else:
            control.failed(failure)

    attempt.addCallbacks(control.established, over)
    attempt.addErrback(lambda failure: core.log.failure("the conversation failed", failure))
    return attempt


def _run(control: ClientControl, core: ClientCore, session: Session) -> Session:
    """Running: hold the session."""
    session.messages.on_lost = control.lost
    core.run_id = session.run_id
    core.has_logged_in = True
    core.session_since = session.started_at
    return session


def _wait(control: ClientControl, core: ClientCore, reason: Failure) -> IDelayedCall:
    """Waiting: hold the timer. Automat makes this before it runs the transition's own code."""
    clock = core.terms.clock
    now = clock.seconds()
    why = explain(core, reason)
    if core.session_since is not None:
        core.backoff.succeeded(now - core.session_since)
        core.session_since = None
    wait = core.backoff.wait_seconds(now)
    core.log.warn("{why}; trying again in {wait:.1f} s", why=why, wait=wait)
    return clock.callLater(wait, control.retry)


def explain(core: ClientCore, failure: Failure) -> str:
    """Say why there is no session, in frpc's words where it has some, and where."""
    config = core.terms.config
    where = host_and_port(config.server_addr, config.server_port)
    why = failure.getErrorMessage()
    if core.session_since is not None:
        return f"connection to server {where} lost: {why}"
    if failure.check(ConnectionLost, ConnectionDone):
        why = f"the server hung up without an answer; does it speak this protocol? ({why})"
        if not config.tls.enable:
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
def _established(_control: ClientControl, core: ClientCore, session: Session) -> None:
    core.log.info("[{run_id}] login to server success, get run id [{run_id}]", run_id=core.run_id)
    core.events.logged_in(session)
    session.run()


@pep614(_connecting.upon(ClientControl.given_up).to(_stopped))
def _given_up(
    _control: ClientControl, core: ClientCore, _attempt: Attempt, reason: Failure
) -> None:
    core.events.gave_up(explain(core, reason))


@pep614(_running.upon(ClientControl.lost).to(_waiting))
def _lost(_control: ClientControl, core: ClientCore, session: Session, reason: Failure) -> None:
    del reason  # told in _wait
    session.abort()
    core.events.session_lost()


@pep614(_connecting.upon(ClientControl.stop).to(_stopped))
def _stop_connecting(_control: ClientControl, _core: ClientCore, attempt: Attempt) -> None:
    attempt.cancel()


@pep614(_running.upon(ClientControl.stop).to(_stopped))
def _stop_running(_control: ClientControl, core: ClientCore, session: Session) -> None:
    session.close()
    core.events.session_lost()


@pep614(_waiting.upon(ClientControl.stop).to(_stopped))
def _stop_waiting(_control: ClientControl, _core: ClientCore, timer: IDelayedCall) -> None:
    timer.cancel()


make_client_control = _machine.build()
"""Build the machine of one client."""
