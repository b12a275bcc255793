# -*- test-case-name: tests.server.test_clients -*-
"""One client that is logged in: its conversation, its work connections, its proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from twisted.logger import Logger

from tunnelsvc import __version__
from tunnelsvc.control.serverside import ControlCore, ServerControl, make_server_control
from tunnelsvc.errors import HookRefused, ProxyRefused, TunnelError
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.server.context import ServerContext
from tunnelsvc.server.names import check_name, label
from tunnelsvc.server.permission import Permission, hooks_for
from tunnelsvc.server.proxies import PROXY_TYPES
from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.server.work import DIRECT_READY, Opener, WorkConnections
from tunnelsvc.server.workpool import WorkPool
from tunnelsvc.wire.dialect import Dialect, payload_dialect
from tunnelsvc.wire.messages import WIRE_VERSION, Login, LoginResp, NewProxy, NewProxyResp

if TYPE_CHECKING:
    from tunnelsvc.server.clients import ClientRegistry

MOST_ERROR_CHARACTERS = 1_000
"""Of a refusal, which may repeat words of the request."""
MOST_PROXIES_PER_CLIENT = 5_000
"""A bound on what one client can make us remember; port ranges of thousands exist."""
NO_MUX_HEARTBEAT_TIMEOUT_SECONDS = 90.0
"""Default without tcp_mux; with it yamux's own pings notice a dead peer (notes 5.3)."""


class Client:
    """One login: its conversation, its work connections, its proxies."""

    log = Logger()

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
        self.label = label(login)
        self.is_ours = bool(login.tunnelsvc)
        self.dialect = messages.dialect
        self.before: Client | None = None
        """The client in whose place this one comes, until that is gone."""
        self.welcomed = False
        """Whether its login holds."""
        self.proxies: dict[str, Proxy] = {}
        """By the names that the client has for them."""
        self._context = context
        self._registry = registry
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

    def welcome(self, peer: str) -> None:
        """Answer the login, and ask for the first work connections."""
        self.welcomed = True
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
            return NewProxyResp(proxy_name=name, error=self._detail(f"new proxy [{name}]", why))
        self.log.info(
            "[{run_id}] new proxy [{proxy}] type [{type}] success: {address}",
            run_id=self.label, proxy=name, type=request.proxy_type, address=address,
        )  # fmt: skip
        return NewProxyResp(proxy_name=name, remote_addr=address)

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
        self._context.claim(proxy.name, proxy)
        try:
            address = await proxy.open()
        except BaseException:
            self._context.release(proxy.name)
            raise
        self.proxies[proxy.called] = proxy
        return address

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
        try:
            await proxy.close()
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

    def _ended(self, reason: str) -> None:
        self.permission.end()
        self.work.close(cut=self._core.timed_out)
        self._registry.forget(self)
        self.log.info("[{run_id}] client exit success: {reason}", run_id=self.label, reason=reason)


def _heartbeat_timeout(context: ServerContext, *, muxed: bool) -> float:
    configured = context.config.heartbeat_timeout_seconds
    if configured is not None:
        return configured
    return 0.0 if muxed else NO_MUX_HEARTBEAT_TIMEOUT_SECONDS
