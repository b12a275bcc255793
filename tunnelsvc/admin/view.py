# -*- test-case-name: tests.admin.test_serverapi -*-
"""What the dashboard needs to know of the server."""

from collections.abc import Mapping
from typing import Protocol

from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.metrics.counters import ServerStats


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
