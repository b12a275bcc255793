# -*- test-case-name: tests.server.test_permission -*-
"""What server plugins say of one client and what it wants; without any, all is permitted.

A layer between `tunnelsvc.server.clients` and `tunnelsvc.server.hooks`, which isn't even imported
without plugins.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import Logger

from tunnelsvc.errors import HookRefused, ProxyRefused
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.server.context import ServerContext
from tunnelsvc.server.names import label
from tunnelsvc.wire.messages import Login, NewProxy, NewWorkConn, Ping

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure

    from tunnelsvc.server.hooks.asking import Hooks
    from tunnelsvc.server.hooks.contents import UserInfo


class Permission:
    """Asks about one client.

    Args:
        context: has the plugins, which may be others for each question.
        login: who the client is.
    """

    log = Logger()

    def __init__(self, context: ServerContext, login: Login) -> None:
        self._context = context
        self._login = login
        self._asking: Deferred[NewProxy] | None = None
        self._ended = False

    @cached_property
    def _about(self) -> UserInfo:
        from tunnelsvc.server.hooks.contents import UserInfo  # noqa: PLC0415 - there are plugins

        return UserInfo.of(self._login)

    async def new_proxy(self, request: NewProxy) -> NewProxy:
        """Ask about a proxy; return what is to be opened instead of it.

        Raises:
            HookRefused: none is.
            ProxyRefused: the client is gone by now, and nobody waits for what it still wanted.
        """
        hooks = hooks_for(self._context, "NewProxy")
        if hooks is not None and not self._ended:
            self._asking = ensureDeferred(hooks.new_proxy(self._about, request))
            try:
                request = await self._asking
            except CancelledError:
                pass  # by `end`
            finally:
                self._asking = None
        if self._ended:
            raise ProxyRefused("the client is gone")
        return request

    def hears_pings(self) -> bool:
        """See `tunnelsvc.control.serverside.ClientDesk`."""
        return hooks_for(self._context, "Ping") is not None

    async def ping(self, ping: Ping) -> str:
        """Likewise."""
        hooks = hooks_for(self._context, "Ping")
        try:
            if hooks is not None:
                await hooks.ping(self._about, ping)
        except HookRefused as why:
            self.log.warn(
                "[{run_id}] received invalid ping: {why}", run_id=label(self._login), why=why
            )
            detailed = self._context.config.detailed_errors_to_client
            return str(why) if detailed else "invalid ping"
        return ""

    async def new_user(self, hooks: Hooks, name: str, kind: str, user: IAddress) -> None:
        """Ask about a user.

        Args:
            hooks: the plugins.
            name: of the proxy.
            kind: its type.
            user: who wants to use it.

        Raises:
            HookRefused: he may not.
        """
        await hooks.new_user_conn(self._about, name, kind, user)

    def proxy_closed(self, name: str) -> None:
        """Tell of the end of a proxy."""
        if self._context.hooks is not None:
            self._context.hooks.proxy_closed(self._about, name)

    async def work_connection(self, hooks: Hooks, work: MessageProtocol, said: NewWorkConn) -> bool:
        """Ask about a work connection.

        Args:
            hooks: the plugins.
            work: the connection.
            said: its first message.

        Returns:
            Whether it is still there.

        Raises:
            HookRefused: it isn't permitted, but still there.
        """
        lost: list[Failure] = []
        work.on_lost = lost.append
        work.on_message = lambda _: work.abort()  # no client speaks before it is started
        try:
            await hooks.new_work_conn(self._about, said)
        except HookRefused as why:
            run_id = label(self._login)
            self.log.warn("[{run_id}] invalid NewWorkConn: {why}", run_id=run_id, why=why)
            if not lost:
                raise
        return not lost

    def end(self) -> None:
        """Take note that the client is gone."""
        self._ended = True
        if self._asking is not None:
            self._asking.cancel()


def hooks_for(context: ServerContext, op: str) -> Hooks | None:
    """Give the plugins, if one wants to know of `op`."""
    hooks = context.hooks
    return hooks if hooks is not None and hooks.hears(op) else None


async def permitted_login(hooks: Hooks, messages: MessageProtocol, login: Login) -> Login | None:
    """Ask about a login.

    Args:
        hooks: the plugins.
        messages: the connection.
        login: its first message, whose token is right.

    Returns:
        What it is to count as; None: the connection is gone.

    Raises:
        HookRefused: it isn't permitted.
    """
    lost: list[Failure] = []
    messages.on_lost = lost.append
    try:
        login = await hooks.login(login, messages.stream.getPeer())
    except HookRefused:
        if not lost:
            raise
    return None if lost else login
