# -*- test-case-name: tests.server.test_limits -*-
"""Which proxies' users the server keeps to a limit: ``bandwidth_limit_mode = server``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.wire.bandwidth import MODES, bytes_per_second
from tunnelsvc.wire.messages import NewProxy

if TYPE_CHECKING:
    from tunnelsvc.relay.bandwidth import BandwidthLimit


def limit_of(request: NewProxy, clock: IReactorTime) -> BandwidthLimit | None:
    """Make the limit of a proxy, which all its work connections share.

    It counts what users send and get: neither compressed nor encrypted, as in frp.

    Args:
        request: announces the proxy.
        clock: has the time.

    Returns:
        The limit, to be put on every work connection; None: it has none that is ours.

    Raises:
        ProxyRefused: it isn't one. Limits that are the client's are checked, too, as frps does.
    """
    try:
        rate = bytes_per_second(request.bandwidth_limit)
    except ValueError as why:
        raise ProxyRefused(str(why)) from None
    if request.bandwidth_limit_mode not in MODES:
        raise ProxyRefused("bandwidth limit mode should be client or server")
    if not rate or request.bandwidth_limit_mode != "server":
        return None
    # Most servers have no such proxy.
    from tunnelsvc.relay.bandwidth import BandwidthLimit  # noqa: PLC0415

    return BandwidthLimit(rate, clock)
