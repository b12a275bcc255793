# -*- test-case-name: tests.server.test_sitecertificates -*-
"""Tests of `tunnelsvc.server.sitecertificates`."""

import datetime
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.link.authority import Authority, write_certificates, write_key
from tests.link.handshakes import connect, move, shake
from tests.loglines import LogLines
from tunnelsvc.config.schema import CertificateConfig, TLSConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.link.certificates import Identity, client_context
from tunnelsvc.server.sitecertificates import LOOK_SECONDS, CertificateStore, SiteCertificate

AUTHORITY = Authority()
HTTP = (b"http/1.1",)


class StoreCase(SynchronousTestCase):
    """Writes certificates and loads them."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.lines = LogLines(self)
        self.clock = Clock()
        self.changes = 0

    def write(self, name: str, identity: Identity) -> None:
        """Write the two files of a certificate."""
        config = self.config(name)
        write_certificates(config.cert_file, identity.certificate, *identity.chain)
        write_key(config.key_file, identity)
        self.touch(config.cert_file, config.key_file)

    def touch(self, *names: str) -> None:
        """Let each change be later than all before, however coarse the file system's clock is."""
        self.changes += 1
        for name in names:
            os.utime(name, (self.changes, self.changes))

    def config(self, name: str, *domains: str) -> CertificateConfig:
        files = (str(self.directory / f"{name}.{kind}") for kind in ("crt", "key"))
        cert_file, key_file = files
        return CertificateConfig(name=name, cert_file=cert_file, key_file=key_file, domains=domains)

    def store(self, *configs: CertificateConfig) -> CertificateStore:
        return CertificateStore(configs, HTTP)

    def one(self, *names: str, domains: tuple[str, ...] = ()) -> CertificateStore:
        """Load one certificate, ``one``."""
        self.write("one", AUTHORITY.issue(*names))
        return self.store(self.config("one", *domains))


class LoadTests(StoreCase):
    """What is loaded at start."""

    def found(self, store: CertificateStore, host: str) -> str:
        certificate = store.find(host)
        return certificate.name if certificate else ""

    def test_names_of_the_certificate(self) -> None:
        store = self.one("A.example", "*.B.example", "192.0.2.1", "2001:db8::1")
        for host in ("a.example", "x.b.example", "192.0.2.1", "2001:db8::1"):
            self.assertEqual(self.found(store, host), "one", host)
        for host in ("b.example", "x.y.b.example", "x.a.example", "example", "", "*"):
            self.assertEqual(self.found(store, host), "", host)

    def test_domains_of_the_file(self) -> None:
        """They say for which hosts it is shown, whatever the certificate says."""
        store = self.one("*.example", domains=("a.example",))
        self.assertEqual(self.found(store, "a.example"), "one")
        self.assertEqual(self.found(store, "b.example"), "")

    def test_several(self) -> None:
        """A host's own goes before a wildcard, of two alike the first is taken."""
        self.write("wild", AUTHORITY.issue("*.example", "b.example"))
        self.write("a", AUTHORITY.issue("a.example", "b.example"))
        store = self.store(self.config("wild"), self.config("a"))
        hosts = {"a.example": "a", "b.example": "wild", "c.example": "wild"}
        self.assertEqual({host: self.found(store, host) for host in hosts}, hosts)
        assert store.default is not None
        self.assertEqual(store.default.name, "wild")

    def test_none(self) -> None:
        store = self.store()
        self.assertIsNone(store.default)
        self.assertIsNone(store.find("a.example"))

    def test_problems(self) -> None:
        """All are told, with the sections that they are in."""
        self.write("nameless", AUTHORITY.issue())
        nameless, missing = self.config("nameless"), self.config("missing")
        error = self.assertRaises(ConfigError, self.store, missing, nameless)
        assert isinstance(error, ConfigError)
        gone = "No such file or directory"
        no_names = "the certificate has no names of hosts; set domains"
        self.assertEqual(
            error.problems,
            (
                f"[certificate.missing] cert_file = {missing.cert_file}: {gone}",
                f"[certificate.missing] key_file = {missing.key_file}: {gone}",
                f"[certificate.nameless] cert_file = {nameless.cert_file}: {no_names}",
            ),
        )

    def test_nameless_with_domains(self) -> None:
        """It may be in use somewhere; that browsers won't like it is said."""
        self.write("old", AUTHORITY.issue())
        store = self.store(self.config("old", "a.example"))
        store.watch(self.clock)
        self.assertEqual(self.found(store, "a.example"), "old")
        self.assertEqual(self.lines[1:], ["[old] the certificate isn't for a.example"])

    def test_what_is_told(self) -> None:
        store = self.one("a.example", "*.b.example")
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=28)
        store.watch(self.clock)
        (line,) = self.lines
        start = f"[one] certificate for a.example, *.b.example, valid until {until:%Y-%m-%d} "
        self.assertTrue(line.startswith(start), line)

    def test_expired(self) -> None:
        self.write("old", AUTHORITY.issue("a.example", days=1))
        self.store(self.config("old")).watch(self.clock)
        self.assertEqual(self.lines[1:], ["[old] the certificate has expired"])

    def test_wildcards_cover_wildcards(self) -> None:
        domains = ("*.example", "x.example")
        self.one("*.example", domains=domains).watch(self.clock)
        self.assertEqual(len(self.lines), 1)


class HandshakeTests(StoreCase):
    """Connections that show a certificate."""

    def check(self, identity: Identity) -> tuple[SSL.Connection, ...]:
        self.write("one", identity)
        certificate = self.store(self.config("one")).find("a.example")
        assert certificate is not None
        ca = write_certificates(str(self.directory / "ca"), AUTHORITY.certificate)
        client = client_context(TLSConfig(trusted_ca_file=ca), "a.example")
        return connect(certificate.connection, client)

    def test_kinds_of_keys(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        for identity in (AUTHORITY.issue("a.example"), AUTHORITY.issue("a.example", key=key)):
            self.check(identity)

    def test_intermediate(self) -> None:
        """The whole chain is sent: clients know the root alone."""
        between = Authority("between", AUTHORITY)
        self.check(between.issue("a.example"))

    def client(self, version: int, ciphers: bytes = b"ALL") -> SSL.Connection:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(version)
        context.set_min_proto_version(version)
        context.set_cipher_list(ciphers + b":@SECLEVEL=0")
        client = SSL.Connection(context, None)
        client.set_connect_state()
        return client

    def refused(self, client: SSL.Connection) -> str:
        certificate = self.one("a.example").default
        assert certificate is not None
        server = certificate.connection()
        shake(client)
        move(client, server)
        return str(self.assertRaises(SSL.Error, server.do_handshake))

    def test_old_versions(self) -> None:
        for version in (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION):
            self.assertIn("unsupported protocol", self.refused(self.client(version)))

    def test_old_ciphers(self) -> None:
        """Without forward secrecy, or without authentication of what is encrypted."""
        for ciphers in (b"AES128-GCM-SHA256", b"ECDHE-ECDSA-AES128-SHA", b"AECDH-AES128-SHA"):
            client = self.client(SSL.TLS1_2_VERSION, ciphers)
            self.assertIn("no shared cipher", self.refused(client))

    def test_protocols(self) -> None:
        """The server's choice; who offers none of its protocols gets none."""
        store = CertificateStore((), (b"h2", b"http/1.1"))
        self.assertIsNone(store.default)
        self.write("one", AUTHORITY.issue("a.example"))
        store = CertificateStore([self.config("one")], (b"h2", b"http/1.1"))
        assert store.default is not None
        plain = client_context(TLSConfig(), "a.example")
        for offered, chosen in (
            ([b"http/1.1", b"h2"], b"h2"),
            ([b"spdy/3", b"http/1.1"], b"http/1.1"),
            ([b"spdy/3"], b""),
            ([], b""),
        ):

            def client(offered: list[bytes] = offered) -> SSL.Connection:
                made = plain()
                if offered:
                    made.set_alpn_protos(offered)
                return made

            server, _ = connect(store.default.connection, client)
            self.assertEqual(server.get_alpn_proto_negotiated(), chosen)


class ReloadTests(StoreCase):
    """Files that change."""

    def setUp(self) -> None:
        super().setUp()
        self.certificates = self.one("a.example")
        self.watching = self.certificates.watch(self.clock)
        self.first = self.current()
        self.lines.clear()

    def current(self) -> SiteCertificate:
        assert self.certificates.default is not None
        return self.certificates.default

    def later(self) -> None:
        """Let some time pass."""
        self.clock.advance(LOOK_SECONDS)

    def test_nothing_changes(self) -> None:
        self.later()
        self.assertIs(self.current(), self.first)
        self.assertEqual(self.lines, [])

    def test_new_certificate(self) -> None:
        """It has other names, and is in use within seconds."""
        self.write("one", AUTHORITY.issue("b.example"))
        self.later()
        self.assertIsNone(self.certificates.find("a.example"))
        self.assertIs(self.certificates.find("b.example"), self.current())
        (line,) = self.lines
        self.assertIn("[one] new certificate for b.example, valid until ", line)

    def test_link_to_another_file(self) -> None:
        """As certbot has it: the names in live/ lead to other files from now on."""
        self.write("two", AUTHORITY.issue("b.example"))
        for kind in ("crt", "key"):
            link = self.directory / f"link.{kind}"
            link.symlink_to(f"two.{kind}")
            os.replace(link, self.directory / f"one.{kind}")  # noqa: PTH105 - the atomic one
        self.later()
        self.assertIsNotNone(self.certificates.find("b.example"))

    def test_half_of_a_pair(self) -> None:
        """Told once; what was in use stays in use until the pair is complete."""
        fresh = AUTHORITY.issue("b.example")
        write_certificates(self.config("one").cert_file, fresh.certificate)
        self.touch(self.config("one").cert_file)
        for _ in range(3):
            self.later()
        (line,) = self.lines
        config = self.config("one")
        self.assertEqual(
            line,
            f"[certificate.one] key_file = {config.key_file}: not the key of the certificate in "
            f"{config.cert_file}; the one before stays in use",
        )
        self.assertIs(self.certificates.find("a.example"), self.first)
        write_key(config.key_file, fresh)
        self.touch(config.key_file)
        self.later()
        self.assertIsNotNone(self.certificates.find("b.example"))
        self.assertEqual(len(self.lines), 2)

    def test_half_written(self) -> None:
        path = Path(self.config("one").cert_file)
        whole = path.read_bytes()
        path.write_bytes(whole[:100])
        self.later()
        self.assertIn("not a certificate in PEM form", self.lines[0])
        self.assertIs(self.current(), self.first)
        path.write_bytes(whole)
        self.later()
        self.assertIsNot(self.current(), self.first)

    def test_deleted(self) -> None:
        Path(self.config("one").key_file).unlink()
        self.later()
        self.later()
        (line,) = self.lines
        self.assertIn("No such file or directory; the one before stays in use", line)
        self.assertIs(self.current(), self.first)

    def test_on_demand(self) -> None:
        """Also if nothing seems to have changed."""
        self.certificates.reload()
        self.assertIsNot(self.current(), self.first)
        self.assertEqual(len(self.lines), 1)

    def test_one_of_two(self) -> None:
        """A broken one keeps the other from nothing."""
        self.write("two", AUTHORITY.issue("b.example"))
        store = self.store(self.config("one"), self.config("two"))
        store.watch(self.clock)
        Path(self.config("one").cert_file).write_bytes(b"")
        self.write("two", AUTHORITY.issue("c.example"))
        self.later()
        self.assertIsNotNone(store.find("a.example"))
        self.assertIsNotNone(store.find("c.example"))
        self.assertIsNone(store.find("b.example"))

    def test_stopped(self) -> None:
        self.watching.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
