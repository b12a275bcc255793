# -*- test-case-name: tests.interop.test_control -*-
"""Clients that are told what to do while they run, with every real frp below ``FRP_BIN_DIR``."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from tests.e2e.control import ControlTestCase
from tests.e2e.services import connected, echo_once, serves_echo
from tests.e2e.tunnel import http_proxy
from tests.interop.binaries import BINARIES, add_tests, with_each_server
from tests.programs import TUNNELSVC, Peer, Program, free_port

# The first frpc that can be stopped by its API.
STOP_SINCE: Final = (0, 51)

WEB: Final = "a.example"


class CommandCase(ControlTestCase):
    """A client, and the commands of another program for it."""

    def start(self, **ports: int) -> Program:
        """Start it with proxies of the echo service and one of a web site."""
        return self.begin(self.with_web(**ports))

    def with_web(self, **ports: int) -> Mapping[str, Mapping[str, object]]:
        """Give these proxies."""
        return {**self.proxies(**ports), "web": http_proxy(80, {"custom_domains": WEB})}

    def start_with_bad(self, name: str, port: int) -> None:
        """Start it with a good proxy, and one whose port is taken."""
        client = self.start(**{name: port})
        self.write(self.with_web(**{name: port, "bad": self.vhost_port}))
        self.assertEqual(self.ask("/api/reload")[0], 200)
        client.wait_for("[bad] start error: port unavailable")

    def check_reload(self, program: Sequence[str]) -> None:
        """What stays is left alone, and connections of what doesn't run on."""
        kept, old, new = free_port(), free_port(), free_port()
        client = self.start(kept=kept, other=old)
        with connected(kept) as first, connected(old) as second:
            self.assertTrue(echo_once(first) and echo_once(second))
            self.write(self.with_web(kept=kept, other=new))
            status, said = self.command("reload", program)
            self.assertEqual(status, 0, said)
            self.assertIn("reload success\n", said)
            self.wait_for_echo(new)
            self.wait_for_nobody(old)
            self.assertTrue(echo_once(first), client.excerpt())
            self.assertTrue(echo_once(second), client.excerpt())
        self.assertEqual(len(client.lines("[kept] start proxy success")), 1)

    def check_bad_reload(self, program: Sequence[str]) -> None:
        """A file that can't be used changes nothing, and that is told."""
        port = free_port()
        self.start(kept=port)
        # It has to be good for whoever asks: that one reads it, too.
        good = self.file.read_text(encoding="utf-8")
        other = self.directory / "asks.ini"
        other.write_text(good, encoding="utf-8")
        self.file.write_text(good.replace("type = tcp", "type = tpc"), encoding="utf-8")
        status, said = self.command("reload", program, other)
        self.assertEqual(status, 1, said)
        self.assertIn("400", said)
        self.assertTrue(serves_echo(port))

    def check_status(self, program: Sequence[str]) -> None:
        """The same proxies in the same words, whoever asks whom."""
        port = free_port()
        self.start_with_bad("good", port)
        local = f"127.0.0.1:{self.service.port}"
        status, said = self.command("status", program)
        self.assertEqual(status, 0, said)
        rows = [line.split() for line in said.splitlines()]
        self.assertIn(["good", "running", local, f"127.0.0.1:{port}"], rows)
        self.assertIn(["web", "running", "127.0.0.1:80", f"{WEB}:{self.vhost_port}"], rows)
        (bad,) = (row for row in rows if row[:1] == ["bad"])
        self.assertEqual((bad[:4], bad[-2:]), (["bad", "start", "error", local],
                                               ["port", "unavailable"]))  # fmt: skip
        self.assertTrue(any(row[:1] == ["TCP"] or row[:1] == ["TCPName"] for row in rows), said)

    def check_stop(self, program: Sequence[str]) -> None:
        """It ends in order."""
        client = self.start(a=free_port())
        status, said = self.command("stop", program)
        self.assertEqual(status, 0, said)
        self.assertIn("stop success\n", said)
        self.assertEqual(client.wait(), 0)


class FrpCommandTests(CommandCase):
    """The commands of frpc, for a client of ours."""

    def check_same_table(self, program: Sequence[str]) -> None:
        """Column for column what our own command shows."""
        self.start_with_bad("a", free_port())
        theirs, ours = (self.table(each) for each in (program, TUNNELSVC))
        self.assertEqual(theirs, ours)

    def table(self, program: Sequence[str]) -> list[str]:
        """Give the lines that have proxies in them."""
        said = self.command("status", program)[1]
        lines = [line.rstrip() for line in said.splitlines()]
        return [line for line in lines if line.startswith(("a ", "bad ", "web "))]


class OurCommandTests(CommandCase):
    """Our commands, for a real frpc."""

    def run_all(self, client: Peer, check: Callable[..., None]) -> None:
        """Make one check."""
        self.client_peer = client
        check(self, TUNNELSVC)


class FrpServerTests(CommandCase):
    """A client of ours that gets another file, with a real frps."""

    def check_changes(self, server: Peer) -> None:
        """Ten times to and fro: the server takes every port back and gives it again."""
        self.server_peer = server
        kept, ports = free_port(), [free_port(), free_port()]
        client = self.start(kept=kept, other=ports[0])
        with connected(kept) as user:
            for turn in range(1, 11):
                self.write(self.with_web(kept=kept, other=ports[turn % 2]))
                self.assertEqual(self.reload()["proxies"]["unchanged"], ["kept", "web"])
                self.assertTrue(echo_once(user), client.excerpt())
                self.wait_for_echo(ports[turn % 2])
            self.wait_for_nobody(ports[1])
        self.assertEqual(len(client.lines("[kept] start proxy success")), 1)
        self.assertEqual(client.lines("start error"), [])

    def check_file(self, server: Peer) -> None:
        """Read, edited, written and applied by the API."""
        self.server_peer = server
        old, new = free_port(), free_port()
        self.start(a=old)
        content = self.ask("/api/config")[1].replace(str(old).encode(), str(new).encode())
        self.assertEqual(self.ask("/api/config", "PUT", content)[0], 200)
        self.reload()
        self.wait_for_echo(new)
        (proxy,) = json.loads(self.ask("/api/status")[1])["tcp"]
        self.assertEqual(proxy["remote_addr"], f"127.0.0.1:{new}")


CHECKS: Final = {
    "reload": CommandCase.check_reload,
    "bad_reload": CommandCase.check_bad_reload,
    "status": CommandCase.check_status,
    "stop": CommandCase.check_stop,
}


def _checks(peer: Peer) -> dict[str, Callable[..., None]]:
    return {
        name: check
        for name, check in CHECKS.items()
        if name != "stop" or peer.version >= STOP_SINCE
    }


def _with_program(
    case: FrpCommandTests, check: Callable[..., None], program: Sequence[str]
) -> None:
    check(case, program)


add_tests(
    FrpCommandTests,
    {
        f"{peer.label}_{name}": partial(_with_program, check=check, program=peer.command)
        for peer in BINARIES.clients
        for name, check in [*_checks(peer).items(), ("table", FrpCommandTests.check_same_table)]
    },
)
add_tests(
    OurCommandTests,
    {
        f"{peer.label}_{name}": partial(OurCommandTests.run_all, client=peer, check=check)
        for peer in BINARIES.clients
        for name, check in _checks(peer).items()
    },
)
add_tests(
    FrpServerTests,
    with_each_server({"changes": FrpServerTests.check_changes, "file": FrpServerTests.check_file}),
)
