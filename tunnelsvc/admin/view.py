# -*- test-case-name: tests.admin.test_serverapi -*-
"""What the dashboard needs to know of the server, and may have it do."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.metrics.counters import ServerStats
from tunnelsvc.metrics.events import Event


class Block(Protocol):
    """A client that may not log in; which one it is, see `tunnelsvc.server.moderation`."""

    @property
    def id(self) -> int:
        """Of this block."""

    @property
    def user(self) -> str:
        """As whom it logs in."""

    @property
    def client_id(self) -> str:
        """What it calls itself; empty if it doesn't."""

    @property
    def hostname(self) -> str:
        """Of its machine."""

    @property
    def address(self) -> str:
        """Where it came from."""

    @property
    def since(self) -> float:
        """Unix seconds."""

    def bars(self, *, user: str, client_id: str, hostname: str, address: str) -> bool:
        """Tell whether a client is this one."""


class Moderation(Protocol):
    """What an administrator may do to clients and proxies."""

    @property
    def blocks(self) -> Sequence[Block]:
        """Who may not log in."""

    def kick(self, client_key: str) -> bool:
        """End a client's session, and its users' connections; it may come back.

        Returns:
            Whether it was there.
        """

    def block(self, client_key: str) -> Block | None:
        """Do the same, be it online or not, and refuse its logins; None: it isn't known."""

    def allow(self, block_id: int) -> bool:
        """Take a block back; tells whether there was one."""

    async def disable(self, proxy: str) -> bool:
        """Let nobody reach a proxy; tells whether it is known."""

    async def enable(self, proxy: str) -> bool:
        """Take that back; tells whether it was disabled.

        Raises:
            ProxyRefused: what users reach it by is somebody else's now; it stays disabled.
        """


class History(Protocol):
    """What is remembered over restarts; `tunnelsvc.admin.history.service.History` is one."""

    @property
    def is_on(self) -> bool:
        """Whether anything is."""

    def events(
        self, before: int | None, limit: int, group: str, text: str
    ) -> Deferred[list[Event]]:
        """Find events, the newest first.

        Args:
            before: only those with smaller ids; None: all.
            limit: at most so many.
            group: of one group only, unless empty.
            text: only those that have it somewhere, unless empty.

        Returns:
            Fires within seconds, or fails with a `HistoryError`.
        """


class DashboardView(Protocol):
    """A running server; `tunnelsvc.server.service.TunnelServer` is one."""

    @property
    def config(self) -> ServerConfig:
        """What the file says."""

    @property
    def stats(self) -> ServerStats:
        """The counters."""

    @property
    def ports(self) -> Mapping[str, int]:
        """What listens ("bind", "vhost_http") to actual port numbers."""

    @property
    def started_at(self) -> float:
        """Unix seconds."""

    @property
    def moderation(self) -> Moderation:
        """What an administrator may do."""

    def ends_tls(self, host: str) -> bool:
        """Tell whether users of a host's http proxy can come by https."""

    def round_trip_seconds(self, run_id: str) -> float | None:
        """Tell how long a client's answer takes; None: that isn't known."""
