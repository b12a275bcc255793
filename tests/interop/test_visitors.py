# -*- test-case-name: tests.interop.test_visitors -*-
"""``stcp`` with every real frp below ``FRP_BIN_DIR``, as any one or two of the three programs."""

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Final

from tests.e2e.services import connected, echo, echo_bulk, is_closed
from tests.e2e.visitors import VisitorTestCase, stcp_proxy, stcp_visitor
from tests.interop.binaries import BINARIES, add_tests
from tests.programs import OUR_CLIENT, OUR_SERVER, Peer, free_port
from tunnelsvc.units import KiB

SIZE: Final = 300 * KiB
"""More than a window of a real frp's stream."""

LEGS: Final = tuple(
    {"use_encryption": encryption, "use_compression": compression}
    for encryption, compression in product((False, True), repeat=2)
)

# The first frp whose visitors say who they are (protocol notes 6.6).
USERS_SINCE: Final = (0, 50)


class MixCase(VisitorTestCase):
    """Three programs, of which one at least is ours and one is real frp."""

    def use(self, server: Peer, owner: Peer, visitor: Peer) -> None:
        """Choose the programs."""
        self.server_peer, self.client_peer, self.visitor_peer = server, owner, visitor

    def check_legs(self) -> None:
        """Each leg has its own cipher and compression, whatever the other one has."""
        self.start_server({"token": "t0ken"})
        service = self.local_service(echo)
        self.start_client(
            {f"owner{number}": stcp_proxy(service.port, leg) for number, leg in enumerate(LEGS)},
            {"token": "t0ken"},
        )
        ports = {pair: free_port() for pair in product(range(len(LEGS)), repeat=2)}
        self.start_visitor(
            {
                f"visitor{owner}{visitor}": stcp_visitor(f"owner{owner}", port, LEGS[visitor])
                for (owner, visitor), port in ports.items()
            },
            {"token": "t0ken"},
        )
        for (owner, visitor), port in ports.items():
            sent, received = echo_bulk(port, SIZE)
            where = f"owner {LEGS[owner]}, visitor {LEGS[visitor]}\n{self.show_outputs()}"
            self.assertEqual(sent, received, where)

    def check_without_mux(self) -> None:
        """Each visitor has a connection of its own to the server; a wrong secret gets nowhere."""
        self.start_server({"tcp_mux": False})
        service = self.local_service(echo)
        self.start_client({"owner": stcp_proxy(service.port, LEGS[-1])}, {"tcp_mux": False})
        right, wrong = free_port(), free_port()
        self.start_visitor(
            {
                "right": stcp_visitor("owner", right, LEGS[-1]),
                "wrong": stcp_visitor("owner", wrong, {"sk": "a guess"}),
            },
            {"tcp_mux": False},
        )
        sent, received = echo_bulk(right, SIZE)
        self.assertEqual(sent, received, self.show_outputs())
        # It may be cut before the kernel has told us that it is there.
        with contextlib.suppress(ConnectionResetError), connected(wrong) as user:
            self.assertTrue(is_closed(user), self.show_outputs())

    def check_users(self) -> None:
        """Other users come in if the owner names them."""
        self.start_server()
        service = self.local_service(echo)
        users = {"alice": "bob,carol", "all": "*", "own": ""}
        self.start_client(
            {name: stcp_proxy(service.port, {"allow_users": who}) for name, who in users.items()},
            {"user": "owner"},
        )
        ports = {name: free_port() for name in users}
        self.start_visitor(
            {
                f"to_{name}": stcp_visitor(name, port, {"server_user": "owner"})
                for name, port in ports.items()
            },
            {"user": "carol"},
        )
        for name in ("alice", "all"):
            sent, received = echo_bulk(ports[name], SIZE)
            self.assertEqual(sent, received, self.show_outputs())
        with connected(ports["own"]) as user:
            self.assertTrue(is_closed(user), self.show_outputs())
        where = "visitor connection of [owner.own] user [carol] not allowed"
        self.assertIn(where, self.show_outputs())


CHECKS: Final[Mapping[str, Callable[[MixCase], None]]] = {
    "legs": MixCase.check_legs,
    "without_mux": MixCase.check_without_mux,
    "users": MixCase.check_users,
}


def _tests() -> dict[str, Callable[[MixCase], None]]:
    clients = {peer.version: peer for peer in BINARIES.clients}
    found: dict[str, Callable[[MixCase], None]] = {}
    for real in BINARIES.servers:
        client = clients.get(real.version)
        if client is None:
            continue
        for mix in product((False, True), repeat=3):
            if all(mix) or not any(mix):
                continue
            server, owner, visitor = (
                (frp if is_real else ours)
                for is_real, frp, ours in zip(
                    mix,
                    (real, client, client),
                    (OUR_SERVER, OUR_CLIENT, OUR_CLIENT),
                    strict=True,
                )
            )
            who = "_".join(
                name
                for is_real, name in zip(mix, ("server", "owner", "visitor"), strict=True)
                if is_real
            )
            for name, check in CHECKS.items():
                if name == "users" and real.version < USERS_SINCE:
                    continue

                def test(
                    case: MixCase,
                    check: Callable[[MixCase], None],
                    peers: tuple[Peer, Peer, Peer],
                ) -> None:
                    case.use(*peers)
                    check(case)

                label = "_".join(map(str, real.version))
                found[f"{label}_{who}_{name}"] = partial(
                    test, check=check, peers=(server, owner, visitor)
                )
    return found


class MixTests(MixCase):
    """All mixes."""


add_tests(MixTests, _tests())
