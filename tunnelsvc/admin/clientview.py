# -*- test-case-name: tests.admin.test_clientapi -*-
"""What the client's site needs to know of the client, and may have it do."""

from typing import Protocol

from tunnelsvc.client.reloading import Reloaded
from tunnelsvc.client.status import ProxyStatus
from tunnelsvc.config.schema import ClientConfig


class ClientView(Protocol):
    """A running client, its file, and the program around both."""

    @property
    def config(self) -> ClientConfig:
        """What is in effect."""

    @property
    def path(self) -> str:
        """Where the file is."""

    def proxy_statuses(self) -> list[ProxyStatus]:
        """Say how each proxy is."""

    def load(self, path: str) -> object:
        """Read a file as if it were the client's, to see whether it can be used.

        Raises:
            ConfigError: it can't.
        """

    def reload(self, *, strict: bool) -> Reloaded:
        """Read the file, and apply what it says.

        Args:
            strict: see `tunnelsvc.client.reloading.Load`.

        Raises:
            ConfigError: it can't be used; nothing has changed.
        """

    def stop_soon(self) -> None:
        """End the program in order, when the answer is out."""
