# -*- test-case-name: tests.interop.test_proxyprotocol -*-
"""The PROXY protocol with every real frp below ``FRP_BIN_DIR`` at one end."""

from collections.abc import Callable

from tests.e2e.test_proxyprotocol import WitnessCase
from tests.interop.binaries import add_with_each
from tests.programs import Peer
from tunnelsvc.wire.proxyprotocol import VERSIONS


class FrpClientTests(WitnessCase):
    """A real frpc tells the service what our server told it."""


class FrpServerTests(WitnessCase):
    """Our client tells the service what a real frps told it."""


def _tests(client: Peer, server: Peer) -> dict[str, Callable[[WitnessCase], None]]:
    def test(case: WitnessCase, version: str) -> None:
        case.client_peer, case.server_peer = client, server
        case.check_version(version)

    real = client if client.version else server
    return {
        f"{real.label}_{version}": lambda case, version=version: test(case, version)  # type: ignore[misc]
        for version in VERSIONS
    }


add_with_each(FrpClientTests, FrpServerTests, _tests)
