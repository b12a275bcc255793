# -*- test-case-name: tests.server.test_clients -*-
"""Who is logged in: run id to client, takeover by the same run id."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.control.cipher import protection_error
from tunnelsvc.control.serverside import NO_DETAILS
from tunnelsvc.errors import HookRefused
from tunnelsvc.handover import host_of
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.metrics.clients import client_key
from tunnelsvc.server.client import MOST_ERROR_CHARACTERS, Client
from tunnelsvc.server.context import ServerContext
from tunnelsvc.server.names import MOST_RUN_ID_CHARACTERS, login_error
from tunnelsvc.server.permission import hooks_for, permitted_login
from tunnelsvc.server.rules import BLOCKED, who_is
from tunnelsvc.server.work import Opener
from tunnelsvc.wire.messages import WIRE_VERSION, Login, LoginResp, NewWorkConn, StartWorkConn

if TYPE_CHECKING:
    from tunnelsvc.server.hooks.asking import Hooks

REPLACED = "control was replaced during login: a newer one has its run id"
"""Begins as frp's text does; both a client that ran and one that still waited may get it."""


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
        error = protection_error(messages) or self.auth.login_error(login)
        if error:
            return self._refuse_login(messages, login, error)
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
            return self._refuse_login(messages, login, str(why))
        if permitted is None:
            return False
        error = self.auth.login_error(permitted)  # which may be another by now
        if error:
            return self._refuse_login(messages, permitted, error)
        return self._admit(messages, permitted, session)

    def _refuse_login(self, messages: MessageProtocol, login: Login, error: str) -> bool:
        peer = host_of(messages.stream)
        self._note_refusal(login, peer, error)
        self.log.warn("register control error: {error} (from {peer})", error=error, peer=peer)
        detailed = self.context.config.detailed_errors_to_client
        error = error if detailed else NO_DETAILS
        messages.send(LoginResp(version=WIRE_VERSION, error=error))
        messages.close()
        return False

    def _admit(self, messages: MessageProtocol, login: Login, session: Opener | None) -> bool:
        error = login_error(login) or self._bar(login, host_of(messages.stream))
        if error:
            return self._refuse_login(messages, login, error)
        if not login.run_id:
            login = evolve(login, run_id=secrets.token_hex(8))
        client = Client(messages, login, self, session)
        ensureDeferred(self._enter(client)).addErrback(partial(self.log.failure, "login failed"))
        return True

    def _bar(self, login: Login, address: str) -> str:
        """Say that the administrator forbids a login; empty: nobody does."""
        return BLOCKED if self.context.rules.bar(who_is(login, address)) is not None else ""

    def _note_refusal(self, login: Login, address: str, why: str) -> None:
        """Add to the events that people see; who it is, is what it says itself."""
        who = client_key(login.user, login.client_id)
        self.context.stats.events.add("login_refused", client=who, address=address, detail=why)

    async def _enter(self, client: Client) -> None:
        """Welcome a client after the one in its place is gone, proxies and all."""
        client.before = self.clients.get(client.run_id)
        self.clients[client.run_id] = client
        if client.before is not None:
            client.before.control.drop(REPLACED)
            await _gone(client.before)
            client.before = None
        if self.clients.get(client.run_id) is not client:
            return
        if self._is_double(client.login, client):
            self._turn_away(client)
        else:
            client.welcome()

    def _is_double(self, login: Login, client: Client) -> bool:
        """Tell whether another client that is logged in goes by the name of this one."""
        who = login.user, login.client_id
        return bool(login.client_id) and any(
            (other.login.user, other.login.client_id) == who
            for other in self.clients.values()
            if other is not client and other.welcomed
        )

    def _turn_away(self, client: Client) -> None:
        login = client.login
        why = f"client_id [{login.client_id}] for user [{login.user}] is already online"
        self.log.warn("[{run_id}] register control error: {why}", run_id=client.run_id, why=why)
        self._note_refusal(login, client.who["address"], why)
        client.control.drop(why[:MOST_ERROR_CHARACTERS])

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
