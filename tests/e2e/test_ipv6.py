# -*- test-case-name: tests.e2e.test_ipv6 -*-
"""Every address that a file may have, as IPv6, as a name, and for both protocols at once."""

import socket
from typing import Final

from twisted.trial.unittest import SkipTest

from tests.e2e.services import LocalService, echo, echo_once, request
from tests.e2e.tunnel import TunnelTestCase, http_proxy, tcp_proxy
from tests.e2e.visitors import VisitorTestCase, stcp_proxy, stcp_visitor
from tests.programs import PATIENCE, Program, eventually, free_port

LOOPBACKS: Final = ("127.0.0.1", "::1")


def has_ipv6() -> bool:
    """Whether this machine has it at all."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def echoes(host: str, port: int) -> bool:
    """Whether an echo service answers at this address."""
    try:
        with socket.create_connection((host, port), timeout=PATIENCE) as user:
            return echo_once(user)
    except ConnectionError:
        return False


class IPv6Case(TunnelTestCase):
    """A tunnel on a machine with IPv6."""

    def setUp(self) -> None:
        if not has_ipv6():
            raise SkipTest("this machine has no IPv6")
        super().setUp()

    def echo_on_ipv6(self) -> int:
        """Start a local service that listens on ``::1`` only; return its port."""
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        service = LocalService(echo, listener)
        self.addCleanup(service.close)
        return service.port


class LocalServiceTests(IPv6Case):
    """``local_ip`` as people write it."""

    def test_local_ip(self) -> None:
        local = self.echo_on_ipv6()
        names = filter(is_here, ("localhost", "ip6-localhost", socket.gethostname()))
        ports = {local_ip: free_port() for local_ip in ("::1", "[::1]", *names)}
        self.start_server()
        self.start_client(
            {
                f"echo{port}": tcp_proxy(local, port, {"local_ip": local_ip})
                for local_ip, port in ports.items()
            }
        )
        for local_ip, port in ports.items():
            self.assertTrue(echoes("127.0.0.1", port), f"{local_ip}\n{self.show_outputs()}")

    def test_name(self) -> None:
        """A name that every machine knows."""
        service = self.local_service(echo)
        port = free_port()
        self.start_server()
        self.start_client({"echo": tcp_proxy(service.port, port, {"local_ip": "localhost"})})
        self.assertTrue(echoes("127.0.0.1", port), self.show_outputs())


def is_here(name: str) -> bool:
    """Whether a name leads to ``::1``."""
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(address[4][0] == "::1" for address in found)


class ServerTests(IPv6Case):
    """``bind_addr``, ``proxy_bind_addr`` and ``server_addr``."""

    def listen_on(self, bind_addr: str) -> Program:
        """Start the server, perhaps without an IPv4 port to wait for."""
        config = self.write_config("frps.ini", self.server_sections({"bind_addr": bind_addr}))
        server = self.run_program((*self.server_peer.command, "-c", str(config)), name="server")
        server.wait_for("tunnel server started successfully")
        return server

    def come_to(self, server_addr: str, **common: object) -> Program:
        """Start the client with a tcp and an http proxy."""
        self.port = free_port()
        service = self.local_service(echo)
        proxies = {
            "echo": tcp_proxy(service.port, self.port),
            "web": http_proxy(self.local_site("web"), {"custom_domains": "site.test"}),
        }
        return self.start_client(proxies, {"server_addr": server_addr, **common})

    def test_only_ipv6(self) -> None:
        """In all ways to write it, with each kind of connection between the programs."""
        self.listen_on("[::1]")
        for server_addr in ("::1", "[::1]"):
            for common in ({}, {"tcp_mux": False}, {"tls_enable": False}):
                client = self.come_to(server_addr, **common)
                self.assertTrue(echoes("::1", self.port), self.show_outputs())
                self.assertFalse(echoes("127.0.0.1", self.port))
                shown = f"[echo] users reach it at [::1]:{self.port}"
                self.assertEqual(len(client.lines(shown)), 1, client.excerpt())
                client.stop()

    def test_both_protocols(self) -> None:
        """One port for users and clients of either; each user has its own address in the log."""
        server = self.listen_on("::")
        for times, server_addr in enumerate(("127.0.0.1", "::1", "localhost"), start=1):
            client = self.come_to(server_addr)
            for host in LOOPBACKS:
                self.assertTrue(echoes(host, self.port), self.show_outputs())
            for start in ("127.0.0.1:", "[::1]:"):
                eventually(
                    lambda start=start, times=times: (  # type: ignore[misc]
                        len(server.lines(f"[echo] user {start}")) == times
                    ),
                    f"a user from {start}",
                )
            self.assertEqual(server.lines("::ffff"), [])
            answer = request(self.vhost_port, "/x", host="site.test")
            self.assertIn(b'"127.0.0.1"', answer.body)
            client.stop()

    def test_users_on_both(self) -> None:
        """``proxy_bind_addr`` by itself."""
        self.port = free_port()
        self.start_server({"proxy_bind_addr": "::"})
        service = self.local_service(echo)
        self.start_client({"echo": tcp_proxy(service.port, self.port)})
        for host in LOOPBACKS:
            self.assertTrue(echoes(host, self.port), self.show_outputs())

    def test_random_port_is_shown(self) -> None:
        """With ``remote_port = 0``, or none, the client's log says where users go."""
        self.start_server({"proxy_bind_addr": "::"})
        service = self.local_service(echo)
        proxies = {
            "zero": tcp_proxy(service.port, 0),
            "none": {"type": "tcp", "local_port": service.port},
        }
        client = self.start_client(proxies)
        for name in proxies:
            client.wait_for(f"[{name}] users reach it at 127.0.0.1:")
            [line] = client.lines(f"[{name}] users reach it at 127.0.0.1:")
            self.assertTrue(echoes("::1", int(line.rpartition(":")[2])), client.excerpt())


class VisitorTests(IPv6Case, VisitorTestCase):
    """``bind_addr`` of a visitor."""

    def test_bind_addr(self) -> None:
        self.start_server()
        service = self.local_service(echo)
        client = self.start_client({"echo": stcp_proxy(service.port)})
        self.assertEqual(len(client.lines("[echo] users reach it by visitors")), 1)
        ports = {"::": free_port(), "[::1]": free_port(), "localhost": free_port()}
        visitors = {
            f"to{port}": stcp_visitor("echo", port, {"bind_addr": addr})
            for addr, port in ports.items()
        }
        self.start_visitor(visitors)
        for addr, port in ports.items():
            seen = [echoes(host, port) for host in LOOPBACKS]
            wanted = {"::": [True, True], "[::1]": [False, True], "localhost": [True, False]}
            self.assertEqual(seen, wanted[addr], f"{addr}\n{self.show_outputs()}")
