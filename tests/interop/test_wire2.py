# -*- test-case-name: tests.interop.test_wire2 -*-
"""Wire protocol v2 with every real frp that knows it, over pairs of settings."""

import json
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

from tests.e2e.datagrams import ask, udp_proxy, udp_user
from tests.e2e.services import request
from tests.e2e.tunnel import NO_OPTIONS, Options
from tests.e2e.visitors import VisitorTestCase
from tests.interop.binaries import BINARIES, add_tests
from tests.interop.matrix import CASES, Case
from tests.interop.test_matrix import InteropTestCase
from tests.interop.test_udp import UDPInteropCase
from tests.interop.test_visitors import MixCase
from tests.interop.toml import to_toml
from tests.programs import OUR_CLIENT, OUR_SERVER, Peer, Program, Sections, free_port

SINCE: Final = (0, 69)
"""The first frp with v2 (protocol notes 1.9)."""
CLIENTS: Final = tuple(peer for peer in BINARIES.clients if peer.version >= SINCE)
SERVERS: Final = tuple(peer for peer in BINARIES.servers if peer.version >= SINCE)
LOGIN: Final = {"dashboard_user": "ann", "dashboard_pwd": "pw"}

LARGE: Final = 40_000
"""Bytes in a datagram that v1 can't carry."""

CLIENT: Final = "frpc.ini"
OWNER: Final = frozenset({CLIENT, "owner.ini"})
VISITOR: Final = frozenset({"visitor.ini"})
"""The files of the two clients, as the tests name them."""


class Wire2Mixin(VisitorTestCase):
    """Has clients speak v2.

    Attributes:
        speakers: the files of those that do.
    """

    speakers: frozenset[str] = OWNER | VISITOR

    def write_config(self, name: str, sections: Sections) -> Path:
        """Write a file; for a real frpc that shall speak v2 it has to be TOML."""
        if name not in self.speakers:
            return super().write_config(name, sections)
        sections = {**sections, "common": {**sections["common"], "wire_protocol": "v2"}}
        if (self.client_peer if name in OWNER else self.visitor_peer) is OUR_CLIENT:
            return super().write_config(name, sections)
        path = self.directory / name
        path.write_text(to_toml(sections), encoding="utf-8")
        return path


class Wire2Case(Wire2Mixin, InteropTestCase):
    """A client that speaks v2."""

    def start_server(self, options: Options = NO_OPTIONS) -> Program:
        """Start the server, with a dashboard."""
        self.dashboard_port = free_port()
        return super().start_server({**options, "dashboard_port": self.dashboard_port, **LOGIN})

    def check_case(self, case: Case) -> None:
        """Use everything of a tunnel, and ask the server what was spoken."""
        super().check_case(case)
        answer = request(self.dashboard_port, "/api/clients", user=":".join(LOGIN.values()))
        self.assertEqual([client["wireProtocol"] for client in json.loads(answer.body)], ["v2"])

    def check_old_server(self) -> None:
        """The user of a client reads why a server that is too old doesn't answer."""
        self.start_server()
        config = self.write_config(CLIENT, self.client_sections(self.echo_proxy()))
        client = self.run_program((*self.client_peer.command, "-c", str(config)))
        self.assertEqual(client.wait(), 1)
        self.assertIn("It may be older than frp 0.69: wire_protocol is v2", client.output())


class OurEndsTests(Wire2Case):
    """Both ends ours."""

    def setUp(self) -> None:
        super().setUp()
        self.use(OUR_CLIENT, OUR_SERVER)

    def test_everything(self) -> None:
        self.check_case(CASES[-1])

    def test_everything_without_mux(self) -> None:
        self.check_case(CASES[1])

    def test_reconnect(self) -> None:
        self.check_reconnect()

    def test_wrong_token(self) -> None:
        self.check_wrong_token()


class FrpTests(Wire2Case):
    """One of them real."""


class DatagramTests(Wire2Mixin, UDPInteropCase):
    """``udp``, and ``sudp`` where not all of the clients speak v2."""

    def check_large(self) -> None:
        """A frame holds more than a message of v1."""
        size = {"udp_packet_size": LARGE}
        self.start_server(size)
        port = free_port()
        self.start_client({"udp": udp_proxy(self.service.port, port)}, size)
        with udp_user(port) as user:
            self.assertEqual(ask(user, bytes(LARGE)), bytes(LARGE))


class StreamVisitorTests(Wire2Mixin, MixCase):
    """``stcp``, where not all of the clients speak v2."""


def _tests(client: Peer, server: Peer) -> dict[str, Callable[[FrpTests], None]]:
    def test(case: FrpTests, check: Callable[[FrpTests], None]) -> None:
        case.use(client, server)
        check(case)

    checks: dict[str, Callable[[FrpTests], None]] = {
        **{case.label: partial(FrpTests.check_case, case=case) for case in CASES},
        "reconnect": FrpTests.check_reconnect,
        "wrong_token": FrpTests.check_wrong_token,
    }
    real = client if client.version else server
    return {f"{real.label}_{name}": partial(test, check=check) for name, check in checks.items()}


def _old(server: Peer) -> Callable[[FrpTests], None]:
    def test(case: FrpTests) -> None:
        case.use(OUR_CLIENT, server)
        case.check_old_server()

    return test


def _udp_tests(client: Peer, server: Peer) -> dict[str, Callable[[DatagramTests], None]]:
    def test(case: DatagramTests, check: Callable[[DatagramTests], None]) -> None:
        case.use(server, client)
        check(case)

    real = client if client.version else server
    checks: dict[str, Callable[[DatagramTests], None]] = {
        "legs": DatagramTests.check_legs,
        "without_mux": DatagramTests.check_without_mux,
        "large": DatagramTests.check_large,
        "reconnect": DatagramTests.check_reconnect,
    }
    return {f"{real.label}_{name}": partial(test, check=check) for name, check in checks.items()}


Mix = tuple[tuple[Peer, Peer, Peer], frozenset[str]]
"""Server, owner and visitor, and the files of those who speak v2."""


def _mixes(server: Peer, client: Peer) -> dict[str, Mix]:
    """Give server, owner and visitor, not all of them real, and who of the two speaks v2."""
    speakers = {"owner": OWNER, "visitor": VISITOR, "both": OWNER | VISITOR}
    found = {}
    for mix in list(product((False, True), repeat=3))[:-1]:
        peers = (
            server if mix[0] else OUR_SERVER,
            client if mix[1] else OUR_CLIENT,
            client if mix[2] else OUR_CLIENT,
        )
        roles = zip(("server", "owner", "visitor"), mix, strict=True)
        label = "_".join((*map(str, server.version), *(role for role, real in roles if real)))
        for who, files in speakers.items():
            found[f"{label}_v2_by_{who}"] = (peers, files)
    return found


def _sudp(peers: tuple[Peer, Peer, Peer], files: frozenset[str]) -> Callable[[DatagramTests], None]:
    def test(case: DatagramTests) -> None:
        case.speakers = files
        case.use(*peers)
        case.check_visitors()

    return test


def _stcp(
    peers: tuple[Peer, Peer, Peer], files: frozenset[str]
) -> Callable[[StreamVisitorTests], None]:
    def test(case: StreamVisitorTests) -> None:
        case.speakers = files
        case.use(*peers)
        case.check_without_mux()

    return test


def _all_mixes() -> dict[str, Mix]:
    return {
        label: mix
        for server, client in zip(SERVERS, CLIENTS, strict=True)
        for label, mix in _mixes(server, client).items()
    }


PAIRS: Final = (
    *((peer, OUR_SERVER) for peer in CLIENTS),
    *((OUR_CLIENT, peer) for peer in SERVERS),
)

add_tests(
    FrpTests,
    {name: test for pair in PAIRS for name, test in _tests(*pair).items()}
    | {f"{peer.label}_is_too_old": _old(peer) for peer in BINARIES.servers if peer.version < SINCE},
)
add_tests(
    DatagramTests,
    {name: test for pair in PAIRS for name, test in _udp_tests(*pair).items()}
    | {f"sudp_{label}": _sudp(*mix) for label, mix in _all_mixes().items()},
)
add_tests(StreamVisitorTests, {label: _stcp(*mix) for label, mix in _all_mixes().items()})
