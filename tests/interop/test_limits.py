# -*- test-case-name: tests.interop.test_limits -*-
"""``bandwidth_limit`` with every real frp below ``FRP_BIN_DIR`` at one end, kept by the other."""

from collections.abc import Callable
from typing import Final

from tests.e2e.test_limits import LimitCase
from tests.interop.binaries import BINARIES, add_tests
from tests.programs import OUR_CLIENT, OUR_SERVER, Peer

# The first frp that knows ``bandwidth_limit_mode`` (frp reference, section 1.3).
MODES_SINCE: Final = (0, 47)


class FrpClientTests(LimitCase):
    """A real frpc leaves it to our server."""


class FrpServerTests(LimitCase):
    """Our client keeps to it, or leaves it to a real frps."""


def _test(client: Peer, server: Peer, mode: str) -> Callable[[LimitCase], None]:
    def test(case: LimitCase) -> None:
        case.client_peer, case.server_peer = client, server
        case.check(mode)

    return test


add_tests(
    FrpClientTests,
    {
        f"{peer.label}_server": _test(peer, OUR_SERVER, "server")
        for peer in BINARIES.clients
        if peer.version >= MODES_SINCE
    },
)
add_tests(
    FrpServerTests,
    {
        f"{peer.label}_{mode}": _test(OUR_CLIENT, peer, mode)
        for peer in BINARIES.servers
        for mode in ("client", "server")
        if mode == "client" or peer.version >= MODES_SINCE
    },
)
