# -*- test-case-name: tests.quick.test_program -*-
"""``tunnelsvc http`` and ``tcp`` as programs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import asdict
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import ILogObserver

from tunnelsvc.addresses import LOOPBACK, host_and_port
from tunnelsvc.client.local import dial_service
from tunnelsvc.config.schema import LogConfig
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.lean import import_web
from tunnelsvc.logs import make_observer
from tunnelsvc.quick.opening import Opening
from tunnelsvc.quick.options import QuickOptions
from tunnelsvc.quick.plan import Plan
from tunnelsvc.quick.screen import Answered, Screen, write_url
from tunnelsvc.runner import Program, config_errors_exit
from tunnelsvc.wire.httpexchange import WEBSOCKET, Exchange

if TYPE_CHECKING:
    from tunnelsvc.admin.listening import SiteService

SLOW_SECONDS: Final = 3.0
"""After which a user wonders what we wait for."""
SSH_PORT: Final = 22
INSPECTOR_PORTS: Final = (*range(4040, 4060), 0)
"""Where the page with the requests is: the first one that is free, the last is any; as ngrok's."""
KEY_BYTES: Final = 16
"""Of what one must know to see the requests: other users of the machine reach the page, too, and
there are cookies and passwords in them."""


class QuickProgram(Program):
    """A program with a screen: what goes wrong is logged beside it, on standard error.

    Attributes:
        screen: what the user sees.
        page: path and query of what is shown of a web site.
    """

    page = ""

    def __init__(self, screen: Screen, url_file: str, reactor: Any) -> None:
        """Begin with nothing to show.

        Args:
            screen: what the user sees.
            url_file: where scripts look for the URL; empty: nowhere.
            reactor: what runs us.
        """
        super().__init__(LogConfig(level="error"), reactor)
        self.screen = screen
        self._url_file = url_file
        self._url = ""
        self._site: SiteService | None = None
        self._slow: IDelayedCall | None = None
        self._looking: Deferred[None] = succeed(None)
        self._key = token_urlsafe(KEY_BYTES)
        self._remove_url: Callable[[], None] = lambda: None

    def open_log(self, log_config: LogConfig) -> ILogObserver:
        """See `Program`."""
        return make_observer(**asdict(log_config), stdout=sys.stderr)

    def stopService(self) -> Deferred[Any]:
        """See `Program`; the URL leads nowhere from now on."""
        self._remove_url()
        self._stop_waiting()
        self._looking.cancel()
        return super().stopService()

    def prepare(self, plan: Plan) -> Opening:
        """Make what opens a service, to be added when that is there.

        Args:
            plan: which, and how it shall be reached.

        Raises:
            SystemExit: the plan can't be carried out; the problems are on standard error.
        """
        with config_errors_exit():
            opening = Opening(
                plan, self.reactor, self._opened, fail=self._refused, login_failed=self._not_let_in
            )
        opening.on_lost = partial(self._lost, opening)
        if opening.client.inspector is not None:
            opening.client.inspector.subscribe(self._requested)
            self._site = self._make_site(opening)
        return opening

    def _make_site(self, opening: Opening) -> SiteService:
        # twisted.web is half as much again as all the rest of a client.
        import_web()
        from tunnelsvc.admin.clientsite import AdminService  # noqa: PLC0415

        return AdminService(
            opening.client, None, self.end, self.reactor, INSPECTOR_PORTS, key=self._key
        )

    def _requested(self, exchange: Exchange) -> None:
        if exchange.done and self.running:
            self.screen.request(answered(exchange))

    def add(self, opening: Opening) -> None:
        """Open it, at once if we run."""
        for service in filter(None, (self._site, opening.client, opening)):
            service.setServiceParent(self)
        self._slow = self.reactor.callLater(SLOW_SECONDS, self._is_slow, opening)

    def _is_slow(self, opening: Opening) -> None:
        self.screen.note(f"Waiting for {opening.client.link_status().server}...")

    def _lost(self, opening: Opening) -> None:
        self.screen.note("The server is gone. Trying again...")
        self._stop_waiting()
        self._slow = self.reactor.callLater(SLOW_SECONDS, self._still_lost, opening)

    def _still_lost(self, opening: Opening) -> None:
        """Say once why it isn't back: it may be that it won't have us any more."""
        from tunnelsvc.admin.clienthints import of_login  # noqa: PLC0415 - not if all is well

        why = opening.client.link_status().error
        if why:
            self.screen.note("\n".join(filter(None, (why, of_login(why).text))))

    def _stop_waiting(self) -> None:
        if self._slow is not None and self._slow.active():
            self._slow.cancel()

    def _not_let_in(self, message: str) -> None:
        """Say what to do about it; what it is has been logged."""
        from tunnelsvc.admin.clienthints import of_login  # noqa: PLC0415 - not if all is well

        self._advise(of_login(message).text)
        self.fail(message)

    def _refused(self, message: str) -> None:
        from tunnelsvc.admin.clienthints import of_proxy  # noqa: PLC0415 - likewise

        self.fail_with(message)
        self._advise(of_proxy(message).text)

    def _advise(self, advice: str) -> None:
        if advice:
            sys.stderr.write(f"tunnelsvc: {advice}\n")

    def fail_with(self, message: str) -> None:
        """Say why it is the end, and end with status 1."""
        sys.stderr.write(f"tunnelsvc: {message}\n")
        self.fail(message)

    def _opened(self, got: Plan, url: str) -> None:
        """Tell people and scripts. The same again: that it is back."""
        self._stop_waiting()
        if url == self._url:
            self.screen.note("The server is back.")
            return
        self._url = url
        whole = url + self.page
        try:
            if self._url_file:
                self._remove_url = write_url(self._url_file, whole)
        except OSError as why:
            reason = why.strerror or why
            self.fail_with(f"--url-file={self._url_file}: can't be written: {reason}")
            return
        self.screen.opened(whole, got.target, self._advice(got, url))
        self.ready(url)
        self._looking = ensureDeferred(self._look(got))

    async def _look(self, got: Plan) -> None:
        """Tell if the service isn't there yet: it may well be started later."""
        try:
            stream = await dial_service(self.reactor, got.target_host, got.target_port)
        except LocalServiceUnavailable:
            self.screen.note(f"Nothing answers at {got.target} yet.")
        except (CancelledError, ConnectingCancelledError):
            return
        else:
            stream.loseConnection()

    def _advice(self, got: Plan, url: str) -> str:
        """Say what else there is, or how to use what isn't a web site, as far as its port tells."""
        if self._site is not None and got.kind == "http":
            site = f"http://{host_and_port(LOOPBACK, self._site.port)}"
            return f"Requests: {site}/login#key={self._key}"
        parts = urlsplit(url)
        if not got.is_web and got.target_port == SSH_PORT:
            return f"ssh -p {parts.port} USER@{parts.hostname}"
        return ""


def make_program(options: QuickOptions, reactor: Any) -> QuickProgram:
    """Compose the client of one service.

    Args:
        options: the command line.
        reactor: what everything runs on.

    Raises:
        SystemExit: the configuration can't be used; the problems are on standard error.
    """
    program = QuickProgram(options.screen(), options["url-file"] or "", reactor)
    program.add(program.prepare(options.plan()))
    return program


def answered(exchange: Exchange) -> Answered:
    """Say of a request what its line shows."""
    notes = [exchange.error]
    if exchange.kind == WEBSOCKET:
        notes.append(f"websocket: {exchange.sent} messages sent, {exchange.received} received")
    if exchange.replay_of:
        notes.append("replayed")
    ended = exchange.ended_at
    return Answered(
        method=exchange.method.decode("utf-8", "replace"),
        path=exchange.target.decode("utf-8", "replace"),
        status=exchange.status or None,
        ms=None if ended is None else (ended - exchange.began_at) * 1000,
        size=exchange.response.body_bytes,
        note=", ".join(filter(None, notes)),
    )
