# -*- test-case-name: tests.client.test_proxyset -*-
"""The proxies of a client: those of its configuration, which may be exchanged while it runs.

What the server knows of them is the `Registration` of the session; here is what outlives sessions,
and what a proxy that is removed leaves behind: users who have a connection keep it, and users who
were on their way when the server was told still arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from tunnelsvc.client.olderserver import ignored_by
from tunnelsvc.client.proxies import ClientProxy, make_proxy
from tunnelsvc.client.registration import Registration
from tunnelsvc.client.status import ProxyStatus
from tunnelsvc.client.waiting import Addresses, Waiting
from tunnelsvc.config.diff import Changes
from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.control.session import Session
from tunnelsvc.errors import ConfigError, ProxyRefused, ProxyRemoved
from tunnelsvc.handover import Connections
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import NewProxyResp

if TYPE_CHECKING:
    from tunnelsvc.client.health import HealthChecks
    from tunnelsvc.client.inspection import Inspector
    from tunnelsvc.client.inspection.serving import Inspected

LATE_SECONDS = 10.0
"""How long users still arrive of a proxy that was removed: the server gave them a connection before
it heard of that. As long as it waits for one (``user_conn_timeout``)."""

Made = Mapping[str, ClientProxy]
"""By name."""


@frozen
class _Late:
    """A removed proxy that users may still arrive for."""

    proxy: ClientProxy
    end: IDelayedCall


class ProxySet:
    """The proxies of one client, whether it has a session or not.

    Attributes:
        waiting: who wants to know when they run.
        inspector: of those with ``inspect = true``; None: there was none yet. It stays when they
            go: what was seen can still be looked at.
    """

    log = Logger()

    def __init__(self, config: ClientConfig, reactor: Any, connections: Connections) -> None:
        """Make all that are enabled; nobody is told of them yet.

        Args:
            config: as from a file.
            reactor: dials, and is the clock.
            connections: takes note of each connection to a service.

        Raises:
            ConfigError: a file that a plugin needs can't be used.
        """
        self.waiting = Waiting()
        self.inspector: Inspector | None = None
        self._user = config.user
        self._key = derive_key(config.token)
        self._reactor = reactor
        self._connections = connections
        self._session: Session | None = None
        self._registration: Registration | None = None
        self._health: HealthChecks | None = None
        self._running = False
        self._proxies = dict(self.make(config.proxies))
        self._retired: list[ClientProxy] = []
        self._late: dict[str, _Late] = {}
        self.waiting.all_names = self._proxies.keys()
        self._check(self._configs())

    def _configs(self) -> list[ProxyConfig]:
        return [proxy.config for proxy in self._proxies.values()]

    def make(self, configs: Iterable[ProxyConfig]) -> Made:
        """Make what serves the users of those that are enabled.

        Raises:
            ConfigError: with all files that plugins need and that can't be used.
        """
        made: dict[str, ClientProxy] = {}
        problems: list[str] = []
        for config in configs:
            try:
                if config.enabled:
                    made[config.name] = self._make(config)
            except ConfigError as why:
                problems += why.problems
        if problems:
            raise ConfigError(problems)
        return made

    def _make(self, config: ProxyConfig) -> ClientProxy:
        if config.inspect and self.inspector is None:
            # Most clients inspect none.
            from tunnelsvc.client.inspection import Inspector  # noqa: PLC0415

            self.inspector = Inspector()
        return make_proxy(config, self._reactor, self._key, self._connections, self.inspector)

    def replace(self, changes: Changes[ProxyConfig], made: Made) -> None:
        """Become other proxies; those that are the same notice nothing.

        Args:
            changes: which.
            made: what `make` made of those that are added.
        """
        for name in changes.removed:
            self._remove(name)
        there = {**self._proxies, **made}
        self._proxies = {name: there[name] for name in changes.order if name in there}
        self.waiting.all_names = self._proxies.keys()
        for name in changes.removed:
            if name not in self._proxies:
                self.waiting.fail_named(ProxyRemoved(f"[{name}] was removed"), name)
        added = [proxy.config for proxy in made.values()]
        self._announce(added)
        self._check(added)
        self.waiting.look(self.addresses())

    def _remove(self, name: str) -> None:
        proxy = self._proxies.pop(name, None)
        if proxy is None:  # It wasn't enabled.
            return
        if self._health is not None:
            self._health.remove([name])
        if self._registration is not None:
            self._keep_for_late_users(proxy)
            self._registration.remove(proxy.config)
        self._retire(proxy)

    def _retire(self, proxy: ClientProxy) -> None:
        proxy.close()
        self._retired = [each for each in {*self._retired, proxy} if each.serving]

    def _keep_for_late_users(self, proxy: ClientProxy) -> None:
        wire_name = self._wire_name(proxy.config.name)
        if wire_name in self._late:  # That one is what runs at the server, as far as we know.
            return
        end = self._reactor.callLater(LATE_SECONDS, self._forget_late, wire_name)
        self._late[wire_name] = _Late(proxy, end)

    def _forget_late(self, wire_name: str) -> None:
        late = self._late.pop(wire_name, None)
        if late is not None:
            if late.end.active():
                late.end.cancel()
            self._retire(late.proxy)

    def _check(self, configs: Iterable[ProxyConfig]) -> None:
        """Check the health of those that want it."""
        checked = [each for each in configs if each.health_check is not None]
        if not checked:
            return
        if self._health is None:
            # Most clients have none.
            from tunnelsvc.client.health import HealthChecks  # noqa: PLC0415

            self._health = HealthChecks(self._reactor, self._health_changed)
            if self._running:
                self._health.start()
        self._health.add(checked)

    def _health_changed(self, proxy: ProxyConfig, well: bool) -> None:
        """Announce a proxy whose service can take users, withdraw one whose can't."""
        if self._registration is None:
            return
        if well:
            self._registration.announce([proxy])
        else:
            self._registration.withdraw(proxy)

    # What happens to the client.

    def start(self) -> None:
        """Begin with the health checks."""
        self._running = True
        if self._health is not None:
            self._health.start()

    def stop(self) -> None:
        """End the health checks."""
        self._running = False
        if self._health is not None:
            self._health.stop()

    def close(self) -> None:
        """Drop what all hold for their users."""
        for proxy in self._proxies.values():
            proxy.close()

    def session_began(self, session: Session) -> None:
        """Announce what can take users."""
        self._session = session
        server_addr = session.terms.config.server_addr  # of several, the one that it is
        self._registration = Registration(
            session.messages.send, self._reactor, self._user, server_addr
        )
        self._announce(self._configs())

    def session_lost(self) -> None:
        """Forget what the server knew."""
        self._session = None
        for wire_name in list(self._late):
            self._forget_late(wire_name)
        if self._registration is not None:
            self._registration.stop()
            self._registration = None

    def _announce(self, configs: Iterable[ProxyConfig]) -> None:
        if self._registration is None or self._session is None:
            return
        if not self._session.server_is_ours:
            self._warn_of_older(self._session.server_version, configs)
        self._registration.announce(filter(self._is_well, configs))

    def _is_well(self, config: ProxyConfig) -> bool:
        if config.health_check is None:
            return True
        return self._health is not None and self._health.is_well(config)

    def _warn_of_older(self, version: str, configs: Iterable[ProxyConfig]) -> None:
        """Say what the server, a real frps, won't do because it is too old."""
        for proxy in configs:
            for what in ignored_by(version, proxy):
                self.log.warn(
                    "[{proxy}] this server, frps {version}, {what}",
                    proxy=proxy.name, version=version, what=what,
                )  # fmt: skip

    def answered(self, answer: NewProxyResp) -> None:
        """Take the server's answer to an announcement."""
        registration = self._registration
        if registration is None:
            return
        registration.answered(answer)
        if registration.is_running(answer.proxy_name):
            self._forget_late(answer.proxy_name)
        if answer.error:
            proxy = registration.find(answer.proxy_name)
            if proxy is not None:
                self.waiting.fail(ProxyRefused(answer.error), proxy.name)
        else:
            self.waiting.look(registration.addresses())

    def withdraw_all(self) -> None:
        """Let no more users come."""
        if self._registration is not None:
            for config in self._configs():
                self._registration.withdraw(config)

    # What others ask.

    def _wire_name(self, name: str) -> str:
        """Return what the server knows a proxy by."""
        return f"{self._user}.{name}" if self._user else name

    def find(self, wire_name: str) -> ClientProxy | None:
        """Return who serves a user that the server has for a proxy.

        As long as the server hasn't said that a changed proxy runs, that user came to the old one.
        """
        late = self._late.get(wire_name)
        if late is not None:
            return late.proxy
        config = self._registration.find(wire_name) if self._registration else None
        return self._proxies.get(config.name) if config is not None else None

    def addresses(self) -> Addresses:
        """Return where the server put the running proxies."""
        return self._registration.addresses() if self._registration else {}

    def statuses(self) -> list[ProxyStatus]:
        """Say how each is, in the order of the file."""
        return [self._status(proxy) for proxy in self._proxies.values()]

    def _status(self, proxy: ClientProxy) -> ProxyStatus:
        registration, config = self._registration, proxy.config
        status = ProxyStatus(config) if registration is None else registration.status(config)
        check_error = "" if self._health is None else self._health.trouble(config)
        return evolve(status, dial_error=proxy.dial_error, check_error=check_error)

    def inspected(self, name: str) -> Inspected | None:
        """Return what stands before the service of an inspected proxy; None: there is none."""
        proxy = self._proxies.get(name)
        return getattr(proxy, "plugin", None) if proxy and proxy.config.inspect else None

    def serves(self) -> bool:
        """Tell whether any user has a connection, even if the proxy is gone."""
        return any(proxy.serving for proxy in (*self._proxies.values(), *self._retired))

    def when_running(self, names: Iterable[str]) -> Deferred[Addresses]:
        """Wait until proxies run; see `tunnelsvc.client.service.TunnelClient.when_running`.

        Raises:
            KeyError: there is no proxy of that name.
        """
        wanted = tuple(names)
        for name in wanted:
            self._proxies[name]
        return self.waiting.add(wanted, self.addresses())
