# -*- test-case-name: tests.e2e.test_verification -*-
"""Tests that a client with ``tls_trusted_ca_file`` logs in to its own server only, on any way."""

from itertools import product
from pathlib import Path

from attrs import evolve

from tests.link.authority import Authority, write_certificates, write_key
from tests.tunnels import LOOPBACK, TunnelCase, clock
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config.schema import ClientConfig, TLSConfig
from tunnelsvc.link.certificates import Identity
from tunnelsvc.server.service import TunnelServer

WAYS = tuple(product(("tcp", "websocket", "wss"), (True, False)))
"""Protocol, and ``tcp_mux``."""


class VerificationTests(TunnelCase):
    """Servers with good and other certificates."""

    def setUp(self) -> None:
        self.authority = Authority()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        trusted = str(self.folder / "ca.crt")
        write_certificates(trusted, self.authority.certificate)
        self.trusting = TLSConfig(trusted_ca_file=trusted)

    def shows(self, identity: Identity) -> TunnelServer:
        """Start a server with a certificate."""
        cert, key = (str(self.folder / name) for name in ("server.crt", "server.key"))
        write_certificates(cert, identity.certificate, *identity.chain)
        write_key(key, identity)
        return self.serve(tls=TLSConfig(cert_file=cert, key_file=key), token="t")

    async def log_in(self, server: TunnelServer, tls: TLSConfig, way: tuple[str, bool]) -> str:
        """Log in; return the complaint, empty if there is none."""
        config = ClientConfig(
            server_addr=LOOPBACK,
            server_port=server.ports["bind"],
            token="t",
            protocol=way[0],
            tcp_mux=way[1],
            tls=tls,
        )
        ends: list[str] = []
        client = TunnelClient(config, clock, ends.append)
        client.on_login = lambda _: ends.append("")
        client.startService()
        await self.wait(lambda: bool(ends))
        await client.stopService()
        return ends[0]

    async def check(self, server: TunnelServer, tls: TLSConfig, complaint: str) -> None:
        for way in WAYS:
            said = await self.log_in(server, tls, way)
            if complaint:
                self.assertIn(complaint, said, f"{way}: {said}")
            else:
                self.assertEqual(said, "", way)

    async def test_good(self) -> None:
        server = self.shows(self.authority.issue(LOOPBACK))
        await self.check(server, self.trusting, "")

    async def test_another_name(self) -> None:
        server = self.shows(self.authority.issue("vps.example"))
        await self.check(server, self.trusting, "host name mismatch")
        await self.check(server, evolve(self.trusting, server_name="vps.example"), "")
        wrong = evolve(self.trusting, server_name="other.example")
        await self.check(server, wrong, "host name mismatch")

    async def test_another_authority(self) -> None:
        server = self.shows(Authority().issue(LOOPBACK))
        await self.check(server, self.trusting, "certificate verify failed")
        await self.check(server, TLSConfig(), "")

    async def test_expired(self) -> None:
        server = self.shows(self.authority.issue(LOOPBACK, days=1))
        await self.check(server, self.trusting, "certificate verify failed: cert has expired")
