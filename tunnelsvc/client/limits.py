# -*- test-case-name: tests.client.test_limits -*-
"""Which proxies' users the client keeps to a limit: ``bandwidth_limit_mode = client``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from tunnelsvc.config.proxies import ProxyConfig

if TYPE_CHECKING:
    from tunnelsvc.relay.bandwidth import BandwidthLimit


def limit_of(proxy: ProxyConfig, clock: IReactorTime) -> BandwidthLimit | None:
    """Make the limit of a proxy, which all its work connections share.

    It counts what goes through the tunnel: compressed and encrypted, as in frp.

    Args:
        proxy: of this client.
        clock: has the time.

    Returns:
        The limit, to be put on every work connection; None: it has none that is ours.
    """
    if not proxy.bandwidth_limit or proxy.bandwidth_limit_mode != "client":
        return None
    # Most clients have no such proxy.
    from tunnelsvc.relay.bandwidth import BandwidthLimit  # noqa: PLC0415
    from tunnelsvc.wire.bandwidth import bytes_per_second  # noqa: PLC0415

    rate = bytes_per_second(proxy.bandwidth_limit)
    return BandwidthLimit(rate, clock) if rate else None
