# -*- test-case-name: tests.quick.test_opening -*-
"""From a plan to a public URL: a client that is asked for other names as long as that helps."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from tunnelsvc.client.service import TunnelClient
from tunnelsvc.errors import LoginFailed, ProxyRefused
from tunnelsvc.quick.plan import Plan

READY_SECONDS: Final = 30.0
"""How long a server may take to answer. It takes milliseconds; this is for one that is stuck."""


class Opening(Service):
    """Waits until the server has opened what the plan says, or what it has instead.

    Attributes:
        plan: what the server is asked for.
        client: asks it; a child of the same parent.
        on_lost: called when the server is gone.
    """

    log = Logger()

    def __init__(
        self,
        plan: Plan,
        reactor: Any,
        opened: Callable[[Plan, str], None],
        *,
        fail: Callable[[str], None],
        login_failed: Callable[[str], None],
    ) -> None:
        """Build everything; nothing is dialled yet.

        Args:
            plan: what is wanted.
            reactor: dials, and is the clock.
            opened: called with what was got, and its public URL.
            fail: called with a message for the user when that is the end.
            login_failed: the same, if the message has been logged.

        Raises:
            ConfigError: the plan can't be carried out.
        """
        self.plan = plan
        self.client = client = TunnelClient(plan.config(), reactor, login_failed)
        client.on_login = self._logged_in
        client.on_lost = self._lost
        self.on_lost: Callable[[], None] = lambda: None
        self._reactor = reactor
        self._opened = opened
        self._fail = fail
        self._waiting: Deferred[Any] | None = None
        self._is_open = False

    def startService(self) -> None:
        """Begin to wait."""
        super().startService()
        self._begin(self._open())

    def _begin(self, waiting: Coroutine[Any, Any, None]) -> None:
        ensureDeferred(waiting).addErrback(partial(self.log.failure, "opening failed"))

    def stopService(self) -> None:
        """Wait no more."""
        super().stopService()
        if self._waiting is not None:
            self._waiting.cancel()

    def _logged_in(self, _run_id: str) -> None:
        if self._is_open:
            if self._waiting is not None:
                self._waiting.cancel()
            self._begin(self._open_again())

    def _lost(self) -> None:
        if self._is_open:
            # Only now: it would be announced anew.
            self.client.reload(self.plan.config())
        self.on_lost()

    async def _open(self) -> None:
        try:
            await self._until_open()
        except ProxyRefused as why:
            self._fail(f"the server refuses {self.plan.name}: {why}")
        except DeferredTimeout:
            self._fail(f"the server doesn't answer within {READY_SECONDS:g} s")
        except (CancelledError, LoginFailed):
            return  # stopped; or told to `fail` by the client
        else:
            self._is_open = True
            self._told()

    async def _open_again(self) -> None:
        """Wait after another login, by the same name, for as long as it takes."""
        while True:
            try:
                await self._wait()
            except ProxyRefused as why:
                if self.plan.port and self._ask_instead(str(why)):
                    continue
                self.log.error("the server refuses {name}: {why}", name=self.plan.name, why=why)
            except (CancelledError, LoginFailed):
                return
            else:
                self._told()
                return

    async def _wait(self, seconds: float | None = None) -> None:
        self._waiting = waiting = self.client.when_running(self.plan.name)
        if seconds is not None:
            waiting.addTimeout(seconds, self._reactor)
        try:
            await waiting
        finally:
            if self._waiting is waiting:
                self._waiting = None

    def _told(self) -> None:
        """Take from the server where users go."""
        (status,) = self.client.proxy_statuses()
        url = self.plan.url(status.remote_addr, status.https_addr)
        self.plan = self.plan.again(status.remote_addr)
        self._opened(self.plan, url)

    def _ask_instead(self, refusal: str) -> bool:
        """Ask for what may be had instead; tell whether there is anything."""
        instead = self.plan.instead(refusal)
        if instead is None:
            return False
        self.plan = instead
        self.client.reload(instead.config())
        return True

    async def _until_open(self) -> None:
        """Wait until it can be reached.

        Raises:
            ProxyRefused: nowhere, and there is nothing else to ask for.
        """
        while True:
            try:
                await self._wait(READY_SECONDS)
            except ProxyRefused as why:
                if not self._ask_instead(str(why)):
                    raise
            else:
                return
