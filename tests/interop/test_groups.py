# -*- test-case-name: tests.interop.test_groups -*-
"""Groups and health checks with every real frp below ``FRP_BIN_DIR`` at one end."""

from collections.abc import Callable
from functools import partial
from typing import Final

from tests.e2e.test_groups import HTTP_CHECK, TCP_CHECK, USERS, GroupTestCase
from tests.e2e.tunnel import tcp_proxy
from tests.interop.binaries import BINARIES, add_tests
from tests.programs import OUR_CLIENT, OUR_SERVER, Peer, eventually

# From 0.35 to 0.44 the members of frps's http groups share the connections that are kept, so that
# whoever has the first request has all that come one after the other (protocol notes 6.2).
SHARED_CONNECTIONS: Final = ((0, 35), (0, 45))

# The first frps with groups of https; older ones' clients have them by another server.
HTTPS_GROUPS_SINCE: Final = (0, 66)


class GroupCase(GroupTestCase):
    """Members ``a`` and ``b`` of a group; which programs they are is for each test to say.

    Attributes:
        dying: those whose services die and come back: one for each kind of program that notices.
    """

    dying = "ab"

    def use(self, server: Peer, **members: Peer) -> None:
        """Choose the programs."""
        self.server_peer = server
        self.members = members

    def check_port(self) -> None:
        """A service behind a shared port dies; then nobody notices any more; it comes back."""
        self.start_server()
        for name, peer in self.members.items():
            self.start_service(name)
            self.tcp_member(name, TCP_CHECK, peer)
        self.assertEqual(set(self.users()), {"a", "b"}, self.show_outputs())
        for name in self.dying:
            other = "b" if name == "a" else "a"
            self.services[name].close()
            eventually(lambda other=other: self.users(4) == {other: 4}, f"{name} taken out")  # type: ignore[misc]
            self.assertEqual(self.users(), {other: USERS}, self.show_outputs())
            self.start_service(name)
            eventually(lambda name=name: name in self.users(), f"{name} back again")  # type: ignore[misc]

    def check_host(self) -> None:
        """The same behind a shared host."""
        self.start_server()
        stop, clients = {}, {}
        for name, peer in self.members.items():
            stop[name] = self.start_site(name)
            clients[name] = self.http_member(name, HTTP_CHECK, peer)
        first, last = SHARED_CONNECTIONS
        all_get_some = not first <= self.server_peer.version < last
        seen = set(self.requests())
        self.assertTrue(seen == {"a", "b"} if all_get_some else seen <= {"a", "b"}, seen)
        for name in self.dying:
            other = "b" if name == "a" else "a"
            stop[name]()
            eventually(lambda other=other: self.requests(4) == {other: 4}, f"{name} taken out")  # type: ignore[misc]
            self.assertEqual(self.requests(), {other: USERS}, self.show_outputs())
            stop[name] = self.start_site(name)
            if all_get_some:
                eventually(lambda name=name: name in self.requests(), f"{name} back again")  # type: ignore[misc]
            else:
                clients[name].wait_for(f"[{name}] start proxy success", times=2)

    def check_key(self) -> None:
        """Who doesn't know the key is told so, and gets nobody."""
        self.start_server()
        for name in "ab":
            self.start_service(name)
        self.tcp_member("a", TCP_CHECK, self.members["a"])
        proxy = tcp_proxy(self.local_ports["b"], self.port, TCP_CHECK)
        stranger = self.start_member("b", proxy, self.members["b"], key="guess")
        stranger.wait_for("[b] start error: group auth failed")
        self.assertEqual(self.users(), {"a": USERS})

    def check_https(self) -> None:
        """The same behind a shared host with TLS."""
        self.check_secure(*self.members.values())


class FrpClientTests(GroupCase):
    """A frpc and a client of ours are members of a group of our server."""


class FrpServerTests(GroupCase):
    """Clients of ours are members of a group of frps."""

    dying = "a"


class MixedTests(GroupCase):
    """A frpc and a client of ours are members of a group of frps, of the same version."""

    dying = "b"


CHECKS: Final = {
    "port": GroupCase.check_port,
    "host": GroupCase.check_host,
    "https": GroupCase.check_https,
    "key": GroupCase.check_key,
}


def _tests(label: str, server: Peer, a: Peer, b: Peer) -> dict[str, Callable[[GroupCase], None]]:
    def test(case: GroupCase, check: Callable[[GroupCase], None]) -> None:
        case.use(server, a=a, b=b)
        check(case)

    checks = dict(CHECKS)
    if server.version and server.version < HTTPS_GROUPS_SINCE:
        del checks["https"]
    return {f"{label}_{name}": partial(test, check=check) for name, check in checks.items()}


add_tests(
    FrpClientTests,
    {
        name: test
        for peer in BINARIES.clients
        for name, test in _tests(peer.label, OUR_SERVER, peer, OUR_CLIENT).items()
    },
)
add_tests(
    FrpServerTests,
    {
        name: test
        for peer in BINARIES.servers
        for name, test in _tests(peer.label, peer, OUR_CLIENT, OUR_CLIENT).items()
    },
)
add_tests(
    MixedTests,
    {
        name: test
        for server in BINARIES.servers
        for client in BINARIES.clients
        if server.version == client.version
        for name, test in _tests(server.label, server, client, OUR_CLIENT).items()
    },
)
