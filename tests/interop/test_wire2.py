# -*- test-case-name: tests.interop.test_wire2 -*-
"""Wire protocol v2 with every real frp that knows it, over pairs of settings."""

import json
from collections.abc import Callable
from typing import Final

from tests.e2e.services import request
from tests.e2e.tunnel import NO_OPTIONS, Options
from tests.interop.binaries import BINARIES, add_tests
from tests.interop.matrix import CASES, Case
from tests.interop.test_matrix import InteropTestCase
from tests.interop.toml import to_toml
from tests.programs import OUR_CLIENT, OUR_SERVER, Peer, Program, Sections, free_port

SINCE: Final = (0, 69)
"""The first frp with v2 (protocol notes 1.9)."""
LOGIN: Final = {"dashboard_user": "ann", "dashboard_pwd": "pw"}
V2: Final = {"wire_protocol": "v2"}


class Wire2Case(InteropTestCase):
    """A client that speaks v2."""

    def start_client(self, proxies: Sections, options: Options = NO_OPTIONS) -> Program:
        """Start the client, and wait until all proxies work."""
        sections = self.client_sections(proxies, {**options, **V2})
        if self.client_peer is OUR_CLIENT:
            return self.run_client(sections, OUR_CLIENT)
        config = self.directory / "frpc.toml"
        config.write_text(to_toml(sections), encoding="utf-8")
        command = (*self.client_peer.command, "-c", str(config))
        client = self.run_program(command, name=self.client_peer.name)
        for proxy in proxies:
            client.wait_for(f"[{proxy}] start proxy success")
        return client

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
        config = self.write_config("frpc.ini", self.client_sections(self.echo_proxy(), V2))
        client = self.run_program((*self.client_peer.command, "-c", str(config)))
        self.assertEqual(client.wait(), 1)
        self.assertIn("It may be older than frp 0.69: wire_protocol is v2", client.output())


class OurEndsTests(Wire2Case):
    """Both ends ours."""

    def test_everything(self) -> None:
        self.use(OUR_CLIENT, OUR_SERVER)
        self.check_case(CASES[-1])

    def test_everything_without_mux(self) -> None:
        self.use(OUR_CLIENT, OUR_SERVER)
        self.check_case(CASES[1])

    def test_reconnect(self) -> None:
        self.use(OUR_CLIENT, OUR_SERVER)
        self.check_reconnect()


class FrpTests(Wire2Case):
    """One of them real."""


def _tests(client: Peer, server: Peer) -> dict[str, Callable[[FrpTests], None]]:
    def with_case(number: int) -> Callable[[FrpTests], None]:
        def test(case: FrpTests) -> None:
            case.use(client, server)
            case.check_case(CASES[number])

        return test

    real = client if client.version else server
    return {f"{real.label}_{case.label}": with_case(i) for i, case in enumerate(CASES)}


def _old(server: Peer) -> Callable[[FrpTests], None]:
    def test(case: FrpTests) -> None:
        case.use(OUR_CLIENT, server)
        case.check_old_server()

    return test


add_tests(
    FrpTests,
    {
        name: test
        for pair in (
            *((peer, OUR_SERVER) for peer in BINARIES.clients if peer.version >= SINCE),
            *((OUR_CLIENT, peer) for peer in BINARIES.servers if peer.version >= SINCE),
        )
        for name, test in _tests(*pair).items()
    }
    | {f"{peer.label}_is_too_old": _old(peer) for peer in BINARIES.servers if peer.version < SINCE},
)
