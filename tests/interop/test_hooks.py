# -*- test-case-name: tests.interop.test_hooks -*-
"""Every real frpc, and ours, behind our server with a server plugin."""

from collections.abc import Mapping
from typing import Any, Final

from tests.e2e.hooks import UNCHANGED, HookService
from tests.e2e.services import echo, serves_echo
from tests.e2e.tunnel import TunnelTestCase, tcp_proxy
from tests.interop.binaries import BINARIES, add_tests
from tests.programs import OUR_CLIENT, Peer, Program, eventually, free_port

OPS: Final = ("Login", "NewProxy", "CloseProxy", "Ping", "NewWorkConn", "NewUserConn")
LOGIN: Final = {"user": "alice", "meta_token": "s3cret", "heartbeat_interval": 1}


class HookedTests(TunnelTestCase):
    """A client of some version, and a plugin that we are."""

    def begin(self, decide: Any = lambda *_: UNCHANGED) -> Program:
        """Start the plugin and the server."""
        self.hook = HookService(decide)
        self.addCleanup(self.hook.stop)
        self.port = free_port()
        sections = {**self.server_sections(), "plugin.test": self.hook.section(*OPS)}
        return self.run_server(sections, self.server_peer)

    def proxies(self) -> Mapping[str, Mapping[str, object]]:
        """Give a proxy to a service that echoes."""
        return {"ssh": tcp_proxy(self.local_service(echo).port, self.port)}

    def start_finished(self, client: Peer) -> Program:
        """Start a client, and wait for its proxy: old ones have the user before its name."""
        program = self.start_unfinished(client)
        program.wait_for("ssh] start proxy success")
        return program

    def start_unfinished(self, client: Peer) -> Program:
        """Start a client whose proxy may not start."""
        sections = self.client_sections(self.proxies(), LOGIN)
        config = self.write_config("frpc.ini", sections)
        return self.run_program((*client.command, "-c", str(config)), name=client.name)

    def check_everything(self, client: Peer) -> None:
        """All is asked, and nothing is in the way."""
        self.begin()
        program = self.start_finished(client)
        self.assertTrue(serves_echo(self.port), self.show_outputs())
        eventually(lambda: bool(self.hook.contents("Ping")), "asked about a ping")
        program.stop()
        eventually(lambda: bool(self.hook.contents("CloseProxy")), "told of the end")
        login = self.hook.contents("Login")[0]
        self.assertEqual((login["user"], login["metas"]), ("alice", {"token": "s3cret"}))
        self.assertTrue(login["client_address"].startswith("127.0.0.1:"), login)
        self.assertEqual({op for op, _ in self.hook.asked}, set(OPS))
        [proxy] = self.hook.contents("NewProxy")
        self.assertEqual((proxy["proxy_name"], proxy["remote_port"]), ("alice.ssh", self.port))
        for op in OPS[1:]:
            user = self.hook.contents(op)[0]["user"]
            self.assertEqual((user["user"], user["metas"]), ("alice", {"token": "s3cret"}))

    def check_refused_login(self, client: Peer) -> None:
        """Its user reads why."""
        self.begin(lambda *_: {"reject": True, "reject_reason": "who are you?"})
        program = self.start_unfinished(client)
        program.wait()
        self.assertNotEqual(program.lines("who are you?"), [], program.excerpt())

    def check_refused_proxy(self, client: Peer) -> None:
        """Likewise."""

        def decide(op: str, _: object) -> Mapping[str, Any]:
            return {"reject": True, "reject_reason": "not here"} if op == "NewProxy" else UNCHANGED

        self.begin(decide)
        self.start_unfinished(client).wait_for("start error: not here")

    def check_another_port_and_name(self, client: Peer) -> None:
        """The client's proxy works where the plugin wants it."""

        def decide(op: str, content: dict[str, Any]) -> Mapping[str, Any]:
            if op != "NewProxy":
                return UNCHANGED
            return {"content": {**content, "remote_port": other, "proxy_name": "a name of ours"}}

        other = free_port()
        self.begin(decide)
        self.start_finished(client)
        self.assertTrue(serves_echo(other), self.show_outputs())

    def check_refused_ping(self, client: Peer) -> None:
        """It has to log in again."""

        def decide(op: str, _: object) -> Mapping[str, Any]:
            return {"reject": True, "reject_reason": "pay first"} if op == "Ping" else UNCHANGED

        self.begin(decide)
        self.start_unfinished(client)
        eventually(lambda: len(self.hook.contents("Login")) > 1, "logged in again")

    def check_broken(self, client: Peer) -> None:
        """Nobody there to be asked."""
        server = self.begin()
        self.hook.stop()
        program = self.start_unfinished(client)
        program.wait()
        self.assertNotEqual(program.lines("send Login request to plugin error"), [])
        server.wait_for("send Login request to plugin [test] error")


CHECKS: Final = {
    "everything": HookedTests.check_everything,
    "refused_login": HookedTests.check_refused_login,
    "refused_proxy": HookedTests.check_refused_proxy,
    "another_port_and_name": HookedTests.check_another_port_and_name,
    "refused_ping": HookedTests.check_refused_ping,
    "broken": HookedTests.check_broken,
}
add_tests(
    HookedTests,
    {
        f"{peer.label}_{name}": lambda case, check=check, peer=peer: check(case, peer)  # type: ignore[misc]
        for peer in (OUR_CLIENT, *BINARIES.clients)
        for name, check in CHECKS.items()
    },
)
