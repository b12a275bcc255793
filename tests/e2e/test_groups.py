# -*- test-case-name: tests.e2e.test_groups -*-
"""Two machines behind one name: one dies, nobody minds, it comes back."""

import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tests.e2e.secure import Trust, server_context
from tests.e2e.services import (
    LocalService,
    connected,
    echo_once,
    receive,
    request,
    says,
    serve_site,
)
from tests.e2e.tunnel import Options, TunnelTestCase, http_proxy, tcp_proxy
from tests.programs import OUR_CLIENT, Peer, Program, eventually, free_port

HOST: Final = "shared.test"
KEY: Final = "s3cret"

# Looks often, so that the test needn't wait; one failure is enough by default.
TCP_CHECK: Final[Options] = {
    "health_check_type": "tcp",
    "health_check_interval_s": 1,
    "health_check_timeout_s": 1,
}
HTTP_CHECK: Final[Options] = {
    **TCP_CHECK,
    "health_check_type": "http",
    "health_check_url": "/status",
}

# Users who come one after the other: enough that each of two members gets some of them, even where
# chance decides (once in a million it doesn't).
USERS: Final = 20

WITHDRAWN: Final = "no users are sent here until it succeeds again"


def named(port: int) -> str:
    """Connect as a user does; return the name of the machine that one gets, one letter or none."""
    try:
        with connected(port) as user:
            name = receive(user, 1)
            return name.decode() if name and echo_once(user) else ""
    except ConnectionError:
        return ""


def asked(port: int) -> str:
    """Make a request as a user does; return the name of the site, or the status."""
    answer = request(port, "/x", host=HOST)
    return str(answer.json()["site"]) if answer.status == 200 else str(answer.status)


class GroupTestCase(TunnelTestCase):
    """Machines ``a`` and ``b``, each with a client, and a service that says which one it is."""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        self.local_ports = {"a": free_port(), "b": free_port()}
        self.services: dict[str, LocalService] = {}

    def start_service(self, name: str) -> None:
        """Start a service, or start it again."""
        service = LocalService(says(name.encode()), port=self.local_ports[name])
        self.services[name] = service
        self.addCleanup(service.close)

    def start_site(self, name: str, tls: ssl.SSLContext | None = None) -> Callable[[], None]:
        """Start a web site, or start it again; return what stops it."""
        site = serve_site(name, tls, self.local_ports[name])
        self.addCleanup(site.stop)
        return site.stop

    def start_member(
        self, name: str, proxy: Options, peer: Peer = OUR_CLIENT, key: str = KEY
    ) -> Program:
        """Start the client of a machine; its only proxy is called as the machine."""
        options = {**proxy, "group": "both", "group_key": key}
        path = self.write_config(f"{name}.ini", self.client_sections({name: options}))
        return self.run_program((*peer.command, "-c", str(path)), name=f"{peer.name} {name}")

    def tcp_member(
        self, name: str, options: Options = TCP_CHECK, peer: Peer = OUR_CLIENT
    ) -> Program:
        """Start a member of the group that shares `port`."""
        proxy = tcp_proxy(self.local_ports[name], self.port, options)
        client = self.start_member(name, proxy, peer)
        client.wait_for(f"[{name}] start proxy success")
        return client

    def http_member(
        self, name: str, options: Options = HTTP_CHECK, peer: Peer = OUR_CLIENT
    ) -> Program:
        """Start a member of the group that shares `HOST`."""
        proxy = http_proxy(self.local_ports[name], {"custom_domains": HOST, **options})
        client = self.start_member(name, proxy, peer)
        client.wait_for(f"[{name}] start proxy success")
        return client

    def https_member(self, name: str, peer: Peer = OUR_CLIENT) -> Program:
        """Start a member of the group of sites with TLS that shares `HOST`."""
        proxy = {
            "type": "https",
            "local_port": self.local_ports[name],
            "custom_domains": HOST,
            **TCP_CHECK,
        }
        client = self.start_member(name, proxy, peer)
        client.wait_for(f"[{name}] start proxy success")
        return client

    def users(self, number: int = USERS) -> Counter[str]:
        """Let so many users connect, one after the other; count what they get."""
        return Counter(named(self.port) for _ in range(number))

    def requests(self, number: int = USERS) -> Counter[str]:
        """Let so many requests be made, one after the other; count what is answered."""
        return Counter(asked(self.vhost_port) for _ in range(number))

    def secure_requests(self, trust: Trust, port: int, number: int = USERS) -> Counter[str]:
        """Let so many users connect by TLS, one after the other; count who answers."""

        def one() -> str:
            try:
                return str(trust.request(port, HOST, "/x").json()["site"])
            except (ConnectionError, ssl.SSLError):
                return ""

        return Counter(one() for _ in range(number))

    def check_secure(self, *peers: Peer) -> None:
        """A site with TLS dies; then nobody notices any more; it comes back."""
        port = free_port()
        trust = Trust(self.directory)
        context = server_context(trust.issue("site", HOST))
        self.start_server({"vhost_https_port": port})
        stop = {}
        for name, peer in zip("ab", peers, strict=True):
            stop[name] = self.start_site(name, context)
            self.https_member(name, peer)
        self.assertEqual(set(self.secure_requests(trust, port)), {"a", "b"}, self.show_outputs())
        stop["a"]()
        eventually(lambda: self.secure_requests(trust, port, 4) == {"b": 4}, "a taken out")
        self.assertEqual(self.secure_requests(trust, port), {"b": USERS}, self.show_outputs())
        self.start_site("a", context)
        eventually(lambda: "a" in self.secure_requests(trust, port), "a back again")

    @contextmanager
    def busy(self, ask: Callable[[], str]) -> Iterator[Counter[str]]:
        """Ask without a pause in a thread; count the answers, and what went wrong."""
        answers: Counter[str] = Counter()
        ending = threading.Event()

        def go_on() -> None:
            while not ending.is_set():
                try:
                    answers[ask()] += 1
                except Exception as error:  # noqa: BLE001 - whatever it is, a user saw it
                    answers[repr(error)] += 1

        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        try:
            eventually(lambda: sum(answers.values()) >= USERS, "users served")
            yield answers
        finally:
            ending.set()
            thread.join()


class PortTests(GroupTestCase):
    """One port, type tcp."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.start_server()
        for name in "ab":
            self.start_service(name)

    def test_turns(self) -> None:
        for name in "ab":
            self.tcp_member(name)
        self.assertEqual(self.users(), {"a": USERS / 2, "b": USERS / 2})

    def test_a_service_dies_and_comes_back(self) -> None:
        """After the check took it out nobody sees an error; who has a connection keeps it."""
        clients = {name: self.tcp_member(name) for name in "ab"}
        with connected(self.port) as user:
            first = receive(user, 1).decode()
            second = "b" if first == "a" else "a"
            self.services[second].close()
            clients[second].wait_for(WITHDRAWN)
            self.server.wait_for(f"close proxy [{second}] success")
            self.assertEqual(self.users(), {first: USERS})
            self.start_service(second)
            clients[second].wait_for(f"[{second}] start proxy success", times=2)
            self.assertEqual(self.users(), {"a": USERS / 2, "b": USERS / 2})
            self.assertTrue(echo_once(user))

    def test_a_machine_dies(self) -> None:
        """Without any check: its connection to the server is enough."""
        clients = {name: self.tcp_member(name, {}) for name in "ab"}
        clients["a"].kill()
        self.server.wait_for("client exit success")
        self.assertEqual(self.users(), {"b": USERS})
        self.tcp_member("a", {})
        self.assertEqual(self.users(), {"a": USERS / 2, "b": USERS / 2})

    def test_a_random_port(self) -> None:
        """Both are told the same one, and it is the right one."""
        self.port = 0
        clients = [self.tcp_member(name) for name in "ab"]
        told = {
            line.rpartition(":")[2]
            for client in clients
            for line in client.lines("users reach it at")
        }
        [port] = told
        self.port = int(port)
        self.assertEqual(self.users(), {"a": USERS / 2, "b": USERS / 2})

    def test_a_wrong_key(self) -> None:
        self.tcp_member("a")
        proxy = tcp_proxy(self.local_ports["b"], self.port, TCP_CHECK)
        client = self.start_member("b", proxy, key="guess")
        client.wait_for("[b] start error: group auth failed")
        self.assertEqual(self.users(), {"a": USERS})

    def test_a_service_that_is_down_first(self) -> None:
        """Its proxy isn't there before its service is."""
        self.services["a"].close()
        proxy = tcp_proxy(self.local_ports["a"], self.port, TCP_CHECK)
        client = self.start_member("a", proxy)
        client.wait_for("users aren't sent here before it succeeds")
        self.tcp_member("b")
        self.assertEqual(self.users(), {"b": USERS})
        self.assertEqual(client.lines("start proxy success"), [])
        self.start_service("a")
        client.wait_for("[a] start proxy success")
        self.assertEqual(self.users(), {"a": USERS / 2, "b": USERS / 2})


class HostTests(GroupTestCase):
    """One host, type http."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.start_server()
        self.stop = {name: self.start_site(name) for name in "ab"}

    def test_a_service_dies_and_comes_back(self) -> None:
        """Requests that nobody has answered yet go to the other, before any check fails too."""
        clients = {name: self.http_member(name) for name in "ab"}
        self.assertEqual(self.requests(), {"a": USERS / 2, "b": USERS / 2})
        with self.busy(lambda: asked(self.vhost_port)) as answers:
            self.stop["a"]()
            clients["a"].wait_for(WITHDRAWN)
            self.server.wait_for("close proxy [a] success")
            self.assertEqual(self.requests(), {"b": USERS})
            self.start_site("a")
            clients["a"].wait_for("[a] start proxy success", times=2)
            # Two who ask in turn may each get the same machine every time.
            before = answers["a"]
            self.assertGreater(self.requests()["a"] + answers["a"], before)
        self.check_answers(answers)

    def check_answers(self, answers: Counter[str]) -> None:
        """All are good but for one at most, which had begun at the wrong moment."""
        good = answers["a"], answers["b"]
        self.assertTrue(all(good), answers)
        self.assertLessEqual(answers.total() - sum(good), 1, answers)

    def test_a_machine_dies(self) -> None:
        clients = {name: self.http_member(name, {}) for name in "ab"}
        with self.busy(lambda: asked(self.vhost_port)) as answers:
            clients["a"].kill()
            self.server.wait_for("client exit success")
            self.assertEqual(self.requests(), {"b": USERS})
        self.check_answers(answers)


class SecureTests(GroupTestCase):
    """One host, type https."""

    def test_a_service_dies_and_comes_back(self) -> None:
        self.check_secure(OUR_CLIENT, OUR_CLIENT)
