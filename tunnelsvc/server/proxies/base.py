# -*- test-case-name: tests.server.proxies.test_base -*-
"""The hops of a user connection on the server, in order: see `Proxy.serve`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.addresses import at
from tunnelsvc.errors import HookRefused, WorkConnectionUnavailable
from tunnelsvc.interfaces import Stream
from tunnelsvc.logs import LeanLogger
from tunnelsvc.metrics.counters import ProxyStats
from tunnelsvc.relay import Closed, Meter, Stages, codecs, dress, join
from tunnelsvc.server.limits import limit_of
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import NewProxy, StartWorkConn

if TYPE_CHECKING:
    from tunnelsvc.server.client import Client
    from tunnelsvc.server.context import ServerContext
    from tunnelsvc.server.groups import StreamMember
    from tunnelsvc.server.hooks.asking import Hooks

_log = LeanLogger(__name__)


NOBODY: Iterator[StreamMember] = iter(())


class Proxy(ABC):
    """One public service of one client."""

    log = Logger()
    uses_port = False
    """Whether it counts for ``max_ports_per_client``."""
    greeting = b""
    """What a user is told as soon as there is a work connection."""
    https_address = ""
    """Where users reach what isn't of type https by https all the same."""
    stats: ProxyStats

    def __init__(self, request: NewProxy, client: Client, context: ServerContext) -> None:
        self.name = request.proxy_name
        self.called = request.proxy_name
        """What the client calls it: a server plugin may give it another name."""
        self.request = request
        self.client = client
        self.context = context
        self.address = ""
        """Where users reach it, as its client was told."""
        self.opened = False
        self.closed = False
        self._closing: Deferred[None] | None = None
        self.limit = limit_of(request, context.reactor) if request.bandwidth_limit else None
        self._key = derive_key(client.auth.token)

    async def open(self) -> str:
        """Make the service reachable.

        Returns:
            Where users reach it, as the client shows it: ``:6000``, ``a.example.com:8080``.

        Raises:
            ProxyRefused: with the text that the client's user sees.
        """
        self.address = address = await self.listen()
        self.opened = True
        self.stats = self.context.stats.proxy_online(
            self.name,
            type=self.request.proxy_type,
            conf=self.api_conf(),
            run_id=self.client.run_id,
            remote_addr=address,
        )
        return address

    async def close(self, reason: str = "") -> None:
        """Make it unreachable; connections that exist live on (protocol notes 5.1).

        Only the first time: the administrator may have done so before its client does.

        Args:
            reason: for who wonders why it is.
        """
        if self._closing is None:
            self.closed = True
            self._closing = ensureDeferred(self._close(reason))
        await self._closing

    async def _close(self, reason: str) -> None:
        await self.unlisten()
        self.context.stats.proxy_offline(self.name, reason)

    def cut_users(self) -> None:
        """End what users have of it."""
        for user in self.stats.users():
            user.abortConnection()

    def again(self) -> Proxy:
        """Make one like it, to be opened after this one has been closed.

        Raises:
            ProxyRefused: as when it was made.
        """
        again = type(self)(self.request_again(), self.client, self.context)
        again.called = self.called
        return again

    def request_again(self) -> NewProxy:
        """Ask for what it got, where it had left that to us."""
        return self.request

    def name_taken_by(self, other: Proxy) -> str:
        """Say that our name is another proxy's, for the client's user."""
        return f"proxy [{other.name}] already exists"

    @abstractmethod
    async def listen(self) -> str:
        """Start to accept users; see `open`."""

    @abstractmethod
    async def unlisten(self) -> None:
        """Stop to accept users."""

    def api_conf(self) -> dict[str, Any]:
        """Describe the proxy as frp's dashboard API does (reference 1.9)."""
        request = self.request
        return {
            "name": self.name,
            "type": request.proxy_type,
            "transport": {
                "useEncryption": request.use_encryption,
                "useCompression": request.use_compression,
                "bandwidthLimit": request.bandwidth_limit,
                "bandwidthLimitMode": request.bandwidth_limit_mode or "client",
            },
            "annotations": dict(request.annotations or {}),
            "metadatas": dict(request.metas or {}),
            **({"loadBalancer": {"group": request.group}} if request.group else {}),
        }

    def accept(
        self,
        user: Stream,
        seen: bytes = b"",
        others: Iterator[StreamMember] = NOBODY,
        *,
        half_closes: bool = True,
    ) -> None:
        """Hop 1: take a paused user connection.

        Args:
            user: that connection.
            seen: what was read of it.
            others: who takes it instead if our client gives no work connection.
            half_closes: whether the user can go on reading after its end of file.
        """
        serving = ensureDeferred(self.serve(user, seen, others, half_closes=half_closes))
        serving.addErrback(self._broken, user)

    def _broken(self, failure: Failure, user: Stream) -> None:
        """Let nobody wait for what a bug of ours left undone."""
        self.log.failure("[{proxy}] serving a user failed", failure, proxy=self.name)
        user.abortConnection()

    async def serve(
        self,
        user: Stream,
        seen: bytes = b"",
        others: Iterator[StreamMember] = NOBODY,
        *,
        half_closes: bool = True,
    ) -> None:
        """Carry one user connection from accept to account; docs/flow.md has the hops."""
        try:
            if self.context.hooks is not None:
                await self.ask(self.context.hooks, user)  # 2
            self.admit(user)  # 2
            peer = user.getPeer()
            work, unread = await self.open_work(peer, user.getHost())  # 3, 5, 6
            if self.closed:  # while the user waited, so he isn't admitted after all
                work.abortConnection()
                self.admit(user)
        except WorkConnectionUnavailable as why:
            self.log.warn(
                "[{proxy}] user {user}: {why}", proxy=self.name, user=_at(user.getPeer()), why=why
            )
            self._pass_on(user, seen, others, why)
            return
        except HookRefused as why:
            self.log.warn(
                "[{proxy}] user {user} was rejected: {why}",
                proxy=self.name, user=_at(user.getPeer()), why=why,
            )  # fmt: skip
            self._note_refused(user.getPeer(), why)
            user.abortConnection()
            return
        if self.greeting:
            user.write(self.greeting)
        meter = Meter()
        self.stats.track(meter, user)
        closed = await join(  # 8
            user,
            work,
            near_unread=seen,
            far_unread=unread,
            clock=self.context.reactor,
            far_half_closes=self.client.is_ours,
            near_half_closes=half_closes,
            meter=meter,
        )
        self.stats.untrack(meter)
        self.account(peer, closed)  # 9

    def _note_refused(self, user: IAddress, why: Exception) -> None:
        """Add to the events that people see."""
        self.context.stats.events.add(
            "user_refused",
            client=self.client.key,
            proxy=self.name,
            address=getattr(user, "host", ""),
            detail=str(why),
        )

    def _pass_on(
        self, user: Stream, seen: bytes, others: Iterator[StreamMember], why: Exception
    ) -> None:
        """Let another member of the group take a user whom we can't serve."""
        other = next(others, None)
        if other is None:
            self._note_refused(user.getPeer(), why)
            self.turn_away(user)
        else:
            other.accept(user, seen, others)

    def turn_away(self, user: Stream) -> None:
        """End the connection of a user whom nobody can serve."""
        user.abortConnection()

    def admit(self, user: Stream) -> None:
        """Hop 2: whether this user may enter; rules by user come here.

        Raises:
            WorkConnectionUnavailable: the proxy closed while the user came in.
        """
        if self.closed:
            raise WorkConnectionUnavailable(f"proxy closed, {_at(user.getPeer())} came too late")

    async def ask(self, hooks: Hooks, user: Stream) -> None:
        """Hop 2, if there are server plugins: whether this user may enter.

        Raises:
            HookRefused: not.
        """
        kind = self.request.proxy_type
        await self.client.permission.new_user(hooks, self.name, kind, user.getPeer())

    async def open_work(self, user: IAddress, entrance: IAddress | None) -> tuple[Stream, bytes]:
        """Hops 3, 5 and 6: a work connection that carries this user's plain bytes.

        Args:
            user: the user's address.
            entrance: where the user came in; None when that isn't told (http).

        Raises:
            WorkConnectionUnavailable: the client gave none.
        """
        stream = await self.client.work.open(self.start_message(user, entrance))  # 3, 5
        stream, unread = dress(stream, b"", self._codecs())  # 6
        return (stream, unread) if self.limit is None else self.limit.put_on(stream, unread)

    def start_message(self, user: IAddress, entrance: IAddress | None) -> StartWorkConn:
        """Tell the client which proxy a work connection is for, and whose."""
        return StartWorkConn(
            proxy_name=self.called,
            src_addr=getattr(user, "host", ""),
            src_port=getattr(user, "port", 0),
            dst_addr=getattr(entrance, "host", ""),
            dst_port=getattr(entrance, "port", 0),
        )

    def _codecs(self) -> Stages:
        request = self.request
        return codecs(
            self._key, encryption=request.use_encryption, compression=request.use_compression
        )

    def account(self, user: IAddress, closed: Closed) -> None:
        """Hop 9: one line per connection."""
        _log.info(
            "[{proxy}] user {user}: {reason}, {up} bytes in, {down} bytes out, {seconds:.1f} s",
            proxy=self.name,
            user=_at(user),
            reason=closed.because(near="the user", far="the client"),
            up=closed.up_bytes,
            down=closed.down_bytes,
            seconds=closed.seconds,
        )


def _at(peer: IAddress) -> str:
    return at(peer, "?", "?")
