# -*- test-case-name: tests.config.test_load -*-
"""Configuration: files in, frozen values out.

`load_server` and `load_client` are all that the programs call; the values they get can also be made
without a file. From a file to there: `files` (which format); then for INI files `template`
(environment), `legacy` and `dialect` (lines, sections) and `ranges`; for the others `gotemplate`,
`document` and `tables`, which makes such sections by `names`. From then on all are alike: `keys`
and `notyet` (which keys there are), `values` and `addresses` (what a value may be), `sections` (a
client's proxies and visitors), `validate` (values that must fit one another).
"""

from typing import TYPE_CHECKING

from tunnelsvc.config.load import Loaded, load_client, load_server
from tunnelsvc.config.schema import (
    ClientConfig,
    DashboardConfig,
    LogConfig,
    ServerConfig,
    TLSConfig,
)

if TYPE_CHECKING:
    from tunnelsvc.config.proxies import HTTPProxyConfig, TCPProxyConfig

__all__ = [
    "ClientConfig",
    "DashboardConfig",
    "HTTPProxyConfig",
    "Loaded",
    "LogConfig",
    "ServerConfig",
    "TCPProxyConfig",
    "TLSConfig",
    "load_client",
    "load_server",
]


def __getattr__(name: str) -> object:
    """Import what only clients need when it is asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tunnelsvc.config import proxies  # noqa: PLC0415 - see above

    return getattr(proxies, name)
