# -*- test-case-name: tests.client.test_olderserver -*-
"""What a frps is too old for: it drops such keys without a word, so we say it."""

from collections.abc import Callable, Iterator
from typing import Final

from tunnelsvc.config.proxies import (
    HTTPProxyConfig,
    ProxyConfig,
    SecretProxyConfig,
    SUDPProxyConfig,
    UDPProxyConfig,
    VhostProxyConfig,
)
from tunnelsvc.wire.datagrams import CODECS_SINCE
from tunnelsvc.wire.version import Version, is_older


def _routes_by_user(proxy: ProxyConfig) -> bool:
    return isinstance(proxy, HTTPProxyConfig) and bool(proxy.route_by_http_user)


def _takes_all_names(proxy: ProxyConfig) -> bool:
    return isinstance(proxy, VhostProxyConfig) and "*" in proxy.custom_domains


def _sets_response_headers(proxy: ProxyConfig) -> bool:
    return isinstance(proxy, HTTPProxyConfig) and bool(proxy.response_headers)


def _shares_a_name_by_tls(proxy: ProxyConfig) -> bool:
    return proxy.type == "https" and bool(proxy.group)


def _dresses_datagrams(proxy: ProxyConfig) -> bool:
    carries = isinstance(proxy, UDPProxyConfig | SUDPProxyConfig)
    return carries and (proxy.use_encryption or proxy.use_compression)


def _leaves_the_limit(proxy: ProxyConfig) -> bool:
    return bool(proxy.bandwidth_limit) and proxy.bandwidth_limit_mode == "server"


def _names_users(proxy: ProxyConfig) -> bool:
    return isinstance(proxy, SecretProxyConfig) and bool(proxy.allow_users)


# Protocol notes 5.6, 6.1 to 6.6; frp reference, section 1.3.
_ADDED: Final[tuple[tuple[Version, str, Callable[[ProxyConfig], bool]], ...]] = (
    (
        CODECS_SINCE,
        "use_encryption and use_compression for datagrams: they go there as they are",
        _dresses_datagrams,
    ),
    ((0, 43), "route_by_http_user: users of all names are sent here", _routes_by_user),
    ((0, 43), "custom_domains = *: it's no wildcard there", _takes_all_names),
    ((0, 47), "bandwidth_limit_mode = server: nobody keeps to the limit", _leaves_the_limit),
    ((0, 50), "allow_users: whoever has the sk may visit", _names_users),
    ((0, 58), "response_header_…: users don't get them", _sets_response_headers),
    ((0, 66), "group for type https: it takes one proxy for each domain", _shares_a_name_by_tls),
)
"""The first frps with each, what it is and what becomes of it before that, and who has it."""


def ignored_by(version: str, proxy: ProxyConfig) -> Iterator[str]:
    """Tell what of a proxy a real frps of that version ignores.

    Args:
        version: as `tunnelsvc.wire.messages.LoginResp` has it; of one that can't be read all is
            expected.
        proxy: to be announced there.

    Returns:
        Texts for the log, one for each such thing.
    """
    for since, what, has in _ADDED:
        if is_older(version, since) and has(proxy):
            yield f"ignores {what} (frps has it since {since[0]}.{since[1]})"
