# -*- test-case-name: tests.interop.test_visitors -*-
"""``stcp`` with every real frp below ``FRP_BIN_DIR``, as any one or two of the three programs."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Final

from tests.e2e.services import echo, echo_bulk
from tests.e2e.visitors import VisitorTestCase, is_refused, stcp_proxy, stcp_visitor
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
        self.start_owner(
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
        self.start_owner({"owner": stcp_proxy(service.port, LEGS[-1])}, {"tcp_mux": False})
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
        self.assertTrue(is_refused(wrong), self.show_outputs())

    def check_users(self) -> None:
        """Other users come in if the owner names them."""
        self.start_server()
        service = self.local_service(echo)
        users = {"alice": "bob,carol", "all": "*", "own": ""}
        self.start_owner(
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
        self.assertTrue(is_refused(ports["own"]), self.show_outputs())
        where = "visitor connection of [owner.own] user [carol] not allowed"
        self.assertIn(where, self.show_outputs())


Programs = tuple[Peer, ...]
"""Server, owner, visitor."""
Check = Callable[[MixCase], None]

CHECKS: Final[Mapping[str, Check]] = {
    "legs": MixCase.check_legs,
    "without_mux": MixCase.check_without_mux,
    "users": MixCase.check_users,
}


def _mixes(real: Peer, real_client: Peer) -> Iterator[tuple[str, Programs]]:
    """Give who is what, with a name for it."""
    pairs = {
        "server": (OUR_SERVER, real),
        "owner": (OUR_CLIENT, real_client),
        "visitor": (OUR_CLIENT, real_client),
    }
    for programs in product(*pairs.values()):
        frps = [name for name, peer in zip(pairs, programs, strict=True) if peer.version]
        if 0 < len(frps) < len(pairs):
            yield f"{real.label}_as_{'_'.join(frps)}", programs


def _test(case: MixCase, check: Check, programs: Programs) -> None:
    case.use(*programs)
    check(case)


class MixTests(MixCase):
    """Every mix."""


add_tests(
    MixTests,
    {
        f"{who}_{name}": partial(_test, check=check, programs=programs)
        for real in BINARIES.servers
        for client in BINARIES.clients
        if client.version == real.version
        for who, programs in _mixes(real, client)
        for name, check in CHECKS.items()
        if name != "users" or real.version >= USERS_SINCE
    },
)
