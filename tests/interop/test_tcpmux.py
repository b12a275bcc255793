# -*- test-case-name: tests.interop.test_tcpmux -*-
"""tcpmux with every real frp below ``FRP_BIN_DIR`` at one end."""

from collections.abc import Callable
from typing import Final

from tests.e2e.test_tcpmux import MuxCase
from tests.interop.binaries import BINARIES, add_tests
from tests.programs import OUR_CLIENT, OUR_SERVER, Peer

Version = tuple[int, ...]

CHECKS: Final[dict[str, tuple[Version, Callable[[MuxCase], None]]]] = {
    "basics": ((0, 33), MuxCase.check_basics),
    "group": ((0, 33), MuxCase.check_group),
    "users": ((0, 43), MuxCase.check_users),
    "passthrough": ((0, 43), MuxCase.check_passthrough),
    "credentials": ((0, 48), MuxCase.check_credentials),
}
"""With the first frp that has it (frp reference, sections 1.1 and 1.3)."""


class FrpClientTests(MuxCase):
    """A real frpc behind our server."""


class FrpServerTests(MuxCase):
    """Our client behind a real frps."""


def _test(
    client: Peer, server: Peer, check: Callable[[MuxCase], None]
) -> Callable[[MuxCase], None]:
    def test(case: MuxCase) -> None:
        case.client_peer, case.server_peer = client, server
        check(case)

    return test


add_tests(
    FrpClientTests,
    {
        f"{peer.label}_{name}": _test(peer, OUR_SERVER, check)
        for peer in BINARIES.clients
        for name, (since, check) in CHECKS.items()
        # It's the server that does it: older clients only can't say that they want it.
        if peer.version >= since or name == "passthrough"
    },
)
add_tests(
    FrpServerTests,
    {
        f"{peer.label}_{name}": _test(OUR_CLIENT, peer, check)
        for peer in BINARIES.servers
        for name, (since, check) in CHECKS.items()
        if peer.version >= since
    },
)
