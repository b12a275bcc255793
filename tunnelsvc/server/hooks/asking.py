# -*- test-case-name: tests.server.hooks.test_asking -*-
"""Ask the server plugins that want to know, one after the other, before something happens.

A question takes `ANSWER_SECONDS` at most, waiting for its turn included, and holds nobody up but
whom it is about. What a client asks for about its proxies is told in order; so is the end of one.
"""

import secrets
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, DeferredList, ensureDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from tunnelsvc.addresses import at
from tunnelsvc.config.schema import WebhookConfig
from tunnelsvc.errors import HookRefused, RemoteProtocolError
from tunnelsvc.server.hooks.contents import (
    MOST_REASON_CHARACTERS,
    NewUserConn,
    UserInfo,
    about,
    question,
    read_answer,
    replaced,
)
from tunnelsvc.server.hooks.turns import LineFullError, Turns
from tunnelsvc.server.hooks.webhook import Webhook, WebhookError
from tunnelsvc.wire.messages import CloseProxy, Login, Message, NewProxy, NewWorkConn, Ping

ANSWER_SECONDS: Final = 8.0
"""For all plugins that are asked one question. Clients wait 10 s for the answer to a login
(protocol notes 3.1), and shall hear why they don't get in."""
AT_ONCE: Final = 64
"""Requests to one plugin at the same time."""
AT_ONCE_OF_ONE: Final = 8
"""Of those, about one client's connections."""
MOST_WAITING: Final = 256
"""Questions about one client's connections that wait; one more is refused at once."""
MOST_NOTICES: Final = 10_000
"""Ends of proxies that are still to be told, over all clients; about 1 KiB each."""
MOST_NOTICES_OF_ONE: Final = 5_000
"""Likewise, of one client: as many as it may have proxies, all of which may end at once. One that
opens and closes some without a pause leaves room for what others have to tell."""
LAST_NOTICES_SECONDS: Final = 2.0
"""How long a server that stops goes on to tell them."""

LOGIN: Final = "Login"
NEW_PROXY: Final = "NewProxy"
CLOSE_PROXY: Final = "CloseProxy"
PING: Final = "Ping"
NEW_WORK_CONN: Final = "NewWorkConn"
NEW_USER_CONN: Final = "NewUserConn"

_NEEDS_CONTENT: Final = frozenset({LOGIN, NEW_PROXY})
"""Where the content is used. An answer that neither has one nor says ``unchange`` is then no
answer: frp goes on with nothing in all fields, which no client and no proxy survives."""

M = TypeVar("M", bound=Message)


@frozen
class _Line:
    """Where a question waits; see `Turns`."""

    about: str
    """What it is about, for the log and to tell lines apart."""
    width: int = AT_ONCE_OF_ONE

    @classmethod
    def of_proxies(cls, user: UserInfo) -> "_Line":
        """Give that in which beginning and end of a client's proxies keep their order."""
        return cls(f"proxies of {user.run_id}", 1)


class Hooks:
    """The plugins of a server.

    Args:
        configs: in the order in which they are asked.
        reactor: connects, and has the time.
    """

    log = Logger()
    answer_seconds = ANSWER_SECONDS

    def __init__(self, configs: Sequence[WebhookConfig], reactor: Any) -> None:
        self._reactor = reactor
        self._plugins: dict[str, list[Webhook]] = {}
        self._turns: dict[Webhook, Turns] = {}
        self._notices: set[Deferred[None]] = set()
        self._notices_of: Counter[str] = Counter()
        """How many of them, by run id."""
        self._open: set[Deferred[bytes]] = set()
        self._dropped = 0
        self._closed = False
        for config in configs:
            hook = Webhook(config, reactor, connections=AT_ONCE, timeout_seconds=ANSWER_SECONDS)
            self._turns[hook] = Turns(AT_ONCE)
            for op in config.ops:
                self._plugins.setdefault(op, []).append(hook)

    def hears(self, op: str) -> bool:
        """Tell whether anybody wants to know of something."""
        return op in self._plugins

    async def login(self, login: Login, peer: IAddress) -> Login:
        """Ask about a client whose token is right.

        Returns:
            What it is to count as.

        Raises:
            HookRefused: as for all questions.
        """
        line = _Line(f"login from {getattr(peer, 'host', '?')}")
        return await self._ask(LOGIN, {"client_address": at(peer)}, login, line)

    async def new_proxy(self, user: UserInfo, request: NewProxy) -> NewProxy:
        """Ask about a proxy; returns what is to be opened instead."""
        return await self._ask(NEW_PROXY, about(user), request, _Line.of_proxies(user))

    async def ping(self, user: UserInfo, ping: Ping) -> None:
        """Ask whether a client may stay."""
        await self._ask(PING, about(user), ping, _Line(f"ping of {user.run_id}", 1))

    async def new_work_conn(self, user: UserInfo, message: NewWorkConn) -> None:
        """Ask about a work connection."""
        line = _Line(f"work connection of {user.run_id}")
        await self._ask(NEW_WORK_CONN, about(user), message, line)

    async def new_user_conn(self, user: UserInfo, name: str, kind: str, peer: IAddress) -> None:
        """Ask about a user.

        Args:
            user: whose client has the proxy.
            name: of the proxy.
            kind: its type.
            peer: who wants to use it.
        """
        connection = NewUserConn(proxy_name=name, proxy_type=kind, remote_addr=at(peer))
        line = _Line(f"user of {user.run_id}")
        await self._ask(NEW_USER_CONN, about(user), connection, line)

    def proxy_closed(self, user: UserInfo, name: str) -> None:
        """Tell that a proxy is closed; nobody waits for it."""
        if not self.hears(CLOSE_PROXY):
            return
        run_id = user.run_id
        if len(self._notices) >= MOST_NOTICES or self._notices_of[run_id] >= MOST_NOTICES_OF_ONE:
            self._dropped += 1
            if self._dropped == 1:
                self.log.error("more than {most} closed proxies to tell plugins of, or {of_one} of"
                               " one client: the others are not told",
                               most=MOST_NOTICES, of_one=MOST_NOTICES_OF_ONE)  # fmt: skip
            return
        self._dropped = 0
        telling = ensureDeferred(self._tell(user, CloseProxy(proxy_name=name)))
        self._notices.add(telling)
        self._notices_of[run_id] += 1

        def told(_: object) -> None:
            self._notices.discard(telling)
            self._notices_of[run_id] -= 1
            if not self._notices_of[run_id]:
                del self._notices_of[run_id]

        telling.addBoth(told)

    async def _tell(self, user: UserInfo, message: CloseProxy) -> None:
        number, body = secrets.token_hex(8), question(CLOSE_PROXY, about(user), message)
        line = _Line.of_proxies(user)
        for hook in self._plugins[CLOSE_PROXY]:
            # The limit is on the request alone: waiting longer than that is no reason to be silent.
            def post(hook: Webhook = hook) -> Deferred[bytes]:
                return self._in_time(hook.post(CLOSE_PROXY, body, number), ANSWER_SECONDS)

            try:
                await self._turns[hook].run(line.about, line.width, MOST_NOTICES, post)
            except WebhookError as why:
                self._complain(hook, CLOSE_PROXY, line, why)

    async def _ask(self, op: str, context: Mapping[str, Any], message: M, line: _Line) -> M:
        """Ask all plugins that want to know; each sees what the one before made of the message.

        Raises:
            HookRefused: one says no, or gives no answer that counts.
        """
        number = secrets.token_hex(8)
        until = self._reactor.seconds() + ANSWER_SECONDS
        for hook in self._plugins.get(op, ()):
            post = partial(hook.post, op, question(op, context, message), number)
            asking = self._turns[hook].run(line.about, line.width, MOST_WAITING, post)
            try:
                body = await self._in_time(asking, max(0.0, until - self._reactor.seconds()))
                message = _decided(hook, op, message, body)
            except CancelledError:
                if self._closed:
                    raise HookRefused("the server stops") from None
                raise
            except (WebhookError, LineFullError, RemoteProtocolError) as why:
                self._complain(hook, op, line, why)
                raise HookRefused(f"send {op} request to plugin error") from None
        return message

    def _in_time(self, asking: Coroutine[Any, Any, bytes], seconds: float) -> Deferred[bytes]:
        def too_late(_: object, limit: float) -> bytes:  # noqa: ARG001 - what is left of the time
            raise WebhookError(f"no answer within {ANSWER_SECONDS:g} s")

        answer = ensureDeferred(asking).addTimeout(seconds, self._reactor, too_late)
        self._open.add(answer)
        return answer.addBoth(self._answered, answer)

    def _answered(self, result: Any, answer: Deferred[bytes]) -> Any:
        self._open.discard(answer)
        return result

    def _complain(self, hook: Webhook, op: str, line: _Line, why: Exception) -> None:
        self.log.warn(
            "send {op} request to plugin [{name}] error: {why} ({about})",
            op=op, name=hook.name, why=why, about=line.about,
        )  # fmt: skip

    async def retire(self) -> None:
        """Wait for all that is asked and told: others are asked from now on."""
        pending: list[Deferred[Any]] = [*self._notices, *self._open]
        await DeferredList(pending)
        for hook in self._turns:
            await hook.close()

    async def close(self) -> None:
        """Tell what is still to be told, for a short time; then ask nobody any more."""
        telling = DeferredList(list(self._notices), consumeErrors=True)
        with suppress(DeferredTimeoutError):
            await telling.addTimeout(LAST_NOTICES_SECONDS, self._reactor)
        self._closed = True
        for notice in list(self._notices):
            notice.cancel()
        for answer in list(self._open):
            answer.cancel()
        for hook in self._turns:
            await hook.close()


def _decided(hook: Webhook, op: str, message: M, body: bytes) -> M:
    """Do as an answer says.

    Raises:
        HookRefused: it says no.
        RemoteProtocolError: it isn't one.
    """
    answer = read_answer(body)
    if answer.reject:
        reason = answer.reason or f"rejected by the server's plugin {hook.name}"
        raise HookRefused(reason[:MOST_REASON_CHARACTERS])
    if answer.unchange:
        return message
    if answer.content is not None:
        return replaced(message, answer.content)
    if op in _NEEDS_CONTENT:
        raise RemoteProtocolError("its answer has neither content nor unchange")
    return message
