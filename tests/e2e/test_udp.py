# -*- test-case-name: tests.e2e.test_udp -*-
"""Datagrams through our own two programs."""

import contextlib
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.names import client as names
from twisted.names import dns
from twisted.names.authority import FileAuthority
from twisted.names.common import ResolverBase
from twisted.names.error import DNSNameError
from twisted.names.server import DNSServerFactory
from twisted.trial.unittest import SkipTest

from tests.e2e.datagrams import (
    LONGEST,
    UDPService,
    ask,
    is_unanswered,
    udp_proxy,
    udp_socket,
    udp_user,
)
from tests.e2e.test_ipv6 import has_ipv6
from tests.e2e.visitors import VisitorTestCase, sudp_proxy, sudp_visitor
from tests.programs import PATIENCE, Program, free_port
from tests.tunnels import LOOPBACK, TunnelCase, clock
from tunnelsvc.config.proxies import UDPProxyConfig
from tunnelsvc.units import MiB

SECURED: Final = {"use_encryption": True, "use_compression": True}

MANY: Final = 200
"""Users at once."""

RATE: Final = 5000
"""Datagrams a second."""
SECONDS: Final = 2
BURST: Final = 10
"""Datagrams that are sent together."""
WINDOW: Final = 250
"""Datagrams whose answers aren't there yet. On a machine that is too busy for `RATE` the kernel's
own buffers would overflow, at the two ends that aren't ours."""
MEMORY_LIMIT_BYTES: Final = 120 * MiB


class UDPCase(VisitorTestCase):
    """An echo service behind a tunnel, on `port`."""

    def setUp(self) -> None:
        super().setUp()
        self.service = UDPService()
        self.addCleanup(self.service.close)
        self.port = free_port()

    def start(self, **options: object) -> tuple[Program, Program]:
        """Start both programs."""
        server = self.start_server()
        client = self.start_client({"udp": udp_proxy(self.service.port, self.port, options)})
        return server, client


class SizeTests(UDPCase):
    """Nothing is cut."""

    def check_sizes(self, port: int) -> None:
        with udp_user(port) as user:
            for size in (1, 0, 1472, 7500, 9000, 60_000, LONGEST):
                data = bytes(range(251)) * (size // 251) + bytes(size % 251)
                self.assertEqual(ask(user, data), data)

    def test_plain(self) -> None:
        self.start()
        self.check_sizes(self.port)

    def test_secured(self) -> None:
        self.start(**SECURED)
        self.check_sizes(self.port)

    def test_visitors(self) -> None:
        """By a third program, with each leg as it likes."""
        self.start_server({"token": "t0ken"})
        proxies = {
            "plain": sudp_proxy(self.service.port),
            "secured": sudp_proxy(self.service.port, SECURED),
        }
        self.start_client(proxies, {"token": "t0ken"})
        ports = [free_port() for _ in range(3)]
        visitors = {
            "one": sudp_visitor("plain", ports[0], SECURED),
            "two": sudp_visitor("secured", ports[1]),
            "three": sudp_visitor("secured", ports[2], SECURED),
        }
        self.start_visitor(visitors, {"token": "t0ken"})
        for port in ports:
            self.check_sizes(port)


class UserTests(UDPCase):
    """Who is told apart, and for how long."""

    def test_many(self) -> None:
        """Each has an address of its own for the service, and gets its own answers."""
        self.start()
        with contextlib.ExitStack() as stack:
            users = [stack.enter_context(udp_user(self.port)) for _ in range(MANY)]
            for number, user in enumerate(users):
                user.send(b"%d" % number)
            for number, user in enumerate(users):
                self.assertEqual(user.recv(100), b"%d" % number)
        self.assertEqual(len(self.service.users), MANY)

    def test_who_the_user_is(self) -> None:
        """The service reads it, with the first datagram."""
        self.start(proxy_protocol_version="v2")
        with udp_user(self.port) as user:
            number = user.getsockname()[1]
            answer = ask(user, b"first")
            self.assertEqual(answer[:14].hex(), "0d0a0d0a000d0a515549540a2112")
            self.assertEqual(answer[16:20], socket.inet_aton("127.0.0.1"))
            self.assertEqual(int.from_bytes(answer[24:26]), number)
            self.assertEqual(answer[28:], b"first")
            self.assertEqual(ask(user, b"second"), b"second")

    def test_strangers(self) -> None:
        """One port more is one more user, also while the first is there."""
        self.start()
        with udp_user(self.port) as first, udp_user(self.port) as second:
            self.assertEqual(ask(first, b"1"), b"1")
            self.assertEqual(ask(second, b""), b"")
            self.assertEqual(len(self.service.users), 2)


class IPv6Tests(UDPCase):
    """Users, and services, of IPv6."""

    def setUp(self) -> None:
        if not has_ipv6():
            raise SkipTest("this machine has no IPv6")
        super().setUp()

    def check(self, hosts: Sequence[str]) -> None:
        for host in hosts:
            with udp_user(self.port, host) as user:
                self.assertEqual(ask(user, host.encode()), host.encode())

    def test_users(self) -> None:
        """Of both families on one port."""
        self.start_server({"proxy_bind_addr": "::"})
        self.start_client({"udp": udp_proxy(self.service.port, self.port)})
        self.check((LOOPBACK, "::1"))

    def test_service(self) -> None:
        service = UDPService(host="::1")
        self.addCleanup(service.close)
        self.start_server()
        local = {"local_ip": "::1"}
        self.start_client({"udp": udp_proxy(service.port, self.port, local)})
        self.check((LOOPBACK,))

    def test_name(self) -> None:
        """One that has addresses of both families means the older one, as with frp."""
        self.start_server()
        local = {"local_ip": "localhost"}
        self.start_client({"udp": udp_proxy(self.service.port, self.port, local)})
        self.check((LOOPBACK,))


class LossTests(UDPCase):
    """What goes away comes back."""

    def test_no_service(self) -> None:
        """It is told once, costs nothing else, and a service that comes later is found."""
        number = self.service.port
        self.service.close()
        _, client = self.start()
        with udp_user(self.port) as user:
            for _ in range(3):
                self.assertTrue(is_unanswered(user, b"anybody?"))
            client.wait_for("the local service isn't there")
            self.service = UDPService(port=number)
            self.assertEqual(ask(user, b"now?"), b"now?")
        self.assertEqual(len(client.lines("the local service isn't there")), 1)

    def test_a_new_server(self) -> None:
        """The same user goes on, and is the same for the service."""
        server, client = self.start()
        with udp_user(self.port) as user:
            self.assertEqual(ask(user, b"before"), b"before")
            server.kill()
            self.start_server()
            client.wait_for("[udp] start proxy success", times=2)
            self.assertEqual(ask(user, b"after"), b"after")
        self.assertEqual(len(self.service.users), 1)

    def test_a_new_client(self) -> None:
        server, client = self.start()
        with udp_user(self.port) as user:
            self.assertEqual(ask(user, b"before"), b"before")
            client.kill()
            server.wait_for("close proxy [udp] success")
            self.start_client({"udp": udp_proxy(self.service.port, self.port)})
            self.assertEqual(ask(user, b"after"), b"after")

    def test_a_new_visit(self) -> None:
        """An owner, or a server, who comes again is visited again."""
        server = self.start_server()
        owner = self.start_client({"owner": sudp_proxy(self.service.port)})
        visitor = self.start_visitor({"visitor": sudp_visitor("owner", self.port)})
        with udp_user(self.port) as user:
            self.assertEqual(ask(user, b"1"), b"1")
            owner.kill()
            visitor.wait_for("visit ended")
            user.send(b"lost")
            visitor.wait_for("doesn't exist")
            self.start_client({"owner": sudp_proxy(self.service.port)})
            self.assertEqual(ask(user, b"2"), b"2")
            server.kill()
            self.start_server()
            self.assertEqual(ask(user, b"3"), b"3")


class SpeedTests(UDPCase):
    """Nothing is lost."""

    def check_rate(self, service: UDPService, port: int, size: int) -> None:
        """Send so many a second; all must arrive, and all answers, in order."""
        number = RATE * SECONDS
        received: list[int] = []
        with udp_user(port) as user:
            ask(user, b"\0" * 4)
            service.received = 0

            def read() -> None:
                with contextlib.suppress(OSError):
                    while len(received) < number:
                        received.append(int.from_bytes(user.recv(LONGEST)[:4]))

            reader = threading.Thread(target=read, daemon=True)
            user.settimeout(PATIENCE)
            reader.start()
            started = time.monotonic()
            for first in range(0, number, BURST):
                for each in range(first, first + BURST):
                    user.send(each.to_bytes(4).ljust(size, b"x"))
                while reader.is_alive() and (
                    first - len(received) > WINDOW or first > RATE * (time.monotonic() - started)
                ):
                    time.sleep(BURST / RATE / 4)
            reader.join()
        self.assertEqual((service.received, len(received)), (number, number), self.show_outputs())
        self.assertEqual(received, list(range(number)))

    def test_udp(self) -> None:
        self.start()
        self.check_rate(self.service, self.port, 200)

    def test_large(self) -> None:
        self.start()
        self.check_rate(self.service, self.port, 1400)

    def test_sudp(self) -> None:
        self.start_server()
        self.start_client({"owner": sudp_proxy(self.service.port)})
        self.start_visitor({"visitor": sudp_visitor("owner", self.port)})
        self.check_rate(self.service, self.port, 200)

    def test_a_flood(self) -> None:
        """More than fits through costs datagrams, but neither memory nor other users."""
        self.service.close()
        self.service = UDPService(lambda data: data if len(data) < 100 else None)
        server, client = self.start()
        over = threading.Event()

        def flood() -> None:
            with udp_socket() as user:
                while not over.is_set():
                    user.sendto(bytes(60_000), (LOOPBACK, self.port))

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        try:
            with udp_user(self.port) as user:
                for number in range(3):
                    self.assertEqual(ask(user, b"%d" % number), b"%d" % number)
        finally:
            over.set()
            thread.join()
        for program in (server, client):
            self.assertLess(program.status.peak_memory_bytes(), MEMORY_LIMIT_BYTES)
        self.assertEqual(server.lines("Traceback"), [])


class DNSTests(TunnelCase):
    """A name server behind the tunnel, and who asks it."""

    async def test_dns(self) -> None:
        """An address that is there, and one that isn't."""
        zone = _Zone(
            soa=(b"example.com", dns.Record_SOA(b"ns.example.com", b"root.example.com")),
            records={b"www.example.com": [dns.Record_A("192.0.2.80", 300)]},
        )
        factory = DNSServerFactory(authorities=[zone])
        protocol = dns.DNSDatagramProtocol(factory)
        port = clock.listenUDP(0, protocol, interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        server = self.serve()
        proxy = UDPProxyConfig(name="dns", local_port=port.getHost().port)
        client = await self.connect(server, proxy)
        number = int(client.proxy_addresses["dns"].removeprefix(":"))
        resolver = names.Resolver(servers=[(LOOPBACK, number)])
        answers, _, _ = await _patient(resolver.lookupAddress(b"www.example.com"))
        self.assertEqual([each.payload.dottedQuad() for each in answers], ["192.0.2.80"])
        with self.assertRaises(DNSNameError):
            await _patient(resolver.lookupAddress(b"nobody.example.com"))
        self.assertGreater(server.stats.last_days()[0].in_bytes, 50)
        self.assertGreater(server.stats.last_days()[0].out_bytes, 50)
        self.assertEqual(server.stats.connections, 2)  # each question has a port of its own


class _Zone(FileAuthority):
    """A zone that is in no file."""

    def __init__(self, soa: Any, records: Any) -> None:
        ResolverBase.__init__(self)
        self.soa = soa
        self.records = records


def _patient(answer: Deferred[Any]) -> Deferred[Any]:
    return answer.addTimeout(30, clock)
