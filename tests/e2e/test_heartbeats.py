# -*- test-case-name: tests.e2e.test_heartbeats -*-
"""Our two programs, of which one isn't there any more, and nobody says so."""

import signal
import socket
from typing import Final

from tests.e2e.services import echo, is_closed, serves_echo
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase, tcp_proxy
from tests.programs import PATIENCE, Program, eventually, free_port
from tunnelsvc.addresses import LOOPBACK

BEAT: Final = {"heartbeat_interval": 1, "heartbeat_timeout": 3}
"""Of a client, in seconds; short, so that a test needn't wait."""
STRICT: Final = {"heartbeat_timeout": 3}
"""Of a server: so long it waits for a ping."""
PINGS: Final = {"tcp_mux_keepalive_interval": 1}
"""Inside a multiplexed connection; one that isn't answered in 10 seconds is the last."""


class StoppedTests(TunnelTestCase):
    """A program is stopped as by a debugger: its connections stay, and it does nothing."""

    def start(self, server: Options, client: Options) -> None:
        """Start both, with an echo service."""
        self.port = free_port()
        self.server = self.start_server(server)
        proxies = {"echo": tcp_proxy(self.local_service(echo).port, self.port)}
        self.client = self.start_client(proxies, client)
        self.assertTrue(serves_echo(self.port), self.show_outputs())

    def hold(self, program: Program) -> None:
        """Stop it; it goes on at the end of the test, if not before."""
        program.process.send_signal(signal.SIGSTOP)
        self.addCleanup(program.process.send_signal, signal.SIGCONT)

    def check_back(self, program: Program) -> None:
        """Let it go on; they find each other again."""
        program.process.send_signal(signal.SIGCONT)
        self.client.wait_for("login to server success", times=2)
        eventually(lambda: serves_echo(self.port), "served again")

    def check_server(self, client: Options, why: str, common: Options = NO_OPTIONS) -> None:
        """The client notices that the server is gone, and says by what."""
        self.start(common, {**common, **client})
        self.hold(self.server)
        self.client.wait_for(why)
        self.check_back(self.server)

    def check_client(self, server: Options, client: Options, why: str) -> None:
        """The other way round."""
        self.start(server, client)
        users = self.users()
        self.hold(self.client)
        self.server.wait_for(why)
        if client.get("tcp_mux", True):  # else each has a connection of its own, which frp leaves
            self.check_cut(users)
        self.check_back(self.client)

    def users(self) -> list[socket.socket]:
        """Connect some users, who stay; the tunnel has connections of more than one kind."""
        users = [socket.create_connection((LOOPBACK, self.port), PATIENCE) for _ in range(3)]
        for user in users:
            self.addCleanup(user.close)
            user.sendall(b"hello")
            self.assertEqual(user.recv(100), b"hello")
        return users

    def check_cut(self, users: list[socket.socket]) -> None:
        """They don't wait for ever for who is gone."""
        for user in users:
            self.assertTrue(is_closed(user), self.show_outputs())

    def test_users_of_a_server(self) -> None:
        """Theirs are cut by the client; the server hears of it when it goes on."""
        self.start(NO_OPTIONS, BEAT)
        users = self.users()
        self.hold(self.server)
        self.client.wait_for("trying again")
        self.check_back(self.server)
        self.check_cut(users)

    def test_server(self) -> None:
        self.check_server({**PINGS, "heartbeat_interval": -1}, "trying again")

    def test_server_by_heartbeat(self) -> None:
        """Of the two ways it is the one that is quicker here."""
        self.check_server(BEAT, "the server's heartbeat stopped; trying again")

    def test_server_without_mux(self) -> None:
        why = "the server's heartbeat stopped; trying again"
        self.check_server(BEAT, why, {"tcp_mux": False})

    def test_server_in_v2(self) -> None:
        why = "the server's heartbeat stopped; trying again"
        self.check_server({**BEAT, "wire_protocol": "v2"}, why)

    def test_client(self) -> None:
        self.check_client(PINGS, NO_OPTIONS, "client exit success")

    def test_client_by_heartbeat(self) -> None:
        self.check_client(STRICT, BEAT, "client exit success: heartbeat timeout")

    def test_client_without_mux(self) -> None:
        mux = {"tcp_mux": False}
        why = "client exit success: heartbeat timeout"
        self.check_client({**STRICT, **mux}, {**BEAT, **mux}, why)
