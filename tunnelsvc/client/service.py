# -*- test-case-name: tests.client.test_service -*-
"""The client as a Twisted service."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tunnelsvc.client.olderserver import ignored_by
from tunnelsvc.client.proxies import make_proxy
from tunnelsvc.client.registration import Registration
from tunnelsvc.client.spares import Spares
from tunnelsvc.client.waiting import Addresses, Waiting
from tunnelsvc.client.wishes import Wishes
from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.backoff import Backoff
from tunnelsvc.control.clientside import ClientCore, make_client_control
from tunnelsvc.control.session import LoginTerms, Session
from tunnelsvc.errors import LoginFailed, ProxyRefused
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.links import connector
from tunnelsvc.link.messages import FIRST_MESSAGE_SECONDS, MessageProtocol
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import Message, NewProxyResp, StartWorkConn

if TYPE_CHECKING:
    from tunnelsvc.client.health import HealthChecks
    from tunnelsvc.client.visitors import Visitors

POOL_FULL = "work connection pool is full"
"""In what a server says that has enough of them for now, which means no harm."""
LEAVE_SECONDS = 0.25
"""How long a client that is stopped waits for its users to go."""
LOOK_SECONDS = 0.01
"""Between two looks whether they are gone."""
MOST_SPARES = 100
"""A server that wants more direct connections than that is out of order."""


class TunnelClient(Service):
    """The hidden side of the tunnel.

    Attributes:
        on_login: called with the run id after each login that succeeded.
    """

    log = Logger()

    def __init__(
        self,
        config: ClientConfig,
        reactor: Any,
        on_fatal: Callable[[str], None] | None = None,
        random: Random | None = None,
    ) -> None:
        """Build everything; nothing is dialled yet.

        Args:
            config: as from a file.
            reactor: dials, and is the clock.
            on_fatal: called with a message for the user when the first login fails and
                ``login_fail_exit`` says that this is the end. None: it is logged, and told to who
                waits (`when_running`).
            random: of back-off and heartbeats.

        Raises:
            ConfigError: a TLS file can't be used.
        """
        self.config = config
        self.on_login: Callable[[str], None] | None = None
        self._on_fatal = on_fatal
        self._reactor = reactor
        self._registration: Registration | None = None
        self._connections = Connections()
        self._wishes = Wishes()
        self._spares: Spares | None = None
        self._health = self._make_health_checks()
        self._waiting = Waiting()
        key = derive_key(config.token)
        self._proxies = {
            proxy.name: make_proxy(proxy, reactor, key, self._connections)
            for proxy in config.proxies
        }
        self._visitors = self._make_visitors()
        random = random or Random()  # noqa: S311 - jitter, no secret
        auth = TokenAuth(
            token=config.token,
            heartbeats=config.authenticate_heartbeats,
            new_work_conns=config.authenticate_new_work_conns,
            now=reactor.seconds,
        )
        terms = LoginTerms(config=config, auth=auth, clock=reactor, random=random, owner=self)
        connect = connector(reactor, config, self._connections)
        self._make_control = lambda: make_client_control(
            ClientCore(connect, terms, Backoff(random), self)
        )
        self._control = self._make_control()

    def _make_health_checks(self) -> "HealthChecks | None":
        if all(proxy.health_check is None for proxy in self.config.proxies):
            return None
        # Most clients have none.
        from tunnelsvc.client.health import HealthChecks  # noqa: PLC0415

        return HealthChecks(self.config.proxies, self._reactor, self._health_changed)

    def _make_visitors(self) -> "Visitors | None":
        if not self.config.visitors:
            return None
        # Most clients have none.
        from tunnelsvc.client.visitors import Visitors  # noqa: PLC0415

        made = Visitors(self._reactor, self._connections)
        replaced = ensureDeferred(made.replace(self.config.visitors))  # at once: there were none
        replaced.addErrback(lambda failure: self.log.failure("visitors are missing", failure))
        return made

    @property
    def proxy_addresses(self) -> Addresses:
        """Where the server put the running proxies, as it said: ``:6000``, ``a.example:8080``."""
        return self._registration.addresses() if self._registration else {}

    def when_running(self, *names: str) -> Deferred[Addresses]:
        """Wait until proxies run.

        Args:
            names: of proxies as in the configuration; none: all.

        Returns:
            Fires with `proxy_addresses`; can be cancelled. Fails with `ProxyRefused` when the
            server refuses one of them, although the client goes on asking; with `LoginFailed`
            when the client has given up; with ``CancelledError`` when it is stopped.

        Raises:
            KeyError: there is no proxy of that name.
        """
        for name in names:
            self._proxies[name]
        return self._waiting.add(names or self._proxies.keys(), self.proxy_addresses)

    def startService(self) -> None:
        """Begin to connect."""
        super().startService()
        self._connections.sweep_regularly(self._reactor)
        if self._health is not None:
            self._health.start()
        self._control.start()

    def stopService(self) -> Deferred[None]:
        """Close the session and all user connections; fires when they are gone."""
        super().stopService()
        if self._health is not None:
            self._health.stop()
        self._waiting.fail(CancelledError("the client was stopped"))
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        if self._registration is not None and self._serves():
            await self._take_leave(self._registration)
        self._control.stop()
        self._control = self._make_control()  # that one has ended for good; we may start again
        for proxy in self._proxies.values():
            proxy.close()
        if self._visitors is not None:
            await self._visitors.close()
        await self._connections.abort_all(self._reactor)

    async def _take_leave(self, registration: Registration) -> None:
        """Withdraw all proxies, and let end in order what can: the others are cut off.

        That is requests that are nearly answered, and connections to web servers that a server of
        ours keeps for the next request. An end in the middle of something would be no truth.
        """
        for proxy in self.config.proxies:
            registration.withdraw(proxy)
        until = self._reactor.seconds() + LEAVE_SECONDS
        while self._serves() and self._reactor.seconds() < until:
            await deferLater(self._reactor, LOOK_SECONDS)

    def _serves(self) -> bool:
        return any(proxy.serving for proxy in self._proxies.values())

    # What the conversation tells us.

    def logged_in(self, session: Session) -> None:
        """Announce our proxies; see `tunnelsvc.control.clientside.ClientEvents`."""
        config = self.config
        self._registration = Registration(
            session.messages.send, self._reactor, config.user, config.server_addr
        )
        well = config.proxies
        if self._health is not None:
            well = tuple(filter(self._health.is_well, well))
        if not session.server_is_ours:
            self._warn_of_older(session.server_version)
        self._registration.announce(well)
        if session.server_is_ours:
            session.link.accept(lambda stream: self._opened(session, stream))
            self._keep_spares(session)
        if self._visitors is not None:
            self._visitors.logged_in(session)
        if self.on_login is not None:
            self.on_login(session.run_id)

    def _warn_of_older(self, version: str) -> None:
        """Say what the server, a real frps, won't do because it is too old."""
        for proxy in self.config.proxies:
            for what in ignored_by(version, proxy):
                self.log.warn(
                    "[{proxy}] this server, frps {version}, {what}",
                    proxy=proxy.name, version=version, what=what,
                )  # fmt: skip

    def _health_changed(self, proxy: ProxyConfig, well: bool) -> None:
        """Announce a proxy whose service can take users, withdraw one whose can't."""
        if self._registration is None:
            return
        if well:
            self._registration.announce([proxy])
        else:
            self._registration.withdraw(proxy)

    def session_lost(self) -> None:
        """Forget what the server knew, and what it wished."""
        self._wishes = Wishes()
        if self._visitors is not None:
            self._visitors.session_lost()
        if self._spares is not None:
            self._spares.stop()
            self._spares = None
        if self._registration is not None:
            self._registration.stop()
            self._registration = None

    def gave_up(self, message: str) -> None:
        """Tell the program to end."""
        self.log.error("{why}", why=message)
        self._waiting.fail(LoginFailed(message))
        if self._on_fatal is not None:
            self._on_fatal(message)

    def message_received(self, message: Message) -> None:
        """Take the server's answers; see `tunnelsvc.control.session.SessionOwner`."""
        registration = self._registration
        if not isinstance(message, NewProxyResp) or registration is None:
            return
        registration.answered(message)
        if message.error:
            proxy = registration.find(message.proxy_name)
            if proxy is not None:
                self._waiting.fail(ProxyRefused(message.error), proxy.name)
        else:
            self._waiting.look(registration.addresses())

    def work_connection_wanted(self, session: Session) -> None:
        """Open a work connection and serve whoever it is given to."""
        self._wishes.add(lambda done: self._work(session, done))

    async def _work(self, session: Session, done: Callable[[], None]) -> None:
        """Hops 4 and 5: open a stream, wait to be told which proxy it is for."""
        try:
            work = await session.open_work()
        except (ConnectError, ConnectionClosed) as why:
            self.log.warn("no work connection: {why}", why=why)
            done()
            return

        def started(message: Message) -> None:
            done()
            self._started(session, work, message)

        work.on_message = started
        work.on_lost = lambda _: done()

    def _keep_spares(self, session: Session) -> None:
        """Hop 4, ahead of demand: if server and file agree that there may be other connections."""
        number = min(session.direct_work_conns, MOST_SPARES)
        if number <= 0 or self.config.tcp_mux_chosen:
            return

        def started(work: MessageProtocol, message: StartWorkConn) -> None:
            self._started(session, work, message)

        self._spares = Spares(number, session.open_direct_work, started, self._reactor)
        self._spares.start()

    def _opened(self, session: Session, stream: Stream) -> None:
        """Hop 4, by the server: it says at once which proxy the stream is for."""
        work = MessageProtocol(stream, self._reactor, session.dialect)
        first = work.expect(FIRST_MESSAGE_SECONDS)
        first.addCallbacks(lambda message: self._started(session, work, message), lambda _: None)
        first.addErrback(lambda failure: self.log.failure("work connection broken", failure))
        work.start()

    def _started(self, session: Session, work: MessageProtocol, message: Message) -> None:
        if not isinstance(message, StartWorkConn) or message.error:
            why = getattr(message, "error", "") or f"unexpected {type(message).__name__}"
            tell = self.log.debug if POOL_FULL in why else self.log.warn
            tell("the server refused a work connection: {why}", why=why)
            work.close()
            return
        config = self._registration.find(message.proxy_name) if self._registration else None
        if config is None:
            self.log.debug("no proxy [{proxy}]", proxy=message.proxy_name)
            work.abort()
            return
        ensureDeferred(self._proxies[config.name].serve(session, work, message)).addErrback(
            lambda failure: self.log.failure("[{proxy}] broken", failure, proxy=config.name)
        )
