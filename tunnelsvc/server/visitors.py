# -*- test-case-name: tests.server.test_visitors -*-
"""Hops 1 and 2 of a visitor's user: the first message, the secret, the welcome (notes 6.6).

A visitor needs no token, as in frp: who has a proxy's secret may use it. So the secret is what is
guessed at. `Guesses` makes that slow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelsvc.addresses import site_of
from tunnelsvc.errors import RemoteProtocolError, VisitRefused
from tunnelsvc.handover import host_of
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.relay import dress
from tunnelsvc.server.proxies.secret import SecretProxy
from tunnelsvc.timing import Limit, limit
from tunnelsvc.wire.dialect import Dialect, payload_dialect
from tunnelsvc.wire.messages import NewVisitorConn, NewVisitorConnResp

if TYPE_CHECKING:
    from tunnelsvc.server.client import Client
    from tunnelsvc.server.clients import ClientRegistry

WRONG_SECONDS = 1.0
"""How long the answer to a wrong secret takes."""
MOST_WRONG = 4
"""Such answers that one guesser may wait for at once: so many guesses a second, about."""
MOST_NAME_CHARACTERS = 256
"""Of a stranger's words that an answer repeats."""

Judge = Callable[[bool], None]
"""Is told whether a connection turned out to be of somebody who may have it."""


class Guesses:
    """Counts the wrong secrets that are being answered, by who guesses at what."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: Counter[Hashable] = Counter()
        self._answers: set[Limit] = set()

    def too_many(self, guesser: Hashable) -> bool:
        """Whether `guesser` has to wait before its next guess is so much as looked at."""
        return self._waiting[guesser] >= MOST_WRONG

    def wrong(self, guesser: Hashable, answer: Callable[[], None]) -> None:
        """Take note of a wrong guess, and call `answer` after a while.

        Also if whoever guesses is gone by then: hanging up makes nobody faster.
        """

        def answered() -> None:
            self._answers.discard(waiting)
            self._waiting[guesser] -= 1
            if not self._waiting[guesser]:
                del self._waiting[guesser]
            answer()

        self._waiting[guesser] += 1
        waiting = limit(self._clock, WRONG_SECONDS, answered)
        self._answers.add(waiting)

    def close(self) -> None:
        """Answer nobody any more."""
        for answer in self._answers:
            answer.cancel()
        self._answers.clear()
        self._waiting.clear()


class VisitorDesk:
    """Takes visitor connections, and brings those that may come to the proxies."""

    log = Logger()

    def __init__(self, registry: ClientRegistry) -> None:
        self._registry = registry
        self._context = registry.context
        self._guesses = Guesses(registry.context.reactor)

    def close(self) -> None:
        """Stop; the connections are for others to cut."""
        self._guesses.close()

    def receive(self, messages: MessageProtocol, visit: NewVisitorConn, judge: Judge) -> None:
        """Take a connection whose first message was a NewVisitorConn.

        Args:
            messages: the connection.
            visit: that message.
            judge: is told whether it holds, after the answer is sent.
        """
        try:
            client = self._client(visit)
            proxy = self._proxy(visit)
            guesser = _guesser(messages, visit)
            wrong = VisitRefused(f"visitor connection of [{proxy.name}] auth failed")
            if self._guesses.too_many(guesser):
                raise wrong
            if not proxy.knows(visit):
                refuse = partial(self._refuse, messages, visit, wrong, judge)
                self._guesses.wrong(guesser, refuse)
                return
            _check_user(proxy, client)
        except VisitRefused as why:
            self._refuse(messages, visit, why, judge)
            return
        self._welcome(messages, visit, proxy, client)
        judge(True)

    def _client(self, visit: NewVisitorConn) -> Client | None:
        """Find who visits; None: a client that is too old to say."""
        if not visit.run_id:
            return None
        client = self._registry.clients.get(visit.run_id)
        if client is None:
            run_id = visit.run_id[:MOST_NAME_CHARACTERS]
            raise VisitRefused(f"no client control found for run id [{run_id}]")
        return client

    def _proxy(self, visit: NewVisitorConn) -> SecretProxy:
        proxy = self._context.proxies.get(visit.proxy_name)
        if not isinstance(proxy, SecretProxy) or proxy.closed:
            name = visit.proxy_name[:MOST_NAME_CHARACTERS]
            raise VisitRefused(f"custom listener for [{name}] doesn't exist")
        return proxy

    def _welcome(
        self,
        messages: MessageProtocol,
        visit: NewVisitorConn,
        proxy: SecretProxy,
        client: Client | None,
    ) -> None:
        """Answer, dress the visitor's leg, and serve it as any user's."""
        frames = proxy.takes_datagram_frames
        messages.send(NewVisitorConnResp(proxy_name=proxy.name, datagram_frames=frames))
        bare, unread = messages.detach()
        try:
            dialect = _datagram_dialect(messages.dialect, proxy, client)
            user, unread = dress(bare, unread, proxy.visitor_codecs(visit, dialect))
        except RemoteProtocolError as why:
            self.log.warn(
                "[{proxy}] visitor {peer}: {why}", proxy=proxy.name, peer=host_of(bare), why=why
            )
            bare.abortConnection()
            return
        if client is not None:
            client.visits.add(bare)
        # Who doesn't say who it is, is real frp, which closes both directions as soon as one ends.
        proxy.accept(user, unread, half_closes=client is not None and client.is_ours)

    def _refuse(
        self, messages: MessageProtocol, visit: NewVisitorConn, why: VisitRefused, judge: Judge
    ) -> None:
        name = visit.proxy_name[:MOST_NAME_CHARACTERS]
        peer = host_of(messages.stream)
        self.log.warn("register visitor conn error: {why} (from {peer})", why=why, peer=peer)
        self._context.stats.events.add("user_refused", proxy=name, address=peer, detail=str(why))
        detailed = self._context.config.detailed_errors_to_client
        error = str(why) if detailed else "register visitor conn error"
        messages.send(NewVisitorConnResp(proxy_name=name, error=error))
        messages.close()
        judge(False)


def _datagram_dialect(dialect: Dialect, proxy: SecretProxy, client: Client | None) -> Dialect:
    """Return in which dialect a visitor's datagrams are, if that matters to the owner."""
    if client is None:
        return dialect
    if client.is_ours and proxy.takes_datagram_frames:  # frames are the same in both
        return proxy.client.payload_dialect
    return payload_dialect(dialect, client.login.version)


def _check_user(proxy: SecretProxy, client: Client | None) -> None:
    user = client.login.user if client is not None else None
    if not proxy.welcomes(user):
        shown = (user or "")[:MOST_NAME_CHARACTERS]
        raise VisitRefused(f"visitor connection of [{proxy.name}] user [{shown}] not allowed")


def _guesser(messages: MessageProtocol, visit: NewVisitorConn) -> Hashable:
    """Tell apart who might guess, so that nobody's guesses are in another's way.

    That is a client that has logged in, each for itself, also where several share an address, and
    everybody else by the address.
    """
    return visit.run_id or site_of(host_of(messages.stream)), visit.proxy_name
