# -*- test-case-name: tests.interop.test_udp -*-
"""``udp`` and ``sudp`` with every real frp below ``FRP_BIN_DIR``, in every role."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Final

from tests.e2e.datagrams import UDPService, ask, is_unanswered, udp_proxy, udp_user
from tests.e2e.visitors import VisitorTestCase, sudp_proxy, sudp_visitor
from tests.interop.binaries import BINARIES, add_tests, add_with_each
from tests.programs import OUR_CLIENT, OUR_SERVER, Peer, free_port

LEGS: Final = tuple(
    {"use_encryption": encryption, "use_compression": compression}
    for encryption, compression in product((False, True), repeat=2)
)

# The first frp whose ``udp_packet_size`` can be set, and that has cipher and compression here.
SIZE_SINCE: Final = (0, 34)

# What every frp carries: protocol notes 6.5.
ALWAYS: Final = (b"hello", b"", bytes(range(250)) * 6)

# Bytes that are too many for ``udp_packet_size = 1500``, and not for a message.
LONGER: Final = 6000

# Bytes that fit in no message of the protocol.
TOO_LONG: Final = 9000


class UDPInteropCase(VisitorTestCase):
    """Programs of which one at least is real frp, and an echo service."""

    def use(self, server: Peer, owner: Peer, visitor: Peer = OUR_CLIENT) -> None:
        """Choose the programs."""
        self.server_peer, self.client_peer, self.visitor_peer = server, owner, visitor
        self.service = UDPService()
        self.addCleanup(self.service.close)

    def check_echo(self, port: int) -> None:
        """Users get back what they send, each his own."""
        with udp_user(port) as first, udp_user(port) as second:
            for data in ALWAYS:
                self.assertEqual(ask(first, data), data)
            self.assertEqual(ask(second, b"second"), b"second")
            self.assertEqual(ask(first, b"first"), b"first")

    def check_legs(self) -> None:
        """With and without cipher and compression; before 0.34 both ends do without."""
        self.start_server({"token": "t0ken"})
        ports = [free_port() for _ in LEGS]
        self.start_client(
            {
                f"udp{port}": udp_proxy(self.service.port, port, leg)
                for port, leg in zip(ports, LEGS, strict=True)
            },
            {"token": "t0ken"},
        )
        for port in ports:
            self.check_echo(port)

    def check_without_mux(self) -> None:
        """The work connection is a connection of its own; our server lets others in likewise."""
        self.start_server({"tcp_mux": False})
        port = free_port()
        self.start_client({"udp": udp_proxy(self.service.port, port)}, {"tcp_mux": False})
        self.check_echo(port)

    def check_sizes(self) -> None:
        """A larger ``udp_packet_size`` holds in both; what doesn't fit is dropped, not cut."""
        size = {"udp_packet_size": 9500}
        self.start_server(size)
        port = free_port()
        self.start_client({"udp": udp_proxy(self.service.port, port)}, size)
        with udp_user(port) as user:
            data = bytes(range(250)) * (LONGER // 250)
            self.assertEqual(ask(user, data), data)
            if self.server_peer is OUR_SERVER:
                self.assertTrue(is_unanswered(user, bytes(TOO_LONG)))
                self.started[0].wait_for("udp_packet_size")
                self.assertEqual(ask(user, data), data)

    def check_default_size(self) -> None:
        """Ours drops what is longer than the real one expects."""
        self.start_server()
        port = free_port()
        self.start_client({"udp": udp_proxy(self.service.port, port)})
        with udp_user(port) as user:
            self.assertEqual(ask(user, bytes(1500)), bytes(1500))
            if self.server_peer is OUR_SERVER:
                self.assertTrue(is_unanswered(user, bytes(1501)))
                self.started[0].wait_for("udp_packet_size")

    def check_reconnect(self) -> None:
        """A server that was killed and started again goes on with the proxy."""
        server = self.start_server()
        port = free_port()
        client = self.start_client({"udp": udp_proxy(self.service.port, port)})
        self.check_echo(port)
        server.kill()
        self.start_server()
        client.wait_for("[udp] start proxy success", times=2)
        self.check_echo(port)

    def check_visitors(self, legs: bool = True) -> None:
        """Each leg has its own cipher and compression; each visitor has users of its own."""
        self.start_server({"token": "t0ken"})
        owners = dict(enumerate(LEGS if legs else LEGS[:1]))
        self.start_client(
            {f"owner{n}": sudp_proxy(self.service.port, leg) for n, leg in owners.items()},
            {"token": "t0ken"},
        )
        pairs = [*product(owners, repeat=2), (0, 0)]
        ports = [free_port() for _ in pairs]
        self.start_visitor(
            {
                f"visitor{port}": sudp_visitor(f"owner{owner}", port, owners[visitor])
                for port, (owner, visitor) in zip(ports, pairs, strict=True)
            },
            {"token": "t0ken"},
        )
        for port in ports:
            self.check_echo(port)

    def check_visitor_reconnect(self) -> None:
        """A visitor comes again for the next datagram, when the owner or the server has gone."""
        server = self.start_server()
        owner = self.start_client({"owner": sudp_proxy(self.service.port)})
        port = free_port()
        self.start_visitor({"visitor": sudp_visitor("owner", port)})
        self.check_echo(port)
        server.kill()
        self.start_server()
        owner.wait_for("[owner] start proxy success", times=2)
        self.check_echo(port)


Check = Callable[[UDPInteropCase], None]


class FrpClientTests(UDPInteropCase):
    """frpc logs in to our server."""


class FrpServerTests(UDPInteropCase):
    """Our client logs in to frps."""


class VisitorTests(UDPInteropCase):
    """A server, an owner and a visitor, of which one at least is real frp."""


def _tests(client: Peer, server: Peer) -> dict[str, Check]:
    real = client if client.version else server
    checks: dict[str, Check] = {
        "legs": UDPInteropCase.check_legs,
        "without_mux": UDPInteropCase.check_without_mux,
        "default_size": UDPInteropCase.check_default_size,
        "reconnect": UDPInteropCase.check_reconnect,
    }
    if real.version >= SIZE_SINCE:
        checks["sizes"] = UDPInteropCase.check_sizes

    def test(case: UDPInteropCase, check: Check) -> None:
        case.use(server, client)
        check(case)

    return {f"{real.label}_{name}": partial(test, check=check) for name, check in checks.items()}


def _visitor_tests() -> dict[str, Check]:
    clients = {peer.version: peer for peer in BINARIES.clients}
    found: dict[str, Check] = {}
    for server in BINARIES.servers:
        client = clients.get(server.version)
        if client is None:
            continue
        for mix in list(product((False, True), repeat=3))[1:-1]:
            found |= _mixed(server, client, mix)
    return found


def _mixed(server: Peer, client: Peer, mix: tuple[bool, ...]) -> dict[str, Check]:
    """Give the tests in which server, owner and visitor are real as `mix` says."""
    peers = (
        server if mix[0] else OUR_SERVER,
        client if mix[1] else OUR_CLIENT,
        client if mix[2] else OUR_CLIENT,
    )
    roles = zip(("server", "owner", "visitor"), mix, strict=True)
    label = "_".join((*map(str, server.version), *(role for role, real in roles if real)))

    def test(case: UDPInteropCase, check: Check) -> None:
        case.use(*peers)
        check(case)

    legs = partial(UDPInteropCase.check_visitors, legs=server.version >= SIZE_SINCE)
    checks: dict[str, Check] = {"legs": legs}
    # A visitor of frpc 0.33 often stays mute after a reconnect, whosever the other two are.
    if peers[2] is OUR_CLIENT or server.version >= SIZE_SINCE:
        checks["reconnect"] = UDPInteropCase.check_visitor_reconnect
    return {f"{label}_{name}": partial(test, check=check) for name, check in checks.items()}


add_with_each(FrpClientTests, FrpServerTests, _tests)
add_tests(VisitorTests, _visitor_tests())
