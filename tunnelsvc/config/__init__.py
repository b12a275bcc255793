# -*- test-case-name: tests.config.test_load -*-
"""Configuration: files in, frozen values out.

`load_server` and `load_client` are all that the programs call; the values they get can also be made
without a file. From a file to there: `template` (environment), `legacy` (lines, sections), `keys`
and `notyet` (which keys there are), `values` (what a value may be), `validate` (values that must
fit one another).
"""

from tunnelsvc.config.load import Loaded, load_client, load_server
from tunnelsvc.config.proxies import HTTPProxyConfig, TCPProxyConfig
from tunnelsvc.config.schema import (
    ClientConfig,
    DashboardConfig,
    LogConfig,
    ServerConfig,
    TLSConfig,
)

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
