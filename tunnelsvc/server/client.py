# -*- test-case-name: tests.server.test_clients -*-
"""One client that is logged in: its conversation, its work connections, its proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from attrs import evolve
from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger

from tunnelsvc import __version__
from tunnelsvc.control.serverside import ControlCore, ServerControl, make_server_control
from tunnelsvc.errors import HookRefused, ProxyRefused, TunnelError
from tunnelsvc.handover import host_of
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.link.roundtrip import round_trip_seconds
from tunnelsvc.metrics.clients import client_key
from tunnelsvc.server.context import ServerContext
from tunnelsvc.server.names import check_name, label
from tunnelsvc.server.permission import Permission, hooks_for
from tunnelsvc.server.proxies import PROXY_TYPES
from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.server.rules import DISABLED, who_is
from tunnelsvc.server.work import DIRECT_READY, Opener, WorkConnections
from tunnelsvc.server.workpool import WorkPool
from tunnelsvc.timing import limit
from tunnelsvc.wire.dialect import Dialect, payload_dialect
from tunnelsvc.wire.messages import WIRE_VERSION, Login, LoginResp, NewProxy, NewProxyResp

if TYPE_CHECKING:
    from tunnelsvc.server.clients import ClientRegistry

MOST_ERROR_CHARACTERS = 1_000
"""Of a refusal, which may repeat words of the request."""
MOST_PROXIES_PER_CLIENT = 5_000
"""A bound on what one client can make us remember; port ranges of thousands exist."""
REFUSED_SECONDS = 2.0
"""How long a multiplexed client may take to go by itself after its login was refused. A frpc whose
connection ends before it has noted that its login is sent takes that for the answer, and its user
reads "session shutdown" instead of the reason."""
NO_MUX_HEARTBEAT_TIMEOUT_SECONDS = 90.0
"""Default without tcp_mux; with it yamux's own pings notice a dead peer (notes 5.3)."""


class Client:
    """One login: its conversation, its work connections, its proxies."""

    log = Logger()
    _end_reason = ""

    def __init__(
        self,
        messages: MessageProtocol,
        login: Login,
        registry: ClientRegistry,
        session: Opener | None,
    ) -> None:
        context = registry.context
        self.login = login
        self.auth = registry.auth
        """By which it came in, and which it is judged by to the end; the server's may change."""
        self.run_id = login.run_id
        self.who = who_is(login, host_of(messages.stream))
        """What `tunnelsvc.server.rules` know it by."""
        self.label = label(login)
        self.is_ours = bool(login.tunnelsvc)
        self.dialect = messages.dialect
        self.before: Client | None = None
        """The client in whose place this one comes, until that is gone."""
        self.welcomed = False
        """Whether its login holds."""
        self.proxies: dict[str, Proxy] = {}
        """By the names that the client has for them."""
        self.visits: WeakSet[Stream] = WeakSet()
        """What it has as a visitor, of others' proxies."""
        self._context = context
        self._registry = registry
        self._session = session
        self.permission = Permission(context, login)
        self.hears_pings = self.permission.hears_pings
        self.ping = self.permission.ping
        # A plugin that wants to know of each work connection isn't asked about streams of ours.
        counted = hooks_for(context, "NewWorkConn") is not None
        takes_streams = self.is_ours and session is not None and not counted
        self._direct_ready = (
            DIRECT_READY if takes_streams and not context.config.tcp_mux_chosen else 0
        )
        wanted = 0 if takes_streams else login.pool_count
        self._pool_size = max(0, min(wanted, context.config.max_pool_count))
        self._core = ControlCore(
            messages=messages,
            desk=self,
            auth=self.auth,
            clock=context.reactor,
            heartbeat_timeout_seconds=_heartbeat_timeout(context, muxed=session is not None),
            on_end=self._ended,
            detailed_errors=context.config.detailed_errors_to_client,
        )
        self.control: ServerControl = make_server_control(self._core)
        self.closed = self._core.ended
        self._pool = WorkPool(
            self._pool_size,
            self.control.ask_work_connection,
            context.reactor,
            context.config.user_conn_timeout_seconds,
        )
        opener = session if takes_streams else None
        self.work = WorkConnections(self._pool, opener, self.dialect)
        messages.on_message = self.control.received
        messages.on_lost = self.control.lost

    def welcome(self) -> None:
        """Answer the login, and ask for the first work connections."""
        self.welcomed = True
        peer = self.who["address"]
        response = LoginResp(
            version=WIRE_VERSION,
            run_id=self.run_id,
            tunnelsvc=__version__,
            direct_work_conns=self._direct_ready,
        )
        self._context.stats.client_online(
            self.run_id,
            user=self.login.user,
            client_id=self.login.client_id,
            version=self.login.version,
            address=peer,
            os=self.login.os,
            arch=self.login.arch,
            hostname=self.login.hostname,
            wire_protocol=self.dialect.name,
        )
        system = f"{self.login.os} {self.login.arch}"
        said = (f"version {self.login.version}", system, self.login.hostname)
        self._note("login", ", ".join(filter(None, said)))  # frpc before 0.53 names no host
        self.log.info(
            "[{run_id}] client login info: ip [{peer}] version [{version}] hostname [{hostname}]"
            " os [{os}] arch [{arch}]",
            run_id=self.label,
            peer=peer,
            version=self.login.version,
            hostname=self.login.hostname,
            os=self.login.os,
            arch=self.login.arch,
        )
        self.control.accept(response, self._pool_size)
        self._pool.asked(self._pool_size)

    def round_trip_seconds(self) -> float | None:
        """See `tunnelsvc.link.roundtrip`."""
        return round_trip_seconds(self._core.messages.stream)

    @property
    def key(self) -> str:
        """What `tunnelsvc.metrics` know it by."""
        login = self.login
        return client_key(login.user, login.client_id or login.run_id)

    def _note(self, kind: str, detail: str, proxy: str = "") -> None:
        """Add to the events that people see."""
        self._context.stats.events.add(
            kind, client=self.key, proxy=proxy, address=self.who["address"], detail=detail
        )

    @property
    def payload_dialect(self) -> Dialect:
        """In which messages are written that carry users' bytes (udp, sudp)."""
        return payload_dialect(self.dialect, self.login.version)

    async def new_proxy(self, request: NewProxy) -> NewProxyResp:
        """Open a proxy for the client; see `tunnelsvc.control.serverside.ClientDesk`."""
        name = request.proxy_name
        request = evolve(request, proxy_type=request.proxy_type or "tcp")
        try:
            check_name(name)
            # What server plugins have given another name is in nobody else's way.
            if name in self.proxies and name not in self._context.proxies:
                raise ProxyRefused(f"proxy [{name}] already exists")
            request = await self.permission.new_proxy(request)
            proxy = self._make(request)
            proxy.called = name
            address = await self._open(proxy)
        except (ProxyRefused, HookRefused) as why:
            self.log.warn(
                "[{run_id}] new proxy [{proxy}] type [{type}] error: {why}",
                run_id=self.label, proxy=name, type=request.proxy_type, why=why,
            )  # fmt: skip
            self._note("proxy_refused", str(why), name)
            return NewProxyResp(proxy_name=name, error=self._detail(f"new proxy [{name}]", why))
        self.log.info(
            "[{run_id}] new proxy [{proxy}] type [{type}] success: {address}",
            run_id=self.label, proxy=name, type=request.proxy_type, address=address,
        )  # fmt: skip
        self._note("proxy_opened", f"{request.proxy_type} {address}", proxy.name)
        return _placed(proxy)

    def _make(self, request: NewProxy) -> Proxy:
        check_name(request.proxy_name)
        if len(self.proxies) >= MOST_PROXIES_PER_CLIENT:
            raise ProxyRefused(f"more than {MOST_PROXIES_PER_CLIENT} proxies of one client")
        proxy_type = PROXY_TYPES.get(request.proxy_type)
        if proxy_type is None:
            raise ProxyRefused(f"unknown proxy type: {request.proxy_type} (not supported yet)")
        return proxy_type(request, self, self._context)

    async def _open(self, proxy: Proxy) -> str:
        most = self._context.config.max_ports_per_client
        if proxy.uses_port and most and self._ports() >= most:
            raise ProxyRefused("exceed the max_ports_per_client")
        self._check_enabled(proxy.name)
        self._context.claim(proxy.name, proxy)
        try:
            address = await proxy.open()
            if proxy.name in self._context.rules.disabled:  # meanwhile
                await proxy.close(DISABLED)
            self._check_enabled(proxy.name)
        except BaseException:
            self._context.release(proxy.name)
            raise
        self.proxies[proxy.called] = proxy
        return address

    def _check_enabled(self, name: str) -> None:
        if name in self._context.rules.disabled:
            raise _disabled(name)

    async def reopen(self, proxy: Proxy) -> None:
        """Open one of the client's proxies again that the administrator had closed.

        One that it has closed itself meanwhile is left alone.

        Raises:
            ProxyRefused: it can't be reached where the client was told.
        """
        await self._core.turn.run(lambda: ensureDeferred(self._open_again(proxy)))

    async def _open_again(self, proxy: Proxy) -> None:
        if self.proxies.get(proxy.called) is not proxy or not proxy.closed:
            return
        await proxy.close()  # until it is
        again = proxy.again()
        address = await again.open()
        if address != proxy.address:
            await again.close(DISABLED)
            again.stats.remote_addr = proxy.address
            raise ProxyRefused(
                f"[{proxy.address}], where proxy [{proxy.name}] was, is taken by now; kick its"
                " client to give it another place"
            )
        self.proxies[proxy.called] = self._context.proxies[proxy.name] = again
        self._tell(evolve(_placed(again), unasked=True), again)

    def tell_disabled(self, proxy: Proxy) -> None:
        """Tell the client, if it understands, that nobody may reach one of its proxies any more."""
        error = self._detail(f"proxy [{proxy.called}]", _disabled(proxy.name))
        self._tell(NewProxyResp(proxy_name=proxy.called, error=error, unasked=True), proxy)

    def _tell(self, news: NewProxyResp, proxy: Proxy) -> None:
        """Give a client of ours news of a proxy; frp's would take it for an answer."""
        if self.is_ours and self.proxies.get(proxy.called) is proxy:
            self._core.messages.send(news)

    def _ports(self) -> int:
        return sum(proxy.uses_port for proxy in self.proxies.values())

    def _detail(self, what: str, why: TunnelError) -> str:
        if not self._context.config.detailed_errors_to_client:
            return f"{what} error"[:MOST_ERROR_CHARACTERS]
        return str(why)[:MOST_ERROR_CHARACTERS]

    async def close_proxy(self, name: str) -> None:
        """Close one proxy of the client, by the name that it has there."""
        proxy = self.proxies.pop(name, None)
        if proxy is None:
            return
        reason = self._end_reason or "closed by its client"
        if not proxy.closed:
            self._note("proxy_closed", reason, proxy.name)
        try:
            await proxy.close(reason)
        finally:
            self._context.release(proxy.name)
        self.permission.proxy_closed(proxy.name)
        self.log.info("[{run_id}] close proxy [{proxy}] success", run_id=self.label, proxy=name)

    async def close_all(self) -> None:
        """Close all that the client had; one that fails keeps no other from it."""
        for name in list(self.proxies):
            try:
                await self.close_proxy(name)
            except Exception:  # noqa: BLE001
                self.log.failure(
                    "[{run_id}] closing [{proxy}] failed", run_id=self.label, proxy=name
                )

    def reconfigure(self) -> None:
        """Do from now on as the context's new configuration says."""
        self._pool.timeout_seconds = self._context.config.user_conn_timeout_seconds

    def send_away(self, reason: str) -> None:
        """End the conversation and the session, what users have by them, and what it visits.

        A client that waits to be let in is told why, as far as clients are told such things.
        """
        proxies = list(self.proxies.values())
        self.control.drop(reason)
        for proxy in proxies:
            proxy.cut_users()
        self.work.cut_direct()
        for visit in list(self.visits):
            visit.abortConnection()
        session = self._session
        if session is None:
            return
        if self.welcomed:
            session.close()
        else:
            limit(self._context.reactor, REFUSED_SECONDS, session.close)

    def _ended(self, reason: str) -> None:
        self._end_reason = f"its client is gone: {reason}"
        if self.welcomed:
            self._note("logout", reason)
        self.permission.end()
        self.work.close(cut=self._core.timed_out)
        self._registry.forget(self)
        self.log.info("[{run_id}] client exit success: {reason}", run_id=self.label, reason=reason)


def _disabled(name: str) -> ProxyRefused:
    return ProxyRefused(f"proxy [{name}] is {DISABLED}")


def _placed(proxy: Proxy) -> NewProxyResp:
    """Tell a client where one of its proxies is."""
    return NewProxyResp(
        proxy_name=proxy.called, remote_addr=proxy.address, https_addr=proxy.https_address
    )


def _heartbeat_timeout(context: ServerContext, *, muxed: bool) -> float:
    configured = context.config.heartbeat_timeout_seconds
    if configured is not None:
        return configured
    return 0.0 if muxed else NO_MUX_HEARTBEAT_TIMEOUT_SECONDS
