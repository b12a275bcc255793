# -*- test-case-name: tests.server.test_tlsvhost -*-
"""Tests of `tunnelsvc.server.tlsvhost`: a server with certificates, on real sockets."""

import http.client
import os
import socket
import ssl
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.link.authority import Authority, write_certificates, write_key
from tests.loglines import LogLines
from tests.programs import free_port
from tests.tunnels import LOOPBACK, PATIENCE_SECONDS, TunnelCase, clock
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config.proxies import HTTPProxyConfig, HTTPSProxyConfig
from tunnelsvc.config.schema import CertificateConfig, ServerConfig, TLSConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.server import sitecertificates
from tunnelsvc.server.service import TunnelServer

AUTHORITY = Authority()
PLAIN_FIRST_BYTE = TLSConfig(disable_custom_first_byte=True)


class Facts(Resource):
    """Says how it was asked."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        scheme = request.getHeader(b"x-forwarded-proto")
        assert isinstance(scheme, bytes)
        return b"asked by %b" % scheme


class Deaf(Protocol):
    """A service that understands nothing."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


@frozen
class Seen:
    """What a user saw."""

    names: tuple[str, ...]
    """In the server's certificate."""
    status: int
    headers: dict[str, str]
    body: bytes


class TLSVhostTests(TunnelCase):
    """Users in threads, as they are blocked while they wait."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        Path(self.directory).mkdir()
        self.lines = LogLines(self)
        self.changes = 0
        self.authority = write_certificates(self.path("ca"), AUTHORITY.certificate)

    async def test_stopped_before_it_has_begun(self) -> None:
        server = TunnelServer(ServerConfig(vhost_https_port=free_port()), clock)
        await server.stopService()
        self.assertEqual(server.ports, {})

    def path(self, name: str) -> str:
        return f"{self.directory}/{name}"

    def certificate(self, name: str, *hosts: str) -> CertificateConfig:
        """Write a certificate, and name its files."""
        identity = AUTHORITY.issue(*hosts)
        config = CertificateConfig(
            name=name,
            cert_file=write_certificates(self.path(f"{name}.crt"), identity.certificate),
            key_file=write_key(self.path(f"{name}.key"), identity),
        )
        self.changes += 1
        for file in (config.cert_file, config.key_file):
            os.utime(file, (self.changes, self.changes))
        return config

    async def site(self, server: TunnelServer, tls: TLSConfig | None = None) -> TunnelClient:
        """Connect a client with a web site."""
        web = await self.listen(Site(Facts()))
        domains = ("a.example", "b.example")
        proxy = HTTPProxyConfig(name="web", type="http", local_port=web, custom_domains=domains)
        return await self.connect(server, proxy, tls=tls or TLSConfig())

    async def ask(self, number: int, host: str, **options: Any) -> Seen:
        """Ask by https."""
        return await deferToThread(self._ask, number, host, **options)

    def _ask(self, number: int, host: str, header: str = "", path: str = "/") -> Seen:
        context = ssl.create_default_context(cafile=self.authority)
        with (
            socket.create_connection((LOOPBACK, number), timeout=PATIENCE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            certificate = tls.getpeercert()
            assert certificate is not None
            lines = (f"GET {path} HTTP/1.1", f"Host: {header or host}", "Connection: close", "", "")
            tls.sendall("\r\n".join(lines).encode())
            response = http.client.HTTPResponse(tls)
            response.begin()
            names: Any = certificate["subjectAltName"]
            return Seen(
                names=tuple(name for _, name in names),
                status=response.status,
                headers=dict(response.getheaders()),
                body=response.read(),
            )

    async def test_sites(self) -> None:
        server = self.serve(
            vhost_https_port=free_port(),
            certificates=(
                self.certificate("one", "a.example"),
                self.certificate("two", "b.example"),
            ),
        )
        await self.site(server)
        number = server.ports["vhost_https"]
        for host in ("a.example", "b.example"):
            seen = await self.ask(number, host)
            self.assertEqual((seen.names, seen.body), ((host,), b"asked by https"))
            self.assertNotIn("Strict-Transport-Security", seen.headers)
        self.assertEqual((await self.ask(number, "a.example", header="b.example")).status, 421)
        self.assertNotIn("vhost_http", server.ports)
        self.assertTrue(server.ends_tls("a.example"))
        self.assertFalse(server.ends_tls("c.example"))

    async def test_redirect_and_policy(self) -> None:
        """By http there is nothing but the way to https, and what issues certificates."""
        server = self.serve(
            vhost_http_port=free_port(),
            vhost_https_port=free_port(),
            vhost_https_redirect=True,
            vhost_https_hsts_max_age_seconds=3600.0,
            certificates=(self.certificate("one", "a.example"),),
        )
        await self.site(server)
        secure, plain = server.ports["vhost_https"], server.ports["vhost_http"]
        for number in (plain, server.ports["bind"]):
            moved = await deferToThread(self._ask_plain, number, "a.example", "/x?y")
            location = f"https://a.example:{secure}/x?y"
            self.assertEqual((moved.status, moved.headers["Location"]), (301, location))
            challenge = "/.well-known/acme-challenge/x"
            for host, path in (("a.example", challenge), ("b.example", "/")):
                seen = await deferToThread(self._ask_plain, number, host, path)
                self.assertEqual(seen.body, b"asked by http")
                self.assertNotIn("Strict-Transport-Security", seen.headers)
        seen = await self.ask(secure, "a.example")
        self.assertEqual(seen.headers["Strict-Transport-Security"], "max-age=3600")

    async def test_redirect_to_an_address(self) -> None:
        """Only where it leads to the certificate of that address."""
        other, own = self.certificate("other", "a.example"), self.certificate("own", LOOPBACK)
        shared = free_port()
        for certificates, port, bind, status in (
            ((own, other), free_port(), 0, 301),
            ((other, own), free_port(), 0, 404),
            ((own, other), shared, shared, 404),
        ):
            server = self.serve(
                bind_port=bind,
                vhost_http_port=free_port(),
                vhost_https_port=port,
                vhost_https_redirect=True,
                certificates=certificates,
            )
            seen = await deferToThread(self._ask_plain, server.ports["vhost_http"], LOOPBACK, "/")
            self.assertEqual(seen.status, status)

    def _ask_plain(self, number: int, host: str, path: str) -> Seen:
        connection = http.client.HTTPConnection(LOOPBACK, number, timeout=PATIENCE_SECONDS)
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        seen = Seen((), response.status, dict(response.getheaders()), response.read())
        connection.close()
        return seen

    async def test_shared_port(self) -> None:
        """Clients and users come to one port, in every way they know."""
        number = free_port()
        server = self.serve(
            bind_port=number,
            vhost_http_port=number,
            vhost_https_port=number,
            certificates=(self.certificate("one", "a.example"),),
        )
        self.assertEqual(server.ports, {"bind": number})
        for tls in (TLSConfig(), PLAIN_FIRST_BYTE, TLSConfig(enable=False)):
            client = await self.site(server, tls)
            seen = await self.ask(number, "a.example")
            self.assertEqual((seen.names, seen.body), (("a.example",), b"asked by https"))
            await client.stopService()
            await self.wait(lambda: not server.stats.proxies_by_type()["http"])

    async def test_client_by_a_name_of_a_site(self) -> None:
        """With the byte before TLS it isn't taken for a user."""
        number = free_port()
        certificate = self.certificate("one", "a.example")
        server = self.serve(bind_port=number, vhost_https_port=number, certificates=(certificate,))
        await self.site(server, TLSConfig(server_name="a.example"))
        self.assertEqual((await self.ask(number, "a.example")).body, b"asked by https")

    async def test_passed_through(self) -> None:
        """A certificate of ours doesn't keep a name from its https proxy."""
        server = self.serve(
            vhost_https_port=free_port(),
            certificates=(self.certificate("one", "*.x.example"),),
        )
        service = await self.listen(Factory.forProtocol(Deaf))
        proxy = HTTPSProxyConfig(
            name="tls", type="https", local_port=service, custom_domains=("a.x.example",)
        )
        client = await self.connect(server, proxy)
        number = server.ports["vhost_https"]
        self.assertEqual(client.proxy_addresses["tls"], f"a.x.example:{number}")
        with self.assertRaises(ssl.SSLError):
            await self.ask(number, "a.x.example")
        self.assertEqual((await self.ask(number, "b.x.example")).status, 404)
        await client.stopService()
        await self.wait(lambda: not server.stats.proxies_by_type()["https"])
        self.assertEqual((await self.ask(number, "a.x.example")).names, ("*.x.example",))

    async def test_reload(self) -> None:
        """On demand; what can't be used changes nothing."""
        config = self.certificate("one", "a.example", "old.example")
        server = self.serve(vhost_https_port=free_port(), certificates=(config,))
        await self.site(server)
        number = server.ports["vhost_https"]
        self.certificate("one", "a.example", "new.example")
        server.reload_certificates()
        self.assertIn("new.example", (await self.ask(number, "a.example")).names)
        Path(config.key_file).write_bytes(b"")
        server.reload_certificates()
        self.assertIn("empty; the one before stays in use", self.lines[-1])
        self.assertIn("new.example", (await self.ask(number, "a.example")).names)

    async def test_reload_by_itself(self) -> None:
        self.patch(sitecertificates, "LOOK_SECONDS", 0.05)
        server = self.serve(
            vhost_https_port=free_port(),
            certificates=(self.certificate("one", "a.example", "old.example"),),
        )
        await self.site(server)
        self.certificate("one", "a.example", "new.example")
        await self.wait(lambda: any("new certificate" in line for line in self.lines))
        seen = await self.ask(server.ports["vhost_https"], "a.example")
        self.assertIn("new.example", seen.names)

    def test_nothing_to_reload(self) -> None:
        self.serve().reload_certificates()
        self.serve(vhost_https_port=free_port()).reload_certificates()

    def test_files_that_can_not_be_used(self) -> None:
        certificate = CertificateConfig(name="x", cert_file="no.crt", key_file="no.key")
        with self.assertRaises(ConfigError) as caught:
            self.serve(vhost_https_port=free_port(), certificates=(certificate,))
        self.assertIn("[certificate.x] cert_file = no.crt: No such file", str(caught.exception))
