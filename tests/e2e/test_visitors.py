# -*- test-case-name: tests.e2e.test_visitors -*-
"""``stcp`` with all three programs ours: what its users do, and what goes wrong."""

import getpass
import socket
import tempfile
import threading
from pathlib import Path
from typing import Final

from tests.e2e.openfiles import steady_files, wait_for_files
from tests.e2e.services import (
    connected,
    digest_after_eof,
    digest_of,
    echo,
    echo_bulk,
    echo_once,
    pattern,
    receive,
    send_all,
    serves_echo,
)
from tests.e2e.sshd import shell_through, start_sshd
from tests.e2e.test_plugins import unix_service
from tests.e2e.tunnel import NO_OPTIONS, Options
from tests.e2e.visitors import SECRET, VisitorTestCase, is_refused, stcp_proxy, stcp_visitor
from tests.programs import eventually, free_port
from tunnelsvc.relay.sockets import SPARE_PIPES
from tunnelsvc.units import KiB, MiB

USERS: Final = 50
"""Who come at once."""

SECURED: Final = {"use_encryption": True, "use_compression": True}

TRANSPORTS: Final = {
    "mux_tls": NO_OPTIONS,
    "mux": {"tls_enable": False},
    "tls": {"tcp_mux": False},
    "plain": {"tcp_mux": False, "tls_enable": False},
}


class UseTests(VisitorTestCase):
    """What visitors are for."""

    def test_ssh(self) -> None:
        """Log in and copy a file, as the tutorial has it by ``tcp``."""
        local, port = free_port(), free_port()
        start_sshd(self, local)
        self.start_server({"token": "t0ken"})
        token = {"token": "t0ken"}
        self.start_owner({"ssh": stcp_proxy(local, SECURED)}, token)
        self.start_visitor({"to_ssh": stcp_visitor("ssh", port, SECURED)}, token)
        shell = shell_through(self, port, getpass.getuser())
        self.assertEqual(shell.ssh("echo", "hello").strip(), b"hello")
        source, target = self.directory / "source", self.directory / "target"
        source.write_bytes(b"".join(pattern(4 * MiB)))
        shell.upload(source, target)
        self.assertEqual(target.read_bytes(), source.read_bytes())

    def test_plugin(self) -> None:
        """In the place of a local port, as with ``tcp``."""
        # Not in the test's directory: the length of a socket's path is limited to some 100 bytes.
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        path, port = Path(place.name) / "s", free_port()
        self.addCleanup(unix_service(path, echo).close)
        self.start_server()
        plugin = {"plugin": "unix_domain_socket", "plugin_unix_path": path}
        self.start_owner({"app": {"type": "stcp", "sk": SECRET, **plugin}})
        self.start_visitor({"to_app": stcp_visitor("app", port)})
        sent, received = echo_bulk(port, MiB)
        self.assertEqual(sent, received, self.show_outputs())

    def check_half_close(self, options: Options) -> None:
        """A user that has finished sending still gets the answer, whatever the legs wear."""
        service = self.local_service(digest_after_eof)
        self.start_server({"tcp_mux": options.get("tcp_mux", True)})
        legs = {"plain": NO_OPTIONS, "secured": SECURED}
        self.start_owner(
            {name: stcp_proxy(service.port, leg) for name, leg in legs.items()}, options
        )
        ports = {pair: free_port() for pair in ((one, two) for one in legs for two in legs)}
        self.start_visitor(
            {
                f"{visitor}_to_{owner}": stcp_visitor(owner, port, legs[visitor])
                for (owner, visitor), port in ports.items()
            },
            options,
        )
        for port in ports.values():
            for size in (0, 1, 2 * MiB):
                with connected(port) as user:
                    send_all(user, pattern(size))
                    user.shutdown(socket.SHUT_WR)
                    answer = receive(user, 1000)
                self.assertEqual(answer, digest_of(pattern(size)).encode(), self.show_outputs())

    def test_half_close(self) -> None:
        self.check_half_close(TRANSPORTS["mux_tls"])

    def test_half_close_without_tls(self) -> None:
        self.check_half_close(TRANSPORTS["mux"])

    def test_half_close_without_mux(self) -> None:
        self.check_half_close(TRANSPORTS["tls"])

    def test_half_close_without_anything(self) -> None:
        self.check_half_close(TRANSPORTS["plain"])

    def test_many_at_once(self) -> None:
        """Each has its own bytes back, and nothing is left behind."""
        port = free_port()
        service = self.local_service(echo)
        self.start_server()
        self.start_owner({"echo": stcp_proxy(service.port)})
        visitor = self.start_visitor({"to_echo": stcp_visitor("echo", port)})
        self.assertTrue(serves_echo(port))
        before = [steady_files(program) for program in self.started]
        digests: dict[int, tuple[str, str]] = {}

        def one(seed: int) -> None:
            digests[seed] = echo_bulk(port, 64 * KiB, seed)

        threads = [threading.Thread(target=one, args=(seed,), daemon=True) for seed in range(USERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(digests), USERS)
        self.assertTrue(all(sent == back for sent, back in digests.values()), self.show_outputs())
        visitor.wait_for("[to_echo] user ", times=USERS + 1)
        for program, files in zip(self.started, before, strict=True):
            wait_for_files(program, files + 2 * SPARE_PIPES)


class RefusedTests(VisitorTestCase):
    """Who may not come in is told why, in the log of the visitor's client."""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        self.service = self.local_service(echo)

    def check_refused(self, visitor: Options, why: str, server: Options = NO_OPTIONS) -> None:
        """A proxy of ``owner`` is there; its visitor is refused, others are served."""
        self.start_server(server)
        self.start_owner({"echo": stcp_proxy(self.service.port)}, {"user": "owner"})
        good = free_port()
        to_owner = {"server_user": "owner"}
        program = self.start_visitor(
            {"bad": stcp_visitor("echo", self.port, {**to_owner, **visitor})}
        )
        self.start_visitor({"good": stcp_visitor("echo", good)}, {"user": "owner"})
        self.assertTrue(is_refused(self.port))
        program.wait_for(f"[bad] {why}")
        self.assertTrue(serves_echo(good), self.show_outputs())

    def test_wrong_secret(self) -> None:
        self.check_refused(
            {"sk": "a guess"}, "visitor connection of [owner.echo] auth failed (sk must be the same"
        )

    def test_another_user(self) -> None:
        self.check_refused(
            {}, "visitor connection of [owner.echo] user [] not allowed (the owner has to name"
        )

    def test_no_such_proxy(self) -> None:
        self.check_refused(
            {"server_user": "", "server_name": "ecko"}, "custom listener for [ecko] doesn't exist ("
        )

    def test_without_details(self) -> None:
        self.check_refused(
            {"sk": "a guess"}, "register visitor conn error", {"detailed_errors_to_client": False}
        )


class OutageTests(VisitorTestCase):
    """Programs come and go; the visitor's port stays."""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        self.service = self.local_service(echo)
        self.server = self.start_server()

    def test_owner_comes_later(self) -> None:
        self.start_visitor({"to_echo": stcp_visitor("echo", self.port)})
        self.assertTrue(is_refused(self.port))
        owner = self.start_owner({"echo": stcp_proxy(self.service.port)})
        self.assertTrue(serves_echo(self.port), self.show_outputs())
        owner.kill()
        eventually(lambda: is_refused(self.port), "the owner missed")
        self.start_owner({"echo": stcp_proxy(self.service.port)})
        eventually(lambda: serves_echo(self.port), "the owner back")

    def test_service_is_down(self) -> None:
        self.start_owner({"echo": stcp_proxy(free_port())})
        self.start_visitor({"to_echo": stcp_visitor("echo", self.port)})
        self.assertTrue(is_refused(self.port), self.show_outputs())

    def test_server_is_restarted(self) -> None:
        self.start_owner({"echo": stcp_proxy(self.service.port)})
        self.start_visitor({"to_echo": stcp_visitor("echo", self.port)})
        self.assertTrue(serves_echo(self.port), self.show_outputs())
        self.server.stop()
        self.start_server()
        eventually(lambda: serves_echo(self.port), "users served again")

    def test_users_wait_for_the_server(self) -> None:
        """Owner and visitor are one client here, so that both are back at the same time."""
        both = {
            "echo": stcp_proxy(self.service.port),
            "to_echo": stcp_visitor("echo", self.port),
        }
        client = self.run_in_role("both", self.client_peer, both)
        client.wait_for("start visitor success")
        self.server.stop()
        client.wait_for("trying again in")
        with connected(self.port) as user:
            self.start_server()
            self.assertTrue(echo_once(user), self.show_outputs())

    def test_port_in_use(self) -> None:
        """It is told and tried again, and costs no other visitor anything."""
        self.start_owner({"echo": stcp_proxy(self.service.port)})
        other = free_port()
        with socket.create_server(("127.0.0.1", self.port)):
            visitors = {
                "taken": stcp_visitor("echo", self.port),
                "free": stcp_visitor("echo", other),
            }
            visitor = self.run_in_role("visitor", self.visitor_peer, visitors)
            visitor.wait_for(f"[taken] can't listen on 127.0.0.1:{self.port}")
            visitor.wait_for("[free] start visitor success")
            self.assertTrue(serves_echo(other), self.show_outputs())
        visitor.wait_for("[taken] start visitor success")
        self.assertTrue(serves_echo(self.port), self.show_outputs())

    def test_no_port(self) -> None:
        none = {"none": stcp_visitor("echo", -1)}
        visitor = self.run_in_role("visitor", self.visitor_peer, none)
        visitor.wait_for("[none] has no port (bind_port)")
        self.assertEqual(visitor.stop(), 0)
