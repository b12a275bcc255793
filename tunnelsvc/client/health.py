# -*- test-case-name: tests.client.test_health -*-
"""Whether local services can take users: ``health_check_*`` (protocol notes 6.9).

A proxy with a check is announced after the first one that succeeds, and taken back after
``health_check_max_failed`` in a row that don't. Only clients with checks import this.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.client.local import dial_local
from tunnelsvc.config.proxies import HealthCheckConfig, ProxyConfig
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.link.dial import DialReactor

Check = Callable[[DialReactor, ProxyConfig], Awaitable[None]]
"""Asks a service once. Raises `LocalServiceUnavailable`; can be cancelled."""
OnChange = Callable[[ProxyConfig, bool], None]
"""Told that a service can take users from now on, or can't."""


async def check_tcp(reactor: DialReactor, proxy: ProxyConfig) -> None:
    """See whether a service accepts a connection; see `Check`."""
    assert proxy.health_check is not None
    stream = await dial_local(reactor, proxy, timeout=proxy.health_check.timeout_seconds)
    stream.loseConnection()


def _check_of(kind: str) -> Check:
    if kind == "tcp":
        return check_tcp
    # Its parser is 0.7 MiB that other clients needn't have.
    from tunnelsvc.client.httpcheck import check_http  # noqa: PLC0415

    return check_http


class HealthChecks:
    """The checks of one client, whether it has a session or not."""

    def __init__(self, reactor: DialReactor, on_change: OnChange) -> None:
        """Begin with nothing to check.

        Args:
            reactor: dials, and is the clock.
            on_change: see there.
        """
        self._reactor = reactor
        self._on_change = on_change
        self._monitors: dict[str, _Monitor] = {}
        self._started = False

    def add(self, proxies: Iterable[ProxyConfig]) -> None:
        """Check these as well, as if never checked before; those without a check are left alone."""
        for proxy in proxies:
            if proxy.health_check is not None:
                monitor = _Monitor(proxy, proxy.health_check, self._reactor, self._on_change)
                self._monitors[proxy.name] = monitor
                if self._started:
                    monitor.start()

    def remove(self, names: Iterable[str]) -> None:
        """Check these no more; those without a check may be among them."""
        for name in names:
            monitor = self._monitors.pop(name, None)
            if monitor is not None:
                monitor.stop()

    def start(self) -> None:
        """Check all, again and again."""
        self._started = True
        for monitor in self._monitors.values():
            monitor.start()

    def stop(self) -> None:
        """Check no more."""
        self._started = False
        for monitor in self._monitors.values():
            monitor.stop()

    def is_well(self, proxy: ProxyConfig) -> bool:
        """Tell whether a proxy may be announced: without a check, always."""
        monitor = self._monitors.get(proxy.name)
        return proxy.health_check is None or (monitor is not None and monitor.well)

    def trouble(self, proxy: ProxyConfig) -> str:
        """Say why a proxy may not be announced; empty: it may, or no check has ended yet."""
        monitor = self._monitors.get(proxy.name)
        return monitor.trouble if monitor is not None and not monitor.well else ""


class _Monitor:
    """Checks one service: one check after the other, never two at once.

    Attributes:
        well: whether it can take users, as far as is known.
        trouble: why the latest check that failed did.
    """

    log = Logger()

    def __init__(
        self,
        proxy: ProxyConfig,
        config: HealthCheckConfig,
        reactor: DialReactor,
        on_change: OnChange,
    ) -> None:
        self.well = False
        self.trouble = ""
        self._proxy = proxy
        self._config = config
        self._reactor = reactor
        self._on_change = on_change
        self._check = _check_of(config.type)
        self._failures = 0
        self._under_way: Deferred[Any] | None = None
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Check now."""
        self._next = None
        checking = ensureDeferred(self._ask())
        checking.addTimeout(self._config.timeout_seconds, self._reactor, self._too_late)
        self._under_way = checking
        checking.addCallbacks(self._succeeded, self._failed)
        checking.addBoth(self._ended)

    def stop(self) -> None:
        """Check no more; nobody is told of anything any more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        checking, self._under_way = self._under_way, None
        if checking is not None:
            checking.cancel()

    async def _ask(self) -> None:
        await self._check(self._reactor, self._proxy)

    def _too_late(self, result: object, seconds: float) -> object:
        """Say what the cancelled check didn't; one that knows enough all the same may succeed."""
        if isinstance(result, Failure):
            raise LocalServiceUnavailable(f"no answer within {seconds:g} s")
        return result

    def _succeeded(self, _: object) -> None:
        if self._under_way is None:
            return
        self._failures = 0
        if not self.well:
            self.well = True
            self.log.info("[{proxy}] health check success", proxy=self._proxy.name)
            self._on_change(self._proxy, True)

    def _failed(self, failure: Failure) -> None:
        if self._under_way is None:
            return
        if not failure.check(LocalServiceUnavailable):
            self.log.failure("[{proxy}] health check broken", failure, proxy=self._proxy.name)
        self._failures += 1
        self.trouble = failure.getErrorMessage()
        self._tell(self.trouble)
        if self.well and self._failures >= self._config.max_failed:
            self.well = False
            self._on_change(self._proxy, False)

    def _tell(self, why: str) -> None:
        """Log what changes something; that a dead service is still dead is no news."""
        if not self.well and self._failures > 1:
            self.log.debug("[{proxy}] health check failed: {why}", proxy=self._proxy.name, why=why)
            return
        left = self._config.max_failed - self._failures
        if not self.well:
            then = "users aren't sent here before it succeeds"
        elif left > 0:
            then = f"{left} more in a row, and no users are sent here"
        else:
            then = "no users are sent here until it succeeds again"
        self.log.warn(
            "[{proxy}] health check failed: {why}; {then}",
            proxy=self._proxy.name, why=why, then=then,
        )  # fmt: skip

    def _ended(self, result: object) -> None:
        if isinstance(result, Failure):  # a bug of whoever was told
            self.log.failure("[{proxy}] health check broken", result, proxy=self._proxy.name)
        if self._under_way is not None:
            self._under_way = None
            self._next = self._reactor.callLater(self._config.interval_seconds, self.start)
