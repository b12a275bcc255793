# -*- test-case-name: tests.link.test_names -*-
"""Tests of `tunnelsvc.link.names`, with a real name server on loopback."""

from typing import Any, cast

from twisted.internet import reactor as installed_reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import UnknownHostError
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.names import authority, dns
from twisted.names.server import DNSServerFactory
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.tunnels import LOOPBACK, TunnelCase
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.link import names
from tunnelsvc.link.dial import dial
from tunnelsvc.link.names import NameServer

reactor = cast("Any", installed_reactor)
ZONE = {
    "vps.test": [dns.Record_A("192.0.2.1"), dns.Record_AAAA("2001:db8::1")],
    "alias.test": [dns.Record_CNAME("vps.test")],
    "here.test": [dns.Record_A(LOOPBACK)],
    "many.test": [dns.Record_A(f"192.0.2.{number}") for number in range(1, 120)],
    "my_service.test": [dns.Record_A(LOOPBACK)],
}


class Zone(authority.FileAuthority):
    """Knows the names above."""

    def loadFile(self, filename: object) -> None:
        soa = dns.Record_SOA("ns.test", "root.test")
        zone: Any = self
        zone.soa = (b"test", soa)
        zone.records = {name.encode(): records for name, records in ZONE.items()}
        zone.records[b"test"] = [soa]


@implementer(IResolutionReceiver)
class Receiver:
    """Collects addresses."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self.name = resolutionInProgress.name

    def addressResolved(self, address: Any) -> None:
        self.found.append(address.host)

    def resolutionComplete(self) -> None:
        self.complete.callback(self.found)


def start_name_server(case: TestCase) -> int:
    """Serve the zone by UDP and TCP on one port; return it."""
    factory = DNSServerFactory(authorities=[Zone("")])
    factory.noisy = False
    tcp = reactor.listenTCP(0, factory, interface=LOOPBACK)
    number: int = tcp.getHost().port
    udp = reactor.listenUDP(number, dns.DNSDatagramProtocol(factory), interface=LOOPBACK)
    case.addCleanup(tcp.stopListening)
    case.addCleanup(udp.stopListening)
    return number


class NameServerTests(TestCase):
    """Look-ups."""

    def setUp(self) -> None:
        self.hosts = FilePath(self.mktemp())
        self.hosts.setContent(b"127.0.0.3 vps.example\n::3 vps.example\n")
        self.server = NameServer(f"{LOOPBACK}:{start_name_server(self)}", reactor, self.hosts)

    def ask(self, name: str, **options: Any) -> "Deferred[list[str]]":
        receiver = Receiver()
        self.server.resolveHostName(receiver, name, **options)
        self.assertEqual(receiver.name, name)
        return receiver.complete

    async def test_addresses(self) -> None:
        verifyObject(IHostnameResolver, self.server)
        self.assertEqual(await self.ask("vps.test"), ["192.0.2.1", "2001:db8::1"])

    async def test_one_kind_only(self) -> None:
        self.assertEqual(await self.ask("vps.test", addressTypes=[IPv4Address]), ["192.0.2.1"])
        found = await self.ask("vps.example", addressTypes=[IPv4Address])
        self.assertEqual(found, ["127.0.0.3"])

    async def test_alias(self) -> None:
        self.assertIn("192.0.2.1", await self.ask("alias.test"))

    async def test_more_than_fits_into_a_datagram(self) -> None:
        self.assertEqual(len(await self.ask("many.test")), 119)

    async def test_no_such_name(self) -> None:
        self.assertEqual(await self.ask("nobody.test"), [])
        self.assertEqual(await self.ask("x" * 64 + ".test"), [])

    async def test_hosts_file_first(self) -> None:
        self.assertEqual(await self.ask("vps.example"), ["127.0.0.3", "::3"])

    async def test_nobody_answers(self) -> None:
        self.patch(names, "WAITS_SECONDS", (0.01, 0.02))
        silent = reactor.listenUDP(0, dns.DNSDatagramProtocol(cast("Any", self)))
        self.addCleanup(silent.stopListening)
        self.server = NameServer(f"{LOOPBACK}:{silent.getHost().port}", reactor, self.hosts)
        self.assertEqual(await self.ask("vps.test"), [])

    def messageReceived(self, *_: object) -> None:
        """Say nothing."""


class ClientTests(TunnelCase):
    """A client with a name server of its own."""

    async def test_server_and_service(self) -> None:
        number = start_name_server(self)
        server = self.serve()
        config = ClientConfig(
            server_addr="here.test",
            server_port=server.ports["bind"],
            dns_server=f"{LOOPBACK}:{number}",
            proxies=(TCPProxyConfig(name="x", local_ip="here.test", local_port=1),),
        )
        before = reactor.nameResolver
        client = TunnelClient(config, reactor)
        client.startService()
        await client.when_running()
        for name in ("here.test", "my_service.test"):
            stream = await dial(reactor, name, server.ports["bind"], timeout=10)
            stream.abortConnection()
        with self.assertRaises(UnknownHostError):
            await dial(reactor, "nobody.test", 1, timeout=10)
        await client.stopService()
        self.assertIs(reactor.nameResolver, before)
