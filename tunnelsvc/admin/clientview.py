# -*- test-case-name: tests.admin.test_clientapi -*-
"""What the client's site needs to know of the client, and may have it do."""

from typing import Protocol

from tunnelsvc.client.inspection import Exchange, Inspector
from tunnelsvc.client.inspection.request import Edits
from tunnelsvc.client.reloading import Reloaded
from tunnelsvc.client.status import LinkStatus, ProxyStatus, VisitorStatus
from tunnelsvc.config import Loaded
from tunnelsvc.config.schema import ClientConfig


class ClientView(Protocol):
    """A running client, its file, and the program around both."""

    @property
    def config(self) -> ClientConfig:
        """What is in effect."""

    @property
    def path(self) -> str:
        """Where the file is; empty: there is none."""

    @property
    def editable(self) -> bool:
        """Whether the file can be exchanged."""

    @property
    def inspector(self) -> Inspector | None:
        """What was recorded; None: nothing is."""

    def link_status(self) -> LinkStatus:
        """Say how the connection to the server is."""

    def visitor_statuses(self) -> list[VisitorStatus]:
        """Say how each visitor is."""

    def replay(self, exchange: Exchange, edits: Edits) -> Exchange:
        """Send a request again; see `tunnelsvc.client.service.TunnelClient.replay`."""

    def proxy_statuses(self) -> list[ProxyStatus]:
        """Say how each proxy is."""

    def load(self, path: str) -> Loaded[ClientConfig]:
        """Read a file as if it were the client's, to see whether it can be used.

        Raises:
            ConfigError: it can't.
        """

    def reload(self, *, strict: bool | None) -> Reloaded:
        """Read the file, and apply what it says.

        Args:
            strict: see `tunnelsvc.client.reloading.Load`; None: as ever.

        Raises:
            ConfigError: it can't be used; nothing has changed.
        """

    def stop_soon(self) -> None:
        """End the program in order, when the answer is out."""
