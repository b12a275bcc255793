# -*- test-case-name: tests.client.test_service -*-
"""The client as a Twisted service."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.client.proxyset import ProxySet
from tunnelsvc.client.spares import Spares
from tunnelsvc.client.status import LinkStatus, ProxyStatus, VisitorStatus
from tunnelsvc.client.waiting import Addresses
from tunnelsvc.client.wishes import Wishes
from tunnelsvc.config.diff import Diff, compare
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.backoff import Backoff
from tunnelsvc.control.clientside import ClientCore, make_client_control
from tunnelsvc.control.session import LoginTerms, Session
from tunnelsvc.errors import LoginFailed
from tunnelsvc.handover import Connections
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.links import servers
from tunnelsvc.link.messages import FIRST_MESSAGE_SECONDS, MessageProtocol, ignore_message
from tunnelsvc.wire.messages import Message, NewProxyResp, StartWorkConn

if TYPE_CHECKING:
    from tunnelsvc.client.inspection import Exchange, Inspector
    from tunnelsvc.client.inspection.request import Edits
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
        on_lost: called when such a session has ended, unless the client is stopped.
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
        self.on_lost: Callable[[], None] | None = None
        self._on_fatal = on_fatal
        self._reactor = reactor
        self._connections = Connections()
        self._wishes = Wishes()
        self._spares: Spares | None = None
        self._names_before: Any = None
        """What looked names up before us; None: it still does."""
        self._proxies = ProxySet(config, reactor, self._connections)
        self._session: Session | None = None
        self._visitors: Visitors | None = None
        self._visit(config)
        random = random or Random()  # noqa: S311 - jitter, no secret
        auth = TokenAuth(
            token=config.token,
            heartbeats=config.authenticate_heartbeats,
            new_work_conns=config.authenticate_new_work_conns,
            now=reactor.seconds,
        )
        terms = LoginTerms(config=config, auth=auth, clock=reactor, random=random, owner=self)
        where = servers(reactor, config, self._connections)
        self._core = ClientCore(where, terms, Backoff(random), self)
        self._control = make_client_control(self._core)

    def _visit(self, config: ClientConfig) -> None:
        """Have the visitors of a configuration, and no others."""
        if self._visitors is None:
            if not config.visitors:
                return
            # Most clients have none.
            from tunnelsvc.client.visitors import Visitors  # noqa: PLC0415

            self._visitors = Visitors(self._reactor, self._connections)
            if self._session is not None:
                self._visitors.logged_in(self._session)
        ensureDeferred(self._visitors.replace(config.visitors)).addErrback(
            lambda failure: self.log.failure("visitors are missing", failure)
        )

    @property
    def proxy_addresses(self) -> Addresses:
        """Where the server put the running proxies, as it said: ``:6000``, ``a.example:8080``."""
        return self._proxies.addresses()

    def proxy_statuses(self) -> list[ProxyStatus]:
        """Say how each proxy is, in the order of the configuration."""
        return self._proxies.statuses()

    @property
    def inspector(self) -> Inspector | None:
        """The latest requests of proxies with ``inspect = true``; None: there is no such proxy."""
        return self._proxies.inspector

    def replay(self, exchange: Exchange, edits: Edits) -> Exchange:
        """Have a request sent to its service again, as if its user had sent it.

        Args:
            exchange: whose request it is.
            edits: what is to be different.

        Returns:
            The new exchange, which has only begun.

        Raises:
            CannotReplayError: it can't be; the proxy may be gone.
        """
        # It is only by what is imported already that there is an exchange.
        from tunnelsvc.client.inspection.request import (  # noqa: PLC0415
            CannotReplayError,
            request_of,
        )

        inspected = self._proxies.inspected(exchange.proxy)
        if inspected is None:
            raise CannotReplayError(f"proxy [{exchange.proxy}] is gone, or not inspected any more")
        return inspected.replay(request_of(exchange, edits), exchange)

    def link_status(self) -> LinkStatus:
        """Say how the connection to the server is."""
        core, session = self._core, self._session
        server = core.server.address
        if session is None:
            return LinkStatus(server, error=core.complaint)
        return LinkStatus(server, session.started_at, session.run_id)

    def visitor_statuses(self) -> list[VisitorStatus]:
        """Say how each visitor is."""
        return self._visitors.statuses() if self._visitors is not None else []

    def when_running(self, *names: str) -> Deferred[Addresses]:
        """Wait until proxies run.

        Args:
            names: of proxies as in the configuration; none: all, also if `reload` changes which.

        Returns:
            Fires with `proxy_addresses`; can be cancelled. Fails with `ProxyRefused` when the
            server refuses one of them, although the client goes on asking; with `ProxyRemoved`
            when `reload` removes one that was named; with `LoginFailed` when the client has given
            up; with ``CancelledError`` when it is stopped.

        Raises:
            KeyError: there is no proxy of that name.
        """
        return self._proxies.when_running(names)

    def reload(self, config: ClientConfig) -> Diff:
        """Become the client of another configuration, as far as that is possible while it runs.

        Proxies that are the same aren't announced again. Users of the others who have a connection
        keep it, as with frp.

        Args:
            config: the other one. `self.config` becomes what is in effect of it.

        Returns:
            What is different; its ``remarks`` say of which keys of ``[common]`` that holds later.

        Raises:
            ConfigError: a file that a plugin needs can't be used. Nothing has changed.
        """
        diff = compare(self.config, config)
        made = self._proxies.make(diff.proxies.added)
        self.config = diff.in_effect(self.config)
        self._core.terms = evolve(self._core.terms, config=self.config)
        self._proxies.replace(diff.proxies, made)
        if diff.visitors.removed or diff.visitors.added:
            self._visit(self.config)
        return diff

    def startService(self) -> None:
        """Begin to connect."""
        super().startService()
        if self.config.dns_server:
            from tunnelsvc.link.names import NameServer  # noqa: PLC0415 - few have one

            names = NameServer(self.config.dns_server, self._reactor)
            self._names_before = self._reactor.installNameResolver(names)
        self._connections.sweep_regularly(self._reactor)
        self._proxies.start()
        self._control.start()

    def stopService(self) -> Deferred[None]:
        """Close the session and all user connections; fires when they are gone."""
        super().stopService()
        if self._names_before is not None:
            self._reactor.installNameResolver(self._names_before)
            self._names_before = None
        self._proxies.stop()
        self._proxies.waiting.fail(CancelledError("the client was stopped"))
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        if self._proxies.serves():
            await self._take_leave()
        self._control.stop()
        # That one has ended for good; we may start again.
        core = self._core
        self._core = ClientCore(core.servers, core.terms, Backoff(core.terms.random), self)
        self._control = make_client_control(self._core)
        self._proxies.close()
        if self._visitors is not None:
            await self._visitors.close()
        await self._connections.abort_all(self._reactor)

    async def _take_leave(self) -> None:
        """Withdraw all proxies, and let end in order what can: the others are cut off.

        That is requests that are nearly answered, and connections to web servers that a server of
        ours keeps for the next request. An end in the middle of something would be no truth.
        """
        self._proxies.withdraw_all()
        until = self._reactor.seconds() + LEAVE_SECONDS
        while self._proxies.serves() and self._reactor.seconds() < until:
            await deferLater(self._reactor, LOOK_SECONDS)

    # What the conversation tells us.

    def logged_in(self, session: Session) -> None:
        """Announce our proxies; see `tunnelsvc.control.clientside.ClientEvents`."""
        self._session = session
        self._proxies.session_began(session)
        if session.server_is_ours:
            session.link.accept(lambda stream: self._opened(session, stream))
            self._keep_spares(session)
        if self._visitors is not None:
            self._visitors.logged_in(session)
        if self.on_login is not None:
            self.on_login(session.run_id)

    def leaving(self) -> None:
        """Withdraw all proxies: another server is to have them."""
        self._proxies.withdraw_all()

    def session_lost(self) -> None:
        """Forget what the server knew, and what it wished."""
        self._session = None
        self._wishes = Wishes()
        if self._visitors is not None:
            self._visitors.session_lost()
        if self._spares is not None:
            self._spares.stop()
            self._spares = None
        self._proxies.session_lost()
        if self.on_lost is not None and self.running:
            self.on_lost()

    def gave_up(self, message: str) -> None:
        """Tell the program to end."""
        self.log.error("{why}", why=message)
        self._proxies.waiting.fail(LoginFailed(message))
        if self._on_fatal is not None:
            self._on_fatal(message)

    def message_received(self, message: Message) -> None:
        """Take the server's answers; see `tunnelsvc.control.session.SessionOwner`."""
        if isinstance(message, NewProxyResp):
            self._proxies.answered(message)

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
        work.on_message = partial(self._started, session, work)
        work.limit(FIRST_MESSAGE_SECONDS)
        work.start()

    def _started(self, session: Session, work: MessageProtocol, message: Message) -> None:
        work.on_message = ignore_message
        if not isinstance(message, StartWorkConn) or message.error:
            why = getattr(message, "error", "") or f"unexpected {type(message).__name__}"
            tell = self.log.debug if POOL_FULL in why else self.log.warn
            tell("the server refused a work connection: {why}", why=why)
            work.close()
            return
        proxy = self._proxies.find(message.proxy_name)
        if proxy is None:
            self.log.debug("no proxy [{proxy}]", proxy=message.proxy_name)
            work.abort()
            return
        name = proxy.config.name
        session.users += 1
        serving = ensureDeferred(proxy.serve(session, work, message))
        serving.addBoth(self._served, session, name)

    def _served(self, result: Failure | None, session: Session, name: str) -> None:
        session.user_gone()
        if result is not None:
            self.log.failure("[{proxy}] broken", result, proxy=name)
