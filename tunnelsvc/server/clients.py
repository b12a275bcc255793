# -*- test-case-name: tests.server.test_clients -*-
"""Who is logged in: run id to client, takeover by the same run id, requests of each."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc import __version__
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.serverside import ControlCore, ServerControl, make_server_control
from tunnelsvc.errors import HookRefused, ProxyRefused, TunnelError
from tunnelsvc.handover import host_of
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.server.context import ServerContext
from tunnelsvc.server.names import MOST_RUN_ID_CHARACTERS, check_name, label, run_id_error
from tunnelsvc.server.permission import Permission, hooks_for, permitted_login
from tunnelsvc.server.proxies import PROXY_TYPES
from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.server.work import DIRECT_READY, Opener, WorkConnections
from tunnelsvc.server.workpool import WorkPool
from tunnelsvc.wire.messages import (
    WIRE_VERSION,
    Login,
    LoginResp,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    StartWorkConn,
)

if TYPE_CHECKING:
    from tunnelsvc.server.hooks.asking import Hooks

REPLACED = "control was replaced during login: a newer one has its run id"
"""Begins as frp's text does; both a client that ran and one that still waited may get it."""
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
        self.before: Client | None = None
        """The client in whose place this one comes, until that is gone."""
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
        )
        self.control: ServerControl = make_server_control(self._core)
        self.closed = self._core.ended
        self._pool = WorkPool(
            self._pool_size,
            self.control.ask_work_connection,
            context.reactor,
            context.config.user_conn_timeout_seconds,
        )
        self.work = WorkConnections(self._pool, session if takes_streams else None)
        messages.on_message = self.control.received
        messages.on_lost = self.control.lost

    def welcome(self, peer: str) -> None:
        """Answer the login, and ask for the first work connections."""
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

    async def new_proxy(self, request: NewProxy) -> NewProxyResp:
        """Open a proxy for the client; see `tunnelsvc.control.serverside.ClientDesk`."""
        name = request.proxy_name
        request = evolve(request, proxy_type=request.proxy_type or "tcp")
        try:
            check_name(name)
            if name in self.proxies:
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
        for key, wanted in _not_yet(request).items():
            if wanted:
                raise ProxyRefused(f"{key} is not supported by this server yet")
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
        self.work.close()
        self._registry.forget(self)
        self.log.info("[{run_id}] client exit success: {reason}", run_id=self.label, reason=reason)


def _heartbeat_timeout(context: ServerContext, *, muxed: bool) -> float:
    configured = context.config.heartbeat_timeout_seconds
    if configured is not None:
        return configured
    return 0.0 if muxed else NO_MUX_HEARTBEAT_TIMEOUT_SECONDS


class ClientRegistry:
    """All clients of the server."""

    log = Logger()

    def __init__(self, context: ServerContext, auth: TokenAuth) -> None:
        self.context = context
        self.auth = auth
        self.clients: dict[str, Client] = {}

    def login(
        self, messages: MessageProtocol, login: Login, session: Opener | None
    ) -> bool | Deferred[bool]:
        """Take a connection whose first message was a Login.

        Args:
            messages: the connection.
            login: that message.
            session: the multiplexed session that the connection is a stream of; None: none.

        Returns:
            Whether the login holds; the refusal has been sent if not. If server plugins are to be
            asked, a Deferred of that.
        """
        error = self.auth.login_error(login)
        if error:
            return self._refuse_login(messages, error)
        hooks = hooks_for(self.context, "Login")
        if hooks is not None:
            return ensureDeferred(self._ask_login(hooks, messages, login, session))
        return self._admit(messages, login, session)

    async def _ask_login(
        self, hooks: Hooks, messages: MessageProtocol, login: Login, session: Opener | None
    ) -> bool:
        try:
            permitted = await permitted_login(hooks, messages, login)
        except HookRefused as why:
            return self._refuse_login(messages, str(why))
        return permitted is not None and self._admit(messages, permitted, session)

    def _refuse_login(self, messages: MessageProtocol, error: str) -> bool:
        peer = host_of(messages.stream)
        self.log.warn("register control error: {error} (from {peer})", error=error, peer=peer)
        detailed = self.context.config.detailed_errors_to_client
        error = error if detailed else "register control error"
        messages.send(LoginResp(version=WIRE_VERSION, error=error))
        messages.close()
        return False

    def _admit(self, messages: MessageProtocol, login: Login, session: Opener | None) -> bool:
        error = run_id_error(login.run_id)
        if error:
            return self._refuse_login(messages, error)
        if not login.run_id:
            login = evolve(login, run_id=secrets.token_hex(8))
        client = Client(messages, login, self, session)
        ensureDeferred(self._enter(client, host_of(messages.stream))).addErrback(
            partial(self.log.failure, "login failed")
        )
        return True

    async def _enter(self, client: Client, peer: str) -> None:
        """Welcome a client after the one in its place is gone, proxies and all."""
        client.before = self.clients.get(client.run_id)
        self.clients[client.run_id] = client
        if client.before is not None:
            client.before.control.drop(REPLACED)
            await _gone(client.before)
            client.before = None
        if self.clients.get(client.run_id) is client:
            client.welcome(peer)

    def work_connection(self, work: MessageProtocol, message: NewWorkConn, *, direct: bool) -> bool:
        """Take a connection whose first message was a NewWorkConn.

        Args:
            work: the connection.
            message: that message.
            direct: it is a connection of its own, not a stream of a multiplexed one.

        Returns:
            Whether it belongs to a client; the refusal has been sent if not.
        """
        client = self.clients.get(message.run_id)
        error = client.auth.new_work_conn_error(message) if client is not None else ""
        if client is None:
            run_id = message.run_id[:MOST_RUN_ID_CHARACTERS]
            error = f"no client control found for run id [{run_id}]"
        elif not error:
            hooks = hooks_for(self.context, "NewWorkConn")
            if hooks is not None:
                asking = self._ask_work(hooks, client, work, message, direct)
                ensureDeferred(asking).addErrback(self._work_broken, work)
            else:
                self._offer(client, work, direct=direct)
            return True
        self._refuse_work(work, error)
        return False

    async def _ask_work(
        self, hooks: Hooks, client: Client, work: MessageProtocol, said: NewWorkConn, direct: bool
    ) -> None:
        try:
            if await client.permission.work_connection(hooks, work, said):
                self._offer(client, work, direct=direct)
        except HookRefused as why:
            self._refuse_work(work, str(why))

    def _offer(self, client: Client, work: MessageProtocol, *, direct: bool) -> None:
        if not client.work.offer(work, direct=direct):
            self._refuse_work(work, "work connection pool is full, discarding")

    def _work_broken(self, failure: Failure, work: MessageProtocol) -> None:
        self.log.failure("taking a work connection failed", failure)
        work.abort()

    def _refuse_work(self, work: MessageProtocol, error: str) -> None:
        detailed = self.context.config.detailed_errors_to_client
        work.send(StartWorkConn(error=error if detailed else "invalid NewWorkConn"))
        work.close()

    def reconfigure(self, auth: TokenAuth) -> None:
        """Do from now on as the context's new configuration says; clients stay.

        Args:
            auth: for those who log in.
        """
        self.auth = auth
        for client in self.clients.values():
            client.reconfigure()

    def forget(self, client: Client) -> None:
        """Take note that a client is gone."""
        if self.clients.get(client.run_id) is client:
            del self.clients[client.run_id]
            self.context.stats.client_offline(client.run_id)

    async def close(self) -> None:
        """End all conversations, and wait until their ports are free."""
        ending = list(self.clients.values())
        for client in ending:
            client.control.drop("the server stops")
        for client in ending:
            await _gone(client)


async def _gone(client: Client) -> None:
    """Wait for the end of `client` and of those it was itself still waiting for."""
    waiter: Deferred[None] = Deferred()
    client.closed.addCallback(lambda _: waiter.callback(None))
    await waiter
    if client.before is not None:
        await _gone(client.before)


def _not_yet(request: NewProxy) -> dict[str, bool]:
    """Tell which keys a request has that we would drop, some to the danger of its owner."""
    return {
        "bandwidth_limit_mode = server": bool(
            request.bandwidth_limit and request.bandwidth_limit_mode == "server"
        ),
    }
