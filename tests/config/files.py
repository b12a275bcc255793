# -*- test-case-name: tests.config.test_load -*-
"""Load configurations that are written in a test."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hypothesis import settings
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config import load_client, load_server
from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.config.report import Report
from tunnelsvc.config.schema import ClientConfig, ServerConfig
from tunnelsvc.errors import ConfigError

STEADY: Final = settings(derandomize=True, deadline=None)

DATA: Final = Path(__file__).parent / "data"

NO_VARIABLES: Final[Mapping[str, str]] = {}


def lines_of(report: Report) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the problems and the warnings; the latter only if there are no problems."""
    try:
        return (), report.finish()
    except ConfigError as why:
        return why.problems, ()


class ConfigTestCase(SynchronousTestCase):
    """Loads texts as files. Of messages, the file's name and the colon are taken off."""

    def write(self, text: str | bytes) -> str:
        """Write a file and return its name."""
        path = Path(self.mktemp())
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def server(self, text: str, environ: Mapping[str, str] = NO_VARIABLES) -> ServerConfig:
        """Load what follows ``[common]`` in a server's file."""
        return load_server(self.write(f"[common]\n{text}"), environ).config

    def client(self, text: str, environ: Mapping[str, str] = NO_VARIABLES) -> ClientConfig:
        """Load what follows ``[common]`` in a client's file."""
        return load_client(self.write(f"[common]\n{text}"), environ).config

    def proxy(self, text: str) -> ProxyConfig:
        """Load what follows a proxy's heading."""
        (proxy,) = self.client(f"[x]\n{text}").proxies
        return proxy

    def server_says(self, text: str | bytes) -> tuple[str, ...]:
        """Load a whole server's file; return its problems, or its warnings."""
        return self._says(load_server, text)

    def client_says(self, text: str | bytes) -> tuple[str, ...]:
        """Load a whole client's file; return its problems, or its warnings."""
        return self._says(load_client, text)

    def _says(self, load: Callable[..., object], text: str | bytes) -> tuple[str, ...]:
        path = self.write(text)
        try:
            loaded = load(path, NO_VARIABLES)
        except ConfigError as why:
            lines = why.problems
        else:
            lines = getattr(loaded, "warnings")  # noqa: B009 - of either kind of configuration
        for line in lines:
            self.assertTrue(line.startswith(f"{path}:"), line)
        return tuple(line.removeprefix(f"{path}:").strip() for line in lines)
