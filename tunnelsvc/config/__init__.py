# -*- test-case-name: tests.config.test_load -*-
"""Configuration: files in, frozen values out.

`load_server` and `load_client` are all that the programs call; the values they get can also be made
without a file. From a file to there: `files` (which format); then for INI files `template`
(environment), `legacy` and `dialect` (lines, sections) and `ranges`; for the others `gotemplate`,
`document` and `tables`, which makes such sections by `names`. From then on all are alike: `keys`
and `notyet` (which keys there are), `values` and `addresses` (what a value may be), `validate`
(values that must fit one another).
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
