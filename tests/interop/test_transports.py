# -*- test-case-name: tests.interop.test_transports -*-
"""Every real frp below ``FRP_BIN_DIR`` against our other half, by websocket and wss."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Final

from tests.e2e.nginx import start_proxy
from tests.e2e.secure import Trust
from tests.e2e.services import connected, echo, echo_bulk, echo_once, serves_echo
from tests.e2e.tunnel import Options, TunnelTestCase, tcp_proxy
from tests.interop.binaries import add_with_each
from tests.programs import OUR_CLIENT, OUR_SERVER, Peer, free_port
from tunnelsvc.units import MiB

# The first frp whose client knows wss (protocol notes 1.1).
WSS_SINCE: Final = (0, 51)
FORWARDED: Final = "X-Forwarded-For $proxy_add_x_forwarded_for"


class WebSocketTestCase(TunnelTestCase):
    """One real frp and our other half."""

    def setUp(self) -> None:
        super().setUp()
        self.tcp_port = free_port()

    def use(self, client: Peer, server: Peer) -> None:
        """Choose the two programs."""
        self.client_peer, self.server_peer = client, server

    def check_tunnel(self, server: Options, client: Options) -> None:
        """Start both, and use a tcp proxy."""
        self.start_server(server)
        self.check_client(client)

    def check_client(self, options: Options) -> None:
        """Start the client, and use a tcp proxy."""
        service = self.local_service(echo)
        proxies = {"echo": tcp_proxy(service.port, self.tcp_port)}
        self.start_client(proxies, options)
        try:
            with connected(self.tcp_port) as first, connected(self.tcp_port) as second:
                self.assertTrue(echo_once(first))
                self.assertTrue(echo_once(second))
            sent, received = echo_bulk(self.tcp_port, 4 * MiB)
            self.assertEqual(sent, received)
            self.assertTrue(serves_echo(self.tcp_port))
        except Exception as error:  # noqa: BLE001 - whatever it is, show the programs' words
            self.fail(f"{error!r}\n{self.show_outputs()}")

    def check_websocket(self, *, tls: bool, mux: bool) -> None:
        """By a plain websocket, with and without TLS inside."""
        common: Options = {"tcp_mux": mux}
        self.check_tunnel(common, {**common, "protocol": "websocket", "tls_enable": tls})

    def check_tls_only(self) -> None:
        """TLS inside a websocket is TLS."""
        client = {"protocol": "websocket", "tls_enable": True}
        self.check_tunnel({"tls_only": True}, client)

    def check_wss(self, *, mux: bool) -> None:
        """Our server ends TLS itself, and counts it."""
        common: Options = {"tcp_mux": mux}
        self.check_tunnel({**common, "tls_only": True}, {**common, "protocol": "wss"})

    def check_wss_verified(self) -> None:
        """The client finds out whether it is the right server."""
        trust = Trust(self.directory)
        files = trust.issue("server", "tunnel.test")
        self.check_tunnel(
            {"tls_cert_file": files.cert, "tls_key_file": files.key},
            {
                "protocol": "wss",
                "tls_trusted_ca_file": trust.file,
                "tls_server_name": "tunnel.test",
            },
        )

    def check_nginx(self, *, mux: bool) -> None:
        """A real nginx ends TLS, and passes a plain websocket on."""
        trust = Trust(self.directory)
        files = trust.issue("proxy", "tunnel.test")
        front = free_port()
        common: Options = {"tcp_mux": mux}
        ours = self.server_peer is OUR_SERVER
        self.start_server({**common, "trusted_proxies": "loopback"} if ours else common)
        start_proxy(self, front, self.bind_port, FORWARDED, files)
        self.check_client(
            {
                **common,
                "protocol": "wss",
                "server_port": front,
                "tls_trusted_ca_file": trust.file,
                "tls_server_name": "tunnel.test",
            }
        )


Check = Callable[[WebSocketTestCase], None]


def _checks(client: Peer, server: Peer) -> dict[str, Check]:
    checks: dict[str, Check] = {
        f"websocket_{'tls' if tls else 'plain'}_{'mux' if mux else 'direct'}": partial(
            WebSocketTestCase.check_websocket, tls=tls, mux=mux
        )
        for tls, mux in product((False, True), repeat=2)
    }
    checks["tls_only"] = WebSocketTestCase.check_tls_only
    if client is OUR_CLIENT or client.version >= WSS_SINCE:
        for mux in (False, True):
            name = "mux" if mux else "direct"
            checks[f"wss_nginx_{name}"] = partial(WebSocketTestCase.check_nginx, mux=mux)
            if server is OUR_SERVER:
                checks[f"wss_{name}"] = partial(WebSocketTestCase.check_wss, mux=mux)
        if server is OUR_SERVER:
            checks["wss_verified"] = WebSocketTestCase.check_wss_verified
    return checks


def _tests(client: Peer, server: Peer) -> dict[str, Check]:
    def test(case: WebSocketTestCase, check: Check) -> None:
        case.use(client, server)
        check(case)

    real = client if client.version else server
    return {
        f"{real.label}_{name}": partial(test, check=check)
        for name, check in _checks(client, server).items()
    }


class FrpClientTests(WebSocketTestCase):
    """frpc logs in to our server."""


class FrpServerTests(WebSocketTestCase):
    """Our client logs in to frps."""


add_with_each(FrpClientTests, FrpServerTests, _tests)
